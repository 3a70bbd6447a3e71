//! What the table consists of: four sets of addresses, and a chain.

use pod::addresses::IpFamily;

use crate::net::netfilter::data::{DataType, address_type};
use crate::net::netfilter::family::Side;
use crate::net::netfilter::message::Attributes;
use crate::net::nft::rules::Rule;

/// The name of the table.
pub(super) const TABLE: &str = "podhosts-node";
/// `NFPROTO_INET`.
pub(super) const FAMILY: u8 = 1;
/// The name of the chain.
pub(super) const CHAIN: &str = "postrouting";
/// Attributes of linux/netfilter/nf_tables.h: of a set, a chain, a rule.
pub(super) const SET_NAME: u16 = 2;
pub(super) const SET_FLAGS: u16 = 3;
pub(super) const CHAIN_NAME: u16 = 3;
pub(super) const RULE_CHAIN: u16 = 2;
pub(super) const RULE_EXPRESSIONS: u16 = 4;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LENGTH: u16 = 5;
/// `NFT_SET_INTERVAL`.
const INTERVAL: u32 = 0x4;
/// Postrouting, at the priority `srcnat` of `nft`.
const POSTROUTING: u32 = 4;
const SOURCE_NAT: u32 = 100;
/// `NF_ACCEPT` of linux/netfilter.h.
const ACCEPT: u32 = 1;

/// What the addresses of a set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Addresses {
    /// Those of this node's pods.
    Pods,
    /// Those to which pods connect with their own address.
    Inside,
}

/// A set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Set(pub(super) Addresses, pub(super) IpFamily);

impl Set {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let of = |addresses| IpFamily::ALL.map(|family| Self(addresses, family));
        [Addresses::Pods, Addresses::Inside].into_iter().flat_map(of)
    }

    pub(super) fn name(self) -> &'static str {
        match (self.0, self.1) {
            (Addresses::Pods, IpFamily::V4) => "pods4",
            (Addresses::Pods, IpFamily::V6) => "pods6",
            (Addresses::Inside, IpFamily::V4) => "inside4",
            (Addresses::Inside, IpFamily::V6) => "inside6",
        }
    }

    /// The attributes of the set.
    pub(super) fn describe(self) -> Attributes {
        let key = DataType::of(&[address_type(self.1)]);
        named(SET_NAME, self.name())
            .number(SET_FLAGS, INTERVAL)
            .number(SET_KEY_TYPE, key.id)
            .number(SET_KEY_LENGTH, key.length)
    }
}

/// The attributes that name the table.
pub(super) fn in_table() -> Attributes {
    Attributes::new().text(1, TABLE)
}

/// The attributes that name an object of the table.
pub(super) fn named(kind: u16, name: &str) -> Attributes {
    in_table().text(kind, name)
}

/// The attributes of the chain.
pub(super) fn chain() -> Attributes {
    let hook = Attributes::new().number(1, POSTROUTING).number(2, SOURCE_NAT);
    named(CHAIN_NAME, CHAIN).nested(4, &hook).number(5, ACCEPT).text(7, "nat")
}

/// The rules of the chain. Packets to the node itself pass it on lo, where a translated source would be 127.0.0.1.
pub(super) fn rules() -> Vec<Rule> {
    let rule = |family| {
        Rule::new()
            .in_set(family, Side::Source, Set(Addresses::Pods, family).name())
            .not_in_set(family, Side::Destination, Set(Addresses::Inside, family).name())
            .not_to_the_node()
            .masquerade_fully_random()
    };
    IpFamily::ALL.map(rule).into()
}

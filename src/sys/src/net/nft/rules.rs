//! Rules as expressions on registers. In the names of methods, a rule that "goes on" evaluates its next expression;
//! otherwise the packet passes to the next rule.

use std::net::IpAddr;

use super::maps::{Map, Purpose, Table};
use crate::net::netfilter::data::{DROP, FIRST, RETURN, VERDICT, data, octets, register, verdict};
use crate::net::netfilter::family::{Encoding, Side};
use crate::net::netfilter::message::Attributes;
use crate::net::rtnetlink::SourceCheck;
use pod::addresses::IpFamily;

/// Comparisons.
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
/// Headers.
const LINK: u32 = 0;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
/// `meta` and `ct` keys.
const META_ETHERTYPE: u32 = 1;
const META_INTERFACE: u32 = 4;
const META_INTERFACE_NAME: u32 = 6;
const META_FAMILY: u32 = 15;
const META_PROTOCOL: u32 = 16;
const META_GROUP: u32 = 21;
const CT_STATUS: u32 = 2;
/// `IPS_DST_NAT` of linux/netfilter/nf_conntrack_common.h.
const STATUS_DNAT: u32 = 0x20;
/// `RTN_LOCAL` of linux/rtnetlink.h, and the arguments of fib for the type of the destination.
const LOCAL: u32 = 2;
const FIB_ADDRESS_TYPE: u32 = 3;
const FIB_DESTINATION: u32 = 2;
const NAT_DESTINATION: u32 = 1;
/// `NF_NAT_RANGE_PROTO_RANDOM_FULLY` of linux/netfilter/nf_nat.h.
const FULLY_RANDOM: u32 = 1 << 4;
/// `LOOPBACK_IFINDEX` of net/flow.h: the index of lo in every namespace.
const LOOPBACK_INDEX: u32 = 1;
/// `NFT_LOOKUP_F_INV`: goes on if there is no such element.
const ABSENT: u32 = 1;
/// Interface names fill four registers of 4 bytes.
const NAME_WORDS: u32 = 4;
const ETHERTYPE_ARP: u16 = 0x0806;
const ICMP6: u8 = 58;

/// An address that the sender of a frame claims as its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// The frame's source.
    Mac,
    /// The packet's source.
    Address(IpFamily),
    /// The MAC address of an ARP packet's sender.
    ArpMac,
    /// The IPv4 address of an ARP packet's sender.
    ArpAddress,
    /// The target of a neighbour advertisement.
    Neighbour,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::net) struct Rule {
    table: Table,
    expressions: Attributes,
}

impl Rule {
    /// A rule of a table of the family inet.
    pub(in crate::net) fn new() -> Self {
        Self::of(Table::Inet)
    }

    pub(super) fn of(table: Table) -> Self {
        Self { table, expressions: Attributes::new() }
    }

    /// The list of its expressions.
    pub(in crate::net) fn expressions(&self) -> &Attributes {
        &self.expressions
    }

    fn expression(self, name: &str, about: &Attributes) -> Self {
        let expression = Attributes::new().text(1, name).nested(2, about);
        Self { expressions: self.expressions.nested(1, &expression), ..self }
    }

    fn compare(self, operation: u32, value: &[u8]) -> Self {
        let about = Attributes::new().number(1, FIRST).number(2, operation).nested(3, &data(value));
        self.expression("cmp", &about)
    }

    fn mask(self, mask: &[u8]) -> Self {
        let length = u32::try_from(mask.len()).unwrap_or(u32::MAX);
        let about = Attributes::new().number(1, FIRST).number(2, FIRST).number(3, length);
        let about = about.nested(4, &data(mask)).nested(5, &data(&vec![0; mask.len()]));
        self.expression("bitwise", &about)
    }

    fn payload(self, header: u32, offset: usize, length: usize, register: u32) -> Self {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let about = Attributes::new().number(1, register).number(2, header);
        self.expression("payload", &about.number(3, number(offset)).number(4, number(length)))
    }

    fn meta(self, key: u32, register: u32) -> Self {
        self.expression("meta", &Attributes::new().number(1, register).number(2, key))
    }

    fn lookup(self, map: Map, into: u32) -> Self {
        let about = Attributes::new().text(1, map.name()).number(2, FIRST).number(3, into);
        self.expression("lookup", &about)
    }

    fn family(self, family: IpFamily) -> Self {
        match self.table {
            Table::Inet => self.meta(META_FAMILY, FIRST).compare(EQUAL, &[family.protocol()]),
            // In a bridge table `meta nfproto` is the table's family.
            Table::Bridge => self.ethertype(family.ethertype()),
        }
    }

    fn ethertype(self, ethertype: u16) -> Self {
        self.meta(META_ETHERTYPE, FIRST).compare(EQUAL, &ethertype.to_be_bytes())
    }

    fn address(self, family: IpFamily, side: Side) -> Self {
        self.payload(NETWORK, family.offset(side), family.length(), FIRST)
    }

    /// Goes on if an address is in a subnet.
    pub(super) fn within(self, side: Side, (subnet, prefix): (IpAddr, u8)) -> Self {
        let family = IpFamily::of(subnet);
        let mask = mask(family.length(), prefix);
        let network: Vec<u8> = octets(subnet).iter().zip(&mask).map(|(byte, mask)| byte & mask).collect();
        let rule = self.family(family).address(family, side);
        // nft shows a single address only without a mask.
        let rule = if mask.last() == Some(&0xff) { rule } else { rule.mask(&mask) };
        rule.compare(EQUAL, &network)
    }

    /// Goes on if the packet did not come in by lo.
    pub(super) fn not_by_loopback(self) -> Self {
        self.meta(META_INTERFACE, FIRST).compare(NOT_EQUAL, &LOOPBACK_INDEX.to_ne_bytes())
    }

    /// Goes on if the packet came in by an interface that is checked in this way.
    pub(super) fn checked(self, check: SourceCheck) -> Self {
        self.meta(META_GROUP, FIRST).compare(EQUAL, &check.group().to_ne_bytes())
    }

    /// Goes on if the packet came in by an interface that is not checked in this way.
    pub(super) fn not_checked(self, check: SourceCheck) -> Self {
        self.meta(META_GROUP, FIRST).compare(NOT_EQUAL, &check.group().to_ne_bytes())
    }

    /// Goes on if `set` has the packet's interface together with the claimed address.
    pub(super) fn owned(self, claim: Claim, set: Map) -> Self {
        let rule = self.claim(claim);
        rule.expression("lookup", &Attributes::new().text(1, set.name()).number(2, FIRST))
    }

    /// Goes on if `set` has no such element.
    pub(super) fn not_owned(self, claim: Claim, set: Map) -> Self {
        let about = Attributes::new().text(1, set.name()).number(2, FIRST).number(5, ABSENT);
        self.claim(claim).expression("lookup", &about)
    }

    fn claim(self, claim: Claim) -> Self {
        let register = register(NAME_WORDS);
        let rule = match claim {
            // The rule has checked the type before.
            Claim::Mac | Claim::Neighbour => self,
            Claim::Address(family) => self.family(family),
            Claim::ArpMac | Claim::ArpAddress => self.arp(),
        };
        let rule = rule.meta(META_INTERFACE_NAME, FIRST);
        match claim {
            Claim::Mac => rule.payload(LINK, 6, 6, register),
            Claim::Address(family) => {
                rule.payload(NETWORK, family.offset(Side::Source), family.length(), register)
            }
            Claim::ArpMac => rule.payload(NETWORK, 8, 6, register),
            Claim::ArpAddress => rule.payload(NETWORK, 14, 4, register),
            Claim::Neighbour => rule.payload(TRANSPORT, 8, 16, register),
        }
    }

    fn arp(self) -> Self {
        self.ethertype(ETHERTYPE_ARP)
    }

    /// Goes on for an ARP probe: the sender has no address yet and asks whether one is free.
    pub(super) fn arp_probe(self) -> Self {
        self.arp().payload(NETWORK, 14, 4, FIRST).compare(EQUAL, &[0; 4])
    }

    /// Goes on for ICMPv6, of `kind` if given.
    pub(super) fn icmp6(self, kind: Option<u8>) -> Self {
        let rule = self.family(IpFamily::V6).meta(META_PROTOCOL, FIRST).compare(EQUAL, &[ICMP6]);
        match kind {
            Some(kind) => rule.payload(TRANSPORT, 0, 1, FIRST).compare(EQUAL, &[kind]),
            None => rule,
        }
    }

    /// Goes on if the destination is not an address of the node's.
    pub(in crate::net) fn not_to_the_node(self) -> Self {
        let about = Attributes::new().number(1, FIRST).number(2, FIB_ADDRESS_TYPE);
        self.expression("fib", &about.number(3, FIB_DESTINATION)).compare(NOT_EQUAL, &LOCAL.to_ne_bytes())
    }

    /// Goes on if the connection's destination was translated.
    pub(super) fn translated(self) -> Self {
        let rule = self.expression("ct", &Attributes::new().number(1, FIRST).number(2, CT_STATUS));
        rule.mask(&STATUS_DNAT.to_ne_bytes()).compare(NOT_EQUAL, &[0; 4])
    }

    /// Enters the chain that a map has for an address.
    pub(super) fn enter_by(self, side: Side, map: Map) -> Self {
        self.family(map.1).address(map.1, side).lookup(map, VERDICT)
    }

    /// Translates the destination to its value in a map.
    pub(super) fn translate_by(self, map: Map) -> Self {
        let rule = self.family(map.1);
        let (rule, words) = match map.0 {
            Purpose::HostIpPorts => (rule.address(map.1, Side::Destination), map.1.words()),
            _ => (rule, 0),
        };
        let rule = rule.meta(META_PROTOCOL, register(words));
        // The destination's port, at the same place for TCP, UDP and SCTP.
        let rule = rule.payload(TRANSPORT, 2, 2, register(words + 1)).lookup(map, FIRST);
        let about = Attributes::new().number(1, NAT_DESTINATION).number(2, map.1.protocol().into());
        rule.expression("nat", &about.number(3, FIRST).number(5, register(map.1.words())))
    }

    pub(super) fn leave(self) -> Self {
        self.expression("immediate", &Attributes::new().number(1, VERDICT).nested(2, &verdict(RETURN)))
    }

    pub(super) fn drop(self) -> Self {
        self.expression("immediate", &Attributes::new().number(1, VERDICT).nested(2, &verdict(DROP)))
    }

    pub(super) fn masquerade(self) -> Self {
        self.expression("masq", &Attributes::new())
    }

    /// Goes on if a set has the packet's address.
    pub(in crate::net) fn in_set(self, family: IpFamily, side: Side, set: &str) -> Self {
        let about = Attributes::new().text(1, set).number(2, FIRST);
        self.family(family).address(family, side).expression("lookup", &about)
    }

    /// Goes on if a set does not have the packet's address. The rule has checked the family before.
    pub(in crate::net) fn not_in_set(self, family: IpFamily, side: Side, set: &str) -> Self {
        let about = Attributes::new().text(1, set).number(2, FIRST).number(5, ABSENT);
        self.address(family, side).expression("lookup", &about)
    }

    /// Masquerades with a random port, so that many connections at once do not try the same one.
    pub(in crate::net) fn masquerade_fully_random(self) -> Self {
        self.expression("masq", &Attributes::new().number(1, FULLY_RANDOM))
    }
}

/// The netmask of a prefix; a prefix longer than the address counts as the whole address.
fn mask(length: usize, prefix: u8) -> Vec<u8> {
    let prefix = usize::from(prefix);
    let byte = |index: usize| match prefix.saturating_sub(index * 8) {
        bits @ 0..8 => !(0xff_u8 >> bits),
        _ => 0xff,
    };
    (0..length).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netmasks() {
        assert_eq!(mask(4, 0), [0; 4]);
        assert_eq!(mask(4, 8), [255, 0, 0, 0]);
        assert_eq!(mask(4, 23), [255, 255, 254, 0]);
        assert_eq!(mask(4, 32), [255; 4]);
        assert_eq!(mask(4, 200), [255; 4]);
        assert_eq!(mask(16, 65)[7..10], [255, 128, 0]);
    }

    #[test]
    fn host_bits_of_a_subnet_do_not_matter() {
        let rule = |subnet: &str| Rule::new().within(Side::Source, (subnet.parse().unwrap(), 16));
        assert_eq!(rule("10.1.2.3"), rule("10.1.0.0"));
        assert_ne!(rule("10.1.2.3"), rule("10.2.0.0"));
    }
}

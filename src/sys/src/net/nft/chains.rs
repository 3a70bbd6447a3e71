//! The chains: base chains, which the kernel calls and which are the same on every node, and the chains of each
//! network.
//!
//! The guards run before everything else, even connection tracking, so they see every packet. They drop packets whose
//! sender address does not belong to the pod. The group of an interface decides whether it is checked, and the
//! interface has it from the start, so a pod without elements is cut off instead of unchecked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::maps::{Map, Purpose, Table};
use super::rules::{Claim, Rule};
use crate::fnv;
use crate::net::netfilter::family::Side;
use crate::net::netfilter::message::Attributes;
use crate::net::rtnetlink::SourceCheck;
use pod::addresses::IpFamily;

/// Hooks of linux/netfilter.h.
const PREROUTING: u32 = 0;
const OUTPUT: u32 = 3;
const POSTROUTING: u32 = 4;
/// The priority `raw` of `nft`, before connection tracking. For bridges it has no name.
const RAW: i32 = -300;
/// The priorities `dstnat` and `srcnat` of `nft`.
const DESTINATION_NAT: i32 = -100;
const SOURCE_NAT: i32 = 100;
/// The node's loopback addresses.
const LOOPBACK: (IpAddr, u8) = (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8);
const LOOPBACK6: (IpAddr, u8) = (IpAddr::V6(Ipv6Addr::LOCALHOST), 128);
const MULTICAST: [(IpAddr, u8); 2] = [
    (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4),
    (IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
];

const UNSPECIFIED6: (IpAddr, u8) = (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 128);
/// ICMPv6 types of routers, and the one with which a neighbour tells its MAC address.
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;
/// The name of both guards.
const GUARD: &str = "guard";

/// A chain and all of its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) table: Table,
    pub(super) name: String,
    /// Type, hook and priority of a base chain.
    hook: Option<(&'static str, u32, i32)>,
    pub(super) rules: Vec<Rule>,
}

impl Chain {
    /// Adds the chain's attributes to `about`, which names the table.
    pub(super) fn describe(&self, about: Attributes) -> Attributes {
        let about = about.text(3, &self.name);
        let Some((kind, hook, priority)) = self.hook else { return about };
        let hook = Attributes::new().number(1, hook).number(2, priority.cast_unsigned());
        about.nested(4, &hook).text(7, kind)
    }

    fn base(table: Table, name: &str, hook: (&'static str, u32, i32), rules: Vec<Rule>) -> Self {
        Self { table, name: name.to_owned(), hook: Some(hook), rules }
    }

    /// The chain that drops packets whose sender address does not belong to the pod.
    pub(super) fn guard(table: Table) -> Self {
        let rules = match table {
            Table::Inet => guard(),
            Table::Bridge => bridge_guard(),
        };
        Self::base(table, GUARD, ("filter", PREROUTING, RAW), rules)
    }

    /// The base chains of a table; `translates` adds those that translate addresses.
    pub(super) fn bases(table: Table, translates: bool) -> Vec<Self> {
        match table {
            Table::Inet if translates => {
                vec![Self::postrouting(), Self::prerouting(), Self::output(), Self::guard(table)]
            }
            Table::Inet | Table::Bridge => vec![Self::guard(table)],
        }
    }

    /// Whether it serves masquerading or host ports.
    pub(super) fn translates(&self) -> bool {
        self.name != GUARD
    }

    /// The base chain of masquerading.
    pub(super) fn postrouting() -> Self {
        Self::base(Table::Inet, "postrouting", ("nat", POSTROUTING, SOURCE_NAT), postrouting())
    }

    /// The base chain of host ports, for connections from elsewhere.
    pub(super) fn prerouting() -> Self {
        Self::base(Table::Inet, "prerouting", ("nat", PREROUTING, DESTINATION_NAT), prerouting())
    }

    /// The base chain of host ports, for connections from the node itself.
    pub(super) fn output() -> Self {
        Self::base(Table::Inet, "output", ("nat", OUTPUT, DESTINATION_NAT), output())
    }

    /// Masquerades packets that leave a network.
    pub(super) fn masquerade(network: &str, subnets: &[(IpAddr, u8)]) -> Self {
        let stay = subnets.iter().chain(&MULTICAST);
        let leave = stay.map(|subnet| Rule::new().within(Side::Destination, *subnet).leave());
        let rules = leave.chain([Rule::new().masquerade()]).collect();
        Self { table: Table::Inet, name: masquerade_name(network), hook: None, rules }
    }

    /// Masquerades connections through a host port whose answers would not return through the node, or not leave it:
    /// from the network itself, and from the node's 127.0.0.1.
    pub(super) fn hairpin(network: &str, subnets: &[(IpAddr, u8)]) -> Self {
        let from = subnets.iter().chain([&LOOPBACK]);
        let rules = from.map(|subnet| Rule::new().within(Side::Source, *subnet).masquerade()).collect();
        Self { table: Table::Inet, name: hairpin_name(network), hook: None, rules }
    }
}

/// The name of the chain with a network's exceptions from masquerading.
pub(super) fn masquerade_name(network: &str) -> String {
    format!("masq-{:016x}", hash(network))
}

/// The name of the chain with a network's hairpins.
pub(super) fn hairpin_name(network: &str) -> String {
    format!("hairpin-{:016x}", hash(network))
}

fn postrouting() -> Vec<Rule> {
    let both = |purpose| IpFamily::ALL.map(|family| Map(purpose, family));
    let hairpin = |map| Rule::new().translated().enter_by(Side::Destination, map);
    let masquerade = |map| Rule::new().enter_by(Side::Source, map);
    // A connection through a host port from the pod of another network is no hairpin, but is masqueraded, too.
    both(Purpose::Hairpin).map(hairpin).into_iter().chain(both(Purpose::Masquerade).map(masquerade)).collect()
}

fn prerouting() -> Vec<Rule> {
    [Rule::new().not_to_the_node().leave()].into_iter().chain(host_ports()).collect()
}

fn guard() -> Vec<Rule> {
    // Host ports on 127.0.0.1 need route_localnet on the pods' interfaces. With it the kernel would also let pods reach
    // programs that listen on the node's 127.0.0.1. (It never lets packets to ::1 in.)
    let loopback = |side| Rule::new().not_by_loopback().within(side, LOOPBACK).drop();
    let sources = |family| Map(Purpose::Sources(Table::Inet), family);
    let own = |family| Rule::new().owned(Claim::Address(family), sources(family)).leave();
    vec![
        loopback(Side::Source),
        loopback(Side::Destination),
        Rule::new().not_checked(SourceCheck::Addresses).leave(),
        own(IpFamily::V4),
        own(IpFamily::V6),
        // Duplicate address detection sends from ::.
        Rule::new().icmp6(None).within(Side::Source, UNSPECIFIED6).leave(),
        Rule::new().drop(),
    ]
}

fn bridge_guard() -> Vec<Rule> {
    let new = || Rule::of(Table::Bridge);
    let sources = |family| Map(Purpose::Sources(Table::Bridge), family);
    let own = |claim, family| new().owned(claim, sources(family)).leave();
    vec![
        new().checked(SourceCheck::Mac).owned(Claim::Mac, Map::MACS).leave(),
        new().checked(SourceCheck::Mac).drop(),
        new().not_checked(SourceCheck::Addresses).leave(),
        new().not_owned(Claim::Mac, Map::MACS).drop(),
        own(Claim::Address(IpFamily::V4), IpFamily::V4),
        new().not_owned(Claim::ArpMac, Map::MACS).drop(),
        own(Claim::ArpAddress, IpFamily::V4),
        new().arp_probe().leave(),
        // A pod is no router, and announces no addresses of others.
        new().icmp6(Some(ROUTER_ADVERTISEMENT)).drop(),
        new().icmp6(Some(REDIRECT)).drop(),
        new().icmp6(Some(NEIGHBOUR_ADVERTISEMENT)).not_owned(Claim::Neighbour, sources(IpFamily::V6)).drop(),
        own(Claim::Address(IpFamily::V6), IpFamily::V6),
        new().icmp6(None).within(Side::Source, UNSPECIFIED6).leave(),
        new().drop(),
    ]
}

fn output() -> Vec<Rule> {
    // The kernel does not send packets from ::1 off the node, so its ports cannot be mapped.
    let to_itself = Rule::new().within(Side::Destination, LOOPBACK6).leave();
    [Rule::new().not_to_the_node().leave(), to_itself].into_iter().chain(host_ports()).collect()
}

/// A port of one of the node's addresses goes before a port of all addresses.
fn host_ports() -> impl Iterator<Item = Rule> {
    let maps = IpFamily::ALL.map(|family| [Purpose::HostIpPorts, Purpose::HostPorts].map(|p| Map(p, family)));
    maps.into_iter().flatten().map(|map| Rule::new().translate_by(map))
}

/// A network's name may be too long for a chain's.
fn hash(text: &str) -> u64 {
    fnv::hash(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_names_fit_into_the_kernels() {
        // NFT_CHAIN_MAXNAMELEN is 256; older kernels had 32.
        for name in [masquerade_name(&"x".repeat(255)), hairpin_name("")] {
            assert!(name.len() < 32, "{name}");
        }
    }
}

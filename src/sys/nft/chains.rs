//! The chains: those that the kernel calls, the same on every node, and those of each network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::elements::{Family, Map, Purpose};
use super::message::Attributes;
use super::rules::{Rule, Side};
use crate::fnv;

/// Hooks of linux/netfilter.h.
const PREROUTING: u32 = 0;
const OUTPUT: u32 = 3;
const POSTROUTING: u32 = 4;
/// What `nft` calls `dstnat` and `srcnat`.
const DESTINATION_NAT: i32 = -100;
const SOURCE_NAT: i32 = 100;
/// The node's own addresses that nobody else can reach.
const LOOPBACK: (IpAddr, u8) = (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8);
const LOOPBACK6: (IpAddr, u8) = (IpAddr::V6(Ipv6Addr::LOCALHOST), 128);
const MULTICAST: [(IpAddr, u8); 2] = [
    (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4),
    (IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
];

/// A chain and all of its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) name: String,
    /// Hook and priority of one that the kernel calls.
    hook: Option<(u32, i32)>,
    pub(super) rules: Vec<Rule>,
}

impl Chain {
    /// Adds what the kernel makes the chain of to `about`, which names the table.
    pub(super) fn describe(&self, about: Attributes) -> Attributes {
        let about = about.text(3, &self.name);
        let Some((hook, priority)) = self.hook else { return about };
        let hook = Attributes::new().number(1, hook).number(2, priority.cast_unsigned());
        about.nested(4, &hook).text(7, "nat")
    }

    /// Those that the kernel calls.
    pub(super) fn base() -> [Self; 3] {
        let base = |name: &str, hook, rules| Self { name: name.to_owned(), hook: Some(hook), rules };
        [
            base("postrouting", (POSTROUTING, SOURCE_NAT), postrouting()),
            base("prerouting", (PREROUTING, DESTINATION_NAT), prerouting()),
            base("output", (OUTPUT, DESTINATION_NAT), output()),
        ]
    }

    /// What a network's pods send elsewhere is masqueraded.
    pub(super) fn masquerade(network: &str, subnets: &[(IpAddr, u8)]) -> Self {
        let stay = subnets.iter().chain(&MULTICAST);
        let leave = stay.map(|subnet| Rule::new().within(Side::Destination, *subnet).leave());
        let rules = leave.chain([Rule::new().masquerade()]).collect();
        Self { name: masquerade_name(network), hook: None, rules }
    }

    /// What comes to a network's pods through a host port is masqueraded where the answer would not come back
    /// through the node, or not leave it: from the network itself, and from the node's 127.0.0.1.
    pub(super) fn hairpin(network: &str, subnets: &[(IpAddr, u8)]) -> Self {
        let from = subnets.iter().chain([&LOOPBACK]);
        let rules = from.map(|subnet| Rule::new().within(Side::Source, *subnet).masquerade()).collect();
        Self { name: hairpin_name(network), hook: None, rules }
    }
}

/// The chain with a network's exceptions from masquerading.
pub(super) fn masquerade_name(network: &str) -> String {
    format!("masq-{:016x}", hash(network))
}

/// The chain with a network's hairpins.
pub(super) fn hairpin_name(network: &str) -> String {
    format!("hairpin-{:016x}", hash(network))
}

fn postrouting() -> Vec<Rule> {
    let both = |purpose| Family::ALL.map(|family| Map(purpose, family));
    let hairpin = |map| Rule::new().translated().enter_by(Side::Destination, map);
    let masquerade = |map| Rule::new().enter_by(Side::Source, map);
    // A connection through a host port from another network's pod is no hairpin, and still masqueraded.
    both(Purpose::Hairpin).map(hairpin).into_iter().chain(both(Purpose::Masquerade).map(masquerade)).collect()
}

fn prerouting() -> Vec<Rule> {
    // Host ports on 127.0.0.1 need route_localnet on the pods' interfaces, with which the kernel would also let pods reach
    // what listens on the node's 127.0.0.1 alone. (What the node sends to itself has passed `output`, and not this.)
    let from_outside = Rule::new().within(Side::Destination, LOOPBACK).drop();
    [Rule::new().not_to_the_node().leave(), from_outside].into_iter().chain(host_ports()).collect()
}

fn output() -> Vec<Rule> {
    // The kernel does not let ::1 off the node, so a port of it could only be broken, not mapped.
    let to_itself = Rule::new().within(Side::Destination, LOOPBACK6).leave();
    [Rule::new().not_to_the_node().leave(), to_itself].into_iter().chain(host_ports()).collect()
}

/// A port of one of the node's addresses goes before the port of all of them.
fn host_ports() -> impl Iterator<Item = Rule> {
    let maps = Family::ALL.map(|family| [Purpose::HostIpPorts, Purpose::HostPorts].map(|p| Map(p, family)));
    maps.into_iter().flatten().map(|map| Rule::new().translate_by(map))
}

/// A network's name may be any text, a chain's may not.
fn hash(text: &str) -> u64 {
    fnv::hash(text.bytes())
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

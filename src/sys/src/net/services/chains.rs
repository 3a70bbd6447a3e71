//! The chains of the table.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use pod::addresses::IpFamily;

use super::element::{SLOTS_MAX, slots_for};
use super::handling::{AFFINITY, BALANCE, CHECKS_SOURCE, DROP, MASQUERADE, REJECT};
use super::maps::{Map, Purpose, digit};
use super::rule::Rule;
use crate::net::netfilter::data::{GOTO, JUMP, enter, verdict};
use crate::net::netfilter::message::Attributes;

/// Hooks of linux/netfilter.h.
const PREROUTING: u32 = 0;
const OUTPUT: u32 = 3;
const POSTROUTING: u32 = 4;
/// The priorities `dstnat` and `srcnat` of `nft`.
const DESTINATION_NAT: i32 = -100;
const SOURCE_NAT: i32 = 100;
/// `NF_ACCEPT` of linux/netfilter.h.
const ACCEPT: u32 = 1;
/// The chain that refuses connections.
const REFUSE: &str = "reject";

/// A chain and all of its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) name: String,
    /// Hook and priority of a base chain.
    hook: Option<(u32, i32)>,
    pub(super) rules: Vec<Rule>,
}

/// A verdict of a map: its key, and the verdict.
pub(super) struct Way {
    pub(super) map: Map,
    pub(super) key: u32,
    pub(super) verdict: Attributes,
}

impl Chain {
    /// Adds the chain's attributes to `about`, which names the table.
    pub(super) fn describe(&self, about: Attributes) -> Attributes {
        let about = about.text(3, &self.name);
        let Some((hook, priority)) = self.hook else { return about };
        let hook = Attributes::new().number(1, hook).number(2, priority.cast_unsigned());
        about.nested(4, &hook).number(5, ACCEPT).text(7, "nat")
    }

    fn base(name: &str, hook: (u32, i32), rules: Vec<Rule>) -> Self {
        Self { name: name.to_owned(), hook: Some(hook), rules }
    }

    fn inner(name: String, rules: Vec<Rule>) -> Self {
        Self { name, hook: None, rules }
    }

    /// The chains that every table has. A chain comes before those that lead to it.
    pub(super) fn fixed() -> Vec<Self> {
        let refuse = vec![
            Rule::new("reset TCP").tcp().reset(),
            Rule::new("tell by ICMP that nothing listens").refuse(),
        ];
        let mut chains = vec![Self::inner(REFUSE.to_owned(), refuse)];
        for family in IpFamily::ALL {
            chains.extend(slot_counts().iter().map(|slots| Self::slots(family, *slots)));
            chains.push(Self::inner(services_name(family), services(family)));
        }
        let lead = || {
            let jump = |family| Rule::new("new connections").family(family).jump(&services_name(family));
            IpFamily::ALL.map(jump).into()
        };
        chains.push(Self::base("prerouting", (PREROUTING, DESTINATION_NAT), lead()));
        chains.push(Self::base("output", (OUTPUT, DESTINATION_NAT), lead()));
        let rules = IpFamily::ALL.into_iter().flat_map(postrouting).collect();
        chains.push(Self::base("postrouting", (POSTROUTING, SOURCE_NAT), rules));
        chains
    }

    /// Leads to one of so many slots.
    fn slots(family: IpFamily, slots: u32) -> Self {
        let service = |comment| Rule::new(comment).family(family).service(family);
        let rules = vec![
            service("a random slot").lead_to_slot(family, slots),
            // The lists may have changed between two lookups.
            service("that slot is gone: the first").lead_to_slot(family, 1),
            // Connection tracking would remember a connection without translation.
            Rule::new("the endpoints are gone: the next packet finds others").drop(),
        ];
        Self::inner(slots_name(family, slots), rules)
    }

    /// Remembers a client's endpoint for so long.
    pub(super) fn affinity(family: IpFamily, seconds: u32) -> Self {
        let rule = Rule::new("remember the client's endpoint").family(family);
        let rules = vec![rule.service_of_connection(family).remember(family, seconds)];
        Self::inner(affinity_name(family, seconds), rules)
    }
}

impl Way {
    /// The verdicts of `balance`.
    pub(super) fn fixed() -> Vec<Self> {
        let of = |family: IpFamily| {
            let way = move |key, verdict| Self { map: Map(Purpose::Balance, family), key, verdict };
            let slots = slot_counts().iter();
            let slots = slots.map(move |slots| way(*slots, enter(GOTO, &slots_name(family, *slots))));
            let drop = verdict(crate::net::netfilter::data::DROP);
            slots.chain([way(REJECT, enter(GOTO, REFUSE)), way(DROP, drop)])
        };
        IpFamily::ALL.into_iter().flat_map(of).collect()
    }

    /// The verdict of `affinity-timeouts` for a timeout.
    pub(super) fn affinity(family: IpFamily, seconds: u32) -> Self {
        let verdict = enter(JUMP, &affinity_name(family, seconds));
        Self { map: Map(Purpose::AffinityTimeouts, family), key: seconds, verdict }
    }
}

/// The numbers that [`slots_for`] returns, except for 0.
pub(super) fn slot_counts() -> &'static BTreeSet<u32> {
    static COUNTS: LazyLock<BTreeSet<u32>> = LazyLock::new(|| {
        let endpoints = 1..=usize::try_from(SLOTS_MAX).unwrap_or(usize::MAX);
        endpoints.map(slots_for).collect()
    });
    &COUNTS
}

fn slots_name(family: IpFamily, slots: u32) -> String {
    format!("slots{}-{slots}", digit(family))
}

fn affinity_name(family: IpFamily, seconds: u32) -> String {
    format!("affinity{}-{seconds}", digit(family))
}

fn services_name(family: IpFamily) -> String {
    format!("services{}", digit(family))
}

fn services(family: IpFamily) -> Vec<Rule> {
    let new = |comment| Rule::new(comment).family(family);
    let service = |comment| new(comment).service(family);
    let with = |comment, flag| service(comment).has(family, flag);
    vec![
        with("sources that may not connect", CHECKS_SOURCE).source_out_of_range(family).drop(),
        new("affinity: the client's endpoint").lead_to_remembered(family, AFFINITY),
        with("affinity: it is gone", AFFINITY).forget(family),
        service("by the number of slots, or refuse, or drop").balance(family, BALANCE),
        new("other ports of a cluster IP").to(family, Purpose::ClusterIps).goto(REFUSE),
        new("addresses that no Service has").to(family, Purpose::ServiceNetworks).drop(),
    ]
}

fn postrouting(family: IpFamily) -> Vec<Rule> {
    let service = |comment| Rule::new(comment).family(family).translated().service_of_connection(family);
    vec![
        service("affinity: by the timeout").has(family, AFFINITY).renew_affinity(family),
        service("an endpoint that reaches itself").hairpin(family).masquerade(),
        service("the endpoint sees the node").has(family, MASQUERADE).masquerade(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_chain_for_each_number_of_slots() {
        assert_eq!(slot_counts().len(), 69);
        assert!(slot_counts().iter().all(|slots| *slots <= 64 || slots.is_power_of_two()));
        for endpoints in (0..100_000).step_by(7) {
            assert!(endpoints == 0 || slot_counts().contains(&slots_for(endpoints)));
        }
    }

    #[test]
    fn names_fit_into_the_kernels() {
        // NFT_CHAIN_MAXNAMELEN is 256; older kernels had 32.
        for chain in Chain::fixed().iter().chain([&Chain::affinity(IpFamily::V6, u32::MAX)]) {
            assert!(chain.name.len() < 32, "{}", chain.name);
        }
    }
}

//! Which pod networks are routed: no two Nodes' networks overlap, and none has a Node's own address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::api::node::{Cluster, ClusterNode};
use crate::problem::Problem;

/// Two Nodes have overlapping pod networks.
pub(super) const POD_CIDR_CONFLICT: &str = "PodCIDRConflict";
/// A Node's own address is in a pod network.
pub(super) const POD_CIDR_CONTAINS_NODE: &str = "PodCIDRContainsNode";

/// A pod network has addresses that pods cannot have.
pub(super) const POD_CIDR_REFUSED: &str = "PodCIDRRefused";

/// Networks that no pods are in: this host, link-local (with the clouds' metadata), multicast, broadcast, IPv4 in IPv6.
const RESERVED: [&str; 9] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255/32",
    "::/96",
    "::ffff:0:0/96",
    "fe80::/10",
    "ff00::/8",
];

/// The pod networks of a cluster that can be routed.
#[derive(Debug, Default)]
pub(super) struct Claims<'a> {
    /// Those of this node.
    pub(super) own: Vec<IpNet>,
    /// Why this node's pods cannot have addresses of a network of its own.
    pub(super) dispute: Option<String>,
    /// Those of the other Nodes, the oldest Node first.
    pub(super) others: Vec<(&'a ClusterNode, Vec<IpNet>)>,
    /// The InternalIPs that are in another Node's network, with its name: a pod may have them.
    pub(super) of_pods: BTreeMap<IpAddr, &'a str>,
    pub(super) problems: Vec<Problem>,
}

/// The older of two Nodes keeps its network; the name decides between two of the same second. On its own node a network
/// counts in any case, for its pods are there. `needed` are addresses that this node must not lose to pods of others.
pub(super) fn claims<'a>(cluster: &'a Cluster, needed: &BTreeMap<IpAddr, Needed>) -> Claims<'a> {
    let mut nodes: Vec<&ClusterNode> = cluster.nodes.values().collect();
    nodes.sort_by_key(|node| age(node));
    let addresses = addresses(&nodes);
    let mut claims = Claims::default();
    let mut taken = Taken::default();
    if let Some(own) = cluster.nodes.get(&cluster.own) {
        claim_own(own, &addresses, &mut taken, &mut claims);
    }
    for node in nodes {
        if node.name == cluster.own {
            continue;
        }
        let mut networks = Vec::new();
        for network in &node.pod_cidrs {
            let network = network.trunc();
            match refusal(network, needed).or_else(|| fault(node, network, &addresses, &taken)) {
                None => {
                    if taken.add(network, node) {
                        networks.push(network);
                    }
                }
                Some(fault) => claims.refuse(cluster, node, network, fault),
            }
        }
        claims.others.push((node, networks));
    }
    let owner = |address: &IpAddr| Some((*address, taken.owner(*address)?.name.as_str()));
    claims.of_pods = addresses.keys().filter_map(owner).collect();
    claims
}

fn claim_own<'a>(
    own: &'a ClusterNode,
    addresses: &BTreeMap<IpAddr, &'a ClusterNode>,
    taken: &mut Taken<'a>,
    claims: &mut Claims<'a>,
) {
    for network in &own.pod_cidrs {
        let network = network.trunc();
        let refused = refusal(network, &BTreeMap::new());
        if let Some(fault) = refused.or_else(|| fault(own, network, addresses, taken)) {
            let text = format!("spec.podCIDRs {network} of this Node {fault}");
            claims.dispute.get_or_insert_with(|| text.clone());
            claims.problems.push(Problem { reason: fault.reason, node: None, text });
        }
        if taken.add(network, own) {
            claims.own.push(network);
        }
    }
}

impl Claims<'_> {
    fn refuse(&mut self, cluster: &Cluster, node: &ClusterNode, network: IpNet, fault: Fault) {
        let is_own = fault.with.as_deref() == Some(cluster.own.as_str());
        if is_own && is_older(node, cluster) {
            let text = format!(
                "spec.podCIDRs {network} of Node {} overlaps this Node's, and is older: other nodes lead it there, and new \
                 pods here would have addresses that others have",
                node.name
            );
            self.dispute.get_or_insert(text);
        }
        let text = format!("spec.podCIDRs {network} of Node {} {fault}: it is not routed", node.name);
        self.problems.push(Problem { reason: fault.reason, node: Some(node.name.clone()), text });
    }
}

fn is_older(node: &ClusterNode, cluster: &Cluster) -> bool {
    cluster.nodes.get(&cluster.own).is_some_and(|own| age(node) < age(own))
}

fn age(node: &ClusterNode) -> (i64, &str) {
    (node.created, &node.name)
}

/// What is wrong with a network.
struct Fault {
    reason: &'static str,
    /// The Node that it collides with.
    with: Option<String>,
    text: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// What another address is to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needed {
    ApiServer,
    Router,
}

impl std::fmt::Display for Needed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ApiServer => "the API server's address",
            Self::Router => "the address of a router of this node",
        })
    }
}

/// Why a network cannot be one of pods, whoever has it.
fn refusal(network: IpNet, needed: &BTreeMap<IpAddr, Needed>) -> Option<Fault> {
    let refuse = |text| Some(Fault { reason: POD_CIDR_REFUSED, with: None, text });
    let overlaps = |other: &IpNet| other.contains(&network.network()) || network.contains(&other.network());
    let reserved = RESERVED.iter().filter_map(|text| text.parse().ok()).find(overlaps);
    if let Some(reserved) = reserved {
        return refuse(format!("overlaps {reserved}, which is for no pods"));
    }
    let (address, what) = needed.range(network.network()..=network.broadcast()).next()?;
    refuse(format!("contains {address}, {what}"))
}

fn fault(
    node: &ClusterNode,
    network: IpNet,
    addresses: &BTreeMap<IpAddr, &ClusterNode>,
    taken: &Taken<'_>,
) -> Option<Fault> {
    // An address that a Node claims later is told of that one: otherwise it could take the network from any other.
    let mut inside = addresses.range(network.network()..=network.broadcast());
    if let Some((address, of)) = inside.find(|(_, of)| age(of) <= age(node)) {
        let text = format!("contains {address}, the InternalIP of Node {}", of.name);
        return Some(Fault { reason: POD_CIDR_CONTAINS_NODE, with: None, text });
    }
    let (other, of) = taken.overlap(network)?;
    // A Node that has a network twice collides with nobody.
    if of.name == node.name {
        return None;
    }
    let text = format!("overlaps {other} of Node {}", of.name);
    Some(Fault { reason: POD_CIDR_CONFLICT, with: Some(of.name.clone()), text })
}

/// The InternalIPs of all Nodes, those of the oldest Node where several have one.
fn addresses<'a>(nodes: &[&'a ClusterNode]) -> BTreeMap<IpAddr, &'a ClusterNode> {
    let mut addresses = BTreeMap::new();
    for node in nodes {
        for address in &node.internal_ips {
            addresses.entry(*address).or_insert(*node);
        }
    }
    addresses
}

/// Networks that do not overlap, by their first address. Those of one family are together.
#[derive(Default)]
struct Taken<'a>(BTreeMap<IpAddr, (IpNet, &'a ClusterNode)>);

impl<'a> Taken<'a> {
    /// The taken network that shares an address with this one.
    fn overlap(&self, network: IpNet) -> Option<(IpNet, &'a ClusterNode)> {
        let before = self.0.range(..=network.broadcast()).next_back()?;
        let (other, node) = before.1;
        let overlaps = other.contains(&network.network()) || network.contains(&other.network());
        overlaps.then_some((*other, *node))
    }

    /// Whose network has an address.
    fn owner(&self, address: IpAddr) -> Option<&'a ClusterNode> {
        self.overlap(address.into()).map(|(_, node)| node)
    }

    /// Takes a network, unless it is taken already.
    fn add(&mut self, network: IpNet, node: &'a ClusterNode) -> bool {
        if self.overlap(network).is_some() {
            return false;
        }
        self.0.insert(network.network(), (network, node));
        true
    }
}

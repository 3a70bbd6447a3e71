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

/// The pod networks of a cluster that can be routed.
#[derive(Debug, Default)]
pub(super) struct Claims<'a> {
    /// Those of this node.
    pub(super) own: Vec<IpNet>,
    /// Why this node's pods cannot have addresses of a network of its own.
    pub(super) dispute: Option<String>,
    /// Those of the other Nodes, the oldest Node first.
    pub(super) others: Vec<(&'a ClusterNode, Vec<IpNet>)>,
    pub(super) problems: Vec<Problem>,
}

/// The older of two Nodes keeps its network; the name decides between two of the same second. On its own node a network
/// counts in any case, for its pods are there.
pub(super) fn claims(cluster: &Cluster) -> Claims<'_> {
    let mut nodes: Vec<&ClusterNode> = cluster.nodes.values().collect();
    nodes.sort_by_key(|node| (node.created, &node.name));
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
            match fault(node, network, &addresses, &taken) {
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
        if let Some(fault) = fault(own, network, addresses, taken) {
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
    let age = |node: &ClusterNode| (node.created, node.name.clone());
    cluster.nodes.get(&cluster.own).is_some_and(|own| age(node) < age(own))
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

fn fault(
    node: &ClusterNode,
    network: IpNet,
    addresses: &BTreeMap<IpAddr, &ClusterNode>,
    taken: &Taken<'_>,
) -> Option<Fault> {
    if let Some((address, of)) = addresses.range(network.network()..=network.broadcast()).next() {
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

    /// Takes a network, unless it is taken already.
    fn add(&mut self, network: IpNet, node: &'a ClusterNode) -> bool {
        if self.overlap(network).is_some() {
            return false;
        }
        self.0.insert(network.network(), (network, node));
        true
    }
}

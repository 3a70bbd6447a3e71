//! The ServiceCIDRs, as the proxy is told of them.
//!
//! The proxy drops packets to addresses of these networks that no Service has. If a Node's own address were among them, the
//! nodes would lose each other and the API server, and nobody could take the ServiceCIDR back. So such a network is left out.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use proxy::ObjectName;
use proxy::thread::News;

use super::changes::Changes;
use super::findings::Findings;
use crate::api::node::Cluster;
use crate::problem::Problem;

/// A Node's own address is in a network of cluster IPs.
const SERVICE_CIDR_CONTAINS_NODE: &str = "ServiceCIDRContainsNode";

/// The ServiceCIDR of the API server's command line.
const FIRST: &str = "kubernetes";

/// What the watches of Nodes and ServiceCIDRs found.
#[derive(Debug, Default)]
pub(super) struct ServiceNetworks {
    /// Each ServiceCIDR as the API server has it.
    all: RefCell<BTreeMap<ObjectName, Vec<IpNet>>>,
    /// As the proxy was told.
    told: RefCell<BTreeMap<ObjectName, Vec<IpNet>>>,
    told_machines: RefCell<BTreeSet<IpAddr>>,
}

impl ServiceNetworks {
    /// A ServiceCIDR has these networks, or is gone.
    pub(super) fn take(&self, name: ObjectName, networks: Option<Vec<IpNet>>) {
        match networks {
            Some(networks) => self.all.borrow_mut().insert(name, networks),
            None => self.all.borrow_mut().remove(&name),
        };
    }

    /// Tells what has changed.
    pub(super) fn tell(&self, cluster: &Cluster, changes: &Changes, findings: &Findings) {
        for news in self.news(cluster).into_iter().chain(self.machines(cluster)) {
            changes.tell(news, None);
        }
        findings.networks(self.problems(cluster));
    }

    /// What the proxy does not know yet.
    fn news(&self, cluster: &Cluster) -> Vec<News> {
        let (all, mut told) = (self.all.borrow(), self.told.borrow_mut());
        let is_usable = |network: &&IpNet| node_inside(cluster, network).is_none();
        let mut now: BTreeMap<ObjectName, Vec<IpNet>> = all
            .iter()
            .map(|(name, networks)| (name.clone(), networks.iter().filter(is_usable).copied().collect()))
            .collect();
        std::mem::swap(&mut *told, &mut now);
        let before = now;
        let gone = before.keys().filter(|name| !told.contains_key(name));
        let gone = gone.map(|name| News::ServiceNetworks(name.clone(), Vec::new()));
        let changed = told.iter().filter(|(name, networks)| before.get(name) != Some(networks));
        let changed = changed.map(|(name, networks)| News::ServiceNetworks(name.clone(), networks.clone()));
        gone.chain(changed).collect()
    }

    /// The addresses of all Nodes, if the proxy does not know them. Those in the cluster's first network are the lies of a
    /// kubelet, which would take their Services away; where there are no ServiceCIDRs, that cannot be told.
    fn machines(&self, cluster: &Cluster) -> Option<News> {
        let all = self.all.borrow();
        let first = all.iter().find(|(name, _)| name.name == FIRST).map(|(_, networks)| networks);
        let is_machine = |address: &IpAddr| {
            first.is_some_and(|networks| !networks.iter().any(|network| network.contains(address)))
        };
        let addresses = cluster.nodes.values().flat_map(|node| node.internal_ips.iter().copied());
        let machines: BTreeSet<IpAddr> = addresses.filter(is_machine).collect();
        let before = self.told_machines.replace(machines.clone());
        (before != machines).then_some(News::Machines(machines))
    }

    fn problems(&self, cluster: &Cluster) -> Vec<Problem> {
        let all = self.all.borrow();
        let networks = all.iter().flat_map(|(name, networks)| networks.iter().map(move |it| (name, it)));
        let problem = |(name, network): (&ObjectName, &IpNet)| {
            let (node, address) = node_inside(cluster, network)?;
            let text = format!(
                "{network} of ServiceCIDR {} contains {address}, the InternalIP of Node {node}: packets to addresses there \
                 that no Service has are not dropped",
                name.name
            );
            Some(Problem { reason: SERVICE_CIDR_CONTAINS_NODE, node: Some(node.to_owned()), text })
        };
        networks.filter_map(problem).collect()
    }
}

/// The first Node with an InternalIP in a network, and that address.
fn node_inside<'a>(cluster: &'a Cluster, network: &IpNet) -> Option<(&'a str, IpAddr)> {
    cluster.nodes.iter().find_map(|(name, node)| {
        let address = node.internal_ips.iter().find(|address| network.contains(*address))?;
        Some((name.as_str(), *address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::node::ClusterNode;

    fn networks(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|network| network.parse().unwrap()).collect()
    }

    fn told(name: &str, list: &[&str]) -> News {
        News::ServiceNetworks(ObjectName::new("", name), networks(list))
    }

    #[test]
    fn addresses_of_nodes_are_machines_unless_they_are_in_the_first_network() {
        let service_networks = ServiceNetworks::default();
        let mut cluster = Cluster::default();
        let internal_ips = ["192.0.2.1", "10.96.0.10"].map(|ip| ip.parse().unwrap()).to_vec();
        cluster.nodes.insert("n1".to_owned(), ClusterNode { internal_ips, ..ClusterNode::default() });
        assert_eq!(service_networks.machines(&cluster), None);
        service_networks.take(ObjectName::new("", "kubernetes"), Some(networks(&["10.96.0.0/16"])));
        service_networks.take(ObjectName::new("", "two"), Some(networks(&["192.0.2.0/24"])));
        let machines = Some(News::Machines(["192.0.2.1".parse().unwrap()].into()));
        assert_eq!(service_networks.machines(&cluster), machines);
        assert_eq!(service_networks.machines(&cluster), None);
        cluster.nodes.clear();
        assert_eq!(service_networks.machines(&cluster), Some(News::Machines(BTreeSet::new())));
    }

    #[test]
    fn a_network_with_a_nodes_address_is_told_as_a_problem_and_not_to_the_proxy() {
        let service_networks = ServiceNetworks::default();
        let mut cluster = Cluster::default();
        service_networks.take(ObjectName::new("", "one"), Some(networks(&["10.96.0.0/16", "fd00::/112"])));
        service_networks.take(ObjectName::new("", "two"), Some(networks(&["203.0.113.0/24"])));
        let all = [told("one", &["10.96.0.0/16", "fd00::/112"]), told("two", &["203.0.113.0/24"])];
        assert_eq!(service_networks.news(&cluster), all);
        assert_eq!(service_networks.problems(&cluster), []);

        let internal_ips = vec!["203.0.113.1".parse().unwrap()];
        cluster.nodes.insert("n1".to_owned(), ClusterNode { internal_ips, ..ClusterNode::default() });
        assert_eq!(service_networks.news(&cluster), [told("two", &[])]);
        assert_eq!(service_networks.news(&cluster), []);
        let problems = service_networks.problems(&cluster);
        assert_eq!((problems.len(), problems[0].node.as_deref()), (1, Some("n1")));
        let text = "203.0.113.0/24 of ServiceCIDR two contains 203.0.113.1, the InternalIP of Node n1";
        assert!(problems[0].text.starts_with(text), "{}", problems[0].text);

        cluster.nodes.clear();
        assert_eq!(service_networks.news(&cluster), [told("two", &["203.0.113.0/24"])]);
        service_networks.take(ObjectName::new("", "one"), None);
        assert_eq!(service_networks.news(&cluster), [told("one", &[])]);
    }
}

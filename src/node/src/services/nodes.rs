//! What the Service proxy has to know of the Nodes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ipnet::IpNet;
use proxy::ObjectName;
use proxy::thread::{News, NodeFacts};

use super::changes::{Changes, Kind};
use super::findings::Findings;
use super::networks::ServiceNetworks;
use crate::api::node::Cluster;
use crate::run::Agent;

/// What the proxy was told.
#[derive(Debug, Default)]
struct Told {
    networks: BTreeMap<String, Vec<IpNet>>,
    own: NodeFacts,
    /// Where this program reaches the API server.
    server: Option<SocketAddr>,
}

/// Tells of all Nodes, and of every change. It does not end.
pub(super) async fn follow_cluster(
    agent: &Agent,
    changes: &Changes,
    networks: &ServiceNetworks,
    findings: &Findings,
) {
    let mut told = Told { server: agent.server, ..Told::default() };
    loop {
        // Before the Nodes are looked at: what changes from then on is not missed.
        let mut changed = std::pin::pin!(agent.renoded.notified());
        changed.as_mut().enable();
        for news in told.news(&agent.cluster.borrow()) {
            changes.tell(news, None);
        }
        networks.tell(&agent.cluster.borrow(), changes, findings);
        if agent.is_listed.get() {
            changes.listed(Kind::Nodes);
        }
        changed.await;
    }
}

impl Told {
    /// What the proxy does not know yet.
    fn news(&mut self, cluster: &Cluster) -> Vec<News> {
        let mut news = Vec::new();
        let is_gone = |name: &String| cluster.nodes.get(name).is_none_or(|node| node.pod_cidrs.is_empty());
        let gone: Vec<String> = self.networks.keys().filter(|name| is_gone(name)).cloned().collect();
        for name in gone {
            self.networks.remove(&name);
            news.push(News::PodNetworks(ObjectName::new("", name), Vec::new()));
        }
        for (name, node) in cluster.nodes.iter().filter(|(_, node)| !node.pod_cidrs.is_empty()) {
            if self.networks.get(name) != Some(&node.pod_cidrs) {
                self.networks.insert(name.clone(), node.pod_cidrs.clone());
                news.push(News::PodNetworks(ObjectName::new("", name.as_str()), node.pod_cidrs.clone()));
            }
        }
        // A Node that is registered anew is missing for a moment; this machine still has its addresses.
        let own = match cluster.nodes.get(&cluster.own) {
            Some(node) => NodeFacts {
                name: cluster.own.clone(),
                zone: node.zone.clone(),
                addresses: node.internal_ips.clone(),
                ..self.own.clone()
            },
            None => NodeFacts { name: cluster.own.clone(), ..self.own.clone() },
        };
        let own = NodeFacts { server: self.server, ..own };
        if own != self.own {
            self.own = own.clone();
            news.push(News::Node(own));
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::node::ClusterNode;

    fn node(name: &str, cidr: &str) -> (String, ClusterNode) {
        let pod_cidrs = vec![cidr.parse().unwrap()];
        let internal_ips = vec!["192.0.2.1".parse().unwrap()];
        let zone = Some("a".to_owned());
        let node =
            ClusterNode { name: name.to_owned(), pod_cidrs, internal_ips, zone, ..ClusterNode::default() };
        (name.to_owned(), node)
    }

    fn networks(name: &str, networks: &[&str]) -> News {
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        News::PodNetworks(ObjectName::new("", name), networks)
    }

    #[test]
    fn each_change_is_told_once_and_a_node_that_is_missing_keeps_its_addresses() {
        let nodes = [node("n1", "10.244.1.0/24"), node("n2", "10.244.2.0/24")];
        let mut cluster = Cluster { own: "n1".to_owned(), nodes: nodes.into() };
        let mut told = Told::default();
        let own = NodeFacts {
            name: "n1".to_owned(),
            zone: Some("a".to_owned()),
            addresses: vec!["192.0.2.1".parse().unwrap()],
            server: None,
        };
        let expected =
            [networks("n1", &["10.244.1.0/24"]), networks("n2", &["10.244.2.0/24"]), News::Node(own)];
        assert_eq!(told.news(&cluster), expected);
        assert_eq!(told.news(&cluster), []);
        let (name, changed) = node("n2", "10.244.3.0/24");
        cluster.nodes.insert(name, changed);
        assert_eq!(told.news(&cluster), [networks("n2", &["10.244.3.0/24"])]);
        cluster.nodes.clear();
        assert_eq!(told.news(&cluster), [networks("n1", &[]), networks("n2", &[])]);
    }
}

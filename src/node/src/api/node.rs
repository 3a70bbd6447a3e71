//! Nodes, with the fields that are used.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use kube::core::{ClusterResourceScope, ObjectMeta};
use serde::{Deserialize, Serialize};

use super::object::object;

/// The label with the zone of a Node.
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// A Node as the API server sends it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct NodeObject {
    pub(crate) metadata: ObjectMeta,
    spec: Spec,
    status: Status,
}

object!(NodeObject, "Node", "", "v1", "nodes", ClusterResourceScope);

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Spec {
    #[serde(rename = "podCIDR")]
    pod_cidr: Option<String>,
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Status {
    addresses: Vec<Address>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Address {
    r#type: String,
    address: String,
}

/// A condition of a Node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Condition {
    pub(crate) r#type: String,
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) last_transition_time: Option<String>,
}

/// What the agent keeps of a Node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClusterNode {
    pub(crate) name: String,
    pub(crate) uid: String,
    /// `spec.podCIDRs`: the networks of its pods. One that is no network is left out.
    pub(crate) pod_cidrs: Vec<IpNet>,
    /// The addresses of type `InternalIP`, in the order of the status.
    pub(crate) internal_ips: Vec<IpAddr>,
    pub(crate) zone: Option<String>,
    /// `metadata.creationTimestamp`, in seconds since 1970.
    pub(crate) created: i64,
}

/// The Nodes of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// The name of the Node that this program runs on.
    pub(crate) own: String,
    /// All Nodes by their names, this one too once it is registered.
    pub(crate) nodes: BTreeMap<String, ClusterNode>,
}

impl NodeObject {
    /// The conditions of these types.
    pub(crate) fn conditions(&self, types: &[&str]) -> Vec<Condition> {
        let is_wanted = |condition: &&Condition| types.contains(&condition.r#type.as_str());
        self.status.conditions.iter().filter(is_wanted).cloned().collect()
    }

    /// What the agent keeps of it.
    pub(crate) fn into_node(self) -> ClusterNode {
        let Self { metadata, spec, status } = self;
        // A Node of before dual stack has the one alone.
        let cidrs = if spec.pod_cidrs.is_empty() { Vec::from_iter(spec.pod_cidr) } else { spec.pod_cidrs };
        let internal = status.addresses.iter().filter(|address| address.r#type == "InternalIP");
        ClusterNode {
            name: metadata.name.unwrap_or_default(),
            uid: metadata.uid.unwrap_or_default(),
            pod_cidrs: cidrs
                .iter()
                .filter_map(|text| text.parse().ok())
                .map(|cidr: IpNet| cidr.trunc())
                .collect(),
            internal_ips: internal.filter_map(|address| address.address.parse().ok()).collect(),
            zone: metadata.labels.and_then(|mut labels| labels.remove(ZONE_LABEL)),
            created: metadata.creation_timestamp.map_or(0, |time| time.0.as_second()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_is_read() {
        let object: NodeObject = serde_json::from_value(json!({
            "metadata": {"name": "n1", "uid": "u", "creationTimestamp": "1970-01-01T00:01:00Z",
                "labels": {ZONE_LABEL: "a", "other": "b"}},
            "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "2001:db8:1::/64", "wrong"]},
            "status": {
                "addresses": [
                    {"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "192.0.2.1"},
                    {"type": "InternalIP", "address": "2001:db8::1"}, {"type": "ExternalIP", "address": "198.51.100.1"},
                ],
                "conditions": [{"type": "Ready", "status": "True"}, {"type": "NetworkUnavailable", "status": "False"}],
            },
        }))
        .unwrap();
        assert_eq!(object.conditions(&["NetworkUnavailable"]).len(), 1);
        let expected = ClusterNode {
            name: "n1".to_owned(),
            uid: "u".to_owned(),
            pod_cidrs: vec!["10.244.1.0/24".parse().unwrap(), "2001:db8:1::/64".parse().unwrap()],
            internal_ips: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            zone: Some("a".to_owned()),
            created: 60,
        };
        assert_eq!(object.into_node(), expected);
    }

    #[test]
    fn a_node_that_has_nothing_yet_is_read() {
        let object: NodeObject = serde_json::from_value(json!({"metadata": {"name": "n1"}})).unwrap();
        assert_eq!(object.into_node(), ClusterNode { name: "n1".to_owned(), ..ClusterNode::default() });
        let old = json!({"metadata": {"name": "n1"}, "spec": {"podCIDR": "10.244.1.9/24"}});
        let object: NodeObject = serde_json::from_value(old).unwrap();
        assert_eq!(object.into_node().pod_cidrs, ["10.244.1.0/24".parse().unwrap()]);
    }
}

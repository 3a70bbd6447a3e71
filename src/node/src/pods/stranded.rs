//! Pods that were connected when this Node had other podCIDRs. Their addresses lead to no node, or to another one.

use std::net::IpAddr;

use ipnet::IpNet;

use super::object::NodePod;
use crate::api::watch::Key;
use crate::problem::Problem;

/// A pod has an address that is in none of its Node's podCIDRs.
const POD_OUTSIDE_POD_CIDRS: &str = "PodOutsidePodCIDRs";

/// One problem for each such pod, on a Node with these podCIDRs.
pub(super) fn problems<'a>(
    pods: impl Iterator<Item = (&'a Key, &'a NodePod)>,
    pod_cidrs: &[IpNet],
) -> Vec<Problem> {
    // Without any the network itself is told to be missing.
    if pod_cidrs.is_empty() {
        return Vec::new();
    }
    let is_outside = |address: &IpAddr| !pod_cidrs.iter().any(|network| network.contains(address));
    let problem = |((namespace, name), pod): (&Key, &NodePod)| {
        if pod.has_ended || pod.record.host_network {
            return None;
        }
        let mut addresses = pod.record.pod_ips.iter().filter_map(|address| address.parse().ok());
        let address: IpAddr = addresses.find(is_outside)?;
        let text = format!(
            "pod {namespace}/{name} has {address}, which is in none of this Node's podCIDRs: other nodes do not reach it"
        );
        Some(Problem { reason: POD_OUTSIDE_POD_CIDRS, node: None, text })
    };
    pods.filter_map(problem).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::object::PodObject;
    use super::*;

    fn pod(spec: &Value, phase: &str, addresses: &[&str]) -> NodePod {
        let addresses: Vec<Value> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
        let object = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u"}, "spec": spec,
            "status": {"phase": phase, "podIPs": addresses}});
        serde_json::from_value::<PodObject>(object).unwrap().into_pod("cluster.local").unwrap()
    }

    #[test]
    fn pods_with_addresses_of_earlier_pod_cidrs_are_told() {
        let key = ("shop".to_owned(), "web".to_owned());
        let told = |pod: NodePod, cidrs: &[&str]| -> Vec<String> {
            let cidrs: Vec<IpNet> = cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect();
            problems([(&key, &pod)].into_iter(), &cidrs).into_iter().map(|problem| problem.text).collect()
        };
        let cidrs = ["10.244.2.0/24", "fd00:10:244:2::/64"];
        let pod_network = json!({});
        let text = "pod shop/web has fd00:10:244:1::5, which is in none of this Node's podCIDRs: other nodes do not reach it";
        let (inside, outside) = (["10.244.2.5", "fd00:10:244:2::5"], ["10.244.2.5", "fd00:10:244:1::5"]);
        assert_eq!(told(pod(&pod_network, "Running", &outside), &cidrs), [text]);
        assert_eq!(told(pod(&pod_network, "Running", &inside), &cidrs), [""; 0]);
        // Its addresses may be another pod's by now.
        for ended in ["Succeeded", "Failed"] {
            assert_eq!(told(pod(&pod_network, ended, &outside), &cidrs), [""; 0]);
        }
        assert_eq!(told(pod(&json!({"hostNetwork": true}), "Running", &["192.0.2.1"]), &cidrs), [""; 0]);
        assert_eq!(told(pod(&pod_network, "Running", &outside), &[]), [""; 0]);
        assert_eq!(told(pod(&pod_network, "Pending", &[]), &cidrs), [""; 0]);
    }
}

//! The CNI plugin in its three roles, in namespaces of the kernel's own.

use serde_json::json;

use crate::harness::cni::{Call, CniNode, addresses, is_there, routed};
use crate::harness::needs;

#[test]
fn two_pods_and_the_node_reach_each_other_in_both_families() {
    needs!("ip", "nft", "busybox");
    let node = CniNode::new();
    let before = node.traces();
    let config = routed();
    for pod in ["c1", "c2"] {
        node.pod(pod);
    }
    assert_eq!(addresses(&node.add("c1", &config)), ["10.244.1.2", "2001:db8:1::2"]);
    assert_eq!(addresses(&node.add("c2", &config)), ["10.244.1.3", "2001:db8:1::3"]);
    node.sh("ip addr add 192.0.2.1/32 dev lo; ip addr add 2001:db8:ffff::1/128 dev lo");
    for to in ["10.244.1.3", "2001:db8:1::3", "192.0.2.1", "2001:db8:ffff::1"] {
        node.in_pod("c1", &format!("busybox ping -c 1 -W 2 {to}"));
    }
    node.sh("busybox ping -c 1 -W 2 10.244.1.2; busybox ping -c 1 -W 2 2001:db8:1::2");
    assert!(is_there(&node, "/run/podhosts/pods/c1.json"));
    node.sh("ip addr del 192.0.2.1/32 dev lo; ip addr del 2001:db8:ffff::1/128 dev lo");
    for pod in ["c1", "c2"] {
        node.del(pod, &config);
        node.del(pod, &config);
    }
    assert_eq!(node.traces(), before);
}

#[test]
fn a_bridge_as_the_reference_plugin_has_it() {
    needs!("ip", "nft", "busybox");
    let node = CniNode::new();
    let config = json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni", "mode": "bridge",
        "bridge": "br0", "isDefaultGateway": true, "hairpinMode": true, "mtu": 1400,
        "ipam": {"ranges": [[{"subnet": "10.244.1.0/24"}], [{"subnet": "2001:db8:1::/64"}]]}});
    for pod in ["c1", "c2"] {
        node.pod(pod);
        node.add(pod, &config);
    }
    let bridge = node.sh("ip addr show dev br0");
    assert!(bridge.contains("inet 10.244.1.1/24") && bridge.contains("inet6 2001:db8:1::1/64"), "{bridge}");
    assert!(bridge.contains("mtu 1400"), "{bridge}");
    assert_eq!(node.sh("bridge -d link show").matches("hairpin on").count(), 2);
    for to in ["10.244.1.3", "2001:db8:1::3", "10.244.1.1", "2001:db8:1::1"] {
        node.in_pod("c1", &format!("busybox ping -c 1 -W 2 {to}"));
    }
    let mut checked = config.clone();
    checked["prevResult"] = json!({"ips": [{"address": "10.244.1.2/24"}, {"address": "2001:db8:1::2/64"}]});
    node.call(&Call::new("CHECK", "c1", &checked)).success();
    for pod in ["c1", "c2"] {
        node.del(pod, &config);
    }
    assert_eq!(node.sh("ip -o link | grep -c veth || true"), "0\n");
}

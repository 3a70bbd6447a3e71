//! The CNI plugin in its three roles, in namespaces of the kernel's own.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::cni::{Call, CniNode, addresses, is_there, routed};
use crate::harness::{bin, needs};

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
        node.in_pod("c1", &format!("busybox ping -c 1 -W 20 {to}"));
    }
    node.sh("busybox ping -c 1 -W 20 10.244.1.2; busybox ping -c 1 -W 20 2001:db8:1::2");
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
        node.in_pod("c1", &format!("busybox ping -c 1 -W 20 {to}"));
    }
    let mut checked = config.clone();
    checked["prevResult"] = json!({"ips": [{"address": "10.244.1.2/24"}, {"address": "2001:db8:1::2/64"}]});
    node.call(&Call::new("CHECK", "c1", &checked)).success();
    for pod in ["c1", "c2"] {
        node.del(pod, &config);
    }
    assert_eq!(node.sh("ip -o link | grep -c veth || true"), "0\n");
}

#[test]
fn the_nodes_pods_are_listed() {
    needs!("ip", "nft");
    let node = CniNode::new();
    let list = |args: &[&str]| node.run(bin("podhosts"), &[&["list"], args].concat());
    assert_eq!(list(&[]).success(), "NAMESPACE   NAME   POD IPS   NETWORK   SINCE\n");
    let config = routed();
    for pod in ["c1", "c2"] {
        node.pod(pod);
        node.add(pod, &config);
    }
    let table = list(&[]).success();
    assert!(table.contains("\ndefault     web    10.244.1.3,2001:db8:1::3   net       20"), "{table}");
    let json: Value = serde_json::from_str(&list(&["--json"]).success()).unwrap();
    assert_eq!(json[0]["podIPs"], json!(["10.244.1.2", "2001:db8:1::2"]));
    assert_eq!((&json[0]["sandboxID"], &json[0]["uid"]), (&"c1".into(), &"u1".into()));
    // One record that nobody can read hides no other.
    node.sh("echo torn > /run/podhosts/pods/c1.json");
    let run = list(&[]);
    assert!(!run.ok && run.stdout.contains("10.244.1.3") && run.stderr.contains("pods/c1.json"), "{run:?}");
    node.del("c1", &config);
    assert_eq!(list(&[]).success().lines().count(), 2);
}

#[test]
fn what_host_local_gave_out_is_taken_over() {
    needs!("ip", "nft", "/usr/lib/cni/host-local");
    let node = CniNode::new();
    let mut config = json!({"cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": {"type": "host-local",
        "ranges": [[{"subnet": "10.9.0.0/29"}], [{"subnet": "2001:db8:9::/64"}]]}});
    let host_local = Path::new("/usr/lib/cni/host-local");
    for pod in ["c1", "c2"] {
        node.pod(pod);
        node.call_plugin(host_local, &Call::new("ADD", pod, &config)).success();
    }
    node.sh("touch /var/lib/cni/networks/net/10.9.0.6");
    let migrate = || node.run(bin("podhosts-cni"), &["migrate", "net"]);
    let run = migrate();
    assert_eq!(run.stdout, "net: attachments taken over: 2, here already: 0\n");
    assert!(run.ok && run.stderr.contains("10.9.0.6: nobody is named in it"), "{run:?}");
    assert_eq!(migrate().success(), "net: attachments taken over: 0, here already: 2\n");
    config["ipam"]["type"] = "podhosts-cni".into();
    node.pod("c3");
    assert_eq!(addresses(&node.add("c3", &config)), ["10.9.0.4", "2001:db8:9::4"]);
    for pod in ["c1", "c2", "c3"] {
        node.del(pod, &config);
    }
    node.gc(&[], &config);
    assert_eq!(node.sh("ls /run/podhosts/networks/net/attachments"), "");
    assert!(
        node.run(bin("podhosts-cni"), &["migrate", "none"]).failure().contains("there is no such directory")
    );
}

#[test]
fn a_pod_has_two_routed_interfaces() {
    needs!("ip", "nft", "busybox");
    let node = CniNode::new();
    let second = json!({"cniVersion": "1.0.0", "name": "second", "type": "podhosts-cni", "ipam": {
        "podCIDRs": ["10.245.1.0/24", "2001:db8:2::/64"],
        "routes": [{"dst": "198.51.100.0/24"}, {"dst": "2001:db8:100::/64"}]}});
    node.pod("c1");
    let first = node.add("c1", &routed());
    let call = Call { ifname: "net1", ..Call::new("ADD", "c1", &second) };
    let result: Value = serde_json::from_str(&node.call(&call).success()).unwrap();
    let mut checked = second.clone();
    checked["prevResult"] = result;
    node.call(&Call { command: "CHECK", config: &checked, ..call.clone() }).success();
    node.sh("ip addr add 198.51.100.1/32 dev lo; ip addr add 2001:db8:100::1/128 dev lo; ip addr add 192.0.2.1/32 dev lo");
    for to in ["198.51.100.1", "2001:db8:100::1", "192.0.2.1"] {
        node.in_pod("c1", &format!("busybox ping -c 1 -W 20 {to}"));
    }
    let way = node.in_pod("c1", "ip route get 198.51.100.1; ip route get 192.0.2.1");
    assert!(way.contains("dev net1 src 10.245.1.2") && way.contains("dev eth0 src 10.244.1.2"), "{way}");
    // A third one, with a default route that stands behind the first one's.
    let mut third = second.clone();
    third["name"] = "third".into();
    third["ipam"] = json!({"podCIDRs": ["10.246.1.0/24", "2001:db8:3::/64"]});
    let of_third = Call { ifname: "net2", ..Call::new("ADD", "c1", &third) };
    node.call(&of_third).success();
    let routes = node.in_pod("c1", "ip route show default; ip -6 route show default");
    assert!(
        routes.starts_with("default via 169.254.1.1 dev eth0 \n") && routes.matches("dev net2").count() == 2,
        "{routes}"
    );
    node.in_pod("c1", "busybox ping -c 1 -W 20 192.0.2.1; busybox ping -c 1 -W 20 -I net2 192.0.2.1");
    node.call(&Call { command: "DEL", ..of_third }).success();
    // The pod's record stays the first one's.
    let record: Value = serde_json::from_str(&node.sh("cat /run/podhosts/pods/c1.json")).unwrap();
    assert_eq!(json!(addresses(&first)), record["podIPs"]);
    node.call(&Call { command: "DEL", ..call }).success();
    node.in_pod("c1", "busybox ping -c 1 -W 20 192.0.2.1");
    assert!(is_there(&node, "/run/podhosts/pods/c1.json"));
    node.del("c1", &routed());
}

#[test]
fn a_pod_without_ipv6_needs_none_of_the_kernel() {
    needs!("ip", "nft", "busybox");
    let node = CniNode::new();
    node.pod("c1");
    // With such an MTU an interface has no IPv6 at all, as with a kernel without it.
    let mut config = routed();
    config["mtu"] = 1000.into();
    config["ipam"]["podCIDRs"] = json!(["10.244.1.0/24"]);
    assert_eq!(addresses(&node.add("c1", &config)), ["10.244.1.2"]);
    node.sh("ip addr add 192.0.2.1/32 dev lo; busybox ping -c 1 -W 20 10.244.1.2");
    node.del("c1", &config);
}

#[test]
fn routes_of_one_family_leave_the_other_its_own() {
    needs!("ip", "nft");
    let node = CniNode::new();
    node.pod("c1");
    let mut config = routed();
    config["ipam"]["routes"] = json!([{"dst": "10.96.0.0/12"}]);
    node.add("c1", &config);
    let routes = node.in_pod("c1", "ip route; ip -6 route");
    for route in ["10.96.0.0/12 via 169.254.1.1", "10.244.1.0/24 via 169.254.1.1", "default via fe80::1"] {
        assert!(routes.contains(route), "{routes}");
    }
}

#[test]
fn gc_finds_what_was_made_under_another_data_dir() {
    needs!("ip", "nft");
    let node = CniNode::new();
    let before = node.traces();
    let mut config = routed();
    config["ipMasq"] = true.into();
    config["ipam"]["dataDir"] = "/run/elsewhere".into();
    node.pod("c1");
    node.add("c1", &config);
    config["ipam"]["dataDir"] = Value::Null;
    node.gc(&["c1"], &config);
    assert!(is_there(&node, "/run/elsewhere/net/attachments/c1:eth0"));
    node.gc(&[], &config);
    assert!(!is_there(&node, "/run/elsewhere/net/attachments/c1:eth0"));
    node.sh("rm -r /run/podhosts/stores");
    assert_eq!(node.traces(), before);
}

#[test]
fn gc_believes_the_runtime_where_only_a_path_is_gone() {
    needs!("ip", "nft");
    let node = CniNode::new();
    let mut config = routed();
    config["type"] = "bridge".into();
    config["ipam"]["type"] = "podhosts-cni".into();
    for pod in ["c1", "c2"] {
        node.pod(pod);
        node.add(pod, &config);
    }
    // c1's namespace lives on without its path, c2's path leads to another one; that is made while c2's is there, since the
    // kernel gives the number of a removed namespace to the next one.
    node.sh("touch /run/kept; mount --bind /run/netns/c1 /run/kept; ip netns del c1");
    node.sh(
        "ip netns add c3; ip netns del c2; touch /run/netns/c2; mount --bind /run/netns/c3 /run/netns/c2",
    );
    node.gc(&["c1", "c2"], &config);
    let holders = node.sh("ls /run/podhosts/networks/net/attachments");
    assert_eq!(holders, "c1:eth0\n");
}

/// Without `ipam.routes` each of the addresses would lead to the same default route.
#[test]
fn a_routed_pod_has_several_addresses_of_a_family() {
    needs!("ip", "nft");
    let node = CniNode::new();
    node.pod("c1");
    node.sh("ip link set lo up; ip addr add 192.0.2.1/32 dev lo");
    let ranges = json!([[{"subnet": "10.244.1.0/24"}], [{"subnet": "10.244.2.0/24"}], [{"subnet": "2001:db8:1::/64"}]]);
    let config =
        json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni", "ipam": {"ranges": ranges}});
    let result = node.add("c1", &config);
    assert_eq!(addresses(&result), ["10.244.1.2", "10.244.2.2", "2001:db8:1::2"]);
    assert_eq!(result["routes"].as_array().unwrap().len(), 2, "{result}");
    for address in addresses(&result) {
        node.sh(&format!("busybox ping -c 1 -W 20 {address}"));
    }
}

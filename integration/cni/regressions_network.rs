//! What went wrong with the interfaces of other plugins, each under the number of its report: `plugins` is
//! containernetworking/plugins.

use std::fs;

use serde_json::{Value, json};

use crate::harness::cni::{Call, CniNode, addresses, error_of, routed};
use crate::harness::needs;

fn bridge(cidrs: &[&str]) -> Value {
    json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni", "mode": "bridge", "bridge": "br0",
        "isDefaultGateway": true, "ipam": {"podCIDRs": cidrs}})
}

/// More pods than one subnet has addresses: the second subnet was refused with `"cni0" already has an IP address
/// different from`, <https://github.com/flannel-io/flannel/issues/1309>.
#[test]
fn flannel_1309_a_second_pod_cidr_serves_on_the_same_bridge() {
    needs!("ip", "nft", "busybox");
    let node = CniNode::new();
    for pod in ["c1", "c2", "c3"] {
        node.pod(pod);
    }
    let first = ["10.244.1.0/30", "2001:db8:1::/126"];
    node.add("c1", &bridge(&first));
    let both = bridge(&[&first[..], &["10.245.1.0/24", "2001:db8:2::/64"]].concat());
    assert_eq!(addresses(&node.add("c2", &both))[0], "10.245.1.2");
    assert_eq!(addresses(&node.add("c3", &both)), ["10.245.1.3", "2001:db8:2::2"]);
    let gateways = node.sh("ip -o addr show dev br0");
    for gateway in ["10.244.1.1/30", "10.245.1.1/24", "2001:db8:1::1/126", "2001:db8:2::1/64"] {
        assert!(gateways.contains(gateway), "{gateways}");
    }
    for to in ["10.244.1.2", "2001:db8:1::2", "10.245.1.2", "2001:db8:1::3", "10.244.1.1"] {
        node.in_pod("c3", &format!("busybox ping -c 1 -W 20 {to}"));
    }
    // What the first podCIDR gave goes on when it is the second's turn only.
    node.in_pod("c1", "busybox ping -c 1 -W 20 10.245.1.3");
    for pod in ["c1", "c2", "c3"] {
        node.del(pod, &bridge(&["10.245.1.0/24", "2001:db8:2::/64"]));
    }
}

/// host-local's DEL fails where the configuration cannot be parsed any more, and with it the removal of the pod.
#[test]
fn host_local_del_succeeds_although_the_configuration_is_nonsense_by_now() {
    needs!("ip", "nft");
    let (node, config) = (CniNode::new(), routed());
    node.pod("c1");
    let before = node.traces();
    let nonsense = [
        ("ipam", json!({"podCIDRs": "10.0.0.0/8"})),
        ("ipam", json!({"ranges": [[{"subnet": "banana"}]], "routes": 7, "dataDir": 5})),
        ("ipam", json!({})),
        ("ipam", json!({"type": "host-local"})),
        ("ipam", Value::Null),
        ("mode", json!("tunnel")),
        ("mtu", json!("large")),
        ("vlan", json!(5000)),
        ("macspoofchk", json!(true)),
        ("runtimeConfig", json!({"portMappings": 5, "ips": "x", "mac": 1})),
        ("capabilities", json!([])),
        ("prevResult", json!({"ips": "none"})),
        ("prevResult", json!(5)),
        ("dns", json!([])),
    ];
    for (key, value) in nonsense {
        node.add("c1", &config);
        let mut changed = config.clone();
        changed[key] = value;
        node.del("c1", &changed);
        assert_eq!(node.traces(), before, "{changed}");
        node.del("c1", &changed);
    }
}

/// ptp and others keep the address where ADD fails behind IPAM; containerd sends no second DEL, or does not mind that
/// it fails: <https://github.com/containerd/containerd/issues/12130>.
#[test]
fn ptp_and_containerd_12130_an_add_that_fails_keeps_nothing() {
    needs!("ip", "nft");
    for mut config in [routed(), bridge(&[])] {
        let node = CniNode::new();
        config["ipam"] = json!({"podCIDRs": ["10.244.1.0/29", "2001:db8:1::/64"]});
        config["ipMasq"] = true.into();
        node.pod("c1");
        node.add("c1", &config);
        node.del("c1", &config);
        let before = node.traces();
        let mut refused = config.clone();
        // A gateway that cannot be reached.
        refused["ipam"]["routes"] = json!([{"dst": "192.0.2.0/24", "gw": "203.0.113.1"}]);
        for _ in 0..8 {
            assert_eq!(error_of(&node.call(&Call::new("ADD", "c1", &refused))).0, 100);
            assert_eq!(node.traces(), before);
            assert!(!node.in_pod("c1", "ip -o link").contains("eth0"));
        }
        let only_v4 = json!({"cniVersion": "1.0.0", "name": "net", "type": "bridge",
            "ipam": {"type": "podhosts-cni", "podCIDRs": ["10.244.1.0/29"]}});
        (0..5).for_each(|n| drop(node.add(&format!("x{n}"), &only_v4)));
    }
}

/// The specification wants an ADD to fail where there is such an interface: it is somebody's.
#[test]
fn an_interface_that_is_there_already_is_not_touched() {
    needs!("ip", "nft");
    for config in [routed(), bridge(&["10.244.1.0/29"])] {
        let node = CniNode::new();
        node.pod("c1");
        node.pod("c2");
        node.add("c2", &config);
        node.in_pod("c1", "ip link add eth0 type veth peer name peer0; ip addr add 192.0.2.1/24 dev eth0");
        let before = node.traces();
        assert_eq!(error_of(&node.call(&Call::new("ADD", "c1", &config))).0, 100);
        assert_eq!(node.traces(), before);
        assert!(node.in_pod("c1", "ip addr show dev eth0").contains("192.0.2.1/24"));
        // It was never ours to remove.
        node.del("c1", &config);
        assert!(node.in_pod("c1", "ip addr show dev eth0").contains("192.0.2.1/24"));
    }
}

/// A DEL that fails keeps the pod from being deleted: <https://github.com/cilium/cilium/issues/40459> and
/// <https://github.com/k8snetworkplumbingwg/multus-cni/issues/1146>.
#[test]
fn cilium_40459_and_multus_1146_del_succeeds_whatever_is_gone_already() {
    needs!("ip", "nft");
    let (node, mut config) = (CniNode::new(), routed());
    config["ipMasq"] = true.into();
    let before = node.traces();
    // Nothing was ever there, not even a directory.
    node.del("never", &config);
    for (what, gone) in [
        ("the namespace", "ip netns del c1; while ip -o link | grep -q veth; do :; done"),
        ("the pod's interface", "ip -n c1 link del eth0"),
        ("the node's interface", "ip -o link | grep -o 'veth[0-9a-f]*' | xargs -n 1 ip link del"),
        ("rules", "nft flush ruleset"),
        ("the record", "rm /run/podhosts/pods/*"),
        ("the attachment", "rm /run/podhosts/networks/net/attachments/*"),
        ("the database", "rm /run/podhosts/networks/net/leases.db*"),
        ("routes", "ip route flush 10.244.1.0/24; ip -6 route flush 2001:db8:1::/64"),
        ("all files but the record", "rm -r /run/podhosts/networks"),
        ("all files", "rm -r /run/podhosts"),
    ] {
        node.pod("c1");
        node.add("c1", &config);
        node.sh(gone);
        node.del("c1", &config);
        node.del("c1", &config);
        node.call(&Call { netns: "", ..Call::new("DEL", "c1", &config) }).success();
        if what.starts_with("all files") {
            // Nobody can tell what the rules were for, nor what was known of them.
            node.sh("nft flush ruleset; rm -f /run/podhosts/nftables.good");
        }
        assert_eq!(node.traces(), before, "{what} had gone");
        node.sh("ip netns del c1 2>/dev/null || true");
    }
    // A namespace at the same path that is another pod's.
    node.pod("c1");
    node.add("c1", &config);
    node.sh("ip netns del c1; while ip -o link | grep -q veth; do :; done");
    node.pod("c1");
    node.in_pod("c1", "ip link add eth0 type veth peer name peer0");
    node.del("c1", &config);
    assert!(node.in_pod("c1", "ip -o link").contains("eth0"), "another pod's interface was removed");
}

/// Seconds of duplicate address detection: <https://github.com/containernetworking/plugins/issues/680>.
#[test]
fn plugins_680_addresses_can_be_used_as_soon_as_add_answers() {
    needs!("ip", "nft", "busybox");
    for config in [routed(), bridge(&["10.244.1.0/24", "2001:db8:1::/64"])] {
        let node = CniNode::new();
        for n in 2..8 {
            let pod = format!("c{n}");
            node.pod(&pod);
            let mut checked = config.clone();
            checked["prevResult"] = node.add(&pod, &config);
            let script = format!(
                "ip -6 -o addr show tentative; busybox nc -l -p 1 -s 2001:db8:1::{n} & kill $!; \
                 busybox ping -c 1 -W 1 -I 2001:db8:1::{n} 2001:db8:1::{n} >/dev/null"
            );
            assert_eq!(node.in_pod(&pod, &script), "");
            assert_eq!(node.sh("ip -6 -o addr show tentative"), "");
            // As CRI-O does, at once.
            node.call(&Call::new("CHECK", &pod, &checked)).success();
        }
        node.in_pod("c2", "busybox ping -c 1 -W 1 2001:db8:1::7 && busybox ping -c 1 -W 1 10.244.1.7");
    }
}

/// A result of libcni's cache from before the reboot, or of a plugin that is no longer configured: it says nothing of
/// what is to be removed.
#[test]
fn a_del_goes_by_what_was_written_down_and_not_by_prev_result() {
    needs!("ip", "nft");
    let (node, config) = (CniNode::new(), routed());
    for pod in ["c1", "c2"] {
        node.pod(pod);
    }
    let of_c1 = node.add("c1", &config);
    let before = node.traces();
    node.add("c2", &config);
    let mut wrong = config.clone();
    wrong["prevResult"] = of_c1;
    node.del("c2", &wrong);
    assert_eq!(node.traces(), before);
    let text = fs::read_to_string(node.file("/run/podhosts/pods/c1.json")).unwrap();
    assert!(text.contains("10.244.1.2"), "{text}");
}

//! What went wrong with the addresses of other plugins, each under the number of its report: `plugins` is
//! containernetworking/plugins, `cni` containernetworking/cni.

use std::collections::BTreeSet;
use std::fs;

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::harness::cni::{Call, CniNode, addresses, error_of, is_there, routed};
use crate::harness::needs;
use crate::harness::talk::Process;

const STORE: &str = "/run/podhosts/networks/net";

/// A network that gives addresses of `cidrs` to another plugin.
fn ipam(cidrs: &[&str]) -> Value {
    json!({"cniVersion": "1.1.0", "name": "net", "type": "bridge",
        "ipam": {"type": "podhosts-cni", "podCIDRs": cidrs}})
}

/// Takes addresses until there are none left.
fn take_all(node: &CniNode, name: &str, config: &Value) -> Vec<String> {
    let mut taken = Vec::new();
    for n in 0.. {
        let run = node.call(&Call::new("ADD", &format!("{name}{n}"), config));
        if !run.ok {
            assert_eq!(error_of(&run).0, 11, "{run:?}");
            break;
        }
        taken.extend(addresses(&serde_json::from_str(&run.stdout).unwrap()));
    }
    taken
}

/// host-local kept its leases on the disk: <https://github.com/containernetworking/plugins/issues/252> and
/// <https://github.com/containernetworking/plugins/issues/332>.
#[test]
fn plugins_252_and_332_a_reboot_frees_all_addresses() {
    needs!("ip", "nft");
    let node = CniNode::new();
    let mut config = ipam(&["10.244.1.0/29", "2001:db8:1::/64"]);
    // A directory that a reboot does not empty.
    config["ipam"]["dataDir"] = "/var/lib/cni".into();
    assert_eq!(take_all(&node, "before", &config).len(), 10);
    let boot_id = node.path("boot_id");
    fs::write(&boot_id, "11111111-2222-4333-8444-555555555555\n").unwrap();
    node.sh(&format!("mount --bind {} /proc/sys/kernel/random/boot_id", boot_id.display()));
    node.call(&Call::new("STATUS", "", &config)).success();
    assert_eq!(addresses(&node.add("after", &config)), ["10.244.1.2", "2001:db8:1::2"]);
    let left = node.sh("ls /var/lib/cni/net/attachments");
    assert_eq!(left, "after:eth0\n");
    // The runtime may only now come to pods of before.
    node.del("before0", &config);
    assert_eq!(take_all(&node, "after", &config).len(), 8);
}

/// A node that crashes, and comes back without its pods: <https://github.com/k8snetworkplumbingwg/whereabouts/issues/75>.
#[test]
fn whereabouts_75_gc_frees_what_belongs_to_namespaces_that_are_gone() {
    needs!("ip", "nft");
    let (node, config) = (CniNode::new(), routed());
    let before = node.traces();
    for pod in ["c1", "c2"] {
        node.pod(pod);
        node.add(pod, &config);
    }
    node.sh("ip netns del c1; ip netns del c2");
    // The kernel takes the interfaces away behind the last user of a namespace, in its own time.
    node.sh("while ip -o link | grep -q veth; do :; done");
    node.gc(&["c1", "c2"], &config);
    assert_eq!(node.traces(), before);
}

/// A lease file without content, left by a crash, was nobody's and was never removed:
/// <https://github.com/containernetworking/plugins/issues/498>.
#[test]
fn plugins_498_files_emptied_by_a_crash_lose_no_address() {
    needs!("ip", "nft");
    let (node, config) = (CniNode::new(), ipam(&["10.244.1.0/29"]));
    assert_eq!(take_all(&node, "c", &config).len(), 5);
    for pod in ["c0", "c1", "c2"] {
        fs::write(node.file(&format!("{STORE}/attachments/{pod}:eth0")), "").unwrap();
    }
    fs::write(node.file(&format!("{STORE}/attachments/never:eth0")), "").unwrap();
    node.del("c0", &config);
    node.gc(&["c2", "c3", "c4"], &config);
    let left = node.sh(&format!("ls {STORE}/attachments"));
    assert_eq!(left, "c2:eth0\nc3:eth0\nc4:eth0\n");
    assert_eq!(take_all(&node, "d", &config), ["10.244.1.2", "10.244.1.3"]);
    // The database, too: who has an address keeps it, as far as it is still written down.
    fs::write(node.file(&format!("{STORE}/leases.db")), "").unwrap();
    node.del("c3", &config);
    let again = take_all(&node, "e", &config);
    assert!(again.iter().all(|one| one == "10.244.1.4" || one == "10.244.1.5"), "{again:?}");
}

/// Addresses that were released by the pod's name were those of the pod that had come after it under the same name:
/// <https://github.com/Azure/azure-container-networking/issues/885> and
/// <https://github.com/aws/amazon-vpc-cni-k8s/issues/711>.
#[test]
fn azure_885_and_aws_711_a_late_del_is_not_about_the_next_pod_of_that_name() {
    needs!("ip", "nft", "busybox");
    let (node, config) = (CniNode::new(), routed());
    for pod in ["old", "new", "other"] {
        node.pod(pod);
    }
    // Both are default/web, with one uid.
    node.add("old", &config);
    let new = node.add("new", &config);
    node.del("old", &config);
    let after = node.traces();
    node.del("old", &config);
    assert_eq!(node.traces(), after);
    assert!(is_there(&node, "/run/podhosts/pods/new.json"));
    let mut checked = config.clone();
    checked["prevResult"] = new.clone();
    node.call(&Call::new("CHECK", "new", &checked)).success();
    let other = addresses(&node.add("other", &config));
    assert!(addresses(&new).iter().all(|one| !other.contains(one)));
    node.in_pod("other", "busybox ping -c 1 -W 20 10.244.1.3; busybox ping -c 1 -W 20 2001:db8:1::3");
    // Another interface of the same container is another attachment.
    node.call(&Call { ifname: "net1", ..Call::new("DEL", "new", &config) }).success();
    node.call(&Call::new("CHECK", "new", &checked)).success();
}

/// host-local locks each range by itself: a pod that got no IPv6 address kept the IPv4 address it had got before.
#[test]
fn host_local_v4_without_v6_is_never_taken() {
    needs!("ip", "nft");
    let node = CniNode::new();
    let both = ipam(&["10.244.1.0/28", "2001:db8:1::/126"]);
    assert_eq!(take_all(&node, "both", &both).len(), 4);
    for n in 0..20 {
        let (code, text) = error_of(&node.call(&Call::new("ADD", &format!("no{n}"), &both)));
        assert_eq!(code, 11);
        assert!(text.contains("2001:db8:1::"), "{text}");
    }
    assert_eq!(take_all(&node, "four", &ipam(&["10.244.1.0/28"])).len(), 11);
    // And the other way round.
    node.del("both0", &both);
    node.add("four", &ipam(&["10.244.1.0/28"]));
    error_of(&node.call(&Call::new("ADD", "no", &both)));
    assert_eq!(take_all(&node, "six", &ipam(&["2001:db8:1::/126"])).len(), 1);
}

/// Several subnets could not be one pool: <https://github.com/containernetworking/plugins/issues/45>.
#[test]
fn plugins_45_several_subnets_are_one_pool_and_it_grows_while_pods_run() {
    needs!("ip", "nft");
    let node = CniNode::new();
    assert_eq!(take_all(&node, "a", &ipam(&["10.244.1.0/30"])), ["10.244.1.2"]);
    let two = ipam(&["10.244.1.0/30", "10.244.9.0/30"]);
    assert_eq!(take_all(&node, "b", &two), ["10.244.9.2"]);
    // host-local's way of saying so.
    let mut three = ipam(&[]);
    three["ipam"] = json!({"type": "podhosts-cni",
        "ranges": [[{"subnet": "10.244.1.0/30"}, {"subnet": "10.244.9.0/30"}, {"subnet": "10.250.0.0/29"}]]});
    assert_eq!(take_all(&node, "c", &three).len(), 5);
    // One that is not configured any more keeps serving whom it serves, and nobody else.
    node.del("a0", &ipam(&["10.250.0.0/29"]));
    assert_eq!(take_all(&node, "d", &ipam(&["10.250.0.0/29"])), [""; 0]);
    assert_eq!(take_all(&node, "e", &two), ["10.244.1.2"]);
}

/// GC was not implemented by any of the reference plugins:
/// <https://github.com/containernetworking/plugins/issues/1047>, and libcni has its key misspelt:
/// <https://github.com/containernetworking/cni/issues/1101>.
#[test]
fn plugins_1047_and_cni_1101_gc_releases_what_is_not_valid() {
    needs!("ip", "nft");
    let (node, config) = (CniNode::new(), ipam(&["10.244.1.0/29"]));
    for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
        assert_eq!(take_all(&node, "c", &config).len(), 5);
        let mut gc = config.clone();
        gc[key] = json!([{"containerID": "c0", "ifname": "eth0"}, {"containerID": "c1", "ifname": "net1"}]);
        gc["disableGC"] = true.into();
        node.call(&Call::new("GC", "", &gc)).success();
        assert_eq!(error_of(&node.call(&Call::new("ADD", "d", &config))).0, 11);
        gc["disableGC"] = false.into();
        node.call(&Call::new("GC", "", &gc)).success();
        assert_eq!(node.sh(&format!("ls {STORE}/attachments")), "c0:eth0\n");
        assert_eq!(take_all(&node, "d", &config).len(), 4);
        gc[key] = json!([]);
        node.call(&Call::new("GC", "", &gc)).success();
    }
    // Without a list nothing is known to be invalid.
    node.add("c", &config);
    node.call(&Call::new("GC", "", &config)).success();
    assert_eq!(node.sh(&format!("ls {STORE}/attachments")), "c:eth0\n");
}

/// host-local's STATUS succeeds while no address is left.
#[test]
fn host_local_status_tells_that_a_range_is_full() {
    needs!("ip", "nft");
    let node = CniNode::new();
    let config = ipam(&["10.244.1.0/28", "2001:db8:1::/126"]);
    node.call(&Call::new("STATUS", "", &config)).success();
    take_all(&node, "c", &config);
    let (code, text) = error_of(&node.call(&Call::new("STATUS", "", &config)));
    assert!(code == 50 && text.contains("no IPv6 addresses"), "{code} {text}");
    node.del("c1", &config);
    node.call(&Call::new("STATUS", "", &config)).success();
    take_all(&node, "d", &ipam(&["10.244.1.0/28"]));
    let (code, text) = error_of(&node.call(&Call::new("STATUS", "", &config)));
    assert!(code == 50 && text.contains("no IPv4 addresses"), "{code} {text}");
    // Looking takes nothing.
    assert_eq!(take_all(&node, "e", &ipam(&["2001:db8:1::/126"])).len(), 1);
}

/// whereabouts gives the lowest free address, which is the one that was released last: traffic for the pod that had
/// it reaches the next one. <https://github.com/k8snetworkplumbingwg/whereabouts/issues/110> has the duplicates.
#[test]
fn whereabouts_an_address_that_was_just_released_comes_last() {
    needs!("ip", "nft");
    let (node, config) = (CniNode::new(), ipam(&["10.244.1.0/28", "2001:db8:1::/64"]));
    let mut recent: Vec<String> = Vec::new();
    for n in 0..40 {
        let pod = format!("c{n}");
        let had = addresses(&node.add(&pod, &config));
        assert!(!recent.iter().rev().take(24).any(|one| had.contains(one)), "{had:?} after {recent:?}");
        recent.extend(had);
        node.del(&pod, &config);
    }
}

/// Its reconciler freed addresses of pods that run: <https://github.com/k8snetworkplumbingwg/whereabouts/issues/162>
/// and <https://github.com/k8snetworkplumbingwg/whereabouts/issues/207>.
#[test]
fn whereabouts_162_and_207_gc_frees_nothing_of_a_pod_that_runs() {
    needs!("ip", "nft", "busybox");
    let (node, config) = (CniNode::new(), routed());
    for pod in ["c1", "c2", "c3"] {
        node.pod(pod);
        node.add(pod, &config);
    }
    // The pod runs on, but its namespace has lost its name.
    let lives = Process(node.command("ip", &["netns", "exec", "c2", "sleep", "1000"]).spawn().unwrap());
    let in_c2 = format!("ls -l /proc/{}/ns/net", lives.0.id());
    let inode = node.sh("stat -Lc %i /run/netns/c2");
    while !node.sh(&in_c2).contains(inode.trim()) {}
    node.sh("ip netns del c2");
    let before = node.traces();
    for _ in 0..3 {
        node.gc(&["c1", "c2", "c3"], &config);
        assert_eq!(node.traces(), before);
    }
    node.in_pod("c1", "busybox ping -c 1 -W 20 10.244.1.3; busybox ping -c 1 -W 20 2001:db8:1::3");
}

/// Addresses outside of the range (<https://github.com/kubernetes/kubernetes/issues/134193> and 138374, of a /64),
/// a panic (115322, of a /28), none at all (118723, of fc::/112): an allocator is wrong at the edges.
#[test]
fn kubernetes_134193_138374_115322_118723_addresses_are_of_their_range() {
    needs!("ip", "nft");
    for (cidr, first, last) in [
        ("2001:db8:1::/64", "2001:db8:1::2", ""),
        ("fc00::/112", "fc00::2", ""),
        ("fd00::fff0/124", "fd00::fff2", "fd00::ffff"),
        ("2001:db8:1::/126", "2001:db8:1::2", "2001:db8:1::3"),
        ("10.0.0.0/8", "10.0.0.2", ""),
        ("10.1.0.0/28", "10.1.0.2", "10.1.0.14"),
        ("10.1.2.252/30", "10.1.2.254", "10.1.2.254"),
        ("255.255.255.240/28", "255.255.255.242", "255.255.255.254"),
        (
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff2",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ),
    ] {
        let (node, config) = (CniNode::new(), ipam(&[cidr]));
        let range: IpNet = cidr.parse().unwrap();
        let had: Vec<String> = if last.is_empty() {
            (0..40).flat_map(|n| addresses(&node.add(&format!("c{n}"), &config))).collect()
        } else {
            take_all(&node, "c", &config)
        };
        assert_eq!(had[0], first, "{cidr}");
        assert!(last.is_empty() || had.last().unwrap() == last, "{cidr}: {had:?}");
        assert!(had.iter().all(|one| range.contains(&one.parse::<std::net::IpAddr>().unwrap())), "{had:?}");
        assert_eq!(had.iter().collect::<BTreeSet<_>>().len(), had.len(), "{had:?}");
    }
}

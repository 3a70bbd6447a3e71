//! What docs/limits.md says that no other test shows. Its table names the test of each limit.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::process::Stdio;

use serde_json::json;

use crate::harness::cni::{Call, CniNode, addresses, error_of, routed};
use crate::harness::{Bundle, DEFAULT_CAPABILITIES, Netns, Node, Runtime, managed, needs, runtimes};

const SEALED: &str = "10.0.0.9\tweb\n";

fn pod(node: &Node, script: &str) -> Bundle {
    Bundle::new(node, script).containerd().annotate("podhosts.io/pod-ips", "10.0.0.9").hook(&[])
}

#[test]
fn root_renames_etc_where_the_root_file_system_is_writable() {
    needs!("runc", "crun", "busybox");
    let script = "mv /etc /old 2>/dev/null && mkdir /etc && echo mine >/etc/hosts; cat /etc/hosts";
    for runtime in runtimes() {
        let node = Node::new();
        for (read_only, expected) in [(false, "mine\n".to_owned()), (true, managed(SEALED))] {
            let mut bundle = pod(&node, script);
            bundle.config["root"]["readonly"] = read_only.into();
            assert_eq!(node.run_bundle(runtime, &bundle.write()).success(), expected, "{runtime:?}");
        }
    }
}

#[test]
fn an_application_that_writes_is_told_erofs() {
    needs!("runc", "busybox");
    let node = Node::new();
    let run = node.run_bundle(Runtime::Runc, &pod(&node, "echo x >>/etc/hosts").write());
    assert!(!run.ok && run.stderr.contains("/etc/hosts: Read-only file system"), "{run:?}");
}

#[test]
fn a_volume_at_another_name_of_the_file_is_detached() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        node.write("volume", "the volume's\n");
        for (at, expected) in
            [("/usr/etc/hosts", managed(SEALED)), ("/etc/hosts", "the volume's\n".to_owned())]
        {
            let bundle = pod(&node, "cat /etc/hosts").mount(&node.path("volume"), at);
            let root = bundle.rootfs();
            fs::create_dir_all(root.join("usr")).unwrap();
            fs::rename(root.join("etc"), root.join("usr/etc")).unwrap();
            symlink("usr/etc", root.join("etc")).unwrap();
            assert_eq!(node.run_bundle(runtime, &bundle.write()).success(), expected, "{runtime:?}, {at}");
            assert_eq!(fs::read_to_string(node.path("volume")).unwrap(), "the volume's\n");
        }
    }
}

#[test]
fn cap_net_admin_gives_the_pods_name_more_addresses() {
    needs!("runc", "busybox", "ip");
    let node = Node::new();
    let netns = Netns::new(&["10.244.1.4/24"]);
    let start = |script: &str, capabilities: &[&str]| {
        let mut bundle = Bundle::new(&node, script).containerd().network(Some(&netns.path())).hook(&[]);
        bundle.capabilities(&[&DEFAULT_CAPABILITIES[..], capabilities].concat());
        node.run_bundle(Runtime::Runc, &bundle.write())
    };
    assert!(!start("ip addr add 10.6.6.6/24 dev eth0", &[]).ok);
    assert_eq!(start("cat /etc/hosts", &[]).success(), managed("10.244.1.4\tweb\n"));
    start("ip addr add 10.6.6.6/24 dev eth0", &["CAP_NET_ADMIN"]).success();
    assert_eq!(start("cat /etc/hosts", &[]).success(), managed("10.244.1.4\tweb\n10.6.6.6\tweb\n"));
}

#[test]
fn the_node_forwards_where_it_is_a_gateway() {
    needs!("ip", "nft");
    let forwarding = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding";
    let bridge = |is_gateway: bool| {
        let mut config = routed();
        (config["mode"], config["isGateway"]) = ("bridge".into(), is_gateway.into());
        config
    };
    for (config, expected) in [(routed(), "1\n1\n"), (bridge(true), "1\n1\n"), (bridge(false), "0\n0\n")] {
        let node = CniNode::new();
        node.sh("for file in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 0 >/proc/sys/net/$file; done");
        node.pod("c1");
        node.add("c1", &config);
        assert_eq!(node.sh(forwarding), expected, "{config}");
    }
}

#[test]
fn another_mac_address_loses_the_entries_of_the_gateways() {
    needs!("ip", "nft", "busybox");
    let node = CniNode::new();
    node.pod("c1");
    // Without a default route the node's end would have fe80::1, and answer.
    node.sh("ip link add up0 type veth peer name up1; ip link set up0 up; ip link set up1 up
        ip addr add 192.0.2.1/24 dev up0; ip addr add 2001:db8:9::1/64 dev up0 nodad
        ip -6 route add default via 2001:db8:9::9");
    node.add("c1", &routed());
    let reached = || {
        let ping =
            |to| node.run("ip", &["netns", "exec", "c1", "busybox", "ping", "-c", "1", "-W", "2", to]).ok;
        [ping("192.0.2.1"), ping("2001:db8:9::1")]
    };
    assert_eq!(reached(), [true, true]);
    let entries = "ip neigh show nud permanent dev eth0";
    let before = node.in_pod("c1", entries);
    assert_eq!(before.lines().count(), 2, "{before}");
    let own = node.in_pod("c1", "cat /sys/class/net/eth0/address");
    node.in_pod("c1", "ip link set eth0 address 02:00:00:00:00:66");
    assert_eq!(node.in_pod("c1", entries), "");
    // With its own address again nothing but the entries is missing.
    node.in_pod("c1", &format!("ip link set eth0 address {own}"));
    assert_eq!(reached(), [false, false]);
    for line in before.lines() {
        let entry = line.replace("PERMANENT", "nud permanent");
        node.in_pod("c1", &format!("ip neigh replace {entry} dev eth0"));
    }
    assert_eq!(reached(), [true, true]);
}

/// Where a pod's datagrams come from, as another pod sees it.
const RECEIVER: &str = "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 8080)); print('ready', flush=True)
for _ in range(2): print(s.recvfrom(9)[1][0], flush=True)";

#[test]
fn a_pod_cidr_that_is_removed_is_masqueraded() {
    needs!("ip", "nft", "python3");
    let node = CniNode::new();
    let config = |pod_cidrs: &[&str]| {
        let mut config = routed();
        (config["ipMasq"], config["ipam"]["podCIDRs"]) = (true.into(), json!(pod_cidrs));
        config
    };
    let (old, new) = ("10.244.1.0/29", "10.245.1.0/24");
    ["c1", "c2", "c3"].iter().for_each(|pod| node.pod(pod));
    node.sh("ip addr add 192.0.2.1/32 dev lo");
    let first = addresses(&node.add("c1", &config(&[old, new])));
    let second = addresses(&node.add("c2", &config(&[new])));
    assert_eq!((first[0].as_str(), second[0].as_str()), ("10.244.1.2", "10.245.1.2"));
    let mut receiver = node.command("ip", &["netns", "exec", "c1", "python3", "-c", RECEIVER]);
    let mut receiver = receiver.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(receiver.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("ready"));
    let send =
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', ('10.244.1.2', 8080))";
    node.in_pod("c2", &format!("python3 -c \"{send}\""));
    assert_ne!(lines.next().as_deref(), Some("10.245.1.2"));
    // It is part of the network again.
    node.add("c3", &config(&[new, old]));
    node.in_pod("c2", &format!("python3 -c \"{send}\""));
    assert_eq!(lines.next().as_deref(), Some("10.245.1.2"));
    receiver.wait().unwrap();
}

#[test]
fn an_add_that_fails_leaves_the_bridge_that_it_made() {
    needs!("ip", "nft");
    let node = CniNode::new();
    node.pod("c1");
    let mut config = routed();
    (config["mode"], config["isGateway"]) = ("bridge".into(), true.into());
    // Its record is the last thing that an ADD makes.
    node.sh("mkdir -p /run/podhosts; echo >/run/podhosts/pods");
    let before = node.traces();
    let (_, message) = error_of(&node.call(&Call::new("ADD", "c1", &config)));
    assert!(message.starts_with("cannot write /run/podhosts/pods/c1.json: "), "{message}");
    let after = node.traces();
    let more: Vec<&str> = after.lines().filter(|line| !before.lines().any(|old| old == *line)).collect();
    assert!(node.sh("ip -o link show cni0").contains("UP"), "{more:?}");
    assert!(!after.contains("veth") && !after.contains("table"), "{more:?}");
}

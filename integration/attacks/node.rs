//! What a pod tells the node, and what the node tells a pod: router advertisements, and the source of its connections.

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::harness::cni::{CniNode, addresses, routed};
use crate::harness::needs;
use crate::harness::talk::{self, Process};

/// Sends router advertisements, as a router that wants everything: a default route, a prefix to make an address of, a
/// route, an MTU, a DNS server.
const ADVERTISE: &str = r#"
import socket, struct, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("eth0", 0x86dd))
ip = lambda text: socket.inet_pton(socket.AF_INET6, text)
mac = bytes.fromhex("0a5800000bad")
source, target = ip("fe80::bad"), ip("ff02::1")
forever = 0xffffffff
options = b"\x01\x01" + mac
options += struct.pack("!BBBBIII", 3, 4, 64, 0xc0, forever, forever, 0) + ip("2001:db8:bad::")
options += struct.pack("!BBHI", 5, 1, 0, 1300)
options += struct.pack("!BBBBI", 24, 2, 16, 0x08, forever) + ip("2001:dba::")[:8]
options += struct.pack("!BBHI", 25, 3, 0, forever) + ip("2001:db8:bad::53")
body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0x08, 1800, 0, 0) + options
total = source + target + struct.pack("!II", len(body), 58) + body
total = sum(struct.unpack("!%dH" % (len(total) // 2), total))
while total >> 16:
    total = (total & 0xffff) + (total >> 16)
body = body[:2] + struct.pack("!H", ~total & 0xffff) + body[4:]
header = struct.pack("!IHBB", 0x60000000, len(body), 58, 255) + source + target
for _ in range(3):
    link.send(bytes.fromhex("333300000001") + mac + b"\x86\xdd" + header + body)
"#;

/// Waits for the kernel to tell of options, such as DNS servers, that it leaves to programs; says at the end of its stdin
/// whether it did.
const LISTEN: &str = r#"
import socket, sys
options = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
options.bind((0, 1 << 19))
options.setblocking(False)
print("ready", flush=True)
sys.stdin.read()
try:
    options.recv(4096)
    print("an option for programs")
except BlockingIOError:
    pass
"#;

/// What the node believes of its IPv6 network.
fn beliefs(node: &CniNode, interface: &str) -> String {
    node.sh(&format!(
        "(ip -6 route; ip -6 -o addr show scope global | awk '{{print $2,$4}}') | sed 's/ linkdown//'; \
         cat /proc/sys/net/ipv6/conf/{interface}/mtu"
    ))
}

/// Has pod `c1` advertise itself on the node's `interface`, and tells what that did to the node.
fn advertised(node: &CniNode, interface: &str) -> (String, String) {
    let count = || -> u64 {
        let text = node.sh(&format!("cat /proc/net/dev_snmp6/{interface}"));
        let line = text.lines().find(|line| line.starts_with("Icmp6InRouterAdvertisements"));
        line.unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let mut command = node.command("python3", &["-c", LISTEN]);
    let mut listener = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(listener.stdout.take().unwrap());
    assert_eq!(line(&mut said), "ready\n");
    let (before, received) = (beliefs(node, interface), count());
    let args = ["netns", "exec", "c1", "python3", "-c", ADVERTISE];
    node.run("ip", &args).success();
    // Whoever sees the last of them counted has seen those before it work.
    let is_received = || {
        node.sh("sleep 0.05");
        count() >= received + 3
    };
    assert!((0..100).any(|_| is_received()), "not received");
    drop(listener.stdin.take());
    let told = line(&mut said);
    listener.wait().unwrap();
    (before, beliefs(node, interface) + &told)
}

fn line(from: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line
}

/// A bridge on which the packet filter lets advertisements through, so that `accept_ra` alone is seen.
fn bridge(extra: &[(&str, Value)]) -> Value {
    let mut config = json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni", "mode": "bridge",
        "spoofCheck": false, "bridge": "br0", "isGateway": true, "ipam": {"podCIDRs": ["10.244.1.0/24"]}});
    extra.iter().for_each(|(key, value)| config[*key] = value.clone());
    config
}

/// CVE-2020-10749: a pod's router advertisements make it the node's IPv6 router. The bridge was there already, up, and
/// accepts them as every interface does.
#[test]
fn router_advertisements_on_a_bridge_that_was_there_already() {
    needs!("ip", "python3");
    for gateway in [true, false] {
        let node = CniNode::new();
        node.pod("c1");
        node.sh("ip link add br0 type bridge; ip link set br0 up");
        // That the attack works is seen before the ADD has taken the bridge in hand.
        node.sh("ip link add v0 type veth peer name eth0 netns c1; ip link set v0 master br0 up");
        node.in_pod("c1", "ip link set eth0 up");
        let (before, after) = advertised(&node, "br0");
        assert_ne!(before, after);
        assert!(after.contains("default") && after.contains("2001:db8:bad:"), "{after}");
        assert!(after.contains("1300\nan option for programs"), "{after}");
        node.sh("ip link del v0; ip link del br0; ip link add br0 type bridge; ip link set br0 up");
        node.add("c1", &bridge(&[("isGateway", gateway.into())]));
        let (before, after) = advertised(&node, "br0");
        assert_eq!(before, after);
    }
}

/// CVE-2020-10749 where the administrator lets routers be listened to although the node forwards (`accept_ra` 2), where
/// the bridge is made by the ADD, and where somebody turned it on again since the last ADD.
#[test]
fn router_advertisements_to_a_node_that_forwards_and_accepts_them() {
    needs!("ip", "python3");
    let dual = ("ipam", json!({"podCIDRs": ["10.244.1.0/24", "2001:db8:1::/64"]}));
    for config in [bridge(&[]), bridge(&[dual])] {
        let node = CniNode::new();
        node.sh("echo 2 >/proc/sys/net/ipv6/conf/default/accept_ra");
        for pod in ["c1", "c2"] {
            node.pod(pod);
        }
        node.add("c1", &config);
        let (before, after) = advertised(&node, "br0");
        assert_eq!(before, after);
        node.sh("echo 2 >/proc/sys/net/ipv6/conf/br0/accept_ra");
        node.add("c2", &config);
        let (before, after) = advertised(&node, "br0");
        assert_eq!(before, after);
    }
}

/// CVE-2020-10749 in mode routed, where the node's end of each pod's veth pair is an interface of its own.
#[test]
fn router_advertisements_on_a_routed_pods_interface() {
    needs!("ip", "python3");
    let node = CniNode::new();
    node.pod("c1");
    node.sh("echo 2 >/proc/sys/net/ipv6/conf/default/accept_ra");
    let mut config = routed();
    config["spoofCheck"] = false.into();
    let result = node.add("c1", &config);
    let interface = result["interfaces"][0]["name"].as_str().unwrap().to_owned();
    let (before, after) = advertised(&node, &interface);
    assert_eq!(before, after);
}

/// Prints where a connection comes from, as the server at an address answers.
const CLIENT: &str = r#"
import socket, sys
with socket.create_connection((sys.argv[1], 8080), 20) as connection:
    print(connection.recv(100).decode().split()[1])
"#;

/// A pod's server.
fn serve(node: &CniNode, pod: &str) -> Process {
    talk::serve(node.command("ip", &["netns", "exec", pod, "python3"]), pod, 8080)
}

/// Where the node's connections to a pod's addresses come from, for the server there and by `ip route get`.
#[track_caller]
fn sources(node: &CniNode, pod: &[String]) -> Vec<String> {
    let mut sources = Vec::new();
    for address in pod {
        let source = node.run("python3", &["-c", CLIENT, address]).success().trim().to_owned();
        let route = node.sh(&format!("ip route get {address}"));
        assert!(route.contains(&format!(" src {source} ")), "{source}: {route}");
        sources.push(source);
    }
    sources
}

/// An uplink with two addresses, and a router behind it.
const UPLINK: &str = "ip link add up0 type veth peer name up1; ip link set up1 up; ip link set up0 up
    ip addr add 198.18.0.5/24 dev up0; ip addr add 2001:db8:9::5/64 dev up0 nodad
    ip route add default via 198.18.0.1; ip -6 route add default via 2001:db8:9::1\n";
/// Virtual addresses on lo, a container engine's bridge before the uplink, another network's behind it.
const VIRTUAL: &str = "ip addr add 203.0.113.9/32 dev lo; ip addr add 2001:db8:1::ffff/128 dev lo
    ip link add docker0 type bridge; ip link set docker0 up
    ip addr add 172.17.0.1/16 dev docker0; ip addr add 2001:db8:1:1::1/64 dev docker0 nodad\n";
const ROUTE_LOCALNET: &str = "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet\n";
const UPLINK_ADDRESSES: [&str; 2] = ["198.18.0.5", "2001:db8:9::5"];

/// Kubelet's probes and pods of the host's network arrive with an address that many nodes have, 169.254.1.1, and
/// policies take them for somebody else.
#[test]
fn the_source_of_the_nodes_connections_is_the_nodes_address() {
    needs!("ip", "python3");
    let unnumbered = "ip link add up0 type veth peer name up1; ip link set up1 up; ip link set up0 up
        ip addr add 203.0.113.9/32 dev lo; ip addr add 2001:db8:8::9/128 dev lo
        ip route add default via 198.18.0.1 dev up0 onlink; ip -6 route add default via fe80::9 dev up0";
    let no_default = "ip link add up0 type veth peer name up1; ip link set up1 up; ip link set up0 up
        ip addr add 198.18.0.5/24 dev up0; ip addr add 2001:db8:9::5/64 dev up0 nodad";
    let lo = ["203.0.113.9", "2001:db8:8::9"];
    for (layout, expected) in [
        (UPLINK.to_owned(), UPLINK_ADDRESSES),
        (VIRTUAL.to_owned() + UPLINK, UPLINK_ADDRESSES),
        (ROUTE_LOCALNET.to_owned() + UPLINK, UPLINK_ADDRESSES),
        (ROUTE_LOCALNET.to_owned() + VIRTUAL + UPLINK, UPLINK_ADDRESSES),
        (UPLINK.to_owned() + VIRTUAL, UPLINK_ADDRESSES),
        (ROUTE_LOCALNET.to_owned() + unnumbered, lo),
        (ROUTE_LOCALNET.to_owned() + no_default, UPLINK_ADDRESSES),
    ] {
        let node = CniNode::new();
        node.sh(&layout);
        node.pod("c1");
        let mut config = routed();
        config["capabilities"] = json!({"portMappings": true});
        config["runtimeConfig"] =
            json!({"portMappings": [{"hostPort": 8000, "containerPort": 8080, "protocol": "tcp"}]});
        let pod = addresses(&node.add("c1", &config));
        let server = serve(&node, "c1");
        assert_eq!(sources(&node, &pod), expected, "{layout}");
        // kube-proxy may set it later.
        node.sh(ROUTE_LOCALNET);
        assert_eq!(sources(&node, &pod), expected, "{layout}");
        assert!(!node.sh("ip addr").contains("169.254.1.1"));
        drop(server);
    }
}

/// The same where the node's address or its default route changes while the pod runs.
#[test]
fn the_source_of_the_nodes_connections_when_the_node_changes() {
    needs!("ip", "python3");
    let node = CniNode::new();
    node.sh(&(ROUTE_LOCALNET.to_owned() + UPLINK));
    node.pod("c1");
    let pod = addresses(&node.add("c1", &routed()));
    let _server = serve(&node, "c1");
    node.sh("ip addr del 198.18.0.5/24 dev up0; ip addr del 2001:db8:9::5/64 dev up0
        ip addr add 198.18.0.6/24 dev up0; ip addr add 2001:db8:9::6/64 dev up0 nodad");
    assert_eq!(sources(&node, &pod), ["198.18.0.6", "2001:db8:9::6"]);

    let node = CniNode::new();
    node.sh(ROUTE_LOCALNET);
    node.pod("c1");
    let pod = addresses(&node.add("c1", &routed()));
    let _server = serve(&node, "c1");
    // Until it has an address of its own, IPv6 works all the same.
    assert_eq!(sources(&node, &pod[1..]), ["fe80::1"]);
    node.sh(UPLINK);
    assert_eq!(sources(&node, &pod), UPLINK_ADDRESSES);
}

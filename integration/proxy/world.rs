//! A client outside, a node and two pods, each a network namespace; the node routes between them.

use std::process::Command;

use sys::net::services::Element;

use super::elements::{TARGET, network};
use crate::harness::talk::{Process, serve};
use crate::harness::{Netns, in_new_netns};

pub(super) const CLIENT: [&str; 2] = ["192.0.2.2", "2001:db8::2"];
pub(super) const NODE: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
pub(super) const POD_A: [&str; 2] = ["10.0.1.2", "fd00:1::2"];
pub(super) const POD_B: [&str; 2] = ["10.0.2.2", "fd00:2::2"];
/// The node's addresses on the pods' networks.
pub(super) const GATEWAY_A: [&str; 2] = ["10.0.1.1", "fd00:1::1"];
const GATEWAY_B: [&str; 2] = ["10.0.2.1", "fd00:2::1"];

/// Prints what servers answer to so many connections, or why there is no answer, and whether that took less than 0.9 s.
const ASK: &str = r#"
import socket, sys, time
kind, host, port, count, patience = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
for _ in range(count):
    began = time.monotonic()
    s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(patience)
    try:
        s.connect((host, port))
        if kind == "udp":
            s.send(b"?")
        print(s.recv(100).decode().strip(), flush=True)
    except OSError as error:
        print(type(error).__name__, "at once" if time.monotonic() - began < 0.9 else "late", flush=True)
    s.close()
"#;

/// How long a client waits for an answer that has to come, in seconds; the answer is there at once.
const PATIENCE: &str = "20";

/// Around the network namespace of the calling thread, the node. A server called "a" and one called "b" listen in the pods.
pub(super) struct World {
    pub(super) client: Netns,
    pub(super) a: Netns,
    pub(super) b: Netns,
    _servers: Vec<Process>,
}

/// Runs a test in the node of a new world.
pub(super) fn in_world(test: impl FnOnce(&World) + Send) {
    in_new_netns(|| test(&World::new()));
}

impl World {
    fn new() -> Self {
        let world = Self { client: Netns::bare(), a: Netns::bare(), b: Netns::bare(), _servers: Vec::new() };
        node("ip link set lo up; echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad");
        node("echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding");
        for (name, netns, addresses, gateway) in [
            ("uplink", &world.client, CLIENT, NODE),
            ("pod-a", &world.a, POD_A, GATEWAY_A),
            ("pod-b", &world.b, POD_B, GATEWAY_B),
        ] {
            let pid = netns.pid();
            node(&format!("ip link add {name} type veth peer name eth0 netns {pid}; ip link set {name} up"));
            node(&format!(
                "ip addr add {}/24 dev {name}; ip addr add {}/64 dev {name} nodad",
                gateway[0], gateway[1]
            ));
            netns.ip(&["addr", "add", &format!("{}/24", addresses[0]), "dev", "eth0"]);
            netns.ip(&["addr", "add", &format!("{}/64", addresses[1]), "dev", "eth0", "nodad"]);
            netns.ip(&["link", "set", "eth0", "up"]);
            netns.ip(&["route", "add", "default", "via", gateway[0]]);
            netns.ip(&["-6", "route", "add", "default", "via", gateway[1]]);
        }
        // As on a node with a default route: cluster IPs have one, too.
        node(&format!("ip route add default via {}; ip -6 route add default via {}", CLIENT[0], CLIENT[1]));
        let _servers = [(&world.a, "a"), (&world.b, "b")]
            .map(|(pod, name)| serve(pod.command("python3"), name, TARGET))
            .into();
        Self { _servers, ..world }
    }
}

/// Runs a shell script on the node.
pub(super) fn node(script: &str) {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A client's command.
pub(super) fn asking(
    mut python: Command,
    kind: &str,
    host: &str,
    port: u16,
    count: usize,
    patience: &str,
) -> Command {
    python.args(["-c", ASK, kind, host, &port.to_string(), &count.to_string(), patience]);
    python
}

/// What servers answer to so many connections, one after another.
pub(super) fn ask_often(python: Command, kind: &str, host: &str, port: u16, count: usize) -> Vec<String> {
    answers(asking(python, kind, host, port, count, PATIENCE))
}

/// What a server answers: its name, and where the connection came from.
pub(super) fn ask(python: Command, kind: &str, host: &str, port: u16) -> String {
    ask_often(python, kind, host, port, 1).remove(0)
}

/// The same with an end to the waiting, for what is not to be answered.
pub(super) fn ask_shortly(python: Command, kind: &str, host: &str, port: u16) -> String {
    answers(asking(python, kind, host, port, 1, "1")).remove(0)
}

fn answers(mut client: Command) -> Vec<String> {
    let output = client.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A client on the node.
pub(super) fn python() -> Command {
    Command::new("python3")
}

/// What is inside: the pods' networks, and the node's addresses.
pub(super) fn inside() -> Vec<Element> {
    let networks = [
        ("10.0.0.0", "10.0.255.255"),
        (NODE[0], NODE[0]),
        ("fd00::", "fd00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        (NODE[1], NODE[1]),
    ];
    networks.map(|(first, last)| Element::Inside(network(first, last))).into()
}

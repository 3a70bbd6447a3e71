//! Real packets through the rules: an outside, a node and two pods on a bridge, each a network namespace.

use std::net::IpAddr;
use std::process::Command;

use sys::net::nft::{PortMapping, Protocol, Rules, install};

use crate::harness::nft::take_away;
use crate::harness::talk::{self, Process};
use crate::harness::{Netns, in_new_netns, needs};

/// The networks of the node's bridge. The outside has no route to them.
const SUBNETS: [(&str, u8); 2] = [("10.88.0.0", 16), ("fd88::", 64)];
const POD: [&str; 2] = ["10.88.0.5", "fd88::5"];
const OTHER_POD: [&str; 2] = ["10.88.0.6", "fd88::6"];
const BRIDGE: [&str; 2] = ["10.88.0.1", "fd88::1"];
const NODE: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
const OUTSIDE: [&str; 2] = ["192.0.2.2", "2001:db8::2"];
/// Where servers listen, and the host port that leads to the pod's.
const PORT: u16 = 8080;
const HOST_PORT: u16 = 80;

/// Prints where a question came from, as a server answers, or why there is no answer.
const CLIENT: &str = r#"
import socket, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
patience = float(sys.argv[4])
def answer():
    s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(patience if kind == "tcp" else 1)
    s.connect((host, port))
    # Nobody sends a lost datagram again.
    for left in reversed(range(int(patience))):
        try:
            if kind == "udp":
                s.send(b"?")
            return s.recv(100).decode().split()[1]
        except TimeoutError:
            if kind == "tcp" or left == 0:
                raise
try:
    print(answer())
except OSError as error:
    print(type(error).__name__)
"#;

/// How long a client waits for an answer that has to come, in seconds; the answer is there at once.
const PATIENCE: &str = "20";

/// A link-local address is tentative for a second otherwise, and neighbours are not asked for from it.
const NO_ADDRESS_DETECTION: &str = "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad";

struct World {
    pod: Netns,
    other_pod: Netns,
    outside: Netns,
}

impl World {
    /// Around the network namespace of the calling thread, the node.
    fn new() -> Self {
        let world = Self { pod: Netns::bare(), other_pod: Netns::bare(), outside: Netns::bare() };
        let all = [&world.pod, &world.other_pod, &world.outside];
        all.into_iter().for_each(without_address_detection);
        node(NO_ADDRESS_DETECTION);
        node("ip link set lo up; ip link add cni0 type bridge mcast_snooping 0; ip link set cni0 up");
        node("echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding");
        // As the caller of the rules does, for host ports of 127.0.0.1.
        node("echo 1 >/proc/sys/net/ipv4/conf/cni0/route_localnet");
        node(&format!("ip addr add {}/16 dev cni0; ip addr add {}/64 dev cni0 nodad", BRIDGE[0], BRIDGE[1]));
        for (name, netns, addresses) in [("pod", &world.pod, POD), ("other", &world.other_pod, OTHER_POD)] {
            link(name, netns, addresses, [16, 64]);
            // Where bridged packets go through netfilter, a pod's packet to itself leaves by where it came in.
            node(&format!("ip link set {name} master cni0; ip link set {name} type bridge_slave hairpin on"));
            netns.ip(&["route", "add", "default", "via", BRIDGE[0]]);
            netns.ip(&["-6", "route", "add", "default", "via", BRIDGE[1]]);
        }
        link("uplink", &world.outside, OUTSIDE, [24, 64]);
        node(&format!("ip addr add {}/24 dev uplink; ip addr add {}/64 dev uplink nodad", NODE[0], NODE[1]));
        world
    }

    /// Serves on [`PORT`] in the pod and outside.
    fn servers(&self) -> [Process; 2] {
        [serve(self.pod.command("python3")), serve(self.outside.command("python3"))]
    }
}

fn without_address_detection(netns: &Netns) {
    assert!(netns.command("sh").args(["-ec", NO_ADDRESS_DETECTION]).status().unwrap().success());
}

/// A veth pair from the node to `netns`, where it is eth0.
fn link(name: &str, netns: &Netns, addresses: [&str; 2], prefixes: [u8; 2]) {
    node(&format!(
        "ip link add {name} type veth peer name eth0 netns {}; ip link set {name} up",
        netns.pid()
    ));
    netns.ip(&["addr", "add", &format!("{}/{}", addresses[0], prefixes[0]), "dev", "eth0"]);
    netns.ip(&["addr", "add", &format!("{}/{}", addresses[1], prefixes[1]), "dev", "eth0", "nodad"]);
    netns.ip(&["link", "set", "eth0", "up"]);
}

/// Runs a shell script on the node.
fn node(script: &str) {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

fn serve(python: Command) -> Process {
    talk::serve(python, "server", PORT)
}

/// What a server that `python` asks answers: where the question came from.
fn ask(python: Command, kind: &str, host: &str, port: u16) -> String {
    ask_within(python, kind, host, port, PATIENCE)
}

/// The same with an end to the waiting, in seconds, for what is not to be answered.
fn ask_within(mut python: Command, kind: &str, host: &str, port: u16, patience: &str) -> String {
    let output = python.args(["-c", CLIENT, kind, host, &port.to_string(), patience]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn python() -> Command {
    Command::new("python3")
}

fn addresses(texts: [&str; 2]) -> [IpAddr; 2] {
    texts.map(|text| text.parse().unwrap())
}

fn mapping(host_ip: Option<&str>, host_port: u16, protocol: Protocol) -> PortMapping {
    PortMapping { host_ip: host_ip.map(|ip| ip.parse().unwrap()), host_port, container_port: PORT, protocol }
}

/// Installs rules for a pod of the bridge's network.
fn install_for(pod: [&str; 2], masquerade: bool, ports: &[PortMapping]) -> Rules {
    let rules = Rules {
        network: "bridge".to_owned(),
        subnets: SUBNETS.map(|(subnet, prefix)| (subnet.parse().unwrap(), prefix)).into(),
        addresses: addresses(pod).into(),
        masquerade,
        ports: ports.to_vec(),
        interface: None,
    };
    install(&rules, Vec::new).unwrap();
    rules
}

/// Runs a test in the node of a new world.
fn in_world(test: impl FnOnce(&World) + Send) {
    in_new_netns(|| test(&World::new()));
}

#[test]
fn a_pod_leaves_the_node_under_its_address() {
    needs!("nft", "ip", "python3");
    in_world(|world| {
        let _servers = world.servers();
        install_for(POD, true, &[]);
        let _neighbour = serve(world.other_pod.command("python3"));
        for kind in ["tcp", "udp"] {
            for family in [0, 1] {
                let asked = |host: [&str; 2]| ask(world.pod.command("python3"), kind, host[family], PORT);
                assert_eq!(asked(OUTSIDE), NODE[family]);
                // On its own network it is itself.
                assert_eq!(asked(OTHER_POD), POD[family]);
            }
        }
    });
}

#[test]
fn a_host_port_leads_to_the_pod_and_shows_it_the_client() {
    needs!("nft", "ip", "python3");
    in_world(|world| {
        let _servers = world.servers();
        let both = [Protocol::Tcp, Protocol::Udp].map(|protocol| mapping(None, HOST_PORT, protocol));
        let rules = install_for(POD, true, &both);
        for kind in ["tcp", "udp"] {
            for ((node, bridge), outside) in NODE.iter().zip(BRIDGE).zip(OUTSIDE) {
                assert_eq!(ask(world.outside.command("python3"), kind, node, HOST_PORT), outside);
                assert_eq!(ask(python(), kind, node, HOST_PORT), *node);
                assert_eq!(ask(python(), kind, bridge, HOST_PORT), bridge);
            }
            assert_eq!(ask(python(), kind, "127.0.0.1", HOST_PORT), BRIDGE[0]);
            // Not mapped, and not swallowed either.
            assert_eq!(ask(python(), kind, "::1", HOST_PORT), "ConnectionRefusedError");
        }
        // The other protocol's port is another one, and what is forwarded is not the node's.
        assert_eq!(ask(world.pod.command("python3"), "tcp", OUTSIDE[0], HOST_PORT), "ConnectionRefusedError");
        take_away(&rules, true);
        for node in NODE {
            assert_eq!(
                ask(world.outside.command("python3"), "tcp", node, HOST_PORT),
                "ConnectionRefusedError"
            );
        }
    });
}

#[test]
fn a_host_port_of_one_address_is_no_port_of_another() {
    needs!("nft", "ip", "python3");
    in_world(|world| {
        let _servers = world.servers();
        let of = |ip, port| mapping(Some(ip), port, Protocol::Tcp);
        let ports = [of(NODE[0], 81), of(NODE[1], 82), of("127.0.0.1", 83), of("0.0.0.0", 84), of("::", 85)];
        install_for(POD, false, &ports);
        let outside = |host, port| ask(world.outside.command("python3"), "tcp", host, port);
        let refused = "ConnectionRefusedError";
        assert_eq!((outside(NODE[0], 81).as_str(), outside(NODE[1], 81).as_str()), (OUTSIDE[0], refused));
        assert_eq!((outside(NODE[0], 82).as_str(), outside(NODE[1], 82).as_str()), (refused, OUTSIDE[1]));
        assert_eq!(outside(NODE[0], 83), refused);
        assert_eq!((outside(NODE[0], 84).as_str(), outside(NODE[1], 84).as_str()), (OUTSIDE[0], refused));
        assert_eq!((outside(NODE[0], 85).as_str(), outside(NODE[1], 85).as_str()), (refused, OUTSIDE[1]));
        assert_eq!(ask(python(), "tcp", BRIDGE[0], 81), refused);
        assert_eq!(ask(python(), "tcp", "127.0.0.1", 83), BRIDGE[0]);
        assert_eq!(ask(python(), "tcp", NODE[0], 83), refused);
    });
}

#[test]
fn a_pod_reaches_itself_and_its_neighbours_through_the_node() {
    needs!("nft", "ip", "python3");
    in_world(|world| {
        let _servers = world.servers();
        // Without masquerading: hairpins do not depend on it.
        install_for(POD, false, &[mapping(None, HOST_PORT, Protocol::Tcp)]);
        for (node, bridge) in NODE.iter().zip(BRIDGE) {
            for pod in [&world.pod, &world.other_pod] {
                assert_eq!(ask(pod.command("python3"), "tcp", node, HOST_PORT), bridge);
            }
        }
    });
}

#[test]
fn a_pod_of_another_network_is_masqueraded_on_its_way_through_a_host_port() {
    needs!("nft", "ip", "python3");
    in_world(|world| {
        let _servers = world.servers();
        let third = Netns::bare();
        without_address_detection(&third);
        link("third", &third, ["10.99.0.5", "fd99::5"], [16, 64]);
        node("ip addr add 10.99.0.1/16 dev third; ip addr add fd99::1/64 dev third nodad");
        third.ip(&["route", "add", "default", "via", "10.99.0.1"]);
        third.ip(&["-6", "route", "add", "default", "via", "fd99::1"]);
        install_for(POD, true, &[mapping(None, HOST_PORT, Protocol::Tcp)]);
        let rules = Rules {
            network: "third".to_owned(),
            subnets: vec![("10.99.0.0".parse().unwrap(), 16), ("fd99::".parse().unwrap(), 64)],
            addresses: addresses(["10.99.0.5", "fd99::5"]).into(),
            masquerade: true,
            ports: Vec::new(),
            interface: None,
        };
        install(&rules, Vec::new).unwrap();
        for (node, bridge) in NODE.iter().zip(BRIDGE) {
            assert_eq!(ask(third.command("python3"), "tcp", node, HOST_PORT), bridge);
        }
    });
}

#[test]
fn the_nodes_loopback_is_not_opened_to_the_outside() {
    needs!("nft", "ip", "python3");
    in_world(|world| {
        let _servers = world.servers();
        // Both sides take 127.0.0.0/8 for an ordinary network, as a careless or hostile neighbour would have it.
        node("for file in /proc/sys/net/ipv4/conf/*/route_localnet; do echo 1 >$file; done");
        let routes = "for file in /proc/sys/net/ipv4/conf/*/route_localnet; do echo 1 >$file; done
            ip route del table local local 127.0.0.0/8; ip route add 127.0.0.5 via 192.0.2.1 src 192.0.2.2";
        let output = world.outside.command("sh").args(["-ec", routes]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // The packets do arrive, and something that listens there is reached.
        let _node = serve(python());
        assert_eq!(ask(world.outside.command("python3"), "tcp", "127.0.0.5", PORT), OUTSIDE[0]);
        install_for(POD, true, &[mapping(None, HOST_PORT, Protocol::Tcp)]);
        for port in [HOST_PORT, PORT] {
            let outside = world.outside.command("python3");
            assert_eq!(ask_within(outside, "tcp", "127.0.0.5", port, "1"), "TimeoutError");
        }
        // The node itself is not kept from it.
        assert_eq!(ask(python(), "tcp", "127.0.0.5", PORT), "127.0.0.1");
    });
}

/// Connection tracking knows the flow by the client's address and port.
#[test]
fn a_udp_port_that_gets_another_pod_leads_known_flows_to_the_old_one() {
    needs!("nft", "ip", "python3");
    in_world(|world| {
        let _servers = world.servers();
        let ports = [mapping(None, HOST_PORT, Protocol::Udp)];
        let rules = install_for(POD, false, &ports);
        let flow = |source: u16| {
            let mut python = world.outside.command("python3");
            let script =
                CLIENT.replace("    s.connect(", &format!("    s.bind((\"\", {source}))\n    s.connect("));
            python.args(["-c", &script, "udp", NODE[0], &HOST_PORT.to_string(), PATIENCE]);
            String::from_utf8(python.output().unwrap().stdout).unwrap().trim_end().to_owned()
        };
        assert_eq!(flow(4444), OUTSIDE[0]);
        take_away(&rules, true);
        // Nothing listens in this pod.
        install_for(OTHER_POD, false, &ports);
        assert_eq!(flow(4444), OUTSIDE[0]);
        assert_eq!(flow(4445), "ConnectionRefusedError");
    });
}

//! Network namespaces, connected with each other.
#![allow(clippy::disallowed_methods, reason = "tests run other programs")]

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use sys::net::rtnetlink::Namespace;

use crate::api::node::{Cluster, ClusterNode};

/// A server that is in no cluster.
pub(super) const OUTSIDE: [&str; 2] = ["203.0.113.9", "2001:db8:9::9"];

/// Answers each connection with the client's address, or to "much" with a megabyte.
const SERVER: &str = r#"
import socket
server = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True, backlog=100)
print("ready", flush=True)
while True:
    connection, peer = server.accept()
    with connection:
        asked = connection.recv(100)
        text = b"x" * (1 << 20) if asked == b"much" else peer[0].removeprefix("::ffff:").encode()
        connection.sendall(text)
"#;

/// Prints what a server answers, or how long that is.
const CLIENT: &str = r#"
import socket, sys
with socket.create_connection((sys.argv[1], 8080), 20) as connection:
    connection.sendall(sys.argv[2].encode())
    answer = b""
    while part := connection.recv(65536): answer += part
print(len(answer) if sys.argv[2] == "much" else answer.decode())
"#;

pub(super) fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// A network namespace, which a process holds, and a server in it. Both go with the value.
pub(super) struct Host {
    holder: Child,
    server: Option<Child>,
}

impl Host {
    fn new() -> Self {
        let script = "ip link set lo up; echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; echo ready; exec sleep 1000";
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        wait_until_ready(&mut holder);
        Self { holder, server: None }
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.holder.id()))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg(program);
        command
    }

    /// Runs a shell script; gives what it prints.
    #[track_caller]
    pub(super) fn sh(&self, script: &str) -> String {
        let output = self.command("sh").args(["-ec", script]).output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Does something with this thread in the namespace.
    pub(super) fn inside<T>(&self, work: impl FnOnce() -> T) -> T {
        let (home, there) = (Namespace::own().unwrap(), Namespace::open(&self.path()).unwrap());
        there.inside(&home, || Ok(work())).unwrap()
    }

    fn serve(&mut self) {
        let mut server = self.command("python3").args(["-c", SERVER]).stdout(Stdio::piped()).spawn().unwrap();
        wait_until_ready(&mut server);
        self.server = Some(server);
    }

    /// The address by which a server knows this host.
    #[track_caller]
    pub(super) fn ask(&self, host: &str) -> String {
        self.answer(host, "who").trim().to_owned()
    }

    /// How much arrives of a megabyte.
    #[track_caller]
    pub(super) fn ask_much(&self, host: &str) -> usize {
        self.answer(host, "much").trim().parse().unwrap()
    }

    #[track_caller]
    fn answer(&self, host: &str, question: &str) -> String {
        let output = self.command("python3").args(["-c", CLIENT, host, question]).output().unwrap();
        assert!(output.status.success(), "{host}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn wait_until_ready(child: &mut Child) {
    let mut ready = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");
}

impl Drop for Host {
    fn drop(&mut self) {
        for child in self.server.iter_mut().chain([&mut self.holder]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A node's addresses and its pod's, IPv4 first.
pub(super) struct NodeNames {
    pub(super) address: [String; 2],
    pub(super) pod: [String; 2],
}

pub(super) type Names = Vec<NodeNames>;

pub(super) struct World {
    pub(super) nodes: Vec<Host>,
    pub(super) pods: Vec<Host>,
    /// The switch or router, with the world outside.
    _middle: Host,
}

/// The cluster as one of the nodes sees it. The nodes are called n0, n1, ...
pub(super) fn cluster(nodes: &Names, own: usize) -> Cluster {
    let node = |(number, node): (usize, &NodeNames)| {
        let name = format!("n{number}");
        let node = ClusterNode {
            name: name.clone(),
            uid: name.clone(),
            pod_cidrs: [format!("10.244.{number}.0/24"), format!("fd00:a{number}::/64")]
                .map(|net| net.parse().unwrap())
                .into(),
            internal_ips: node.address.iter().map(|address| address.parse().unwrap()).collect(),
            zone: None,
            created: 0,
        };
        (name, node)
    };
    Cluster { own: format!("n{own}"), nodes: nodes.iter().enumerate().map(node).collect() }
}

/// A node with a pod, whose eth0 leads to a port of `middle`.
fn node(middle: &Host, number: usize, names: &NodeNames, gateway: [&str; 2]) -> (Host, Host) {
    let (mut node, mut pod) = (Host::new(), Host::new());
    middle.sh(&format!("ip link add port{number} type veth peer name eth0 netns {}", node.holder.id()));
    let [v4, v6] = &names.address;
    node.sh(&format!(
        "ip link add pod0 type veth peer name eth0 netns {}; ip link set pod0 up
         ip addr add 10.244.{number}.1/24 dev pod0; ip addr add fd00:a{number}::1/64 dev pod0 nodad
         ip addr add {v4}/24 dev eth0; ip addr add {v6}/64 dev eth0 nodad; ip link set eth0 up",
        pod.holder.id()
    ));
    middle.sh(&format!("ip link set port{number} up"));
    node.sh(&format!("ip route add default via {}; ip -6 route add default via {}", gateway[0], gateway[1]));
    pod.sh(&format!(
        "ip addr add {}/24 dev eth0; ip addr add {}/64 dev eth0 nodad; ip link set eth0 up
         ip route add default via 10.244.{number}.1; ip -6 route add default via fd00:a{number}::1",
        names.pod[0], names.pod[1]
    ));
    node.serve();
    pod.serve();
    (node, pod)
}

fn world(middle: Host, all: Vec<(Host, Host)>) -> World {
    let (nodes, pods) = all.into_iter().unzip();
    let mut world = World { nodes, pods, _middle: middle };
    let outside = format!("ip addr add {}/32 dev lo; ip addr add {}/128 dev lo", OUTSIDE[0], OUTSIDE[1]);
    world._middle.sh(&outside);
    world._middle.serve();
    world
}

fn pod_of(number: usize) -> [String; 2] {
    [format!("10.244.{number}.2"), format!("fd00:a{number}::2")]
}

/// Three nodes on one link.
pub(super) fn near_world() -> (World, Names) {
    let middle = Host::new();
    middle.sh("ip link add br0 type bridge; ip link set br0 up
         ip addr add 192.0.2.254/24 dev br0; ip addr add 2001:db8::fe/64 dev br0 nodad");
    let names = |number: usize| NodeNames {
        address: [format!("192.0.2.{}", number + 1), format!("2001:db8::{}", number + 1)],
        pod: pod_of(number),
    };
    let names: Names = (0..3).map(names).collect();
    let all = names.iter().enumerate().map(|(number, names)| {
        let node = node(&middle, number, names, ["192.0.2.254", "2001:db8::fe"]);
        middle.sh(&format!("ip link set port{number} master br0"));
        node
    });
    let all = all.collect();
    (world(middle, all), names)
}

/// Two nodes with a router between them, which drops what pods send; the nodes check by which way packets come in.
pub(super) fn far_world() -> (World, Names) {
    let middle = Host::new();
    middle.sh("echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
         nft 'table inet pods { chain forward { type filter hook forward priority 0
              ip saddr 10.244.0.0/16 drop; ip6 saddr fd00::/16 drop; }; }'");
    let names: Names = [["192.0.2.1", "2001:db8:1::1"], ["198.51.100.1", "2001:db8:2::1"]]
        .into_iter()
        .enumerate()
        .map(|(number, address)| NodeNames { address: address.map(str::to_owned), pod: pod_of(number) })
        .collect();
    let gateways = [["192.0.2.254", "2001:db8:1::fe"], ["198.51.100.254", "2001:db8:2::fe"]];
    let all = names.iter().enumerate().map(|(number, names)| {
        let [v4, v6] = gateways[number];
        let made = node(&middle, number, names, gateways[number]);
        made.0.sh("echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter");
        middle
            .sh(&format!("ip addr add {v4}/24 dev port{number}; ip addr add {v6}/64 dev port{number} nodad"));
        made
    });
    let all = all.collect();
    (world(middle, all), names)
}

//! The agent of a cluster's node: the way of a Node to its routes, many Nodes and Services, and what pods of two nodes send
//! each other.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::agents::{node, until_on};
use super::harness::api_client::Client;
use super::median;
use super::world::{Cluster, Member, NODES, PORT, in_cluster, on_router};

/// Nodes that come, one after another.
const RUNS: usize = 100;
const NODE_COUNT: usize = 1_000;
const SERVICES: usize = 10_000;
/// Runs of each throughput.
const STREAMS: usize = 9;
/// How much one run sends.
const MIB: usize = 1024;

/// A link between the nodes, which is memory alone otherwise: the processor then has to make up for what a packet's way
/// into the pod and out of it costs.
const LINK: &str = "tc qdisc add dev eth0 root tbf rate 10gbit burst 1mb latency 20ms";

/// What the way between two nodes' pods is compared with.
enum Peer<'a> {
    /// The way to an address, from the first node itself.
    Node(&'a str),
    /// The way between the same pods, by another gateway.
    Gateway(&'a str),
}

/// Runs everything.
pub(crate) fn run() {
    in_cluster(|cluster| {
        cluster.of_three(1);
        new_nodes(cluster, "a new Node's routes", 0);
        let node = Peer::Node(&cluster.members[1].addresses[0]);
        throughput(cluster, "between pods of two nodes, routed (peer: between the nodes)", &node);
        cluster.members[0].node().sh(LINK);
        throughput(cluster, "the same on a link of 10 Gbit/s (peer: between the nodes)", &node);
    });
    in_cluster(vxlan);
    in_cluster(many);
}

fn ms(times: &[Duration]) -> f64 {
    median(times.iter().map(|time| time.as_secs_f64() * 1000.0).collect())
}

fn print_row(name: &str, ours: f64, peer: f64) {
    println!("{name:<58} {ours:>7.3} ms {peer:>7.3} ms {:>6.2}x {:>6.3} ms", ours / peer, ours - peer);
}

/// From the answer to the create of a Node to the second one of its routes.
fn new_nodes(cluster: &Cluster, title: &str, count: usize) {
    let mut command = cluster.members[0].node().command("ip", &["-o", "monitor", "route"]);
    let mut monitor = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
    // It listens as soon as it tells of something.
    let told = |lines: &mut std::io::Lines<BufReader<std::process::ChildStdout>>, what: &str| {
        while !lines.next().unwrap().unwrap().contains(what) {}
    };
    let mut client = Client::new(cluster.server());
    let mut ask = |method: &str, path: &str, body: &str| {
        let begun = Instant::now();
        let (code, answer) = client.ask(method, path, body).unwrap();
        assert!((200..300).contains(&code), "{answer}");
        begun.elapsed()
    };
    std::thread::sleep(Duration::from_millis(200));
    let (mut creates, mut routes, mut slowest) = (Vec::new(), Vec::new(), Duration::ZERO);
    for run in 0..RUNS {
        let part = 10 + run % 200;
        let cidrs = [format!("10.244.{part}.0/24"), format!("fd00:10:244:{part}::/64")];
        let cidrs = cidrs.each_ref().map(String::as_str);
        let object = node("coming", &cidrs, &["192.0.2.9", "2001:db8::9"]).to_string();
        creates.push(ask("POST", NODES, &object));
        let acknowledged = Instant::now();
        told(&mut lines, &format!("{} ", cidrs[0]));
        told(&mut lines, &format!("{} ", cidrs[1]));
        routes.push(acknowledged.elapsed());
        slowest = slowest.max(acknowledged.elapsed());
        ask("DELETE", &format!("{NODES}/coming"), "");
        told(&mut lines, &format!("eleted {} ", cidrs[0]));
        told(&mut lines, &format!("eleted {} ", cidrs[1]));
    }
    let _ = monitor.kill();
    let _ = monitor.wait();
    let title = format!("{title}, {} Nodes (peer: the create)", count + cluster.members.len());
    print_row(&title, ms(&routes), ms(&creates));
    println!("{:<58} {:>7.3} ms", "  the slowest", slowest.as_secs_f64() * 1000.0);
}

/// Sends as fast as it can, and prints how long that took until the other side has all.
const SEND: &str = r#"
import socket, sys, time
data = bytes(1 << 20)
with socket.create_connection((sys.argv[1], 5201), 20) as s:
    begun = time.perf_counter_ns()
    for _ in range(int(sys.argv[2])):
        s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    s.recv(1)
    print(time.perf_counter_ns() - begun)
"#;
const RECEIVE: &str = r#"
import socket
server = socket.create_server(("::", 5201), family=socket.AF_INET6, dualstack_ipv6=True)
data = bytearray(1 << 20)
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    with connection:
        while connection.recv_into(data):
            pass
        connection.sendall(b".")
"#;

/// What the second node's pod receives from the first one's, beside another way between the same nodes.
fn throughput(cluster: &Cluster, title: &str, peer: &Peer<'_>) {
    let [from, to] = [0, 1].map(|member: usize| &cluster.members[member]);
    let receivers = [Some(&to.pods[0]), None].map(|pod| {
        let mut python = to.command(pod, "python3");
        python.args(["-c", RECEIVE]);
        super::harness::talk::Process::start(python)
    });
    let once = |pod, host: &str| {
        let mut python = from.command(pod, "python3");
        let output = python.args(["-c", SEND, host, &MIB.to_string()]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        Duration::from_nanos(
            text.trim().parse().unwrap_or_else(|_| panic!("{text:?} {output:?}", output = output.stderr)),
        )
    };
    let (mut pods, mut peers) = (Vec::new(), Vec::new());
    let (pod, address) = (Some(&from.pods[0]), to.pods[0].addresses[0].as_str());
    for _ in 0..STREAMS {
        pods.push(once(pod, address));
        peers.push(match peer {
            Peer::Node(address) => once(None, address),
            Peer::Gateway(gateway) => {
                from.node().sh(&format!("ip route add {address} via {gateway}"));
                let took = once(pod, address);
                from.node().sh(&format!("ip route del {address} via {gateway}"));
                took
            }
        });
    }
    drop(receivers);
    print_row(&format!("{MIB} MiB {title}"), ms(&pods), ms(&peers));
}

/// The same over the agents' overlay, beside a VXLAN device that `ip` makes between the nodes.
fn vxlan(cluster: &mut Cluster) {
    cluster.join();
    cluster.join_far();
    for member in 0..2 {
        cluster.start_agent(member, &["--overlay=vxlan"]);
    }
    for member in &mut cluster.members {
        until_on(member, "ready", || member.is_ready() && member.routes().len() == 2);
        member.add_pod();
    }
    let remotes = [1, 0].map(|member: usize| cluster.members[member].addresses[0].clone());
    for (number, (member, remote)) in (1..).zip(cluster.members.iter().zip(remotes)) {
        let own = &member.addresses[0];
        member.node().sh(&format!(
            "ip link add peer0 type vxlan id 77 local {own} remote {remote} dstport 4790 dev eth0
             ip addr add 198.19.0.{number}/24 dev peer0; ip link set peer0 up"
        ));
    }
    for (title, peer) in [
        ("between pods of two nodes, --overlay=vxlan (peer: nodes, ip's VXLAN)", Peer::Node("198.19.0.2")),
        ("between pods of two nodes, --overlay=vxlan (peer: pods, ip's VXLAN)", Peer::Gateway("198.19.0.2")),
    ] {
        throughput(cluster, title, &peer);
    }
}

/// Many Nodes and Services: memory, a cold start, and one more Node.
fn many(cluster: &mut Cluster) {
    cluster.join();
    on_router("ip addr add 198.18.255.254/15 dev lan; ip addr add 2001:db8:18::fe/64 dev lan nodad");
    cluster.members[0]
        .node()
        .sh("ip addr add 198.18.0.1/15 dev eth0; ip addr add 2001:db8:18::1:1/64 dev eth0 nodad");
    let shared = &*cluster;
    std::thread::scope(|scope| {
        for worker in 0..4 {
            scope.spawn(move || fill(shared, worker, 4));
        }
    });
    for (what, keeps) in [("cold", false), ("with the kernel's state of before", true)] {
        cluster.members[0].end("KILL");
        if !keeps {
            let agent = super::harness::bin("podhosts-node");
            cluster.members[0].node().run(agent, &["--cleanup"]).success();
        }
        let begun = Instant::now();
        cluster.start_agent(0, &[]);
        let member = &cluster.members[0];
        until_on(member, "all", || member.is_ready() && member.routes().len() == 2 * NODE_COUNT);
        let took = begun.elapsed().as_secs_f64() * 1000.0;
        // The API server's own Service has one, too.
        assert!(elements(member) >= 2 * SERVICES);
        let title = format!("start to ready, {NODE_COUNT} Nodes, {SERVICES} Services, {what}");
        println!("{title:<58} {took:>7.0} ms");
    }
    let memory = cluster.members[0].metric("process_resident_memory_bytes").unwrap();
    println!(
        "{:<58} {:>7.1} MiB",
        format!("resident memory, {NODE_COUNT} Nodes, {SERVICES} Services"),
        memory / 1048576.0
    );
    new_nodes(cluster, "a new Node's routes", NODE_COUNT);
}

/// How many endpoints the packet filter has.
fn elements(member: &Member) -> usize {
    let map = member.node().run("nft", &["list", "map", "inet", "podhosts-services", "endpoints4"]).stdout;
    map.matches(" : ").count()
}

/// Creates every `workers`th Node and Service.
fn fill(cluster: &Cluster, worker: usize, workers: usize) {
    let mut client = Client::new(cluster.server());
    let mut ask = |path: &str, object: &Value| {
        let (code, answer) = client.ask("POST", path, &object.to_string()).unwrap();
        assert!((200..300).contains(&code), "{answer}");
    };
    for number in (worker..NODE_COUNT).step_by(workers) {
        let (high, low) = (number / 250, number % 250 + 1);
        let cidrs = [format!("10.{}.{low}.0/24", 100 + high), format!("fd00:{high}:{low}::/64")];
        let addresses = [format!("198.18.{}.{low}", 10 + high), format!("2001:db8:18::{}:{low}", 10 + high)];
        ask(
            NODES,
            &node(
                &format!("n{number}"),
                &cidrs.each_ref().map(String::as_str),
                &addresses.each_ref().map(String::as_str),
            ),
        );
    }
    for number in (worker..SERVICES).step_by(workers) {
        let name = format!("s{number}");
        let mut pods = String::new();
        write!(pods, "10.{}.{}.", 100 + number % 4, number % 250 + 1).unwrap();
        ask(
            "/api/v1/namespaces/default/services",
            &json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80, "targetPort": PORT}]}}),
        );
        let endpoints =
            [10, 11].map(|pod| json!({"addresses": [format!("{pods}{pod}")], "conditions": {"ready": true}}));
        ask(
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
            &json!({"metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}}, "addressType": "IPv4",
                "ports": [{"name": "", "port": PORT}], "endpoints": endpoints}),
        );
    }
}

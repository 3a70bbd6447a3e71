//! The Service proxy: a transaction against kube-proxy's layout, a connection against a direct one, and the way of a
//! change from the client to the packet filter.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use sys::net::nft::Protocol;
use sys::net::services::{
    Balance, Element, Endpoint, EndpointSet, Handling, Notices, Origin, Place, Scope, Table,
};

use super::cluster::{PORT, World};
use super::harness::in_new_netns;
use super::serve::free_port;
use super::{median, print_pairs};

const RUNS: usize = 300;
const PEER_RUNS: usize = 50;
/// Numbers of Services at which one more is added.
const SIZES: [u32; 3] = [1_000, 10_000, 100_000];
/// More would take minutes in kube-proxy's layout.
const PEER_MAX: u32 = 10_000;
/// Services of the measurements with a server.
const SERVICES: usize = 10_000;
const CONNECTIONS: usize = 10_000;
/// Connections while endpoints change.
const UNDER_CHANGE: usize = 100_000;

/// Runs everything, each part in a network namespace of its own.
pub(crate) fn run() {
    for size in SIZES {
        in_new_netns(|| commits(size));
    }
    run_server();
    run_under_change();
}

/// Runs what needs a server.
pub(crate) fn run_server() {
    in_new_netns(server);
}

/// Runs the connections that have to survive changes.
pub(crate) fn run_under_change() {
    in_new_netns(under_change);
}

/// Connects again and again, and prints why a connection failed. It resets each: thousands of ports that wait for a minute
/// would leave none for the next ones.
const CLIENT: &str = r#"
import socket, struct, sys
for _ in range(int(sys.argv[2])):
    try:
        with socket.create_connection((sys.argv[1], 80), 0.9) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if not s.recv(100).startswith(b"pod"):
                print("no answer")
    except OSError as error:
        print(error)
"#;

/// Prints medians in milliseconds with a microsecond's precision.
fn print_row(name: &str, ours: &[Duration], peer: &[Duration]) {
    let ms = |times: &[Duration]| median(times.iter().map(|time| time.as_secs_f64() * 1000.0).collect());
    let (ours, peer) = (ms(ours), ms(peer));
    println!("{name:<58} {ours:>7.3} ms {peer:>7.3} ms {:>6.2}x {:>6.3} ms", ours / peer, ours - peer);
}

fn address(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits((10 << 24) + (96 << 16) + number))
}

/// The elements of a Service with two endpoints.
fn elements(number: u32) -> Vec<Element> {
    let (cluster_ip, protocol, port) = (address(number), Protocol::Tcp, 80);
    let set = EndpointSet { cluster_ip, protocol, port, scope: Scope::Cluster };
    let place = Place { address: cluster_ip, protocol, port };
    let service = |origin| {
        let masquerade = origin == Origin::Outside;
        let balance = Balance { set, slots: 2, masquerade, affinity_seconds: 0, checks_source: false };
        Element::Service { place, origin, handling: Handling::Balance(balance) }
    };
    let slot = |index: u32| {
        let pod = IpAddr::V4(Ipv4Addr::from_bits((10 << 24) + (128 << 16) + number * 2 + index));
        Element::Slot { set, index, endpoint: Endpoint { address: pod, port: 8080 } }
    };
    vec![service(Origin::Inside), service(Origin::Outside), slot(0), slot(1), Element::ClusterIp(cluster_ip)]
}

/// One more Service, in our table and in one with a chain and rules for each Service.
fn commits(size: u32) {
    let mut table = Table::open().unwrap();
    let all: Vec<Element> = (0..size).flat_map(elements).collect();
    let begun = Instant::now();
    table.replace(&all).unwrap();
    let bulk = begun.elapsed();
    println!(
        "{:<58} {:>7.0} ms",
        format!("all of {size} Services in one transaction"),
        bulk.as_secs_f64() * 1000.0
    );
    let one = elements(size + 1);
    let mut ours = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        table.change(&[], &one).unwrap();
        ours.push(begun.elapsed());
        table.change(&one, &[]).unwrap();
    }
    if size > PEER_MAX {
        return print_row(&format!("one more Service, {size} (peer: itself)"), &ours, &ours);
    }
    // The kernel checks the chains of all tables, so each layout is measured alone.
    table.remove().unwrap();
    nft(&chains(0..size));
    let mut peer = Vec::new();
    for _ in 0..PEER_RUNS {
        peer.push(nft(&chains(size + 1..size + 2)));
        let (address, name) = (address(size + 1), size + 1);
        nft(&format!(
            "delete element ip peer services {{ {address} . tcp . 80 }}\ndelete chain ip peer s{name}"
        ));
    }
    print_row(&format!("one more Service, {size} (peer: kube-proxy's layout, by nft)"), &ours, &peer);
}

/// kube-proxy's layout, simplified: a chain for each Service, with a map of its endpoints.
fn chains(services: std::ops::Range<u32>) -> String {
    let mut script = String::from(
        "table ip peer { map services { type ipv4_addr . inet_proto . inet_service : verdict; }; \
         chain prerouting { type nat hook prerouting priority dstnat; ip daddr . ip protocol . th dport vmap @services; }; }\n",
    );
    if services.start != 0 {
        script.clear();
    }
    for number in services {
        let pod = |index| Ipv4Addr::from_bits((10 << 24) + (128 << 16) + number * 2 + index);
        write!(
            script,
            "add chain ip peer s{number}\nadd rule ip peer s{number} ip protocol tcp dnat ip to numgen random mod 2 map {{ 0 : {} . 8080, 1 : {} . 8080 }}\n\
             add element ip peer services {{ {} . tcp . 80 : goto s{number} }}\n",
            pod(0),
            pod(1),
            address(number)
        )
        .unwrap();
    }
    script
}

/// Runs nft, as kube-proxy does; how long it took.
fn nft(script: &str) -> Duration {
    let begun = Instant::now();
    let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    nft.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(nft.wait().unwrap().success());
    begun.elapsed()
}

/// A connection to the server without TLS.
struct Api(TcpStream);

impl Api {
    /// Makes a request; how long the answer took.
    fn ask(&mut self, method: &str, path: &str, body: &str) -> (String, Duration) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let begun = Instant::now();
        self.0.write_all(request.as_bytes()).unwrap();
        let (mut received, mut buffer) = (Vec::new(), [0; 16384]);
        loop {
            let count = self.0.read(&mut buffer).unwrap();
            assert!(count > 0, "the server hung up");
            received.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&received);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                assert!(head.starts_with("HTTP/1.1 20"), "{text}");
                return (body.to_owned(), begun.elapsed());
            }
        }
    }

    /// Creates a Service with an EndpointSlice of two endpoints.
    fn create(&mut self, name: &str, pods: [&str; 2]) -> [Duration; 2] {
        let service =
            json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80, "targetPort": PORT}]}});
        let endpoints = pods.map(|pod| json!({"addresses": [pod], "nodeName": "node1"}));
        let slice = json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}}, "addressType": "IPv4",
            "ports": [{"name": "", "port": PORT}], "endpoints": endpoints,
        });
        let service = self.ask("POST", "/api/v1/namespaces/default/services", &service.to_string()).1;
        let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
        [service, self.ask("POST", slices, &slice.to_string()).1]
    }
}

fn connect(port: u16) -> Api {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    Api(stream)
}

/// The way of a change, a cold start, memory, and connections, with many Services.
fn server() {
    let port = free_port();
    let flag = format!("--insecure-port={port}");
    let mut world = World::with_flags(3, &[&flag]);
    let pods: Vec<String> = world.pods.iter().map(|pod| pod.addresses[0].clone()).collect();
    connect(port).create("first", [&pods[0], &pods[1]]);
    world.settle();
    connections(&world, "a connection through a cluster IP, 1 Service (peer: direct)");
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let pods = &pods;
            scope.spawn(move || {
                let mut api = connect(port);
                for number in 0..SERVICES / 8 {
                    api.create(&format!("s{worker}-{number}"), [&pods[0], &pods[1]]);
                }
            });
        }
    });
    world.settle();
    changes(&mut connect(port), &pods);
    world.settle();
    println!("{:<58} {:>6} KiB", format!("resident memory, {SERVICES} Services"), world.server().memory());
    connections(&world, &format!("a connection through a cluster IP, {SERVICES} Services (peer: direct)"));
    for (what, keeps) in [("cold", false), ("with the table of before", true)] {
        world.server.take().unwrap().kill();
        if !keeps {
            nft("delete table inet podhosts-services\n");
        }
        let begun = Instant::now();
        world.start(&[&flag]);
        let took = begun.elapsed().as_secs_f64() * 1000.0;
        println!("{:<58} {took:>7.0} ms", format!("start to ready, {SERVICES} Services, {what}"));
    }
    println!(
        "{:<58} {:>6} KiB",
        format!("resident memory after a start, {SERVICES} Services"),
        world.server().memory()
    );
}

/// From the client's answer to the notification of the kernel.
fn changes(api: &mut Api, pods: &[String]) {
    let mut notices = Notices::open().unwrap();
    let (mut services, mut rules) = (Vec::new(), Vec::new());
    for number in 0..RUNS {
        let _ = notices.has_foreign_change(0);
        let service = json!({"metadata": {"name": format!("m{number}")}, "spec": {"ports": [{"port": 80, "targetPort": PORT}]}});
        services.push(api.ask("POST", "/api/v1/namespaces/default/services", &service.to_string()).1);
        let acknowledged = Instant::now();
        while !notices.has_foreign_change(0).unwrap() {
            std::thread::yield_now();
        }
        rules.push(acknowledged.elapsed());
    }
    assert!(!pods.is_empty());
    print_row(
        &format!("acknowledged create to rule, {SERVICES} Services (peer: the create)"),
        &rules,
        &services,
    );
}

/// Connects to pods and through their Service. A pair has one connection of each, in random order, to a pod that is chosen
/// at random, as the Service chooses: the one pod that is always asked, and the side that always follows the other, would be
/// faster. Client and servers share a processor, else most of the time goes by until another one wakes up.
fn connections(world: &World, title: &str) {
    const CLIENT: &str = r#"
import os, random, socket, struct, sys, time
cluster_ip, port, count, *servers = sys.argv[1:]
pods, pids = servers[::2], servers[1::2]
for pid in [0, *map(int, pids)]:
    os.sched_setaffinity(pid, {0})
def once(address):
    begun = time.perf_counter_ns()
    s = socket.create_connection(address)
    took = time.perf_counter_ns() - begun
    s.recv(100)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    return took
def through():
    return once((cluster_ip, 80))
def direct():
    return once((random.choice(pods), int(port)))
for _ in range(int(count)):
    if random.random() < 0.5:
        print(through(), direct())
    else:
        took = direct()
        print(through(), took)
"#;
    let service = world.ask("GET", "/api/v1/namespaces/default/services/first", &json!(null));
    let cluster_ip = service["spec"]["clusterIP"].as_str().unwrap();
    let mut client = world.pods[2].netns.command("python3");
    client.args(["-c", CLIENT, cluster_ip, &PORT.to_string(), &CONNECTIONS.to_string()]);
    for pod in &world.pods[..2] {
        client.args([&pod.addresses[0], &pod.server.pid().to_string()]);
    }
    let output = String::from_utf8(client.output().unwrap().stdout).unwrap();
    let times = |at: usize| -> Vec<Duration> {
        let one = |line: &str| Duration::from_nanos(line.split(' ').nth(at).unwrap().parse().unwrap());
        output.lines().map(one).collect()
    };
    print_pairs(title, &times(0), &times(1), 3);
}

/// Connections while the endpoints of their Service change all the time.
fn under_change() {
    let port = free_port();
    let world = World::with_flags(4, &[&format!("--insecure-port={port}")]);
    let pods: Vec<String> = world.pods.iter().map(|pod| pod.addresses[0].clone()).collect();
    connect(port).create("first", [&pods[0], &pods[1]]);
    world.settle();
    let service = world.ask("GET", "/api/v1/namespaces/default/services/first", &json!(null));
    let cluster_ip = service["spec"]["clusterIP"].as_str().unwrap().to_owned();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    let (mut failed, mut changes) = (0, 0);
    std::thread::scope(|scope| {
        let changing = scope.spawn(|| {
            let mut api = connect(port);
            let mut count = 0;
            let path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/first";
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                // One, two or three endpoints, of which one is always new.
                let some = (0..=count % 3).map(|n| &pods[(count + n) % 3]);
                let endpoints: Vec<_> =
                    some.map(|pod| json!({"addresses": [pod], "nodeName": "node1"})).collect();
                let slice = json!({
                    "metadata": {"name": "first", "labels": {"kubernetes.io/service-name": "first"}},
                    "addressType": "IPv4", "ports": [{"name": "", "port": PORT}], "endpoints": endpoints,
                });
                api.ask("PUT", path, &slice.to_string());
                count += 1;
            }
            count
        });
        let client = || {
            let mut client = world.pods[3].netns.command("python3");
            // A SYN that is lost is sent again after a second: that counts as stalled.
            client.args(["-c", CLIENT, &cluster_ip, &(UNDER_CHANGE / 2).to_string()]);
            String::from_utf8(client.output().unwrap().stdout).unwrap()
        };
        let clients = [(); 2].map(|()| scope.spawn(client));
        for client in clients {
            let failures = client.join().unwrap();
            failed += failures.lines().count();
            failures.lines().take(3).for_each(|failure| println!("  {failure}"));
        }
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        changes = changing.join().unwrap();
    });
    println!(
        "{:<58} {failed:>7} of {UNDER_CHANGE}, {changes} changes",
        "connections failed or stalled while endpoints change"
    );
}

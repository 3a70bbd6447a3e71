//! Real packets through the table of Services, in both families, over TCP and UDP.

use std::collections::BTreeSet;
use std::process::Stdio;

use sys::net::conntrack::Conntrack;
use sys::net::nft::Protocol;
use sys::net::services::{Balance, Element, Handling, Origin, Table};

use super::elements::{
    PORT, balance, balanced, endpoint, ip, local, network, place, service, services, set, slots,
};
use super::world::{
    CLIENT, GATEWAY_A, NODE, POD_A, POD_B, ask, ask_often, ask_shortly, asking, in_world, inside, python,
};
use crate::harness::needs;
use crate::harness::talk::Process;

const CLUSTER_IP: [&str; 2] = ["10.96.0.10", "fd96::10"];
const KINDS: [(&str, Protocol); 2] = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];
const NODE_PORT: u16 = 30080;
const REFUSED: &str = "ConnectionRefusedError at once";
const NOT_SENT: &str = "PermissionError at once";
const DROPPED: &str = "TimeoutError late";

fn pods(family: usize) -> [&'static str; 2] {
    [POD_A[family], POD_B[family]]
}

/// A Service with both pods for each family and protocol.
fn both_pods() -> Vec<Element> {
    let mut all = inside();
    for family in [0, 1] {
        for (_, protocol) in KINDS {
            all.extend(balanced(CLUSTER_IP[family], protocol, &pods(family)));
        }
    }
    all
}

fn install(elements: &[Element]) -> Table {
    let mut table = Table::open().unwrap();
    table.replace(elements).unwrap();
    table
}

fn of<'a>(answers: &[&'a str]) -> BTreeSet<&'a str> {
    answers.iter().copied().collect()
}

fn distinct(answers: &[String]) -> BTreeSet<&str> {
    answers.iter().map(String::as_str).collect()
}

#[test]
fn connections_spread_over_the_slots_and_keep_the_clients_address() {
    needs!("ip", "python3");
    in_world(|world| {
        let _table = install(&both_pods());
        for (kind, _) in KINDS {
            for family in [0, 1] {
                let asked = |command| ask_often(command, kind, CLUSTER_IP[family], PORT, 60);
                let from = |address: &str| ["a", "b"].map(|name| format!("{name} {address}"));
                let answers = asked(world.client.command("python3"));
                let client = from(CLIENT[family]);
                assert_eq!(distinct(&answers), of(&client.each_ref().map(String::as_str)));
                // From the node, by the output hook.
                let node = from(NODE[family]);
                assert_eq!(distinct(&asked(python())), of(&node.each_ref().map(String::as_str)));
            }
        }
    });
}

#[test]
fn what_has_no_endpoint_is_refused_at_once_or_dropped() {
    needs!("ip", "python3");
    in_world(|world| {
        let mut all = inside();
        for family in [0, 1] {
            for (_, protocol) in KINDS {
                let at = |port| place(CLUSTER_IP[family], protocol, port);
                all.extend(services(at(81), Handling::Reject));
                all.extend(services(at(82), Handling::Drop));
            }
            all.push(Element::ClusterIp(ip(CLUSTER_IP[family])));
        }
        all.push(Element::ServiceNetwork(network("10.96.0.0", "10.96.255.255")));
        all.push(Element::ServiceNetwork(network("fd96::", "fd96::ffff")));
        let _table = install(&all);
        for (kind, _) in KINDS {
            for (cluster_ip, unused) in CLUSTER_IP.iter().zip(["10.96.0.99", "fd96::99"]) {
                for is_outside in [true, false] {
                    let command = || if is_outside { world.client.command("python3") } else { python() };
                    let asked = |port| ask(command(), kind, cluster_ip, port);
                    // The node's own datagram is not sent at all.
                    let refused = if kind == "udp" && !is_outside { NOT_SENT } else { REFUSED };
                    assert_eq!(asked(81), refused, "{kind} {cluster_ip}");
                    // A port that no Service has.
                    assert_eq!(asked(83), refused, "{kind} {cluster_ip}");
                }
                let shortly = |host, port| ask_shortly(world.client.command("python3"), kind, host, port);
                assert_eq!(shortly(cluster_ip, 82), DROPPED, "{kind} {cluster_ip}");
                // An address that no Service has.
                assert_eq!(shortly(unused, 81), DROPPED, "{kind} {cluster_ip}");
            }
        }
    });
}

#[test]
fn a_flag_masquerades_and_a_pod_reaches_itself() {
    needs!("ip", "python3");
    in_world(|world| {
        let mut all = inside();
        for family in [0, 1] {
            for (_, protocol) in KINDS {
                let set = set(CLUSTER_IP[family], protocol);
                let at = |port| place(NODE[family], protocol, port);
                let handling = |masquerade| Handling::Balance(Balance { masquerade, ..balance(set, 1) });
                all.extend(slots(set, &POD_A[family..=family]));
                all.extend(services(place(CLUSTER_IP[family], protocol, PORT), handling(false)));
                all.extend(services(at(NODE_PORT), handling(true)));
                all.extend(services(at(NODE_PORT + 1), handling(false)));
            }
            all.push(Element::Hairpin(ip(POD_A[family])));
        }
        let _table = install(&all);
        for (kind, _) in KINDS {
            for family in [0, 1] {
                let asked = |command, host, port| ask(command, kind, host, port);
                let outside = |port| asked(world.client.command("python3"), NODE[family], port);
                assert_eq!(outside(NODE_PORT), format!("a {}", GATEWAY_A[family]));
                assert_eq!(outside(NODE_PORT + 1), format!("a {}", CLIENT[family]));
                // The pod would not take an answer from itself.
                let itself = asked(world.a.command("python3"), CLUSTER_IP[family], PORT);
                assert_eq!(itself, format!("a {}", GATEWAY_A[family]));
                let other = asked(world.b.command("python3"), CLUSTER_IP[family], PORT);
                assert_eq!(other, format!("a {}", POD_B[family]));
                // Without the table's translation there is nothing to masquerade.
                let direct = asked(world.b.command("python3"), POD_A[family], super::elements::TARGET);
                assert_eq!(direct, format!("a {}", POD_B[family]));
            }
        }
    });
}

#[test]
fn a_connection_from_outside_has_the_endpoints_of_the_node_alone() {
    needs!("ip", "python3");
    in_world(|world| {
        let mut all = inside();
        for family in [0, 1] {
            for (_, protocol) in KINDS {
                let set = set(CLUSTER_IP[family], protocol);
                let at = place(NODE[family], protocol, NODE_PORT);
                all.extend(slots(set, &pods(family)));
                all.extend(slots(local(set), &POD_B[family..=family]));
                all.push(service(at, Origin::Inside, Handling::Balance(balance(set, 2))));
                all.push(service(at, Origin::Outside, Handling::Balance(balance(local(set), 1))));
            }
        }
        let mut table = install(&all);
        for (kind, protocol) in KINDS {
            for family in [0, 1] {
                let asked = |command| ask_often(command, kind, NODE[family], NODE_PORT, 60);
                let outside = asked(world.client.command("python3"));
                assert_eq!(distinct(&outside), of(&[&format!("b {}", CLIENT[family])]));
                let inside = asked(python());
                let expected = ["a", "b"].map(|name| format!("{name} {}", NODE[family]));
                assert_eq!(distinct(&inside), of(&expected.each_ref().map(String::as_str)));
                // Without local endpoints: dropped.
                let at = place(NODE[family], protocol, NODE_PORT);
                let old = Handling::Balance(balance(local(set(CLUSTER_IP[family], protocol)), 1));
                let change = [old, Handling::Drop].map(|handling| service(at, Origin::Outside, handling));
                table.change(&change[..1], &change[1..]).unwrap();
                assert_eq!(
                    ask_shortly(world.client.command("python3"), kind, NODE[family], NODE_PORT),
                    DROPPED
                );
            }
        }
    });
}

#[test]
fn only_sources_in_a_range_connect_where_sources_are_checked() {
    needs!("ip", "python3");
    in_world(|world| {
        let mut all = inside();
        for family in [0, 1] {
            for (_, protocol) in KINDS {
                let set = set(CLUSTER_IP[family], protocol);
                let checked = Handling::Balance(Balance { checks_source: true, ..balance(set, 1) });
                all.extend(slots(set, &POD_A[family..=family]));
                for port in [NODE_PORT, NODE_PORT + 1] {
                    all.push(service(place(NODE[family], protocol, port), Origin::Outside, checked));
                }
                let sources =
                    [network("192.0.2.2", "192.0.2.9"), network("2001:db8::", "2001:db8::ffff")][family];
                all.push(Element::SourceRange { place: place(NODE[family], protocol, NODE_PORT), sources });
                let sources =
                    [network("192.0.2.3", "192.0.2.9"), network("2001:db8::3", "2001:db8::ffff")][family];
                all.push(Element::SourceRange {
                    place: place(NODE[family], protocol, NODE_PORT + 1),
                    sources,
                });
            }
        }
        let _table = install(&all);
        for (kind, _) in KINDS {
            for family in [0, 1] {
                let answer = ask(world.client.command("python3"), kind, NODE[family], NODE_PORT);
                assert_eq!(answer, format!("a {}", CLIENT[family]));
                let client = world.client.command("python3");
                assert_eq!(ask_shortly(client, kind, NODE[family], NODE_PORT + 1), DROPPED);
            }
        }
    });
}

/// The kernel forgets all UDP flows: one of forty new clients may well have the port of one of before.
fn forget_flows() {
    let mut conntrack = Conntrack::open().unwrap();
    let mut flows = Vec::new();
    conntrack.for_each(|flow| flows.push(*flow)).unwrap();
    for flow in &flows {
        conntrack.delete(flow).unwrap();
    }
}

#[test]
fn a_client_with_affinity_keeps_its_endpoint_until_that_is_gone() {
    needs!("ip", "python3", "nft");
    in_world(|world| {
        let mut all = inside();
        for family in [0, 1] {
            for (_, protocol) in KINDS {
                let set = set(CLUSTER_IP[family], protocol);
                let sticky = Balance { affinity_seconds: 100, ..balance(set, 2) };
                all.extend(slots(set, &pods(family)));
                all.extend(services(place(CLUSTER_IP[family], protocol, PORT), Handling::Balance(sticky)));
                all.extend(pods(family).map(|pod| Element::Member { set, endpoint: endpoint(pod) }));
            }
        }
        let mut table = install(&all);
        for (kind, protocol) in KINDS {
            for family in [0, 1] {
                let asked =
                    |count| ask_often(world.client.command("python3"), kind, CLUSTER_IP[family], PORT, count);
                let kept = asked(40);
                assert_eq!(distinct(&kept).len(), 1, "{kept:?}");
                let is_a = kept[0].starts_with('a');
                // Away with that endpoint: the other one has its slot.
                let set = set(CLUSTER_IP[family], protocol);
                let pods = pods(family);
                let (gone, stays) = if is_a { (0, 1) } else { (1, 0) };
                let old = [slots(set, &pods)[gone], Element::Member { set, endpoint: endpoint(pods[gone]) }];
                let mut filled = slots(set, &[pods[stays], pods[stays]]);
                let new = filled.swap_remove(gone);
                table.change(&old, &[new]).unwrap();
                forget_flows();
                let next = asked(40);
                let expected = format!("{} {}", ["a", "b"][stays], CLIENT[family]);
                assert_eq!(distinct(&next), of(&[&expected]));
                // Back again: the client stays with the other one, which is remembered in place of it.
                table.change(&[new], &old).unwrap();
                forget_flows();
                assert_eq!(distinct(&asked(40)), of(&[&expected]));
            }
        }
        let shown = crate::harness::nft::nft(&["list", "map", "inet", "podhosts-services", "affinity4"]);
        assert!(shown.contains("timeout 1m40s expires"), "{shown}");
    });
}

/// The endpoints of a Service change all the time while clients connect to it: the number of slots, which endpoint is in
/// which, and what the other Services have.
#[test]
fn no_connection_fails_while_endpoints_change() {
    needs!("ip", "python3");
    in_world(|world| {
        let mut all = both_pods();
        let mut table = install(&all);
        let count = 4000;
        let mut clients: Vec<Process> = [0, 1]
            .map(|family| {
                let mut client =
                    asking(world.client.command("python3"), "tcp", CLUSTER_IP[family], PORT, count, "0.9");
                Process(client.stdout(Stdio::piped()).spawn().unwrap())
            })
            .into();
        let mut outputs = Vec::new();
        for client in &mut clients {
            let mut stdout = client.0.stdout.take().unwrap();
            outputs.push(std::thread::spawn(move || std::io::read_to_string(&mut stdout).unwrap()));
        }
        let mut changes = 0;
        while !outputs.iter().all(std::thread::JoinHandle::is_finished) {
            changes += 1;
            let slots: [&[usize]; 4] = [&[0, 1], &[1], &[1, 0, 1, 0, 0], &[0]];
            let slots = slots[changes % slots.len()];
            let mut next = inside();
            for family in [0, 1] {
                let chosen: Vec<&str> = slots.iter().map(|pod| pods(family)[*pod]).collect();
                next.extend(balanced(CLUSTER_IP[family], Protocol::Tcp, &chosen));
            }
            let without = |one: &[Element], other: &[Element]| -> Vec<Element> {
                one.iter().filter(|element| !other.contains(element)).copied().collect()
            };
            table.change(&without(&all, &next), &without(&next, &all)).unwrap();
            all = next;
        }
        let answers: String = outputs.into_iter().map(|output| output.join().unwrap()).collect();
        let good = answers.lines().filter(|line| line.starts_with("a ") || line.starts_with("b ")).count();
        let bad: Vec<&str> =
            answers.lines().filter(|line| !line.starts_with("a ") && !line.starts_with("b ")).collect();
        assert_eq!((good, bad.len()), (count * 2, 0), "after {changes} changes: {bad:?}");
        assert!(changes > 1000, "{changes}");
    });
}

#[test]
fn connections_survive_that_the_table_is_made_anew() {
    needs!("ip", "python3");
    in_world(|world| {
        let mut table = install(&both_pods());
        // A line for each line that it gets.
        let echo =
            "import socket; s = socket.create_server(('', 9000)); c, _ = s.accept(); f = c.makefile('rw')
print('ready', flush=True)
for line in f: f.write(line); f.flush()";
        let _echo =
            Process(world.a.command("python3").args(["-c", echo]).stdout(Stdio::null()).spawn().unwrap());
        let set = set(CLUSTER_IP[0], Protocol::Tcp);
        let mut all = inside();
        all.push(Element::Slot {
            set,
            index: 0,
            endpoint: sys::net::services::Endpoint { address: ip(POD_A[0]), port: 9000 },
        });
        all.extend(services(place(CLUSTER_IP[0], Protocol::Tcp, 9000), Handling::Balance(balance(set, 1))));
        table.replace(&all).unwrap();
        let talk = "import socket, sys, time
for _ in range(100):
    try: s = socket.create_connection((sys.argv[1], 9000)); break
    except ConnectionRefusedError: time.sleep(0.1)
s.settimeout(20); f = s.makefile('rw')
for line in sys.stdin:
    f.write(line); f.flush(); print(f.readline(), end='', flush=True)";
        let mut client = world.client.command("python3");
        client.args(["-c", talk, CLUSTER_IP[0]]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut client = Process(client.spawn().unwrap());
        let mut input = client.0.stdin.take().unwrap();
        let mut output = std::io::BufReader::new(client.0.stdout.take().unwrap());
        let mut said = |text: &str| {
            std::io::Write::write_all(&mut input, text.as_bytes()).unwrap();
            let mut line = String::new();
            std::io::BufRead::read_line(&mut output, &mut line).unwrap();
            assert_eq!(line, text);
        };
        said("before\n");
        table.replace(&inside()).unwrap();
        said("without the Service\n");
        for _ in 0..20 {
            table.replace(&all).unwrap();
            said("and again\n");
        }
    });
}

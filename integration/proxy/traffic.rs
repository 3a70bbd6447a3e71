//! Real packets to Services: from a pod, from an endpoint to itself, from the node and from outside.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cluster::{From, NODE, OUTSIDE, World};
use crate::harness::{in_new_netns, needs};

const BOTH: [&str; 2] = ["tcp", "udp"];
const REFUSED: &str = "ConnectionRefusedError";

/// Runs a test in a world of `pods` pods.
pub(super) fn in_world(pods: usize, test: impl FnOnce(&mut World) + Send) {
    in_new_netns(|| test(&mut World::new(pods)));
}

/// The name of the pod that answered, and the address that it saw.
#[track_caller]
fn parts(answer: &str) -> (&str, &str) {
    answer.split_once(' ').unwrap_or_else(|| panic!("{answer}"))
}

/// How often each pod answered.
pub(super) fn counts(answers: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    answers.iter().for_each(|answer| *counts.entry(parts(answer).0).or_default() += 1);
    counts
}

#[test]
fn every_address_of_a_service_leads_to_its_endpoints() {
    needs!("nft", "ip", "python3");
    in_world(4, |world| {
        let service = world.service("web", json!({"type": "LoadBalancer", "externalIPs": ["203.0.113.7"]}));
        world.endpoints("web", &[0, 1, 2]);
        let client = &world.pods[3];
        for kind in BOTH {
            for family in [0, 1] {
                let cluster_ip = &service.cluster_ips()[family];
                let ingress = &service.ingress()[family];
                let node_port = service.node_ports()[usize::from(kind == "udp")];
                let own = client.addresses[family].as_str();
                // A pod keeps its address on the way to a cluster IP.
                let from_pod = From::In(&client.netns);
                assert_eq!(parts(&from_pod.get(kind, cluster_ip, 80)).1, own);
                assert_eq!(parts(&From::Node.get(kind, cluster_ip, 80)).1, NODE[family]);
                for (host, port) in [(ingress.as_str(), 80), (NODE[family], node_port)] {
                    for from in [from_pod, From::Node, From::In(&world.outside)] {
                        let answer = from.get(kind, host, port);
                        let seen = parts(&answer).1;
                        // It is the node's, on whichever of its interfaces: fe80::1 and 169.254.1.1 are pods' gateways.
                        assert!(![own, OUTSIDE[family]].contains(&seen), "{kind} {host} {answer}");
                    }
                }
            }
            assert!(From::In(&world.outside).get(kind, "203.0.113.7", 80).starts_with("pod"));
        }
    });
}

#[test]
fn an_endpoint_reaches_itself_through_its_service() {
    needs!("nft", "ip", "python3");
    in_world(1, |world| {
        let service = world.service("web", json!({}));
        world.endpoints("web", &[0]);
        for kind in BOTH {
            for family in [0, 1] {
                let answer = From::In(&world.pods[0].netns).get(kind, &service.cluster_ips()[family], 80);
                let (name, seen) = parts(&answer);
                assert_eq!(name, "pod0");
                assert_ne!(seen, world.pods[0].addresses[family]);
            }
        }
    });
}

#[test]
fn a_service_cidr_over_the_nodes_own_address_cuts_nobody_off() {
    needs!("nft", "ip", "python3");
    in_world(0, |world| {
        let spec =
            json!({"metadata": {"name": "nodes"}, "spec": {"cidrs": ["192.0.2.0/25", "2001:db8::/120"]}});
        world.ask("POST", "/apis/networking.k8s.io/v1/servicecidrs", &spec);
        world.settle();
        for address in NODE {
            // Nobody listens there.
            assert_eq!(From::In(&world.outside).get("tcp", address, 9), REFUSED);
        }
    });
}

#[test]
fn connections_are_spread_evenly() {
    needs!("nft", "ip", "python3");
    in_world(4, |world| {
        let service = world.service("web", json!({}));
        world.endpoints("web", &[0, 1, 2]);
        for family in [0, 1] {
            let answers =
                From::In(&world.pods[3].netns).answers("tcp", &service.cluster_ips()[family], 80, 3000, "20");
            let counts = counts(&answers);
            assert_eq!(counts.len(), 3, "{counts:?}");
            // Five standard deviations of a fair choice: one run in a million is further off.
            assert!(counts.values().all(|count| (870..=1130).contains(count)), "{counts:?}");
        }
    });
}

#[test]
fn without_endpoints_connections_are_refused_at_once() {
    needs!("nft", "ip", "python3");
    in_world(2, |world| {
        let service = world.service("web", json!({"type": "LoadBalancer"}));
        world.endpoints("web", &[]);
        let refused = |world: &World| {
            for kind in BOTH {
                for family in [0, 1] {
                    let places = [
                        (service.cluster_ips()[family].clone(), 80),
                        (service.ingress()[family].clone(), 80),
                        (NODE[family].to_owned(), service.node_ports()[usize::from(kind == "udp")]),
                    ];
                    for (host, port) in places {
                        for from in [From::In(&world.pods[0].netns), From::Node, From::In(&world.outside)] {
                            let answer = from.get(kind, &host, port);
                            // The kernel tells the node's own program before there is a packet to answer with ICMP.
                            let is_told =
                                matches!(from, From::Node) && kind == "udp" && answer == "PermissionError";
                            assert!(answer == REFUSED || is_told, "{kind} {host} {port}: {answer}");
                        }
                    }
                }
            }
        };
        refused(world);
        world.endpoints("web", &[1]);
        assert!(From::Node.get("tcp", &service.cluster_ips()[0], 80).starts_with("pod1 "));
        world.endpoints_with("web", &[1], |_, endpoint| endpoint["conditions"] = json!({"ready": false}));
        refused(world);
        // Neither does another port of a cluster IP lead anywhere.
        assert_eq!(From::In(&world.pods[0].netns).get("tcp", &service.cluster_ips()[0], 81), REFUSED);
    });
}

#[test]
fn endpoints_that_terminate_serve_as_long_as_there_are_no_others() {
    needs!("nft", "ip", "python3");
    in_world(3, |world| {
        let service = world.service("web", json!({}));
        let terminating = json!({"ready": false, "serving": true, "terminating": true});
        let answering = |world: &World| {
            let answers =
                From::In(&world.pods[2].netns).answers("tcp", &service.cluster_ips()[0], 80, 50, "20");
            counts(&answers).keys().map(ToString::to_string).collect::<Vec<_>>()
        };
        world.endpoints_with("web", &[0, 1], |pod, endpoint| {
            if pod == 0 {
                endpoint["conditions"] = terminating.clone();
            }
        });
        assert_eq!(answering(world), ["pod1"]);
        world.endpoints_with("web", &[0], |_, endpoint| endpoint["conditions"] = terminating.clone());
        assert_eq!(answering(world), ["pod0"]);
    });
}

#[test]
fn a_policy_of_local_keeps_the_clients_address_and_drops_where_there_is_no_endpoint() {
    needs!("nft", "ip", "python3");
    in_world(3, |world| {
        let service = world.service("web", json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"}));
        let elsewhere = |_: usize, endpoint: &mut Value| endpoint["nodeName"] = "other".into();
        world.endpoints("web", &[0]);
        let outside = From::In(&world.outside);
        for kind in BOTH {
            for family in [0, 1] {
                let node_port = service.node_ports()[usize::from(kind == "udp")];
                for (host, port) in [(service.ingress()[family].as_str(), 80), (NODE[family], node_port)] {
                    assert_eq!(outside.get(kind, host, port), format!("pod0 {}", OUTSIDE[family]));
                }
            }
        }
        // Clients inside are led to the endpoints of the whole cluster; here "elsewhere" is a pod all the same.
        world.endpoints_with("web", &[1], elsewhere);
        for family in [0, 1] {
            let ingress = &service.ingress()[family];
            assert!(outside.is_dropped("tcp", ingress, 80));
            assert!(outside.is_dropped("tcp", NODE[family], service.node_ports()[0]));
            assert!(From::In(&world.pods[2].netns).get("tcp", ingress, 80).starts_with("pod1 "));
            assert!(From::Node.get("tcp", ingress, 80).starts_with("pod1 "));
        }
        let inside = world.service("inside", json!({"internalTrafficPolicy": "Local"}));
        world.endpoints_with("inside", &[1], elsewhere);
        assert!(From::In(&world.pods[2].netns).is_dropped("tcp", &inside.cluster_ips()[0], 80));
        world.endpoints("inside", &[1]);
        assert!(From::In(&world.pods[2].netns).get("tcp", &inside.cluster_ips()[0], 80).starts_with("pod1 "));
    });
}

#[test]
fn a_client_with_session_affinity_keeps_its_endpoint_as_long_as_that_exists() {
    needs!("nft", "ip", "python3");
    in_world(4, |world| {
        let service = world.service("web", json!({"sessionAffinity": "ClientIP"}));
        world.endpoints("web", &[0, 1, 2]);
        for family in [0, 1] {
            let ask = |world: &World| {
                let client = From::In(&world.pods[3].netns);
                let answers = client.answers("tcp", &service.cluster_ips()[family], 80, 60, "20");
                let counts = counts(&answers);
                assert_eq!(counts.len(), 1, "{counts:?}");
                counts.keys().next().unwrap().to_string()
            };
            let chosen = ask(world);
            let others: Vec<usize> = (0..3).filter(|pod| format!("pod{pod}") != chosen).collect();
            world.endpoints("web", &others);
            let other = ask(world);
            assert_ne!(other, chosen);
            // It stays there when the first one comes back.
            world.endpoints("web", &[0, 1, 2]);
            assert_eq!(ask(world), other);
        }
    });
}

#[test]
fn a_load_balancers_source_ranges_keep_others_out() {
    needs!("nft", "ip", "python3");
    in_world(2, |world| {
        let ranges = json!(["192.0.2.0/30", "198.51.100.0/24", "2001:db8::2/128"]);
        let service =
            world.service("web", json!({"type": "LoadBalancer", "loadBalancerSourceRanges": ranges}));
        world.endpoints("web", &[0]);
        let outside = From::In(&world.outside);
        for family in [0, 1] {
            assert!(outside.get("tcp", &service.ingress()[family], 80).starts_with("pod0 "));
        }
        world.outside.ip(&["addr", "add", "192.0.2.9/24", "dev", "eth0"]);
        world.outside.ip(&["route", "replace", "192.0.2.128/28", "via", NODE[0], "src", "192.0.2.9"]);
        assert!(outside.is_dropped("tcp", &service.ingress()[0], 80));
        // The other ways to the Service are open.
        assert!(outside.get("tcp", NODE[0], service.node_ports()[0]).starts_with("pod0 "));
    });
}

#[test]
fn udp_clients_leave_endpoints_that_are_gone() {
    needs!("nft", "ip", "python3");
    const CLIENT: &str = r#"
import socket, sys
host, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.2)
s.connect((host, port))
print("ready", flush=True)
for line in sys.stdin:
    for _ in range(100):
        try:
            s.send(b"?")
            print(s.recv(100).decode().split()[0], flush=True)
            break
        except OSError:
            pass
"#;
    in_world(3, |world| {
        use std::io::{BufRead, BufReader, Write};
        use std::process::Stdio;
        let service = world.service("web", json!({}));
        for family in [0, 1] {
            world.endpoints("web", &[0]);
            let mut command = world.pods[2].netns.command("python3");
            command.args(["-c", CLIENT, &service.cluster_ips()[family], "80"]);
            let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
            let mut stdin = client.stdin.take().unwrap();
            assert_eq!(lines.next().unwrap().unwrap(), "ready");
            let mut ask = || {
                writeln!(stdin).unwrap();
                lines.next().unwrap().unwrap()
            };
            assert_eq!(ask(), "pod0");
            // Its flow never ends, for it sends from one port all the time.
            world.endpoints("web", &[0, 1]);
            assert_eq!(ask(), "pod0");
            world.endpoints("web", &[1]);
            assert_eq!(ask(), "pod1");
            drop(stdin);
            client.wait().unwrap();
        }
    });
}

/// Prints the answer to a GET, and its code.
const ASK: &str = r#"
import sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[1], timeout=20)
except urllib.error.HTTPError as error:
    answer = error
print(answer.read().decode(), answer.code, end="")
"#;

#[test]
fn health_check_ports_tell_whether_there_are_endpoints() {
    needs!("nft", "ip", "python3");
    in_world(1, |world| {
        let service = world.service("web", json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"}));
        let port = service.0["spec"]["healthCheckNodePort"].as_u64().unwrap();
        let asked = || {
            let mut client = world.outside.command("python3");
            client.args(["-c", ASK, &format!("http://192.0.2.1:{port}/healthz")]);
            String::from_utf8(client.output().unwrap().stdout).unwrap()
        };
        world.endpoints("web", &[0]);
        let answer = asked();
        assert!(answer.ends_with(" 200") && answer.contains(r#""localEndpoints":1"#), "{answer}");
        world.endpoints("web", &[]);
        let answer = asked();
        assert!(answer.ends_with(" 503") && answer.contains(r#""name":"web""#), "{answer}");
    });
}

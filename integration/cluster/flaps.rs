//! Many changes at once: what the kernel has equals the objects soon after the last one.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::agents::{comes_within, node, until};
use super::world::{Cluster, Member, NODES, PORT, in_cluster};
use crate::harness::api_client::Client;
use crate::harness::serve::Server;
use crate::harness::{bin, needs};

/// Changes of each kind.
const FLAPS: usize = 1000;
/// Nodes that come and go.
const COMING: usize = 20;
/// After so many changes of Nodes the first agent is killed and started again: while it works, while it reads its first lists,
/// and shortly before the last change.
const KILLS: [usize; 8] = [100, 103, 300, 305, 500, 700, 730, 960];
/// How long after the last change everything has to be there.
const LIMIT: Duration = Duration::from_secs(2);

/// Creates and deletes Nodes, each time with other networks; every other one is there at the end. `at` gets the number of
/// each change.
fn flap_nodes(server: &Server, mut at: impl FnMut(usize)) {
    let mut client = Client::new(server);
    let mut ask = |method, path: &str, body: &str| {
        let (code, answer) = client.ask(method, path, body).unwrap();
        assert!((200..300).contains(&code), "{method} {path}: {answer}");
    };
    for flap in 0..FLAPS {
        at(flap);
        let (number, round) = (flap % COMING, flap / COMING);
        let name = format!("coming{number}");
        if (round + number).is_multiple_of(2) {
            // Any network of the cluster's that is no member's.
            let part = 10 + (flap * 7) % 200;
            let cidrs = [format!("10.244.{part}.0/24"), format!("fd00:10:244:{part}::/64")];
            let addresses = [format!("192.0.2.{}", 10 + number), format!("2001:db8::{}", 10 + number)];
            let object =
                node(&name, &cidrs.each_ref().map(String::as_str), &addresses.each_ref().map(String::as_str));
            ask("POST", NODES, &object.to_string());
        } else if round > 0 {
            ask("DELETE", &format!("{NODES}/{name}"), "");
        }
    }
}

/// The endpoints that a slice has after a change.
fn endpoints(flap: usize) -> BTreeSet<String> {
    (0..1 + flap % 7).map(|number| format!("10.244.{}.{}", 1 + (flap + number) % 3, 100 + number)).collect()
}

fn flap_slices(server: &Server) {
    let mut client = Client::new(server);
    let path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/web-ipv4";
    for flap in 0..FLAPS {
        let list: Vec<_> = endpoints(flap)
            .iter()
            .map(|address| json!({"addresses": [address], "conditions": {"ready": true}}))
            .collect();
        let slice = json!({
            "metadata": {"name": "web-ipv4", "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4",
            "ports": [{"name": "tcp", "port": PORT}, {"name": "udp", "protocol": "UDP", "port": PORT}],
            "endpoints": list,
        });
        let (code, answer) = client.ask("PUT", path, &slice.to_string()).unwrap();
        assert_eq!(code, 200, "{answer}");
    }
}

/// Where packets to a Service are led on a node.
fn targets(member: &Member, service: &str) -> BTreeSet<String> {
    let map = member.node().run("nft", &["list", "map", "inet", "podhosts-services", "endpoints4"]).stdout;
    let elements = map.split(['{', '}', ',']).filter_map(|element| element.split_once(" : "));
    let of_service = elements.filter(|(key, _)| key.split_whitespace().any(|word| word == service));
    of_service.map(|(_, value)| value.trim().split(' ').next().unwrap().to_owned()).collect()
}

/// Both at once, while the first agent is killed and started again.
fn flap(cluster: &mut Cluster) {
    let kubeconfig = cluster.kubeconfig();
    let Cluster { members, server, .. } = cluster;
    let (server, killed) = (server.as_ref().unwrap(), &mut members[0]);
    let mut kills = 0;
    let kill = |flap: usize| {
        if KILLS.contains(&flap) {
            killed.end("KILL");
            killed.start(&[], &bin("podhosts-node"), &kubeconfig, &[]);
            kills += 1;
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| flap_slices(server));
        flap_nodes(server, kill);
    });
    assert_eq!(kills, KILLS.len());
}

#[test]
fn a_thousand_flaps_at_once_and_kills_are_in_the_kernel_two_seconds_later() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.of_three(1);
        let service = cluster.service("web", &[(1, 0)]);
        let first = &cluster.members[1].pods[0].addresses[0];
        until("the Service is there", || {
            targets(&cluster.members[0], &service[0]) == BTreeSet::from([first.clone()])
        });
        flap(cluster);
        let last = Instant::now();
        let (cluster, endpoints) = (&*cluster, endpoints(FLAPS - 1));
        let routes = cluster.members.iter().map(|member| cluster.expected_routes(member)).collect::<Vec<_>>();
        assert_eq!(routes[0].len(), 2 * (2 + COMING / 2));
        for (member, routes) in cluster.members.iter().zip(&routes) {
            let is_so = || member.routes() == *routes && targets(member, &service[0]) == endpoints;
            let in_time = comes_within(LIMIT.saturating_sub(last.elapsed()), is_so);
            let late = in_time || comes_within(Duration::from_secs(30), is_so);
            assert!(
                in_time,
                "{}: {late} after {:?}: {:?}, expected {routes:?}; {:?}, expected {endpoints:?}",
                member.name,
                last.elapsed(),
                member.routes(),
                targets(member, &service[0])
            );
        }
        cluster.settle();
    });
}

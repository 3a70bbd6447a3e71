//! Many changes at once: what the kernel has equals the objects soon after the last one.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::agents::{comes_within, node, until};
use super::world::{Cluster, Member, NODES, PORT, in_cluster};
use crate::harness::api_client::Client;
use crate::harness::needs;

/// Changes of each kind.
const FLAPS: usize = 1000;
/// Nodes that come and go.
const COMING: usize = 20;
/// How long after the last change everything has to be there.
const LIMIT: Duration = Duration::from_secs(2);

/// Creates and deletes Nodes, each time with other networks; every other one is there at the end.
fn flap_nodes(cluster: &Cluster) {
    let mut client = Client::new(cluster.server());
    let mut ask = |method, path: &str, body: &str| {
        let (code, answer) = client.ask(method, path, body).unwrap();
        assert!((200..300).contains(&code), "{method} {path}: {answer}");
    };
    for flap in 0..FLAPS {
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

fn flap_slices(cluster: &Cluster) {
    let mut client = Client::new(cluster.server());
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

#[test]
fn a_thousand_flaps_of_nodes_and_slices_at_once_are_in_the_kernel_two_seconds_later() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.of_three(1);
        let service = cluster.service("web", &[(1, 0)]);
        let cluster = &*cluster;
        let first = &cluster.members[1].pods[0].addresses[0];
        until("the Service is there", || {
            targets(&cluster.members[0], &service[0]) == BTreeSet::from([first.clone()])
        });
        thread::scope(|scope| {
            scope.spawn(|| flap_nodes(cluster));
            scope.spawn(|| flap_slices(cluster));
        });
        let last = Instant::now();
        let endpoints = endpoints(FLAPS - 1);
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

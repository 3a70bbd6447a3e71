//! kube-proxy on a node of the agent's: it comes while the agent leads connections to Services there, or was there before.

use std::time::Duration;

use serde_json::{Value, json};

use super::agents::{comes_within, until, until_on};
use super::world::{Cluster, in_cluster};
use crate::harness::needs;

/// The metric that counts it.
const METRIC: &str = "podhosts_node_problems{reason=\"ForeignServiceProxy\"}";
/// Longer than the agent's look for what the kernel does not tell.
const LOOKS: Duration = Duration::from_secs(120);
/// How long the kernel's news and a server may take.
const LIMIT: Duration = Duration::from_secs(30);
/// What is said where the agent waits for kube-proxy's rules to go, and where both lead connections to Services.
const WAITS: &str = "podhosts-node leads no connections to Services on this node until that is gone";
const BESIDE: &str = "two programs lead connections to Services on this node";

const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

/// What kube-proxy has in each mode: what makes it, what the agent calls it, and what removes it.
const MODES: [(&str, &str, &str); 3] = [
    (
        "nft add table ip kube-proxy; nft add table ip6 kube-proxy",
        "kube-proxy has made the table ip kube-proxy and the table ip6 kube-proxy",
        "nft delete table ip kube-proxy; nft delete table ip6 kube-proxy",
    ),
    (
        "nft add table ip nat; nft add chain ip nat KUBE-SERVICES",
        "kube-proxy has made the chain KUBE-SERVICES of the table ip nat",
        "nft delete table ip nat",
    ),
    // Its own is of a kind that not every kernel has.
    (
        "ip link add kube-ipvs0 type bridge",
        "kube-proxy has made the interface kube-ipvs0",
        "ip link del kube-ipvs0",
    ),
];

/// Waits until the first Node is said to have kube-proxy, as `found`, and all that tells of it does.
#[track_caller]
fn is_told(cluster: &Cluster, found: &str, consequence: &str, limit: Duration) {
    let condition = || cluster.condition("node1", "PodNetworkDegraded").unwrap_or_default();
    let is_so = || condition().starts_with(&format!("True ForeignServiceProxy {found}: {consequence}"));
    assert!(comes_within(limit, is_so), "never: {found}: {}\n{}", condition(), cluster.members[0].log());
    assert_eq!(cluster.members[0].metric(METRIC), Some(1.0));
    until_on(&cluster.members[0], "the Event", || {
        cluster.events("node1", "ForeignServiceProxy").iter().any(|it| it.starts_with(found))
    });
    assert!(cluster.condition("node2", "PodNetworkDegraded").unwrap().starts_with("False "));
    assert!(cluster.members[0].is_ready());
}

/// Waits until nothing tells of it any more.
#[track_caller]
fn is_over(cluster: &Cluster, found: &str, limit: Duration) {
    let condition = || cluster.condition("node1", "PodNetworkDegraded").unwrap();
    let is_so = || condition().starts_with("False ");
    assert!(comes_within(limit, is_so), "never over: {found}: {}\n{}", condition(), cluster.members[0].log());
    assert_eq!(cluster.members[0].metric(METRIC), None);
    until_on(&cluster.members[0], "the Event of the end", || {
        let events = cluster.events("node1", "ForeignServiceProxy");
        events.iter().any(|it| it.starts_with(&format!("no longer: {found}")))
    });
}

/// Whether the first node has the table that leads connections to Services.
fn has_table(cluster: &Cluster) -> bool {
    cluster.members[0].node().sh("nft list tables").contains("inet podhosts-services")
}

/// How often the first node's agent has warned that kube-proxy has made `found`.
fn warnings(cluster: &Cluster, found: &str) -> usize {
    let is_one =
        |line: &&str| line.contains("\"warn\"") && line.contains(&format!("kube-proxy has made {found}"));
    cluster.members[0].log().lines().filter(is_one).count()
}

#[test]
fn kube_proxy_that_comes_later_is_told_until_it_goes_and_services_go_on() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.of_three(1);
        let services = [cluster.service("web", &[(1, 0), (2, 0)])];
        until("the Service is there", || cluster.faults(&services, "1").is_empty());
        for (make, found, remove) in MODES {
            cluster.members[0].node().sh(make);
            is_told(cluster, found, BESIDE, LIMIT);
            cluster.assert_all_reach_all(&services);
            cluster.members[0].node().sh(remove);
            is_over(cluster, found, LIMIT);
        }
        cluster.assert_all_reach_all(&services);
    });
}

#[test]
fn kube_proxy_with_iptables_legacy_is_told_too() {
    needs!("ip", "nft", "python3", "busybox", "iptables-legacy");
    in_cluster(|cluster| {
        cluster.join();
        cluster.join();
        cluster.start_agents(&[]);
        cluster.members[0].node().sh("iptables-legacy -t nat -N KUBE-SERVICES");
        let found = "kube-proxy has made the chain KUBE-SERVICES of iptables-legacy";
        is_told(cluster, found, BESIDE, LOOKS);
        cluster.members[0].node().sh("iptables-legacy -t nat -X KUBE-SERVICES");
        is_over(cluster, found, LOOKS);
    });
}

#[test]
fn an_agent_that_starts_beside_kube_proxy_keeps_the_network_and_takes_services_over() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        for (number, (make, found, remove)) in MODES.into_iter().enumerate() {
            if number == 0 {
                (0..2).for_each(|_| _ = cluster.join());
            } else {
                cluster.members[0].end("TERM");
                cluster.members[0].node().sh("nft delete table inet podhosts-services");
            }
            cluster.members[0].node().sh(make);
            if number == 0 {
                cluster.start_agents(&[]);
                cluster.members.iter_mut().for_each(|member| _ = member.add_pod());
                cluster.service("web", &[(0, 0), (1, 0)]);
            } else {
                cluster.start_agent(0, &[]);
            }
            is_told(cluster, found, WAITS, LIMIT);
            // All but the Services is kept meanwhile, and a restart changes nothing.
            cluster.assert_all_reach_all(&[]);
            let name = format!("other{number}");
            cluster.add_node(&name, &[&format!("10.244.10{number}.0/24")], &[&format!("192.0.2.10{number}")]);
            cluster.settle();
            cluster.members[0].end("KILL");
            cluster.delete_node(&name);
            cluster.start_agent(0, &[]);
            cluster.settle();
            is_told(cluster, found, WAITS, LIMIT);
            assert!(!has_table(cluster));
            assert!(warnings(cluster, found) <= 2, "{}", cluster.members[0].log());
            cluster.members[0].node().sh(remove);
            let services = cluster.ask("GET", "/api/v1/namespaces/default/services/web", &Value::Null);
            let services = [[0, 1].map(|ip| services["spec"]["clusterIPs"][ip].as_str().unwrap().to_owned())];
            until_on(&cluster.members[0], "Services", || {
                has_table(cluster) && cluster.faults(&services, "1").is_empty()
            });
            is_over(cluster, found, LIMIT);
        }
    });
}

#[test]
fn an_agent_that_led_services_before_kube_proxy_came_goes_on_after_a_restart() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.of_three(1);
        let services = [cluster.service("web", &[(1, 0)])];
        until("the Service is there", || cluster.faults(&services, "1").is_empty());
        let (make, found, _) = MODES[0];
        cluster.members[0].node().sh(make);
        is_told(cluster, found, BESIDE, LIMIT);
        cluster.members[0].end("KILL");
        cluster.assert_all_reach_all(&services);
        // What the table leads to is gone when the agent comes again.
        for (family, kind) in ["ipv4", "ipv6"].into_iter().enumerate() {
            let address = &cluster.members[2].pods[0].addresses[family];
            let endpoints = json!({"endpoints": [{"addresses": [address], "nodeName": "node3"}]});
            cluster.ask("PATCH", &format!("{SLICES}/web-{kind}"), &endpoints);
        }
        cluster.members[1].remove_pod();
        cluster.start_agent(0, &[]);
        until_on(&cluster.members[0], "the new endpoint", || cluster.faults(&services, "1").is_empty());
        is_told(cluster, found, BESIDE, LIMIT);
        // The delivered way to leave them to kube-proxy.
        cluster.members[0].end("TERM");
        cluster.start_agent(0, &["--proxy=none"]);
        cluster.settle();
        assert!(!has_table(cluster));
    });
}

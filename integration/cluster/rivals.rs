//! kube-proxy that comes to a node while the agent serves Services there.

use std::time::Duration;

use super::agents::{comes_within, until, until_on};
use super::world::{Cluster, in_cluster};
use crate::harness::needs;

/// The metric that counts it.
const METRIC: &str = "podhosts_node_problems{reason=\"ForeignServiceProxy\"}";
/// Longer than the agent's look for what the kernel does not tell.
const LOOKS: Duration = Duration::from_secs(120);

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
fn is_told(cluster: &Cluster, found: &str, limit: Duration) {
    let condition = || cluster.condition("node1", "PodNetworkDegraded").unwrap();
    let is_so = || condition().starts_with(&format!("True ForeignServiceProxy {found}"));
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

#[test]
fn kube_proxy_that_comes_later_is_told_until_it_goes_and_services_go_on() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.of_three(1);
        let services = [cluster.service("web", &[(1, 0), (2, 0)])];
        until("the Service is there", || cluster.faults(&services, "1").is_empty());
        let limit = Duration::from_secs(30);
        for (make, found, remove) in MODES {
            cluster.members[0].node().sh(make);
            is_told(cluster, found, limit);
            cluster.assert_all_reach_all(&services);
            cluster.members[0].node().sh(remove);
            is_over(cluster, found, limit);
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
        is_told(cluster, found, LOOKS);
        cluster.members[0].node().sh("iptables-legacy -t nat -X KUBE-SERVICES");
        is_over(cluster, found, LOOKS);
    });
}

//! Events about a Node: what an administrator reads in `kubectl describe node`.

use serde_json::Value;

use super::agents::{until, until_on};
use super::world::{Cluster, NODES, in_cluster};
use crate::harness::needs;

/// As many Events have notes of their own; what comes at the same time besides is counted by one more.
const NOTES: usize = 32;

/// Creates a Node behind the router, which no other Node reaches over either family.
fn add_far(cluster: &Cluster, number: usize) {
    let cidrs = [format!("10.244.{}.0/24", 50 + number), format!("fd00:10:244:{}::/64", 50 + number)];
    let addresses = [format!("198.51.100.{}", 50 + number), format!("2001:db8:f::{}", 50 + number)];
    cluster.add_node(
        &format!("far{number}-x"),
        &cidrs.each_ref().map(String::as_str),
        &addresses.each_ref().map(String::as_str),
    );
}

/// The Events with this reason about the first Node, of which the API server has this uid.
fn events(cluster: &Cluster, reason: &str) -> Vec<Value> {
    let uid = cluster.node_object("node1")["metadata"]["uid"].clone();
    let list = cluster.ask("GET", "/apis/events.k8s.io/v1/events", &Value::Null);
    let is_meant = |event: &&Value| event["regarding"]["uid"] == uid && event["reason"] == reason;
    list["items"].as_array().unwrap().iter().filter(is_meant).cloned().collect()
}

/// How often something was told by these Events.
fn told(events: &[Value]) -> u64 {
    events.iter().map(|event| event["series"]["count"].as_u64().unwrap_or(1)).sum()
}

#[test]
fn each_problem_is_an_event_of_the_node_as_it_is_registered() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.join();
        cluster.start_agent(0, &[]);
        (0..2).for_each(|number| add_far(cluster, number));
        let names = |number: usize| {
            let events = events(cluster, "NodeNotOnLink");
            events
                .iter()
                .filter(|it| it["note"].as_str().unwrap().contains(&format!("far{number}-x")))
                .count()
        };
        // One for each family.
        until("an Event for each", || (names(0), names(1)) == (2, 2));
        let object = cluster.members[0].object();
        cluster.delete_node("node1");
        cluster.ask("POST", NODES, &object);
        until("the same of the new Node", || (names(0), names(1)) == (2, 2));
        // Many are not as many Events.
        (2..40).for_each(|number| add_far(cluster, number));
        let metric = "podhosts_node_problems{reason=\"NodeNotOnLink\"}";
        until_on(&cluster.members[0], "all problems", || cluster.members[0].metric(metric) == Some(80.0));
        until("all are told", || told(&events(cluster, "NodeNotOnLink")) >= 80);
        let count = events(cluster, "NodeNotOnLink").len();
        assert!((NOTES..=NOTES + 1).contains(&count), "{count}");
    });
}

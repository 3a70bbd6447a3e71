//! Nodes that come, go and change, and those that cannot be reached.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::agents::{Route, until, until_on};
use super::world::{Cluster, NODES, in_cluster};
use crate::harness::needs;

#[test]
fn a_node_that_leaves_takes_its_routes_along_and_one_that_comes_back_has_them() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.of_three(1);
        // Others have routes, too.
        let other = "ip route add 198.18.0.0/24 via 192.0.2.200; ip -6 route add 2001:db8:77::/64 via 2001:db8::200; \
                     ip route add 10.244.77.0/24 via 192.0.2.3 proto static";
        let node = cluster.members[0].node();
        node.sh(other);
        let others = cluster.members[0].routes();
        let object = cluster.members[2].object();
        cluster.members[2].end("TERM");
        cluster.delete_node("node3");
        let is_left = |(network, _, _): &&Route| !cluster.members[2].cidrs.contains(network);
        let left: BTreeSet<Route> = others.iter().filter(is_left).cloned().collect();
        assert_eq!(left.len() + 2, others.len());
        until_on(&cluster.members[0], "no routes", || cluster.members[0].routes() == left);
        cluster.ask("POST", NODES, &object);
        until_on(&cluster.members[0], "its routes", || cluster.members[0].routes() == others);
        // The agent knows its own routes after any restart, also when the Node left meanwhile.
        cluster.members[0].end("KILL");
        cluster.delete_node("node3");
        cluster.start_agent(0, &[]);
        until_on(&cluster.members[0], "no routes", || cluster.members[0].routes() == left);
    });
}

#[test]
fn pod_cidrs_that_come_late_and_change_serve_new_pods() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        for _ in 0..3 {
            cluster.join();
        }
        networks_come_late(cluster);
        others_change(cluster);
        networks_change(cluster);
    });
}

/// The kubelet registers a Node; the controller manager gives it networks a moment later.
fn networks_come_late(cluster: &mut Cluster) {
    let late = json!({"spec": cluster.members[0].object()["spec"]});
    recreate(cluster, &json!({}));
    (0..3).for_each(|member| cluster.start_agent(member, &[]));
    until("why there is no network", || {
        let told = cluster.condition("node1", "NetworkUnavailable");
        told.is_some_and(|told| told.starts_with("True ") && told.contains("podCIDRs"))
    });
    assert!(cluster.members[0].answer("/readyz").is_none() && cluster.members[0].network().is_none());
    cluster.ask("PATCH", &format!("{NODES}/node1"), &late);
    cluster.settle();
    until("the condition", || {
        cluster.condition("node1", "NetworkUnavailable").unwrap().starts_with("False ")
    });
    cluster.members.iter_mut().for_each(|member| _ = member.add_pod());
    cluster.assert_all_reach_all(&[]);
}

/// A Node gets another address, and there is one with one family alone, as in a cluster that is not dual-stack.
fn others_change(cluster: &Cluster) {
    cluster.add_node("new", &["10.244.9.0/24", "fd00:10:244:9::/64"], &["192.0.2.9", "2001:db8::9"]);
    cluster.settle();
    let moved = ["192.0.2.10", "2001:db8::10"].map(|ip| json!({"type": "InternalIP", "address": ip}));
    let moved = json!({"status": {"addresses": moved}});
    cluster.ask("PATCH", &format!("{NODES}/new/status"), &moved);
    cluster.settle();
    assert!(cluster.members[0].routes().iter().any(|(_, via, _)| via == "2001:db8::10"));
    cluster.delete_node("new");
    cluster.add_node("new", &["10.244.9.0/24"], &["192.0.2.9", "2001:db8::9"]);
    cluster.settle();
    cluster.delete_node("new");
}

/// A Node's networks cannot be changed, but it can be created anew.
fn networks_change(cluster: &mut Cluster) {
    let networks = ["10.244.101.0/24", "fd00:10:244:101::/64"];
    recreate(cluster, &json!({"podCIDR": networks[0], "podCIDRs": networks}));
    until("the new networks", || {
        let config = cluster.members[0].network();
        config.is_some_and(|config| config["ipam"]["podCIDRs"] == json!(networks))
    });
    cluster.settle();
    cluster.members[0].add_pod();
    let pods = &cluster.members[0].pods;
    let parts = [["10.244.1.", "10.244.101."], ["fd00:10:244:1:", "fd00:10:244:101:"]];
    for (family, [old, new]) in parts.into_iter().enumerate() {
        assert!(pods[0].addresses[family].starts_with(old), "{:?}", pods[0].addresses);
        assert!(pods[1].addresses[family].starts_with(new), "{:?}", pods[1].addresses);
    }
    // Nothing leads to the older pod any more but on its own node: its network is nobody's now.
    let _old = cluster.members[0].pods.remove(0);
    cluster.assert_all_reach_all(&[]);
}

/// Deletes the first Node, and creates it with another `spec`.
fn recreate(cluster: &Cluster, spec: &Value) {
    let mut object = cluster.members[0].object();
    object["spec"] = spec.clone();
    cluster.delete_node("node1");
    cluster.ask("POST", NODES, &object);
}

#[test]
fn pods_of_earlier_pod_cidrs_are_told() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.join();
        cluster.start_agents(&[]);
        let pods = "/api/v1/namespaces/default/pods";
        let pod = json!({"metadata": {"name": "web"}, "spec": {"nodeName": "node1",
            "containers": [{"name": "main", "image": "busybox"}]}});
        cluster.ask("POST", pods, &pod);
        let status = json!({"status": {"phase": "Running", "podIPs": [{"ip": "10.244.1.2"}]}});
        cluster.ask("PATCH", &format!("{pods}/web/status"), &status);
        let record = "cat /run/podhosts/cluster-pods/*.json";
        until("its addresses are known", || cluster.members[0].node().sh(record).contains("10.244.1.2"));
        let told = || cluster.condition("node1", "PodNetworkDegraded").unwrap_or_default();
        assert!(told().starts_with("False "), "{}", told());
        // The Node registers anew.
        recreate(cluster, &json!({"podCIDR": "10.244.7.0/24", "podCIDRs": ["10.244.7.0/24"]}));
        until("the condition", || {
            told().starts_with("True PodOutsidePodCIDRs ") && told().contains("default/web has 10.244.1.2")
        });
        // kubectl describe shows the Events with the uid that the Node has now.
        let uid = cluster.node_object("node1")["metadata"]["uid"].clone();
        until("the Event", || {
            let events = cluster.ask("GET", "/api/v1/events", &Value::Null);
            events["items"]
                .as_array()
                .unwrap()
                .iter()
                .any(|event| event["reason"] == "PodOutsidePodCIDRs" && event["involvedObject"]["uid"] == uid)
        });
        cluster.ask("DELETE", &format!("{pods}/web?gracePeriodSeconds=0"), &Value::Null);
        until("no condition", || told().starts_with("False "));
    });
}

#[test]
fn duplicate_pod_cidrs_are_told_and_not_routed() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.of_three(1);
        let before = cluster.members[0].routes();
        cluster.add_node("twin", &["10.244.2.0/24", "fd00:10:244:2::/64"], &["192.0.2.9", "2001:db8::9"]);
        for member in ["node1", "node2", "node3"] {
            until("the condition", || {
                cluster
                    .condition(member, "PodNetworkDegraded")
                    .is_some_and(|it| it.starts_with("True ") && it.contains("twin"))
            });
        }
        assert!(
            !cluster.members[0].routes().iter().any(|(_, via, _)| via == "192.0.2.9" || via == "2001:db8::9")
        );
        let metric = "podhosts_node_problems{reason=\"PodCIDRConflict\"}";
        assert_eq!(cluster.members[0].metric(metric), Some(2.0));
        assert_eq!(cluster.members[0].routes(), before);
        until("the Event", || {
            cluster.events("node1", "PodCIDRConflict").iter().any(|it| it.contains("twin"))
        });
        // The network itself is available.
        assert!(cluster.condition("node1", "NetworkUnavailable").unwrap().starts_with("False "));
        cluster.delete_node("twin");
        for member in ["node1", "node2", "node3"] {
            until("no condition", || {
                cluster.condition(member, "PodNetworkDegraded").unwrap().starts_with("False ")
            });
        }
        cluster.settle();
        cluster.assert_all_reach_all(&[]);
    });
}

#[test]
fn nodes_in_a_network_of_services_reach_each_other_and_it_is_told() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.of_three(1);
        let path = "/apis/networking.k8s.io/v1/servicecidrs";
        let cidr =
            json!({"metadata": {"name": "nodes"}, "spec": {"cidrs": ["192.0.2.0/24", "2001:db8::/112"]}});
        cluster.ask("POST", path, &cidr);
        // Where the agents take it as it is, the nodes lose the API server.
        let table = "nft list table inet podhosts-services";
        let is_taken = || cluster.members[0].node().sh(table).contains("192.0.2.0/24");
        let told = |member: &str| cluster.condition(member, "PodNetworkDegraded").unwrap();
        until("it is known", || is_taken() || told("node1").contains("192.0.2.0/24"));
        cluster.assert_all_reach_all(&[]);
        for member in ["node1", "node2", "node3"] {
            until("the condition", || {
                told(member).starts_with("True ServiceCIDRContainsNode ")
                    && told(member).contains("2001:db8::/112")
            });
        }
        cluster.ask("DELETE", &format!("{path}/nodes"), &Value::Null);
        until("no condition", || told("node1").starts_with("False "));
    });
}

#[test]
fn a_node_behind_a_router_is_told_and_reached_by_vxlan() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        for _ in 0..2 {
            cluster.join();
        }
        cluster.join_far();
        (0..3).for_each(|member| cluster.start_agent(member, &[]));
        let far = "node3";
        for (member, other) in [("node1", far), ("node2", far), (far, "node1")] {
            until("the condition", || {
                cluster
                    .condition(member, "PodNetworkDegraded")
                    .is_some_and(|it| it.starts_with("True ") && it.contains(other))
            });
            until("the Event", || !cluster.events(member, "NodeNotOnLink").is_empty());
        }
        let routes = cluster.members[0].routes();
        assert_eq!(routes.len(), 2, "{routes:?}");
        let metric = "podhosts_node_problems{reason=\"NodeNotOnLink\"}";
        assert!(cluster.members[0].metric(metric).unwrap() >= 1.0);

        cluster.members.iter_mut().for_each(|member| member.end("KILL"));
        (0..3).for_each(|member| cluster.start_agent(member, &["--overlay=vxlan"]));
        for member in &cluster.members {
            until_on(member, "ready", || member.is_ready());
            until("no condition", || {
                cluster.condition(&member.name, "PodNetworkDegraded").unwrap().starts_with("False ")
            });
        }
        for member in &mut cluster.members {
            member.add_pod();
        }
        cluster.assert_all_reach_all(&[]);
        // Back without it: nothing of the overlay stays.
        cluster.members.iter_mut().for_each(|member| member.end("KILL"));
        (0..3).for_each(|member| cluster.start_agent(member, &[]));
        for member in &cluster.members {
            until_on(member, "no device", || member.node().sh("ip -o link show type vxlan").is_empty());
        }
    });
}

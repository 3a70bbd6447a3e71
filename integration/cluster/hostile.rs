//! Objects of somebody who means harm, or made a mistake: no node loses another, the API server or its pods.

use serde_json::{Value, json};

use super::agents::{until, until_on};
use super::world::{Cluster, PORT, in_cluster};
use crate::harness::needs;

const SERVICES: &str = "/api/v1/namespaces/default/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

/// Creates a Service with these ports, and more in its `spec`, that leads to the second node's first pod.
fn service(cluster: &Cluster, name: &str, ports: &[u16], more: Value) {
    let listed: Vec<Value> =
        ports.iter().map(|port| json!({"name": format!("p{port}"), "port": port})).collect();
    let mut spec = json!({"ipFamilyPolicy": "RequireDualStack", "ports": listed});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    cluster.ask("POST", SERVICES, &json!({"metadata": {"name": name}, "spec": spec}));
    let pod = &cluster.members[1].pods[0];
    for (kind, address) in ["IPv4", "IPv6"].into_iter().zip(&pod.addresses) {
        let listed: Vec<Value> =
            ports.iter().map(|port| json!({"name": format!("p{port}"), "port": PORT})).collect();
        let slice = json!({
            "metadata": {"name": format!("{name}-{}", kind.to_lowercase()),
                "labels": {"kubernetes.io/service-name": name}},
            "addressType": kind, "ports": listed,
            "endpoints": [{"addresses": [address], "nodeName": "node2"}],
        });
        cluster.ask("POST", SLICES, &slice);
    }
}

/// Restarts all agents, which need new connections to the API server, and fails unless everything is as it was.
#[track_caller]
fn nothing_is_lost(cluster: &mut Cluster, services: &[[String; 2]]) {
    cluster.members.iter_mut().for_each(|member| member.end("KILL"));
    (0..cluster.members.len()).for_each(|member| cluster.start_agent(member, &[]));
    cluster.settle_but_strangers();
    cluster.assert_all_reach_all(services);
}

#[test]
fn services_at_the_addresses_of_machines_take_none_of_them() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.of_three(1);
        let cidrs =
            json!({"metadata": {"name": "nodes"}, "spec": {"cidrs": ["192.0.2.0/24", "2001:db8::/112"]}});
        cluster.ask("POST", "/apis/networking.k8s.io/v1/servicecidrs", &cidrs);
        let ready = || {
            let cidr = cluster.ask("GET", "/apis/networking.k8s.io/v1/servicecidrs/nodes", &Value::Null);
            cidr["status"]["conditions"][0]["status"] == "True"
        };
        until("the ServiceCIDR is ready", ready);
        // Other ports of a cluster IP are closed.
        let [v4, v6] = &cluster.members[1].addresses.clone();
        service(cluster, "node", &[80], json!({"clusterIP": v4, "clusterIPs": [v4, v6]}));
        let server = ["192.0.2.254", "2001:db8::fe"];
        service(cluster, "server", &[6443], json!({"externalIPs": server}));
        service(cluster, "kubelet", &[10250], json!({"externalIPs": [v4, v6]}));
        // Those are Services like others, and may be at other ports of machines.
        service(cluster, "web", &[81], json!({"externalIPs": [v4, v6]}));
        let services = [cluster.service("last", &[(1, 0), (2, 0)])];
        for member in &cluster.members {
            let table = "nft list map inet podhosts-services services4";
            until_on(member, "the last Service", || member.node().sh(table).contains(&services[0][0]));
        }
        nothing_is_lost(cluster, &services);
        for member in &cluster.members {
            let why = [
                format!("Service default/node does not get {v4}: it is an address of this node or of the API server"),
                format!("Service default/node does not get {v6}: it is an address of this node or of the API server"),
                "Service default/server does not get 192.0.2.254:6443: the API server or a kubelet is reached there".to_owned(),
                format!("Service default/kubelet does not get {v4}:10250: the API server or a kubelet is reached there"),
                format!("Service default/kubelet does not get [{v6}]:10250: the API server or a kubelet is reached there"),
            ];
            for why in why {
                until_on(member, &why, || member.log().contains(&why));
                // Once by each of two agents.
                assert!(member.log().matches(&why).count() <= 2, "{}", member.log());
            }
            assert!(member.metric("podhosts_proxy_denied").unwrap() >= 5.0);
            let table = member.node().sh("nft list map inet podhosts-services services4");
            assert!(table.contains(&format!("{v4} . tcp . 81 ")), "{table}");
        }
        cluster.ask("DELETE", &format!("{SERVICES}/node"), &Value::Null);
        cluster.ask("DELETE", &format!("{SERVICES}/server"), &Value::Null);
        cluster.ask("DELETE", &format!("{SERVICES}/kubelet"), &Value::Null);
        let is_over =
            || cluster.members.iter().all(|member| member.metric("podhosts_proxy_denied") == Some(0.0));
        until("it is over", is_over);
    });
}

#[test]
fn nodes_with_odd_networks_and_addresses_lead_nothing_away() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.of_three(1);
        let services = [cluster.service("web", &[(1, 0), (2, 0)])];
        until("the Service is there", || cluster.faults(&services, "1").is_empty());
        let routes: Vec<_> = cluster.members.iter().map(|member| member.routes()).collect();
        let pod = cluster.members[1].pods[0].addresses.clone();
        let [pod4, pod6] = [&*pod[0], &*pod[1]];
        // Networks: the API server's and the router's address, parts of the world with others, what pods never have.
        let networks = [
            ("server", ["192.0.2.254/32", "2001:db8::fe/128"]),
            ("world", ["0.0.0.0/0", "::/0"]),
            ("half", ["192.0.0.0/3", "2000::/3"]),
            ("loopback", ["127.0.0.0/8", "::1/128"]),
            ("link", ["169.254.0.0/16", "fe80::/64"]),
            ("many", ["224.0.0.0/8", "ff00::/16"]),
        ];
        for (name, cidrs) in networks {
            cluster.add_node(name, &cidrs, &["192.0.2.66", "2001:db8::66"]);
        }
        // Addresses: another Node's, a pod's, the cluster DNS's, the router's, and what no Node has.
        let addresses = [
            ("node", ["192.0.2.2", "2001:db8::2"]),
            ("pod", [pod4, pod6]),
            ("dns", ["10.96.0.10", "fd00:10:96::a"]),
            ("router", ["192.0.2.254", "2001:db8::fe"]),
            ("nobody", ["0.0.0.0", "::"]),
            ("lo", ["127.0.0.1", "::1"]),
            ("all", ["224.0.0.1", "ff02::1"]),
            ("local", ["169.254.1.1", "fe80::1"]),
            ("mapped", ["192.0.2.255", "::ffff:192.0.2.2"]),
        ];
        for (number, (name, addresses)) in addresses.iter().enumerate() {
            cluster.add_node(&format!("at-{name}"), &[&format!("10.245.{number}.0/24")], addresses);
        }
        let marker = json!({"metadata": {"name": "marker"}, "spec": {"podCIDRs": ["10.246.0.0/24"]},
            "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.67"}]}});
        cluster.ask("POST", super::world::NODES, &marker);
        for (member, before) in cluster.members.iter().zip(&routes) {
            until_on(member, "the marker", || {
                member.routes().iter().any(|(network, _, _)| network == "10.246.0.0/24")
            });
            // What is new leads to pods of those Nodes alone.
            let is_theirs = |network: &str| network.starts_with("10.245.") || network == "10.246.0.0/24";
            let now = member.routes();
            assert!(before.is_subset(&now), "{before:?}\n{now:?}\n{}", member.log());
            assert!(now.difference(before).all(|(network, _, _)| is_theirs(network)), "{now:?}");
            assert!(member.metric("podhosts_node_problems{reason=\"PodCIDRRefused\"}").unwrap() >= 9.0);
        }
        nothing_is_lost(cluster, &services);
    });
}

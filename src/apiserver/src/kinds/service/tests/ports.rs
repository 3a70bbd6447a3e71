//! Node ports.

use serde_json::{Value, json};

use crate::kinds::Config;
use crate::kinds::testing::{Cluster, SERVICES};
use crate::object::Object;

fn cluster() -> Cluster {
    let cidrs = vec!["10.96.0.0/24".parse().unwrap()];
    Cluster::with(Config { service_cidrs: cidrs, node_port_range: 30000..=30019, ..Config::default() })
}

fn node_ports(object: &Object) -> Vec<u64> {
    let ports = object.spec()["ports"].as_array().unwrap();
    ports.iter().map(|port| port["nodePort"].as_u64().unwrap_or_default()).collect()
}

fn ports(ports: &Value) -> Value {
    json!({"type": "NodePort", "ports": ports})
}

#[test]
fn a_port_that_nobody_asked_for_is_taken_from_the_range() {
    let mut cluster = cluster();
    let mut own = Vec::new();
    for index in 0..20 {
        let made = cluster.service(&format!("s{index}"), ports(&json!([{"port": 80}]))).unwrap();
        own.extend(node_ports(&made));
    }
    assert!(own[..4].iter().all(|port| *port >= 30016), "the upper ones first: {own:?}");
    own.sort_unstable();
    assert_eq!(own, (30000..=30019).collect::<Vec<_>>());
    let full = cluster.service("s", ports(&json!([{"port": 80}]))).unwrap_err();
    assert_eq!(full.message, "Internal error occurred: failed to allocate a nodePort: range is full");
    cluster.delete(SERVICES, "s7").unwrap();
    cluster.service("s", ports(&json!([{"port": 80}]))).unwrap();
}

#[test]
fn a_port_that_is_asked_for_is_looked_at() {
    let mut cluster = cluster();
    let asked = |port: i32| ports(&json!([{"port": 80, "nodePort": port}]));
    assert_eq!(node_ports(&cluster.service("a", asked(30005)).unwrap()), [30005]);
    let error = |result: Result<Object, crate::status::ApiError>| result.unwrap_err().message;
    assert_eq!(
        error(cluster.service("b", asked(30005))),
        "Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 30005: provided port is already allocated"
    );
    for outside in [80, -1, 70000] {
        assert_eq!(
            error(cluster.service("b", asked(outside))),
            format!(
                "Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: {outside}: provided port is not in the \
                 valid range. The range of valid ports is 30000-30019"
            )
        );
    }
    let refused = cluster.patch(SERVICES, "a", &json!({"spec": {"ports": [{"port": 80, "nodePort": 1}]}}));
    assert!(error(refused).contains("spec.ports[0].nodePort: Invalid value: 1: provided port is not in"));
}

#[test]
fn the_protocols_of_a_port_share_one() {
    let mut cluster = cluster();
    let dns = json!([
        {"name": "udp", "port": 53, "protocol": "UDP"}, {"name": "tcp", "port": 53},
        {"name": "metrics", "port": 9153},
    ]);
    let own = node_ports(&cluster.service("dns", ports(&dns)).unwrap());
    assert!(own[0] == own[1] && own[0] != own[2], "{own:?}");
    let later = json!([
        {"name": "udp", "port": 54, "protocol": "UDP"},
        {"name": "tcp", "port": 54, "nodePort": 30003},
        {"name": "other", "port": 54, "protocol": "SCTP", "nodePort": 30004},
    ]);
    let made = cluster.service("later", ports(&later)).unwrap();
    assert_eq!(node_ports(&made), [30003, 30003, 30004]);
    let patch = json!({"spec": {"ports": [
        {"name": "udp", "port": 54, "protocol": "UDP", "nodePort": 30007},
        {"name": "tcp", "port": 54, "nodePort": 30007},
    ]}});
    assert_eq!(node_ports(&cluster.patch(SERVICES, "later", &patch).unwrap()), [30007, 30007]);
    cluster.service("b", ports(&json!([{"port": 1, "nodePort": 30003}]))).unwrap();
    // A Service holds its port for all protocols.
    let udp = json!([{"port": 1, "nodePort": 30007, "protocol": "SCTP"}]);
    assert!(cluster.service("c", ports(&udp)).unwrap_err().message.ends_with("already allocated"));
}

#[test]
fn a_manifest_without_ports_of_the_nodes_keeps_them() {
    let mut cluster = cluster();
    let two = json!([{"name": "a", "port": 80}, {"name": "b", "port": 81}]);
    let own = node_ports(&cluster.service("s", ports(&two)).unwrap());
    let again = cluster.patch(SERVICES, "s", &json!({"spec": {"ports": two}})).unwrap();
    assert_eq!(node_ports(&again), own);
    // A port loses its number to the port that now names it.
    let moved = json!([{"name": "a", "port": 80}, {"name": "c", "port": 81, "nodePort": own[0]}]);
    let moved = node_ports(&cluster.patch(SERVICES, "s", &json!({"spec": {"ports": moved}})).unwrap());
    assert!(moved[1] == own[0] && moved[0] != own[0], "{moved:?}");
    let plain = cluster.patch(SERVICES, "s", &json!({"spec": {"type": "ClusterIP"}})).unwrap();
    assert_eq!(node_ports(&plain), [0, 0]);
    assert!(plain.spec().get("externalTrafficPolicy").is_none());
    let refused = json!({"spec": {"ports": [{"port": 80, "nodePort": 30001}]}});
    assert_eq!(
        cluster.patch(SERVICES, "s", &refused).unwrap_err().message,
        "Service \"s\" is invalid: spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"
    );
}

#[test]
fn a_dry_run_is_told_some_port() {
    let mut cluster = cluster();
    cluster.store.dry_run = true;
    let two = json!([{"name": "a", "port": 80}, {"name": "b", "port": 81}]);
    assert_eq!(node_ports(&cluster.service("s", ports(&two)).unwrap()), [32769, 32770]);
    let asked = json!([{"port": 80, "nodePort": 80}]);
    assert_eq!(node_ports(&cluster.service("s", ports(&asked)).unwrap()), [80]);
}

#[test]
fn load_balancers_may_do_without_and_local_ones_have_one_more() {
    let mut cluster = cluster();
    let without = json!({
        "type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [{"port": 80}],
        "externalTrafficPolicy": "Local", "healthCheckNodePort": 30008,
    });
    let made = cluster.service("s", without.clone()).unwrap();
    assert_eq!((node_ports(&made), &made.spec()["healthCheckNodePort"]), (vec![0], &json!(30008)));
    assert_eq!(
        cluster.service("t", without).unwrap_err().message,
        "Internal error occurred: failed to allocate requested HealthCheck NodePort 30008: provided port is already \
         allocated"
    );
    // A manifest without the port keeps it.
    let again = cluster.patch(SERVICES, "s", &json!({"spec": {"healthCheckNodePort": null}})).unwrap();
    assert_eq!(again.spec()["healthCheckNodePort"], 30008);
    let everywhere = json!({"spec": {"externalTrafficPolicy": "Cluster"}});
    let made = cluster.patch(SERVICES, "s", &everywhere).unwrap();
    assert!(made.spec().get("healthCheckNodePort").is_none());
    let local = json!({"spec": {"externalTrafficPolicy": "Local"}});
    let made = cluster.patch(SERVICES, "s", &local).unwrap();
    assert!(made.spec()["healthCheckNodePort"].as_u64().is_some_and(|port| (30000..=30019).contains(&port)));
    let plain = cluster.patch(SERVICES, "s", &json!({"spec": {"type": "ClusterIP"}})).unwrap();
    for key in ["healthCheckNodePort", "allocateLoadBalancerNodePorts", "externalTrafficPolicy"] {
        assert!(plain.spec().get(key).is_none(), "{key}");
    }
}

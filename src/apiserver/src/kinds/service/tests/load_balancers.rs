//! Addresses from outside the cluster.

use serde_json::{Value, json};

use crate::kinds::testing::{Cluster, SERVICES};
use crate::kinds::{Config, PoolRange};
use crate::object::Object;

fn cluster() -> Cluster {
    Cluster::with(Config {
        service_cidrs: vec!["10.96.0.0/24".parse().unwrap(), "2001:db8:fd00::/112".parse().unwrap()],
        load_balancer_pools: vec![
            PoolRange::Network("192.0.2.8/30".parse().unwrap()),
            PoolRange::Range("203.0.113.5".parse().unwrap(), "203.0.113.5".parse().unwrap()),
            PoolRange::Network("2603:1030:805::/64".parse().unwrap()),
        ],
        ..Config::default()
    })
}

fn balancer(more: Value) -> Value {
    let mut spec = json!({"type": "LoadBalancer", "ports": [{"port": 80}]});
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    spec
}

fn ingress(object: &Object) -> Vec<&str> {
    let list = object.0["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
    list.map(|one| one["ip"].as_str().unwrap()).collect()
}

#[test]
fn the_addresses_are_in_the_order_of_the_families() {
    let mut cluster = cluster();
    let dual = json!({"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"]});
    let made = cluster.service("s", balancer(dual)).unwrap();
    assert_eq!(ingress(&made), ["2603:1030:805::1", "192.0.2.9"]);
    assert_eq!(made.0["status"]["loadBalancer"]["ingress"][0]["ipMode"], "VIP");
    let cells = cluster.cells(SERVICES, "s");
    assert_eq!(cells[3], "192.0.2.9,2603:1030:805::1", "sorted, as upstream");
    let single = cluster.patch(SERVICES, "s", &json!({"spec": {"ipFamilyPolicy": "SingleStack"}})).unwrap();
    assert_eq!(ingress(&single), ["2603:1030:805::1"]);
    let plain = cluster.patch(SERVICES, "s", &json!({"spec": {"type": "NodePort"}})).unwrap();
    assert_eq!(plain.0["status"], json!({"loadBalancer": {}}));
    // Only the server writes the status.
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}});
    assert_eq!(ingress(&cluster.patch(SERVICES, "s", &status).unwrap()), Vec::<&str>::new());
}

#[test]
fn an_address_that_is_asked_for_is_given_if_a_pool_has_it() {
    let mut cluster = cluster();
    let asked = |ip: &str| balancer(json!({"loadBalancerIP": ip}));
    assert_eq!(ingress(&cluster.service("a", asked("203.0.113.5")).unwrap()), ["203.0.113.5"]);
    assert_eq!(ingress(&cluster.service("b", asked("203.0.113.5")).unwrap()), Vec::<&str>::new());
    assert_eq!(ingress(&cluster.service("c", asked("198.51.100.1")).unwrap()), ["192.0.2.9"]);
    let moved = cluster.patch(SERVICES, "c", &json!({"spec": {"loadBalancerIP": "192.0.2.10"}})).unwrap();
    assert_eq!(ingress(&moved), ["192.0.2.10"]);
    let same = cluster.patch(SERVICES, "c", &json!({"metadata": {"labels": {"a": "b"}}})).unwrap();
    assert_eq!(ingress(&same), ["192.0.2.10"]);
}

#[test]
fn those_that_wait_get_what_another_leaves() {
    let mut cluster = cluster();
    for name in ["a", "b", "c"] {
        assert_eq!(ingress(&cluster.service(name, balancer(json!({}))).unwrap()).len(), 1);
    }
    cluster.service("d", balancer(json!({}))).unwrap();
    assert_eq!(cluster.cells(SERVICES, "d")[3], "<pending>");
    cluster.delete(SERVICES, "b").unwrap();
    assert_eq!(ingress(&cluster.get(SERVICES, "d").unwrap()), ["192.0.2.10"]);
    cluster.store.lists.clear();
    cluster.delete(SERVICES, "d").unwrap();
    assert_eq!(cluster.store.lists.get(SERVICES), None, "only where somebody waits");
    // A Service asks for a taken address while others are free.
    cluster.service("e", balancer(json!({"loadBalancerIP": "203.0.113.5"}))).unwrap();
    assert_eq!(cluster.cells(SERVICES, "e")[3], "<pending>");
    cluster.patch(SERVICES, "a", &json!({"metadata": {"labels": {"a": "b"}}})).unwrap();
    cluster.patch(SERVICES, "c", &json!({"spec": {"type": "NodePort"}})).unwrap();
    assert_eq!(ingress(&cluster.get(SERVICES, "e").unwrap()), ["203.0.113.5"]);
    // A change gives back one address, or those of both families.
    cluster
        .patch(SERVICES, "c", &json!({"spec": {"type": "LoadBalancer", "loadBalancerIP": "192.0.2.9"}}))
        .unwrap();
    cluster.service("f", balancer(json!({"loadBalancerIP": "192.0.2.10"}))).unwrap();
    assert_eq!(cluster.cells(SERVICES, "c")[3], "<pending>");
    cluster.patch(SERVICES, "a", &json!({"spec": {"type": "ClusterIP"}})).unwrap();
    assert_eq!(ingress(&cluster.get(SERVICES, "c").unwrap()), ["192.0.2.9"]);
}

#[test]
fn another_class_is_somebody_elses_and_a_dry_run_gets_none() {
    let mut cluster = cluster();
    let other = cluster.service("s", balancer(json!({"loadBalancerClass": "example.com/other"}))).unwrap();
    assert_eq!(other.0["status"], json!({"loadBalancer": {}}));
    let change = json!({"spec": {"loadBalancerClass": "example.com/another"}});
    assert_eq!(
        cluster.patch(SERVICES, "s", &change).unwrap_err().message,
        "Service \"s\" is invalid: spec.loadBalancerClass: Invalid value: \"example.com/another\": may not change once set"
    );
    cluster.store.dry_run = true;
    let made = cluster.service("t", balancer(json!({}))).unwrap();
    assert_eq!(made.0["status"], json!({"loadBalancer": {}}));
}

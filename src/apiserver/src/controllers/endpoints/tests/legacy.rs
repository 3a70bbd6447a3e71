//! v1 Endpoints (`pkg/controller/endpoint/endpoints_controller_test.go`, `pkg/api/v1/endpoints/util_test.go`).

use serde_json::{Value, json};

use super::super::legacy::plan;
use super::super::own::Address;
use super::super::pod::Pod;
use super::super::service::Service;
use super::super::subsets::{Subset, repacked};
use super::{merged, pod, pods, service};
use crate::kinds::IpFamily;
use crate::object::Object;

fn planned(service: &Service, pods: &[Pod], existing: Option<&Object>) -> Option<Object> {
    plan(service, &pods.iter().collect::<Vec<_>>(), existing, Some("2026-01-01T00:00:00Z"))
}

#[test]
fn an_object_has_what_kubernetes_puts_there() {
    let labelled =
        service(json!({"metadata": {"labels": {"team": "a"}}, "spec": {"ipFamilies": ["IPv6", "IPv4"]}}));
    let unready = pod(1, json!({"status": {"conditions": []}}));
    let made = planned(&labelled, &[pod(2, json!({})), unready], None).unwrap();
    let target =
        |name: &str, uid: &str| json!({"kind": "Pod", "namespace": "default", "name": name, "uid": uid});
    let expected = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {
            "name": "web", "namespace": "default",
            "labels": {"team": "a", "endpoints.kubernetes.io/managed-by": "endpoint-controller"},
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z"},
        },
        "subsets": [{
            "addresses": [{"ip": "fd00::3", "nodeName": "node1", "targetRef": target("web-0002", "p2")}],
            "notReadyAddresses": [{"ip": "fd00::2", "nodeName": "node1", "targetRef": target("web-0001", "p1")}],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        }],
    });
    assert_eq!(made.clone().into_value(), expected);
    let pods = [pod(2, json!({})), pod(1, json!({"status": {"conditions": []}}))];
    assert_eq!(planned(&labelled, &pods, Some(&made)), None);
    let changed = planned(&labelled, &pods[..1], Some(&made)).unwrap();
    assert_eq!(changed.0["subsets"][0].get("notReadyAddresses"), None);
    let none = planned(&labelled, &[], Some(&made)).unwrap();
    assert!(!none.0.contains_key("subsets"));
    // What somebody else put there.
    let spoilt = merged(made.into_value(), json!({"metadata": {"labels": {"team": "b"}}}));
    assert!(planned(&labelled, &pods, Object::from_value(spoilt).as_ref()).is_some());
}

#[test]
fn which_pods_are_in_it() {
    let ending = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    let all = json!({"spec": {"publishNotReadyAddresses": true}});
    let unnamed = json!({"spec": {"ports": [{"port": 80, "targetPort": 8080}]}});
    let headless = json!({"spec": {"clusterIP": "None", "ports": []}});
    let no_ports = json!({"spec": {"ports": [{"port": 80, "targetPort": "none"}]}});
    for (of_service, of_pod, expected) in [
        (json!({}), json!({}), json!([{"ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}])),
        (unnamed, json!({}), json!([{"ports": [{"port": 8080, "protocol": "TCP"}]}])),
        (headless, json!({}), json!([{}])),
        (no_ports, json!({}), Value::Null),
        (json!({}), ending.clone(), Value::Null),
        (all.clone(), ending, json!([{"ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}])),
        (all, json!({"status": {"phase": "Failed"}}), Value::Null),
    ] {
        let made = planned(&service(of_service.clone()), &[pod(1, of_pod.clone())], None).unwrap();
        let mut subsets = made.0.get("subsets").cloned().unwrap_or_default();
        for subset in subsets.as_array_mut().into_iter().flatten() {
            assert_eq!(subset["addresses"][0]["ip"], "10.244.0.2");
            subset.as_object_mut().unwrap().remove("addresses");
        }
        assert_eq!(subsets, expected, "{of_service} {of_pod}");
    }
}

#[test]
fn more_than_a_thousand_are_cut() {
    let over = "endpoints.kubernetes.io/over-capacity";
    let (plain, all) = (service(json!({})), pods(0..1200));
    let made = planned(&plain, &all, None).unwrap();
    assert_eq!(made.0["subsets"][0]["addresses"].as_array().unwrap().len(), 1000);
    assert_eq!(made.metadata()["annotations"][over], "truncated");
    assert_eq!(planned(&plain, &all, Some(&made)), None);
    // Those that are not ready go first.
    let unready = (800..1200).map(|number| pod(number, json!({"status": {"conditions": []}})));
    let mixed: Vec<Pod> = pods(0..800).into_iter().chain(unready).collect();
    let made = planned(&plain, &mixed, None).unwrap();
    let count = |key: &str| made.0["subsets"][0][key].as_array().unwrap().len();
    assert_eq!((count("addresses"), count("notReadyAddresses")), (800, 200));
    let fewer = planned(&plain, &all[..10], Some(&made)).unwrap();
    assert_eq!(fewer.metadata()["annotations"].get(over), None);
}

#[test]
fn subsets_are_repacked() {
    let read = |value: Value| -> Vec<Subset> { serde_json::from_value(value).unwrap() };
    let (one, two) = (json!({"ip": "10.0.0.1"}), json!({"ip": "10.0.0.2"}));
    let (a, b) = (
        json!({"name": "a", "port": 1, "protocol": "TCP"}),
        json!({"name": "b", "port": 2, "protocol": "TCP"}),
    );
    for (given, expected) in [
        (json!([]), json!([])),
        // The same ports, twice: together, in order, once.
        (
            json!([{"addresses": [two, one], "ports": [b, a]}, {"addresses": [one], "ports": [a]}]),
            json!([{"addresses": [one, two], "ports": [a, b]}]),
        ),
        (
            json!([{"addresses": [one], "ports": [a, b]}, {"addresses": [two], "ports": [b]}]),
            json!([{"addresses": [one], "ports": [a]}, {"addresses": [one, two], "ports": [b]}]),
        ),
        // Not ready trumps ready.
        (
            json!([{"addresses": [one], "ports": [a]}, {"notReadyAddresses": [one], "ports": [a]}]),
            json!([{"notReadyAddresses": [one], "ports": [a]}]),
        ),
        (json!([{"addresses": [one]}, {"addresses": [two]}]), json!([{"addresses": [one, two]}])),
    ] {
        assert_eq!(repacked(&read(given.clone())), read(expected), "{given}");
    }
}

#[test]
fn the_server_is_where_pods_reach_it() {
    let node = ["192.0.2.1", "2001:db8::1", "192.0.2.2"].map(|ip| ip.parse().unwrap());
    for (bound, node, expected) in [
        ("127.0.0.1", &node[..], vec![]),
        ("::1", &node[..], vec![]),
        ("169.254.1.1", &node[..], vec![]),
        ("192.0.2.9", &node[..], vec!["192.0.2.9"]),
        ("0.0.0.0", &node[..], vec!["192.0.2.1"]),
        ("::", &node[..], vec!["192.0.2.1", "2001:db8::1"]),
        ("::", &[], vec![]),
    ] {
        let address = Address::of(bound.parse().unwrap(), node, 6443);
        let ips: Vec<String> = address.ips.iter().map(ToString::to_string).collect();
        assert_eq!(ips, expected, "{bound}");
    }
    let address = Address::of("192.0.2.9".parse().unwrap(), &[], 6443);
    assert_eq!(address.objects(IpFamily::V6), None);
    let [endpoints, slice] = address.objects(IpFamily::V4).unwrap();
    assert_eq!(
        endpoints.0["subsets"][0]["ports"],
        json!([{"name": "https", "port": 6443, "protocol": "TCP"}])
    );
    assert_eq!(slice.0["endpoints"], json!([{"addresses": ["192.0.2.9"], "conditions": {"ready": true}}]));
}

//! Slices of Endpoints that somebody wrote (`pkg/controller/endpointslicemirroring/reconciler_test.go`).

use serde_json::{Value, json};

use super::super::changes::Changes;
use super::super::mirror::{is_mirrored, plan};
use super::super::slice::Slice;
use super::{addresses, counts, merged, stored};
use crate::object::Object;

fn endpoints(rest: Value) -> Object {
    let plain = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"name": "db", "namespace": "default", "uid": "e", "labels": {"team": "a"},
            "annotations": {"why": "because", "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
        "subsets": [{
            "addresses": [{"ip": "192.0.2.7", "nodeName": "n"}, {"ip": "2001:db8::7", "hostname": "h"}],
            "notReadyAddresses": [{"ip": "192.0.2.8"}],
            "ports": [{"port": 5432, "protocol": "TCP"}],
        }],
    });
    Object::from_value(merged(plain, rest)).unwrap()
}

fn made(changes: &Changes) -> Vec<Slice> {
    let new = changes.create.iter().enumerate();
    new.map(|(index, slice)| stored(slice.clone(), &format!("db-{index}"))).collect()
}

#[test]
fn each_family_has_a_slice() {
    let given = endpoints(json!({}));
    let changes = plan(Some(&given), Vec::new());
    assert_eq!(counts(&changes), (2, 0, 0));
    let v4 = changes.create[0].clone().into_object().into_value();
    let expected = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "generateName": "db-", "namespace": "default",
            "labels": {
                "team": "a", "kubernetes.io/service-name": "db",
                "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
            },
            "annotations": {"why": "because"},
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Endpoints", "name": "db", "uid": "e", "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": ["192.0.2.7"], "conditions": {"ready": true}, "nodeName": "n"},
            {"addresses": ["192.0.2.8"], "conditions": {"ready": false}},
        ],
        "ports": [{"name": "", "port": 5432, "protocol": "TCP"}],
    });
    assert_eq!(v4, expected);
    assert_eq!(changes.create[1].endpoints[0].hostname.as_deref(), Some("h"));
    let before = made(&changes);
    assert_eq!(plan(Some(&given), before.clone()), Changes::default());
    assert_eq!(counts(&plan(None, before)), (0, 0, 2));
}

#[test]
fn a_change_is_one_of_the_same_slices() {
    let before = made(&plan(Some(&endpoints(json!({}))), Vec::new()));
    let ports = |number: i64| json!([{"port": number, "protocol": "TCP"}]);
    let v4 = json!([{"addresses": [{"ip": "192.0.2.7", "nodeName": "n"}], "ports": ports(5432)}]);
    let moved = json!([{"addresses": [{"ip": "192.0.2.7"}, {"ip": "2001:db8::7"}], "ports": ports(1)}]);
    for (what, rest, expected) in [
        ("an address goes", json!({"subsets": v4}), (0, 1, 1)),
        ("another port", json!({"subsets": moved}), (0, 2, 0)),
        ("a label", json!({"metadata": {"labels": {"team": "b"}}}), (0, 2, 0)),
        ("an annotation", json!({"metadata": {"annotations": {"why": "so"}}}), (0, 2, 0)),
        (
            "what is not copied",
            json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x"}}}),
            (0, 0, 0),
        ),
        ("made again", json!({"metadata": {"uid": "other"}}), (0, 2, 0)),
        ("no subsets", json!({"subsets": []}), (0, 0, 2)),
    ] {
        assert_eq!(counts(&plan(Some(&endpoints(rest)), before.clone())), expected, "{what}");
    }
}

#[test]
fn at_most_a_thousand_addresses_of_a_subset() {
    let many: Vec<Value> =
        (0..1100).map(|n| json!({"ip": format!("192.0.{}.{}", n / 250, n % 250 + 1)})).collect();
    let given =
        endpoints(json!({"subsets": [{"addresses": many, "ports": [{"port": 1, "protocol": "TCP"}]}]}));
    let changes = plan(Some(&given), Vec::new());
    assert_eq!(addresses(&changes.create[0]).len(), 1000);
}

#[test]
fn locks_and_what_is_to_be_skipped_are_not_mirrored() {
    let lock = json!({"metadata": {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}});
    let skipped = json!({"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}});
    let not_skipped = json!({"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": "false"}}});
    for (rest, expected) in [(json!({}), true), (lock, false), (skipped, false), (not_skipped, true)] {
        assert_eq!(is_mirrored(&endpoints(rest.clone())), expected, "{rest}");
    }
}

//! Server-side apply on objects alone.

use serde_json::json;

use super::*;
use crate::kinds::service;

fn applied(object: Value, applied: &Value) -> Result<Value, String> {
    let Value::Object(mut object) = object else { panic!() };
    merge(&mut object, applied.as_object().unwrap(), service::KIND.schema)?;
    Ok(Value::Object(object))
}

#[test]
fn ports_are_told_apart_by_number_and_protocol() {
    let object = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"clusterIP": "10.0.0.1",
        "ports": [{"port": 53, "protocol": "TCP", "nodePort": 30000}]}});
    let new = json!({"metadata": {"labels": {"b": "2"}}, "spec": {"ports": [{"port": 53, "name": "tcp"}, {"port": 53, "protocol": "UDP"}]}});
    let expected = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"clusterIP": "10.0.0.1",
        "ports": [{"port": 53, "protocol": "TCP", "nodePort": 30000, "name": "tcp"}, {"port": 53, "protocol": "UDP"}]}});
    let once = applied(object, &new).unwrap();
    assert_eq!(once, expected);
    assert_eq!(applied(once.clone(), &new).unwrap(), once);
}

#[test]
fn what_is_no_longer_applied_goes_unless_another_applies_it() {
    let schema = service::KIND.schema;
    let map = |value: Value| value.as_object().unwrap().clone();
    let live = json!({"kind": "Service", "metadata": {"name": "a", "uid": "u", "labels": {"a": "1", "b": "2", "c": "3"}},
        "spec": {"clusterIP": "10.0.0.1", "type": "NodePort", "selector": {"app": "a"},
            "ports": [{"port": 80, "protocol": "TCP", "name": "http", "nodePort": 30000}, {"port": 53, "protocol": "UDP"},
                {"port": 99, "protocol": "TCP"}]}});
    let before = json!({"kind": "Service", "metadata": {"name": "a", "labels": {"a": "1", "b": "2"}},
        "spec": {"type": "NodePort", "selector": {"app": "a"},
            "ports": [{"port": 80, "name": "http", "nodePort": 30000}, {"port": 53, "protocol": "UDP"}]}});
    let now = json!({"kind": "Service", "metadata": {"labels": {"a": "1"}},
        "spec": {"ports": [{"port": 80, "name": "http"}]}});
    let pruned = |others: &[Map<String, Value>]| {
        let mut object = map(live.clone());
        prune(&mut object, &map(before.clone()), &map(now.clone()), others, schema);
        Value::Object(object)
    };
    let expected = json!({"kind": "Service", "metadata": {"name": "a", "uid": "u", "labels": {"a": "1", "c": "3"}},
        "spec": {"clusterIP": "10.0.0.1",
            "ports": [{"port": 80, "protocol": "TCP", "name": "http"}, {"port": 99, "protocol": "TCP"}]}});
    assert_eq!(pruned(&[]), expected);
    let other = json!({"metadata": {"labels": {"b": "2"}}, "spec": {"type": "NodePort",
        "ports": [{"port": 53, "protocol": "UDP"}]}});
    let both = pruned(&[map(other)]);
    assert_eq!(both["metadata"]["labels"], json!({"a": "1", "b": "2", "c": "3"}));
    assert_eq!(
        (&both["spec"]["type"], both["spec"]["ports"].as_array().unwrap().len()),
        (&json!("NodePort"), 3)
    );
    assert_eq!(both["spec"].get("selector"), None);
}

/// As kube-apiserver 1.36.2 does it: a manager that stops to apply what an autoscaler writes does not undo that.
#[test]
fn what_others_have_changed_stays() {
    let map = |value: Value| value.as_object().unwrap().clone();
    let mut object = map(
        json!({"metadata": {"name": "a", "labels": {"a": "9", "b": "2"}, "finalizers": ["x/y"]},
        "spec": {"type": "LoadBalancer", "externalIPs": ["192.0.2.2"], "ports": [{"port": 80, "protocol": "TCP", "targetPort": 99}]}}),
    );
    let before = map(
        json!({"metadata": {"name": "a", "labels": {"a": "1", "b": "2"}, "finalizers": ["x/y"]},
        "spec": {"type": "NodePort", "externalIPs": ["192.0.2.1"], "ports": [{"port": 80, "targetPort": 8080}]}}),
    );
    let now = map(json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}));
    prune(&mut object, &before, &now, &[], service::KIND.schema);
    let expected = json!({"metadata": {"name": "a", "labels": {"a": "9"}},
        "spec": {"type": "LoadBalancer", "externalIPs": ["192.0.2.2"], "ports": [{"port": 80, "protocol": "TCP", "targetPort": 99}]}});
    assert_eq!(Value::Object(object), expected);
}

/// `sigs.k8s.io/structured-merge-diff/typed/validate.go`.
#[test]
fn what_is_applied_is_a_part_of_the_kind() {
    let told = |applied: Value| {
        declared(applied.as_object().unwrap(), service::KIND.schema).err().unwrap_or_default()
    };
    let good = json!({"kind": "Service", "metadata": {"name": "a", "labels": {"x": "y"}, "finalizers": ["a/b"]},
        "spec": {"clusterIP": null, "ports": [{"port": 80}, {"port": 80, "protocol": "UDP"}], "externalIPs": ["a", "a"]}});
    assert_eq!(told(good), "");
    let foo = json!({"spec": {"foo": null, "ports": [{"port": 80, "x": 1}]}, "metadata": {"finalizers": ["a", "a"]}});
    let expected = "errors:\n  .metadata.finalizers: duplicate entries for key [=\"a\"]\n  \
                    .spec.foo: field not declared in schema\n  \
                    .spec.ports[port=80,protocol=\"TCP\"].x: field not declared in schema";
    assert_eq!(told(foo), expected);
    let twice = json!({"spec": {"ports": [{"port": 80}, {"port": 80, "protocol": "TCP"}]}});
    assert_eq!(told(twice), ".spec.ports: duplicate entries for key [port=80,protocol=\"TCP\"]");
    let keyless = json!({"spec": {"ports": [{"name": "x"}]}});
    assert!(told(keyless).starts_with(".spec.ports: element 0: associative list"));
    let many: Map<String, Value> = (0..1000).map(|n| (n.to_string(), Value::Null)).collect();
    assert_eq!(told(Value::Object(many)).lines().count(), 1 + MOST_FAULTS);
}

#[test]
fn some_fields_are_applied_as_a_whole_and_null_applies_nothing() {
    let found = applied(
        json!({"metadata": {"labels": {"a": "1"}, "finalizers": ["x/y"],
                "ownerReferences": [{"uid": "u", "name": "a", "controller": true}]},
            "spec": {"selector": {"a": "1"}, "type": "NodePort", "externalIPs": ["192.0.2.1"], "ports": [{"port": 80, "protocol": "TCP"}]}}),
        &json!({"metadata": {"labels": null, "finalizers": null, "ownerReferences": [{"uid": "u", "name": "b"}]},
            "spec": {"selector": {"b": "2"}, "type": null, "externalIPs": null, "ports": null}}),
    );
    let expected = json!({"metadata": {"labels": {"a": "1"}, "finalizers": ["x/y"], "ownerReferences": [{"uid": "u", "name": "b"}]},
        "spec": {"selector": {"b": "2"}, "type": null, "externalIPs": null, "ports": [{"port": 80, "protocol": "TCP"}]}});
    assert_eq!(found.unwrap(), expected);
}

#[test]
fn other_lists_are_replaced() {
    let found = applied(
        json!({"spec": {"ipFamilies": ["IPv4"]}}),
        &json!({"spec": {"ipFamilies": ["IPv4", "IPv6"]}}),
    );
    assert_eq!(found.unwrap(), json!({"spec": {"ipFamilies": ["IPv4", "IPv6"]}}));
    assert!(applied(json!({"spec": {"ports": []}}), &json!({"spec": {"ports": [{"name": "x"}]}})).is_err());
}

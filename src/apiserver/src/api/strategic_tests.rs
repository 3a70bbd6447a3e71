use serde_json::json;

use super::*;
use crate::kinds::service;

fn patched(object: Value, patch: &Value) -> Result<Value, String> {
    let Value::Object(mut object) = object else { panic!() };
    merge(&mut object, patch.as_object().unwrap(), service::KIND.schema)?;
    Ok(Value::Object(object))
}

#[test]
fn ports_are_merged_by_their_number() {
    let object = json!({"spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30000}, {"port": 443, "name": "b"}]}});
    let table = [
        (
            json!({"spec": {"ports": [{"port": 80, "name": "a"}]}}),
            json!([{"port": 80, "nodePort": 30000, "name": "a"}, {"port": 443, "name": "b"}]),
        ),
        (
            json!({"spec": {"ports": [{"port": 81}]}}),
            json!([{"port": 81}, {"port": 80, "nodePort": 30000}, {"port": 443, "name": "b"}]),
        ),
        (
            json!({"spec": {"ports": [{"port": 443, "$patch": "delete"}]}}),
            json!([{"port": 80, "nodePort": 30000}]),
        ),
        (
            json!({"spec": {"ports": [{"port": 80, "nodePort": null}]}}),
            json!([{"port": 80}, {"port": 443, "name": "b"}]),
        ),
        (json!({"spec": {"ports": [{"$patch": "replace"}, {"port": 1}]}}), json!([{"port": 1}])),
        // Nothing of an entry with a directive is left.
        (
            json!({"spec": {"ports": [{"$patch": "replace", "port": 2}, {"port": 3, "$patch": "delete"}, {"port": 1}]}}),
            json!([{"port": 1}]),
        ),
        (
            json!({"spec": {"$setElementOrder/ports": [{"port": 81}, {"port": 80}], "ports": [{"port": 81}]}}),
            json!([{"port": 81}, {"port": 80, "nodePort": 30000}, {"port": 443, "name": "b"}]),
        ),
    ];
    for (patch, expected) in table {
        let found = patched(object.clone(), &patch).unwrap();
        assert_eq!(found["spec"]["ports"], expected, "{patch}");
        assert_eq!(found["spec"]["type"], "NodePort");
    }
}

#[test]
fn other_lists_are_replaced_and_sets_united() {
    let object = json!({"metadata": {"finalizers": ["a", "b"], "labels": {"x": "1", "y": "2"}}, "spec": {"clusterIPs": ["10.0.0.1"]}});
    let patch = json!({"metadata": {"finalizers": ["b", "c"], "$deleteFromPrimitiveList/finalizers": ["a"], "labels": {"x": null, "z": "3"}},
        "spec": {"clusterIPs": ["10.0.0.1", "2001:db8::1"]}});
    let expected = json!({"metadata": {"finalizers": ["b", "c"], "labels": {"y": "2", "z": "3"}},
        "spec": {"clusterIPs": ["10.0.0.1", "2001:db8::1"]}});
    assert_eq!(patched(object, &patch).unwrap(), expected);
}

/// `mergeSortedSlice` and `mergePatchIntoOriginal` in `k8s.io/apimachinery/pkg/util/strategicpatch/patch.go`.
#[test]
fn lists_are_in_upstreams_order() {
    let list = |ports: &[u64]| ports.iter().map(|port| json!({"port": port})).collect::<Vec<_>>();
    for (before, patch, order, expected) in [
        (&[80, 443][..], &[81][..], &[][..], &[81, 80, 443][..]),
        (&[80, 443], &[81, 82], &[], &[81, 82, 80, 443]),
        (&[80, 443], &[443, 81], &[], &[80, 443, 81]),
        (&[80, 443], &[81, 443], &[], &[81, 80, 443]),
        (&[80, 443], &[443, 80], &[], &[443, 80]),
        (&[1, 2, 3, 4], &[3, 9], &[], &[1, 2, 3, 9, 4]),
        (&[1, 2, 3, 4], &[4, 1], &[], &[2, 3, 4, 1]),
        (&[], &[2, 1], &[], &[2, 1]),
        (&[80, 443], &[81], &[80, 81, 443], &[80, 81, 443]),
        (&[80, 443], &[81], &[80, 81], &[80, 81, 443]),
        (&[80, 443], &[], &[443, 80], &[443, 80]),
        (&[1, 2, 3, 4], &[9], &[4, 9, 2], &[1, 3, 4, 9, 2]),
    ] {
        let mut spec = json!({});
        if !patch.is_empty() {
            spec["ports"] = list(patch).into();
        }
        if !order.is_empty() {
            spec["$setElementOrder/ports"] = list(order).into();
        }
        let found = patched(json!({"spec": {"ports": list(before)}}), &json!({"spec": spec})).unwrap();
        assert_eq!(found["spec"]["ports"], Value::from(list(expected)), "{before:?} {patch:?} {order:?}");
        // The same for lists of texts.
        let texts = |all: &[u64]| all.iter().map(|one| format!("a/{one}")).collect::<Vec<_>>();
        let mut metadata = json!({});
        if !patch.is_empty() {
            metadata["finalizers"] = texts(patch).into();
        }
        if !order.is_empty() {
            metadata["$setElementOrder/finalizers"] = texts(order).into();
        }
        let object = json!({"metadata": {"finalizers": texts(before)}});
        let found = patched(object, &json!({"metadata": metadata})).unwrap();
        assert_eq!(found["metadata"]["finalizers"], json!(texts(expected)), "{before:?} {patch:?} {order:?}");
    }
}

#[test]
fn directives_replace_and_retain() {
    let object = json!({"spec": {"type": "ClusterIP", "selector": {"a": "b"}, "clusterIP": "None"}});
    let patch =
        json!({"spec": {"selector": {"$patch": "replace", "c": "d"}, "$retainKeys": ["type", "selector"]}});
    assert_eq!(
        patched(object.clone(), &patch).unwrap(),
        json!({"spec": {"type": "ClusterIP", "selector": {"c": "d"}}})
    );
    let patch = json!({"spec": {"selector": {"$patch": "delete"}}});
    assert_eq!(patched(object.clone(), &patch).unwrap()["spec"]["selector"], json!({}));
    // A patch without a counterpart in the object is stored as it is, without its directives
    // (`removeDirectives`).
    let new = json!({"status": {"loadBalancer": {"ingress": null, "x": {"$patch": "replace", "b": 1}, "y": {"a": null, "b": 1}}},
        "metadata": {"ownerReferences": [{"name": "a"}, {"$patch": "delete", "uid": "u"}]}});
    let found = patched(object, &new).unwrap();
    assert_eq!(found["status"], json!({"loadBalancer": {"y": {"b": 1}}}));
    assert_eq!(found["metadata"], json!({"ownerReferences": [{"name": "a"}]}));
}

#[test]
fn nonsense_is_refused() {
    for patch in [
        json!({"spec": {"ports": [{"name": "a"}]}}),
        json!({"spec": {"ports": [5]}}),
        json!({"$patch": "explode"}),
        json!({"spec": {"$patch": 5}}),
        json!({"spec": {"$retainKeys": 1}}),
        // What is set and would not be kept.
        json!({"spec": {"$retainKeys": ["ports"], "type": "NodePort"}}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}}),
        json!({"spec": {"$setElementOrder/ports": 1}}),
    ] {
        let object = json!({"metadata": {}, "spec": {"ports": [{"port": 1}]}});
        assert!(patched(object, &patch).is_err(), "{patch}");
    }
}

/// `validatePatchWithSetOrderList` in `k8s.io/apimachinery/pkg/util/strategicpatch/patch.go`.
#[test]
fn a_list_that_contradicts_its_order_is_refused() {
    let port = |port: u64| json!({"port": port});
    for (list, order, fits) in [
        (json!([port(1), port(2)]), json!([port(1), port(3), port(2)]), true),
        (json!([port(2), port(1)]), json!([port(1), port(2)]), false),
        (json!([port(1), port(4)]), json!([port(1), port(2)]), false),
        (json!([{"port": 4, "$patch": "delete"}, port(2)]), json!([port(1), port(2)]), true),
        (json!([]), json!([port(1)]), true),
        (json!([port(1)]), json!([]), true),
    ] {
        let patch = json!({"spec": {"ports": list, "$setElementOrder/ports": order}});
        let found = patched(json!({"spec": {"ports": [port(1), port(2)]}}), &patch);
        assert_eq!(found.is_ok(), fits, "{patch}");
        let told = "The order in patch list of ports doesn't match $setElementOrder/ports";
        assert!(found.is_ok() || found == Err(told.to_owned()), "{found:?}");
    }
    for (list, order, fits) in
        [(json!(["b", "a"]), json!(["a", "b"]), false), (json!(["a", "b"]), json!(["a", "c", "b"]), true)]
    {
        let patch = json!({"metadata": {"finalizers": list, "$setElementOrder/finalizers": order}});
        assert_eq!(patched(json!({"metadata": {}}), &patch).is_ok(), fits, "{patch}");
    }
}

//! Plans in tables, and the controller on a registry of its own.

mod kept;
mod legacy;
mod mirror;
mod packing;

use serde_json::{Value, json};

use super::changes::Changes;
use super::pod::Pod;
use super::service::Service;
use super::slice::Slice;
use crate::object::Object;

/// Sets members of an object: `{"a": {"b": 1}}` sets `b` of `a`.
fn merged(mut object: Value, rest: Value) -> Value {
    match (&mut object, rest) {
        (Value::Object(object), Value::Object(rest)) => {
            for (key, value) in rest {
                let old = object.remove(&key).unwrap_or_default();
                object.insert(key, merged(old, value));
            }
        }
        (object, rest) => *object = rest,
    }
    object
}

/// A Service `web` that selects `app: web`, with port 80 to 8080.
fn service(rest: Value) -> Service {
    let plain = json!({
        "metadata": {
            "name": "web", "namespace": "default", "uid": "s", "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "type": "ClusterIP", "clusterIP": "10.96.0.10", "selector": {"app": "web"}, "ipFamilies": ["IPv4"],
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        },
    });
    Service::of(&Object::from_value(merged(plain, rest)).unwrap())
}

/// A ready pod with one address of each family, the last part of which is its number.
fn pod(number: usize, rest: Value) -> Pod {
    let (high, low) = (number / 200, number % 200 + 1);
    let plain = json!({
        "metadata": {
            "name": format!("web-{number:04}"), "namespace": "default", "uid": format!("p{number}"),
            "labels": {"app": "web"},
        },
        "spec": {"nodeName": "node1", "containers": []},
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": format!("10.244.{high}.{low}")}, {"ip": format!("fd00::{high:x}:{low:x}")}],
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T00:00:00Z"}],
        },
    });
    Pod::of(&Object::from_value(merged(plain, rest)).unwrap())
}

fn pods(numbers: impl IntoIterator<Item = usize>) -> Vec<Pod> {
    numbers.into_iter().map(|number| pod(number, json!({}))).collect()
}

/// A slice as the store would have it after a create.
fn stored(slice: Slice, name: &str) -> Slice {
    let mut object = slice.into_object();
    object.metadata_mut().insert("name".to_owned(), name.into());
    object.metadata_mut().insert("uid".to_owned(), format!("uid-{name}").into());
    object.metadata_mut().insert("resourceVersion".to_owned(), "7".into());
    Slice::of(object)
}

/// How many slices are created, replaced and deleted.
fn counts(changes: &Changes) -> (usize, usize, usize) {
    (changes.create.len(), changes.replace.len(), changes.delete.len())
}

/// The addresses of a slice.
fn addresses(slice: &Slice) -> Vec<&str> {
    slice.endpoints.iter().map(|endpoint| endpoint.addresses[0].as_str()).collect()
}

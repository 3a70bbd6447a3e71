//! Server-side apply: creates an object, or merges the applied fields into it. Fields that the same manager applied the last
//! time and no longer applies are removed, unless another manager applies them as well, or somebody has changed them since.
//!
//! There are no conflicts: of two managers that apply the same field, the last one wins.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::decode;
use crate::schema::{Field, Form, Merge, Type};

/// Most faults of an answer.
const MOST_FAULTS: usize = 100;

/// The structures that are applied as a whole (`structType=atomic` in `k8s.io/api` and `k8s.io/apimachinery`).
const WHOLE: [&str; 15] = [
    "ConfigMapKeySelector",
    "EndpointAddress",
    "EndpointPort",
    "FileKeySelector",
    "LabelSelector",
    "LocalObjectReference",
    "NodeSelector",
    "ObjectFieldSelector",
    "ObjectReference",
    "OwnerReference",
    "ResourceFieldSelector",
    "RoleRef",
    "SecretKeySelector",
    "SecretReference",
    "Subject",
];
/// The maps that are applied as a whole (`mapType=atomic`).
const WHOLE_MAPS: [&str; 2] = ["nodeSelector", "selector"];

/// Whether a field is replaced and removed as a whole, and not part by part.
fn is_whole(field: &Field) -> bool {
    match field.form {
        Form::Object(inner) => WHOLE.contains(&inner.go_name()),
        Form::Texts => WHOLE_MAPS.contains(&field.name),
        Form::Quantities | Form::Blobs => false,
        Form::List(_) => matches!(field.apply, Merge::Replace),
        _ => true,
    }
}

/// Removes from `object` the fields that a manager applied last (`before`), and that neither it (`now`) nor another manager
/// applies. One that has another value by now belongs to whoever wrote that.
pub fn prune(
    object: &mut Map<String, Value>,
    before: &Map<String, Value>,
    now: &Map<String, Value>,
    others: &[Map<String, Value>],
    schema: &'static Type,
) {
    let applied: Vec<&Map<String, Value>> = std::iter::once(now).chain(others).collect();
    let named: Vec<(&str, Option<Value>)> = ["name", "namespace"]
        .map(|key| (key, object.get("metadata").and_then(|metadata| metadata.get(key)).cloned()))
        .into();
    let mut written = before.clone();
    // As the server has written it; what does not fit was never stored.
    let before = if decode::fit(&mut written, schema).is_ok() { &written } else { before };
    prune_fields(object, before, &applied, Some(schema));
    // An applied configuration may omit the name: the URL has it.
    for (key, value) in named {
        if let (Some(Value::Object(metadata)), Some(value)) = (object.get_mut("metadata"), value) {
            metadata.insert(key.to_owned(), value);
        }
    }
}

/// `applied` are the same part of the object as all managers apply it now.
fn prune_fields(
    object: &mut Map<String, Value>,
    before: &Map<String, Value>,
    applied: &[&Map<String, Value>],
    schema: Option<&'static Type>,
) {
    for (key, old) in before {
        let Some(present) = object.get_mut(key) else { continue };
        let now: Vec<&Value> = applied.iter().filter_map(|map| map.get(key)).collect();
        let field = schema.and_then(|schema| schema.field(key));
        match (present, old, field) {
            (Value::Object(present), Value::Object(old), Some(field)) if !is_whole(field) => {
                let now: Vec<&Map<String, Value>> = now.iter().filter_map(|now| now.as_object()).collect();
                prune_fields(present, old, &now, field.form.inner());
                if present.is_empty() && now.is_empty() {
                    object.remove(key);
                }
            }
            (Value::Array(present), Value::Array(old), Some(field)) if !is_whole(field) => {
                prune_list(present, old, &now, field);
                if present.is_empty() && now.is_empty() {
                    object.remove(key);
                }
            }
            (present, old, _) if now.is_empty() && present == old => {
                object.remove(key);
            }
            _ => {}
        }
    }
}

fn prune_list(present: &mut Vec<Value>, before: &[Value], applied: &[&Value], field: &'static Field) {
    let keys = if let Merge::Key(keys) = field.apply { Some(keys) } else { None };
    let is_same = |one: &Value, other: &Value| match keys {
        Some(keys) => identity(one, keys) == identity(other, keys),
        None => one == other,
    };
    let applied: Vec<&Value> = applied.iter().filter_map(|list| list.as_array()).flatten().collect();
    present.retain_mut(|entry| {
        let Some(old) = before.iter().find(|old| is_same(old, entry)) else { return true };
        let now: Vec<&Value> = applied.iter().copied().filter(|now| is_same(now, entry)).collect();
        if let (Value::Object(entry), Value::Object(old)) = (entry, old) {
            let now: Vec<&Map<String, Value>> = now.iter().filter_map(|now| now.as_object()).collect();
            prune_fields(entry, old, &now, field.form.inner());
        }
        !now.is_empty()
    });
}

/// Checks applied fields against `schema`: no unknown fields, and no list entries without a key or with the same key.
///
/// # Errors
/// The faults, in the words of `sigs.k8s.io/structured-merge-diff/typed/validate.go`.
pub fn declared(applied: &Map<String, Value>, schema: &'static Type) -> Result<(), String> {
    let mut faults = Vec::new();
    fields_declared(applied, schema, &mut String::new(), &mut faults);
    match &faults[..] {
        [] => Ok(()),
        [one] => Err(one.clone()),
        several => Err(format!("errors:\n  {}", several.join("\n  "))),
    }
}

fn fields_declared(
    applied: &Map<String, Value>,
    schema: &'static Type,
    path: &mut String,
    faults: &mut Vec<String>,
) {
    for (key, value) in applied {
        if faults.len() >= MOST_FAULTS {
            return;
        }
        let length = path.len();
        path.push('.');
        path.push_str(key);
        match (schema.field(key), value) {
            (None, _) if schema.is_open => {}
            (None, _) => faults.push(format!("{path}: field not declared in schema")),
            (Some(field), Value::Array(list)) => list_declared(list, field, path, faults),
            (Some(field), Value::Object(map)) => {
                if let Some(inner) = field.form.inner() {
                    fields_declared(map, inner, path, faults);
                }
            }
            _ => {}
        }
        path.truncate(length);
    }
}

fn list_declared(list: &[Value], field: &'static Field, path: &mut String, faults: &mut Vec<String>) {
    let mut seen = HashSet::new();
    for (index, entry) in list.iter().enumerate() {
        let place = match field.apply {
            Merge::Replace => format!("[{index}]"),
            Merge::Set => format!("[={entry}]"),
            Merge::Key(keys) => {
                let id = identity(entry, keys);
                if let Some(missing) = id.iter().position(Value::is_null) {
                    let key = keys[missing];
                    faults.push(format!(
                        "{path}: element {index}: associative list with keys has an element that omits key field {key:?} \
                         (and doesn't have default value)"
                    ));
                    return;
                }
                let pairs: Vec<String> =
                    keys.iter().zip(&id).map(|(key, value)| format!("{key}={value}")).collect();
                format!("[{}]", pairs.join(","))
            }
        };
        if field.apply != Merge::Replace && !seen.insert(place.clone()) {
            faults.push(format!("{path}: duplicate entries for key {place}"));
        }
        if let (Value::Object(map), Some(inner)) = (entry, field.form.inner()) {
            let length = path.len();
            path.push_str(&place);
            fields_declared(map, inner, path, faults);
            path.truncate(length);
        }
        if faults.len() >= MOST_FAULTS {
            return;
        }
    }
}

/// Merges applied fields into `object`. Lists with keys are merged by all of them (`port` and `protocol`), others replaced.
///
/// # Errors
/// An entry of a list without its key.
pub fn merge(
    object: &mut Map<String, Value>,
    applied: &Map<String, Value>,
    schema: &'static Type,
) -> Result<(), String> {
    for (key, value) in applied {
        let merged = match (object.remove(key), schema.field(key)) {
            (Some(old), Some(field)) => merged(old, value, field)?,
            _ => value.clone(),
        };
        object.insert(key.clone(), merged);
    }
    Ok(())
}

fn merged(old: Value, applied: &Value, field: &'static Field) -> Result<Value, String> {
    if is_whole(field) {
        return Ok(applied.clone());
    }
    match (old, applied, field.form) {
        // Nothing of it is applied.
        (old, Value::Null, _) => Ok(old),
        (Value::Object(mut old), Value::Object(applied), Form::Object(inner)) => {
            merge(&mut old, applied, inner)?;
            Ok(Value::Object(old))
        }
        (Value::Object(mut old), Value::Object(applied), Form::Texts | Form::Quantities | Form::Blobs) => {
            old.extend(applied.clone());
            Ok(Value::Object(old))
        }
        (Value::Array(old), Value::Array(applied), Form::List(_)) => {
            merge_list(old, applied, field).map(Value::Array)
        }
        (_, applied, _) => Ok(applied.clone()),
    }
}

fn merge_list(mut list: Vec<Value>, applied: &[Value], field: &'static Field) -> Result<Vec<Value>, String> {
    match field.apply {
        Merge::Replace => return Ok(applied.to_vec()),
        Merge::Set => {
            for entry in applied {
                if !list.contains(entry) {
                    list.push(entry.clone());
                }
            }
        }
        Merge::Key(keys) => {
            let inner = field.form.inner();
            for entry in applied {
                let id = identity(entry, keys);
                if id.iter().all(Value::is_null) {
                    return Err(format!("element of {} has no key {}", field.name, keys.join(", ")));
                }
                let old = list.iter_mut().find(|old| identity(old, keys) == id);
                match (old, entry, inner) {
                    (Some(old), entry, Some(inner)) if WHOLE.contains(&inner.go_name()) => {
                        *old = entry.clone()
                    }
                    (Some(Value::Object(old)), Value::Object(entry), Some(inner)) => {
                        merge(old, entry, inner)?
                    }
                    _ => list.push(entry.clone()),
                }
            }
        }
    }
    Ok(list)
}

/// The key of an entry. A missing protocol is TCP.
fn identity(entry: &Value, keys: &[&str]) -> Vec<Value> {
    let key = |key: &&str| match entry.get(key) {
        None if *key == "protocol"
            && ["port", "containerPort"].iter().any(|port| entry.get(port).is_some()) =>
        {
            Value::from("TCP")
        }
        value => value.cloned().unwrap_or_default(),
    };
    keys.iter().map(key).collect()
}

#[cfg(test)]
mod tests {
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
        assert!(
            applied(json!({"spec": {"ports": []}}), &json!({"spec": {"ports": [{"name": "x"}]}})).is_err()
        );
    }
}

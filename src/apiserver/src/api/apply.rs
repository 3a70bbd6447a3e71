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
#[path = "apply_tests.rs"]
mod tests;

//! Strategic merge patches: a merge patch in which lists are merged by a key
//! (Kubernetes, "Update API Objects in Place Using kubectl patch").

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::schema::{Field, Form, Merge, Type};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// Merges `patch` into `object`.
///
/// # Errors
/// A directive that there is not, or an entry of a list without its key.
pub fn merge(
    object: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    schema: &'static Type,
) -> Result<(), String> {
    merge_fields(object, patch, Some(schema))
}

fn merge_fields(
    object: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    schema: Option<&'static Type>,
) -> Result<(), String> {
    match directive(patch)? {
        Some("replace") => {
            *object = cleaned(patch);
            return Ok(());
        }
        Some("delete") => {
            object.clear();
            return Ok(());
        }
        _ => {}
    }
    if let Some(kept) = patch.get(RETAIN_KEYS) {
        let kept = kept.as_array().ok_or_else(|| format!("{RETAIN_KEYS} is not a list"))?;
        object.retain(|key, _| kept.iter().any(|kept| kept == key));
    }
    let orders = orders(object, patch);
    for (key, value) in patch {
        if key.starts_with('$') {
            continue;
        }
        let field = schema.and_then(|schema| schema.field(key));
        if value.is_null() {
            object.remove(key);
        } else {
            let merged = merged(object.remove(key), value, field, key)?;
            object.insert(key.clone(), merged);
        }
    }
    for (key, value) in patch {
        if let Some(name) = key.strip_prefix(DELETE_FROM) {
            delete_from(object.get_mut(name), value);
        }
    }
    for (name, order, before) in orders {
        let field = schema.and_then(|schema| schema.field(name));
        if let (Some(field), Some(Value::Array(list))) = (field, object.get_mut(name)) {
            *list = in_order(std::mem::take(list), order, &before, field.merge);
        }
    }
    Ok(())
}

/// The lists that a patch puts into an order: name, order, and what was in them before.
fn orders<'a>(
    object: &Map<String, Value>,
    patch: &'a Map<String, Value>,
) -> Vec<(&'a str, &'a [Value], Vec<Value>)> {
    let given = patch.iter().filter_map(|(key, value)| Some((key.strip_prefix(ORDER)?, value.as_array()?)));
    let before = |name| object.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    given.map(|(name, order)| (name, order.as_slice(), before(name))).collect()
}

/// The new value of a field.
fn merged(
    old: Option<Value>,
    patch: &Value,
    field: Option<&'static Field>,
    name: &str,
) -> Result<Value, String> {
    match (old, patch, field) {
        (Some(Value::Array(old)), Value::Array(patch), Some(field)) => merge_list(old, patch, field),
        (None, Value::Array(patch), Some(field)) => merge_list(Vec::new(), patch, field),
        (old, Value::Object(patch), field) => {
            let inner = match field.map(|field| field.form) {
                Some(Form::Object(inner)) => Some(inner),
                Some(Form::List(_)) => return Err(format!("expected a list in {name}, got an object")),
                _ => None,
            };
            let mut object = match old {
                Some(Value::Object(old)) => old,
                _ => Map::new(),
            };
            merge_fields(&mut object, patch, inner)?;
            Ok(Value::Object(object))
        }
        (_, patch, _) => Ok(patch.clone()),
    }
}

fn merge_list(old: Vec<Value>, patch: &[Value], field: &'static Field) -> Result<Value, String> {
    let replaces = |entry: &Value| entry.get(PATCH).is_some_and(|directive| directive == "replace");
    let list = match field.merge {
        Merge::Replace => patch.to_vec(),
        Merge::Key(..) if patch.iter().any(replaces) => {
            let entries = patch.iter().filter(|entry| !replaces(entry));
            entries.map(clean).collect()
        }
        Merge::Set => {
            let mut list = old.clone();
            for entry in patch {
                if !list.contains(entry) {
                    list.push(entry.clone());
                }
            }
            in_order(list, patch, &old, field.merge)
        }
        Merge::Key(key, _) => {
            let list = merge_entries(old.clone(), patch, key, field.form.inner())?;
            in_order(list, patch, &old, field.merge)
        }
    };
    Ok(Value::Array(list))
}

fn merge_entries(
    mut list: Vec<Value>,
    patch: &[Value],
    key: &str,
    schema: Option<&'static Type>,
) -> Result<Vec<Value>, String> {
    for entry in patch {
        let Value::Object(entry) = entry else {
            return Err(format!("expected an object with the field {key}, got {entry}"));
        };
        let id = entry.get(key).filter(|id| !id.is_null());
        let id = id.ok_or_else(|| {
            format!("map: {} does not contain declared merge key: {key}", Value::Object(entry.clone()))
        })?;
        if directive(entry)? == Some("delete") {
            list.retain(|old| old.get(key) != Some(id));
            continue;
        }
        match list.iter_mut().find(|old| old.get(key) == Some(id)) {
            Some(Value::Object(old)) => merge_fields(old, entry, schema)?,
            _ => {
                let mut new = Map::new();
                merge_fields(&mut new, entry, schema)?;
                list.push(Value::Object(new));
            }
        }
    }
    Ok(list)
}

/// What a patch says about how it is meant.
fn directive(patch: &Map<String, Value>) -> Result<Option<&str>, String> {
    match patch.get(PATCH) {
        None => Ok(None),
        Some(Value::String(text)) if matches!(text.as_str(), "merge" | "replace" | "delete") => {
            Ok(Some(text))
        }
        Some(other) => Err(format!("Unknown patch type found: {other}")),
    }
}

fn delete_from(list: Option<&mut Value>, values: &Value) {
    if let (Some(Value::Array(list)), Value::Array(values)) = (list, values) {
        list.retain(|entry| !values.contains(entry));
    }
}

/// Puts a list into the order that upstream gives it (`normalizeElementOrder` in `strategicpatch/patch.go`): the entries
/// that `order` names stand as they do there, the others as they stood `before`, each before the first of those that it
/// stood before then. So what is new comes before the others that are left.
fn in_order(list: Vec<Value>, order: &[Value], before: &[Value], merge: Merge) -> Vec<Value> {
    let places = |list: &[Value]| {
        // The first of equal ones counts.
        let places = list.iter().enumerate().rev();
        places.map(|(index, entry)| (identity(entry, merge), index)).collect::<HashMap<_, _>>()
    };
    let (ordered, known) = (places(order), places(before));
    let place = |places: &HashMap<String, usize>, entry: &Value| places.get(&identity(entry, merge)).copied();
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        list.into_iter().partition(|entry| place(&ordered, entry).is_some());
    named.sort_by_cached_key(|entry| place(&ordered, entry));
    others.sort_by_cached_key(|entry| place(&known, entry));
    let mut whole = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for entry in named {
        let end = place(&known, &entry);
        while let (Some(other), Some(end)) = (others.peek(), end) {
            if place(&known, other).is_none_or(|place| place >= end) {
                break;
            }
            whole.extend(others.next());
        }
        whole.push(entry);
    }
    whole.extend(others);
    whole
}

/// What tells an entry of a list from the others.
fn identity(entry: &Value, merge: Merge) -> String {
    match merge {
        Merge::Key(key, _) => entry.get(key).unwrap_or(&Value::Null).to_string(),
        Merge::Set | Merge::Replace => entry.to_string(),
    }
}

/// A patch that becomes the value: without directives and nulls.
fn cleaned(patch: &Map<String, Value>) -> Map<String, Value> {
    let kept = patch.iter().filter(|(key, value)| !key.starts_with('$') && !value.is_null());
    kept.map(|(key, value)| (key.clone(), clean(value))).collect()
}

fn clean(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(cleaned(map)),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schemas;
    use super::*;

    fn patched(object: Value, patch: &Value) -> Result<Value, String> {
        let Value::Object(mut object) = object else { panic!() };
        merge(&mut object, patch.as_object().unwrap(), schemas::of("", "Service").unwrap())?;
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
            assert_eq!(
                found["metadata"]["finalizers"],
                json!(texts(expected)),
                "{before:?} {patch:?} {order:?}"
            );
        }
    }

    #[test]
    fn directives_replace_and_retain() {
        let object = json!({"spec": {"type": "ClusterIP", "selector": {"a": "b"}, "clusterIP": "None"}});
        let patch = json!({"spec": {"selector": {"$patch": "replace", "c": "d"}, "$retainKeys": ["type", "selector"]}});
        assert_eq!(
            patched(object.clone(), &patch).unwrap(),
            json!({"spec": {"type": "ClusterIP", "selector": {"c": "d"}}})
        );
        let patch = json!({"spec": {"selector": {"$patch": "delete"}}});
        assert_eq!(patched(object.clone(), &patch).unwrap()["spec"]["selector"], json!({}));
        let new = json!({"status": {"loadBalancer": {"ingress": null, "x": {"$patch": "merge", "a": null, "b": 1}}}});
        assert_eq!(patched(object, &new).unwrap()["status"], json!({"loadBalancer": {"x": {"b": 1}}}));
    }

    #[test]
    fn nonsense_is_refused() {
        for patch in [
            json!({"spec": {"ports": [{"name": "a"}]}}),
            json!({"spec": {"ports": [5]}}),
            json!({"spec": {"ports": {"port": 1}}}),
            json!({"$patch": "explode"}),
            json!({"spec": {"$patch": 5}}),
            json!({"spec": {"$retainKeys": 1}}),
        ] {
            assert!(patched(json!({"spec": {"ports": [{"port": 1}]}}), &patch).is_err(), "{patch}");
        }
    }
}

//! Strategic merge patches: a merge patch in which lists are merged by a key
//! (Kubernetes, "Update API Objects in Place Using kubectl patch").

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::schema::{Field, Form, Merge, Type};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// Merges `patch` into `object`.
///
/// # Errors
/// An unknown directive, or a list entry without its key.
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
        let kept = kept.as_array().ok_or("invalid patch format of retainKeys")?;
        check_retained(patch, kept)?;
        object.retain(|key, _| kept.iter().any(|kept| kept == key));
    }
    check_orders(patch, schema)?;
    let orders = orders(object, patch);
    for (key, value) in patch {
        if key.starts_with('$') {
            continue;
        }
        let field = schema.and_then(|schema| schema.field(key));
        if value.is_null() {
            object.remove(key);
        } else {
            if let Some(merged) = merged(object.remove(key), value, field, key)? {
                object.insert(key.clone(), merged);
            }
        }
    }
    for (key, value) in patch {
        if let Some(name) = key.strip_prefix(DELETE_FROM) {
            let values = value.as_array().ok_or("invalid patch format of primitive list")?;
            delete_from(object.get_mut(name), values);
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

/// The new value of a field, if it has one.
fn merged(
    old: Option<Value>,
    patch: &Value,
    field: Option<&'static Field>,
    name: &str,
) -> Result<Option<Value>, String> {
    match (old, patch, field) {
        (Some(Value::Array(old)), Value::Array(patch), Some(field)) => {
            merge_list(old, patch, field).map(Some)
        }
        (Some(Value::Object(mut object)), Value::Object(patch), field) => {
            let inner = match field.map(|field| field.form) {
                Some(Form::Object(inner)) => Some(inner),
                Some(Form::List(_)) => return Err(format!("expected a list in {name}, got an object")),
                _ => None,
            };
            merge_fields(&mut object, patch, inner)?;
            Ok(Some(Value::Object(object)))
        }
        // The object has no value to merge it with.
        (_, patch, _) => Ok(without_directives(patch)),
    }
}

/// A patch that is applied to a missing value (`removeDirectives`): the patch without its directives.
fn without_directives(patch: &Value) -> Option<Value> {
    match patch {
        Value::Object(map) if map.contains_key(PATCH) => None,
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, value)| !key.starts_with('$') && !value.is_null());
            let kept = kept.filter_map(|(key, value)| Some((key.clone(), without_directives(value)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(list) => Some(list.iter().filter_map(without_directives).collect()),
        other => Some(other.clone()),
    }
}

fn merge_list(old: Vec<Value>, patch: &[Value], field: &'static Field) -> Result<Value, String> {
    let replaces = |entry: &Value| entry.get(PATCH).is_some_and(|directive| directive == "replace");
    let list = match field.merge {
        Merge::Replace => patch.to_vec(),
        Merge::Key(..) if patch.iter().any(replaces) => {
            // Entries with any directive are no entries (`mergeSliceWithSpecialElements`).
            let entries = patch.iter().filter(|entry| entry.get(PATCH).is_none());
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
        Merge::Key(key) => {
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

/// The directives of a patch.
fn directive(patch: &Map<String, Value>) -> Result<Option<&str>, String> {
    match patch.get(PATCH) {
        None => Ok(None),
        Some(Value::String(text)) if matches!(text.as_str(), "merge" | "replace" | "delete") => {
            Ok(Some(text))
        }
        Some(other) => Err(format!("Unknown patch type found: {other}")),
    }
}

fn delete_from(list: Option<&mut Value>, values: &[Value]) {
    if let Some(Value::Array(list)) = list {
        list.retain(|entry| !values.contains(entry));
    }
}

/// Refuses fields that the patch sets and would not keep (`applyRetainKeysDirective`).
fn check_retained(patch: &Map<String, Value>, kept: &[Value]) -> Result<(), String> {
    let is_list = |key: &str| key.starts_with(DELETE_FROM) || key.starts_with(ORDER) || key == RETAIN_KEYS;
    let mut set = patch.iter().filter(|(key, value)| !value.is_null() && !is_list(key));
    let is_kept = |(key, _): (&String, _)| kept.iter().any(|kept| kept == key);
    if set.all(is_kept) {
        return Ok(());
    }
    Err("invalid patch format of retainKeys".to_owned())
}

/// Refuses a list whose remaining entries are not in the order that the patch asks for
/// (`validatePatchWithSetOrderList`).
fn check_orders(patch: &Map<String, Value>, schema: Option<&'static Type>) -> Result<(), String> {
    for (name, order) in patch.iter().filter_map(|(key, value)| Some((key.strip_prefix(ORDER)?, value))) {
        let wrong = "invalid patch format of setElementOrder list";
        let order = order.as_array().ok_or(wrong)?;
        let list = match patch.get(name) {
            None => continue,
            Some(list) => list.as_array().ok_or(wrong)?,
        };
        let merge = schema.and_then(|schema| schema.field(name)).map_or(Merge::Replace, |field| field.merge);
        let mut rest = order.iter().map(|entry| identity(entry, merge));
        let mut stays = list.iter().filter(|entry| entry.get(PATCH).is_none());
        if !order.is_empty() && !stays.all(|entry| rest.any(|next| next == identity(entry, merge))) {
            return Err(format!("The order in patch list of {name} doesn't match {ORDER}{name}"));
        }
    }
    Ok(())
}

/// Puts a list into the order that upstream gives it (`normalizeElementOrder` in `strategicpatch/patch.go`): entries
/// that `order` names are in that order, all others in the order of `before`. One of the others goes before the next
/// entry of `order` that it preceded in `before`, and behind all entries of `order` if there is none.
fn in_order(list: Vec<Value>, order: &[Value], before: &[Value], merge: Merge<&str>) -> Vec<Value> {
    let places = |list: &[Value]| {
        // Of equal elements the first counts.
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

/// The key of a list entry.
fn identity(entry: &Value, merge: Merge<&str>) -> String {
    match merge {
        Merge::Key(key) => entry.get(key).unwrap_or(&Value::Null).to_string(),
        Merge::Set | Merge::Replace => entry.to_string(),
    }
}

/// A patch as a new value: without directives and nulls.
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
#[path = "strategic_tests.rs"]
mod tests;

//! Server-side apply, as far as one manager is concerned: what is applied is created, or merged into what is there.
//!
//! Who applied which field is not kept, so there are no conflicts, and a field that is no longer applied stays until
//! it is patched away.

use serde_json::{Map, Value};

use super::schema::{Field, Form, Merge, Type};

/// Merges what is applied into `object`. Lists are merged by all their keys (`port` and `protocol`), others replaced.
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
    match (old, applied, field.form) {
        (Value::Object(mut old), Value::Object(applied), Form::Object(inner)) => {
            merge(&mut old, applied, inner)?;
            Ok(Value::Object(old))
        }
        (Value::Object(mut old), Value::Object(applied), Form::Texts | Form::Quantities) => {
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
    match field.merge {
        Merge::Replace => return Ok(applied.to_vec()),
        Merge::Set => {
            for entry in applied {
                if !list.contains(entry) {
                    list.push(entry.clone());
                }
            }
        }
        Merge::Key(_, keys) => {
            let inner = field.form.inner();
            for entry in applied {
                let id = identity(entry, keys);
                if id.iter().all(Value::is_null) {
                    return Err(format!("element of {} has no key {}", field.name, keys.join(", ")));
                }
                let old = list.iter_mut().find(|old| identity(old, keys) == id);
                match (old, entry, inner) {
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

/// What tells an entry from others. A protocol that is left open is TCP.
fn identity(entry: &Value, keys: &[&str]) -> Vec<Value> {
    let key = |key: &&str| match entry.get(key) {
        None if *key == "protocol" && entry.get("port").is_some() => Value::from("TCP"),
        value => value.cloned().unwrap_or_default(),
    };
    keys.iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schemas;
    use super::*;

    fn applied(object: Value, applied: &Value) -> Result<Value, String> {
        let Value::Object(mut object) = object else { panic!() };
        merge(&mut object, applied.as_object().unwrap(), schemas::of("", "Service").unwrap())?;
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

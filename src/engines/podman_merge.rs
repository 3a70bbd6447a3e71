//! podman's files as one, with the same meaning: podman is asked about that.

use toml::{Table, Value};

use super::layers::Layer;

/// The files put together, a later one over an earlier one.
pub(super) fn merged(layers: &[Layer]) -> Table {
    let mut all = Table::new();
    for layer in layers {
        merge(&mut all, &layer.table);
    }
    tidy(&mut all);
    all
}

/// Puts what a file says over what is there. A list that is appended to podman's default stays one; one that is appended
/// to another list begins with an attribute that says so, until [`tidy`] takes it out.
fn merge(all: &mut Table, file: &Table) {
    for (key, value) in file {
        match (all.get_mut(key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => merge(inner, value),
            (Some(Value::Array(now)), Value::Array(value)) => {
                let attribute = |list: &[Value]| list.iter().rev().find_map(append_of);
                let before = attribute(now);
                // What was appended before is appended still, unless the file says otherwise.
                if attribute(value).or(before) != Some(true) {
                    now.clone_from(value);
                    continue;
                }
                if before != Some(true) {
                    now.insert(0, append(false));
                    now.push(append(true));
                }
                now.extend(value.iter().filter(|entry| append_of(entry).is_none()).cloned());
            }
            _ => drop(all.insert(key.clone(), value.clone())),
        }
    }
}

/// Takes the attributes out of lists that were appended to others.
fn tidy(table: &mut Table) {
    for (_, value) in table.iter_mut() {
        match value {
            Value::Table(inner) => tidy(inner),
            Value::Array(list) if list.first().and_then(append_of) == Some(false) => {
                list.retain(|entry| append_of(entry).is_none());
            }
            _ => {}
        }
    }
}

/// The attribute that says how a list is put to others.
fn append(value: bool) -> Value {
    Table::from_iter([("append".to_owned(), Value::Boolean(value))]).into()
}

/// What an entry of a list says of how the list is put to others.
fn append_of(entry: &Value) -> Option<bool> {
    entry.as_table()?.get("append")?.as_bool()
}

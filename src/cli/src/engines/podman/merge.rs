//! podman's files as one, with the same meaning: podman is asked about that.

use toml::{Table, Value};

use crate::engines::layers::Layer;

/// The files put together, a later one over an earlier one.
pub(crate) fn merged(layers: &[Layer]) -> Table {
    let mut all = Table::new();
    for layer in layers {
        merge(&mut all, &layer.table, FIELDS);
    }
    tidy(&mut all);
    all
}

/// How deep the names of Go's fields go, for which podman's TOML reader takes any case: a section and its keys. What is
/// below is keyed by names of the administrator's.
const FIELDS: u8 = 2;

/// Puts what a file says over what is there; the names of the first `fields` levels mean the same in any case, and where
/// one stands there in two the reader takes either. A list that is appended to podman's default stays one; one that is appended
/// to another list begins with an attribute that says so, until [`tidy`] takes it out.
fn merge(all: &mut Table, file: &Table, fields: u8) {
    for (key, value) in file {
        let known = all.keys().find(|known| fields > 0 && known.eq_ignore_ascii_case(key)).cloned();
        let key = known.unwrap_or_else(|| key.clone());
        match (all.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => {
                merge(inner, value, fields.saturating_sub(1));
            }
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
            _ => drop(all.insert(key, value.clone())),
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_key_is_the_same_in_any_case() {
        let layer = |text: &str| Layer { path: PathBuf::from("x"), table: text.parse().unwrap() };
        let all = merged(&[
            layer("[engine]\nHOOKS_DIR = [\"/a\"]\n[engine.runtimes]\nrunc = [\"/x\"]\n"),
            layer("[Engine]\nhooks_dir = [\"/b\"]\n[Engine.Runtimes]\nRUNC = [\"/y\"]\n"),
        ]);
        let wanted = "[engine]\nHOOKS_DIR = [\"/b\"]\n[engine.runtimes]\nRUNC = [\"/y\"]\nrunc = [\"/x\"]\n";
        assert_eq!(all, wanted.parse().unwrap());
    }
}

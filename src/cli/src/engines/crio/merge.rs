//! CRI-O's files as its TOML reader takes them: the names of its fields in any case, and one file over another.

use toml::{Table, Value};

use crate::engines::error::{EngineError, dotted};
use crate::engines::layers::Layer;

/// Tables that are keyed by names of the administrator's, which mean something in their own case alone. What a file says of
/// such a name replaces all that was there of it.
const NAMED: [[&str; 3]; 2] = [["crio", "runtime", "runtimes"], ["crio", "runtime", "workloads"]];

/// Tables of a handler that are keyed by platforms and annotations.
const OF_HANDLERS: [&str; 2] = ["platform_runtime_paths", "default_annotations"];

/// Whether the keys of the table at `above` are the administrator's.
fn has_names(above: &[String]) -> bool {
    NAMED.iter().any(|named| above == named)
        || above.len() > NAMED[0].len() + 1
            && above.last().is_some_and(|key| OF_HANDLERS.contains(&key.as_str()))
}

/// A file with the names of fields in lower case.
///
/// # Errors
/// [`EngineError`] naming a key that stands there in two cases: CRI-O takes either, another one at the next start.
pub(super) fn folded(layer: Layer) -> Result<Layer, EngineError> {
    let mut all = Table::new();
    match fold(&layer.table, &mut Vec::new(), &mut all) {
        Ok(()) => Ok(Layer { table: all, ..layer }),
        Err(key) => {
            let cause = format!("{key} is there in upper and lower case, and CRI-O takes either");
            Err(EngineError::Hook { path: layer.path, cause })
        }
    }
}

fn fold(table: &Table, above: &mut Vec<String>, all: &mut Table) -> Result<(), String> {
    for (key, value) in table {
        let key = if has_names(above) { key.clone() } else { key.to_ascii_lowercase() };
        above.push(key.clone());
        match (all.get_mut(&key), value) {
            (Some(Value::Table(there)), Value::Table(inner)) => fold(inner, above, there)?,
            (Some(_), _) => {
                return Err(dotted(&above.iter().map(String::as_str).collect::<Vec<_>>()));
            }
            (None, Value::Table(inner)) => {
                let mut new = Table::new();
                fold(inner, above, &mut new)?;
                all.insert(key, new.into());
            }
            (None, value) => drop(all.insert(key, value.clone())),
        }
        above.pop();
    }
    Ok(())
}

/// The files put together, a later one over an earlier one.
pub(super) fn merged(layers: &[Layer]) -> Table {
    let mut all = Table::new();
    for layer in layers {
        merge(&mut all, &layer.table, &mut Vec::new());
    }
    all
}

fn merge(all: &mut Table, file: &Table, above: &mut Vec<String>) {
    for (key, value) in file {
        match (all.get_mut(key), value) {
            (Some(Value::Table(there)), Value::Table(value)) if !has_names(above) => {
                above.push(key.clone());
                merge(there, value, above);
                above.pop();
            }
            // The one list to which a later file adds.
            (Some(Value::Array(there)), Value::Array(value))
                if key == "storage_option" && above == &["crio"] =>
            {
                there.extend(value.iter().cloned());
            }
            _ => drop(all.insert(key.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn layer(text: &str) -> Layer {
        Layer { path: PathBuf::from("/x"), table: text.parse().unwrap() }
    }

    #[test]
    fn fields_are_the_same_in_any_case_and_names_are_not() {
        let text = "[CRIO.Runtime]\nDefault_Runtime = 'A'\n[crio.runtime.runtimes.A]\nRuntime_Path = '/a'\n\
            [crio.runtime.runtimes.A.Default_Annotations]\n'X/y' = 'z'\n[crio.runtime.runtimes.a]\n";
        let wanted = "[crio.runtime]\ndefault_runtime = 'A'\n[crio.runtime.runtimes.A]\nruntime_path = '/a'\n\
            [crio.runtime.runtimes.A.default_annotations]\n'X/y' = 'z'\n[crio.runtime.runtimes.a]\n";
        assert_eq!(folded(layer(text)).unwrap().table, wanted.parse().unwrap());
        let twice = "[crio.runtime]\nlog_level = 'a'\n[crio.Runtime]\nLog_Level = 'b'\n";
        assert_eq!(
            folded(layer(twice)).unwrap_err().to_string(),
            "cannot use /x: crio.runtime.log_level is there in upper and lower case, and CRI-O takes either"
        );
    }

    #[test]
    fn a_handler_is_that_of_the_last_file_and_storage_options_are_added_up() {
        let all = merged(&[
            layer(
                "[crio]\nstorage_option = ['a']\n[crio.runtime]\nhooks_dir = ['/a']\n[crio.runtime.runtimes.x]\na = 1\n",
            ),
            layer(
                "[crio]\nstorage_option = ['b']\n[crio.runtime]\nlog_level = 'x'\n[crio.runtime.runtimes.x]\nb = 1\n",
            ),
        ]);
        let wanted = "[crio]\nstorage_option = ['a', 'b']\n[crio.runtime]\nhooks_dir = ['/a']\nlog_level = 'x'\n\
            [crio.runtime.runtimes.x]\nb = 1\n";
        assert_eq!(all, wanted.parse().unwrap());
    }
}

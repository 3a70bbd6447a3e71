//! Configuration in several TOML files, of which a later one goes before an earlier one, value by value.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::engines::error::{EngineError, dotted};
use crate::engines::files::Files;

/// One file's table.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Where it is, for errors.
    pub path: PathBuf,
    /// Its contents.
    pub table: Table,
}

impl Layer {
    /// A file with this text.
    ///
    /// # Errors
    /// [`EngineError::Syntax`] with the line.
    pub fn parse(path: &Path, text: &str) -> Result<Self, EngineError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let table = text.parse().map_err(|error| EngineError::toml(path, text, &error))?;
        Ok(Self { path: path.to_owned(), table })
    }

    /// Reads a file; `None` if it does not exist.
    ///
    /// # Errors
    /// [`EngineError`] naming the file.
    pub fn read(files: &Files, path: &Path) -> Result<Option<Self>, EngineError> {
        files.read(path)?.map(|text| Self::parse(path, &text)).transpose()
    }

    /// The value at `keys`, `None` where it or a table above it is missing.
    ///
    /// # Errors
    /// [`EngineError::Type`] where something else than a table is above it.
    pub fn get(&self, keys: &[&str]) -> Result<Option<&Value>, EngineError> {
        let Some((last, above)) = keys.split_last() else { return Ok(None) };
        let mut table = &self.table;
        for (depth, key) in above.iter().enumerate() {
            match table.get(*key) {
                None => return Ok(None),
                Some(Value::Table(inner)) => table = inner,
                Some(other) => return Err(self.wrong(&keys[..=depth], other, "a table")),
            }
        }
        Ok(table.get(*last))
    }

    /// The table at `keys`.
    ///
    /// # Errors
    /// [`EngineError::Type`] where something else is there.
    pub fn table(&self, keys: &[&str]) -> Result<Option<&Table>, EngineError> {
        match self.get(keys)? {
            None => Ok(None),
            Some(Value::Table(table)) => Ok(Some(table)),
            Some(other) => Err(self.wrong(keys, other, "a table")),
        }
    }

    /// The text at `keys`.
    ///
    /// # Errors
    /// [`EngineError::Type`] where something else is there.
    pub fn string(&self, keys: &[&str]) -> Result<Option<&str>, EngineError> {
        match self.get(keys)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(keys, other, "a string")),
        }
    }

    /// The truth value at `keys`.
    ///
    /// # Errors
    /// [`EngineError::Type`] where something else is there.
    pub fn boolean(&self, keys: &[&str]) -> Result<Option<bool>, EngineError> {
        match self.get(keys)? {
            None => Ok(None),
            Some(Value::Boolean(value)) => Ok(Some(*value)),
            Some(other) => Err(self.wrong(keys, other, "true or false")),
        }
    }

    /// The list of texts at `keys`. Tables in it are passed over: podman has attributes of a list there.
    ///
    /// # Errors
    /// [`EngineError::Type`] where something else is there.
    pub fn strings(&self, keys: &[&str]) -> Result<Option<Vec<String>>, EngineError> {
        let Some(value) = self.get(keys)? else { return Ok(None) };
        let Value::Array(list) = value else { return Err(self.wrong(keys, value, "a list of strings")) };
        let mut texts = Vec::new();
        for value in list {
            match value {
                Value::String(text) => texts.push(text.clone()),
                Value::Table(_) => {}
                other => return Err(self.wrong(keys, other, "a list of strings")),
            }
        }
        Ok(Some(texts))
    }

    /// podman's `append` attribute of a list, if it has one.
    pub(crate) fn appends(&self, keys: &[&str]) -> Result<Option<bool>, EngineError> {
        let list = self.get(keys)?.and_then(Value::as_array);
        let mut attributes = list.into_iter().flatten().rev().filter_map(Value::as_table);
        Ok(attributes.find_map(|table| table.get("append")?.as_bool()))
    }

    /// The error that `keys` hold `found`.
    pub(crate) fn wrong(&self, keys: &[&str], found: &Value, expected: &'static str) -> EngineError {
        EngineError::wrong_type(&self.path, dotted(keys), kind(found), expected)
    }
}

/// The type of a value, for errors.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// The value of the last layer that has one.
pub(crate) fn last<'a, T>(
    layers: &'a [Layer],
    read: impl Fn(&'a Layer) -> Result<Option<T>, EngineError>,
) -> Result<Option<T>, EngineError> {
    for layer in layers.iter().rev() {
        if let Some(value) = read(layer)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_types_and_syntax_are_named_with_their_place() {
        let path = Path::new("/etc/x.conf");
        let error = |text: &str| Layer::parse(path, text).unwrap_err().to_string();
        assert_eq!(
            error("a = 1\nb = \n"),
            "cannot read /etc/x.conf: line 2: string values must be quoted, expected literal string"
        );
        let layer = Layer::parse(path, "\u{feff}[a]\nb = 3\nc = [1]\n\"x.y\" = 'z'\n").unwrap();
        let shown = |result: Result<(), EngineError>| result.unwrap_err().to_string();
        assert_eq!(
            shown(layer.get(&["a", "b", "c"]).map(drop)),
            "cannot use /etc/x.conf: a.b is an integer, expected a table"
        );
        assert_eq!(
            shown(layer.strings(&["a", "c"]).map(drop)),
            "cannot use /etc/x.conf: a.c is an integer, expected a list of strings"
        );
        assert_eq!(
            shown(layer.boolean(&["a", "x.y"]).map(drop)),
            "cannot use /etc/x.conf: a.\"x.y\" is a string, expected true or false"
        );
        assert_eq!(layer.string(&["a", "x.y"]).unwrap(), Some("z"));
        assert!(layer.get(&["b", "c"]).unwrap().is_none());
    }
}

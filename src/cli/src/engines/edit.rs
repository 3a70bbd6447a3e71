//! Changes to a TOML text that leave everything else as it is: comments, order, spacing, line ends.

use std::path::{Path, PathBuf};

use similar::{ChangeTag, TextDiff};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use crate::engines::error::{EngineError, dotted, line_at};

const BOM: char = '\u{feff}';

/// The comment that goes with our own handler.
pub(crate) const COMMENT: &str = "# Hands the annotations to the hook.";

/// The comment that goes with containerd's built-in handler, where we put it in.
pub(crate) const BUILT_IN: &str =
    "# Built in, but for containerd 1.x only where no other handler is configured.";

/// A text that is being changed.
#[derive(Debug)]
pub(crate) struct Edit {
    path: PathBuf,
    original: String,
    /// Comments of a file without keys: the parser would keep them at the end of the file.
    comments: String,
    document: DocumentMut,
}

impl Edit {
    /// Begins with the text of `path`.
    ///
    /// # Errors
    /// [`EngineError::Syntax`] with the line.
    pub(crate) fn new(path: &Path, text: &str) -> Result<Self, EngineError> {
        let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
            let at = error.span().map_or(0, |span| span.start);
            let cause = error.message().lines().next().unwrap_or_default().to_owned();
            EngineError::Syntax { path: path.to_owned(), line: line_at(text, at), cause }
        })?;
        let mut comments = String::new();
        if document.as_table().is_empty() {
            comments = document.trailing().as_str().unwrap_or_default().to_owned();
            if !comments.is_empty() && !comments.ends_with('\n') {
                comments.push('\n');
            }
            document.set_trailing("");
        }
        Ok(Self { path: path.to_owned(), original: text.to_owned(), comments, document })
    }

    /// The text as it is now.
    pub(crate) fn finish(self) -> String {
        keep_lines(&self.original, &(self.comments + &self.document.to_string()))
    }

    /// The table at `keys`, made where it is missing.
    ///
    /// # Errors
    /// [`EngineError::Type`] where something else is there.
    pub(crate) fn table(&mut self, keys: &[&str]) -> Result<&mut dyn TableLike, EngineError> {
        let mut table: &mut dyn TableLike = self.document.as_table_mut();
        for (depth, key) in keys.iter().enumerate() {
            if !table.contains_key(key) {
                let mut new = Table::new();
                new.set_implicit(true);
                table.insert(key, Item::Table(new));
            }
            let inner = table.get_mut(key).and_then(Item::as_table_like_mut);
            table = inner.ok_or_else(|| {
                EngineError::wrong_type(&self.path, dotted(&keys[..=depth]), "something else", "a table")
            })?;
        }
        Ok(table)
    }

    /// The item at `keys`.
    pub(crate) fn get(&self, keys: &[&str]) -> Option<&Item> {
        let (last, above) = keys.split_last()?;
        let mut table: &dyn TableLike = self.document.as_table();
        for key in above {
            table = table.get(key)?.as_table_like()?;
        }
        table.get(last)
    }

    /// Sets a value; a comment behind the one that was there stays.
    ///
    /// # Errors
    /// As for [`Edit::table`].
    pub(crate) fn set(
        &mut self,
        above: &[&str],
        key: &str,
        value: impl Into<Value>,
    ) -> Result<(), EngineError> {
        let table = self.table(above)?;
        let mut value = value.into();
        match table.get_mut(key) {
            Some(Item::Value(old)) => {
                *value.decor_mut() = old.decor().clone();
                *old = value;
            }
            _ => {
                table.insert(key, Item::Value(value));
            }
        }
        Ok(())
    }

    /// Replaces the item at a place.
    ///
    /// # Errors
    /// As for [`Edit::table`].
    pub(crate) fn put(&mut self, above: &[&str], key: &str, item: Item) -> Result<(), EngineError> {
        self.table(above)?.insert(key, item);
        Ok(())
    }

    /// Adds a text to the end of a list, which is made where it is missing.
    ///
    /// # Errors
    /// [`EngineError::Type`] where something else is there.
    pub(crate) fn push(&mut self, above: &[&str], key: &str, text: &str) -> Result<(), EngineError> {
        let keys = [above, &[key]].concat();
        if self.get(&keys).is_none() {
            return self.set(above, key, Array::from_iter([text]));
        }
        let wrong = EngineError::wrong_type(&self.path, dotted(&keys), "something else", "a list of strings");
        let array = self.table(above)?.get_mut(key).and_then(Item::as_array_mut).ok_or(wrong)?;
        let prefix = array.iter().last().and_then(|last| last.decor().prefix()?.as_str());
        let indent = prefix.and_then(|prefix| prefix.rfind('\n').map(|at| prefix[at..].to_owned()));
        let Some(indent) = indent else {
            array.push(text);
            return Ok(());
        };
        // A list with a line for each stays one, and a comment stays with the entry before it.
        let mut behind = String::new();
        if let Some(last) = array.iter_mut().last() {
            behind.push_str(last.decor().suffix().and_then(|suffix| suffix.as_str()).unwrap_or_default());
            last.decor_mut().set_suffix("");
        }
        behind.push_str(array.trailing().as_str().unwrap_or_default());
        let comment = behind.rfind('\n').map_or("", |at| &behind[..at]);
        let mut value = Value::from(text);
        value.decor_mut().set_prefix(format!("{comment}{indent}"));
        array.set_trailing(&behind[comment.len()..]);
        array.push_formatted(value);
        array.set_trailing_comma(true);
        Ok(())
    }

    /// Takes texts out of a list.
    pub(crate) fn take_from_list(&mut self, keys: &[&str], texts: &[&str]) {
        let Some((key, above)) = keys.split_last() else { return };
        if let Ok(table) = self.table(above)
            && let Some(array) = table.get_mut(key).and_then(Item::as_array_mut)
        {
            array.retain(|value| value.as_str().is_none_or(|text| !texts.contains(&text)));
        }
    }

    /// Removes the item at `keys`.
    pub(crate) fn remove(&mut self, keys: &[&str]) {
        if let Some((key, above)) = keys.split_last()
            && self.get(keys).is_some()
            && let Ok(table) = self.table(above)
        {
            table.remove(key);
        }
    }

    /// Whether there is an empty table at `keys`.
    pub(crate) fn is_empty_table(&self, keys: &[&str]) -> bool {
        self.get(keys).and_then(Item::as_table_like).is_some_and(TableLike::is_empty)
    }

    /// Whether the first key of the table at `keys` has this comment before it.
    pub(crate) fn has_comment(&self, keys: &[&str], comment: &str) -> bool {
        let table = self.get(keys).and_then(Item::as_table);
        let first = table.and_then(|table| table.key(table.iter().next()?.0));
        let prefix = first.and_then(|key| key.leaf_decor().prefix()?.as_str());
        prefix.is_some_and(|prefix| prefix.lines().any(|line| line.trim() == comment))
    }

    /// The keys that are not in any table.
    pub(crate) fn top_keys(&self) -> Vec<String> {
        self.document.as_table().iter().map(|(key, _)| key.to_owned()).collect()
    }
}

/// The lines of `edited`, those of which `original` has as it has them: the parser drops a byte order mark and carriage
/// returns and adds a newline at the end.
fn keep_lines(original: &str, edited: &str) -> String {
    let (mark, body) = match original.strip_prefix(BOM) {
        Some(body) => (BOM.to_string(), body),
        None => (String::new(), original),
    };
    let originals: Vec<&str> = body.split_inclusive('\n').collect();
    let bare: Vec<&str> = originals.iter().map(|line| content(line)).collect();
    let wanted: Vec<&str> = edited.lines().collect();
    // Nor does it keep all spaces in the heads of tables.
    let (bare_marks, wanted_marks) = (without_spaces(&bare), without_spaces(&wanted));
    let with_return = originals.iter().filter(|line| line.ends_with("\r\n")).count();
    let end = if with_return * 2 > originals.len() { "\r\n" } else { "\n" };
    let is_comment = |line: &str| line.trim_start().starts_with('#');
    let is_ours = |line: &str| [COMMENT, BUILT_IN].contains(&line);
    let mut text = mark;
    for change in TextDiff::from_slices(&as_slices(&bare_marks), &as_slices(&wanted_marks)).iter_all_changes()
    {
        let new = change.new_index().map_or("", |index| wanted[index]);
        match (change.tag(), change.old_index()) {
            (ChangeTag::Equal, Some(index)) => text.push_str(originals[index]),
            // The parser counts comments to what follows them; they stay when that goes.
            (ChangeTag::Delete, Some(index))
                if is_comment(bare[index]) && !is_ours(bare[index]) && !wanted.contains(&bare[index]) =>
            {
                text.push_str(originals[index]);
            }
            (ChangeTag::Insert, _) => {
                if !text.is_empty() && !text.ends_with('\n') && !text.ends_with(BOM) {
                    text.push_str(end);
                }
                text.push_str(new);
                text.push_str(end);
            }
            _ => {}
        }
    }
    text
}

fn without_spaces(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| line.split_whitespace().collect()).collect()
}

fn as_slices(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

/// A line without its end.
fn content(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// A value of a handler or its options.
pub(crate) fn plain(text: &str) -> Item {
    Item::Value(text.into())
}

/// Copies the keys that `to` lacks, without `except` and empty values.
pub(crate) fn copied(to: &mut Table, from: &toml::Table, except: &[&str]) {
    for (key, value) in from {
        let is_empty = value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty);
        if !to.contains_key(key) && !except.contains(&key.as_str()) && !is_empty {
            to.insert(key, Item::Value(as_edited(value)));
        }
    }
}

/// The same value for an edited text.
pub(crate) fn as_edited(value: &toml::Value) -> toml_edit::Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(value) => (*value).into(),
        toml::Value::Datetime(time) => (*time).into(),
        toml::Value::Array(list) => list.iter().map(as_edited).collect::<Array>().into(),
        toml::Value::Table(table) => {
            table.iter().map(|(key, value)| (key, as_edited(value))).collect::<InlineTable>().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, change: impl Fn(&mut Edit)) -> String {
        let mut edit = Edit::new(Path::new("/c"), text).unwrap();
        change(&mut edit);
        edit.finish()
    }

    #[test]
    fn what_is_not_changed_stays_byte_for_byte() {
        let odd = [
            "a = 1\r\n# c\r\n[b]\r\nc = 2\r\n",
            "\u{feff}a = 1\n",
            "a = 1",
            "a = [\r\n  1, # x\r\n  2\r\n]\r\n\n\n",
            "a = 1\n# mixed\r\n  [ b . \"c\" ]  # odd\n\td=1 # x",
            "",
            "# only this",
            "[ p . 'x.y' ] # odd\n",
        ];
        for text in odd {
            assert_eq!(edited(text, |_| {}), text);
            let with = edited(text, |edit| edit.set(&["zz"], "new", "x").unwrap());
            assert!(with.starts_with(text.trim_end_matches('\n')), "{text:?} {with:?}");
            assert!(with.parse::<DocumentMut>().unwrap()["zz"]["new"].as_str() == Some("x"), "{with:?}");
            let without = edited(&with, |edit| edit.remove(&["zz"]));
            assert_eq!(without.trim_end(), text.trim_end());
        }
    }

    #[test]
    fn new_lines_end_as_most_do() {
        let set = |text: &str| edited(text, |edit| edit.set(&[], "b", 2).unwrap());
        assert_eq!(set("a = 1\r\n"), "a = 1\r\nb = 2\r\n");
        assert_eq!(set("a = 1\n"), "a = 1\nb = 2\n");
        assert_eq!(set("a = 1"), "a = 1\nb = 2\n");
        assert_eq!(set("\u{feff}"), "\u{feff}b = 2\n");
        assert_eq!(set("b = 1 # why\n"), "b = 2 # why\n");
    }

    #[test]
    fn inline_tables_and_dotted_keys_take_new_keys() {
        let set = |text: &str| edited(text, |edit| edit.set(&["p", "x.y", "z"], "k", "v").unwrap());
        for text in [
            "p = { \"x.y\" = { z = {} } }\n",
            "p.\"x.y\".z.a = 1\n",
            "[p]\n\"x.y\" = {}\n",
            "[p.\"x.y\"]\nz.a = 1\n",
        ] {
            let result = set(text);
            let document: DocumentMut = result.parse().unwrap();
            assert_eq!(document["p"]["x.y"]["z"]["k"].as_str(), Some("v"), "{result}");
        }
        let error = Edit::new(Path::new("/c"), "p = 3").unwrap().set(&["p", "x"], "k", "v").unwrap_err();
        assert_eq!(error.to_string(), "cannot use /c: p is something else, expected a table");
    }

    #[test]
    fn lists_keep_their_form() {
        let push = |text: &str| edited(text, |edit| edit.push(&[], "l", "new").unwrap());
        assert_eq!(push(""), "l = [\"new\"]\n");
        assert_eq!(push("l = []\n"), "l = [\"new\"]\n");
        assert_eq!(push("l = [\"a\"]\n"), "l = [\"a\", \"new\"]\n");
        assert_eq!(
            push("l = [\n  \"a\", # why\n  \"b\",\n]\n"),
            "l = [\n  \"a\", # why\n  \"b\",\n  \"new\",\n]\n"
        );
        assert_eq!(push("l = [\n  \"a\", # why\n]\n"), "l = [\n  \"a\", # why\n  \"new\",\n]\n");
        assert_eq!(push("l = [\n\t\"a\" # why\n]\n"), "l = [\n\t\"a\", # why\n\t\"new\",\n]\n");
        let take = |text: &str| edited(text, |edit| edit.take_from_list(&["l"], &["new"]));
        assert_eq!(take("l = [\"a\", \"new\"]\n"), "l = [\"a\"]\n");
    }
}

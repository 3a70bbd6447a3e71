//! JSON as crictl prints it, and the filters of its lists.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::Error;

/// Prints a message.
pub(crate) fn message(message: &impl Serialize) -> Result<(), Error> {
    println!("{}", serde_json::to_string_pretty(message)?);
    Ok(())
}

/// A status, with what the engine says beyond it.
pub(crate) fn status(
    status: &impl Serialize,
    info: &BTreeMap<String, String>,
) -> Result<Map<String, Value>, Error> {
    let mut shown = Map::new();
    shown.insert("status".to_owned(), serde_json::to_value(status)?);
    for (key, text) in info {
        // What begins with a brace is JSON.
        let value = if text.starts_with('{') {
            serde_json::from_str(text)?
        } else {
            Value::String(text.trim_matches('"').to_owned())
        };
        shown.insert(key.clone(), value);
    }
    Ok(shown)
}

/// Prints statuses; a single one is not in a list.
pub(crate) fn statuses(mut all: Vec<Map<String, Value>>) -> Result<(), Error> {
    let text = match (all.len(), all.pop()) {
        (1, Some(only)) => serde_json::to_string_pretty(&only)?,
        (_, last) => serde_json::to_string_pretty(&all.into_iter().chain(last).collect::<Vec<_>>())?,
    };
    // Go escapes these in JSON; outside of strings there are none.
    println!("{}", text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"));
    Ok(())
}

/// `--label key=value`.
pub(crate) fn labels(given: &[String]) -> Result<BTreeMap<String, String>, Error> {
    let label = |text: &String| match text.split_once('=') {
        Some((key, value)) if !value.contains('=') => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Error::new(format!("incorrectly specified label: {text}"))),
    };
    given.iter().map(label).collect()
}

/// As much of regular expressions as names need: `^`, `$`, and characters that mean themselves.
#[derive(Debug)]
pub(crate) struct Pattern<'a> {
    text: &'a str,
    at_start: bool,
    at_end: bool,
}

impl<'a> Pattern<'a> {
    pub(crate) fn new(pattern: &'a str) -> Result<Self, Error> {
        let (text, at_start) = pattern.strip_prefix('^').map_or((pattern, false), |rest| (rest, true));
        let (text, at_end) = text.strip_suffix('$').map_or((text, false), |rest| (rest, true));
        if text.chars().all(|c| c.is_ascii_alphanumeric() || "-_/".contains(c)) {
            Ok(Self { text, at_start, at_end })
        } else {
            Err(Error::new(format!("regular expression {pattern:?} is not supported here")))
        }
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        match (self.at_start, self.at_end) {
            (true, true) => name == self.text,
            (true, false) => name.starts_with(self.text),
            (false, true) => name.ends_with(self.text),
            (false, false) => name.contains(self.text),
        }
    }
}

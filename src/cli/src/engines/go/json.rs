//! JSON as Go's `encoding/json` decodes it into structures: names without regard to case, `null` for what is not there, a
//! later entry over an earlier one. Engines in Go accept what a strict reader would not.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    /// What leaves a field as it is.
    Null,
    /// True or false.
    Boolean(bool),
    /// A number without a fraction or an exponent.
    Integer(i64),
    /// Any other number.
    Number,
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// An object, with its entries as they were written.
    Object(Vec<(String, Self)>),
}

impl Json {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "true or false",
            Self::Integer(_) | Self::Number => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// That something else is at `key`.
    fn wrong<T>(&self, key: &str, expected: &str) -> Result<T, String> {
        Err(format!("{key} is {}, expected {expected}", self.kind()))
    }

    /// The entries of an object; none of `null`.
    pub(crate) fn entries(&self, key: &str) -> Result<&[(String, Self)], String> {
        match self {
            Self::Null => Ok(&[]),
            Self::Object(entries) => Ok(entries),
            other => other.wrong(key, "an object"),
        }
    }

    /// A string for a field that is `now`.
    pub(crate) fn text(&self, key: &str, now: String) -> Result<String, String> {
        match self {
            Self::Null => Ok(now),
            Self::Text(text) => Ok(text.clone()),
            other => other.wrong(key, "a string"),
        }
    }

    /// A truth value; none of `null`.
    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>, String> {
        match self {
            Self::Null => Ok(None),
            Self::Boolean(value) => Ok(Some(*value)),
            other => other.wrong(key, "true or false"),
        }
    }

    /// A whole number; none of `null`.
    pub(crate) fn integer(&self, key: &str) -> Result<Option<i64>, String> {
        match self {
            Self::Null => Ok(None),
            Self::Integer(value) => Ok(Some(*value)),
            other => other.wrong(key, "a whole number"),
        }
    }

    /// A list of strings, in which `null` is an empty one; none of `null`.
    pub(crate) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, String> {
        match self {
            Self::Null => Ok(None),
            Self::List(list) => {
                list.iter().map(|value| value.text(key, String::new())).collect::<Result<_, _>>().map(Some)
            }
            other => other.wrong(key, "a list of strings"),
        }
    }
}

/// Whether a name in a text is that of a field.
pub(crate) fn is_named(name: &str, field: &str) -> bool {
    // Of the letters beyond ASCII, two are folded into one of ASCII.
    let folded = name.replace('\u{212a}', "k").replace('\u{17f}', "s");
    folded.eq_ignore_ascii_case(field)
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Number, Json::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Json::Object(entries))
    }
}

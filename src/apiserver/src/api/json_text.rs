//! Parses JSON of bounded depth and number of values, and reports duplicate fields.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Most duplicates that are reported.
const MOST_FAULTS: usize = 100;
/// Most values of a body. An empty map of three bytes takes a hundred bytes of memory, and each fault as many again.
pub(super) const VALUES_MAX: usize = 100_000;

/// Reads JSON. The last one of duplicate fields counts, and its path is added to `duplicates`.
///
/// # Errors
/// The text is not JSON, is deeper than 127 levels, or has more than 100,000 values.
pub fn parse(bytes: &[u8], duplicates: &mut Vec<String>) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value =
        Seed { path: &mut String::new(), duplicates, values: &mut 0 }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Reads YAML in the same way.
///
/// # Errors
/// The text is not YAML, or has more than 100,000 values.
pub(super) fn parse_yaml(text: &str, duplicates: &mut Vec<String>) -> Result<Value, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        // The reader below reports fields that are there twice.
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
        // As in YAML 1.1: a mode of files is often 0644.
        legacy_octal_numbers: true,
    };
    let read: Told = serde_saphyr::from_str_with_options(text, options)?;
    duplicates.extend(read.duplicates);
    Ok(read.value)
}

/// A value and its duplicate fields.
struct Told {
    value: Value,
    duplicates: Vec<String>,
}

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut duplicates = Vec::new();
        let seed = Seed { path: &mut String::new(), duplicates: &mut duplicates, values: &mut 0 };
        let value = seed.deserialize(deserializer)?;
        Ok(Self { value, duplicates })
    }
}

struct Seed<'a> {
    path: &'a mut String,
    duplicates: &'a mut Vec<String>,
    values: &'a mut usize,
}

impl Seed<'_> {
    /// Reads a value one level further down.
    fn inside<T>(&mut self, step: fmt::Arguments<'_>, read: impl FnOnce(Seed<'_>) -> T) -> T {
        let length = self.path.len();
        // Writing into a String cannot fail.
        let _ = fmt::write(self.path, step);
        let read = read(Seed { path: self.path, duplicates: self.duplicates, values: self.values });
        self.path.truncate(length);
        read
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        *self.values += 1;
        if *self.values > VALUES_MAX {
            return Err(D::Error::custom(format_args!("more than {VALUES_MAX} values")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let step = format_args!("[{}]", list.len());
            let Some(item) = self.inside(step, |seed| items.next_element_seed(seed))? else { break };
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let dot = if self.path.is_empty() { "" } else { "." };
            let value = self.inside(format_args!("{dot}{key}"), |seed| {
                if map.contains_key(&key) && seed.duplicates.len() < MOST_FAULTS {
                    seed.duplicates.push(seed.path.clone());
                }
                entries.next_value_seed(seed)
            })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_of_two_counts_and_is_told() {
        let mut duplicates = Vec::new();
        let text = br#"{"a":1,"spec":{"ports":[{"port":1,"x":null},{"port":2,"port":3}]},"a":2.5}"#;
        let value = parse(text, &mut duplicates).unwrap();
        assert_eq!(value, json!({"a":2.5,"spec":{"ports":[{"port":1,"x":null},{"port":3}]}}));
        assert_eq!(duplicates, ["spec.ports[1].port", "a"]);
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_refused() {
        for text in ["", "{", "{}x", "[1,]", "{\"a\"}", "nul", "\"\\ud800\"", "1e999"] {
            assert!(parse(text.as_bytes(), &mut Vec::new()).is_err(), "{text}");
        }
        assert!(parse("[".repeat(100_000).as_bytes(), &mut Vec::new()).is_err());
        assert!(parse(&[b'"', 0xff, b'"'], &mut Vec::new()).is_err());
    }

    #[test]
    fn a_million_duplicates_are_not_all_told() {
        let text = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(1000));
        let mut duplicates = Vec::new();
        parse(text.as_bytes(), &mut duplicates).unwrap();
        assert_eq!(duplicates.len(), MOST_FAULTS);
    }
}

//! Converts JSON to YAML, for clients that accept `application/yaml`. Writes while it parses, so that a long list takes no
//! more memory than its text.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Most bytes of YAML for each byte of JSON. Indentation alone could make it a hundred times as long.
const LONGER_MAX: usize = 4;
/// Bytes of YAML that are always allowed.
const ALWAYS: usize = 64 << 10;

/// Converts a value.
///
/// # Errors
/// The text is not JSON, is deeper than 127 levels, or would become more than four times as long.
pub fn of_json(json: &str) -> Result<String, serde_json::Error> {
    let mut text = String::with_capacity(json.len());
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let most = (json.len() * LONGER_MAX).max(ALWAYS);
    Node { text: &mut text, place: Place::Top, indent: 0, most }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(text)
}

/// The text before a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    /// A key and its colon.
    Key,
    /// The dash of a list.
    Dash,
}

/// The place where a value is written.
struct Node<'a> {
    text: &'a mut String,
    place: Place,
    /// The indentation of the map's keys, or the list's dashes, that are written here.
    indent: usize,
    /// Most bytes that the whole text may have.
    most: usize,
}

impl Node<'_> {
    fn scalar(self, text: &str) {
        if self.place != Place::Top {
            self.text.push(' ');
        }
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Begins the line of an entry. The first one of a map in a list stands behind the dash.
    fn line<E: Error>(&mut self, is_first: bool) -> Result<(), E> {
        if self.text.len() > self.most {
            return Err(E::custom("the YAML would be too long"));
        }
        match self.place {
            Place::Dash if is_first => self.text.push(' '),
            Place::Key if is_first => {
                self.text.push('\n');
                self.indentation();
            }
            _ => self.indentation(),
        }
        Ok(())
    }

    fn indentation(&mut self) {
        self.text.extend(std::iter::repeat_n(' ', self.indent));
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar("null");
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(&value.to_string());
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(&value.to_string());
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.scalar(&serde_json::to_string(&value).map_err(E::custom)?);
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.scalar(&shown(value));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        // A list is indented like its key, and in a list one step more.
        if self.place == Place::Key {
            self.indent = self.indent.saturating_sub(2);
        }
        let mut is_first = true;
        loop {
            // Only reading shows whether an item follows; if not, its dash is removed.
            let start = self.text.len();
            self.line(is_first)?;
            self.text.push('-');
            let item =
                Node { text: &mut *self.text, place: Place::Dash, indent: self.indent + 2, most: self.most };
            if list.next_element_seed(item)?.is_none() {
                self.text.truncate(start);
                break;
            }
            is_first = false;
        }
        if is_first {
            self.scalar("[]");
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut is_first = true;
        while let Some(key) = map.next_key::<String>()? {
            self.line(is_first)?;
            self.text.push_str(&shown(&key));
            self.text.push(':');
            map.next_value_seed(Node {
                text: &mut *self.text,
                place: Place::Key,
                indent: self.indent + 2,
                most: self.most,
            })?;
            is_first = false;
        }
        if is_first {
            self.scalar("{}");
        }
        Ok(())
    }
}

/// Words that YAML 1.1 does not read as text, in lower case.
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// Writes a text: plain if YAML reads it as text, else in quotes with the escapes of JSON.
fn shown(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_'))
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is_plain {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // YAML forbids these characters or reads them as line ends.
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::json_text;
    use super::*;

    #[test]
    fn objects_look_as_kubectl_shows_them() {
        let object = json!({
            "apiVersion": "v1", "kind": "List",
            "items": [{"metadata": {"labels": {}, "name": "web"}, "ports": [{"port": 80, "tls": true}, [1, [2]], []]}],
        });
        let expected = "apiVersion: v1\nitems:\n- metadata:\n    labels: {}\n    name: web\n  ports:\n  - port: 80\n    \
                        tls: true\n  - - 1\n    - - 2\n  - []\nkind: List\n";
        assert_eq!(of_json(&object.to_string()).unwrap(), expected);
    }

    #[test]
    fn yaml_is_the_json_that_it_was() {
        let texts = [
            "",
            "a",
            "true",
            "Yes",
            "n",
            "null",
            "~",
            "1",
            "1e3",
            "0x1",
            ".5",
            "-",
            "- a",
            "a: b",
            "a #b",
            "#a",
            "a\nb\n",
            " a ",
            "\t",
            "'a'",
            "\"a\"",
            "a\\b",
            "10.0.0.1",
            "2026-01-02T03:04:05Z",
            "<<",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "{a}",
            "[a]",
            "\u{0}\u{7f}\u{85}\u{a0}\u{2028}\u{feff}",
            "日本",
            "a,b",
            "=",
            "?",
            "a/b.c_d-e",
            "80:80",
        ];
        let mut map: serde_json::Map<String, Value> =
            texts.iter().map(|text| ((*text).to_owned(), json!([text, {*text: text}]))).collect();
        map.insert(
            "numbers".to_owned(),
            json!([0, -1, 1.5, i64::MIN, i64::MAX, true, null, [], {}, [[]], [{}]]),
        );
        let value = Value::Object(map);
        let yaml = of_json(&value.to_string()).unwrap();
        let found = json_text::parse_yaml(&yaml, &mut Vec::new());
        assert_eq!(found.unwrap_or_else(|error| panic!("{error}\n{yaml}")), value, "{yaml}");
    }

    #[test]
    fn scalars_are_yaml_too() {
        for scalar in [json!("a"), json!(5), json!(null), json!([]), json!({}), json!(["a"])] {
            let yaml = of_json(&scalar.to_string()).unwrap();
            assert_eq!(json_text::parse_yaml(&yaml, &mut Vec::new()).unwrap(), scalar, "{yaml}");
        }
    }

    #[test]
    fn yaml_that_would_be_too_long_is_refused() {
        let (deep, flat) = ("[".repeat(100), "]".repeat(100));
        let error = of_json(&format!("{deep}{}{flat}", vec!["1"; 10_000].join(","))).unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
        assert!(of_json("{").is_err() && of_json("1 2").is_err());
    }
}

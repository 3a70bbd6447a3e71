//! What the server tells: one JSON object a line, on stderr, where the journal takes it.

use std::fmt::Display;
use std::io::Write;
use std::time::SystemTime;

use serde_json::{Map, Value};

use pod::validation::printable_json;

/// Tells what happened.
pub fn info(message: &str, fields: &[(&str, &dyn Display)]) {
    write("info", message, fields);
}

/// Tells what went wrong.
pub fn error(message: &str, fields: &[(&str, &dyn Display)]) {
    write("error", message, fields);
}

fn write(level: &str, message: &str, fields: &[(&str, &dyn Display)]) {
    let line = line(level, message, fields, SystemTime::now());
    // Nobody is left to tell.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

fn line(level: &str, message: &str, fields: &[(&str, &dyn Display)], time: SystemTime) -> String {
    let mut map: Map<String, Value> =
        fields.iter().map(|(key, value)| ((*key).to_owned(), value.to_string().into())).collect();
    map.insert("ts".to_owned(), humantime::format_rfc3339_millis(time).to_string().into());
    map.insert("level".to_owned(), level.into());
    map.insert("msg".to_owned(), message.into());
    format!("{}\n", printable_json(&Value::Object(map).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_json_object() {
        let line =
            line("info", "it \"started\"\n", &[("address", &"127.0.0.1:6443")], SystemTime::UNIX_EPOCH);
        assert_eq!(line.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["msg"], "it \"started\"\n");
        assert_eq!(
            (value["ts"].as_str(), value["address"].as_str()),
            (Some("1970-01-01T00:00:00.000Z"), Some("127.0.0.1:6443"))
        );
    }
}

//! The row of an Event in a table.

use serde_json::Value;

use crate::kinds::age;
use crate::object::Object;

/// The cells, in the order of the columns.
pub(super) fn row(object: &Object, now: i64) -> Vec<Value> {
    let about = field(object, "involvedObject");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let seen = |keys: [&str; 3]| {
        let found = keys.into_iter().map(|key| field(object, key)).find(|value| value.is_string());
        age::since(found, now)
    };
    let source = [&field(object, "source")["component"], &field(object, "source")["host"]].map(text);
    let source: Vec<String> = source.into_iter().filter(|part| !part.is_empty()).collect();
    [
        seen(["lastTimestamp", "eventTime", "firstTimestamp"]),
        text(field(object, "type")),
        text(field(object, "reason")),
        format!("{}/{}", text(&about["kind"]).to_lowercase(), text(&about["name"])),
        text(&about["fieldPath"]),
        source.join(", "),
        text(field(object, "message")).trim().to_owned(),
        seen(["firstTimestamp", "eventTime", "lastTimestamp"]),
        field(object, "count").as_i64().unwrap_or(1).to_string(),
        object.name().to_owned(),
    ]
    .map(Value::from)
    .into()
}

pub(super) fn field<'a>(object: &'a Object, key: &str) -> &'a Value {
    object.0.get(key).unwrap_or(&Value::Null)
}

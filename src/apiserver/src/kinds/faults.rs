//! Faults of a field, in the words of `k8s.io/apimachinery/pkg/util/validation/field`.

use serde_json::Value;

use crate::status::Cause;
use pod::validation::go_quote;
use pod::validation::labels::qualified_name_errors;

/// Most faults of one list that an answer has.
pub(super) const MOST: usize = 100;

/// The value is invalid.
pub(super) fn invalid(field: impl Into<String>, value: &Value, detail: impl AsRef<str>) -> Cause {
    fault("FieldValueInvalid", field, format!("Invalid value: {}", shown(value)), detail.as_ref())
}

/// The value is missing.
pub(super) fn required(field: impl Into<String>, detail: &str) -> Cause {
    fault("FieldValueRequired", field, "Required value".to_owned(), detail)
}

/// The field is not allowed.
pub(super) fn forbidden(field: impl Into<String>, detail: &str) -> Cause {
    fault("FieldValueForbidden", field, "Forbidden".to_owned(), detail)
}

/// The value occurs twice.
pub(super) fn duplicate(field: impl Into<String>, value: &Value) -> Cause {
    fault("FieldValueDuplicate", field, format!("Duplicate value: {}", shown(value)), "")
}

/// The value names something that is not there.
pub(super) fn not_found(field: impl Into<String>, value: &Value) -> Cause {
    fault("FieldValueNotFound", field, format!("Not found: {}", shown(value)), "")
}

/// The value is not one of `supported`, which are in the order of upstream.
pub(super) fn unsupported(field: impl Into<String>, value: &str, supported: &[&str]) -> Cause {
    let supported: Vec<String> = supported.iter().map(|value| go_quote(value)).collect();
    let detail = format!("supported values: {}", supported.join(", "));
    fault("FieldValueNotSupported", field, format!("Unsupported value: {}", go_quote(value)), &detail)
}

/// The value is too long.
pub(super) fn too_long(field: impl Into<String>, bytes: usize) -> Cause {
    let detail = format!("may not be more than {bytes} bytes");
    fault("FieldValueTooLong", field, "Too long".to_owned(), &detail)
}

/// The list is too long.
pub(super) fn too_many(field: impl Into<String>, count: usize, most: usize) -> Cause {
    let detail = format!("must have at most {most} items");
    fault("FieldValueTooMany", field, format!("Too many: {count}"), &detail)
}

/// The faults of `protocol` and `appProtocol` of a port of Endpoints or of an EndpointSlice; `field` makes the path of a key.
pub(super) fn of_protocols(port: &Value, field: impl Fn(&str) -> String) -> Vec<Cause> {
    let mut faults = Vec::new();
    let protocol = port["protocol"].as_str().unwrap_or_default();
    if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
        faults.push(unsupported(field("protocol"), protocol, &["SCTP", "TCP", "UDP"]));
    }
    if let Some(protocol) = port["appProtocol"].as_str() {
        let errors = qualified_name_errors(protocol);
        faults.extend(errors.iter().map(|why| invalid(field("appProtocol"), &protocol.into(), why)));
    }
    faults
}

fn fault(reason: &'static str, field: impl Into<String>, what: String, detail: &str) -> Cause {
    let message = if detail.is_empty() { what } else { format!("{what}: {detail}") };
    Cause { reason, message, field: field.into() }
}

/// Text as Go quotes it, everything else as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => go_quote(text),
        Value::Array(pairs) if pairs.iter().all(is_pair) && !pairs.is_empty() => {
            let texts: Vec<String> = pairs.iter().map(|pair| format!("{}:{}", pair[0], pair[1])).collect();
            format!("{{{}}}", texts.join(","))
        }
        value => value.to_string(),
    }
}

/// Whether a value is a key with its value. An object in the order of Go's fields is a list of these, because JSON
/// objects here have no order.
fn is_pair(value: &Value) -> bool {
    value.as_array().is_some_and(|pair| matches!(&pair[..], [Value::String(_), _]))
}

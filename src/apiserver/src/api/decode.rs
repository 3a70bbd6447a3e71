//! Fits objects to the fields of their kind: drops and reports unknown fields, and refuses values of a wrong type.
//! Texts as `k8s.io/apimachinery` and Go's `encoding/json` have them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use crate::schema::{Form, Type};
use crate::time::Moment;

/// Most faults of an answer.
const MOST_FAULTS: usize = 100;

/// Drops unknown fields and nulls from `map`. Returns the faults: `unknown field "spec.foo"`.
///
/// # Errors
/// A wrong type: `json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32`.
pub fn fit(map: &mut Map<String, Value>, schema: &'static Type) -> Result<Vec<String>, String> {
    let mut fitting = Fitting { path: Path::default(), faults: Vec::new() };
    fitting.structure(map, schema)?;
    Ok(fitting.faults)
}

/// The path of a value: with indices for people, and without for Go's text.
#[derive(Default)]
struct Path {
    full: String,
    fields: String,
}

impl Path {
    fn lengths(&self) -> (usize, usize) {
        (self.full.len(), self.fields.len())
    }

    fn enter_field(&mut self, name: &str) -> (usize, usize) {
        let lengths = self.lengths();
        for text in [&mut self.full, &mut self.fields] {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(name);
        }
        lengths
    }

    fn enter_item(&mut self, index: usize) -> (usize, usize) {
        let lengths = self.lengths();
        self.full.push_str(&format!("[{index}]"));
        lengths
    }

    fn leave(&mut self, (full, fields): (usize, usize)) {
        self.full.truncate(full);
        self.fields.truncate(fields);
    }
}

struct Fitting {
    path: Path,
    faults: Vec<String>,
}

/// The suffixes of amounts.
const SUFFIXES: [&str; 16] =
    ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/// How Go writes a time of whole seconds, and one to the microsecond.
const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";
const MICRO_LAYOUT: &str = "2006-01-02T15:04:05.000000Z07:00";
const SECONDS_LENGTH: usize = 19;
const MICRO_DIGITS: usize = 6;

impl Fitting {
    fn structure(&mut self, map: &mut Map<String, Value>, schema: &'static Type) -> Result<(), String> {
        let names: Vec<String> = map.keys().cloned().collect();
        for name in names {
            let before = self.path.enter_field(&name);
            let is_dropped = match (schema.field(&name), map.get_mut(&name)) {
                // Go ignores null, so the field stays empty.
                (_, None | Some(Value::Null)) => true,
                (Some(field), Some(value)) => {
                    self.value(value, field.form, schema)?;
                    // Go writes no empty list or map where it may leave the field out (`omitempty`).
                    value.is_null() || !field.is_required && is_empty(value, field.form)
                }
                (None, Some(_)) if schema.is_open => false,
                (None, Some(_)) => {
                    if self.faults.len() < MOST_FAULTS {
                        self.faults.push(format!("unknown field {:?}", self.path.full));
                    }
                    true
                }
            };
            if is_dropped {
                map.remove(&name);
            }
            self.path.leave(before);
        }
        Ok(())
    }

    fn value(&mut self, value: &mut Value, form: Form, parent: &'static Type) -> Result<(), String> {
        if matches!(form, Form::Quantity) {
            amount(value)?;
        }
        let fits = match (form, &mut *value) {
            (Form::Any, _)
            | (Form::Text | Form::IntOrString | Form::Quantity, Value::String(_))
            | (Form::Boolean, Value::Bool(_)) => true,
            (Form::Time, Value::String(text)) => {
                *value = self.time(text, LAYOUT)?;
                true
            }
            (Form::MicroTime, Value::String(text)) => {
                *value = self.time(text, MICRO_LAYOUT)?;
                true
            }
            (Form::Int64, Value::Number(number)) => number.is_i64(),
            (Form::Int32 | Form::IntOrString, Value::Number(number)) => {
                number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
            }
            (Form::Texts | Form::Quantities | Form::Blobs, Value::Object(map)) => {
                return self.texts(map, form, parent);
            }
            (Form::Object(schema), Value::Object(map)) => return self.structure(map, schema),
            (Form::List(item), Value::Array(list)) => return self.list(list, *item, parent),
            _ => false,
        };
        if fits { Ok(()) } else { Err(self.misfit(value, form, parent)) }
    }

    fn texts(
        &mut self,
        map: &mut Map<String, Value>,
        form: Form,
        parent: &'static Type,
    ) -> Result<(), String> {
        for (key, value) in map.iter_mut() {
            if value.is_null() {
                *value = Value::from("");
            }
            if matches!(form, Form::Quantities) {
                amount(value)?;
            }
            if !value.is_string() {
                self.path.enter_field(key);
                return Err(self.misfit(value, Form::Text, parent));
            }
            if matches!(form, Form::Blobs)
                && let Err(cause) = BASE64_STANDARD.decode(value.as_str().unwrap_or_default())
            {
                return Err(format!("illegal base64 data: {cause} ({}.{key})", self.path.full));
            }
        }
        Ok(())
    }

    fn list(&mut self, list: &mut [Value], item: Form, parent: &'static Type) -> Result<(), String> {
        for (index, value) in list.iter_mut().enumerate() {
            let before = self.path.enter_item(index);
            if value.is_null() {
                *value = if item.inner().is_some() { Value::Object(Map::new()) } else { Value::from("") };
            }
            self.value(value, item, parent)?;
            self.path.leave(before);
        }
        Ok(())
    }

    /// Reads a time, and writes it as Go does: in UTC, with as many digits as its `layout` has, and the zero time as null.
    fn time(&self, text: &str, layout: &str) -> Result<Value, String> {
        let refused = |rest: &str, part: &str| {
            let path = &self.path.full;
            Err(format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {part:?} ({path})"))
        };
        let Some(time) = Moment::parse(text) else { return refused(text, "2006") };
        let shown = |text: String| if time.is_zero() { Value::Null } else { text.into() };
        if layout == LAYOUT {
            return Ok(shown(time.text()));
        }
        let rest = text.get(SECONDS_LENGTH..).unwrap_or_default();
        let digits =
            rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        if digits < MICRO_DIGITS {
            return refused(rest, ".000000");
        }
        if digits > MICRO_DIGITS {
            return refused(&rest[1 + MICRO_DIGITS..], "Z07:00");
        }
        Ok(shown(time.text_in_micros()))
    }

    fn misfit(&self, value: &Value, form: Form, parent: &'static Type) -> String {
        let what = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(number) if matches!(form, Form::Int32 | Form::Int64) => format!("number {number}"),
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        let (field, wanted) = (&self.path.fields, form.go_name());
        format!(
            "json: cannot unmarshal {what} into Go struct field {}.{field} of type {wanted}",
            parent.go_name()
        )
    }
}

/// Whether a list or a map is empty.
fn is_empty(value: &Value, form: Form) -> bool {
    match (form, value) {
        (Form::List(_), Value::Array(list)) => list.is_empty(),
        (Form::Texts | Form::Quantities | Form::Blobs, Value::Object(map)) => map.is_empty(),
        _ => false,
    }
}

/// Checks an amount, and writes a number as text (`ParseQuantity` in `k8s.io/apimachinery/pkg/api/resource/quantity.go`).
fn amount(value: &mut Value) -> Result<(), String> {
    if let Value::Number(number) = value {
        *value = Value::String(number.to_string());
    }
    let Some(text) = value.as_str() else { return Ok(()) };
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let is_number = number.matches('.').count() <= 1 && number.contains(|c: char| c.is_ascii_digit());
    if !is_number {
        let why = "quantities must match the regular expression \
                   '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        return Err(why.to_owned());
    }
    let is_exponent = suffix.strip_prefix(['e', 'E']).is_some_and(|exponent| exponent.parse::<i32>().is_ok());
    if SUFFIXES.contains(&suffix) || is_exponent {
        Ok(())
    } else {
        Err("unable to parse quantity's suffix".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::{endpoint_slice, node, service};

    fn service(mut value: Value) -> (Result<Vec<String>, String>, Value) {
        let faults = fit(value.as_object_mut().unwrap(), service::KIND.schema);
        (faults, value)
    }

    #[test]
    fn unknown_fields_are_told_and_left_out() {
        let (faults, value) = service(json!({
            "kind": "Service", "foo": {"bar": 1}, "metadata": {"name": "a", "labels": {"x": "y"}},
            "spec": {"foo": 1, "clusterIP": null, "ports": [{"port": 80, "targetPort": "web", "x": []}, {"port": 81}]},
        }));
        let expected =
            ["unknown field \"foo\"", "unknown field \"spec.foo\"", "unknown field \"spec.ports[0].x\""];
        assert_eq!(faults.unwrap(), expected);
        let left = json!({
            "kind": "Service", "metadata": {"name": "a", "labels": {"x": "y"}},
            "spec": {"ports": [{"port": 80, "targetPort": "web"}, {"port": 81}]},
        });
        assert_eq!(value, left);
    }

    #[test]
    fn empty_lists_and_maps_are_left_out() {
        let (faults, value) = service(json!({
            "metadata": {"finalizers": [], "labels": {}, "annotations": {}, "ownerReferences": []},
            "spec": {"ports": [], "selector": {}, "externalIPs": [], "sessionAffinityConfig": {}},
            "status": {"loadBalancer": {"ingress": []}},
        }));
        assert_eq!(faults.unwrap(), [""; 0]);
        // Empty structures stay.
        let left =
            json!({"metadata": {}, "spec": {"sessionAffinityConfig": {}}, "status": {"loadBalancer": {}}});
        assert_eq!(value, left);
        let mut slice = json!({"addressType": "IPv4", "endpoints": []});
        let schema = endpoint_slice::KIND.schema;
        fit(slice.as_object_mut().unwrap(), schema).unwrap();
        assert_eq!(slice, json!({"addressType": "IPv4", "endpoints": []}));
    }

    #[test]
    fn what_does_not_fit_is_refused_in_gos_words() {
        let table = [
            (
                json!({"spec": {"ports": [{"port": "80"}]}}),
                "string into Go struct field ServicePort.spec.ports.port of type int32",
            ),
            (
                json!({"spec": {"ports": [{"port": 3_000_000_000_u32}]}}),
                "number 3000000000 into Go struct field ServicePort.spec.ports.port of type int32",
            ),
            (
                json!({"spec": {"ports": [{"port": 1.5}]}}),
                "number 1.5 into Go struct field ServicePort.spec.ports.port of type int32",
            ),
            (
                json!({"spec": {"ports": {}}}),
                "object into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort",
            ),
            (json!({"spec": []}), "array into Go struct field Service.spec of type v1.ServiceSpec"),
            (
                json!({"metadata": {"name": 5}}),
                "number into Go struct field ObjectMeta.metadata.name of type string",
            ),
            (
                json!({"metadata": {"labels": {"a": true}}}),
                "bool into Go struct field ObjectMeta.metadata.labels.a of type string",
            ),
            (
                json!({"spec": {"selector": "a"}}),
                "string into Go struct field ServiceSpec.spec.selector of type map[string]string",
            ),
        ];
        for (value, expected) in table {
            let error = service(value).0.unwrap_err();
            assert_eq!(error, format!("json: cannot unmarshal {expected}"));
        }
    }

    #[test]
    fn amounts_are_looked_at() {
        for (given, kept) in [
            (json!("100m"), Some("100m")),
            (json!("-1.5Gi"), Some("-1.5Gi")),
            (json!("1e3"), Some("1e3")),
            (json!("1E-3"), Some("1E-3")),
            (json!(2), Some("2")),
            (json!(0.5), Some("0.5")),
            (json!("many"), None),
            (json!(""), None),
            (json!("1.2.3"), None),
            (json!("1x"), None),
            (json!("1e"), None),
        ] {
            let mut node = json!({"status": {"capacity": {"cpu": given}}});
            let fits = fit(node.as_object_mut().unwrap(), node::KIND.schema).is_ok();
            assert_eq!(fits.then(|| node["status"]["capacity"]["cpu"].as_str()).flatten(), kept, "{given}");
        }
    }

    #[test]
    fn times_are_looked_at() {
        for (time, fits) in [
            ("2026-01-02T03:04:05Z", true),
            ("2026-01-02T03:04:05+02:00", true),
            ("2026-01-02T03:04:05.123456Z", true),
            ("tomorrow", false),
            ("", false),
            ("2026-01-02T03:04:05+2:00", false),
            ("ä+02:00", false),
        ] {
            let (faults, _) = service(json!({"metadata": {"creationTimestamp": time}}));
            assert_eq!(faults.is_ok(), fits, "{time}");
        }
    }
}

//! Parses bodies into values, and values into objects of a kind.

use serde_json::{Map, Value};

use super::media::Content;
use super::parameters::Validation;
use super::{decode, json_order, json_text, protobuf};
use crate::kind::Kind;
use crate::object::Object;
use crate::schema::Type;
use crate::status::ApiError;

/// Below this, a float represents every whole number exactly.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
/// Most bytes of a body that a message shows.
const SHOWN: usize = 30;

/// Reads a body that holds an object of a kind. Returns the faults of fields that were dropped.
///
/// # Errors
/// `BadRequest` in upstream's words.
pub fn object(
    bytes: &[u8],
    content: Content,
    kind: &Kind,
    validation: Validation,
) -> Result<(Object, Vec<String>), ApiError> {
    let (mut map, mut faults) = fields(bytes, content, kind.name, kind.schema)?;
    let given = |key: &str| map.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (name, version) = (
        given("kind").unwrap_or(kind.name),
        given("apiVersion").map_or_else(|| kind.api_version(), str::to_owned),
    );
    let short = version.rsplit('/').next().unwrap_or_default().to_owned();
    let refused = |why: &str| {
        ApiError::bad_request(format!(
            "{name} in version {short:?} cannot be handled as a {}: {why}",
            kind.name
        ))
    };
    if name != kind.name || version != kind.api_version() {
        return Err(refused(&format!("no kind {name:?} is registered for version {version:?} in this path")));
    }
    let refused = |why: &str| {
        let (name, version) = (kind.name, kind.version);
        ApiError::bad_request(format!("{name} in version {version:?} cannot be handled as a {name}: {why}"))
    };
    faults.extend(decode::fit(&mut map, kind.schema).map_err(|fault| refused(&fault))?);
    if content == Content::Json && validation != Validation::Ignore {
        faults = json_order::sorted(bytes, faults);
    }
    if validation == Validation::Strict && !faults.is_empty() {
        return Err(refused(&format!("strict decoding error: {}", faults.join(", "))));
    }
    map.insert("kind".to_owned(), kind.name.into());
    map.insert("apiVersion".to_owned(), kind.api_version().into());
    if validation == Validation::Ignore {
        faults.clear();
    }
    Ok((Object(map), faults))
}

/// Reads a body that may be empty and holds options.
///
/// # Errors
/// `BadRequest`.
pub fn options(
    bytes: &[u8],
    content: Content,
    schema: &'static Type,
) -> Result<Map<String, Value>, ApiError> {
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    let (mut map, _) = fields(bytes, content, schema.go_name(), schema)?;
    let given = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default();
    let (kind, version) = (given("kind"), given("apiVersion"));
    if !kind.is_empty() && kind != schema.go_name() {
        let message = format!("no kind {kind:?} is registered for version {version:?} in this path");
        return Err(ApiError::bad_request(message));
    }
    decode::fit(&mut map, schema).map_err(ApiError::bad_request)?;
    Ok(map)
}

/// The fields of an object, and the duplicate ones.
fn fields(
    bytes: &[u8],
    content: Content,
    kind: &str,
    schema: &'static Type,
) -> Result<(Map<String, Value>, Vec<String>), ApiError> {
    let unrecognized = |why: &str| {
        let shown: String = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
        let shown = match bytes.len() {
            0 => "empty".to_owned(),
            1..=SHOWN => shown,
            _ => shown + " ...",
        };
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {why} ({shown})"
        ))
    };
    if content == Content::Protobuf {
        let unknown = protobuf::unwrap(bytes).map_err(|cause| unrecognized(&cause.to_string()))?;
        let mut map =
            protobuf::decode(unknown.raw, schema).map_err(|cause| unrecognized(&cause.to_string()))?;
        for (key, value) in [("kind", unknown.kind), ("apiVersion", unknown.api_version)] {
            if !value.is_empty() {
                map.insert(key.to_owned(), value.into());
            }
        }
        return Ok((map, Vec::new()));
    }
    let (value, faults) = value(bytes, content).map_err(|cause| unrecognized(&cause))?;
    match value {
        Value::Object(map) => Ok((map, faults)),
        _ => Err(unrecognized("couldn't get version/kind; json parse error: expected an object")),
    }
}

/// Reads JSON or YAML. Returns the duplicate fields as well.
///
/// # Errors
/// The text is neither.
pub fn value(bytes: &[u8], content: Content) -> Result<(Value, Vec<String>), String> {
    let mut duplicates = Vec::new();
    let is_yaml = matches!(content, Content::Yaml | Content::Apply);
    // What kubectl calls YAML is JSON.
    let parsed = json_text::parse(bytes, &mut duplicates);
    let mut value = match parsed {
        Ok(value) => value,
        Err(_) if is_yaml => {
            let text = std::str::from_utf8(bytes)
                .map_err(|cause| format!("error converting YAML to JSON: {cause}"))?;
            let unable = |cause: serde_saphyr::Error| {
                let cause = cause.to_string();
                format!("error converting YAML to JSON: {}", cause.lines().next().unwrap_or_default())
            };
            duplicates.clear();
            json_text::parse_yaml(text, &mut duplicates).map_err(unable)?
        }
        Err(cause) => return Err(format!("couldn't get version/kind; json parse error: {cause}")),
    };
    if is_yaml {
        whole_numbers(&mut value);
    }
    Ok((value, duplicates.iter().map(|path| format!("duplicate field {path:?}")).collect()))
}

/// Makes whole numbers of `80.0` and `8e1`, as YAML has them: Kubernetes converts it to JSON with Go
/// (`sigs.k8s.io/yaml`).
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < WHOLE_MAX);
            #[allow(clippy::cast_possible_truncation, reason = "it is whole, and smaller than that")]
            if let Some(float) = float {
                *value = Value::from(float as i64);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(whole_numbers),
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::service;

    fn service(text: &str, content: Content, validation: Validation) -> Result<(Value, Vec<String>), String> {
        let read = object(text.as_bytes(), content, &service::KIND, validation);
        read.map(|(object, faults)| (object.into_value(), faults)).map_err(|error| {
            assert_eq!(error.code, 400);
            error.message
        })
    }

    #[test]
    fn bodies_become_objects_with_their_kind() {
        let expected = json!({"kind": "Service", "apiVersion": "v1", "metadata": {"name": "a"}});
        for (text, content) in [
            (r#"{"metadata": {"name": "a"}}"#, Content::Json),
            (r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}"#, Content::Json),
            ("apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n", Content::Yaml),
            ("k8s\0\x0a\x02\x0a\x00\x12\x05\x0a\x03\x0a\x01a", Content::Protobuf),
        ] {
            let found = service(text, content, Validation::Strict);
            assert_eq!(found, Ok((expected.clone(), Vec::new())), "{text}");
        }
    }

    #[test]
    fn faults_are_told_refused_or_passed_over() {
        let text = r#"{"kind": "Service", "spec": {"foo": 1, "type": "a", "type": "b"}}"#;
        let faults = ["unknown field \"spec.foo\"".to_owned(), "duplicate field \"spec.type\"".to_owned()];
        assert_eq!(service(text, Content::Json, Validation::Warn).unwrap().1, faults);
        assert_eq!(service(text, Content::Json, Validation::Ignore).unwrap().1, [""; 0]);
        let message = service(text, Content::Json, Validation::Strict).unwrap_err();
        let expected = "Service in version \"v1\" cannot be handled as a Service: strict decoding error: \
                        unknown field \"spec.foo\", duplicate field \"spec.type\"";
        assert_eq!(message, expected);
    }

    #[test]
    fn what_is_no_such_object_is_refused() {
        for (text, content, expected) in [
            ("", Content::Json, "(empty)"),
            ("[]", Content::Json, "(5b5d)"),
            ("{", Content::Json, "json parse error"),
            ("a: [", Content::Yaml, "error converting YAML to JSON"),
            ("k8s", Content::Protobuf, "does not appear to be a protobuf message"),
            ("k8s\0\x12\x05a", Content::Protobuf, "unexpected EOF"),
            (
                r#"{"kind": "Namespace"}"#,
                Content::Json,
                "Namespace in version \"v1\" cannot be handled as a Service",
            ),
            (
                r#"{"kind": "Service", "apiVersion": "v2"}"#,
                Content::Json,
                "Service in version \"v2\" cannot be handled",
            ),
            (
                r#"{"spec": 1}"#,
                Content::Json,
                "json: cannot unmarshal number into Go struct field Service.spec",
            ),
        ] {
            let message = service(text, content, Validation::Warn).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    /// A Service whose ports are `count` empty ones, in protobuf.
    fn empty_ports(count: usize) -> Vec<u8> {
        let field = |tag: u8, bytes: &[u8]| {
            let seven = |shift: usize| u8::try_from(bytes.len() >> shift & 0x7f).unwrap();
            [&[tag, seven(0) | 0x80, seven(7) | 0x80, seven(14)], bytes].concat()
        };
        [&b"k8s\0"[..], &field(0x12, &field(0x12, &b"\x0a\0".repeat(count)))].concat()
    }

    #[test]
    fn bodies_of_too_many_values_are_refused() {
        let json = |count: usize| format!(r#"{{"spec": {{"ports": [{}{{}}]}}}}"#, "{},".repeat(count));
        let yaml = |count: usize| format!("spec:\n  ports:\n{}", "  - {}\n".repeat(count));
        for (count, fits) in [(1000, true), (150_000, false)] {
            for (bytes, content) in [
                (json(count).into_bytes(), Content::Json),
                (yaml(count).into_bytes(), Content::Yaml),
                (empty_ports(count), Content::Protobuf),
            ] {
                let error = object(&bytes, content, &service::KIND, Validation::Warn).err();
                assert_eq!(error.is_none(), fits, "{content:?} {count}: {error:?}");
                assert!(error.is_none_or(|error| error.message.contains("more than 100000 values")));
            }
        }
    }

    #[test]
    fn yaml_that_blows_up_is_refused() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..20 {
            let last = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", [last.as_str(); 10].join(","));
        }
        assert!(service(&text, Content::Yaml, Validation::Warn).is_err());
    }
}

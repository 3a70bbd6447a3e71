//! Bodies become values, and values objects of a kind.

use serde_json::{Map, Value};

use super::media::Content;
use super::parameters::Validation;
use super::schema::Type;
use super::{decode, json_text, protobuf};
use crate::serve::object::Object;
use crate::serve::resource::ResourceInfo;
use crate::serve::status::ApiError;

/// Most bytes of a body that a message shows.
const SHOWN: usize = 30;

/// Reads a body that holds an object of a kind. Tells what was left out of it.
///
/// # Errors
/// `BadRequest` in upstream's words.
pub fn object(
    bytes: &[u8],
    content: Content,
    info: &ResourceInfo,
    schema: &'static Type,
    validation: Validation,
) -> Result<(Object, Vec<String>), ApiError> {
    let (mut map, mut faults) = fields(bytes, content, info.kind, schema)?;
    let given = |key: &str| map.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (kind, version) = (
        given("kind").unwrap_or(info.kind),
        given("apiVersion").map_or_else(|| info.api_version(), str::to_owned),
    );
    let short = version.rsplit('/').next().unwrap_or_default().to_owned();
    let refused = |why: &str| {
        ApiError::bad_request(format!(
            "{kind} in version {short:?} cannot be handled as a {}: {why}",
            info.kind
        ))
    };
    if kind != info.kind || version != info.api_version() {
        return Err(refused(&format!("no kind {kind:?} is registered for version {version:?} in this path")));
    }
    let refused = |why: &str| {
        let (kind, version) = (info.kind, info.version);
        ApiError::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
    };
    faults.extend(decode::fit(&mut map, schema).map_err(|fault| refused(&fault))?);
    if validation == Validation::Strict && !faults.is_empty() {
        return Err(refused(&format!("strict decoding error: {}", faults.join(", "))));
    }
    map.insert("kind".to_owned(), info.kind.into());
    map.insert("apiVersion".to_owned(), info.api_version().into());
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
    decode::fit(&mut map, schema).map_err(ApiError::bad_request)?;
    Ok(map)
}

/// The fields of an object, and which of them are there twice.
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

/// Reads JSON or YAML, and which fields are there twice.
///
/// # Errors
/// Why it is neither.
pub fn value(bytes: &[u8], content: Content) -> Result<(Value, Vec<String>), String> {
    let mut duplicates = Vec::new();
    let is_yaml = matches!(content, Content::Yaml | Content::Apply);
    // What kubectl calls YAML is JSON.
    let parsed = json_text::parse(bytes, &mut duplicates);
    let value = match parsed {
        Ok(value) => value,
        Err(_) if is_yaml => {
            let text = std::str::from_utf8(bytes)
                .map_err(|cause| format!("error converting YAML to JSON: {cause}"))?;
            serde_saphyr::from_str(text).map_err(|cause| {
                format!(
                    "error converting YAML to JSON: {}",
                    cause.to_string().lines().next().unwrap_or_default()
                )
            })?
        }
        Err(cause) => return Err(format!("couldn't get version/kind; json parse error: {cause}")),
    };
    Ok((value, duplicates.iter().map(|path| format!("duplicate field {path:?}")).collect()))
}

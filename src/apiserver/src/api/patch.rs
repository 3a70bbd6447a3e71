//! The four types of patches, as functions from the old object to the new one.

use serde_json::{Map, Value};

use super::decode;
use super::media::Content;
use super::parameters::Validation;
use super::{apply, operations, strategic};
use crate::kind::Kind;
use crate::object::Object;
use crate::status::{ApiError, Cause};

/// Most operations of a JSON patch, as upstream.
const OPERATIONS_MAX: usize = 10_000;

/// A parsed patch.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7386.
    Merge(Map<String, Value>),
    /// Kubernetes' own.
    Strategic(Map<String, Value>),
    /// Server-side apply.
    Apply(Map<String, Value>),
}

impl Patch {
    /// Reads a patch.
    ///
    /// # Errors
    /// `BadRequest` if it is invalid.
    pub fn parse(content: Content, value: Value) -> Result<Self, ApiError> {
        let object = |value: Value| match value {
            Value::Object(map) => Ok(map),
            // In Go it is an empty patch.
            Value::Null if content == Content::StrategicPatch => Ok(Map::new()),
            other => Err(ApiError::bad_request(format!(
                "cannot read the patch: expected an object, got {}",
                kind(&other)
            ))),
        };
        match content {
            Content::JsonPatch => operations(value).map(Self::Json),
            Content::MergePatch => object(value).map(Self::Merge),
            Content::StrategicPatch => object(value).map(Self::Strategic),
            _ => object(value).map(Self::Apply),
        }
    }

    /// Applies the patch. Returns the new object and the faults of fields that were dropped. `old` may be `None` only for
    /// apply, which creates the object.
    ///
    /// # Errors
    /// Upstream's answer to a patch that cannot be applied.
    pub fn applied(
        self,
        old: Option<&Object>,
        kind: &Kind,
        validation: Validation,
        name: &str,
    ) -> Result<(Object, Vec<String>), ApiError> {
        let is_apply = matches!(self, Self::Apply(_));
        if old.is_none() && !is_apply {
            return Err(ApiError::not_found(kind, name));
        }
        let shown = self.shown();
        let mut value = Value::Object(old.map(|old| old.0.clone()).unwrap_or_default());
        match (self, &mut value) {
            (Self::Json(patch), value) => {
                operations::apply(value, &patch.0).map_err(|cause| unprocessable(&cause))?;
            }
            (Self::Merge(patch), value) => json_patch::merge(value, &Value::Object(patch)),
            (Self::Strategic(patch), Value::Object(map)) => {
                strategic::merge(map, &patch, kind.schema).map_err(ApiError::bad_request)?;
            }
            (Self::Apply(applied), Value::Object(map)) => {
                apply::merge(map, &applied, kind.schema).map_err(ApiError::bad_request)?;
            }
            (Self::Strategic(_) | Self::Apply(_), _) => {}
        }
        let Value::Object(mut map) = value else {
            return Err(unprocessable("the object is no longer an object"));
        };
        let faults = decode::fit(&mut map, kind.schema).map_err(|fault| invalid(&shown, &fault))?;
        if validation == Validation::Strict && !faults.is_empty() {
            return Err(invalid(&shown, &format!("strict decoding error: {}", faults.join(", "))));
        }
        Ok((Object(map), faults))
    }

    /// Refuses the patch for what is only warned of without strict validation.
    pub fn strictly_refused(&self, faults: &[String]) -> ApiError {
        let fault = format!("strict decoding error: {}", faults.join(", "));
        match self {
            Self::Json(_) => invalid(&self.shown(), &fault),
            _ => ApiError::bad_request(fault),
        }
    }

    /// The patch, for messages.
    fn shown(&self) -> String {
        let mut text = match self {
            Self::Json(patch) => serde_json::to_string(patch),
            Self::Merge(map) | Self::Strategic(map) | Self::Apply(map) => serde_json::to_string(map),
        }
        .unwrap_or_default();
        if let Some((cut, _)) = text.char_indices().nth(1000) {
            text.truncate(cut);
            text.push_str("...");
        }
        text
    }
}

/// Reads a JSON patch. Only a list of objects comes as far as their operations (`applyJSPatch` in
/// `k8s.io/apiserver/pkg/endpoints/handlers/patch.go`).
fn operations(value: Value) -> Result<json_patch::Patch, ApiError> {
    let list = match &value {
        // In Go it is an empty patch.
        Value::Null => return Ok(json_patch::Patch(Vec::new())),
        Value::Array(list) => list.as_slice(),
        _ => &[],
    };
    let count = list.len();
    if count > OPERATIONS_MAX {
        let message = format!(
            "Request entity too large: The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {count}"
        );
        return Err(ApiError { code: 413, reason: "RequestEntityTooLarge", message, details: Value::Null });
    }
    let is_one = value.is_array() && list.iter().all(|entry| entry.is_object() || entry.is_null());
    serde_json::from_value(value).map_err(|cause| {
        let why = format!("cannot read the JSON patch: {cause}");
        if is_one { unprocessable(&why) } else { ApiError::bad_request(why) }
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A patch whose result does not fit the kind.
fn invalid(patch: &str, fault: &str) -> ApiError {
    let message = format!("Invalid value: {patch:?}: {fault}");
    let cause = Cause { reason: "FieldValueInvalid", message: message.clone(), field: "patch".to_owned() };
    let details = serde_json::json!({"causes": [cause]});
    ApiError { code: 422, reason: "Invalid", message: format!(" \"\" is invalid: patch: {message}"), details }
}

/// A patch that cannot be applied to this object.
fn unprocessable(cause: &str) -> ApiError {
    let message = format!("the server rejected our request due to an error in our request: {cause}");
    ApiError { code: 422, reason: "Invalid", message, details: Value::Null }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::service;

    fn applied(
        content: Content,
        patch: Value,
        validation: Validation,
    ) -> Result<(Value, Vec<String>), ApiError> {
        let old = json!({"kind": "Service", "metadata": {"name": "a"}, "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30000}]}});
        let old = Object::from_value(old).unwrap();
        let (object, faults) =
            Patch::parse(content, patch)?.applied(Some(&old), &service::KIND, validation, "a")?;
        Ok((object.into_value(), faults))
    }

    #[test]
    fn each_sort_of_patch_does_what_it_should() {
        let table = [
            (
                Content::JsonPatch,
                json!([{"op": "add", "path": "/spec/ports/-", "value": {"port": 81}}]),
                json!([{"port": 80, "nodePort": 30000}, {"port": 81}]),
            ),
            (Content::MergePatch, json!({"spec": {"ports": [{"port": 81}]}}), json!([{"port": 81}])),
            (
                Content::StrategicPatch,
                json!({"spec": {"ports": [{"port": 81}]}}),
                json!([{"port": 81}, {"port": 80, "nodePort": 30000}]),
            ),
            (
                Content::Apply,
                json!({"spec": {"ports": [{"port": 80, "name": "x"}]}}),
                json!([{"port": 80, "nodePort": 30000, "name": "x"}]),
            ),
        ];
        for (content, patch, expected) in table {
            let (found, faults) = applied(content, patch, Validation::Strict).unwrap();
            assert_eq!(found["spec"]["ports"], expected, "{content:?}");
            assert_eq!(found["spec"]["type"], "NodePort");
            assert_eq!(faults, [""; 0]);
        }
    }

    #[test]
    fn unknown_fields_are_told_or_refused() {
        let patch = json!({"spec": {"foo": 1}});
        let (found, faults) = applied(Content::MergePatch, patch.clone(), Validation::Warn).unwrap();
        assert_eq!(
            (found["spec"].get("foo"), faults.as_slice()),
            (None, &["unknown field \"spec.foo\"".to_owned()][..])
        );
        let error = applied(Content::MergePatch, patch, Validation::Strict).unwrap_err();
        let expected = r#" "" is invalid: patch: Invalid value: "{\"spec\":{\"foo\":1}}": strict decoding error: unknown field "spec.foo""#;
        assert_eq!((error.code, error.message.as_str()), (422, expected));
    }

    #[test]
    fn what_cannot_be_applied_is_refused() {
        let table = [
            (Content::JsonPatch, json!([{"op": "test", "path": "/spec/type", "value": "x"}]), 422),
            (Content::JsonPatch, json!([{"op": "remove", "path": "/spec/none"}]), 422),
            (Content::JsonPatch, json!([{"op": "replace", "path": "", "value": 5}]), 422),
            (Content::JsonPatch, json!([{"op": "explode"}]), 422),
            (Content::JsonPatch, json!([null]), 422),
            (Content::JsonPatch, json!([1]), 400),
            (Content::JsonPatch, json!({}), 400),
            (Content::JsonPatch, json!(vec![json!({"op": "remove", "path": "/x"}); OPERATIONS_MAX + 1]), 413),
            (Content::MergePatch, json!([]), 400),
            (Content::MergePatch, json!({"spec": {"ports": "x"}}), 422),
            (Content::MergePatch, json!(null), 400),
            (Content::StrategicPatch, json!({"spec": {"ports": [{}]}}), 400),
            (Content::Apply, json!("x"), 400),
        ];
        for (content, patch, code) in table {
            let shown: String = patch.to_string().chars().take(80).collect();
            assert_eq!(applied(content, patch, Validation::Warn).unwrap_err().code, code, "{shown}");
        }
    }

    #[test]
    fn only_apply_makes_new_objects() {
        let new = |content| {
            let patch = Patch::parse(content, json!({"metadata": {"name": "a"}})).unwrap();
            patch.applied(None, &service::KIND, Validation::Warn, "a")
        };
        assert!(new(Content::Apply).is_ok());
        assert_eq!(new(Content::MergePatch).unwrap_err().code, 404);
    }
}

//! Errors as `Status` objects of the Kubernetes API. Facts from `k8s.io/apimachinery/pkg/api/errors`.

use std::collections::HashSet;

use pod::validation::go_quote;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::kind::Kind;

/// An error with the fields of `Status`. kubectl shows its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub code: u16,
    /// `reason`, in one word.
    pub reason: &'static str,
    /// `message`.
    pub message: String,
    /// `details`, `null` for none.
    pub details: Value,
}

/// One cause in the details of an `Invalid` status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldValueRequired`, ...
    pub reason: &'static str,
    /// The fault, without the field.
    pub message: String,
    /// The path of the field.
    pub field: String,
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: String, details: Value) -> Self {
        Self { code, reason, message, details }
    }

    fn named(kind: &Kind, name: &str, called: &str) -> Value {
        let mut details = json!({});
        if !called.is_empty() {
            details["kind"] = called.into();
        }
        if !name.is_empty() {
            details["name"] = name.into();
        }
        if !kind.group.is_empty() {
            details["group"] = kind.group.into();
        }
        details
    }

    /// The object does not exist.
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} not found", kind.qualified_plural());
        Self::new(404, "NotFound", message, Self::named(kind, name, kind.plural))
    }

    /// The object exists already.
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", kind.qualified_plural());
        Self::new(409, "AlreadyExists", message, Self::named(kind, name, kind.plural))
    }

    /// The request is not allowed.
    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", kind.qualified_plural());
        Self::new(403, "Forbidden", message, Self::named(kind, name, kind.plural))
    }

    /// The request is not allowed; `resource` is empty for a path that is no object's, and `name` for all objects
    /// (`NewForbidden`).
    pub fn refused(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let qualified = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
        let message = match (resource, name) {
            ("", _) => format!("forbidden: {why}"),
            (_, "") => format!("{qualified} is forbidden: {why}"),
            _ => format!("{qualified} {} is forbidden: {why}", go_quote(name)),
        };
        let given = [("name", name), ("group", group), ("kind", resource)];
        let given = given.into_iter().filter(|(_, text)| !text.is_empty());
        let details: Map<String, Value> =
            given.map(|(key, text)| (key.to_owned(), Value::from(text))).collect();
        Self::new(403, "Forbidden", message, Value::Object(details))
    }

    /// The object has another uid or version than the request says.
    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.qualified_plural());
        Self::new(409, "Conflict", message, Self::named(kind, name, kind.plural))
    }

    /// The object to be deleted has another uid or version than the request says.
    pub fn another(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.qualified_name());
        Self::new(409, "Conflict", message, Self::named(kind, name, kind.name))
    }

    /// Rewords an error about `stored` for the group that shows the same objects as `kind`.
    #[must_use]
    pub fn in_group(mut self, kind: &Kind, stored: &Kind) -> Self {
        if self.details["kind"] == stored.plural && self.details["group"].is_null() {
            self.details["group"] = kind.group.into();
            let (from, to) =
                (format!("{} ", stored.qualified_plural()), format!("{} ", kind.qualified_plural()));
            self.message = self.message.replacen(&from, &to, 1);
        }
        self
    }

    /// The object was changed meanwhile.
    pub fn modified(kind: &Kind, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    /// A new object has neither `name` nor `generateName`.
    pub fn invalid_name_missing(kind: &Kind) -> Self {
        let message = "Required value: name or generateName is required".to_owned();
        let cause = Cause { reason: "FieldValueRequired", message, field: "metadata.name".to_owned() };
        Self::invalid(kind, "", &[cause])
    }

    /// The request names a resource version of the future.
    pub fn too_large_version(wanted: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        let details = json!({"retryAfterSeconds": 1, "causes": [{"reason": "ResourceVersionTooLarge",
            "message": "Too large resource version"}]});
        Self::new(504, "Timeout", message, details)
    }

    /// The object is not valid. Several faults are put into brackets.
    pub fn invalid(kind: &Kind, name: &str, faults: &[Cause]) -> Self {
        let text = joined(faults);
        let message = format!("{} {name:?} is invalid: {text}", kind.qualified_name());
        let mut details = Self::named(kind, name, kind.name);
        details["causes"] = serde_json::to_value(faults).unwrap_or_default();
        Self::new(422, "Invalid", message, details)
    }

    /// The options of a request are not valid; `kind` is `CreateOptions` or the like.
    pub fn invalid_options(kind: &str, faults: &[Cause]) -> Self {
        let text = joined(faults);
        let message = format!("{kind}.meta.k8s.io \"\" is invalid: {text}");
        let details = json!({"group": "meta.k8s.io", "kind": kind, "causes": faults});
        Self::new(422, "Invalid", message, details)
    }

    /// The request is malformed.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message.into(), Value::Null)
    }

    /// The server failed.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        let causes = json!({"causes": [{"message": message.to_string()}]});
        Self::new(500, "InternalError", format!("Internal error occurred: {message}"), causes)
    }

    /// An error that upstream does not classify, though the client may be at fault: it has no `reason`
    /// (`ErrorToAPIStatus` in `k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/status.go`).
    pub fn unclassified(message: impl Into<String>) -> Self {
        Self::new(500, "", message.into(), Value::Null)
    }

    /// The client is not authenticated.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized".to_owned(), Value::Null)
    }

    /// The path is not served.
    pub fn no_such_path() -> Self {
        let message = "the server could not find the requested resource".to_owned();
        Self::new(404, "NotFound", message, json!({}))
    }

    /// The kind does not have this verb.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource".to_owned();
        Self::new(405, "MethodNotAllowed", message, json!({}))
    }

    /// The body has an unknown media type.
    pub fn unsupported_media_type(given: &str, expected: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {} (got {given:?})",
            expected.join(", ")
        );
        Self::new(415, "UnsupportedMediaType", message, Value::Null)
    }

    /// The body is too large.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("Request entity is too large: limit is {limit}");
        Self::new(413, "RequestEntityTooLarge", message, Value::Null)
    }

    /// The server has too much to do.
    pub fn busy() -> Self {
        let message = "Too many requests, please try again later.".to_owned();
        Self::new(429, "TooManyRequests", message, json!({"retryAfterSeconds": 1}))
    }

    /// The client took too long.
    pub fn timeout(why: &str) -> Self {
        Self::new(408, "Timeout", format!("Timeout: {why}"), Value::Null)
    }

    /// The resource version is too old.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message.into(), Value::Null)
    }

    /// As `Status`, version `v1`.
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message,
            "reason": self.reason, "code": self.code,
        });
        // See `unclassified`.
        if self.reason.is_empty() {
            status.as_object_mut().map(|status| status.remove("reason"));
        }
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}

/// The faults as one text, each once; several are put into brackets (`ErrorList.ToAggregate` in
/// `k8s.io/apimachinery/pkg/util/validation/field/errors.go`).
fn joined(faults: &[Cause]) -> String {
    let mut seen = HashSet::new();
    let texts = faults.iter().map(|fault| format!("{}: {}", fault.field, fault.message));
    let texts: Vec<String> = texts.filter(|text| seen.insert(text.clone())).collect();
    if let [one] = &texts[..] { one.clone() } else { format!("[{}]", texts.join(", ")) }
}

//! What is asked about: `spec` of a review of access.

use serde_json::{Value, json};

use crate::auth::{Attributes, User};
use crate::kinds::faults::invalid;
use crate::object::Object;
use crate::status::Cause;

/// `pkg/apis/authorization/validation/validation.go`.
pub(super) fn faults(spec: &Value) -> Vec<Cause> {
    let (of_resource, of_path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    match (of_resource.is_null(), of_path.is_null()) {
        (false, false) => {
            let why = "cannot be specified in combination with resourceAttributes";
            vec![invalid("spec.nonResourceAttributes", of_path, why)]
        }
        (true, true) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            vec![invalid("spec.resourceAttributes", &Value::Null, why)]
        }
        _ => Vec::new(),
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A question about nobody.
pub(super) fn subject_fault(spec: &Value) -> Option<Cause> {
    let is_nobody = text(spec, "user").is_empty() && texts(&spec["groups"]).is_empty();
    let why = "at least one of user or group must be specified";
    is_nobody.then(|| invalid("spec.user", &"".into(), why))
}

/// The faults of a question about one namespace (`ValidateLocalSubjectAccessReview`).
pub(super) fn local_faults(object: &Object) -> Vec<Cause> {
    let (of_resource, of_path) =
        (&object.spec()["resourceAttributes"], &object.spec()["nonResourceAttributes"]);
    let mut faults = Vec::new();
    let metadata = object.metadata();
    if metadata.iter().any(|(key, value)| key != "namespace" && !value.is_null()) {
        let why = "must be empty except for namespace";
        faults.push(invalid("metadata", &metadata.clone().into(), why));
    }
    let namespace = text(of_resource, "namespace");
    if !of_resource.is_null() && namespace != object.namespace() {
        let why = "must match metadata.namespace";
        faults.push(invalid("spec.resourceAttributes.namespace", &namespace.into(), why));
    }
    if !of_path.is_null() {
        // As Go shows its own type.
        let shown = json!({"Path": text(of_path, "path"), "Verb": text(of_path, "verb")});
        faults.push(invalid("spec.nonResourceAttributes", &shown, "disallowed on this kind of request"));
    }
    faults
}

/// Whom the question is about.
pub(super) fn subject(spec: &Value) -> User {
    User {
        name: text(spec, "user"),
        uid: text(spec, "uid"),
        groups: texts(&spec["groups"]),
        ..User::default()
    }
}

/// What the question is about.
pub(super) fn attributes(spec: &Value) -> Attributes {
    let path = &spec["nonResourceAttributes"];
    if !path.is_null() {
        return Attributes { verb: text(path, "verb"), path: text(path, "path"), ..Attributes::default() };
    }
    let of = |key: &str| text(&spec["resourceAttributes"], key);
    Attributes {
        verb: of("verb"),
        namespace: of("namespace"),
        group: of("group"),
        version: of("version"),
        resource: of("resource"),
        subresource: of("subresource"),
        name: of("name"),
        path: String::new(),
    }
}

//! Defaults and validation of roles and bindings (`pkg/apis/rbac/v1/defaults.go` and
//! `pkg/apis/rbac/validation/validation.go` of Kubernetes 1.36).

use serde_json::{Value, json};

use super::ROLE_GROUP;
use crate::kinds::faults::{MOST, forbidden, invalid, required, unsupported};
use crate::kinds::meta;
use crate::object::Object;
use crate::status::Cause;
use pod::validation::dns;

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn members<'a>(object: &'a Object, key: &str) -> &'a [Value] {
    object.0.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The faults of a role.
pub(super) fn role_faults(object: &Object, is_namespaced: bool) -> Vec<Cause> {
    let mut faults = Vec::new();
    let rules = members(object, "rules").iter().enumerate();
    let found = rules.flat_map(|(index, rule)| rule_faults(rule, is_namespaced, &format!("rules[{index}]")));
    faults.extend(found.take(MOST));
    if object.0.contains_key("aggregationRule") {
        faults.push(forbidden(
            "aggregationRule",
            "this server aggregates no roles: write the rules into the role",
        ));
    }
    faults
}

/// `ValidatePolicyRule`.
fn rule_faults(rule: &Value, is_namespaced: bool, path: &str) -> Vec<Cause> {
    let field = |key: &str| format!("{path}.{key}");
    let is_empty = |key: &str| list(rule, key).is_empty();
    let mut faults = Vec::new();
    if is_empty("verbs") {
        faults.push(required(field("verbs"), "verbs must contain at least one value"));
    }
    if !is_empty("nonResourceURLs") {
        let refused = |why| invalid(field("nonResourceURLs"), &rule["nonResourceURLs"], why);
        if is_namespaced {
            faults.push(refused("namespaced rules cannot apply to non-resource URLs"));
        }
        if !["apiGroups", "resources", "resourceNames"].into_iter().all(is_empty) {
            faults.push(refused("rules cannot apply to both regular resources and non-resource URLs"));
        }
        return faults;
    }
    if is_empty("apiGroups") {
        faults.push(required(field("apiGroups"), "resource rules must supply at least one api group"));
    }
    if is_empty("resources") {
        faults.push(required(field("resources"), "resource rules must supply at least one resource"));
    }
    faults
}

/// Fills in the API groups of the role and the subjects of a binding.
pub(super) fn fill(object: &mut Object) {
    let is_empty = |value: &Value| value.as_str().is_none_or(str::is_empty);
    if let Some(role) = object.0.get_mut("roleRef").filter(|role| role.is_object())
        && is_empty(&role["apiGroup"])
    {
        role["apiGroup"] = ROLE_GROUP.into();
    }
    let subjects = object.0.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten();
    for subject in subjects {
        let is_user = matches!(subject["kind"].as_str(), Some("User" | "Group"));
        if is_user && is_empty(&subject["apiGroup"]) {
            subject["apiGroup"] = ROLE_GROUP.into();
        }
    }
}

/// The faults of a binding that takes the place of `old`.
pub(super) fn binding_faults(object: &Object, old: Option<&Object>, is_namespaced: bool) -> Vec<Cause> {
    let mut faults = Vec::new();
    let role = object.0.get("roleRef").unwrap_or(&Value::Null);
    let text = |key: &str| role[key].as_str().unwrap_or_default();
    if text("apiGroup") != ROLE_GROUP {
        faults.push(unsupported("roleRef.apiGroup", text("apiGroup"), &[ROLE_GROUP]));
    }
    let kinds: &[&str] = if is_namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&text("kind")) {
        faults.push(unsupported("roleRef.kind", text("kind"), kinds));
    }
    match text("name") {
        "" => faults.push(required("roleRef.name", "")),
        name => {
            let errors = meta::path_segment(name);
            faults.extend(errors.iter().map(|why| invalid("roleRef.name", &name.into(), why)));
        }
    }
    let subjects = members(object, "subjects").iter().enumerate();
    let found = subjects
        .flat_map(|(index, subject)| subject_faults(subject, is_namespaced, &format!("subjects[{index}]")));
    faults.extend(found.take(MOST));
    if old.is_some_and(|old| old.0.get("roleRef") != object.0.get("roleRef")) {
        let shown = json!([["APIGroup", text("apiGroup")], ["Kind", text("kind")], ["Name", text("name")]]);
        faults.push(invalid("roleRef", &shown, "cannot change roleRef"));
    }
    faults
}

/// `ValidateRoleBindingSubject`.
fn subject_faults(subject: &Value, is_namespaced: bool, path: &str) -> Vec<Cause> {
    let field = |key: &str| format!("{path}.{key}");
    let text = |key: &str| subject[key].as_str().unwrap_or_default();
    let mut faults = Vec::new();
    let (name, group) = (text("name"), text("apiGroup"));
    if name.is_empty() {
        faults.push(required(field("name"), ""));
    }
    match text("kind") {
        "ServiceAccount" => {
            let errors = if name.is_empty() { Vec::new() } else { dns::subdomain_errors(name) };
            faults.extend(errors.iter().map(|why| invalid(field("name"), &name.into(), why)));
            if !group.is_empty() {
                faults.push(unsupported(field("apiGroup"), group, &[""]));
            }
            if !is_namespaced && text("namespace").is_empty() {
                faults.push(required(field("namespace"), ""));
            }
        }
        "User" | "Group" if group != ROLE_GROUP => {
            faults.push(unsupported(field("apiGroup"), group, &[ROLE_GROUP]));
        }
        "User" | "Group" => {}
        kind => faults.push(unsupported(field("kind"), kind, &["ServiceAccount", "User", "Group"])),
    }
    faults
}

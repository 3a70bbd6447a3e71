//! Duplicate owner references.

use std::collections::HashSet;

use serde_json::Value;

use crate::object::Object;

/// Removes duplicate owner references. Returns a warning, which `when` completes
/// (`dedupOwnerReferencesAndAddWarning` in `k8s.io/apiserver/pkg/endpoints/handlers/rest.go`).
pub fn once(object: &mut Object, when: &str) -> Option<String> {
    if object.metadata().get("ownerReferences").and_then(Value::as_array).is_none_or(|all| all.len() < 2) {
        return None;
    }
    let owners = object.metadata_mut().get_mut("ownerReferences").and_then(Value::as_array_mut)?;
    let (mut seen, mut twice) = (HashSet::new(), Vec::new());
    // Compares their texts in a set: there may be many.
    owners.retain(|owner| {
        let is_new = seen.insert(owner.to_string());
        if !is_new {
            twice.push(owner["uid"].as_str().unwrap_or_default().to_owned());
        }
        is_new
    });
    (!twice.is_empty()).then(|| {
        format!(
            ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and \
             may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            twice.join(", ")
        )
    })
}

//! Validation of the metadata of every object (`ValidateObjectMeta`).

use serde_json::{Map, Value, json};

use super::faults::{MOST, forbidden, invalid, required, too_long};
use super::owners;
use crate::object::{FOREGROUND, ORPHAN, Object};
use crate::status::{ApiError, Cause};
use pod::validation::labels::{label_value_errors, qualified_name_errors};
use pod::validation::{dns, go_quote};

/// Largest size of all annotations together, in bytes.
const ANNOTATIONS_MAX: usize = 256 << 10;
/// The finalizers that need no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", ORPHAN, FOREGROUND];

/// Checks the name of an object.
pub(super) type NameRule = fn(&str) -> Vec<String>;

/// Names that are RFC 1123 labels.
pub(super) fn label(name: &str) -> Vec<String> {
    dns::label_errors(name).into_iter().map(str::to_owned).collect()
}

/// Names that are RFC 1123 subdomains.
pub(super) fn subdomain(name: &str) -> Vec<String> {
    dns::subdomain_errors(name).into_iter().map(str::to_owned).collect()
}

/// Names that can be a part of a path, as every name has to be (`IsPathSegmentName`).
pub(super) fn path_segment(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    let bad = ["/", "%"].into_iter().filter(|part| name.contains(part));
    bad.map(|part| format!("may not contain '{part}'")).collect()
}

/// The faults of the metadata of `object`.
pub(super) fn faults(object: &Object, rule: NameRule) -> Vec<Cause> {
    let mut faults = common_faults(object, rule);
    faults.extend(finalizer_kind_faults(object));
    faults
}

/// The same after a change, for kinds that do not check name and generateName again.
pub(super) fn kept_faults(object: &Object) -> Vec<Cause> {
    let mut faults = common_faults(object, path_segment);
    faults.extend(finalizer_kind_faults(object));
    faults
}

/// The faults that objects of every kind can have (`ValidateObjectMetaAccessor`). Some kinds accept any finalizer.
pub(super) fn common_faults(object: &Object, rule: NameRule) -> Vec<Cause> {
    let metadata = object.metadata();
    let mut faults = Vec::new();
    if let Some(prefix) = metadata.get("generateName").and_then(Value::as_str).filter(|name| !name.is_empty())
    {
        // A name that is about to be lengthened may end with a hyphen.
        let stem = prefix.strip_suffix('-').map_or_else(|| prefix.to_owned(), |stem| format!("{stem}a"));
        faults.extend(rule(&stem).iter().map(|why| invalid("metadata.generateName", &prefix.into(), why)));
    }
    match object.name() {
        "" => faults.push(required("metadata.name", "name or generateName is required")),
        name => faults.extend(rule(name).iter().map(|why| invalid("metadata.name", &name.into(), why))),
    }
    if let Some(generation) = metadata.get("generation").filter(|value| value.as_i64() < Some(0)) {
        faults.push(invalid("metadata.generation", generation, "must be greater than or equal to 0"));
    }
    faults.extend(label_faults(metadata.get("labels"), "metadata.labels"));
    faults.extend(annotation_faults(metadata.get("annotations")));
    faults.extend(owners::faults(object));
    faults.extend(finalizer_faults(&object.finalizers()));
    faults
}

/// The faults of a change of the metadata of `old`: first those that the new metadata of any kind can have
/// (`BeforeUpdate` in `k8s.io/apiserver/pkg/registry/rest/update.go`), then those of the change itself
/// (`ValidateObjectMetaAccessorUpdate`).
pub(super) fn change_faults(object: &Object, old: &Object) -> Vec<Cause> {
    let mut faults = common_faults(object, path_segment);
    if old.is_being_deleted() {
        faults.extend(new_finalizer_faults(object, old));
    }
    // The registry has already corrected values that can only mean the old ones.
    for key in ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let value = |object: &Object| object.metadata().get(key).cloned().unwrap_or_default();
        if value(object) != value(old) {
            faults.push(invalid(format!("metadata.{key}"), &value(object), "field is immutable"));
        }
    }
    faults
}

fn new_finalizer_faults(object: &Object, old: &Object) -> Vec<Cause> {
    let known = old.finalizers();
    let mut new = object.finalizers();
    new.retain(|finalizer| !known.contains(finalizer));
    new.sort_unstable();
    new.dedup();
    if new.is_empty() {
        return Vec::new();
    }
    let shown: Vec<String> = new.iter().take(MOST).map(|finalizer| go_quote(finalizer)).collect();
    let why = "no new finalizers can be added if the object is being deleted, found new finalizers";
    vec![forbidden("metadata.finalizers", &format!("{why} []string{{{}}}", shown.join(", ")))]
}

/// The faults of labels, or of a selector, at `path`.
pub(super) fn label_faults(labels: Option<&Value>, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    for (key, value) in entries(labels) {
        if faults.len() >= MOST {
            break;
        }
        faults.extend(qualified_name_errors(key).iter().map(|why| invalid(path, &key.as_str().into(), why)));
        let text = value.as_str().unwrap_or_default();
        faults.extend(label_value_errors(text).iter().map(|why| invalid(path, &text.into(), why)));
    }
    faults
}

fn annotation_faults(annotations: Option<&Value>) -> Vec<Cause> {
    let path = "metadata.annotations";
    let mut faults = Vec::new();
    let mut size = 0;
    for (key, value) in entries(annotations) {
        size += key.len() + value.as_str().map_or(0, str::len);
        if faults.len() >= MOST {
            continue;
        }
        let errors = qualified_name_errors(&key.to_lowercase());
        faults.extend(errors.iter().map(|why| invalid(path, &key.as_str().into(), why)));
    }
    if size > ANNOTATIONS_MAX {
        faults.push(too_long(path, ANNOTATIONS_MAX));
    }
    faults
}

fn finalizer_faults(finalizers: &[&str]) -> Vec<Cause> {
    let path = "metadata.finalizers";
    let mut faults = Vec::new();
    for finalizer in finalizers {
        if faults.len() >= MOST {
            break;
        }
        faults.extend(finalizer_form_faults(finalizer, path));
    }
    if [ORPHAN, FOREGROUND].iter().all(|name| finalizers.contains(name)) {
        let why = format!("finalizer {ORPHAN} and {FOREGROUND} cannot be both set");
        faults.push(invalid(path, &json!(finalizers), why));
    }
    faults
}

/// The faults of finalizers without a domain (`validateKubeFinalizerName`).
pub(super) fn finalizer_kind_faults(object: &Object) -> Vec<Cause> {
    let finalizers = object.finalizers().into_iter().enumerate();
    let faults = finalizers.filter_map(|(index, finalizer)| {
        finalizer_kind_fault(finalizer, &format!("metadata.finalizers[{index}]"))
    });
    faults.take(MOST).collect()
}

fn finalizer_kind_fault(finalizer: &str, path: &str) -> Option<Cause> {
    let is_known = finalizer.contains('/') || STANDARD_FINALIZERS.contains(&finalizer);
    let why = "name is neither a standard finalizer name nor is it fully qualified";
    (!is_known).then(|| invalid(path, &finalizer.into(), why))
}

fn finalizer_form_faults(finalizer: &str, path: &str) -> Vec<Cause> {
    let errors = qualified_name_errors(finalizer);
    errors.iter().map(|why| invalid(path, &finalizer.into(), why)).collect()
}

/// The faults of a finalizer's name.
pub(super) fn finalizer_name_faults(finalizer: &str, path: &str) -> Vec<Cause> {
    let mut faults = finalizer_form_faults(finalizer, path);
    faults.extend(finalizer_kind_fault(finalizer, path));
    faults
}

fn entries(map: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    map.and_then(Value::as_object).unwrap_or(&NONE).iter()
}

/// Gives `object` the metadata `key` of `old`.
pub(super) fn keep(object: &mut Object, old: &Object, key: &str) {
    match old.metadata().get(key) {
        Some(value) => object.metadata_mut().insert(key.to_owned(), value.clone()),
        None => object.metadata_mut().remove(key),
    };
}

/// Returns `Ok` if there are no faults.
///
/// # Errors
/// `Invalid` with the faults, those of the metadata once each: a change finds some of them twice.
pub(super) fn checked(kind: &crate::kind::Kind, object: &Object, faults: &[Cause]) -> Result<(), ApiError> {
    let mut once: Vec<Cause> = Vec::new();
    for fault in faults {
        if !fault.field.starts_with("metadata.") || !once.contains(fault) {
            once.push(fault.clone());
        }
    }
    if once.is_empty() { Ok(()) } else { Err(ApiError::invalid(kind, object.name(), &once)) }
}

//! The metadata that the server sets, and that clients cannot change.

use serde_json::Value;
use uuid::Uuid;

use crate::api::parameters::go_uint;
use crate::kind::Kind;
use crate::object::Object;
use crate::resource::Resource;
use crate::status::{ApiError, Cause};
use crate::time;

/// The letters of generated suffixes: no vowels, so that no words appear, and no letters that look alike
/// (`k8s.io/apimachinery/pkg/util/rand`).
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const GENERATED: usize = 5;
/// Longest generated name.
const NAME_MAX: usize = 63;

/// Gives an object a uid and a creation time, if it has none.
pub(super) fn stamp(object: &mut Object, now: i64) {
    let metadata = object.metadata_mut();
    if metadata.get("uid").and_then(Value::as_str).is_none_or(str::is_empty) {
        metadata.insert("uid".to_owned(), Uuid::new_v4().to_string().into());
        metadata.insert("creationTimestamp".to_owned(), time::format(now).into());
    }
}

/// Prepares the metadata of an object that is to be created in `namespace`.
pub(super) fn of_new(kind: &Kind, object: &mut Object, namespace: &str, now: i64) -> Result<(), ApiError> {
    own_type(kind, object)?;
    in_namespace(kind, object, namespace)?;
    if object.name().is_empty() {
        let prefix = object.metadata().get("generateName").and_then(Value::as_str).unwrap_or_default();
        if prefix.is_empty() {
            return Err(ApiError::invalid_name_missing(kind));
        }
        let kept: String = prefix.chars().take(NAME_MAX - GENERATED).collect();
        object.metadata_mut().insert("name".to_owned(), (kept + &suffix()).into());
    }
    let metadata = object.metadata_mut();
    for key in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
    ] {
        metadata.remove(key);
    }
    stamp(object, now);
    Ok(())
}

/// The random end of a generated name.
pub(crate) fn suffix() -> String {
    (0..GENERATED).map(|_| char::from(LETTERS[fastrand::usize(..LETTERS.len())])).collect()
}

/// Prepares the metadata of an object that is to take the place of `old`.
///
/// # Errors
/// `Conflict` where the client saw another version, `BadRequest` where it means another object.
pub(super) fn of_changed(kind: &Kind, object: &mut Object, old: &Object) -> Result<(), ApiError> {
    is_addressed(kind, object, old)?;
    let given = |key: &str| object.metadata().get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    // Version 0 is any version.
    if version_of(&given("resourceVersion"))?.is_some_and(|version| version != old.resource_version()) {
        return Err(ApiError::modified(kind, old.name()));
    }
    let metadata = object.metadata_mut();
    for key in ["managedFields", "selfLink"] {
        metadata.remove(key);
    }
    // A field that the client omits stays; a wrong value is a fault. The time of a deletion stays anyway.
    for (key, is_kept) in [("uid", false), ("deletionTimestamp", true), ("deletionGracePeriodSeconds", false)]
    {
        let is_given = metadata.get(key).is_some_and(|value| !value.is_null() && value != "");
        match old.metadata().get(key) {
            Some(value) if is_kept || !is_given => {
                metadata.insert(key.to_owned(), value.clone());
            }
            None if !is_given => {
                metadata.remove(key);
            }
            _ => {}
        }
    }
    for key in [
        "creationTimestamp",
        "resourceVersion",
        // The server counts it, as in `BeforeUpdate` (`k8s.io/apiserver/pkg/registry/rest/update.go`).
        "generation",
    ] {
        match old.metadata().get(key) {
            Some(value) => metadata.insert(key.to_owned(), value.clone()),
            None => metadata.remove(key),
        };
    }
    Ok(())
}

/// Refuses an object of another kind, namespace or name than the request is about.
///
/// # Errors
/// `BadRequest`.
pub(super) fn is_addressed(kind: &Kind, object: &mut Object, old: &Object) -> Result<(), ApiError> {
    own_type(kind, object)?;
    in_namespace(kind, object, old.namespace())?;
    is_named(object, old.name())
}

/// The version that a client says it saw; `None` if it says none, or 0.
///
/// # Errors
/// It is no number (`ObjectResourceVersion`).
fn version_of(text: &str) -> Result<Option<u64>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    let version = go_uint(text).map_err(ApiError::unclassified)?;
    Ok(Some(version).filter(|version| *version > 0))
}

/// Refuses to replace `old` by an object with another uid: the client means another object.
///
/// # Errors
/// `Conflict`.
pub fn is_same(kind: &Kind, object: &Object, old: &Object) -> Result<(), ApiError> {
    let (uid, found) = (object.uid(), old.uid());
    if uid.is_empty() || uid == found {
        return Ok(());
    }
    let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {found}");
    Err(ApiError::conflict(kind, old.name(), &why))
}

/// Refuses an object without a version in the place of another one, for kinds that need it.
///
/// # Errors
/// `Invalid`, of the kind's plural, as upstream (`Store.Update`).
pub(super) fn has_version(kind: &Kind, resource: &dyn Resource, object: &Object) -> Result<(), ApiError> {
    let given = object.metadata().get("resourceVersion").and_then(Value::as_str).unwrap_or_default();
    if !resource.needs_version() || version_of(given)?.is_some() {
        return Ok(());
    }
    let message = "Invalid value: 0: must be specified for an update".to_owned();
    let cause = Cause { reason: "FieldValueInvalid", message, field: "metadata.resourceVersion".to_owned() };
    Err(ApiError::invalid(&Kind { name: kind.plural, ..*kind }, object.name(), &[cause]))
}

/// Prepares the metadata of an object that an update creates, because there is none to replace. The version that the
/// client saw does not matter then, but a uid does: the client means an object that is gone (`Store.Update`).
///
/// # Errors
/// `BadRequest` where it has another name than `name`, `Conflict` where it has a uid.
pub(super) fn of_missing(kind: &Kind, object: &mut Object, name: &str) -> Result<(), ApiError> {
    is_named(object, name)?;
    if !object.uid().is_empty() {
        let uid = object.uid();
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: ");
        return Err(ApiError::conflict(kind, name, &why));
    }
    object.metadata_mut().remove("resourceVersion");
    Ok(())
}

/// As `checkName` has it (`k8s.io/apiserver/pkg/endpoints/handlers/rest.go`).
fn is_named(object: &Object, url: &str) -> Result<(), ApiError> {
    match object.name() {
        given if given == url => Ok(()),
        "" => Err(ApiError::bad_request(format!(
            "the name of the object ({url} based on URL) was undeterminable: name must be provided"
        ))),
        given => Err(ApiError::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({url})"
        ))),
    }
}

fn own_type(kind: &Kind, object: &mut Object) -> Result<(), ApiError> {
    for (key, own) in [("kind", kind.name.to_owned()), ("apiVersion", kind.api_version())] {
        match object.0.get(key).and_then(Value::as_str).unwrap_or_default() {
            "" => {
                object.0.insert(key.to_owned(), own.into());
            }
            given if given == own => {}
            given => {
                let message =
                    format!("the {key} in the data ({given}) does not match the expected {key} ({own})");
                return Err(ApiError::bad_request(message));
            }
        }
    }
    Ok(())
}

fn in_namespace(kind: &Kind, object: &mut Object, namespace: &str) -> Result<(), ApiError> {
    if !kind.namespaced {
        object.metadata_mut().remove("namespace");
        return Ok(());
    }
    let given = object.namespace();
    if !given.is_empty() && given != namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(message));
    }
    object.metadata_mut().insert("namespace".to_owned(), namespace.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_version_4() {
        let stamped = || {
            let mut object = Object::default();
            stamp(&mut object, 0);
            object.uid().to_owned()
        };
        let uid = stamped();
        let parts: Vec<usize> = uid.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(&uid[14..15], "4");
        assert!("89ab".contains(&uid[19..20]), "{uid}");
        assert_ne!(uid, stamped());
    }
}

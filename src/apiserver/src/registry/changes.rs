//! Create, update and delete: the steps that all kinds share.

use super::metadata;
use super::options::{Change, DeleteOptions, Policy};
use super::outcome::Outcome;
use super::transaction::Pending;
use crate::auth::escalation::check_creation;
use crate::kind::Kind;
use crate::object::{FOREGROUND, ORPHAN, Object};
use crate::schema::tidy;
use crate::status::ApiError;
use crate::store::Stored;

/// Stores a new object.
pub(super) fn create(
    pending: &mut Pending<'_>,
    kind: &'static Kind,
    namespace: &str,
    mut object: Object,
) -> Result<Stored, ApiError> {
    let resource = pending.resource(kind)?;
    let has_version = object.resource_version() > 0;
    metadata::of_new(kind, &mut object, namespace, pending.now)?;
    tidy::structure(&mut object.0, kind.schema);
    resource.create(pending, &mut object)?;
    pending.warnings.extend(resource.warnings(&object, None));
    // `store.Create` in `k8s.io/apiserver/pkg/storage/etcd3/store.go`, which a dry run does not come to.
    if has_version && !pending.dry_run {
        return Err(ApiError::unclassified("resourceVersion should not be set on objects to be created"));
    }
    if let Some(stored) = pending.stored(kind, namespace, object.name())? {
        let mut error = ApiError::already_exists(kind, object.name());
        // As in `Store.create` (`k8s.io/apiserver/pkg/registry/generic/registry/store.go`).
        if stored.object()?.is_being_deleted() {
            error.message = format!("object is being deleted: {}", error.message);
        }
        return Err(error);
    }
    pending.write(kind, &mut object, None)
}

/// Changes an object, or creates it.
pub(super) fn update(
    pending: &mut Pending<'_>,
    kind: &'static Kind,
    namespace: &str,
    name: &str,
    change: Change,
) -> Result<Outcome, ApiError> {
    let resource = pending.resource(kind)?;
    let stored = pending.stored(kind, namespace, name)?;
    let old = stored.as_ref().map(Stored::object).transpose()?;
    let (mut object, old, stored) = match (change, old, stored) {
        (Change::Replace(mut object), Some(old), Some(stored)) => {
            metadata::is_addressed(kind, &mut object, &old)?;
            metadata::is_same(kind, &object, &old)?;
            metadata::has_version(kind, resource, &object)?;
            (object, old, stored)
        }
        (Change::Patch(patch), Some(old), Some(stored)) => {
            let mut object = patch(Some(&old))?;
            metadata::is_addressed(kind, &mut object, &old)?;
            metadata::has_version(kind, resource, &object)?;
            (object, old, stored)
        }
        (Change::Patch(patch), ..) => {
            let mut object = patch(None)?;
            object.metadata_mut().insert("name".to_owned(), name.into());
            object.metadata_mut().remove("resourceVersion");
            check_creation(pending, kind, namespace, name)?;
            return create(pending, kind, namespace, object).map(Outcome::Created);
        }
        (Change::Replace(mut object), ..) if resource.may_be_created_by_update() => {
            metadata::of_missing(kind, &mut object, name)?;
            check_creation(pending, kind, namespace, name)?;
            return create(pending, kind, namespace, object).map(Outcome::Created);
        }
        (Change::Replace(_), ..) => return Err(ApiError::not_found(kind, name)),
        (Change::Apply(..), ..) => return Err(ApiError::internal("an apply is a patch by now")),
    };
    metadata::of_changed(kind, &mut object, &old)?;
    tidy::structure(&mut object.0, kind.schema);
    if let Some(part) = pending.part {
        resource.update_part(pending, part, &mut object, &old)?;
        pending.warnings.extend(resource.part_warnings(&object));
    } else {
        resource.update(pending, &mut object, &old)?;
        // No warnings for a part: its client cannot mend the rest.
        pending.warnings.extend(resource.warnings(&object, Some(&old)));
    }
    if object.is_being_deleted() && object.finalizers().is_empty() && !resource.is_held(&object) {
        take_away(pending, kind, &object)?;
        // Stored as requested (`deleteWithoutFinalizers` in `k8s.io/apiserver/pkg/registry/generic/registry/store.go`).
        return Ok(Outcome::Stored(Stored::of(&object)?));
    }
    if object == old {
        return Ok(Outcome::Stored(stored));
    }
    let written = pending.write(kind, &mut object, Some(stored))?;
    resource.updated(pending, &object, &old)?;
    Ok(Outcome::Stored(written))
}

/// Removes an object, or marks it as being deleted.
pub(super) fn delete(
    pending: &mut Pending<'_>,
    kind: &'static Kind,
    namespace: &str,
    name: &str,
    options: &DeleteOptions,
) -> Result<Outcome, ApiError> {
    let resource = pending.resource(kind)?;
    let mut stored = pending.stored(kind, namespace, name)?.ok_or_else(|| ApiError::not_found(kind, name))?;
    let mut object = stored.object()?;
    checked_preconditions(kind, &object, options)?;
    resource.may_delete(&object)?;
    let before = object.clone();
    let grace = resource.grace(&object, options.grace);
    if let Some(left) = object.deletion_grace().filter(|_| grace.is_some()) {
        // Its end may only be moved forward.
        let Some(asked) = options.grace.filter(|asked| *asked < left) else {
            return Ok(Outcome::Stored(stored));
        };
        object.shorten_grace(asked);
    }
    let finalizers = deletion_finalizers(&object, options.policy, kind.has_owners);
    let takes_time = grace > Some(0) && !object.is_being_deleted();
    if finalizers.is_empty() && !takes_time && !resource.is_held(&object) {
        if grace.is_some() {
            // Watches see that it ends before it is gone.
            if !object.is_being_deleted() {
                object.mark_deleted(pending.now, 0);
            }
            stored = pending.write(kind, &mut object, Some(stored))?;
        }
        take_away(pending, kind, &object)?;
        let gone = if pending.dry_run { stored } else { stored.at_version(*pending.version)? };
        return Ok(Outcome::Gone(gone));
    }
    if finalizers != object.finalizers() {
        object.set_finalizers(&finalizers);
    }
    if !object.is_being_deleted() {
        object.mark_deleted(pending.now, grace.unwrap_or_default());
        resource.mark_deleted(&mut object);
    }
    if object == before {
        return Ok(Outcome::Stored(stored));
    }
    pending.write(kind, &mut object, Some(stored)).map(Outcome::Stored)
}

/// `BeforeDelete` in `k8s.io/apiserver/pkg/registry/rest/delete.go`.
fn checked_preconditions(kind: &Kind, object: &Object, options: &DeleteOptions) -> Result<(), ApiError> {
    let version = object.resource_version().to_string();
    let became = ["deleted and then recreated", "modified"];
    for (what, wanted, found, became) in [
        ("UID", &options.uid, object.uid(), became[0]),
        ("ResourceVersion", &options.resource_version, &version, became[1]),
    ] {
        if let Some(wanted) = wanted.as_ref().filter(|wanted| *wanted != found) {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({found})"
            );
            let why = format!("{why}. The object might have been {became}");
            return Err(ApiError::another(kind, object.name(), &why));
        }
    }
    Ok(())
}

/// The finalizers of an object that is to be deleted, by the policy for its dependents
/// (`deletionFinalizersForGarbageCollection`).
fn deletion_finalizers(object: &Object, policy: Policy, has_owners: bool) -> Vec<String> {
    let is_about_dependents = |finalizer: &&str| [ORPHAN, FOREGROUND].contains(finalizer);
    let given = object.finalizers();
    let added = match policy {
        _ if !has_owners => None,
        Policy::Orphan => Some(ORPHAN),
        Policy::Foreground => Some(FOREGROUND),
        Policy::Background => None,
        Policy::Default => given.iter().copied().find(is_about_dependents),
    };
    let kept: Vec<&str> = given.iter().copied().filter(|name| !is_about_dependents(name)).collect();
    let all: Vec<String> = kept.into_iter().chain(added).map(str::to_owned).collect();
    // The same ones in another order are no change.
    let is_same = all.len() == given.len() && all.iter().all(|name| given.contains(&name.as_str()));
    if is_same { given.into_iter().map(str::to_owned).collect() } else { all }
}

/// Removes an object for good, with what its kind removes along with it.
pub(super) fn take_away(
    pending: &mut Pending<'_>,
    kind: &'static Kind,
    object: &Object,
) -> Result<(), ApiError> {
    let resource = pending.resource(kind)?;
    let stored = pending.stored(kind, object.namespace(), object.name())?;
    let stored = stored.ok_or_else(|| ApiError::not_found(kind, object.name()))?;
    resource.delete(pending, object)?;
    pending.erase(kind, object.namespace(), object.name(), stored)?;
    resource.deleted(pending, std::slice::from_ref(object))
}

//! The three changes: what they have in common for every kind.

use super::metadata;
use super::transaction::Pending;
use super::writer::Outcome;
use super::{Change, DeleteOptions};
use crate::serve::object::Object;
use crate::serve::status::ApiError;
use crate::serve::store::Stored;
use crate::serve::time;

/// Stores a new object.
pub(super) fn create(
    pending: &mut Pending<'_>,
    index: usize,
    namespace: &str,
    mut object: Object,
) -> Result<Stored, ApiError> {
    let resources = pending.resources;
    let (resource, info) = (&resources[index], resources[index].info());
    metadata::of_new(info, &mut object, namespace, pending.now)?;
    resource.create(pending, &mut object)?;
    pending.warnings.extend(resource.warnings(&object, None));
    if pending.stored(info.plural, namespace, object.name())?.is_some() {
        return Err(ApiError::already_exists(info, object.name()));
    }
    pending.write(info.plural, &mut object, None)
}

/// Changes an object, or makes a new one.
pub(super) fn update(
    pending: &mut Pending<'_>,
    index: usize,
    namespace: &str,
    name: &str,
    change: Change,
) -> Result<Outcome, ApiError> {
    let resources = pending.resources;
    let (resource, info) = (&resources[index], resources[index].info());
    let stored = pending.stored(info.plural, namespace, name)?;
    let old = stored.as_ref().map(Stored::object).transpose()?;
    let (mut object, old, stored) = match (change, old, stored) {
        (Change::Replace(object), Some(old), Some(stored)) => (object, old, stored),
        (Change::Patch(patch), Some(old), Some(stored)) => (patch(Some(&old))?, old, stored),
        (Change::Patch(patch), ..) => {
            let mut object = patch(None)?;
            object.metadata_mut().insert("name".to_owned(), name.into());
            return create(pending, index, namespace, object).map(Outcome::Created);
        }
        (Change::Replace(_), ..) => return Err(ApiError::not_found(info, name)),
        (Change::Apply(..), ..) => return Err(ApiError::internal("an apply is a patch by now")),
    };
    metadata::of_changed(info, &mut object, &old)?;
    resource.update(pending, &mut object, &old)?;
    pending.warnings.extend(resource.warnings(&object, Some(&old)));
    if object.is_being_deleted() && object.finalizers().is_empty() {
        resource.delete(pending, &object)?;
        pending.erase(info.plural, namespace, name, stored.clone())?;
        resource.deleted(pending, &object)?;
        return Ok(Outcome::Stored(stored));
    }
    if object == old {
        return Ok(Outcome::Stored(stored));
    }
    let written = pending.write(info.plural, &mut object, Some(stored))?;
    resource.updated(pending, &object, &old)?;
    Ok(Outcome::Stored(written))
}

/// Removes an object, or begins to.
pub(super) fn delete(
    pending: &mut Pending<'_>,
    index: usize,
    namespace: &str,
    name: &str,
    options: &DeleteOptions,
) -> Result<Outcome, ApiError> {
    let resources = pending.resources;
    let (resource, info) = (&resources[index], resources[index].info());
    let stored =
        pending.stored(info.plural, namespace, name)?.ok_or_else(|| ApiError::not_found(info, name))?;
    let mut object = stored.object()?;
    let version = object.resource_version().to_string();
    for (what, wanted, found) in
        [("UID", &options.uid, object.uid()), ("ResourceVersion", &options.resource_version, &version)]
    {
        if let Some(wanted) = wanted.as_ref().filter(|wanted| *wanted != found) {
            let why = format!(
                "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
            );
            return Err(ApiError::conflict(info, name, &why));
        }
    }
    resource.may_delete(&object)?;
    if object.finalizers().is_empty() {
        resource.delete(pending, &object)?;
        pending.erase(info.plural, namespace, name, stored.clone())?;
        resource.deleted(pending, &object)?;
        return Ok(Outcome::Gone(stored));
    }
    if object.is_being_deleted() {
        return Ok(Outcome::Stored(stored));
    }
    let time = time::format(pending.now);
    let metadata = object.metadata_mut();
    metadata.insert("deletionTimestamp".to_owned(), time.into());
    metadata.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
    pending.write(info.plural, &mut object, Some(stored)).map(Outcome::Stored)
}

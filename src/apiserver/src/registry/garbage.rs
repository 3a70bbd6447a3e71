//! The garbage collector for `metadata.ownerReferences`: the change that removes an object's last owner deletes the object
//! as well. The rules are those of `pkg/controller/garbagecollector` in Kubernetes (`attemptToDeleteItem`,
//! `processDeletingDependentsItem`, `attemptToOrphan`).
//!
//! Owners of kinds that are not stored here (Pods, Nodes, and kinds that are not served) are not looked for: objects that
//! name such an owner stay.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::changes::{self, take_away};
use super::options::{DeleteOptions, Policy};
use super::owners::{self, Key, has, text};
use super::transaction::Pending;
use crate::object::{FOREGROUND, ORPHAN, Object};
use crate::status::ApiError;

/// The state of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// It exists, or is of a kind that is not looked for.
    Solid,
    /// It waits for its dependents to be deleted.
    Waiting,
    /// It is gone.
    Dangling,
}

/// The uids of owners that were read, and whether they wait for their dependents. Thousands of references may name the same
/// large object: it is read once.
#[derive(Debug, Default)]
struct Seen(BTreeMap<Key, Option<(String, bool)>>);

impl Seen {
    /// The state of the owner with this uid at `key`, which `find` reads.
    fn state(
        &mut self,
        key: Key,
        uid: &str,
        find: impl FnOnce(&Key) -> Result<Option<Object>, ApiError>,
    ) -> Result<Owner, ApiError> {
        let found = match self.0.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let is_waiting = |found: &Object| found.is_being_deleted() && has(found, FOREGROUND);
                let found = find(entry.key())?.map(|found| (found.uid().to_owned(), is_waiting(&found)));
                entry.insert(found)
            }
        };
        Ok(match found {
            Some((found, _)) if found != uid => Owner::Dangling,
            Some((_, true)) => Owner::Waiting,
            Some((_, false)) => Owner::Solid,
            None => Owner::Dangling,
        })
    }
}

/// Collects all garbage that was noted. Returns whether there was any.
///
/// # Errors
/// The error that the API server would answer.
pub(super) fn collect(pending: &mut Pending<'_>) -> Result<bool, ApiError> {
    let mut is_any = false;
    loop {
        if let Some(key) = pending.garbage.dependents.pop() {
            look_at(pending, &key)?;
        } else if let Some(uid) = pending.garbage.gone.pop() {
            let found = pending.dependents_of(&uid)?.into_iter().map(|(key, _)| key);
            pending.garbage.dependents.extend(found);
        } else if let Some(key) = pending.garbage.owners.pop() {
            go_on_with(pending, &key)?;
        } else {
            return Ok(is_any);
        }
        is_any = true;
    }
}

/// Deletes an object whose owners are gone, or removes its references to those that are.
fn look_at(pending: &mut Pending<'_>, key: &Key) -> Result<(), ApiError> {
    let Some(object) = pending.object_at(key)? else { return Ok(()) };
    if object.is_being_deleted() {
        // Checks it as an owner instead.
        pending.garbage.owners.push(key.clone());
        return Ok(());
    }
    let (mut states, mut lost) = (Vec::new(), BTreeSet::new());
    let mut seen = Seen::default();
    for owner in object.owners() {
        let state = pending.state_of(&object, owner, &mut seen)?;
        states.push(state);
        if state != Owner::Solid {
            lost.insert(text(owner, "uid").to_owned());
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    if states.contains(&Owner::Solid) {
        return pending.disown(key, object, &lost);
    }
    let mut policy = Policy::Default;
    if states.contains(&Owner::Waiting) {
        let dependents = pending.dependents_of(object.uid())?;
        if !dependents.is_empty() {
            policy = Policy::Foreground;
        }
        // Owners in a circle would wait for each other for ever.
        if dependents.iter().any(|(_, one)| one.is_being_deleted() && has(one, FOREGROUND)) {
            unblock(pending, key, object.clone())?;
        }
    }
    let options = DeleteOptions { policy, ..DeleteOptions::default() };
    match changes::delete(pending, key.0, &key.1, &key.2, &options) {
        // Some objects may never be deleted.
        Err(error) if error.code != 403 => Err(error),
        _ => Ok(()),
    }
}

/// Removes `blockOwnerDeletion` from all references of an object, so that no owner waits for it.
fn unblock(pending: &mut Pending<'_>, key: &Key, mut object: Object) -> Result<(), ApiError> {
    let mut owners: Vec<Value> = object.owners().cloned().collect();
    owners.iter_mut().for_each(|owner| owner["blockOwnerDeletion"] = json!(false));
    object.metadata_mut().insert("ownerReferences".to_owned(), owners.into());
    pending.rewrite(key, object)
}

/// Goes on with the deletion of an owner, as its finalizers say.
fn go_on_with(pending: &mut Pending<'_>, key: &Key) -> Result<(), ApiError> {
    let Some(object) = pending.object_at(key)?.filter(Object::is_being_deleted) else { return Ok(()) };
    let (is_orphaning, is_waiting) = (has(&object, ORPHAN), has(&object, FOREGROUND));
    if !is_orphaning && !is_waiting {
        return Ok(());
    }
    let uid = object.uid().to_owned();
    let dependents = pending.dependents_of(&uid)?;
    if is_orphaning {
        for (dependent, object) in dependents {
            pending.disown(&dependent, object, &BTreeSet::from([uid.clone()]))?;
        }
        return pending.finalize(key, object, ORPHAN);
    }
    let blocks = |dependent: &Object| {
        dependent.owners().any(|owner| text(owner, "uid") == uid && owner["blockOwnerDeletion"] == true)
    };
    let blocking: Vec<Key> =
        dependents.into_iter().filter(|(_, object)| blocks(object)).map(|(key, _)| key).collect();
    if blocking.is_empty() {
        return pending.finalize(key, object, FOREGROUND);
    }
    if pending.garbage.told.insert(key.clone()) {
        // Checks it again after them, and whenever one of them goes.
        pending.garbage.owners.push(key.clone());
        pending.garbage.dependents.extend(blocking);
    }
    Ok(())
}

impl Pending<'_> {
    /// The objects that name this uid as that of an owner.
    fn dependents_of(&self, uid: &str) -> Result<Vec<(Key, Object)>, ApiError> {
        let mut dependents = Vec::new();
        for key in self.dependents.of(uid) {
            let Some(object) = self.object_at(&key)? else { continue };
            let is_owned = object.owners().any(|owner| text(owner, "uid") == uid);
            if is_owned && owners::collectable(key.0, &object).is_some() {
                dependents.push((key, object));
            }
        }
        Ok(dependents)
    }

    fn state_of(&self, object: &Object, owner: &Value, seen: &mut Seen) -> Result<Owner, ApiError> {
        let Some(key) = owners::resolved(self.resources, object, owner) else { return Ok(Owner::Solid) };
        seen.state(key, text(owner, "uid"), |key| self.object_at(key))
    }

    fn object_at(&self, (kind, namespace, name): &Key) -> Result<Option<Object>, ApiError> {
        let stored = self.stored(kind, namespace, name)?;
        stored.map(|stored| stored.object()).transpose()
    }

    fn rewrite(&mut self, (kind, namespace, name): &Key, mut object: Object) -> Result<(), ApiError> {
        let old = self.stored(kind, namespace, name)?;
        self.write(kind, &mut object, old).map(|_| ())
    }

    /// Removes the references to these owners from an object.
    fn disown(&mut self, key: &Key, mut object: Object, uids: &BTreeSet<String>) -> Result<(), ApiError> {
        let left = object.owners().filter(|owner| !uids.contains(text(owner, "uid")));
        let left: Vec<Value> = left.cloned().collect();
        if left.is_empty() {
            object.metadata_mut().remove("ownerReferences");
        } else {
            object.metadata_mut().insert("ownerReferences".to_owned(), left.into());
        }
        self.rewrite(key, object)
    }

    /// Removes a finalizer from an object that is being deleted, and the object if it was the last one.
    fn finalize(&mut self, key: &Key, mut object: Object, done: &str) -> Result<(), ApiError> {
        let left: Vec<String> =
            object.finalizers().into_iter().filter(|name| *name != done).map(str::to_owned).collect();
        object.set_finalizers(&left);
        if !left.is_empty() || self.resource(key.0)?.is_held(&object) {
            return self.rewrite(key, object);
        }
        take_away(self, key.0, &object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::service;

    #[test]
    fn an_owner_is_read_once_however_often_it_is_named() {
        let key = || (&service::KIND, "default".to_owned(), "web".to_owned());
        let owner = Object::from_value(json!({"metadata": {"name": "web", "uid": "7"}})).unwrap();
        let (mut seen, mut reads) = (Seen::default(), 0);
        for uid in 0..1000 {
            let find = |_: &Key| {
                reads += 1;
                Ok(Some(owner.clone()))
            };
            let expected = if uid == 7 { Owner::Solid } else { Owner::Dangling };
            assert_eq!(seen.state(key(), &uid.to_string(), find).unwrap(), expected, "{uid}");
        }
        assert_eq!(reads, 1);
        let gone = (&service::KIND, "default".to_owned(), "gone".to_owned());
        assert_eq!(seen.state(gone.clone(), "1", |_| Ok(None)).unwrap(), Owner::Dangling);
        assert_eq!(seen.state(gone, "1", |_| panic!("it was looked for")).unwrap(), Owner::Dangling);
    }
}

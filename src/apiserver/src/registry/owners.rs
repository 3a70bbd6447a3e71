//! Notes which owners and dependents a change concerns, for [`super::garbage`].

use std::collections::BTreeSet;

use serde_json::Value;

use super::dependents::Dependents;
use crate::kind::{Kind, Source};
use crate::object::{FOREGROUND, ORPHAN, Object};
use crate::resource::Resource;

/// The place of an object: its kind, namespace and name.
pub(super) type Key = (&'static Kind, String, String);

/// What the garbage collector has to look at after a change.
#[derive(Debug, Default)]
pub(super) struct Garbage {
    /// The uids of owners that are gone.
    pub(super) gone: Vec<String>,
    /// Objects whose owners may be gone.
    pub(super) dependents: Vec<Key>,
    /// Objects that are being deleted with a finalizer for their dependents.
    pub(super) owners: Vec<Key>,
    /// Those of them whose dependents have been noted.
    pub(super) told: BTreeSet<Key>,
}

impl Garbage {
    /// Notes what to look at because `object` replaced `before`.
    pub(super) fn note_written(
        &mut self,
        resources: &[Box<dyn Resource>],
        kind: &'static Kind,
        object: &Object,
        before: Option<&Object>,
    ) {
        let is_owned = |object: &Object| object.owners().next().is_some();
        // Most objects have no owner.
        if !is_owned(object) && !before.is_some_and(is_owned) && !object.is_being_deleted() {
            return;
        }
        let Some(key) = collectable(kind, object) else { return };
        if object.is_being_deleted() && [ORPHAN, FOREGROUND].iter().any(|finalizer| has(object, finalizer)) {
            self.owners.push(key.clone());
        }
        let is_same = before.is_some_and(|before| before.owners().eq(object.owners()));
        if !is_same && is_owned(object) {
            self.dependents.push(key);
        }
        if let Some(before) = before.filter(|_| !is_same) {
            self.note_owners(resources, before);
        }
    }

    /// Notes what to look at because `object` is gone.
    pub(super) fn note_removed(
        &mut self,
        resources: &[Box<dyn Resource>],
        dependents: &Dependents,
        kind: &'static Kind,
        object: &Object,
    ) {
        if !kind.has_owners {
            return;
        }
        if dependents.of(object.uid()).next().is_some() {
            self.gone.push(object.uid().to_owned());
        }
        self.note_owners(resources, object);
    }

    /// Notes the owners of an object, which may have waited for it.
    fn note_owners(&mut self, resources: &[Box<dyn Resource>], object: &Object) {
        // Each owner once, however often it is named.
        let owners: BTreeSet<Key> =
            object.owners().filter_map(|owner| resolved(resources, object, owner)).collect();
        self.owners.extend(owners);
    }
}

/// The key of an object, if its kind takes part in garbage collection.
pub(super) fn collectable(kind: &'static Kind, object: &Object) -> Option<Key> {
    kind.has_owners.then(|| (kind, object.namespace().to_owned(), object.name().to_owned()))
}

/// The place of the owner that a reference of `object` names; `None` if it is of a kind that is not looked for.
pub(super) fn resolved(resources: &[Box<dyn Resource>], object: &Object, owner: &Value) -> Option<Key> {
    let (version, name) = (text(owner, "apiVersion"), text(owner, "kind"));
    let mut kinds = resources.iter().map(|resource| resource.kind());
    let kind = kinds
        .find(|kind| kind.name == name && kind.api_version() == version && kind.source != Source::Machine)?;
    let namespace = match kind.namespaced {
        false => "",
        true if object.namespace().is_empty() => return None,
        true => object.namespace(),
    };
    Some((kind.storage(), namespace.to_owned(), text(owner, "name").to_owned()))
}

pub(super) fn has(object: &Object, finalizer: &str) -> bool {
    object.finalizers().contains(&finalizer)
}

pub(super) fn text<'a>(owner: &'a Value, key: &str) -> &'a str {
    owner[key].as_str().unwrap_or_default()
}

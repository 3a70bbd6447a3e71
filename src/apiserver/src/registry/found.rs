//! Objects that are found on the machine: kept in memory, and changed, versioned and watched like those in the store.

use std::collections::{BTreeMap, BTreeSet};

use super::events::LogEntry;
use super::read::{Key, ListQuery, Piece};
use crate::kind::{Kind, Source};
use crate::object::Object;
use crate::status::ApiError;
use crate::store::Stored;

/// The objects of all kinds that are found on the machine.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    kinds: BTreeMap<&'static Kind, BTreeMap<Key, Stored>>,
    /// The resource version of the last change.
    version: u64,
}

impl Found {
    /// An object.
    pub(super) fn get(&self, kind: &'static Kind, namespace: &str, name: &str) -> Option<&Stored> {
        self.kinds.get(kind)?.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// All objects of a kind, by namespace and name.
    pub(super) fn all(&self, kind: &'static Kind) -> impl Iterator<Item = (&Key, &Stored)> {
        self.kinds.get(kind).into_iter().flatten()
    }

    /// Whether the objects of a kind were ever looked for.
    pub(super) fn has(&self, kind: &'static Kind) -> bool {
        self.kinds.contains_key(kind)
    }

    /// The kinds that are here and not in `before`.
    pub(super) fn begun_since(&self, before: &Self) -> BTreeSet<&'static Kind> {
        self.kinds.keys().copied().filter(|kind| !before.has(kind)).collect()
    }

    /// Notes that the objects of a kind were looked for.
    pub(super) fn begin(&mut self, kind: &'static Kind) {
        self.kinds.entry(kind).or_default();
    }

    /// Forgets that the objects of a kind were looked for.
    pub(super) fn forget(&mut self, kind: &'static Kind) {
        self.kinds.remove(kind);
    }

    /// Puts the object of a change in its place, or takes it away.
    pub(super) fn apply(&mut self, change: &LogEntry) {
        self.put(change, change.new.clone());
        self.version = change.version;
    }

    /// Takes a change back.
    pub(super) fn restore(&mut self, change: &LogEntry) {
        self.put(change, change.old.clone());
    }

    fn put(&mut self, change: &LogEntry, stored: Option<Stored>) {
        if change.kind.source != Source::Machine {
            return;
        }
        let objects = self.kinds.entry(change.kind).or_default();
        let key = (change.namespace.clone(), change.name.clone());
        match stored {
            Some(stored) => objects.insert(key, stored),
            None => objects.remove(&key),
        };
    }

    /// The objects that a query selects. No more than fit on one machine: one piece is enough.
    ///
    /// # Errors
    /// An object cannot be read.
    pub(super) fn piece(
        &self,
        kind: &'static Kind,
        query: &ListQuery,
        version: u64,
    ) -> Result<Piece, ApiError> {
        let mut items = Vec::new();
        for ((namespace, _), stored) in self.all(kind) {
            let is_there = query.namespace.as_ref().is_none_or(|wanted| wanted == namespace);
            if is_there && (query.selector.is_everything() || query.selector.matches(&stored.object()?)) {
                items.push(stored.clone());
            }
        }
        Ok(Piece { items, version: self.version.max(version), end: None })
    }

    /// The changes after which `objects` are all objects of a kind.
    ///
    /// # Errors
    /// An object cannot be read.
    pub(super) fn difference(
        &self,
        kind: &'static Kind,
        objects: Vec<Object>,
    ) -> Result<Difference, ApiError> {
        let mut difference = Difference::default();
        let mut left: BTreeMap<&Key, &Stored> = self.all(kind).collect();
        for mut object in objects {
            let key = (object.namespace().to_owned(), object.name().to_owned());
            if let Some(old) = left.remove(&key) {
                let old = old.object()?;
                object.set_resource_version(old.resource_version());
                if old == object {
                    continue;
                }
                if old.uid() != object.uid() {
                    difference.gone.push(key);
                }
            }
            difference.put.push(object);
        }
        difference.gone.extend(left.into_keys().cloned());
        Ok(difference)
    }
}

/// Changes of the objects of a kind: what is gone goes first, since another object may have its name.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) gone: Vec<Key>,
    pub(super) put: Vec<Object>,
}

impl Difference {
    pub(super) fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.put.is_empty()
    }
}

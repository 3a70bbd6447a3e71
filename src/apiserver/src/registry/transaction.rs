//! A change while it is made: what it reads, what it writes, and how all of it is taken back.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::accounts::{Accounts, Entry};
use crate::object::Object;
use crate::resource::{Account, Allocation, Resource, Subresource, Transaction};
use crate::status::ApiError;
use crate::store::{Store, Stored};

use super::Applied;
use super::events::Change;
use super::garbage::Garbage;

/// Largest object, in bytes; etcd has the same limit.
const OBJECT_MAX: usize = 3 << 19;

/// One step that the accounts went, to be gone back.
#[derive(Debug)]
enum Step {
    Added(Vec<Entry>),
    Removed(Vec<Entry>),
}

/// A change in the making, inside a savepoint of the batch's transaction.
pub(super) struct Pending<'a> {
    pub(super) store: &'a Store,
    pub(super) resources: &'a [Box<dyn Resource>],
    pub(super) accounts: &'a mut Accounts,
    /// The last resource version that was given out.
    pub(super) version: &'a mut u64,
    pub(super) changes: Vec<Change>,
    /// Something is to be kept that is no change of an object.
    pub(super) has_notes: bool,
    /// The API group by which it was asked for.
    pub(super) group: &'static str,
    /// The part of the object that is written, where it is not the whole.
    pub(super) part: Option<Subresource>,
    /// What the client is to be told.
    pub(super) warnings: Vec<String>,
    /// Attempts to get an address.
    pub(super) allocations: Vec<Allocation>,
    pub(super) now: i64,
    pub(super) dry_run: bool,
    /// What follows from owners that are gone.
    pub(super) garbage: Garbage,
    steps: Vec<Step>,
}

impl<'a> Pending<'a> {
    pub(super) fn new(
        store: &'a Store,
        resources: &'a [Box<dyn Resource>],
        accounts: &'a mut Accounts,
        version: &'a mut u64,
        now: i64,
        dry_run: bool,
    ) -> Self {
        Self {
            store,
            resources,
            accounts,
            version,
            changes: Vec::new(),
            has_notes: false,
            group: "",
            part: None,
            warnings: Vec::new(),
            allocations: Vec::new(),
            now,
            dry_run,
            garbage: Garbage::default(),
            steps: Vec::new(),
        }
    }

    /// Takes back what was entered in the accounts. The store's own part is a savepoint.
    pub(super) fn undo(&mut self) {
        for step in self.steps.drain(..).rev() {
            match step {
                Step::Added(entries) => self.accounts.strike_out(&entries),
                Step::Removed(entries) => self.accounts.enter(&entries),
            }
        }
        self.changes.clear();
    }

    /// The name of a kind as everybody has it.
    fn plural(&self, plural: &str) -> Result<&'static str, ApiError> {
        let mut all = self.resources.iter().map(|resource| resource.info().plural);
        let found = all.find(|known| *known == plural);
        found.ok_or_else(|| ApiError::internal(format!("no kind is called {plural}")))
    }

    /// An object as it is stored.
    pub(super) fn stored(
        &self,
        plural: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Stored>, ApiError> {
        self.store.get(plural, namespace, name).map_err(ApiError::internal)
    }

    /// What was applied to an object so far, as `manager` sees it.
    pub(super) fn applied(
        &self,
        index: usize,
        namespace: &str,
        name: &str,
        manager: &str,
    ) -> Result<Applied, ApiError> {
        let plural = self.resources[index].info().plural;
        let mut applied = Applied::default();
        for (by, text) in self.store.applied(plural, namespace, name).map_err(ApiError::internal)? {
            let map = serde_json::from_str(&text).map_err(ApiError::internal)?;
            if by == manager {
                applied.own = map;
            } else {
                applied.others.push(map);
            }
        }
        Ok(applied)
    }

    /// Remembers what `manager` applied to an object.
    pub(super) fn set_applied(
        &mut self,
        index: usize,
        namespace: &str,
        name: &str,
        manager: &str,
        applied: &Map<String, Value>,
    ) -> Result<(), ApiError> {
        let text = serde_json::to_string(applied).map_err(ApiError::internal)?;
        self.has_notes = true;
        let plural = self.resources[index].info().plural;
        self.store.set_applied(plural, namespace, name, (manager, &text)).map_err(ApiError::internal)
    }

    /// Writes `object`, of which `old` was stored before.
    pub(super) fn write(
        &mut self,
        plural: &str,
        object: &mut Object,
        old: Option<Stored>,
    ) -> Result<Stored, ApiError> {
        let plural = self.plural(plural)?;
        *self.version += 1;
        // What is not kept has no version of its own: none if it is new, or the old one.
        if !self.dry_run {
            object.metadata_mut().insert("resourceVersion".to_owned(), self.version.to_string().into());
        }
        let text = serde_json::to_string(&object.0).map_err(ApiError::internal)?;
        if text.len() > OBJECT_MAX {
            return Err(ApiError::too_large(OBJECT_MAX));
        }
        let (namespace, name) = (object.namespace().to_owned(), object.name().to_owned());
        self.store.put(plural, &namespace, &name, *self.version, &text).map_err(ApiError::internal)?;
        let before = old.as_ref().map(Stored::object).transpose()?;
        if let Some(before) = &before {
            self.strike_out(plural, before);
        }
        self.steps.push(Step::Added(self.accounts.add(plural, object)));
        self.note_written(plural, object, before.as_ref());
        let stored = Stored { text: Arc::from(text) };
        let new = Some(stored.clone());
        self.changes.push(Change { plural, namespace, name, version: *self.version, old, new });
        Ok(stored)
    }

    /// Removes an object that is there as `old`.
    pub(super) fn erase(
        &mut self,
        plural: &str,
        namespace: &str,
        name: &str,
        old: Stored,
    ) -> Result<(), ApiError> {
        let plural = self.plural(plural)?;
        self.store.remove(plural, namespace, name).map_err(ApiError::internal)?;
        *self.version += 1;
        let before = old.object()?;
        self.strike_out(plural, &before);
        self.note_removed(plural, &before);
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        self.changes.push(Change {
            plural,
            namespace,
            name,
            version: *self.version,
            old: Some(old),
            new: None,
        });
        Ok(())
    }

    fn strike_out(&mut self, plural: &str, object: &Object) {
        self.steps.push(Step::Removed(self.accounts.remove(plural, object)));
    }
}

impl Transaction for Pending<'_> {
    fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    fn group(&self) -> &'static str {
        self.group
    }

    fn now(&self) -> i64 {
        self.now
    }

    fn random(&mut self, bound: u128) -> u128 {
        fastrand::u128(0..bound.max(1))
    }

    fn free(&mut self, account: Account, first: u128, last: u128) -> Option<u128> {
        self.accounts.free(account, first, last)
    }

    fn used(&mut self, account: Account, first: u128, last: u128) -> u128 {
        self.accounts.used(account, first, last)
    }

    fn count(&mut self, allocation: Allocation) {
        if !self.dry_run {
            self.allocations.push(allocation);
        }
    }

    fn get(&mut self, plural: &str, namespace: &str, name: &str) -> Result<Option<Object>, ApiError> {
        self.stored(plural, namespace, name)?.map(|stored| stored.object()).transpose()
    }

    fn list(&mut self, plural: &str) -> Result<Vec<Object>, ApiError> {
        let all = self.store.list(plural, None, ("", ""), i64::MAX).map_err(ApiError::internal)?;
        all.iter().map(|row| row.stored.object()).collect()
    }

    fn list_in(&mut self, plural: &str, namespace: &str) -> Result<Vec<Object>, ApiError> {
        let all = self.store.list(plural, Some(namespace), ("", ""), i64::MAX).map_err(ApiError::internal)?;
        all.iter().map(|row| row.stored.object()).collect()
    }

    fn put(&mut self, plural: &str, object: &mut Object) -> Result<(), ApiError> {
        let old = self.stored(plural, object.namespace(), object.name())?;
        super::metadata::stamp(object, self.now);
        self.write(plural, object, old)?;
        Ok(())
    }

    fn remove(&mut self, plural: &str, namespace: &str, name: &str) -> Result<(), ApiError> {
        match self.stored(plural, namespace, name)? {
            Some(old) => self.erase(plural, namespace, name, old),
            None => Ok(()),
        }
    }
}

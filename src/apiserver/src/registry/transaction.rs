//! A change while it is made: its reads and writes, and how they are undone.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::accounts::{Account, Accounts, Entry};
use crate::auth::User;
use crate::kind::{Kind, Source, Subresource};
use crate::object::Object;
use crate::resource::{Allocation, Resource, Transaction};
use crate::schema::tidy;
use crate::status::ApiError;
use crate::store::{Store, Stored};

use super::dependents::{Dependents, uids_of};
use super::events::LogEntry;
use super::found::{Difference, Found};
use super::options::Applied;
use super::owners::{Garbage, Key};
use super::served::{resource_of, served};

/// Largest object, in bytes; etcd has the same limit.
const OBJECT_MAX: usize = 3 << 19;

/// A step in the accounts, to be undone if the change fails.
#[derive(Debug)]
enum Step {
    Added(Vec<Entry>),
    Removed(Vec<Entry>),
    Owned(BTreeSet<u128>, Key),
    Disowned(BTreeSet<u128>, Key),
}

/// A change that is being made, inside a savepoint of the batch's transaction.
pub(super) struct Pending<'a> {
    pub(super) store: &'a Store,
    pub(super) resources: &'a [Box<dyn Resource>],
    pub(super) accounts: &'a mut Accounts,
    /// What is found on the machine, as of this change.
    pub(super) found: &'a mut Found,
    pub(super) dependents: &'a mut Dependents,
    /// The last resource version that was used.
    pub(super) version: &'a mut u64,
    pub(super) changes: Vec<LogEntry>,
    /// The change wrote apply records.
    pub(super) has_notes: bool,
    /// The API group in the request's path.
    pub(super) group: &'static str,
    /// The part of the object to write; `None` for the whole object.
    pub(super) part: Option<Subresource>,
    /// The user who asks for the change, if roles decide what users may do.
    pub(super) author: Option<Arc<User>>,
    /// Warnings for the client.
    pub(super) warnings: Vec<String>,
    /// Attempts to allocate an address.
    pub(super) allocations: Vec<Allocation>,
    pub(super) now: i64,
    pub(super) dry_run: bool,
    /// No change was asked for: the server looks at what there is.
    pub(super) is_alone: bool,
    /// Notes for the garbage collector.
    pub(super) garbage: Garbage,
    /// The kind whose objects this change found first.
    begun: Option<&'static Kind>,
    steps: Vec<Step>,
}

impl<'a> Pending<'a> {
    pub(super) fn new(
        store: &'a Store,
        resources: &'a [Box<dyn Resource>],
        (accounts, dependents): (&'a mut Accounts, &'a mut Dependents),
        found: &'a mut Found,
        version: &'a mut u64,
        now: i64,
        dry_run: bool,
    ) -> Self {
        Self {
            store,
            resources,
            accounts,
            found,
            dependents,
            version,
            changes: Vec::new(),
            has_notes: false,
            group: "",
            part: None,
            author: None,
            warnings: Vec::new(),
            allocations: Vec::new(),
            now,
            dry_run,
            is_alone: false,
            garbage: Garbage::default(),
            begun: None,
            steps: Vec::new(),
        }
    }

    /// Undoes the changes of the accounts and of what is found on the machine. The store undoes its own with the savepoint.
    pub(super) fn undo(&mut self) {
        for step in self.steps.drain(..).rev() {
            match step {
                Step::Added(entries) => self.accounts.strike_out(&entries),
                Step::Removed(entries) => self.accounts.enter(&entries),
                Step::Owned(uids, key) => self.dependents.remove(&uids, &key),
                Step::Disowned(uids, key) => self.dependents.add(&uids, &key),
            }
        }
        for change in self.changes.drain(..).rev() {
            self.found.restore(&change);
        }
        if let Some(kind) = self.begun {
            self.found.forget(kind);
        }
    }

    /// The rules of a kind.
    ///
    /// # Errors
    /// The kind is not served.
    pub(super) fn resource(&self, kind: &Kind) -> Result<&'a dyn Resource, ApiError> {
        resource_of(self.resources, kind)
    }

    /// An object as it is stored.
    pub(super) fn stored(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Stored>, ApiError> {
        self.store.get(kind, namespace, name).map_err(ApiError::internal)
    }

    /// What `manager` and the others applied to an object last.
    pub(super) fn applied(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        manager: &str,
    ) -> Result<Applied, ApiError> {
        let mut applied = Applied::default();
        for (by, text) in self.store.applied(kind, namespace, name).map_err(ApiError::internal)? {
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
        kind: &Kind,
        namespace: &str,
        name: &str,
        manager: &str,
        applied: &Map<String, Value>,
    ) -> Result<(), ApiError> {
        let text = serde_json::to_string(applied).map_err(ApiError::internal)?;
        self.has_notes = true;
        self.store.set_applied(kind, namespace, name, (manager, &text)).map_err(ApiError::internal)
    }

    /// Writes `object` in the place of `old`.
    pub(super) fn write(
        &mut self,
        kind: &'static Kind,
        object: &mut Object,
        old: Option<Stored>,
    ) -> Result<Stored, ApiError> {
        *self.version += 1;
        // A dry run leaves the version as it is: none for a new object, else the old one.
        if !self.dry_run {
            object.set_resource_version(*self.version);
        }
        let text = serde_json::to_string(&object.0).map_err(ApiError::internal)?;
        if text.len() > OBJECT_MAX {
            return Err(ApiError::too_large(OBJECT_MAX));
        }
        let (namespace, name) = (object.namespace().to_owned(), object.name().to_owned());
        self.store.put(kind, &namespace, &name, *self.version, &text).map_err(ApiError::internal)?;
        let before = old.as_ref().map(Stored::object).transpose()?;
        if let Some(before) = &before {
            self.strike_out(kind.entries(before));
        }
        self.enter(kind.entries(object));
        self.own(kind, before.as_ref(), Some(object));
        self.garbage.note_written(self.resources, kind, object, before.as_ref());
        let stored = Stored { text: Arc::from(text) };
        let new = Some(stored.clone());
        self.changes.push(LogEntry { kind, namespace, name, version: *self.version, old, new });
        Ok(stored)
    }

    /// Removes an object, whose stored state is `old`.
    pub(super) fn erase(
        &mut self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        old: Stored,
    ) -> Result<(), ApiError> {
        self.store.remove(kind, namespace, name).map_err(ApiError::internal)?;
        *self.version += 1;
        let before = old.object()?;
        self.strike_out(kind.entries(&before));
        self.own(kind, Some(&before), None);
        self.garbage.note_removed(self.resources, self.dependents, kind, &before);
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        self.changes.push(LogEntry {
            kind,
            namespace,
            name,
            version: *self.version,
            old: Some(old),
            new: None,
        });
        Ok(())
    }

    /// Changes objects of a kind that is found on the machine. The first time after a start always uses a version: a
    /// client cannot know which objects are gone since its last one.
    pub(super) fn find(&mut self, kind: &'static Kind, difference: Difference) -> Result<(), ApiError> {
        if !self.found.has(kind) {
            self.found.begin(kind);
            self.begun = Some(kind);
            *self.version += 1;
            self.has_notes = true;
        }
        for (namespace, name) in difference.gone {
            self.note_found(kind, namespace, name, None);
        }
        for mut object in difference.put {
            object.set_resource_version(self.version.saturating_add(1));
            let (namespace, name) = (object.namespace().to_owned(), object.name().to_owned());
            self.note_found(kind, namespace, name, Some(Stored::of(&object)?));
        }
        Ok(())
    }

    fn note_found(&mut self, kind: &'static Kind, namespace: String, name: String, new: Option<Stored>) {
        *self.version += 1;
        let old = self.found.get(kind, &namespace, &name).cloned();
        let change = LogEntry { kind, namespace, name, version: *self.version, old, new };
        self.found.apply(&change);
        self.changes.push(change);
    }

    /// The objects of a kind, by namespace and name.
    fn objects(&self, kind: &'static Kind, namespace: Option<&str>) -> Result<Vec<Object>, ApiError> {
        let kind = served(self.resources, kind);
        if kind.source == Source::Machine {
            let all =
                self.found.all(kind).filter(|((own, _), _)| namespace.is_none_or(|wanted| wanted == own));
            return all.map(|(_, stored)| stored.object()).collect();
        }
        let all = self.store.list(kind, namespace, ("", ""), i64::MAX).map_err(ApiError::internal)?;
        all.iter().map(|row| row.stored.object()).collect()
    }

    /// Notes whom an object names as its owners, now and before.
    fn own(&mut self, kind: &'static Kind, before: Option<&Object>, now: Option<&Object>) {
        let uids = |object: Option<&Object>| object.map(uids_of).unwrap_or_default();
        let (old, new) = (uids(before), uids(now));
        if old == new {
            return;
        }
        let Some(object) = now.or(before) else { return };
        let key = (kind, object.namespace().to_owned(), object.name().to_owned());
        self.dependents.remove(&old, &key);
        self.dependents.add(&new, &key);
        self.steps.push(Step::Disowned(old, key.clone()));
        self.steps.push(Step::Owned(new, key));
    }

    fn enter(&mut self, entries: Vec<Entry>) {
        self.accounts.enter(&entries);
        self.steps.push(Step::Added(entries));
    }

    fn strike_out(&mut self, entries: Vec<Entry>) {
        self.accounts.strike_out(&entries);
        self.steps.push(Step::Removed(entries));
    }
}

impl Transaction for Pending<'_> {
    fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    fn group(&self) -> &'static str {
        self.group
    }

    fn author(&self) -> Option<&User> {
        self.author.as_deref()
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

    fn get(&mut self, kind: &'static Kind, namespace: &str, name: &str) -> Result<Option<Object>, ApiError> {
        let kind = served(self.resources, kind);
        let stored = match kind.source {
            Source::Machine => self.found.get(kind, namespace, name).cloned(),
            _ => self.stored(kind, namespace, name)?,
        };
        stored.map(|stored| stored.object()).transpose()
    }

    fn list(&mut self, kind: &'static Kind) -> Result<Vec<Object>, ApiError> {
        self.objects(kind, None)
    }

    fn list_in(&mut self, kind: &'static Kind, namespace: &str) -> Result<Vec<Object>, ApiError> {
        self.objects(kind, Some(namespace))
    }

    fn changed(&self, kind: &Kind) -> Option<Vec<(String, String)>> {
        let changes = self.changes.iter().filter(|change| change.kind == kind);
        let names = changes.map(|change| (change.namespace.clone(), change.name.clone()));
        (!self.is_alone).then(|| names.collect())
    }

    fn put(&mut self, kind: &'static Kind, object: &mut Object) -> Result<(), ApiError> {
        let old = self.stored(kind, object.namespace(), object.name())?;
        super::metadata::stamp(object, self.now);
        tidy::structure(&mut object.0, kind.schema);
        self.write(kind, object, old)?;
        Ok(())
    }

    fn remove_unserved(&mut self, kind: &'static Kind, namespace: &str) -> Result<(), ApiError> {
        self.has_notes |= self.store.remove_in(kind, namespace).map_err(ApiError::internal)?;
        Ok(())
    }

    fn remove(&mut self, kind: &'static Kind, namespace: &str, name: &str) -> Result<(), ApiError> {
        match self.stored(kind, namespace, name)? {
            Some(old) => self.erase(kind, namespace, name, old),
            None => Ok(()),
        }
    }
}

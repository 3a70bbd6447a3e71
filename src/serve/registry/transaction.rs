//! A change while it is made: what it reads, what it writes, and how all of it is taken back.

use std::sync::Arc;

use crate::serve::accounts::Accounts;
use crate::serve::object::Object;
use crate::serve::resource::{Account, Resource, Transaction};
use crate::serve::status::ApiError;
use crate::serve::store::{Store, Stored};

use super::events::Change;

/// One step that the accounts went, to be gone back.
#[derive(Debug)]
enum Step {
    Added(&'static str, Object),
    Removed(&'static str, Object),
}

/// A change in the making, inside a savepoint of the batch's transaction.
pub(super) struct Pending<'a> {
    pub(super) store: &'a Store,
    pub(super) resources: &'a [Box<dyn Resource>],
    pub(super) accounts: &'a mut Accounts,
    /// The last resource version that was given out.
    pub(super) version: &'a mut u64,
    pub(super) changes: Vec<Change>,
    pub(super) now: i64,
    pub(super) dry_run: bool,
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
        Self { store, resources, accounts, version, changes: Vec::new(), now, dry_run, steps: Vec::new() }
    }

    /// Takes back what was entered in the accounts. The store's own part is a savepoint.
    pub(super) fn undo(&mut self) {
        for step in self.steps.drain(..).rev() {
            match step {
                Step::Added(plural, object) => self.accounts.remove(plural, &object),
                Step::Removed(plural, object) => self.accounts.add(plural, &object),
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

    /// Writes `object`, of which `old` was stored before.
    pub(super) fn write(
        &mut self,
        plural: &str,
        object: &mut Object,
        old: Option<Stored>,
    ) -> Result<Stored, ApiError> {
        let plural = self.plural(plural)?;
        *self.version += 1;
        object.metadata_mut().insert("resourceVersion".to_owned(), self.version.to_string().into());
        let text = serde_json::to_string(&object.0).map_err(ApiError::internal)?;
        let (namespace, name) = (object.namespace().to_owned(), object.name().to_owned());
        self.store.put(plural, &namespace, &name, *self.version, &text).map_err(ApiError::internal)?;
        if let Some(old) = &old {
            self.strike_out(plural, old.object());
        }
        self.accounts.add(plural, object);
        self.steps.push(Step::Added(plural, object.clone()));
        let stored = Stored { text: Arc::from(text) };
        let new = Some(stored.clone());
        self.changes.push(Change { plural, namespace, version: *self.version, old, new });
        Ok(stored)
    }

    /// Removes an object that is there as `old`.
    pub(super) fn erase(&mut self, plural: &str, old: Stored) -> Result<(), ApiError> {
        let plural = self.plural(plural)?;
        let object = old.object();
        let (namespace, name) = (object.namespace().to_owned(), object.name().to_owned());
        self.store.remove(plural, &namespace, &name).map_err(ApiError::internal)?;
        *self.version += 1;
        self.strike_out(plural, object);
        self.changes.push(Change { plural, namespace, version: *self.version, old: Some(old), new: None });
        Ok(())
    }

    fn strike_out(&mut self, plural: &'static str, object: Object) {
        self.accounts.remove(plural, &object);
        self.steps.push(Step::Removed(plural, object));
    }
}

impl Transaction for Pending<'_> {
    fn is_dry_run(&self) -> bool {
        self.dry_run
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

    fn get(&mut self, plural: &str, namespace: &str, name: &str) -> Result<Option<Object>, ApiError> {
        Ok(self.stored(plural, namespace, name)?.map(|stored| stored.object()))
    }

    fn list(&mut self, plural: &str) -> Result<Vec<Object>, ApiError> {
        let all = self.store.list(plural, None, ("", ""), i64::MAX).map_err(ApiError::internal)?;
        Ok(all.iter().map(Stored::object).collect())
    }

    fn put(&mut self, plural: &str, object: &mut Object) -> Result<(), ApiError> {
        let old = self.stored(plural, object.namespace(), object.name())?;
        super::metadata::stamp(object, self.now);
        self.write(plural, object, old)?;
        Ok(())
    }

    fn remove(&mut self, plural: &str, namespace: &str, name: &str) -> Result<(), ApiError> {
        match self.stored(plural, namespace, name)? {
            Some(old) => self.erase(plural, old),
            None => Ok(()),
        }
    }
}

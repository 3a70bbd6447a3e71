//! All objects: read by anybody, changed by one thread, watched by many.

mod changes;
mod events;
mod garbage;
mod metadata;
mod options;
mod owners;
mod read;
mod stored;
#[cfg(test)]
mod tests;
mod transaction;
mod writer;

pub use events::{Event, EventKind, Watch};
pub use options::{
    Applied, Apply, Change, DeleteOptions, Deleted, Patch, Policy, Updated, Warnings, WriteOptions,
};
pub use read::{Key, List, ListQuery, Piece};

use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::accounts::{Account, Accounts};
use super::kind::{Kind, Source};
use super::object::Object;
use super::resource::{Allocation, Resource};
use super::status::ApiError;
use super::store::{Store, StoreError, Stored};
use super::version_mark::{self, VersionMark};

use changes::{create, delete, update};
use events::Events;
use transaction::{Outcome, Pending, Work};
use writer::{Allocations, Held, Job, Writer};

/// All objects. A clone is the same registry.
#[derive(Clone)]
pub struct Registry {
    resources: Arc<Vec<Box<dyn Resource>>>,
    events: Arc<Events>,
    accounts: Arc<Mutex<Accounts>>,
    allocations: Arc<Allocations>,
    reader: Arc<Mutex<Store>>,
    queue: Arc<Queue>,
    held: Option<Held>,
    ahead: Option<u64>,
}

/// The way to the writer, which ends with the last registry: whatever waits is done before.
struct Queue {
    jobs: Option<Sender<Job>>,
    writer: Option<JoinHandle<()>>,
}

impl Drop for Queue {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take() {
            // A panic there has been told of already.
            let _ = writer.join();
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// Opens the store at `path`, with objects of these kinds.
    ///
    /// # Errors
    /// [`StoreError`] naming the file.
    pub fn open(path: &Path, resources: Vec<Box<dyn Resource>>) -> Result<Self, StoreError> {
        let store = Store::open(path)?;
        let reader = Store::open_for_reading(path)?;
        let mut version = store.version().map_err(|cause| store.failed(cause))?;
        let ahead = version_mark::beginning(path, version);
        if let Some(ahead) = ahead {
            store.set_version(ahead).map_err(|cause| store.failed(cause))?;
            version = ahead;
        }
        let accounts = Arc::new(Mutex::new(writer::count(&store, &resources)?));
        let resources = Arc::new(resources);
        let events = Arc::new(Events::new(version));
        let (queue, jobs) = mpsc::channel();
        let mut writer = Writer {
            store,
            resources: Arc::clone(&resources),
            accounts: Arc::clone(&accounts),
            is_counted: true,
            has_lost_savepoint: false,
            version,
            events: Arc::clone(&events),
            wake: None,
            has_notes: false,
            allocations: Arc::default(),
            mark: VersionMark::begin(path, version),
        };
        let allocations = Arc::clone(&writer.allocations);
        // What follows from the objects as they are, before anybody asks.
        writer.batch(Vec::new());
        let spawned = std::thread::Builder::new().name("writer".to_owned()).spawn(move || writer.run(&jobs));
        let writer = spawned.map_err(|cause| StoreError::Thread(path.to_owned(), cause))?;
        let queue = Arc::new(Queue { jobs: Some(queue), writer: Some(writer) });
        let reader = Arc::new(Mutex::new(reader));
        Ok(Self { resources, events, accounts, allocations, reader, queue, held: None, ahead })
    }

    /// From where versions go on because the store had gone back, or might have.
    pub fn ahead(&self) -> Option<u64> {
        self.ahead
    }

    /// The same registry; the changes that are asked of this one keep `held` until they are made, even where nobody waits
    /// for them any more.
    pub fn holding(&self, held: impl Any + Send + Sync) -> Self {
        Self { held: Some(Arc::new(held)), ..self.clone() }
    }

    /// The rules of all kinds.
    pub fn resources(&self) -> &[Box<dyn Resource>] {
        &self.resources
    }

    /// The rules of a kind.
    ///
    /// # Errors
    /// The kind is not served.
    pub fn resource(&self, kind: &Kind) -> Result<&dyn Resource, ApiError> {
        transaction::resource_of(&self.resources, kind)
    }

    /// The resource version of the last change.
    pub fn resource_version(&self) -> u64 {
        self.events.latest()
    }

    /// How many numbers from `first` to `last`, both included, are in use. While changes are made some of theirs may count
    /// already.
    pub fn used(&self, account: Account, first: u128, last: u128) -> u128 {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).used(account, first, last)
    }

    /// How often addresses were asked for since the server was started.
    pub fn allocations(&self) -> BTreeMap<Allocation, u64> {
        self.allocations.counts()
    }

    /// Creates an object in `namespace`, which is empty for kinds without one.
    ///
    /// # Errors
    /// What the API server would answer.
    pub async fn create(
        &self,
        kind: &'static Kind,
        namespace: &str,
        object: Object,
        options: WriteOptions,
    ) -> Result<Stored, ApiError> {
        let (kind, namespace) = (kind.storage(), namespace.to_owned());
        let (warnings, group) = (options.warnings, options.group);
        let work: Work = Box::new(move |pending| {
            pending.group = group;
            let created = create(pending, kind, &namespace, object)?;
            warnings.add(std::mem::take(&mut pending.warnings));
            Ok(Outcome::Created(created))
        });
        Ok(self.change(work, options.dry_run).await?.stored())
    }

    /// Changes an object.
    ///
    /// # Errors
    /// What the API server would answer.
    pub async fn update(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        change: Change,
        options: WriteOptions,
    ) -> Result<Updated, ApiError> {
        let (kind, namespace, name) = (kind.storage(), namespace.to_owned(), name.to_owned());
        let (dry_run, manager) = (options.dry_run, options.field_manager);
        let (warnings, group, part) = (options.warnings, options.group, options.part);
        let work = move |pending: &mut Pending<'_>| match change {
            Change::Apply(applied, apply) => {
                let change =
                    |pending: &mut Pending<'_>, change| update(pending, kind, &namespace, &name, change);
                let before = pending.applied(kind, &namespace, &name, &manager)?;
                let is_news = before.own != applied;
                let patch: Patch = Box::new(move |old| apply(old, &before));
                let outcome = change(pending, Change::Patch(patch))?;
                // It may have gone with its last finalizer.
                let is_there = pending.stored(kind, &namespace, &name)?.is_some();
                if is_news && is_there {
                    pending.set_applied(kind, &namespace, &name, &manager, &applied)?;
                }
                Ok(outcome)
            }
            change => update(pending, kind, &namespace, &name, change),
        };
        let work: Work = Box::new(move |pending| {
            (pending.group, pending.part) = (group, part);
            let outcome = work(pending)?;
            warnings.add(std::mem::take(&mut pending.warnings));
            Ok(outcome)
        });
        let outcome = self.change(work, dry_run).await?;
        let created = matches!(outcome, Outcome::Created(_));
        Ok(Updated { stored: outcome.stored(), created })
    }

    /// Deletes an object, or begins to.
    ///
    /// # Errors
    /// What the API server would answer.
    pub async fn delete(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        options: DeleteOptions,
    ) -> Result<Deleted, ApiError> {
        let (kind, namespace, name) = (kind.storage(), namespace.to_owned(), name.to_owned());
        let dry_run = options.dry_run;
        let work: Work = Box::new(move |pending| delete(pending, kind, &namespace, &name, &options));
        Ok(match self.change(work, dry_run).await? {
            Outcome::Gone(stored) => Deleted::Gone(stored),
            other => Deleted::Pending(other.stored()),
        })
    }

    /// Deletes the objects that a query means, no more than its limit; those it deleted, as a list that goes on where that
    /// limit ended it (`Store.DeleteCollection`).
    ///
    /// # Errors
    /// What the API server would answer; then all of them stay.
    pub async fn delete_collection(
        &self,
        kind: &'static Kind,
        query: &ListQuery,
        options: DeleteOptions,
    ) -> Result<List, ApiError> {
        let (kind, query, dry_run) = (kind.storage(), query.clone(), options.dry_run);
        let token = query.token()?;
        let work: Work = Box::new(move |pending| {
            let mut list = read::list(pending.store, kind, &query, token)?;
            if query.continue_token.is_empty() {
                // What the store knows of is what was there before the batch.
                list.resource_version = *pending.version;
            }
            for stored in &list.items {
                let object = stored.object()?;
                delete(pending, kind, object.namespace(), object.name(), &options)?;
            }
            Ok(Outcome::Many(list))
        });
        Ok(match self.change(work, dry_run).await? {
            Outcome::Many(deleted) => deleted,
            _ => List::default(),
        })
    }

    /// Watches the objects that a query means, from the changes behind version `since` on.
    ///
    /// # Errors
    /// `Expired` where these are forgotten.
    pub fn watch(&self, kind: &'static Kind, query: &ListQuery, since: u64) -> Result<Watch, ApiError> {
        let (namespace, selector) = (query.namespace.clone(), query.selector.clone());
        Watch::new(Arc::clone(&self.events), kind.storage(), namespace, selector, since)
    }

    async fn change(&self, work: Work, dry_run: bool) -> Result<Outcome, ApiError> {
        let stopped = || ApiError::internal("the server is stopping");
        let (reply, answer) = oneshot::channel();
        let jobs = self.queue.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(Job { work, dry_run, reply, _held: self.held.clone() }).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// An object.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get(&self, kind: &'static Kind, namespace: &str, name: &str) -> Result<Stored, ApiError> {
        let kind = kind.storage();
        let found = if kind.source == Source::Machine {
            let is_it = |object: &&Object| object.namespace() == namespace && object.name() == name;
            self.resource(kind)?.found().iter().find(is_it).map(Stored::of).transpose()?
        } else {
            self.read(|store| store.get(kind, namespace, name).map_err(ApiError::internal))?
        };
        found.ok_or_else(|| ApiError::not_found(kind, name))
    }

    /// The objects that a query means.
    ///
    /// # Errors
    /// `BadRequest` for a token that is none.
    pub fn list(&self, kind: &'static Kind, query: &ListQuery) -> Result<List, ApiError> {
        let token = query.token()?;
        if kind.source == Source::Machine {
            let all = self.found(kind, query)?;
            // There are as many as pods fit on one machine: they come in one piece.
            let items = all.iter().map(Stored::of).collect::<Result<_, _>>()?;
            let resource_version = self.resource_version();
            return Ok(List { items, resource_version, continue_token: None, remaining: None });
        }
        self.read_at_once(|store| read::list(store, kind.storage(), query, token))
    }

    /// The objects behind `after` that a query means, at most as many as its limit.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn piece(&self, kind: &'static Kind, query: &ListQuery, after: Key) -> Result<Piece, ApiError> {
        self.read_at_once(|store| read::piece(store, kind.storage(), query, after))
    }

    /// The objects that a query means, of a kind whose objects are found on the machine.
    ///
    /// # Errors
    /// The kind is not served.
    pub fn found(&self, kind: &Kind, query: &ListQuery) -> Result<Vec<Object>, ApiError> {
        let mut found = self.resource(kind)?.found();
        found.retain(|object| query.means(object));
        Ok(found)
    }

    /// Reads in one snapshot: the version, and everything in the list.
    fn read_at_once<T>(&self, work: impl FnOnce(&Store) -> Result<T, ApiError>) -> Result<T, ApiError> {
        self.read(|store| {
            let snapshot = store.db.unchecked_transaction().map_err(ApiError::internal)?;
            let found = work(store);
            snapshot.finish().map_err(ApiError::internal)?;
            found
        })
    }

    fn read<T>(&self, work: impl FnOnce(&Store) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let store = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        work(&store)
    }
}

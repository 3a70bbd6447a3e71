//! All objects: any thread reads them, one thread changes them, and clients watch them.

mod changes;
mod dependents;
mod events;
mod found;
mod garbage;
mod metadata;
mod options;
mod outcome;
mod owners;
mod read;
mod reads;
mod served;
mod stored;
#[cfg(test)]
mod tests;
mod transaction;
mod writer;
mod writes;

pub use events::{Event, EventKind, Watch};
pub use metadata::is_same;
pub(crate) use metadata::suffix;
pub use options::{
    Applied, Apply, Change, DeleteOptions, Deleted, Patch, Policy, Updated, Warnings, WriteOptions,
};
pub use read::{Key, List, ListQuery, Piece};
pub use writes::Write;

use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::accounts::{Account, Accounts};
use super::kind::Kind;
use super::object::Object;
use super::resource::{Allocation, Resource};
use super::status::ApiError;
use super::store::version_mark::{self, VersionMark};
use super::store::{Store, StoreError, Stored};

use changes::{create, delete, update};
use events::Events;
use found::Found;
use outcome::{Outcome, Work};
use transaction::Pending;
use writer::{Allocations, Held, Job, Writer};

/// The registry of all objects. A clone refers to the same registry.
#[derive(Clone)]
pub struct Registry {
    resources: Arc<Vec<Box<dyn Resource>>>,
    events: Arc<Events>,
    accounts: Arc<Mutex<Accounts>>,
    allocations: Arc<Allocations>,
    reader: Arc<Mutex<Store>>,
    found: Arc<Mutex<Found>>,
    queue: Arc<Queue>,
    held: Option<Held>,
    ahead: Option<u64>,
}

/// The queue of the writer. The writer ends when the last registry is dropped, after the changes that wait.
struct Queue {
    jobs: Option<Sender<Job>>,
    writer: Option<JoinHandle<()>>,
}

impl Drop for Queue {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take() {
            // If the writer panicked, the log has it already.
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
        let (accounts, dependents) = writer::count(&store, &resources)?;
        let accounts = Arc::new(Mutex::new(accounts));
        let resources = Arc::new(resources);
        let events = Arc::new(Events::new(version));
        let (queue, jobs) = mpsc::channel();
        let mut writer = Writer {
            store,
            resources: Arc::clone(&resources),
            accounts: Arc::clone(&accounts),
            dependents,
            is_counted: true,
            has_lost_savepoint: false,
            version,
            events: Arc::clone(&events),
            wake: None,
            has_notes: false,
            allocations: Arc::default(),
            found: Found::default(),
            committed: Arc::default(),
            mark: VersionMark::begin(path, version),
        };
        let allocations = Arc::clone(&writer.allocations);
        let found = Arc::clone(&writer.committed);
        // Does the work that stored objects need, before the first request.
        writer.batch(Vec::new());
        let spawned = std::thread::Builder::new().name("writer".to_owned()).spawn(move || writer.run(&jobs));
        let writer = spawned.map_err(|cause| StoreError::Thread(path.to_owned(), cause))?;
        let queue = Arc::new(Queue { jobs: Some(queue), writer: Some(writer) });
        let reader = Arc::new(Mutex::new(reader));
        Ok(Self { resources, events, accounts, allocations, reader, found, queue, held: None, ahead })
    }

    /// The version from which counting went on, if the store was an older one or may have been.
    pub fn ahead(&self) -> Option<u64> {
        self.ahead
    }

    /// Returns the same registry, whose changes keep `held` until they are made, even if the caller no longer waits.
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
        served::resource_of(&self.resources, kind)
    }

    /// The kind under which the objects of `kind` are kept: here two kinds of the same name are one.
    fn kept_as(&self, kind: &'static Kind) -> &'static Kind {
        served::served(&self.resources, kind).storage()
    }

    /// The resource version of the last change.
    pub fn resource_version(&self) -> u64 {
        self.events.latest()
    }

    /// Whether objects of one of these kinds may have changed after `version`.
    pub(crate) fn has_changed(&self, version: u64, kinds: &[&'static Kind]) -> bool {
        self.events.has_changed(version, kinds)
    }

    /// The resource version of the last change as a channel, to wait for the next one.
    pub fn versions(&self) -> tokio::sync::watch::Receiver<u64> {
        self.events.versions()
    }

    /// Counts the numbers in use from `first` to `last`, both included. Changes that are not committed yet count as well.
    pub fn used(&self, account: Account, first: u128, last: u128) -> u128 {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).used(account, first, last)
    }

    /// Attempts to allocate an address since the server started.
    pub fn allocations(&self) -> BTreeMap<Allocation, u64> {
        self.allocations.counts()
    }

    /// Creates an object in `namespace`, which is empty for kinds without namespaces.
    ///
    /// # Errors
    /// The error that the API server would answer.
    pub async fn create(
        &self,
        kind: &'static Kind,
        namespace: &str,
        object: Object,
        options: WriteOptions,
    ) -> Result<Stored, ApiError> {
        let (kind, namespace) = (kind.storage(), namespace.to_owned());
        let (warnings, group, author) = (options.warnings, options.group, options.author);
        let work: Work = Box::new(move |pending| {
            (pending.group, pending.author) = (group, author);
            let created = create(pending, kind, &namespace, object);
            // A refused change has warnings, too.
            warnings.add(std::mem::take(&mut pending.warnings));
            created.map(Outcome::Created)
        });
        Ok(self.change(work, options.dry_run).await?.stored())
    }

    /// Changes an object.
    ///
    /// # Errors
    /// The error that the API server would answer.
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
        let author = options.author;
        let work = move |pending: &mut Pending<'_>| match change {
            Change::Apply(applied, apply) => {
                let change =
                    |pending: &mut Pending<'_>, change| update(pending, kind, &namespace, &name, change);
                let before = pending.applied(kind, &namespace, &name, &manager)?;
                let is_news = before.own != applied;
                let patch: Patch = Box::new(move |old| apply(old, &before));
                let outcome = change(pending, Change::Patch(patch))?;
                // Its last finalizer may have gone, and the object with it.
                let is_there = pending.stored(kind, &namespace, &name)?.is_some();
                if is_news && is_there {
                    pending.set_applied(kind, &namespace, &name, &manager, &applied)?;
                }
                Ok(outcome)
            }
            change => update(pending, kind, &namespace, &name, change),
        };
        let work: Work = Box::new(move |pending| {
            (pending.group, pending.part, pending.author) = (group, part, author);
            let outcome = work(pending);
            warnings.add(std::mem::take(&mut pending.warnings));
            outcome
        });
        let outcome = self.change(work, dry_run).await?;
        let created = matches!(outcome, Outcome::Created(_));
        Ok(Updated { stored: outcome.stored(), created })
    }

    /// Deletes an object, or begins to.
    ///
    /// # Errors
    /// The error that the API server would answer.
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

    /// Deletes the objects that a query selects, up to its limit, but for those that may not be deleted. Returns them as a list,
    /// with a token to go on behind that limit (`Store.DeleteCollection`).
    ///
    /// # Errors
    /// The API server's answer; no object is deleted then.
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
                // The store knows only the version before the batch.
                list.resource_version = *pending.version;
            }
            let resource = pending.resource(kind)?;
            for stored in std::mem::take(&mut list.items) {
                let object = stored.object()?;
                if resource.may_delete(&object).is_ok() {
                    delete(pending, kind, object.namespace(), object.name(), &options)?;
                    list.items.push(stored);
                }
            }
            Ok(Outcome::Many(list))
        });
        Ok(match self.change(work, dry_run).await? {
            Outcome::Many(deleted) => deleted,
            _ => List::default(),
        })
    }

    /// Watches the objects that a query selects, from the first change after version `since`.
    ///
    /// # Errors
    /// `Expired` if the log no longer has those changes.
    pub fn watch(&self, kind: &'static Kind, query: &ListQuery, since: u64) -> Result<Watch, ApiError> {
        let (namespace, selector) = (query.namespace.clone(), query.selector.clone());
        Watch::new(Arc::clone(&self.events), self.kept_as(kind), namespace, selector, since)
    }

    async fn change(&self, work: Work, dry_run: bool) -> Result<Outcome, ApiError> {
        let stopped = || ApiError::internal("the server is stopping");
        let (reply, answer) = oneshot::channel();
        let jobs = self.queue.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(Job { work, dry_run, reply, _held: self.held.clone() }).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Makes `objects` all objects of a kind that is found on the machine. Only what differs is changed, in one transaction
    /// with what follows from it.
    ///
    /// # Errors
    /// The store cannot be written, or the server is stopping. Nothing has changed then.
    pub async fn find(&self, kind: &'static Kind, objects: Vec<Object>) -> Result<(), ApiError> {
        let (is_first, difference) = self.found(|found| (!found.has(kind), found.difference(kind, objects)));
        let difference = difference?;
        if difference.is_empty() && !is_first {
            return Ok(());
        }
        let work: Work = Box::new(move |pending| {
            pending.find(kind, difference)?;
            Ok(Outcome::Many(List::default()))
        });
        self.change(work, false).await.map(|_| ())
    }
}

//! All objects: read by anybody, changed by one thread, watched by many.

mod changes;
mod events;
mod garbage;
mod metadata;
mod read;
#[cfg(test)]
mod tests;
mod transaction;
mod writer;

pub use events::{Event, EventKind, Watch};
pub use metadata::is_same;
pub use read::{Key, List, ListQuery, Piece};

use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::object::Object;
use super::resource::{Allocation, Resource, ResourceInfo, Subresource};
use super::status::ApiError;
use super::store::{Store, StoreError, Stored};
use super::version_mark::{self, VersionMark};

use changes::{create, delete, update};
use events::Events;
use transaction::Pending;
use writer::{Allocations, Held, Job, Outcome, Work, Writer};

/// How a change is made.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// Everything is done but kept (`dryRun=All`).
    pub dry_run: bool,
    /// Who makes it.
    pub field_manager: String,
    /// The API group by which it is asked for.
    pub group: &'static str,
    /// The part of the object that is written, where it is not the whole.
    pub part: Option<Subresource>,
    /// Takes what the client is to be told of the change.
    pub warnings: Warnings,
}

/// Warnings about a change. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Adds some.
    pub fn add(&self, warnings: Vec<String>) {
        if !warnings.is_empty() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
        }
    }

    /// Takes out what was added.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is to become of an object.
pub enum Change {
    /// It is replaced.
    Replace(Object),
    /// It becomes what the function makes of it. Where there is none, the function gets nothing, and may make one.
    Patch(Patch),
    /// It becomes what the function makes of it and of what the same and other managers applied last. What is applied
    /// now, the object's own JSON, is remembered for the next time.
    Apply(Map<String, Value>, Apply),
}

/// Makes the new object of the old one.
pub type Patch = Box<dyn FnOnce(Option<&Object>) -> Result<Object, ApiError> + Send>;

/// Makes the new object of the old one and of what was applied to it before.
pub type Apply = Box<dyn FnOnce(Option<&Object>, &Applied) -> Result<Object, ApiError> + Send>;

/// What was applied to an object last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Applied {
    /// By who applies now.
    pub own: Map<String, Value>,
    /// By each of the others.
    pub others: Vec<Map<String, Value>>,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Replace(_) => "Replace",
            Self::Patch(_) => "Patch",
            Self::Apply(..) => "Apply",
        })
    }
}

/// What an update came to.
#[derive(Debug, Clone)]
pub struct Updated {
    /// The object as it is now.
    pub stored: Stored,
    /// Whether it is new.
    pub created: bool,
}

/// How an object is deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Everything is done but kept.
    pub dry_run: bool,
    /// It has to be this one.
    pub uid: Option<String>,
    /// It has to be at this version.
    pub resource_version: Option<String>,
    /// What becomes of those that belong to it.
    pub policy: Policy,
}

/// What becomes of the objects that belong to one that is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// What the finalizers of the object say, and else that they go afterwards.
    #[default]
    Default,
    /// They go afterwards.
    Background,
    /// They go before.
    Foreground,
    /// They stay.
    Orphan,
}

/// What a deletion came to.
#[derive(Debug, Clone)]
pub enum Deleted {
    /// The object is gone; as it was last.
    Gone(Stored),
    /// It stays until its finalizers are done.
    Pending(Stored),
}

/// All objects. A clone is the same registry.
#[derive(Clone)]
pub struct Registry {
    resources: Arc<Vec<Box<dyn Resource>>>,
    events: Arc<Events>,
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
        let accounts = writer::count(&store)?;
        let resources = Arc::new(resources);
        let events = Arc::new(Events::new(version));
        let (queue, jobs) = mpsc::channel();
        let mut writer = Writer {
            store,
            resources: Arc::clone(&resources),
            accounts,
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
        Ok(Self { resources, events, allocations, reader, queue, held: None, ahead })
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

    /// Every kind.
    pub fn resources(&self) -> &[Box<dyn Resource>] {
        &self.resources
    }

    /// A kind by its names.
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<&dyn Resource> {
        let is_it =
            |info: &ResourceInfo| info.group == group && info.version == version && info.plural == plural;
        self.resources.iter().map(AsRef::as_ref).find(|resource| is_it(resource.info()))
    }

    /// The resource version of the last change.
    pub fn resource_version(&self) -> u64 {
        self.events.latest()
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
        plural: &'static str,
        namespace: &str,
        object: Object,
        options: WriteOptions,
    ) -> Result<Stored, ApiError> {
        let (namespace, index) = (namespace.to_owned(), self.index(plural)?);
        let (warnings, group) = (options.warnings, options.group);
        let work: Work = Box::new(move |pending| {
            pending.group = group;
            let created = create(pending, index, &namespace, object)?;
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
        plural: &'static str,
        namespace: &str,
        name: &str,
        change: Change,
        options: WriteOptions,
    ) -> Result<Updated, ApiError> {
        let (namespace, name, index) = (namespace.to_owned(), name.to_owned(), self.index(plural)?);
        let (dry_run, manager) = (options.dry_run, options.field_manager);
        let (warnings, group, part) = (options.warnings, options.group, options.part);
        let work = move |pending: &mut Pending<'_>| match change {
            Change::Apply(applied, apply) => {
                let change =
                    |pending: &mut Pending<'_>, change| update(pending, index, &namespace, &name, change);
                let before = pending.applied(index, &namespace, &name, &manager)?;
                let is_news = before.own != applied;
                let patch: Patch = Box::new(move |old| apply(old, &before));
                let outcome = change(pending, Change::Patch(patch))?;
                // It may have gone with its last finalizer.
                let is_there = pending.stored(plural, &namespace, &name)?.is_some();
                if is_news && is_there {
                    pending.set_applied(index, &namespace, &name, &manager, &applied)?;
                }
                Ok(outcome)
            }
            change => update(pending, index, &namespace, &name, change),
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
        plural: &'static str,
        namespace: &str,
        name: &str,
        options: DeleteOptions,
    ) -> Result<Deleted, ApiError> {
        let (namespace, name, index) = (namespace.to_owned(), name.to_owned(), self.index(plural)?);
        let dry_run = options.dry_run;
        let work: Work = Box::new(move |pending| delete(pending, index, &namespace, &name, &options));
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
        plural: &'static str,
        query: &ListQuery,
        options: DeleteOptions,
    ) -> Result<List, ApiError> {
        let (index, query, dry_run) = (self.index(plural)?, query.clone(), options.dry_run);
        let token = query.token()?;
        let work: Work = Box::new(move |pending| {
            let mut list = read::list(pending.store, plural, &query, token)?;
            if query.continue_token.is_empty() {
                // What the store knows of is what was there before the batch.
                list.resource_version = *pending.version;
            }
            for stored in &list.items {
                let object = stored.object()?;
                delete(pending, index, object.namespace(), object.name(), &options)?;
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
    pub fn watch(&self, plural: &'static str, query: &ListQuery, since: u64) -> Result<Watch, ApiError> {
        let (namespace, selector) = (query.namespace.clone(), query.selector.clone());
        Watch::new(Arc::clone(&self.events), plural, namespace, selector, since)
    }

    fn index(&self, plural: &str) -> Result<usize, ApiError> {
        let found = self.resources.iter().position(|resource| resource.info().plural == plural);
        found.ok_or_else(ApiError::no_such_path)
    }

    async fn change(&self, work: Work, dry_run: bool) -> Result<Outcome, ApiError> {
        let stopped = || ApiError::internal("the server is stopping");
        let (reply, answer) = oneshot::channel();
        let jobs = self.queue.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(Job { work, dry_run, reply, _held: self.held.clone() }).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Outcome {
    fn stored(self) -> Stored {
        match self {
            Self::Stored(stored) | Self::Created(stored) | Self::Gone(stored) => stored,
            Self::Many(_) => Stored { text: Arc::from("{}") },
        }
    }
}

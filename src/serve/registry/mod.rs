//! All objects: read by anybody, changed by one thread, watched by many.

mod events;
mod metadata;
mod read;
mod transaction;
mod writer;

pub use events::{Event, EventKind, Watch};
pub use metadata::timestamp;
pub use read::{List, ListQuery};

use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::object::Object;
use super::resource::{Resource, ResourceInfo};
use super::status::ApiError;
use super::store::{Store, StoreError, Stored};

use events::Events;
use transaction::Pending;
use writer::{Job, Outcome, Work, Writer};

/// How a change is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Everything is done but kept (`dryRun=All`).
    pub dry_run: bool,
    /// Who makes it.
    pub field_manager: String,
}

/// What is to become of an object.
pub enum Change {
    /// It is replaced.
    Replace(Object),
    /// It becomes what the function makes of it. Where there is none, the function gets nothing, and may make one.
    Patch(Patch),
}

/// Makes the new object of the old one.
pub type Patch = Box<dyn FnOnce(Option<&Object>) -> Result<Object, ApiError> + Send>;

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Replace(_) => "Replace",
            Self::Patch(_) => "Patch",
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
    reader: Arc<Mutex<Store>>,
    queue: Arc<Queue>,
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
        let version = store.version().map_err(|cause| store.failed(cause))?;
        let accounts = writer::count(&store)?;
        let resources = Arc::new(resources);
        let events = Arc::new(Events::new(version));
        let (queue, jobs) = mpsc::channel();
        let mut writer = Writer {
            store,
            resources: Arc::clone(&resources),
            accounts,
            is_counted: true,
            version,
            events: Arc::clone(&events),
            wake: None,
        };
        // What follows from the objects as they are, before anybody asks.
        writer.batch(Vec::new());
        let spawned = std::thread::Builder::new().name("writer".to_owned()).spawn(move || writer.run(&jobs));
        let writer = spawned.map_err(|cause| StoreError::Thread(path.to_owned(), cause))?;
        let queue = Arc::new(Queue { jobs: Some(queue), writer: Some(writer) });
        Ok(Self { resources, events, reader: Arc::new(Mutex::new(reader)), queue })
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
        let work: Work =
            Box::new(move |pending| create(pending, index, &namespace, object).map(Outcome::Created));
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
        let work: Work = Box::new(move |pending| update(pending, index, &namespace, &name, change));
        let outcome = self.change(work, options.dry_run).await?;
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

    /// Deletes all objects that a query means; those it deleted.
    ///
    /// # Errors
    /// What the API server would answer; then all of them stay.
    pub async fn delete_collection(
        &self,
        plural: &'static str,
        query: &ListQuery,
        options: DeleteOptions,
    ) -> Result<Vec<Stored>, ApiError> {
        let (index, query, dry_run) = (self.index(plural)?, query.clone(), options.dry_run);
        let work: Work = Box::new(move |pending| {
            let all = pending.store.list(plural, query.namespace.as_deref(), ("", ""), i64::MAX);
            let mut deleted = Vec::new();
            for stored in all.map_err(ApiError::internal)? {
                let object = stored.object();
                if query.selector.matches(&object) {
                    delete(pending, index, object.namespace(), object.name(), &options)?;
                    deleted.push(stored);
                }
            }
            Ok(Outcome::Many(deleted))
        });
        Ok(match self.change(work, dry_run).await? {
            Outcome::Many(deleted) => deleted,
            _ => Vec::new(),
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
        jobs.send(Job { work, dry_run, reply }).map_err(|_| stopped())?;
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

fn create(
    pending: &mut Pending<'_>,
    index: usize,
    namespace: &str,
    mut object: Object,
) -> Result<Stored, ApiError> {
    let resources = pending.resources;
    let (resource, info) = (&resources[index], resources[index].info());
    metadata::of_new(info, &mut object, namespace, pending.now)?;
    if info.namespaced && pending.stored("namespaces", "", namespace)?.is_none() {
        let namespaces =
            resources.iter().map(|resource| resource.info()).find(|info| info.plural == "namespaces");
        return Err(ApiError::not_found(namespaces.unwrap_or(info), namespace));
    }
    resource.create(pending, &mut object)?;
    if pending.stored(info.plural, namespace, object.name())?.is_some() {
        return Err(ApiError::already_exists(info, object.name()));
    }
    pending.write(info.plural, &mut object, None)
}

fn update(
    pending: &mut Pending<'_>,
    index: usize,
    namespace: &str,
    name: &str,
    change: Change,
) -> Result<Outcome, ApiError> {
    let resources = pending.resources;
    let (resource, info) = (&resources[index], resources[index].info());
    let stored = pending.stored(info.plural, namespace, name)?;
    let old = stored.as_ref().map(Stored::object);
    let (mut object, old, stored) = match (change, old, stored) {
        (Change::Replace(object), Some(old), Some(stored)) => (object, old, stored),
        (Change::Patch(patch), Some(old), Some(stored)) => (patch(Some(&old))?, old, stored),
        (Change::Patch(patch), ..) => {
            let mut object = patch(None)?;
            object.metadata_mut().insert("name".to_owned(), name.into());
            return create(pending, index, namespace, object).map(Outcome::Created);
        }
        (Change::Replace(_), ..) => return Err(ApiError::not_found(info, name)),
    };
    metadata::of_changed(info, &mut object, &old)?;
    resource.update(pending, &mut object, &old)?;
    if object.is_being_deleted() && object.finalizers().is_empty() {
        resource.delete(pending, &object)?;
        pending.erase(info.plural, stored.clone())?;
        resource.deleted(pending, &object)?;
        return Ok(Outcome::Stored(stored));
    }
    if object == old {
        return Ok(Outcome::Stored(stored));
    }
    pending.write(info.plural, &mut object, Some(stored)).map(Outcome::Stored)
}

fn delete(
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
    let mut object = stored.object();
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
    if object.finalizers().is_empty() {
        resource.delete(pending, &object)?;
        pending.erase(info.plural, stored.clone())?;
        resource.deleted(pending, &object)?;
        return Ok(Outcome::Gone(stored));
    }
    if object.is_being_deleted() {
        return Ok(Outcome::Stored(stored));
    }
    let time = timestamp(pending.now);
    let metadata = object.metadata_mut();
    metadata.insert("deletionTimestamp".to_owned(), time.into());
    metadata.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
    pending.write(info.plural, &mut object, Some(stored)).map(Outcome::Stored)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

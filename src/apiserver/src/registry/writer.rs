//! The only thread that changes objects. It takes all changes that wait in the queue, makes each in a savepoint, and
//! commits them with one sync, so that concurrent clients share its cost.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::dependents::{Dependents, uids_in};
use super::events::{Events, LogEntry};
use super::found::Found;
use super::garbage;
use super::outcome::{Outcome, Work};
use super::read::List;
use super::served::stored_as;
use super::transaction::Pending;
use crate::accounts::Accounts;
use crate::kind::Source;
use crate::object::Object;
use crate::resource::{Allocation, Resource};
use crate::status::ApiError;
use crate::store::version_mark::VersionMark;
use crate::store::{Store, StoreError};
use crate::time;

/// Seconds before the server's own work is tried again after a failure.
const RETRY: i64 = 10;

/// Most changes that are committed together.
const BATCH: usize = 128;

/// A change in the queue.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) dry_run: bool,
    pub(super) reply: oneshot::Sender<Result<Outcome, ApiError>>,
    /// Kept until the change is made.
    pub(super) _held: Option<Held>,
}

/// A value that is dropped with its last owner.
pub(super) type Held = Arc<dyn Any + Send + Sync>;

/// Counts attempts to allocate an address.
#[derive(Debug, Default)]
pub(super) struct Allocations(Mutex<BTreeMap<Allocation, u64>>);

impl Allocations {
    fn count(&self, allocations: &[Allocation]) {
        if allocations.is_empty() {
            return;
        }
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for allocation in allocations {
            *counts.entry(*allocation).or_default() += 1;
        }
    }

    pub(super) fn counts(&self) -> BTreeMap<Allocation, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) resources: Arc<Vec<Box<dyn Resource>>>,
    /// Shared with the metrics; only the writer changes them.
    pub(super) accounts: Arc<Mutex<Accounts>>,
    pub(super) dependents: Dependents,
    /// Whether the accounts and the dependents agree with the store.
    pub(super) is_counted: bool,
    /// A savepoint of the batch could not be ended: the batch must not be committed.
    pub(super) has_lost_savepoint: bool,
    pub(super) version: u64,
    pub(super) events: Arc<Events>,
    pub(super) allocations: Arc<Allocations>,
    /// When to reconcile without a request, in seconds since 1970.
    pub(super) wake: Option<i64>,
    /// The batch changed apply records.
    pub(super) has_notes: bool,
    /// What is found on the machine, as of the last change.
    pub(super) found: Found,
    /// The same as of the last batch, for readers.
    pub(super) committed: Arc<Mutex<Found>>,
    /// The last version that was used, in a file beside the store.
    pub(super) mark: VersionMark,
}

impl Writer {
    /// Works until the queue is closed.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        loop {
            let first = match self.patience() {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(patience) => queue.recv_timeout(patience),
            };
            match first {
                Ok(first) => {
                    let more = std::iter::from_fn(|| queue.try_recv().ok()).take(BATCH - 1);
                    let jobs = std::iter::once(first).chain(more).collect();
                    self.batch(jobs);
                }
                Err(RecvTimeoutError::Timeout) => self.batch(Vec::new()),
                Err(RecvTimeoutError::Disconnected) => return self.mark.stop(self.version),
            }
        }
    }

    fn patience(&self) -> Option<Duration> {
        let left = u64::try_from(self.wake? - time::now()).unwrap_or(0);
        Some(Duration::from_secs(left))
    }

    /// Makes changes, and publishes them once they are on the disk.
    pub(super) fn batch(&mut self, mut jobs: Vec<Job>) {
        let is_called = jobs.is_empty();
        // Drops jobs whose clients no longer wait: they may be large.
        jobs.retain(|job| !job.reply.is_closed());
        if jobs.is_empty() && !is_called {
            return;
        }
        let before = self.version;
        let mut changes = Vec::new();
        let mut replies = Vec::with_capacity(jobs.len());
        let done = self.begin().and_then(|()| {
            if is_called {
                self.reconcile_alone(&mut changes);
            }
            for job in jobs.drain(..) {
                let result = self.job(job.work, job.dry_run, &mut changes);
                replies.push((job.reply, result));
            }
            self.commit(before, &changes)
        });
        match done {
            Ok(()) => {
                if self.version != before {
                    self.mark.set(self.version);
                }
                self.show_found(&mut changes);
                self.events.publish(changes, self.version);
            }
            Err(error) => {
                self.take_back(before, &error);
                replies.extend(jobs.into_iter().map(|job| (job.reply, Err(error.clone()))));
                replies.iter_mut().for_each(|(_, result)| *result = Err(error.clone()));
            }
        }
        for (reply, result) in replies {
            // The client may be gone.
            let _ = reply.send(result);
        }
    }

    /// Lets readers see what was found. The first objects of a kind are no changes to watch: watches of that kind begin
    /// behind them.
    fn show_found(&self, changes: &mut Vec<LogEntry>) {
        let mut committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = self.found.begun_since(&committed);
        for kind in &begun {
            committed.begin(kind);
            self.events.begin(kind, self.version);
        }
        changes.iter().filter(|change| change.kind.source == Source::Machine).for_each(|change| {
            committed.apply(change);
        });
        changes.retain(|change| !begun.contains(change.kind));
    }

    fn begin(&mut self) -> Result<(), ApiError> {
        self.has_notes = false;
        self.counted()?;
        self.store.db.execute_batch("BEGIN IMMEDIATE").map_err(ApiError::internal)
    }

    /// Reconciles without a request.
    fn reconcile_alone(&mut self, changes: &mut Vec<LogEntry>) {
        let nothing: Work = Box::new(|pending| {
            pending.is_alone = true;
            Ok(Outcome::Many(List::default()))
        });
        if let Err(error) = self.one(nothing, false, changes) {
            // No client waits for this: it is tried again later.
            self.wake = Some(time::now() + RETRY);
            tracing::error!(cause = %error.message, "what follows from the objects cannot be done");
        }
    }

    /// Makes a change, unless an earlier one of the batch could not be undone: the batch is lost then.
    fn job(&mut self, work: Work, dry_run: bool, changes: &mut Vec<LogEntry>) -> Result<Outcome, ApiError> {
        if self.is_broken() {
            return Err(ApiError::internal("an earlier change could not be taken back"));
        }
        self.one(work, dry_run, changes)
    }

    /// Undoes a batch.
    fn take_back(&mut self, before: u64, error: &ApiError) {
        tracing::error!(cause = %error.message, "changes cannot be kept");
        let _ = self.store.db.execute_batch("ROLLBACK");
        self.version = before;
        self.found = self.committed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.is_counted = false;
        self.has_lost_savepoint = false;
        self.wake = Some(time::now() + RETRY);
    }

    /// Whether the batch is lost: SQLite rolls the whole transaction back if the disk is full.
    fn is_broken(&self) -> bool {
        self.has_lost_savepoint || self.store.db.is_autocommit()
    }

    fn commit(&mut self, before: u64, changes: &[LogEntry]) -> Result<(), ApiError> {
        if self.is_broken() {
            let why = "a change could not be taken back, and those with it were not made";
            return Err(ApiError::internal(why));
        }
        if changes.is_empty() && !self.has_notes {
            self.version = before;
            return self.store.db.execute_batch("ROLLBACK").map_err(ApiError::internal);
        }
        self.store.set_version(self.version).map_err(ApiError::internal)?;
        self.store.db.execute_batch("COMMIT").map_err(ApiError::internal)
    }

    /// Makes one change with everything that follows from it, or nothing.
    fn one(&mut self, work: Work, dry_run: bool, changes: &mut Vec<LogEntry>) -> Result<Outcome, ApiError> {
        if let Err(cause) = self.store.db.execute_batch("SAVEPOINT one") {
            return Err(ApiError::internal(cause));
        }
        let mut version = self.version;
        let resources = Arc::clone(&self.resources);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let books = (&mut *accounts, &mut self.dependents);
        let (found, now) = (&mut self.found, time::now());
        let mut pending = Pending::new(&self.store, &resources, books, found, &mut version, now, dry_run);
        let mut wake = None;
        let result = work(&mut pending).and_then(|outcome| {
            if !dry_run {
                wake = follow(&mut pending)?;
            }
            Ok(outcome)
        });
        let is_kept = result.is_ok() && !dry_run;
        if !is_kept {
            pending.undo();
        }
        self.allocations.count(&pending.allocations);
        let (made, has_notes) = (std::mem::take(&mut pending.changes), pending.has_notes);
        let end = if is_kept { "RELEASE one" } else { "ROLLBACK TO one; RELEASE one" };
        if let Err(cause) = self.store.db.execute_batch(end) {
            self.has_lost_savepoint = true;
            return Err(ApiError::internal(cause));
        }
        if is_kept {
            self.version = version;
            self.wake = wake;
            changes.extend(made);
            self.has_notes |= has_notes;
        }
        result
    }

    /// Counts the accounts again if the last batch left them wrong. As long as that fails nothing is changed: an address
    /// might be allocated twice.
    fn counted(&mut self) -> Result<(), ApiError> {
        if !self.is_counted {
            let (accounts, dependents) = count(&self.store, &self.resources).map_err(ApiError::internal)?;
            self.dependents = dependents;
            *self.accounts.lock().unwrap_or_else(PoisonError::into_inner) = accounts;
            self.is_counted = true;
        }
        Ok(())
    }
}

/// Counts the accounts of all stored objects, and notes whom they name as their owners.
///
/// # Errors
/// The store cannot be read.
pub(super) fn count(
    store: &Store,
    resources: &[Box<dyn Resource>],
) -> Result<(Accounts, Dependents), StoreError> {
    let (mut accounts, mut dependents) = (Accounts::default(), Dependents::default());
    let counted = resources.iter().map(|resource| resource.kind()).filter(|kind| kind.numbers.is_some());
    for kind in counted {
        store.each(kind, |text| {
            let object = serde_json::from_str(text).map_err(|cause| store.damaged(cause))?;
            accounts.enter(&kind.entries(&Object(object)));
            Ok(())
        })?;
    }
    store.each_mentioning("\"ownerReferences\"", |plural, row| {
        if let Some(kind) = stored_as(resources, plural) {
            let uids = uids_in(&row.stored.text).map_err(|cause| store.damaged(cause))?;
            dependents.add(&uids, &(kind, row.namespace, row.name));
        }
        Ok(())
    })?;
    Ok((accounts, dependents))
}

/// Reconciles and collects garbage until neither changes anything. Returns when to reconcile next.
fn follow(pending: &mut Pending<'_>) -> Result<Option<i64>, ApiError> {
    loop {
        let wake = reconcile(pending)?;
        if !garbage::collect(pending)? {
            return Ok(wake);
        }
    }
}

/// Lets each kind reconcile. Returns when to do so next.
fn reconcile(pending: &mut Pending<'_>) -> Result<Option<i64>, ApiError> {
    let mut wake: Option<i64> = None;
    let resources = pending.resources;
    for resource in resources {
        let next = resource.reconcile(pending)?;
        wake = [wake, next].into_iter().flatten().min();
    }
    Ok(wake)
}

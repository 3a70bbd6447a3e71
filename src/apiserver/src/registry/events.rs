//! The log of recent changes, which watches read from any version on. Its size is bounded.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::read::{Key, Piece};
use crate::kind::Kind;
use crate::selector::Selector;
use crate::status::ApiError;
use crate::store::Stored;

/// Most bytes that the log takes. A watch that falls further behind has to list again.
const LOG_MAX: usize = 5 << 20;

/// What an allocation takes beyond its content, in bytes, about: counts of references, the allocator's own, and rounding.
const ALLOCATION: usize = 32;

/// The type of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The object is new, or the watch selects it now.
    Added,
    /// The object changed.
    Modified,
    /// The object is gone, or the watch no longer selects it.
    Deleted,
}

/// An event of a watch.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its type.
    pub kind: EventKind,
    /// The object after the change, or its last state.
    pub stored: Stored,
    /// The resource version of the change.
    pub version: u64,
}

/// One change, as the log has it.
#[derive(Debug, Clone)]
pub(super) struct LogEntry {
    pub(super) kind: &'static Kind,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) version: u64,
    pub(super) old: Option<Stored>,
    pub(super) new: Option<Stored>,
}

impl LogEntry {
    /// The memory that it takes, in bytes.
    fn size(&self) -> usize {
        let size =
            |stored: &Option<Stored>| stored.as_ref().map_or(0, |stored| stored.text.len() + ALLOCATION);
        let names = self.namespace.len() + self.name.len() + 2 * ALLOCATION;
        size_of::<Self>() + ALLOCATION + names + size(&self.old) + size(&self.new)
    }
}

#[derive(Debug)]
struct Log {
    changes: VecDeque<Arc<LogEntry>>,
    size: usize,
    /// Changes up to this version are not in the log any more.
    forgotten: u64,
}

/// The log, shared by the writer and all watches.
#[derive(Debug)]
pub(super) struct Events {
    log: Mutex<Log>,
    /// The kinds whose changes are in the log only after a version of their own.
    begun: Mutex<BTreeMap<&'static Kind, u64>>,
    latest: watch::Sender<u64>,
}

impl Events {
    /// Creates a log that begins after `version`.
    pub(super) fn new(version: u64) -> Self {
        let log = Log { changes: VecDeque::new(), size: 0, forgotten: version };
        Self { log: Mutex::new(log), begun: Mutex::default(), latest: watch::Sender::new(version) }
    }

    /// The version of the last change that is committed.
    pub(super) fn latest(&self) -> u64 {
        *self.latest.borrow()
    }

    /// The same as a channel, to wait for the next one.
    pub(super) fn versions(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    /// Adds committed changes.
    pub(super) fn publish(&self, changes: Vec<LogEntry>, version: u64) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            log.size += change.size();
            log.changes.push_back(Arc::new(change));
        }
        while log.size > LOG_MAX {
            let Some(oldest) = log.changes.pop_front() else { break };
            log.size -= oldest.size();
            log.forgotten = oldest.version;
        }
        drop(log);
        self.latest.send_replace(version);
    }

    /// Whether objects of one of these kinds have changed after `version`, as far as is known.
    pub(super) fn has_changed(&self, version: u64, kinds: &[&'static Kind]) -> bool {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let start = log.changes.partition_point(|change| change.version <= version);
        version < log.forgotten || log.changes.iter().skip(start).any(|change| kinds.contains(&change.kind))
    }

    /// Says that the log has no changes of a kind up to `version`.
    pub(super) fn begin(&self, kind: &'static Kind, version: u64) {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(kind, version);
    }

    /// Whether the log may lack changes of a kind after `version`.
    fn begins_behind(&self, kind: &'static Kind, version: u64) -> bool {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.get(kind).is_some_and(|begun| version < *begun)
    }

    /// The changes after `version`, at most `limit`; `None` if the log no longer has all of them.
    fn behind(&self, version: u64, limit: usize) -> Option<Vec<Arc<LogEntry>>> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if version < log.forgotten {
            return None;
        }
        let start = log.changes.partition_point(|change| change.version <= version);
        Some(log.changes.iter().skip(start).take(limit).cloned().collect())
    }
}

/// A watch on objects of one kind.
#[derive(Debug)]
pub struct Watch {
    events: Arc<Events>,
    latest: watch::Receiver<u64>,
    kind: &'static Kind,
    namespace: Option<String>,
    selector: Selector,
    /// The log has been read up to this version.
    read: u64,
    /// All events up to this version have been returned.
    told: u64,
    ready: VecDeque<Event>,
    covered: Vec<Covered>,
}

/// Objects that were listed for this watch. Changes that the list included are not told again.
#[derive(Debug)]
struct Covered {
    /// The last key, namespace and name, in the order of lists; `None` for all that are left.
    end: Option<Key>,
    version: u64,
}

/// Changes that are read from the log at a time.
const CHUNK: usize = 256;

impl Watch {
    pub(super) fn new(
        events: Arc<Events>,
        kind: &'static Kind,
        namespace: Option<String>,
        selector: Selector,
        since: u64,
    ) -> Result<Self, ApiError> {
        let latest = events.latest.subscribe();
        // No version is that large, and one more can be counted.
        let since = since.min(i64::MAX.cast_unsigned());
        if events.begins_behind(kind, since) || events.behind(since, 0).is_none() {
            return Err(too_old(since));
        }
        let (ready, covered) = (VecDeque::new(), Vec::new());
        Ok(Self { events, latest, kind, namespace, selector, read: since, told: since, ready, covered })
    }

    /// The version for bookmarks: all events up to it have been returned.
    pub fn version(&self) -> u64 {
        self.told
    }

    /// Whether the watch begins after a version that does not exist yet. Events up to there are not told
    /// (`cacheWatcher.process` in `k8s.io/apiserver/pkg/storage/cacher/cache_watcher.go`).
    pub fn is_ahead(&self) -> bool {
        self.told > self.events.latest()
    }

    /// Says that the client has the objects from the end of the last piece to the end of this one, at its version.
    pub fn covers(&mut self, piece: &Piece) {
        self.covered.push(Covered { end: piece.end.clone(), version: piece.version });
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// `Expired` if this watch fell too far behind.
    pub async fn next(&mut self) -> Result<Event, ApiError> {
        loop {
            if let Some(event) = self.next_until(u64::MAX).await? {
                return Ok(event);
            }
        }
    }

    /// Waits for the next event; `None` once all events up to `version` have been returned.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn next_until(&mut self, version: u64) -> Result<Option<Event>, ApiError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                // A bookmark must not be ahead of the events in the queue.
                self.told = if self.ready.is_empty() { self.read } else { event.version };
                return Ok(Some(event));
            }
            if self.told >= version {
                return Ok(None);
            }
            // A version may have no change in the log.
            if !self.read_on()? && self.told < version && self.latest.changed().await.is_err() {
                return Err(ApiError::internal("the server is stopping"));
            }
        }
    }

    /// Reads a chunk of the log. Returns whether it had a change.
    fn read_on(&mut self) -> Result<bool, ApiError> {
        let latest = *self.latest.borrow_and_update();
        let changes = self.events.behind(self.read, CHUNK).ok_or_else(|| too_old(self.read))?;
        self.read = changes.last().map_or(self.read.max(latest), |last| last.version);
        for change in &changes {
            let event = self.event(change)?;
            self.ready.extend(event);
        }
        if self.ready.is_empty() {
            self.told = self.read;
        }
        if self.covered.iter().all(|piece| piece.version <= self.read) {
            self.covered.clear();
        }
        Ok(!changes.is_empty())
    }

    /// Whether the client has this change from a list.
    fn is_covered(&self, change: &LogEntry) -> bool {
        let key = (change.namespace.as_str(), change.name.as_str());
        let is_behind = |piece: &Covered| {
            piece.end.as_ref().is_some_and(|(namespace, name)| (&**namespace, &**name) < key)
        };
        let index = self.covered.partition_point(is_behind);
        self.covered.get(index).is_some_and(|piece| change.version <= piece.version)
    }

    fn event(&self, change: &LogEntry) -> Result<Option<Event>, ApiError> {
        let is_watched = change.kind == self.kind
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == change.namespace);
        if !is_watched || self.is_covered(change) {
            return Ok(None);
        }
        let matching = |stored: &Option<Stored>| match stored {
            Some(stored) if self.selector.is_everything() => Ok(Some(stored.clone())),
            Some(stored) => Ok(self.selector.matches(&stored.object()?).then(|| stored.clone())),
            None => Ok::<_, ApiError>(None),
        };
        let (kind, stored) = match (matching(&change.old)?, matching(&change.new)?) {
            (None, Some(new)) => (EventKind::Added, new),
            (Some(_), Some(new)) => (EventKind::Modified, new),
            // The last state, at the version of the deletion.
            (Some(old), None) => (EventKind::Deleted, old.at_version(change.version)?),
            (None, None) => return Ok(None),
        };
        Ok(Some(Event { kind, stored, version: change.version }))
    }
}

fn too_old(version: u64) -> ApiError {
    ApiError::expired(format!("too old resource version: {version}"))
}

//! The Services that have to be looked at: each once, first come, first served, and after a failure not at once.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::index::Key;

/// The pause after the first failure.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// How often the pause is doubled: it ends at 41 s.
const DOUBLED: u32 = 12;

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    order: VecDeque<Key>,
    waiting: HashSet<Key>,
    /// When those that failed are tried again.
    later: BTreeSet<(Instant, Key)>,
    /// How often they failed.
    failures: HashMap<Key, u32>,
}

impl Queue {
    pub(super) fn add(&mut self, key: Key) {
        if self.waiting.insert(key.clone()) {
            self.order.push_back(key);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Takes the next ones out.
    pub(super) fn take(&mut self, most: usize) -> Vec<Key> {
        let taken: Vec<Key> = self.order.drain(..most.min(self.order.len())).collect();
        taken.iter().for_each(|key| {
            self.waiting.remove(key);
        });
        taken
    }

    pub(super) fn succeeded(&mut self, key: &Key) {
        self.failures.remove(key);
    }

    /// Notes a failure. Each pause is twice as long as the one before.
    pub(super) fn failed(&mut self, key: Key, now: Instant) {
        let failures = self.failures.entry(key.clone()).or_default();
        let pause = FIRST_PAUSE.saturating_mul(1 << (*failures).min(DOUBLED));
        *failures = failures.saturating_add(1);
        self.later.insert((now + pause, key));
    }

    /// When the next one of those that failed is to be tried again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.later.first().map(|(time, _)| *time)
    }

    /// Adds those that are to be tried again by `now`.
    pub(super) fn retry(&mut self, now: Instant) {
        while self.next().is_some_and(|time| time <= now) {
            if let Some((_, key)) = self.later.pop_first() {
                self.add(key);
            }
        }
    }
}

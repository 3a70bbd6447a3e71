//! What goes on on a connection: whether it is used, or only takes the place of others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::limits::{ADMISSION_TIME, IDLE_TIME};
use super::places::Place;

/// What goes on on one connection.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    ended: Notify,
    place: Arc<Place>,
}

#[derive(Debug)]
struct State {
    /// Somebody asked who may.
    is_admitted: bool,
    under_way: usize,
    /// Since when nothing is under way.
    since: Instant,
}

impl Activity {
    /// Of a connection that begins.
    pub(super) fn new(place: Arc<Place>) -> Arc<Self> {
        let state = State { is_admitted: false, under_way: 0, since: Instant::now() };
        Arc::new(Self { state: Mutex::new(state), ended: Notify::new(), place })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.state().under_way += 1;
        UnderWay(Arc::clone(self))
    }

    /// Waits until a request is answered.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Waits until the connection was of no use for too long: nobody who may asked in the time that there is for it, or
    /// nothing has been asked for since.
    pub(super) async fn idle(&self) {
        loop {
            let end = self.end();
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }

    /// When it will have been of no use for too long, as it looks now.
    fn end(&self) -> Instant {
        let state = self.state();
        match *state {
            State { is_admitted: false, since, .. } => since + ADMISSION_TIME,
            State { under_way: 0, since, .. } => since + IDLE_TIME,
            State { .. } => Instant::now() + IDLE_TIME,
        }
    }
}

/// A request that is under way until this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Activity>);

impl UnderWay {
    /// Who asks may do so.
    pub(super) fn admit(&self) {
        self.0.state().is_admitted = true;
        self.0.place.admit();
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way -= 1;
        if state.is_admitted {
            state.since = Instant::now();
        }
        drop(state);
        self.0.ended.notify_one();
    }
}

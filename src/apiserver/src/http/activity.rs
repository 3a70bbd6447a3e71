//! Tracks whether a connection is used or only takes up a place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::limits::{ADMISSION_TIME, IDLE_TIME};
use super::places::Place;

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    ended: Notify,
    place: Arc<Place>,
}

#[derive(Debug)]
struct State {
    /// A request was authenticated.
    is_admitted: bool,
    under_way: usize,
    /// When the last request ended.
    since: Instant,
}

impl Activity {
    pub(super) fn new(place: Arc<Place>) -> Arc<Self> {
        let state = State { is_admitted: false, under_way: 0, since: Instant::now() };
        Arc::new(Self { state: Mutex::new(state), ended: Notify::new(), place })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a request.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.state().under_way += 1;
        UnderWay(Arc::clone(self))
    }

    /// Waits until a request is answered.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Waits until the connection has been useless for too long: without an authenticated request since it began, or
    /// without any request since the last.
    pub(super) async fn idle(&self) {
        loop {
            let end = self.end();
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }

    /// When the connection will have been useless for too long if no request comes.
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
    /// Notes that the request was authenticated.
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

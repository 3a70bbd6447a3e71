//! How much is done at a time, so that no client costs the others more than a share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::busy;
use crate::status::ApiError;

/// Largest body, in bytes, as upstream.
pub(super) const BODY_MAX: usize = 3 << 20;
/// Bodies that are being read and worked on, in bytes. As objects they take ten times that and more.
const BODIES_MAX: usize = 4 * BODY_MAX;
/// Answers that were not read yet, in bytes. One that is larger than that can be alone.
pub(super) const ANSWERS_MAX: usize = 64 << 20;
/// Lists that are put together: there are as many cores on small nodes, and each takes more than it will as an answer.
const LISTS_MAX: usize = 2;
/// Requests that are worked on; upstream has 400 and 200 of its two sorts.
const REQUESTS_MAX: usize = 400;
/// Watches.
const WATCHES_MAX: usize = 512;

/// How long a client may take for the headers, in all.
pub(super) const HEADER_TIME: Duration = Duration::from_secs(30);
/// How long a client may take for a body.
pub(super) const BODY_TIME: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take.
pub(super) const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// How long a connection may go before somebody is admitted on it.
pub(super) const ADMISSION_TIME: Duration = Duration::from_secs(10);
/// How long a connection may go without a request. Clients connect again by themselves.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(180);
/// How long a client may leave unread what it was sent.
pub(super) const UNREAD_TIME: Duration = Duration::from_secs(60);

/// What there is room for.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    bodies: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    lists: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    watches: Arc<Semaphore>,
}

/// Room that is taken until it is dropped.
pub(super) type Room = OwnedSemaphorePermit;

impl Limits {
    pub(super) fn new() -> Self {
        let room = |size| Arc::new(Semaphore::new(size));
        Self {
            bodies: room(BODIES_MAX),
            answers: room(ANSWERS_MAX),
            lists: room(LISTS_MAX),
            requests: room(REQUESTS_MAX),
            watches: room(WATCHES_MAX),
        }
    }

    /// Room for a request.
    pub(super) fn request(&self) -> Result<Room, ApiError> {
        Arc::clone(&self.requests).try_acquire_owned().map_err(|_| busy())
    }

    /// Room for a watch.
    pub(super) fn watch(&self) -> Result<Room, ApiError> {
        Arc::clone(&self.watches).try_acquire_owned().map_err(|_| busy())
    }

    /// Room for a body of `size` bytes.
    pub(super) fn body(&self, size: usize) -> Result<Room, ApiError> {
        let size = u32::try_from(size.min(BODY_MAX)).unwrap_or(u32::MAX);
        Arc::clone(&self.bodies).try_acquire_many_owned(size).map_err(|_| busy())
    }

    /// Room for an answer of `size` bytes.
    pub(super) fn answer(&self, size: usize) -> Result<Room, ApiError> {
        let size = u32::try_from(size.min(ANSWERS_MAX)).unwrap_or(u32::MAX);
        Arc::clone(&self.answers).try_acquire_many_owned(size).map_err(|_| busy())
    }

    /// The same as soon as there is some; `None` when the server ends.
    pub(super) async fn answer_soon(&self, size: usize) -> Option<Room> {
        let size = u32::try_from(size.min(ANSWERS_MAX)).unwrap_or(u32::MAX);
        Arc::clone(&self.answers).acquire_many_owned(size).await.ok()
    }

    /// Room for putting a list together, as soon as there is some: nobody can keep it for long.
    pub(super) async fn list(&self) -> Option<Room> {
        Arc::clone(&self.lists).acquire_owned().await.ok()
    }

    /// Requests and watches that are under way.
    pub(super) fn under_way(&self) -> (usize, usize) {
        let taken = |max: usize, room: &Semaphore| max.saturating_sub(room.available_permits());
        (taken(REQUESTS_MAX, &self.requests), taken(WATCHES_MAX, &self.watches))
    }
}

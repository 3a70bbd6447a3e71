//! Limits, so that no client takes more than its share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::status::ApiError;

/// Largest body, in bytes, as upstream.
pub(super) const BODY_MAX: usize = 3 << 20;
/// All bodies that are read or worked on, in bytes. As objects they take more than ten times that.
const BODIES_MAX: usize = 4 * BODY_MAX;
/// All unread answers, in bytes. A larger answer is sent while there is no other.
pub(super) const ANSWERS_MAX: usize = 64 << 20;
/// Lists that are built at a time: small nodes have two cores, and a list takes more memory while it is built.
const LISTS_MAX: usize = 2;
/// Requests at a time; upstream has 400 reads and 200 changes.
const REQUESTS_MAX: usize = 400;
/// Watches at a time.
const WATCHES_MAX: usize = 512;

/// How long a client may take to send the headers.
pub(super) const HEADER_TIME: Duration = Duration::from_secs(30);
/// How long a client may take to send a body.
pub(super) const BODY_TIME: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take.
pub(super) const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// How long a connection may last without an authenticated request.
pub(super) const ADMISSION_TIME: Duration = Duration::from_secs(10);
/// How long a connection may last without a request. Clients reconnect by themselves.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(180);
/// How long a client may leave an answer unread.
pub(super) const UNREAD_TIME: Duration = Duration::from_secs(60);

/// The room that is left of each limit.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    bodies: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    lists: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    watches: Arc<Semaphore>,
}

/// Room that is taken until this is dropped.
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
        Arc::clone(&self.requests).try_acquire_owned().map_err(|_| ApiError::busy())
    }

    /// Room for a watch.
    pub(super) fn watch(&self) -> Result<Room, ApiError> {
        Arc::clone(&self.watches).try_acquire_owned().map_err(|_| ApiError::busy())
    }

    /// Room for a body of `size` bytes.
    pub(super) fn body(&self, size: usize) -> Result<Room, ApiError> {
        let size = u32::try_from(size.min(BODY_MAX)).unwrap_or(u32::MAX);
        Arc::clone(&self.bodies).try_acquire_many_owned(size).map_err(|_| ApiError::busy())
    }

    /// Room for an answer of `size` bytes.
    pub(super) fn answer(&self, size: usize) -> Result<Room, ApiError> {
        let size = u32::try_from(size.min(ANSWERS_MAX)).unwrap_or(u32::MAX);
        Arc::clone(&self.answers).try_acquire_many_owned(size).map_err(|_| ApiError::busy())
    }

    /// Waits for room for an answer of `size` bytes; `None` when the server ends.
    pub(super) async fn answer_soon(&self, size: usize) -> Option<Room> {
        let size = u32::try_from(size.min(ANSWERS_MAX)).unwrap_or(u32::MAX);
        Arc::clone(&self.answers).acquire_many_owned(size).await.ok()
    }

    /// Waits for room to build a list, which never takes long.
    pub(super) async fn list(&self) -> Option<Room> {
        Arc::clone(&self.lists).acquire_owned().await.ok()
    }

    /// Numbers of requests and watches under way.
    pub(super) fn under_way(&self) -> (usize, usize) {
        let taken = |max: usize, room: &Semaphore| max.saturating_sub(room.available_permits());
        (taken(REQUESTS_MAX, &self.requests), taken(WATCHES_MAX, &self.watches))
    }
}

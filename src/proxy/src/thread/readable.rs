//! A socket of the kernel's that is waited for.

use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How long a socket that cannot be read is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// A socket, in the event loop of the task that made it.
pub(super) struct Readable<T: AsFd> {
    socket: T,
    /// A descriptor of the same socket.
    readiness: AsyncFd<OwnedFd>,
    /// What is watched, for errors.
    what: &'static str,
}

impl<T: AsFd> Readable<T> {
    pub(super) fn new(socket: T, what: &'static str) -> io::Result<Self> {
        let descriptor = socket.as_fd().try_clone_to_owned()?;
        #[allow(
            deprecated,
            reason = "it is unsound for types that may close the descriptor; OwnedFd does not"
        )]
        let readiness = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
        Ok(Self { socket, readiness, what })
    }

    pub(super) fn get_mut(&mut self) -> &mut T {
        &mut self.socket
    }

    /// Waits until there is something to read, or may be.
    pub(super) async fn once(&mut self) {
        match self.readiness.readable().await {
            // Before it is read: what arrives in between wakes once more.
            Ok(mut guard) => guard.clear_ready(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until `read`, which reads all that is there without waiting, finds what is waited for. After an error, which is
    /// logged, that may have happened.
    pub(super) async fn until<E: Display>(&mut self, mut read: impl FnMut(&mut T) -> Result<bool, E>) {
        loop {
            self.once().await;
            match read(&mut self.socket) {
                Ok(false) => {}
                Ok(true) => return,
                Err(error) => {
                    tracing::error!("cannot watch {}: {error}", self.what);
                    tokio::time::sleep(PAUSE).await;
                    return;
                }
            }
        }
    }
}

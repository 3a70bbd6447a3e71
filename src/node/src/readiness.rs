//! Sockets of the kernel's that are waited for.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::pin;

use futures::future::select;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Descriptors of two sockets in the event loop.
pub(crate) struct Readiness([AsyncFd<OwnedFd>; 2]);

impl Readiness {
    /// # Errors
    /// The kernel's answer.
    pub(crate) fn of([first, second]: [BorrowedFd<'_>; 2]) -> io::Result<Self> {
        Ok(Self([registered(first)?, registered(second)?]))
    }

    /// Waits until one of the sockets can be read; false if the event loop has ended.
    pub(crate) async fn wait(&self) -> bool {
        let [first, second] = &self.0;
        let (first, second) = (pin!(first.readable()), pin!(second.readable()));
        match select(first, second).await.factor_first().0 {
            // Before it is read: what arrives in between wakes once more.
            Ok(mut guard) => {
                guard.clear_ready();
                true
            }
            Err(_) => false,
        }
    }
}

fn registered(socket: BorrowedFd<'_>) -> io::Result<AsyncFd<OwnedFd>> {
    #[allow(deprecated, reason = "it is unsound for types that may close the descriptor; OwnedFd does not")]
    AsyncFd::with_interest(socket.try_clone_to_owned()?, Interest::READABLE)
}

//! Notifications of changes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::error::ServicesError;

/// A subscription to changes of the packet filter.
pub struct Notices {
    socket: OwnedFd,
}

impl Notices {
    /// Subscribes to the changes in the calling thread's network namespace.
    pub fn open() -> Result<Self, ServicesError> {
        Err(ServicesError::NoNfTables)
    }

    /// Reads what has arrived, without waiting. True if another socket than `own` changed the table, or notifications were
    /// lost.
    pub fn has_foreign_change(&mut self, _own: u32) -> Result<bool, ServicesError> {
        Err(ServicesError::NoNfTables)
    }
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

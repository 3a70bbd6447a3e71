//! The kernel's notifications of changes, to see when somebody else changes the table.

use std::os::fd::{AsFd, BorrowedFd};

use super::error::ServicesError;
use super::transaction::TABLE;
use crate::net::netfilter::notices::TableNotices;

/// What is tried, for errors.
const WATCH: &str = "watch";

/// A subscription to changes of the table.
pub struct Notices(TableNotices);

impl Notices {
    /// Subscribes to the changes in the calling thread's network namespace. While anybody is subscribed, the kernel makes a
    /// notification for each element, with which a large [`super::Table::replace`] takes several times as long: subscribe
    /// after it.
    pub fn open() -> Result<Self, ServicesError> {
        TableNotices::of(TABLE).map(Self).map_err(ServicesError::of_socket(WATCH))
    }

    /// Reads what has arrived, without waiting. Returns true if another socket than `own` changed the table, or
    /// notifications were lost. From the first call on the kernel keeps those of `own` to itself, so that a large change
    /// does not fill the buffer: call it once before.
    pub fn has_foreign_change(&mut self, own: u32) -> Result<bool, ServicesError> {
        self.0.has_foreign_change(own).map_err(ServicesError::of_socket(WATCH))
    }
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

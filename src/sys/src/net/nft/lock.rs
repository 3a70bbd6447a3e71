//! The lock of the packet filter.

use std::path::Path;

use crate::fs::files::FileError;
use crate::fs::state_dir::{self, Lock, LockKind};

/// What is locked while the packet filter is changed.
const LOCK: &str = "/run/podhosts/nftables.lock";

/// One change at a time: removal looks at what is left before it removes a table.
pub(super) fn lock() -> Result<Lock, FileError> {
    state_dir::lock(Path::new(LOCK), LockKind::Exclusive)
}

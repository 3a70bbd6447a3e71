//! The lock of the packet filter.

use std::path::Path;

use crate::fs::files::FileError;
use crate::fs::state_dir::{self, Lock, LockKind};

/// The lock file.
const LOCK: &str = "/run/podhosts/nftables.lock";

/// Allows one change at a time: a removal checks that a table is empty before it removes it.
pub(super) fn lock() -> Result<Lock, FileError> {
    state_dir::lock(Path::new(LOCK), LockKind::Exclusive)
}

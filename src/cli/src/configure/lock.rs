//! One call of configure or unconfigure at a time.

use std::path::Path;

use sys::fs::files::FileError;
use sys::fs::lock::Lock;
use sys::fs::state_dir::{self, LockKind};

const LOCK: &str = "/run/podhosts/configure.lock";

/// Waits for other calls to end. Two at a time would each keep what the other one wrote as the original.
///
/// # Errors
/// [`FileError`] naming the lock's file.
pub(crate) fn lock() -> Result<Lock, FileError> {
    state_dir::lock(Path::new(LOCK), LockKind::Exclusive)
}

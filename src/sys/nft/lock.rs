//! One change of the packet filter at a time: removal looks at what is left before it removes the table.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, mkdirat, openat};
use rustix::io::{Errno, retry_on_intr};

use super::NftError;

/// The file that is locked, and its directory.
const DIRECTORY: &str = "/run/podhosts";
const PATH: &str = "/run/podhosts/nftables.lock";

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: OwnedFd,
}

impl Lock {
    /// Waits for the lock.
    pub(super) fn take() -> Result<Self, NftError> {
        let file = match open() {
            Err(Errno::NOENT) => make_directory().and_then(|()| open()),
            other => other,
        };
        let failed = |cause: Errno| NftError::Lock { path: PATH, cause: cause.into() };
        let file = file.map_err(failed)?;
        retry_on_intr(|| flock(&file, FlockOperation::LockExclusive)).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn open() -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(CWD, PATH, flags, Mode::from_raw_mode(0o600))
}

fn make_directory() -> rustix::io::Result<()> {
    match mkdirat(CWD, DIRECTORY, Mode::from_raw_mode(0o755)) {
        // Another attachment was first.
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(cause) => Err(cause),
    }
}

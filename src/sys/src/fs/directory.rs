//! Directories, made on first use.

use std::path::Path;

use rustix::fs::{CWD, Mode, mkdirat};
use rustix::io::Errno;

use crate::fs::files::FileError;

/// Makes a directory and those above it, for root only.
///
/// # Errors
/// [`FileError`] naming the directory.
pub fn create(dir: &Path) -> Result<(), FileError> {
    let made = match (mkdirat(CWD, dir, Mode::RWXU), dir.parent()) {
        (Err(Errno::NOENT), Some(parent)) => {
            create(parent)?;
            mkdirat(CWD, dir, Mode::RWXU)
        }
        (made, _) => made,
    };
    match made {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(cause) => Err(FileError::Io { verb: "create", path: dir.to_owned(), cause: cause.into() }),
    }
}

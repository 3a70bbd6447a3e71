//! Reads with a bound, writes by replacement.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fchown, openat};
use thiserror::Error;

/// A file that cannot be read or replaced.
#[derive(Debug, Error)]
pub enum FileError {
    /// The kernel refused.
    #[error("cannot {verb} {path}: {cause}")]
    Io {
        /// The action that failed.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// Somebody has a lock or a lease on it, and keeps it.
    #[error("cannot {verb} {path} within {seconds} s: held by {by}")]
    Held {
        /// The action that failed.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// How long.
        seconds: u64,
        /// The process that has it.
        by: String,
    },
    /// A directory, a fifo, a device.
    #[error("cannot read {0}: it is not a regular file")]
    NotRegular(PathBuf),
    /// More than is ever needed.
    #[error("cannot read {path}: it is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        limit: usize,
    },
    /// Not text.
    #[error("cannot read {0}: it is not UTF-8")]
    NotUtf8(PathBuf),
    /// Somebody else's.
    #[error("cannot use {path}: it belongs to user {owner}, expected root")]
    NotRoots {
        /// The file.
        path: PathBuf,
        /// The number of its owner.
        owner: u32,
    },
    /// Others may write to it.
    #[error("cannot use {path}: it has mode {mode:04o}, expected one in which only root may write")]
    Writable {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

impl FileError {
    fn io(verb: &'static str, path: &Path, cause: impl Into<io::Error>) -> Self {
        Self::Io { verb, path: path.to_owned(), cause: cause.into() }
    }

    /// Whether the file is simply not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if cause.kind() == io::ErrorKind::NotFound)
    }
}

/// Whether a symbolic link at the end of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastLink {
    /// The administrator's own files may be links.
    Follow,
    /// Files in places that others write to may not.
    Refuse,
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// [`FileError`] naming the file.
pub fn read(path: &Path, limit: usize, last_link: LastLink) -> Result<Vec<u8>, FileError> {
    read_at(CWD, path, path, limit, last_link)
}

/// Reads `name` in the directory `dir`, a regular file of at most `limit` bytes; `shown` is its name in errors.
///
/// # Errors
/// [`FileError`] naming the file.
pub(crate) fn read_at(
    dir: impl AsFd,
    name: &Path,
    shown: &Path,
    limit: usize,
    last_link: LastLink,
) -> Result<Vec<u8>, FileError> {
    read_fd(open_at(dir, name, shown, last_link)?, shown, limit)
}

fn open_at(dir: impl AsFd, name: &Path, shown: &Path, last_link: LastLink) -> Result<OwnedFd, FileError> {
    // Without NONBLOCK a fifo in the file's place would hang us.
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    if last_link == LastLink::Refuse {
        flags |= OFlags::NOFOLLOW;
    }
    openat(dir, name, flags, Mode::empty()).map_err(|cause| FileError::io("open", shown, cause))
}

/// Reads a regular file of at most `limit` bytes that is no link, belongs to root, and that nobody else may write to.
///
/// # Errors
/// [`FileError`] naming the file.
pub fn read_of_root(path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    let fd = open_at(CWD, path, path, LastLink::Refuse)?;
    read_checked(fd, path, limit, |metadata| {
        let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
        match (owner, mode & WRITABLE_BY_OTHERS) {
            (0, 0) => Ok(()),
            (0, _) => Err(FileError::Writable { path: path.to_owned(), mode }),
            _ => Err(FileError::NotRoots { path: path.to_owned(), owner }),
        }
    })
}

/// The permissions with which others than the owner may write to a file.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Reads an open file, which has to be a regular one.
///
/// # Errors
/// [`FileError`] naming the file as `shown`.
pub(crate) fn read_fd(fd: OwnedFd, shown: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    read_checked(fd, shown, limit, |_| Ok(()))
}

/// The same, of a file whose metadata passes `check`.
fn read_checked(
    fd: OwnedFd,
    shown: &Path,
    limit: usize,
    check: impl FnOnce(&Metadata) -> Result<(), FileError>,
) -> Result<Vec<u8>, FileError> {
    let file = File::from(fd);
    let metadata = file.metadata().map_err(|cause| FileError::io("stat", shown, cause))?;
    if !metadata.is_file() {
        return Err(FileError::NotRegular(shown.to_owned()));
    }
    check(&metadata)?;
    read_stream(file, shown, limit, usize::try_from(metadata.len()).unwrap_or(limit))
}

/// Reads a stream to its end, `shown` being its name in errors.
///
/// # Errors
/// [`FileError`] when it cannot be read or holds more than `limit` bytes.
pub fn read_stream(
    stream: impl Read,
    shown: &Path,
    limit: usize,
    expected: usize,
) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::with_capacity(expected.min(limit) + 1);
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    stream.take(bound).read_to_end(&mut bytes).map_err(|cause| FileError::io("read", shown, cause))?;
    if bytes.len() > limit {
        return Err(FileError::TooLarge { path: shown.to_owned(), limit });
    }
    Ok(bytes)
}

/// Reads a text file of at most `limit` bytes; `None` where there is no such file.
///
/// # Errors
/// [`FileError`] naming the file.
pub fn read_text_if_present(
    path: &Path,
    limit: usize,
    last_link: LastLink,
) -> Result<Option<String>, FileError> {
    let bytes = match read(path, limit, last_link) {
        Err(error) if error.is_absent() => return Ok(None),
        other => other?,
    };
    String::from_utf8(bytes).map(Some).map_err(|_| FileError::NotUtf8(path.to_owned()))
}

/// Opens a regular file that is there, and no link, to write into it.
///
/// # Errors
/// [`FileError`] naming the file.
pub fn open_for_writing(path: &Path) -> Result<File, FileError> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let fd = openat(CWD, path, flags, Mode::empty()).map_err(|cause| FileError::io("open", path, cause))?;
    let file = File::from(fd);
    let metadata = file.metadata().map_err(|cause| FileError::io("stat", path, cause))?;
    if metadata.is_file() { Ok(file) } else { Err(FileError::NotRegular(path.to_owned())) }
}

/// Whether the kernel lets this process write to the file at `path`; nothing is written.
pub fn can_be_opened_for_writing(path: &Path) -> bool {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    openat(CWD, path, flags, Mode::empty()).is_ok()
}

/// A file's content together with what a replacement has to keep.
#[derive(Debug)]
pub struct Original {
    /// The content.
    pub bytes: Vec<u8>,
    path: PathBuf,
    metadata: Metadata,
}

impl Original {
    /// Reads a file that is going to be replaced.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub fn read(path: &Path, limit: usize) -> Result<Self, FileError> {
        // A link stays one: what it leads to is replaced.
        let path = &path.canonicalize().map_err(|cause| FileError::io("open", path, cause))?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let fd = openat(CWD, path, flags, Mode::empty());
        let fd = fd.map_err(|cause| FileError::io("open", path, cause))?;
        let file = File::from(fd);
        let metadata = file.metadata().map_err(|cause| FileError::io("stat", path, cause))?;
        let bytes = read_fd(file.into(), path, limit)?;
        Ok(Self { bytes, path: path.to_owned(), metadata })
    }

    /// Puts `bytes` in the file's place, with its mode and owner, so that a reader sees the old or the new text.
    ///
    /// There is no fsync: it guards against power loss only, after which no bundle is of use.
    ///
    /// # Errors
    /// [`FileError`] naming the file, which is then as it was.
    pub fn replace(&self, bytes: &[u8]) -> Result<(), FileError> {
        let failed = |cause: io::Error| FileError::io("replace", &self.path, cause);
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        let mode = Permissions::from_mode(self.metadata.mode() & 0o7777);
        let mut builder = tempfile::Builder::new();
        let mut temporary =
            builder.prefix(".config.json.").permissions(mode.clone()).tempfile_in(dir).map_err(failed)?;
        temporary.write_all(bytes).map_err(failed)?;
        let file = temporary.as_file();
        // The umask may have taken bits from the mode.
        file.set_permissions(mode).map_err(failed)?;
        let uid = rustix::fs::Uid::from_raw(self.metadata.uid());
        let gid = rustix::fs::Gid::from_raw(self.metadata.gid());
        fchown(file, Some(uid), Some(gid)).map_err(|cause| failed(cause.into()))?;
        temporary.persist(&self.path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn reads_are_bounded_and_of_regular_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::os::unix::fs::symlink("f", dir.path().join("link")).unwrap();
        put(&path, b"12345");
        assert_eq!(read(&path, 5, LastLink::Refuse).unwrap(), b"12345");
        assert!(matches!(read(&path, 4, LastLink::Refuse), Err(FileError::TooLarge { limit: 4, .. })));
        let link = dir.path().join("link");
        assert_eq!(read(&link, 5, LastLink::Follow).unwrap(), b"12345");
        assert!(read(&link, 5, LastLink::Refuse).is_err());
        assert!(matches!(read(dir.path(), 5, LastLink::Refuse), Err(FileError::NotRegular(_))));
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert!(matches!(read(&fifo, 5, LastLink::Refuse), Err(FileError::NotRegular(_))));
        assert!(read_text_if_present(&dir.path().join("none"), 5, LastLink::Refuse).unwrap().is_none());
        put(&path, b"\xff");
        assert!(matches!(read_text_if_present(&path, 5, LastLink::Refuse), Err(FileError::NotUtf8(_))));
    }

    #[test]
    fn a_file_of_roots_is_one_that_root_alone_may_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        put(&path, b"1");
        let read = || read_of_root(&path, 1).map_err(|error| error.to_string());
        assert_eq!(read().unwrap(), b"1");
        for (mode, is_private) in [(0o644, true), (0o400, true), (0o620, false), (0o602, false)] {
            rustix::fs::chmod(&path, Mode::from_raw_mode(mode)).unwrap();
            let expected = format!(
                "cannot use {}: it has mode {mode:04o}, expected one in which only root may write",
                path.display()
            );
            assert_eq!(read().err(), (!is_private).then_some(expected));
        }
        std::os::unix::fs::chown(&path, Some(1000), None).unwrap();
        assert!(read().unwrap_err().ends_with("it belongs to user 1000, expected root"));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("f", &link).unwrap();
        assert!(matches!(read_of_root(&link, 1), Err(FileError::Io { verb: "open", .. })));
    }

    #[test]
    fn a_replacement_keeps_the_mode_and_leaves_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        put(&path, b"old");
        rustix::fs::chmod(&path, Mode::from_raw_mode(0o640)).unwrap();
        Original::read(&path, 100).unwrap().replace(b"new").unwrap();
        assert_eq!(read(&path, 100, LastLink::Refuse).unwrap(), b"new");
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o640);
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("config.json", &link).unwrap();
        Original::read(&link, 100).unwrap().replace(b"newer").unwrap();
        assert_eq!(read(&path, 100, LastLink::Refuse).unwrap(), b"newer");
        assert!(link.is_symlink());
    }

    fn put(path: &Path, bytes: &[u8]) {
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap()).unwrap();
        file.write_all(bytes).unwrap();
        file.persist(path).unwrap();
    }
}

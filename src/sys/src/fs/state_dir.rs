//! Directories in which podhosts keeps state: made on first use, locked, their files replaced as a whole.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, Mode, OFlags, fallocate, fchmod, fsync, linkat, openat, renameat,
    symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::fs::files::FileError;

pub use crate::fs::directory::create;
pub use crate::fs::lock::{Lock, LockKind, against_leases, lock, lock_in_turn, try_lock};

fn refused(verb: &'static str, path: &Path) -> impl Fn(Errno) -> FileError {
    move |cause| FileError::Io { verb, path: path.to_owned(), cause: cause.into() }
}

/// The directory that a file is in.
pub fn dir_of(path: &Path) -> &Path {
    match path.parent() {
        None => Path::new("/"),
        Some(dir) if dir.as_os_str().is_empty() => Path::new("."),
        Some(dir) => dir,
    }
}

/// Puts a file with `bytes` at `path`: a reader sees the old one or the new one, whole.
///
/// A new file has no name until it is written, so a writer that is killed leaves nothing.
///
/// # Errors
/// [`FileError`] naming the file, which is then as it was.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    put(path, bytes, |_| Ok(()))
}

/// As [`replace`], and after a power failure, too, the file is there as a whole.
///
/// # Errors
/// [`FileError`] naming the file. It may be the new one all the same.
pub fn replace_synced(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    put(path, bytes, |file| file.sync_all())?;
    sync(dir_of(path))
}

/// Puts a file in its place after `written`, which sees it before anybody else does.
fn put(path: &Path, bytes: &[u8], written: fn(&File) -> io::Result<()>) -> Result<(), FileError> {
    let failed = |cause: io::Error| FileError::Io { verb: "write", path: path.to_owned(), cause };
    let dir = dir_of(path);
    let put = match put_new(dir, path, bytes, written) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(dir)?;
            put_new(dir, path, bytes, written)
        }
        other => other,
    };
    let has_other_ways = |error: &io::Error| {
        // There is a file already, the file system has no files without a name, or there is no /proc.
        let errno = Errno::from_io_error(error);
        matches!(errno, Some(Errno::EXIST | Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT))
    };
    match put {
        Err(error) if has_other_ways(&error) => exchange(dir, path, bytes, written).map_err(failed),
        other => other.map_err(failed),
    }
}

/// Writes a file that has no name, and gives it its name, which must be free.
fn put_new(dir: &Path, path: &Path, bytes: &[u8], written: fn(&File) -> io::Result<()>) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    let mut file = File::from(openat(CWD, dir, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all(bytes)?;
    written(&file)?;
    let open_file = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, open_file, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

/// Writes a file beside another one and puts it in its place.
fn exchange(dir: &Path, path: &Path, bytes: &[u8], written: fn(&File) -> io::Result<()>) -> io::Result<()> {
    let mut temporary = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(dir)?;
    temporary.write_all(bytes)?;
    written(temporary.as_file())?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// How the names of files begin that are being written, or whose writer was killed.
pub const TEMPORARY: &str = ".tmp";

/// Where a directory really is, with no link in its path.
///
/// # Errors
/// [`FileError`] naming the directory.
pub fn resolve(dir: &Path) -> Result<PathBuf, FileError> {
    dir.canonicalize().map_err(|cause| FileError::Io { verb: "open", path: dir.to_owned(), cause })
}

/// Whether something else than a regular file is at `path`.
pub fn is_foreign(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| !metadata.is_file())
}

/// Removes a file; tells whether there was one.
///
/// # Errors
/// [`FileError`] naming the file.
pub fn remove(path: &Path) -> Result<bool, FileError> {
    match unlinkat(CWD, path, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(cause) => Err(refused("remove", path)(cause)),
    }
}

/// Removes a directory that is empty; tells whether it did.
///
/// # Errors
/// [`FileError`] naming the directory.
pub fn remove_empty(dir: &Path) -> Result<bool, FileError> {
    match unlinkat(CWD, dir, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(cause) => Err(refused("remove", dir)(cause)),
    }
}

/// Gives a file another name.
///
/// # Errors
/// [`FileError`] naming the file.
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    renameat(CWD, from, CWD, to).map_err(refused("rename", from))
}

/// The names in a directory, sorted; none where there is no such directory. Names that are not UTF-8 are not ours.
///
/// # Errors
/// [`FileError`] naming the directory.
pub fn names(dir: &Path) -> Result<Vec<String>, FileError> {
    let failed = |cause: io::Error| FileError::Io { verb: "list", path: dir.to_owned(), cause };
    let entries = match dir.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

/// Sees that a file has at least `size` bytes, and that they have their place on the disk.
///
/// # Errors
/// [`FileError`] naming the file.
pub fn reserve(path: &Path, size: u64) -> Result<(), FileError> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(CWD, path, flags, Mode::empty()).map_err(refused("open", path))?;
    match fallocate(&file, FallocateFlags::empty(), 0, size) {
        // The file system cannot promise it.
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(cause) => Err(refused("write", path)(cause)),
    }
}

/// Makes a file for root only, and an empty one where there is none.
///
/// # Errors
/// [`FileError`] naming the file.
pub fn make_private(path: &Path) -> Result<(), FileError> {
    let mode = Mode::RUSR | Mode::WUSR;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, mode).map_err(refused("open", path))?;
    fchmod(&file, mode).map_err(refused("write", path))
}

/// Sees that the names in a directory are on the disk.
///
/// # Errors
/// [`FileError`] naming the directory.
pub fn sync(dir: &Path) -> Result<(), FileError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat(CWD, dir, flags, Mode::empty()).map_err(refused("open", dir))?;
    fsync(&opened).map_err(refused("write", dir))
}

/// When a file was written; `None` where there is none.
pub fn modified(path: &Path) -> Option<SystemTime> {
    path.symlink_metadata().and_then(|metadata| metadata.modified()).ok()
}

/// Makes a symbolic link at `path` to `target`, unless there is something already.
///
/// # Errors
/// [`FileError`] naming the link.
pub fn link(path: &Path, target: &Path) -> Result<(), FileError> {
    let make = || symlinkat(target, CWD, path);
    let made = match (make(), path.parent()) {
        (Err(Errno::NOENT), Some(dir)) => {
            create(dir)?;
            make()
        }
        (other, _) => other,
    };
    match made {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(cause) => Err(refused("create", path)(cause)),
    }
}

/// Where a symbolic link leads, if it is one.
pub fn target(path: &Path) -> Option<PathBuf> {
    path.read_link().ok()
}

/// A free name for a file that is set aside: `<path>.bad`, `<path>.bad1`, ...
pub fn aside(path: &Path) -> PathBuf {
    let name = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(if n == 0 { ".bad".to_owned() } else { format!(".bad{n}") });
        PathBuf::from(name)
    };
    (0..).map(name).find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| name(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::files::{LastLink, read};

    #[test]
    fn files_are_replaced_and_removed_and_directories_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a/b/c");
        replace(&file, b"1").unwrap();
        replace(&file, b"2").unwrap();
        assert_eq!(read(&file, 10, LastLink::Refuse).unwrap(), b"2");
        assert_eq!(names(file.parent().unwrap()).unwrap(), ["c"]);
        let bad = aside(&file);
        rename(&file, &bad).unwrap();
        assert_eq!(aside(&file), dir.path().join("a/b/c.bad1"));
        assert!(!remove(&file).unwrap() && remove(&bad).unwrap());
        assert_eq!(names(&dir.path().join("none")).unwrap(), [""; 0]);
    }

    #[test]
    fn every_file_is_in_a_directory() {
        for (path, dir) in [("kubeconfig", "."), ("./kubeconfig", "."), ("/a/b", "/a"), ("/", "/")] {
            assert_eq!(dir_of(Path::new(path)), Path::new(dir), "{path}");
        }
    }
}

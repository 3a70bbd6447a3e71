//! Files of the node's /etc: written beside their place, all of them, before the first takes its place.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::fchown;
use tempfile::NamedTempFile;

use crate::fs::files::FileError;

/// The mode of a new file: engines and people read it.
const NEW_FILE: u32 = 0o644;

/// The mode of a new directory.
const NEW_DIR: u32 = 0o755;

/// The mode of a new directory for root only.
const OWN_DIR: u32 = 0o700;

/// How the names of files begin that are being written.
const TEMPORARY: &str = ".podhosts-tmp.";

fn refused(verb: &'static str, path: &Path) -> impl Fn(io::Error) -> FileError {
    move |cause| FileError::Io { verb, path: path.to_owned(), cause }
}

/// A text that is on the disk already, beside the file it is going to be.
#[derive(Debug)]
pub struct Staged {
    temporary: NamedTempFile,
    target: PathBuf,
}

impl Staged {
    /// Writes `bytes` for `path`, whose directory has to be there. What is at `path` gives mode and owner; a symbolic
    /// link there stays, and what it leads to is meant.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub fn new(path: &Path, bytes: &[u8]) -> Result<Self, FileError> {
        let failed = refused("write", path);
        let (target, before) = match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
            Err(error) => return Err(failed(error)),
            Ok(_) => {
                let target = path.canonicalize().map_err(&failed)?;
                let before = target.metadata().map_err(&failed)?;
                (target, Some(before))
            }
        };
        let dir = target.parent().unwrap_or(Path::new("/"));
        let mut temporary = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(dir).map_err(&failed)?;
        temporary.write_all(bytes).map_err(&failed)?;
        like(&temporary, before.as_ref()).map_err(&failed)?;
        // An engine that finds an empty configuration after a power failure does not start.
        temporary.as_file().sync_all().map_err(&failed)?;
        Ok(Self { temporary, target })
    }

    /// Lets the text take its place.
    ///
    /// # Errors
    /// [`FileError`] naming the file, which is then as it was.
    pub fn put(self) -> Result<(), FileError> {
        self.temporary.persist(&self.target).map_err(|error| refused("write", &self.target)(error.error))?;
        Ok(())
    }
}

/// Gives a file the mode and owner of the one it replaces.
fn like(file: &NamedTempFile, before: Option<&Metadata>) -> io::Result<()> {
    let file = file.as_file();
    let mode = before.map_or(NEW_FILE, |before| before.mode() & 0o7777);
    if let Some(before) = before {
        let uid = rustix::fs::Uid::from_raw(before.uid());
        let gid = rustix::fs::Gid::from_raw(before.gid());
        fchown(file, Some(uid), Some(gid))?;
    }
    // After the owner: a change of it takes set-id bits away.
    file.set_permissions(Permissions::from_mode(mode))
}

/// Removes what a [`Staged`] left in `dir` whose program was killed.
pub fn remove_leftovers(dir: &Path) {
    for name in crate::fs::state_dir::names(dir).unwrap_or_default() {
        if name.starts_with(TEMPORARY) {
            // A leftover that cannot be removed does no harm.
            let _ = crate::fs::state_dir::remove(&dir.join(name));
        }
    }
}

/// The directories above `path` that are missing, the uppermost first.
pub fn missing_dirs(path: &Path) -> Vec<PathBuf> {
    let above = path.ancestors().skip(1).take_while(|dir| dir.symlink_metadata().is_err());
    let mut dirs: Vec<PathBuf> = above.map(Path::to_owned).collect();
    dirs.reverse();
    dirs
}

/// Makes a directory that everybody may read.
///
/// # Errors
/// [`FileError`] naming the directory.
pub fn make_dir(dir: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new().mode(NEW_DIR).create(dir).map_err(refused("create", dir))
}

/// The mark of a directory that is not finished. It means nothing where only its owner may write.
const UNFINISHED: u32 = 0o1000;

/// The directories above `path` that are missing, or that a process which was killed did not finish, the uppermost first.
pub fn unfinished_dirs(path: &Path) -> Vec<PathBuf> {
    let is_finished =
        |dir: &Path| dir.symlink_metadata().is_ok_and(|dir| dir.permissions().mode() & UNFINISHED == 0);
    let above = path.ancestors().skip(1).take_while(|dir| !is_finished(dir));
    let mut dirs: Vec<PathBuf> = above.map(Path::to_owned).collect();
    dirs.reverse();
    dirs
}

/// Makes directories for root only, the uppermost first, that are marked until [`finish_dirs`].
///
/// # Errors
/// [`FileError`] naming the directory.
pub fn make_unfinished_dirs(dirs: &[PathBuf]) -> Result<(), FileError> {
    for dir in dirs {
        match fs::DirBuilder::new().mode(OWN_DIR | UNFINISHED).create(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.map_err(refused("create", dir))?,
        }
    }
    Ok(())
}

/// Takes the mark off directories.
///
/// # Errors
/// [`FileError`] naming the directory.
pub fn finish_dirs(dirs: &[PathBuf]) -> Result<(), FileError> {
    let finish = |dir: &PathBuf| {
        fs::set_permissions(dir, fs::Permissions::from_mode(OWN_DIR)).map_err(refused("change", dir))
    };
    dirs.iter().try_for_each(finish)
}

/// Removes a directory if it is empty; one that is not, or is gone, is no error.
pub fn remove_empty_dir(dir: &Path) {
    let _ = fs::remove_dir(dir);
}

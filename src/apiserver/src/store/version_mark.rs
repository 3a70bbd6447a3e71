//! The last resource version that clients were given, in a file beside the store. An older store that replaces a newer
//! one brings its older counter along; clients have seen later versions by then, and would take new objects for old ones.
//!
//! The file is written after each commit, before clients are told, and not synced, which would cost as much as the
//! commit. After a crash of the machine it may be behind, so it counts only if the machine has run since, or the server
//! was stopped.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sys::fs::files::{self, LastLink};
use sys::fs::state_dir;

/// How far versions jump when the last one is unknown: as far as etcd's documentation proposes for `--bump-revision`.
/// That many changes take months.
const AHEAD: u64 = 1_000_000_000;
/// The last version that a store may have (see `contents`).
const LAST: u64 = 0x3fff_ffff_ffff_ffff;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// In place of the boot's id: the server was stopped.
const STOPPED: &str = "stopped";
/// In place of the boot's id: the store was restored.
const RESTORED: &str = "restored";
/// Digits of a version in the file, so that a later version overwrites an earlier one exactly.
const DIGITS: usize = 20;
/// Longest file, in bytes.
const FILE_MAX: usize = 100;

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    version: u64,
    /// The id of the boot in which it was written, [`STOPPED`] or [`RESTORED`].
    state: String,
}

/// The file, open for writing.
#[derive(Debug)]
pub(crate) struct VersionMark {
    path: PathBuf,
    /// `None` if it cannot be written: then it was removed, too.
    file: Option<File>,
}

fn path_of(store: &Path) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(".version");
    PathBuf::from(path)
}

fn read(store: &Path) -> Option<Said> {
    let bytes = files::read(&path_of(store), FILE_MAX, LastLink::Refuse).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (version, state) = text.trim_end().split_once(' ')?;
    Some(Said { version: version.parse().ok()?, state: state.to_owned() })
}

fn boot_id() -> String {
    let bytes = files::read(Path::new(BOOT_ID), FILE_MAX, LastLink::Follow).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// The version from which a store whose last one is `version` has to go on; `None` if that is `version` itself.
pub(crate) fn beginning(store: &Path, version: u64) -> Option<u64> {
    go_on(read(store), version, &boot_id())
}

fn go_on(said: Option<Said>, version: u64, boot: &str) -> Option<u64> {
    let is_new = version <= 1;
    let known = match said {
        None if is_new => return None,
        None => version,
        Some(said) => {
            let is_believed = said.state == STOPPED || said.state == boot && !boot.is_empty();
            if is_believed && said.version <= version {
                return None;
            }
            said.version.max(version)
        }
    };
    Some(ahead_of(known))
}

fn ahead_of(version: u64) -> u64 {
    version.checked_add(AHEAD).filter(|ahead| *ahead <= LAST).unwrap_or_else(|| version.saturating_add(1))
}

/// Notes for the next start that the store was replaced, and that versions up to `version` were given to clients.
///
/// # Errors
/// Naming the file.
pub(crate) fn note_restored(store: &Path, version: u64) -> Result<(), files::FileError> {
    let known = read(store).map_or(version, |said| said.version.max(version));
    state_dir::replace_synced(&path_of(store), text(known, RESTORED).as_bytes())
}

fn text(version: u64, state: &str) -> String {
    format!("{version:0DIGITS$} {state}\n")
}

impl VersionMark {
    /// Writes the file of a store whose last version is `version`, and keeps it open.
    pub(crate) fn begin(store: &Path, version: u64) -> Self {
        let path = path_of(store);
        let written = state_dir::replace_synced(&path, text(version, &boot_id()).as_bytes());
        let opened = written.and_then(|()| files::open_for_writing(&path));
        let mut mark = Self { path, file: None };
        match opened {
            Ok(file) => mark.file = Some(file),
            Err(error) => mark.give_up(&error.to_string()),
        }
        mark
    }

    /// Writes the last version, before clients are told of it.
    pub(crate) fn set(&mut self, version: u64) {
        let Some(file) = &self.file else { return };
        if let Err(cause) = file.write_all_at(format!("{version:0DIGITS$}").as_bytes(), 0) {
            self.give_up(&cause.to_string());
        }
    }

    /// Notes that the server was stopped at this version.
    pub(crate) fn stop(&mut self, version: u64) {
        if self.file.take().is_none() {
            return;
        }
        if let Err(error) = state_dir::replace_synced(&self.path, text(version, STOPPED).as_bytes()) {
            self.give_up(&error.to_string());
        }
    }

    /// Removes the file, for an outdated one is wrong: without one, the next start goes far ahead.
    fn give_up(&mut self, cause: &str) {
        tracing::error!(%cause, "the last version cannot be kept: the next start goes far ahead");
        self.file = None;
        // If this fails too, the store cannot be written either, and clients get no new versions.
        let _ = state_dir::remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(version: u64, state: &str) -> Option<Said> {
        Some(Said { version, state: state.to_owned() })
    }

    #[test]
    fn where_versions_go_on() {
        for (file, version, expected) in [
            // No file: a new store, or one from elsewhere or from an older release.
            (None, 1, None),
            (None, 7, Some(AHEAD + 7)),
            // Unchanged since a stop, or a kill on a running machine, before or after the file was written.
            (said(7, STOPPED), 7, None),
            (said(7, "boot"), 7, None),
            (said(7, "boot"), 8, None),
            // The store is older than the file.
            (said(9, STOPPED), 7, Some(AHEAD + 9)),
            (said(9, "boot"), 7, Some(AHEAD + 9)),
            (said(9, STOPPED), 1, Some(AHEAD + 9)),
            // The machine has crashed, or the store was restored.
            (said(7, "other"), 7, Some(AHEAD + 7)),
            (said(7, "other"), 9, Some(AHEAD + 9)),
            (said(7, RESTORED), 9, Some(AHEAD + 9)),
            (said(LAST - 5, RESTORED), 9, Some(LAST - 4)),
        ] {
            assert_eq!(go_on(file.clone(), version, "boot"), expected, "{file:?} {version}");
        }
        // Without a boot id nothing is known.
        assert_eq!(go_on(said(7, ""), 7, ""), Some(AHEAD + 7));
    }

    #[test]
    fn the_file_says_what_was_given_out() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("db");
        let mut mark = VersionMark::begin(&store, 5);
        assert_eq!(read(&store), said(5, &boot_id()));
        mark.set(12_345);
        assert_eq!(read(&store), said(12_345, &boot_id()));
        drop(mark);
        // Killed, but the machine kept running.
        assert_eq!((beginning(&store, 12_345), beginning(&store, 5)), (None, Some(AHEAD + 12_345)));
        let mut mark = VersionMark::begin(&store, 12_345);
        mark.stop(12_346);
        assert_eq!(read(&store), said(12_346, STOPPED));
        note_restored(&store, 3).unwrap();
        assert_eq!(read(&store), said(12_346, RESTORED));
        for text in ["", "7", "x stopped", "99999999999999999999999 stopped", &"1".repeat(200)] {
            state_dir::replace(&path_of(&store), text.as_bytes()).unwrap();
            assert_eq!(beginning(&store, 7), Some(AHEAD + 7), "{text}");
        }
    }
}

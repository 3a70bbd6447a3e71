//! `podhosts-apiserver backup` and `restore`: the store as one file that stands alone.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use super::contents;
use super::version_mark;
use super::{Store, StoreError};
use crate::tables::{self, SCHEMA};
use sqlite;
use sys::fs::files::{self, FileError, LastLink};
use sys::fs::state_dir;

/// Largest backup that is restored, in bytes: a million Services.
const BACKUP_MAX: usize = 4 << 30;

/// Offset of the two bytes with the versions of SQLite's file format: for writing and for reading.
const FORMATS: std::ops::Range<usize> = 18..20;

/// Why a backup cannot be made or restored.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The backup's file exists already.
    #[error("cannot write {0}: there is such a file")]
    Exists(PathBuf),
    /// The file is no backup.
    #[error("cannot restore {path}: {cause}")]
    NoBackup {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
}

/// Copies the store at `path` to the new file `to`; the server may run.
///
/// # Errors
/// [`BackupError`] naming the file; then there is no backup.
pub fn backup(path: &Path, to: &Path) -> Result<(), BackupError> {
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let dir = state_dir::dir_of(to);
    let io = |cause| FileError::Io { verb: "write", path: to.to_owned(), cause };
    let new = tempfile::NamedTempFile::new_in(dir).map_err(io)?;
    let store = Store::open_for_reading(path)?;
    // One statement copies one snapshot.
    let copied = store.db.execute("VACUUM INTO ?1", [new.path().to_string_lossy()]);
    copied.map_err(|cause| store.failed(cause))?;
    new.as_file().sync_all().map_err(io)?;
    new.persist_noclobber(to).map_err(|error| io(error.error))?;
    Ok(())
}

/// Replaces the store at `path` by the backup `from`; the server must not run.
///
/// # Errors
/// [`BackupError`] naming the file; then the store is as it was.
pub fn restore(path: &Path, from: &Path) -> Result<(), BackupError> {
    let bytes = files::read(from, BACKUP_MAX, LastLink::Follow)?;
    let no_backup =
        |cause: String| BackupError::NoBackup { path: from.to_owned(), cause: sqlite::shown(&cause) };
    // SQLite opens a file with other versions than 1 and 2 for reading only.
    if let Some(formats) = bytes.get(FORMATS)
        && !formats.iter().all(|format| matches!(format, 1 | 2))
    {
        return Err(no_backup("it has a format that cannot be written".to_owned()));
    }
    let dir = state_dir::dir_of(path);
    state_dir::create(dir)?;
    let _lock = Store::lock(path)?;
    let io = |cause| FileError::Io { verb: "write", path: path.to_owned(), cause };
    let mut new = tempfile::Builder::new().prefix(state_dir::TEMPORARY).tempfile_in(dir).map_err(io)?;
    new.write_all(&bytes).and_then(|()| new.as_file().sync_all()).map_err(io)?;
    // Checks the copy: no other process can change it, and no log is beside it.
    check(new.path()).map_err(no_backup)?;
    // Clients may have seen every version of the present store, including those in its log.
    let last = Store::open_for_reading(path).ok().and_then(|store| store.version().ok());
    version_mark::note_restored(path, last.unwrap_or_default())?;
    remove_log(path)?;
    new.persist(path).map_err(|error| io(error.error))?;
    Ok(state_dir::sync(dir)?)
}

/// Removes the log of a store, so that SQLite does not take it for the log of the next one. Its content goes into the
/// store first, unless that is damaged, so that the old store stays whole until it is replaced.
fn remove_log(path: &Path) -> Result<(), FileError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
    let _ = db.and_then(|db| db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    for suffix in ["-wal", "-shm"] {
        let mut log = path.as_os_str().to_owned();
        log.push(suffix);
        state_dir::remove(Path::new(&log))?;
    }
    Ok(())
}

/// Checks that the file is an undamaged store: with its tables, without anything else that SQLite would run, and with
/// objects in all rows. The tables are checked before anything is read from them.
fn check(copy: &Path) -> Result<(), String> {
    let failed = |cause: rusqlite::Error| cause.to_string();
    let path = percent_encode(copy.as_os_str().as_bytes(), NON_ALPHANUMERIC);
    // SQLite then writes nothing beside it, even if the file asks for a log.
    let uri = format!("file:{path}?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(uri, flags).map_err(failed)?;
    sqlite::distrust(&db).map_err(failed)?;
    let schema = tables::version(&db).map_err(failed)?;
    if !(1..=SCHEMA).contains(&schema) {
        return Err(format!("it has schema {schema}, expected {SCHEMA}"));
    }
    if let Some(difference) = tables::difference(&db, schema).map_err(failed)? {
        return Err(difference);
    }
    if let Some(damage) = sqlite::damage(&db, "integrity_check").map_err(failed)? {
        return Err(damage);
    }
    contents::fault(&db).map_err(failed)?.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::service::KIND;
    use crate::tables::{APPLIED, COUNTER, OBJECTS_1};

    fn service(namespace: &str, version: u64) -> String {
        let metadata = format!("\"name\":\"web\",\"namespace\":\"{namespace}\",\"uid\":\"1\"");
        format!("{{\"kind\":\"Service\",\"metadata\":{{{metadata},\"resourceVersion\":\"{version}\"}}}}")
    }

    #[test]
    fn a_backup_is_the_store_and_only_a_backup_is_restored() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let store = Store::open(&at("db")).unwrap();
        store.put(&KIND, "default", "web", 7, &service("default", 7)).unwrap();
        store.set_version(7).unwrap();
        backup(&at("db"), &at("copy")).unwrap();
        let error = backup(&at("db"), &at("copy")).unwrap_err().to_string();
        assert!(error.ends_with("/copy: there is such a file"), "{error}");
        store.remove(&KIND, "default", "web").unwrap();
        let error = restore(&at("db"), &at("copy")).unwrap_err().to_string();
        assert!(error.ends_with("another podhosts-apiserver has it"), "{error}");
        drop(store);
        for (name, text) in
            [("empty", ""), ("text", "no database at all, but long enough for a header of SQLite.....")]
        {
            state_dir::replace(&at(name), text.as_bytes()).unwrap();
            assert!(matches!(restore(&at("db"), &at(name)), Err(BackupError::NoBackup { .. })), "{name}");
        }
        let half = files::read(&at("copy"), BACKUP_MAX, LastLink::Refuse).unwrap();
        state_dir::replace(&at("half"), &half[..half.len() / 2]).unwrap();
        assert!(restore(&at("db"), &at("half")).is_err());
        assert!(restore(&at("db"), &at("none")).is_err());
        restore(&at("db"), &at("copy")).unwrap();
        let store = Store::open(&at("db")).unwrap();
        // A data directory that is not there yet is made.
        restore(&at("a/b/db"), &at("copy")).unwrap();
        assert_eq!(state_dir::names(&at("a/b")).unwrap(), ["db", "db.lock", "db.version"]);
        assert_eq!(&*store.get(&KIND, "default", "web").unwrap().unwrap().text, service("default", 7));
    }

    /// A store as the first schema had it, with two objects.
    fn of_schema_1(path: &Path) {
        let db = Connection::open(path).unwrap();
        let (a, b) = (service("a", 7), service("b", 5));
        db.execute_batch(&format!(
            "{OBJECTS_1}; {APPLIED}; {COUNTER};
             INSERT INTO counter VALUES (7);
             INSERT INTO objects VALUES ('services', 'b', 'web', 5, '{b}'), ('services', 'a', 'web', 7, '{a}');
             INSERT INTO applied VALUES ('services', 'b', 'web', 'kubectl', '{{}}');
             PRAGMA user_version = 1"
        ))
        .unwrap();
    }

    #[test]
    fn the_first_schema_is_made_the_present_one() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        of_schema_1(&at("db"));
        of_schema_1(&at("copy"));
        restore(&at("restored"), &at("copy")).unwrap();
        for name in ["db", "restored"] {
            drop(Store::open(&at(name)).unwrap());
            let store = Store::open(&at(name)).unwrap();
            let all = store.list(&KIND, None, ("", ""), i64::MAX).unwrap();
            assert_eq!(
                all.iter().map(|row| &*row.stored.text).collect::<Vec<_>>(),
                [service("a", 7), service("b", 5)],
                "{name}"
            );
            assert_eq!(store.version().unwrap(), 7);
            assert_eq!(store.applied(&KIND, "b", "web").unwrap(), [("kubectl".into(), "{}".into())]);
            let schema = |sql| store.db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
            assert_eq!(schema("PRAGMA user_version"), SCHEMA);
            assert_eq!(schema("SELECT count(*) FROM sqlite_schema WHERE name = 'objects1'"), 0);
        }
    }

    #[test]
    fn the_old_store_is_whole_without_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let store = Store::open(&at("db")).unwrap();
        store.put(&KIND, "default", "web", 7, "{}").unwrap();
        // After a crash only the log has the last change.
        for suffix in ["", "-wal"] {
            std::fs::copy(at(&format!("db{suffix}")), at(&format!("left{suffix}"))).unwrap();
        }
        remove_log(&at("left")).unwrap();
        assert!(!at("left-wal").exists());
        let store = Store::open(&at("left")).unwrap();
        assert!(store.get(&KIND, "default", "web").unwrap().is_some());
    }

    #[test]
    fn a_later_schema_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let store = Store::open(&path).unwrap();
        store.db.execute_batch(&format!("PRAGMA user_version = {}", SCHEMA + 1)).unwrap();
        drop(store);
        let error = Store::open(&path).unwrap_err().to_string();
        assert!(
            error.ends_with("it has schema 3, expected 2: it was written by a later podhosts-apiserver"),
            "{error}"
        );
    }
}

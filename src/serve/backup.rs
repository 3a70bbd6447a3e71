//! `podhosts-cni backup` and `restore`: the store as one file that stands alone.

use std::io::Write;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use super::store::{SCHEMA, Store, StoreError};
use crate::sys::files::{self, FileError, LastLink};
use crate::sys::state_dir;

/// Largest backup that is restored, in bytes: a million Services.
const BACKUP_MAX: usize = 4 << 30;

/// A backup that cannot be made or used.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is something at the place of the backup.
    #[error("cannot write {0}: there is such a file")]
    Exists(PathBuf),
    /// What should be restored is no backup.
    #[error("cannot restore {path}: {cause}")]
    NoBackup {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
}

/// Writes what is in the store at `path` to the new file `to`; the server may be running.
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
    // One statement, one snapshot.
    let copied = store.db.execute("VACUUM INTO ?1", [new.path().to_string_lossy()]);
    copied.map_err(|cause| store.failed(cause))?;
    new.as_file().sync_all().map_err(io)?;
    new.persist_noclobber(to).map_err(|error| io(error.error))?;
    Ok(())
}

/// Puts the backup `from` in the place of the store at `path`, which nobody may be serving.
///
/// # Errors
/// [`BackupError`] naming the file; then the store is as it was.
pub fn restore(path: &Path, from: &Path) -> Result<(), BackupError> {
    check(from)?;
    let bytes = files::read(from, BACKUP_MAX, LastLink::Follow)?;
    let dir = state_dir::dir_of(path);
    state_dir::create(dir)?;
    let _lock = Store::lock(path)?;
    let io = |cause| FileError::Io { verb: "write", path: path.to_owned(), cause };
    let mut new = tempfile::Builder::new().prefix(state_dir::TEMPORARY).tempfile_in(dir).map_err(io)?;
    new.write_all(&bytes).and_then(|()| new.as_file().sync_all()).map_err(io)?;
    remove_log(path)?;
    new.persist(path).map_err(|error| io(error.error))?;
    Ok(state_dir::sync(dir)?)
}

/// Removes the log of a store, which must not be taken for that of another one. What is in it goes into the store before,
/// unless that is damaged: until another one is in its place, it stays as it was.
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

/// Whether the file is a whole store of our schema.
fn check(from: &Path) -> Result<(), BackupError> {
    let wrong = |cause: String| BackupError::NoBackup { path: from.to_owned(), cause };
    let sqlite = |cause: rusqlite::Error| wrong(cause.to_string());
    let db = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sqlite)?;
    let schema: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    if !(1..=SCHEMA).contains(&schema) {
        return Err(wrong(format!("it has schema {schema}, expected {SCHEMA}")));
    }
    let state: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(sqlite)?;
    if state == "ok" { Ok(()) } else { Err(wrong(state)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_the_store_and_only_a_backup_is_restored() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let store = Store::open(&at("db")).unwrap();
        store.put("services", "default", "web", 7, "{\"kind\":\"Service\"}").unwrap();
        backup(&at("db"), &at("copy")).unwrap();
        let error = backup(&at("db"), &at("copy")).unwrap_err().to_string();
        assert!(error.ends_with("/copy: there is such a file"), "{error}");
        store.remove("services", "default", "web").unwrap();
        let error = restore(&at("db"), &at("copy")).unwrap_err().to_string();
        assert!(error.ends_with("another podhosts-cni serve has it"), "{error}");
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
        assert_eq!(state_dir::names(&at("a/b")).unwrap(), ["db", "db.lock"]);
        assert_eq!(
            &*store.get("services", "default", "web").unwrap().unwrap().text,
            "{\"kind\":\"Service\"}"
        );
    }

    /// A store as the first schema had it, with two objects.
    fn of_schema_1(path: &Path) {
        let db = Connection::open(path).unwrap();
        db.execute_batch(
            "CREATE TABLE objects (kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
                 version INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (kind, namespace, name)) WITHOUT ROWID;
             CREATE TABLE applied (kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
                 manager TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (kind, namespace, name, manager))
                 WITHOUT ROWID;
             CREATE TABLE counter (version INTEGER NOT NULL);
             INSERT INTO counter VALUES (7);
             INSERT INTO objects VALUES ('services', 'b', 'web', 5, '{}'), ('services', 'a', 'web', 7, '{\"a\":1}');
             INSERT INTO applied VALUES ('services', 'b', 'web', 'kubectl', '{}');
             PRAGMA user_version = 1",
        )
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
            let all = store.list("services", None, ("", ""), i64::MAX).unwrap();
            assert_eq!(
                all.iter().map(|row| &*row.stored.text).collect::<Vec<_>>(),
                ["{\"a\":1}", "{}"],
                "{name}"
            );
            assert_eq!(store.version().unwrap(), 7);
            assert_eq!(store.applied("services", "b", "web").unwrap(), [("kubectl".into(), "{}".into())]);
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
        store.put("services", "default", "web", 7, "{}").unwrap();
        // What a crash leaves: the last change is in the log only.
        for suffix in ["", "-wal"] {
            std::fs::copy(at(&format!("db{suffix}")), at(&format!("left{suffix}"))).unwrap();
        }
        remove_log(&at("left")).unwrap();
        assert!(!at("left-wal").exists());
        let store = Store::open(&at("left")).unwrap();
        assert!(store.get("services", "default", "web").unwrap().is_some());
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
            error.ends_with("it has schema 3, expected 2: it was written by a later podhosts-cni"),
            "{error}"
        );
    }
}

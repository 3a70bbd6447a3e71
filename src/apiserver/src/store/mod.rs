//! The objects on the disk: SQLite, one transaction for each batch of changes, synced before anybody is told.
//!
//! SQLite survives kill -9 at any point without repair, podhosts has it already for the address book, and operators can
//! read its files with their own tools.

pub mod backup;
mod contents;
mod error;
#[cfg(test)]
mod tests;
pub(crate) mod version_mark;

pub use error::StoreError;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::kind::Kind;
use crate::tables::{self, APPLIED, COUNTER, OBJECTS, SCHEMA};
use sqlite;
use sys::fs::state_dir::{self, Lock};

/// How long to wait for another process (`backup`) that has the database.
const PATIENCE: Duration = Duration::from_secs(10);

/// Memory for the pages that the connection for reading keeps, as SQLite has it: negative, in KiB. Lists read each page once,
/// and the kernel has the pages, too.
const READER_CACHE: i32 = -512;

/// An object as it is stored: JSON text.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The object.
    pub text: Arc<str>,
}

/// An object with its place in lists.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its namespace, empty for kinds without one.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// The object.
    pub stored: Stored,
}

/// A connection to the database.
#[derive(Debug)]
pub struct Store {
    pub(super) db: Connection,
    path: PathBuf,
    /// Held by a server, and by none that only reads.
    _lock: Option<Lock>,
}

impl Store {
    /// Opens the database for changes, and makes it where there is none.
    ///
    /// # Errors
    /// [`StoreError`] naming the file.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        state_dir::create(state_dir::dir_of(path))?;
        let lock = Self::lock(path)?;
        // SQLite gives its logs the same mode. Before SQLite opens it: closing a file drops the process' locks on it.
        state_dir::make_private(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let store = Self { _lock: Some(lock), ..Self::connect(path, flags)? };
        store.prepare().map_err(|cause| store.failed(cause))?;
        match store.known_tables()? {
            0 => store.create().map_err(|cause| store.failed(cause))?,
            1 => {
                store.check()?;
                store.convert().map_err(|cause| store.failed(cause))?;
            }
            _ => store.check()?,
        }
        Ok(store)
    }

    /// Opens the database of a [`Store::open`] for reading.
    ///
    /// # Errors
    /// [`StoreError`] naming the file.
    pub(crate) fn open_for_reading(path: &Path) -> Result<Self, StoreError> {
        let store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let pages = store.db.pragma_update(None, "cache_size", READER_CACHE);
        pages.map_err(|cause| store.failed(cause))?;
        store.known_tables()?;
        Ok(store)
    }

    /// Locks the store against other servers, and against being replaced.
    ///
    /// # Errors
    /// [`StoreError::InUse`].
    pub(crate) fn lock(path: &Path) -> Result<Lock, StoreError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        state_dir::try_lock(Path::new(&name))?.ok_or_else(|| StoreError::InUse(path.to_owned()))
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let sqlite = |cause| StoreError::Sqlite { path: path.to_owned(), cause };
        let db =
            Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(sqlite)?;
        db.busy_timeout(PATIENCE).map_err(sqlite)?;
        sqlite::distrust(&db).map_err(sqlite)?;
        // Otherwise SQLite plans a statement with a bound LIMIT anew each time that it is run.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(sqlite)?;
        db.set_prepared_statement_cache_capacity(32);
        Ok(Self { db, path: path.to_owned(), _lock: None })
    }

    fn prepare(&self) -> rusqlite::Result<()> {
        // A write-ahead log needs one sync for each commit, and readers do not wait for writers.
        self.db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        self.db.pragma_update(None, "synchronous", "FULL")
    }

    /// Checks that every page can be read, which would otherwise fail only when a client asks for an object in it.
    fn check(&self) -> Result<(), StoreError> {
        let found = sqlite::damage(&self.db, "quick_check").map_err(|cause| self.failed(cause))?;
        found.map_or(Ok(()), |found| Err(self.damaged(found)))
    }

    /// The version of the tables, after a check that the file has these tables alone.
    fn known_tables(&self) -> Result<i64, StoreError> {
        let found = tables::version(&self.db).map_err(|cause| self.failed(cause))?;
        if !(0..=SCHEMA).contains(&found) {
            return Err(StoreError::Schema { path: self.path.clone(), found });
        }
        match tables::difference(&self.db, found).map_err(|cause| self.failed(cause))? {
            None => Ok(found),
            Some(difference) => Err(self.damaged(difference)),
        }
    }

    fn create(&self) -> rusqlite::Result<()> {
        self.db.execute_batch(&format!(
            "BEGIN IMMEDIATE;
             {OBJECTS};
             {APPLIED};
             {COUNTER};
             INSERT INTO counter VALUES (1);
             PRAGMA user_version = {SCHEMA};
             COMMIT;"
        ))
    }

    /// Converts a store of schema 1, which kept the objects in a tree of whole rows, to [`SCHEMA`].
    fn convert(&self) -> rusqlite::Result<()> {
        self.db.execute_batch(&format!(
            "BEGIN IMMEDIATE;
             ALTER TABLE objects RENAME TO objects1;
             {OBJECTS};
             INSERT INTO objects SELECT kind, namespace, name, version, json FROM objects1
                 ORDER BY kind, namespace, name;
             DROP TABLE objects1;
             PRAGMA user_version = {SCHEMA};
             COMMIT;"
        ))
    }

    /// The error for an answer of SQLite.
    pub(crate) fn failed(&self, cause: rusqlite::Error) -> StoreError {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match cause.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => self.damaged(cause),
            _ => StoreError::Sqlite { path: self.path.clone(), cause },
        }
    }

    /// The error for a damaged store.
    pub(crate) fn damaged(&self, cause: impl ToString) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), cause: sqlite::shown(&cause.to_string()) }
    }

    /// The last resource version.
    ///
    /// # Errors
    /// SQLite's.
    pub(crate) fn version(&self) -> rusqlite::Result<u64> {
        let version: i64 =
            self.db.prepare_cached("SELECT version FROM counter")?.query_row([], |row| row.get(0))?;
        Ok(version.cast_unsigned())
    }

    /// Stores the last resource version.
    pub(crate) fn set_version(&self, version: u64) -> rusqlite::Result<()> {
        self.db.prepare_cached("UPDATE counter SET version = ?1")?.execute([version.cast_signed()])?;
        Ok(())
    }

    /// An object.
    ///
    /// # Errors
    /// SQLite's.
    pub(crate) fn get(&self, kind: &Kind, namespace: &str, name: &str) -> rusqlite::Result<Option<Stored>> {
        let sql = "SELECT json FROM objects WHERE kind = ?1 AND namespace = ?2 AND name = ?3";
        self.db.prepare_cached(sql)?.query_row([kind.plural, namespace, name], stored).optional()
    }

    /// The objects of a kind behind `after` (namespace and name), in order, those of one namespace or of all; at most
    /// `limit`.
    ///
    /// # Errors
    /// SQLite's.
    pub fn list(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        after: (&str, &str),
        limit: i64,
    ) -> rusqlite::Result<Vec<Row>> {
        match namespace {
            Some(namespace) => {
                let sql = "SELECT json, namespace, name FROM objects WHERE kind = ?1 AND namespace = ?2 AND name > ?3 \
                           ORDER BY name LIMIT ?4";
                let mut statement = self.db.prepare_cached(sql)?;
                statement.query_map(params![kind.plural, namespace, after.1, limit], listed)?.collect()
            }
            None => {
                let sql = "SELECT json, namespace, name FROM objects WHERE kind = ?1 AND (namespace, name) > (?2, ?3) \
                           ORDER BY namespace, name LIMIT ?4";
                let mut statement = self.db.prepare_cached(sql)?;
                statement.query_map(params![kind.plural, after.0, after.1, limit], listed)?.collect()
            }
        }
    }

    /// Calls `take` with the text of each object of a kind, in order. Only one of them is in memory at a time.
    ///
    /// # Errors
    /// SQLite's, and those of `take`.
    pub(crate) fn each(
        &self,
        kind: &Kind,
        mut take: impl FnMut(&str) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let sql = "SELECT json FROM objects WHERE kind = ?1 ORDER BY namespace, name";
        self.each_row(sql, kind.plural, |row| {
            take(row.get_ref(0).and_then(|json| Ok(json.as_str()?)).map_err(|cause| self.failed(cause))?)
        })
    }

    /// Calls `take` with the plural of the kind and the place of each object in which `text` stands somewhere, in order. All
    /// objects are searched, and one of them is in memory at a time.
    ///
    /// # Errors
    /// SQLite's, and those of `take`.
    pub(crate) fn each_mentioning(
        &self,
        text: &str,
        mut take: impl FnMut(&str, Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let sql = "SELECT json, namespace, name, kind FROM objects WHERE instr(json, ?1) > 0 \
                   ORDER BY kind, namespace, name";
        self.each_row(sql, text, |row| {
            let failed = |cause| self.failed(cause);
            let plural: String = row.get(3).map_err(failed)?;
            take(&plural, listed(row).map_err(failed)?)
        })
    }

    fn each_row(
        &self,
        sql: &str,
        parameter: &str,
        mut take: impl FnMut(&rusqlite::Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let failed = |cause| self.failed(cause);
        let mut statement = self.db.prepare(sql).map_err(failed)?;
        let mut rows = statement.query([parameter]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            take(row)?;
        }
        Ok(())
    }

    /// How many objects of a kind there are.
    ///
    /// # Errors
    /// SQLite's.
    pub(crate) fn count(&self, kind: &Kind, namespace: Option<&str>) -> rusqlite::Result<u64> {
        let sql = "SELECT count(*) FROM objects WHERE kind = ?1 AND (?2 IS NULL OR namespace = ?2)";
        let count: i64 =
            self.db.prepare_cached(sql)?.query_row(params![kind.plural, namespace], |row| row.get(0))?;
        Ok(count.cast_unsigned())
    }

    /// Puts an object in its place.
    pub(crate) fn put(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        version: u64,
        json: &str,
    ) -> rusqlite::Result<()> {
        let sql = "INSERT INTO objects VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (kind, namespace, name) \
                   DO UPDATE SET version = excluded.version, json = excluded.json";
        self.db.prepare_cached(sql)?.execute(params![
            kind.plural,
            namespace,
            name,
            version.cast_signed(),
            json
        ])?;
        Ok(())
    }

    /// Removes an object, and what was applied to it.
    pub(crate) fn remove(&self, kind: &Kind, namespace: &str, name: &str) -> rusqlite::Result<()> {
        for sql in [
            "DELETE FROM objects WHERE kind = ?1 AND namespace = ?2 AND name = ?3",
            "DELETE FROM applied WHERE kind = ?1 AND namespace = ?2 AND name = ?3",
        ] {
            self.db.prepare_cached(sql)?.execute([kind.plural, namespace, name])?;
        }
        Ok(())
    }

    /// Removes all objects of a kind in a namespace, and what was applied to them. Returns whether there was any.
    pub(crate) fn remove_in(&self, kind: &Kind, namespace: &str) -> rusqlite::Result<bool> {
        let mut removed = 0;
        for sql in [
            "DELETE FROM objects WHERE kind = ?1 AND namespace = ?2",
            "DELETE FROM applied WHERE kind = ?1 AND namespace = ?2",
        ] {
            removed += self.db.prepare_cached(sql)?.execute([kind.plural, namespace])?;
        }
        Ok(removed > 0)
    }

    /// The last applied configuration of each field manager of an object, as JSON.
    pub(crate) fn applied(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
    ) -> rusqlite::Result<Vec<(String, String)>> {
        let sql = "SELECT manager, json FROM applied WHERE kind = ?1 AND namespace = ?2 AND name = ?3 ORDER BY manager";
        let mut statement = self.db.prepare_cached(sql)?;
        statement.query_map([kind.plural, namespace, name], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    /// Stores what a field manager applied.
    pub(crate) fn set_applied(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        (manager, json): (&str, &str),
    ) -> rusqlite::Result<()> {
        let sql = "INSERT INTO applied VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (kind, namespace, name, manager) \
                   DO UPDATE SET json = excluded.json";
        self.db.prepare_cached(sql)?.execute([kind.plural, namespace, name, manager, json])?;
        Ok(())
    }
}

fn listed(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row { namespace: row.get(1)?, name: row.get(2)?, stored: stored(row)? })
}

fn stored(row: &rusqlite::Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored { text: Arc::from(row.get_ref(0)?.as_str()?) })
}

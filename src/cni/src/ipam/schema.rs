//! The tables of the address book, and addresses as they are stored in them.

use std::net::IpAddr;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use sqlite;

/// "pods" in ASCII: marks an SQLite database as an address book.
const APPLICATION_ID: i32 = 0x706f_6473;
/// Version of these tables. A book with a later one is not touched.
pub(super) const VERSION: i32 = 1;

/// - `lease`: which attachment has which address. The address is the primary key, so two pods cannot have the same one.
/// - `range`: `next` is the first address of a range that was never given out; NULL when its end was reached.
/// - `released`: for each range the addresses before `next` that were released, oldest first.
///
/// So every free address of a range is at `next` or after it, or in `released`, and none has to be searched for.
const TABLES: &str = "
    CREATE TABLE boot(id TEXT NOT NULL);
    CREATE TABLE lease(
        address BLOB PRIMARY KEY, container TEXT NOT NULL, ifname TEXT NOT NULL, position INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX lease_holder ON lease(container, ifname);
    CREATE TABLE range(
        id INTEGER PRIMARY KEY, first BLOB NOT NULL, last BLOB NOT NULL, gateway BLOB NOT NULL, next BLOB,
        UNIQUE(first, last, gateway)
    );
    CREATE TABLE released(seq INTEGER PRIMARY KEY, range INTEGER NOT NULL, address BLOB NOT NULL);
    CREATE INDEX released_range ON released(range, seq);
    CREATE INDEX released_address ON released(address);
";

/// The content of a database file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An address book of this boot.
    Book,
    /// An address book of an earlier boot, none of whose pods are left.
    EarlierBoot,
    /// An address book of a later podhosts, with its version.
    Later(i32),
    /// A database of another program.
    Foreign,
    /// A database without tables: a new one, or one whose file was lost.
    Nothing,
}

/// Sets up a connection that no other process uses.
pub(super) fn prepare(db: &Connection) -> rusqlite::Result<()> {
    sqlite::distrust(db)?;
    // Without it SQLite plans a statement anew for each value.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // No fsync: after a power failure no pod is left. A journal that is kept needs no new room on a full disk when an
    // address is released.
    db.execute_batch("PRAGMA locking_mode=EXCLUSIVE;PRAGMA journal_mode=PERSIST;PRAGMA synchronous=OFF;")
}

/// Finds out what the database is.
pub(super) fn examine(db: &Connection, boot_id: &str) -> rusqlite::Result<Found> {
    let application: i32 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if application == APPLICATION_ID {
        let version: i32 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version != VERSION {
            return Ok(Found::Later(version));
        }
        let boot: String = db.query_row("SELECT id FROM boot", [], |row| row.get(0))?;
        return Ok(if boot == boot_id { Found::Book } else { Found::EarlierBoot });
    }
    let tables: i32 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(if application != 0 || tables != 0 { Found::Foreign } else { Found::Nothing })
}

/// Makes the tables, in the caller's transaction.
pub(super) fn make(db: &Connection, boot_id: &str) -> rusqlite::Result<()> {
    db.execute_batch(TABLES)?;
    db.execute("INSERT INTO boot VALUES(?)", [boot_id])?;
    db.execute_batch(&format!("PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={VERSION};"))
}

/// An address as a blob: the family and the bytes, so that blobs sort as addresses do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored(pub(super) IpAddr);

impl ToSql for Stored {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let mut bytes = Vec::with_capacity(17);
        match self.0 {
            IpAddr::V4(v4) => {
                bytes.push(4);
                bytes.extend(v4.octets());
            }
            IpAddr::V6(v6) => {
                bytes.push(6);
                bytes.extend(v6.octets());
            }
        }
        Ok(bytes.into())
    }
}

impl FromSql for Stored {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_blob()? {
            [4, v4 @ ..] => <[u8; 4]>::try_from(v4).map(|v4| Self(v4.into())),
            [6, v6 @ ..] => <[u8; 16]>::try_from(v6).map(|v6| Self(v6.into())),
            _ => return Err(FromSqlError::InvalidType),
        }
        .map_err(|_| FromSqlError::InvalidType)
    }
}

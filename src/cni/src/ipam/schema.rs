//! The tables of the address book, and addresses as they are stored in them.

use std::net::IpAddr;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use sqlite;

/// "pods" in ASCII: tells an address book from any other SQLite database.
const APPLICATION_ID: i32 = 0x706f_6473;
/// Version of these tables. A book with a later one is not touched.
pub(super) const VERSION: i32 = 1;

/// - `lease`: who has which address. That it is the primary key is what keeps two pods from having one address.
/// - `range`: how far each range was given out from its start; NULL when its end was reached.
/// - `released`: for each range the addresses below that point that came back, oldest first.
///
/// So every free address of a range is either at or behind `next`, or in `released`, and none has to be searched.
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

/// What a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An address book of this boot.
    Book,
    /// One of an earlier boot, none of whose pods are left.
    EarlierBoot,
    /// One that a later podhosts wrote.
    Later(i32),
    /// A database of something else.
    Foreign,
    /// One without tables: nobody has made any yet, or the file was lost.
    Nothing,
}

/// Sets a connection up for a holder of the lock, who is alone.
pub(super) fn prepare(db: &Connection) -> rusqlite::Result<()> {
    sqlite::distrust(db)?;
    // Else statements are planned anew for each value that they are given.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // No fsync: after a power failure no pod is left whose address could be lost. A journal that stays takes no room
    // from a full disk when the next address is released.
    db.execute_batch("PRAGMA locking_mode=EXCLUSIVE;PRAGMA journal_mode=PERSIST;PRAGMA synchronous=OFF;")
}

/// Looks what the database is.
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

/// Makes the tables; `db` is in a transaction.
pub(super) fn make(db: &Connection, boot_id: &str) -> rusqlite::Result<()> {
    db.execute_batch(TABLES)?;
    db.execute("INSERT INTO boot VALUES(?)", [boot_id])?;
    db.execute_batch(&format!("PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={VERSION};"))
}

/// An address as it is stored: the family and the bytes, so that the order of the bytes is that of the addresses.
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

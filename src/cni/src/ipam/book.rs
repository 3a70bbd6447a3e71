//! The address book of one network: which attachment has which address. Several processes use it, any of which may be
//! killed at any moment.
//!
//! It is an SQLite database under our own exclusive lock. SQLite's locks are off, because a container that can read the
//! file could hold them. `docs/design/cni.md` says why SQLite.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use thiserror::Error;

use super::allocate::{self, AllocateError, Allocated};
use super::ranges::RangeSet;
use super::schema::{self, Found};
use crate::protocol::error::{CniError, Code};
use records::attachment::Holder;
use records::directory;
use sys::fs::files::FileError;
use sys::fs::state_dir::{self, Lock, LockKind};

const LEASES: &str = "leases.db";
const JOURNAL: &str = "leases.db-journal";
/// The SQLite VFS without locks.
const WITHOUT_LOCKS: &str = "unix-none";
/// Bytes reserved for the journal of a release, so that it works on a full disk.
const JOURNAL_ROOM: u64 = 64 << 10;

/// An address book that cannot be used.
#[derive(Debug, Error)]
pub enum BookError {
    /// A file of the book.
    #[error(transparent)]
    File(#[from] FileError),
    /// No address can be given.
    #[error(transparent)]
    Allocate(#[from] AllocateError),
    /// SQLite failed.
    #[error("cannot use {path}: {cause}")]
    Database {
        /// The database.
        path: PathBuf,
        /// SQLite's answer.
        #[source]
        cause: rusqlite::Error,
    },
    /// A directory, link or device in the place of a file.
    #[error("cannot use {0}: it is not a regular file")]
    Foreign(PathBuf),
    /// Written by a later podhosts.
    #[error("cannot use {path}: it has version {version}, expected {}", schema::VERSION)]
    Later {
        /// The database.
        path: PathBuf,
        /// Its version.
        version: i32,
    },
}

impl BookError {
    /// SQLite's answer.
    fn cause(&self) -> Option<&rusqlite::Error> {
        match self {
            Self::Database { cause, .. } | Self::Allocate(AllocateError::Book(cause)) => Some(cause),
            _ => None,
        }
    }

    fn is_full(&self) -> bool {
        self.cause().and_then(rusqlite::Error::sqlite_error_code) == Some(ErrorCode::DiskFull)
    }

    /// Whether the file is no database, or a damaged one.
    fn is_damage(&self) -> bool {
        let Some(cause) = self.cause() else { return matches!(self, Self::Foreign(_)) };
        match cause {
            rusqlite::Error::SqliteFailure(error, message) => match error.code {
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => true,
                // Our tables or columns are missing.
                ErrorCode::Unknown => message
                    .as_ref()
                    .is_some_and(|text| text.starts_with("no such ") || text.contains(" has ")),
                _ => false,
            },
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::QueryReturnedNoRows => true,
            _ => false,
        }
    }
}

impl From<BookError> for CniError {
    fn from(error: BookError) -> Self {
        let code = match &error {
            BookError::Allocate(AllocateError::Exhausted(_)) => Code::TryAgainLater,
            BookError::Allocate(
                AllocateError::Held { .. } | AllocateError::InUse { .. } | AllocateError::Unavailable { .. },
            ) => Code::Address,
            BookError::File(error) => Code::of_file(error),
            _ => Code::Io,
        };
        Self::new(code, error.to_string())
    }
}

/// The address book of a network, which no other process is using.
#[derive(Debug)]
pub struct Book {
    dir: PathBuf,
    boot_id: String,
    db: Connection,
    /// Damaged files that were set aside.
    pub(crate) notices: Vec<String>,
    _open: [Option<OwnedFd>; 2],
    _lock: Lock,
}

impl Book {
    /// Opens the book in `dir`, or makes it. A book of an earlier boot is emptied, since none of its pods are left. A
    /// file that is no book is set aside, and the book made anew from the attachments.
    ///
    /// # Errors
    /// [`BookError`] naming the file.
    pub fn open(dir: &Path, boot_id: &str) -> Result<Self, BookError> {
        let lock = state_dir::lock(&dir.join("lock"), LockKind::Exclusive)?;
        // SQLite opens the journal later.
        let open_for_us = |name| state_dir::against_leases(&dir.join(name));
        let open = [open_for_us(LEASES)?, open_for_us(JOURNAL)?];
        let mut notices = Vec::new();
        let db = match open_database(dir, boot_id, &mut notices) {
            Err(error) if error.is_damage() => rebuild(dir, boot_id, &error, &mut notices)?,
            other => other?,
        };
        Ok(Self { dir: dir.to_owned(), boot_id: boot_id.to_owned(), db, notices, _open: open, _lock: lock })
    }

    /// The boot of the book.
    pub(crate) fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Takes one address of each set, or none. `keep` is called with them before they are taken for good, and its
    /// result comes with them. It is called again where the book had to be made anew.
    ///
    /// # Errors
    /// [`BookError`]; no address is taken then.
    pub fn take<K>(
        &mut self,
        holder: &Holder,
        sets: &[RangeSet],
        requested: &[IpAddr],
        mut keep: impl FnMut(&[Allocated]) -> Result<K, FileError>,
    ) -> Result<(Vec<Allocated>, K), BookError> {
        self.transact(|db| {
            let taken = allocate::take(db, holder, sets, requested)?;
            let kept = keep(&taken)?;
            Ok((taken, kept))
        })
    }

    /// Enters addresses that another plugin has given out: all of them, or none.
    ///
    /// # Errors
    /// [`BookError`], also if an address has another holder.
    pub fn enter(&mut self, held: &[(Holder, Vec<IpAddr>)]) -> Result<(), BookError> {
        self.transact(|db| {
            for (holder, addresses) in held {
                for (position, address) in addresses.iter().enumerate() {
                    allocate::enter_held(db, holder, *address, position)?;
                }
            }
            Ok(())
        })
    }

    /// Releases all addresses of an attachment, and returns them.
    ///
    /// # Errors
    /// [`BookError`]; the attachment keeps them then.
    pub fn release(&mut self, holder: &Holder) -> Result<Vec<IpAddr>, BookError> {
        match self.transact(|db| Ok(allocate::release(db, holder).map_err(AllocateError::from)?)) {
            Err(error) if error.is_full() => {
                self.transact(|db| Ok(allocate::release_in_place(db, holder).map_err(AllocateError::from)?))
            }
            other => other,
        }
    }

    /// The addresses of an attachment, in their order.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn held(&mut self, holder: &Holder) -> Result<Vec<IpAddr>, BookError> {
        self.transact(|db| Ok(allocate::held(db, holder).map_err(AllocateError::from)?))
    }

    /// All holders of addresses, sorted.
    pub(crate) fn holders(&mut self) -> Result<Vec<Holder>, BookError> {
        self.transact(|db| Ok(holders(db).map_err(AllocateError::from)?))
    }

    /// The sets that have no address left.
    pub(crate) fn exhausted<'a>(&mut self, sets: &'a [RangeSet]) -> Result<Vec<&'a RangeSet>, BookError> {
        // Never committed, since the search changes the database.
        let transaction = self.db.transaction().map_err(AllocateError::from)?;
        let mut exhausted = Vec::new();
        for set in sets {
            if !allocate::has_free(&transaction, set)? {
                exhausted.push(set);
            }
        }
        Ok(exhausted)
    }

    /// Does `work` in a transaction. If it meets damage, the book is made anew and `work` done again.
    fn transact<T>(
        &mut self,
        mut work: impl FnMut(&Connection) -> Result<T, BookError>,
    ) -> Result<T, BookError> {
        match self.attempt(&mut work) {
            Err(error) if error.is_damage() => {
                self.db = rebuild(&self.dir, &self.boot_id, &error, &mut self.notices)?;
                self.attempt(&mut work)
            }
            other => other,
        }
    }

    fn attempt<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, BookError>) -> Result<T, BookError> {
        let path = self.dir.join(LEASES);
        let failed = |cause| BookError::Database { path: path.clone(), cause };
        let transaction =
            self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let done = work(&transaction).map_err(|error| match error {
            BookError::Allocate(AllocateError::Book(cause)) => failed(cause),
            other => other,
        })?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }
}

fn holders(db: &Connection) -> rusqlite::Result<Vec<Holder>> {
    let mut select = db.prepare("SELECT DISTINCT container, ifname FROM lease ORDER BY container, ifname")?;
    let found = select.query_map([], |row| Ok(Holder { container: row.get(0)?, ifname: row.get(1)? }))?;
    found.collect()
}

fn open_database(dir: &Path, boot_id: &str, notices: &mut Vec<String>) -> Result<Connection, BookError> {
    // SQLite refuses a link anywhere in the path, and /var/run is one.
    let path = state_dir::resolve(dir)?.join(LEASES);
    for file in [&path, &dir.join(JOURNAL)] {
        if state_dir::is_foreign(file) {
            return Err(BookError::Foreign(file.clone()));
        }
    }
    let failed = |cause| BookError::Database { path: path.clone(), cause };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut db = Connection::open_with_flags_and_vfs(&path, flags, WITHOUT_LOCKS).map_err(failed)?;
    schema::prepare(&db).map_err(failed)?;
    match schema::examine(&db, boot_id).map_err(failed)? {
        Found::Book => Ok(db),
        Found::EarlierBoot => {
            drop(db);
            empty(dir)?;
            open_database(dir, boot_id, notices)
        }
        Found::Nothing => {
            // In one transaction, so that a book with tables always has all known attachments.
            let transaction = db.transaction().map_err(failed)?;
            schema::make(&transaction, boot_id).map_err(failed)?;
            // SQLite has made the journal by now and keeps it.
            state_dir::reserve(&dir.join(JOURNAL), JOURNAL_ROOM)?;
            enter_attachments(dir, boot_id, &transaction, notices)?;
            transaction.commit().map_err(failed)?;
            Ok(db)
        }
        Found::Later(version) => Err(BookError::Later { path, version }),
        Found::Foreign => {
            let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB);
            let text = "it is a database of something else".to_owned();
            Err(failed(rusqlite::Error::SqliteFailure(error, Some(text))))
        }
    }
}

fn empty(dir: &Path) -> Result<(), FileError> {
    for holder in directory::list(dir)? {
        directory::forget(dir, &holder)?;
    }
    // The journal goes first: beside a new database it would be a journal of the old one.
    state_dir::remove(&dir.join(JOURNAL))?;
    state_dir::remove(&dir.join(LEASES))?;
    Ok(())
}

/// Sets the damaged files aside and makes a book from the attachments.
fn rebuild(
    dir: &Path,
    boot_id: &str,
    why: &BookError,
    notices: &mut Vec<String>,
) -> Result<Connection, BookError> {
    let (path, journal) = (dir.join(LEASES), dir.join(JOURNAL));
    let aside = |path: &Path| -> Result<String, FileError> {
        let aside = state_dir::aside(path);
        state_dir::rename(path, &aside)?;
        Ok(format!("{why}: set aside as {}", aside.display()))
    };
    // A journal is useless without its database.
    if state_dir::is_foreign(&journal) {
        notices.push(aside(&journal)?);
    } else {
        state_dir::remove(&journal)?;
    }
    if path.symlink_metadata().is_ok() {
        notices.push(aside(&path)?);
    }
    open_database(dir, boot_id, notices)
}

/// Enters the addresses in the attachments' files.
fn enter_attachments(
    dir: &Path,
    boot_id: &str,
    db: &Connection,
    notices: &mut Vec<String>,
) -> Result<(), BookError> {
    let path = |holder: &Holder| directory::path(dir, holder);
    let mut holders = directory::list(dir)?;
    // If two attachments claim one address, the later file is right: the earlier call was killed.
    holders.sort_by_cached_key(|holder| Reverse(state_dir::modified(&path(holder))));
    let mut entered = 0;
    for holder in &holders {
        let Some(attachment) = directory::read(dir, holder) else {
            notices.push(format!("cannot read {}: it is no attachment of podhosts", path(holder).display()));
            continue;
        };
        if !attachment.boot_id.is_empty() && attachment.boot_id != boot_id {
            directory::forget(dir, holder)?;
            continue;
        }
        for (position, address) in attachment.addresses.iter().enumerate() {
            match allocate::enter_held(db, holder, *address, position) {
                Err(AllocateError::InUse { holder: other, .. }) => {
                    notices.push(format!("{address} of {holder} is {other}'s, too"));
                }
                other => other?,
            }
        }
        entered += 1;
    }
    if entered > 0 {
        let path = dir.join(LEASES);
        notices.push(format!("{}: made anew from {entered} attachments", path.display()));
    }
    Ok(())
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;

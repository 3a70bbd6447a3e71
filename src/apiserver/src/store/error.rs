//! Why a store cannot be used: each text names the file.

use std::path::PathBuf;

use thiserror::Error;

use crate::tables::SCHEMA;
use sys::fs::files::FileError;

/// Why a store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Its directory.
    #[error(transparent)]
    File(#[from] FileError),
    /// SQLite.
    #[error("cannot use {path}: {cause}")]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What it says.
        #[source]
        cause: rusqlite::Error,
    },
    /// Its content is damaged.
    #[error(
        "cannot use {path}: it is damaged: {cause}; podhosts-apiserver restore puts a backup in the place of what is there"
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// Written by a later podhosts.
    #[error(
        "cannot use {path}: it has schema {found}, expected {SCHEMA}: it was written by a later podhosts-apiserver"
    )]
    Schema {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
    },
    /// The thread that makes changes cannot be started.
    #[error("cannot serve {0}: {1}")]
    Thread(PathBuf, #[source] std::io::Error),
    /// Another process serves it.
    #[error("cannot use {0}: another podhosts-apiserver has it")]
    InUse(PathBuf),
}

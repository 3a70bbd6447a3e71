//! SQLite files that another program may have written.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// Stops SQLite from running code in a file (triggers, views, functions), and makes it check each page before use. Our
/// tables need nothing that is turned off.
///
/// # Errors
/// SQLite's.
pub fn distrust(db: &Connection) -> rusqlite::Result<()> {
    for off in [
        DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
        DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
        DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW,
        DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA,
        DbConfig::SQLITE_DBCONFIG_DQS_DDL,
        DbConfig::SQLITE_DBCONFIG_DQS_DML,
    ] {
        db.set_db_config(off, false)?;
    }
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.pragma_update(None, "cell_size_check", true)
}

/// The first problem that `check` ("quick_check", "integrity_check") finds in a file.
///
/// # Errors
/// SQLite's.
pub fn damage(db: &Connection, check: &str) -> rusqlite::Result<Option<String>> {
    let found: String = db.query_row(&format!("PRAGMA {check}(1)"), [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// Longest text about a file that a message shows, in characters.
const SHOWN: usize = 400;

/// A text about a file on one line and without control characters: it may contain names from the file.
pub fn shown(text: &str) -> String {
    let mut shown = String::new();
    for char in text.chars().take(SHOWN) {
        match char {
            '\n' => shown.push(' '),
            char if char.is_control() => shown.extend(char.escape_default()),
            char => shown.push(char),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(
            shown("*** in database main ***\nno \"\u{1b}[2J\u{9b}ä\""),
            "*** in database main *** no \"\\u{1b}[2J\\u{9b}ä\""
        );
        assert_eq!(shown(&"ä".repeat(1000)).chars().count(), SHOWN);
    }

    #[test]
    fn a_file_brings_nothing_along_that_runs() {
        let file = tempfile::NamedTempFile::new().unwrap();
        Connection::open(file.path())
            .unwrap()
            .execute_batch(
                "CREATE TABLE t (a); CREATE TABLE log (a);
                 CREATE TRIGGER watch AFTER INSERT ON t BEGIN INSERT INTO log VALUES (1); END;
                 CREATE VIEW v AS SELECT 1;
                 CREATE TABLE checked (a CHECK (a != randomblob(1)), b CHECK (length(sqlite_version()) > 0));",
            )
            .unwrap();
        let db = Connection::open(file.path()).unwrap();
        distrust(&db).unwrap();
        db.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        let logged: i64 = db.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
        assert_eq!(logged, 0);
        assert!(db.prepare("SELECT * FROM v").is_err());
        assert!(db.execute_batch("PRAGMA writable_schema=ON; DELETE FROM sqlite_schema").is_err());
        assert!(db.prepare("SELECT \"no such column\"").is_err());
    }
}

//! The tables of a store. A file with anything else is refused: SQLite would run its triggers and views.

use rusqlite::Connection;

/// The version of the tables that this program makes. It converts older ones.
pub(crate) const SCHEMA: i64 = 2;
/// The table of all objects. Rows are large, so the key has an index of its own: a tree of whole rows is much deeper.
pub(super) const OBJECTS: &str = "CREATE TABLE objects (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, json TEXT NOT NULL,
    UNIQUE (kind, namespace, name))";
/// The same in schema 1.
pub(super) const OBJECTS_1: &str = "CREATE TABLE objects (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
    json TEXT NOT NULL, PRIMARY KEY (kind, namespace, name)) WITHOUT ROWID";
/// What field managers applied.
pub(super) const APPLIED: &str = "CREATE TABLE applied (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, manager TEXT NOT NULL,
    json TEXT NOT NULL, PRIMARY KEY (kind, namespace, name, manager)) WITHOUT ROWID";
/// The last resource version.
pub(super) const COUNTER: &str = "CREATE TABLE counter (version INTEGER NOT NULL)";

/// Longest part of a name in a file that a message shows.
const SHOWN: usize = 60;

/// A table, index, trigger or view.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    kind: String,
    name: String,
    table: String,
    sql: String,
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name: String = self.name.chars().take(SHOWN).collect();
        let kind = match self.kind.as_str() {
            "table" | "index" | "trigger" | "view" => &self.kind,
            _ => "entry",
        };
        write!(f, "{kind} {name:?}")
    }
}

/// The version of the tables in a file, 0 where there are none.
///
/// # Errors
/// SQLite's.
pub(super) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// The first difference between a file's tables and those of `schema`.
///
/// # Errors
/// SQLite's.
pub(super) fn difference(db: &Connection, schema: i64) -> rusqlite::Result<Option<String>> {
    let (found, expected) = (entries(db)?, expected(schema)?);
    let unknown = found.iter().find(|entry| !expected.contains(entry));
    let missing = expected.iter().find(|entry| !found.contains(entry));
    Ok(match (unknown, missing) {
        (Some(unknown), Some(expected)) if unknown.kind == expected.kind && unknown.name == expected.name => {
            Some(format!("{unknown} is not as podhosts-apiserver makes it"))
        }
        (Some(unknown), _) => Some(format!("it has {unknown}, which podhosts-apiserver does not make")),
        (None, Some(expected)) => Some(format!("it has no {expected}")),
        // A table that is there twice.
        (None, None) if found.len() != expected.len() => Some("it has a table twice".to_owned()),
        (None, None) => None,
    })
}

fn expected(schema: i64) -> rusqlite::Result<Vec<Entry>> {
    let tables: &[&str] = match schema {
        0 => &[],
        1 => &[OBJECTS_1, APPLIED, COUNTER],
        _ => &[OBJECTS, APPLIED, COUNTER],
    };
    let db = Connection::open_in_memory()?;
    tables.iter().try_for_each(|sql| db.execute_batch(sql))?;
    entries(&db)
}

fn entries(db: &Connection) -> rusqlite::Result<Vec<Entry>> {
    let mut select = db.prepare("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema")?;
    let rows = select.query_map([], |row| {
        let sql: String = row.get(3)?;
        // Programs of other releases broke the lines elsewhere. No text of ours has anything quoted.
        let sql = sql.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Entry { kind: row.get(0)?, name: row.get(1)?, table: row.get(2)?, sql })
    })?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(schema: i64, sql: &str) -> Option<String> {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(sql).unwrap();
        difference(&db, schema).unwrap()
    }

    #[test]
    fn nothing_is_taken_over_but_the_tables() {
        let all = |objects: &str, more: &str| format!("{objects}; {APPLIED}; {COUNTER}; {more}");
        assert_eq!(differs(0, ""), None);
        assert_eq!(differs(2, &all(OBJECTS, "")), None);
        assert_eq!(differs(1, &all(OBJECTS_1, "")), None);
        assert_eq!(differs(2, &all(&OBJECTS.replace("    ", "\n\t"), "")), None);
        let unknown = |entry: &str| format!("it has {entry}, which podhosts-apiserver does not make");
        for (more, entry) in [
            ("CREATE TRIGGER t AFTER INSERT ON objects BEGIN DELETE FROM objects; END", "trigger \"t\""),
            ("CREATE VIEW v AS SELECT * FROM objects", "view \"v\""),
            ("CREATE INDEX i ON objects (json)", "index \"i\""),
            ("CREATE TABLE \"a\nb\" (a)", "table \"a\\nb\""),
            ("ANALYZE", "table \"sqlite_stat1\""),
        ] {
            assert_eq!(differs(2, &all(OBJECTS, more)), Some(unknown(entry)), "{more}");
        }
        assert_eq!(differs(0, "CREATE TABLE a (b)"), Some(unknown("table \"a\"")));
        for other in [
            OBJECTS.replace("json TEXT NOT NULL", "json TEXT NOT NULL CHECK (json != randomblob(9))"),
            OBJECTS.replace("json TEXT NOT NULL", "json TEXT NOT NULL DEFAULT 'a'"),
            OBJECTS.replace("version INTEGER NOT NULL", "version AS (1)"),
            OBJECTS.replace("CREATE TABLE objects", "CREATE TABLE Objects"),
            OBJECTS.replace("UNIQUE (kind, namespace, name)", "UNIQUE (kind, namespace, name) /* */"),
            OBJECTS_1.to_owned(),
        ] {
            assert!(differs(2, &all(&other, "")).is_some(), "{other}");
        }
        assert_eq!(
            differs(2, &format!("{OBJECTS}; {APPLIED}")).as_deref(),
            Some("it has no table \"counter\"")
        );
    }
}

//! Statements as SQLite runs them.

use rusqlite::StatementStatus;

use super::*;
use crate::kinds::service::KIND;

#[test]
fn a_list_is_planned_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db")).unwrap();
    let list = |limit| store.list(&KIND, None, ("", ""), limit).unwrap();
    for limit in [1, 500, i64::MAX] {
        assert_eq!(list(limit).len(), 0);
    }
    let sql = "SELECT json, namespace, name FROM objects WHERE kind = ?1 AND (namespace, name) > (?2, ?3) \
               ORDER BY namespace, name LIMIT ?4";
    let statement = store.db.prepare_cached(sql).unwrap();
    let runs = statement.get_status(StatementStatus::Run);
    assert_eq!((runs, statement.get_status(StatementStatus::RePrepare)), (3, 0));
}

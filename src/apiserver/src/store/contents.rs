//! Checks that each row of a store is an object that a server could have written, under its own key.

use rusqlite::{Connection, Row};
use serde_json::{Map, Value};

use crate::api::body;
use crate::api::media::Content;
use crate::api::parameters::Validation;
use crate::kind::Kind;
use crate::kinds;
use crate::object::Object;

/// Longest part of a key that a message shows.
const SHOWN: usize = 60;

/// A description of what is wrong with a row.
type Fault = String;

/// The first fault in a store's rows, if any.
///
/// # Errors
/// SQLite's.
pub(super) fn fault(db: &Connection) -> rusqlite::Result<Option<Fault>> {
    let last = match counter(db)? {
        Ok(last) => last,
        Err(fault) => return Ok(Some(fault)),
    };
    let kinds = kinds::stored();
    let stored = |plural: &str| {
        let found = kinds.iter().find(|kind| kind.plural == plural);
        found.copied().ok_or_else(|| format!("there is no kind {:?}", shown(plural)))
    };
    let objects = first(db, "SELECT kind, namespace, name, version, json FROM objects", |row| {
        let key = Key::of(row)?;
        let (version, json) = (row.get_ref(3)?.as_i64()?, row.get_ref(4)?.as_str()?);
        let checked = stored(key.kind).and_then(|kind| object(kind, &key, version, last, json));
        Ok(checked.err().map(|fault| key.fault("objects", &fault)))
    })?;
    if objects.is_some() {
        return Ok(objects);
    }
    first(db, "SELECT kind, namespace, name, manager, json FROM applied", |row| {
        let key = Key::of(row)?;
        let (_manager, json) = (row.get_ref(3)?.as_str()?, row.get_ref(4)?.as_str()?);
        let map = |_| serde_json::from_str::<Map<String, Value>>(json).map_err(|cause| cause.to_string());
        let checked = stored(key.kind).and_then(map);
        Ok(checked.err().map(|fault| key.fault("applied", &fault)))
    })
}

/// The store's last resource version.
fn counter(db: &Connection) -> rusqlite::Result<Result<i64, Fault>> {
    let mut select = db.prepare("SELECT version FROM counter LIMIT 2")?;
    let rows: Vec<Option<i64>> =
        select.query_map([], |row| Ok(row.get_ref(0)?.as_i64().ok()))?.collect::<rusqlite::Result<_>>()?;
    Ok(match rows[..] {
        // Each change adds 1, so no store reaches this limit.
        [Some(last @ 1..=0x3fff_ffff_ffff_ffff)] => Ok(last),
        _ => Err("table counter has no last version".to_owned()),
    })
}

fn first(
    db: &Connection,
    sql: &str,
    mut fault: impl FnMut(&Row<'_>) -> rusqlite::Result<Option<Fault>>,
) -> rusqlite::Result<Option<Fault>> {
    let mut select = db.prepare(sql)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(fault) = fault(row)? {
            return Ok(Some(fault));
        }
    }
    Ok(None)
}

/// The key of a row.
struct Key<'a> {
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
}

impl<'a> Key<'a> {
    fn of(row: &'a Row<'_>) -> rusqlite::Result<Self> {
        let text = |index| Ok::<_, rusqlite::Error>(row.get_ref(index)?.as_str()?);
        Ok(Self { kind: text(0)?, namespace: text(1)?, name: text(2)? })
    }

    fn fault(&self, table: &str, fault: &str) -> Fault {
        let (kind, namespace, name) = (shown(self.kind), shown(self.namespace), shown(self.name));
        format!("table {table}, {kind:?} {namespace:?} {name:?}: {fault}")
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

fn object(kind: &Kind, key: &Key<'_>, version: i64, last: i64, json: &str) -> Result<(), Fault> {
    if !(1..=last).contains(&version) {
        return Err(format!("it has version {version}, expected 1 to {last}"));
    }
    let (object, _) = body::object(json.as_bytes(), Content::Json, kind, Validation::Ignore)
        .map_err(|error| error.message)?;
    let is_its = |object: &Object| {
        object.name() == key.name && object.namespace() == key.namespace && !object.uid().is_empty()
    };
    if !is_its(&object) || key.name.is_empty() || key.namespace.is_empty() == kind.namespaced {
        return Err("the object is another one".to_owned());
    }
    let given = object.metadata().get("resourceVersion").and_then(Value::as_str);
    if given == Some(version.to_string().as_str()) {
        Ok(())
    } else {
        Err(format!("the object has another resourceVersion than {version}"))
    }
}

//! Objects that are found on the machine.

use serde_json::json;

use super::*;
use crate::kind::Source;
use crate::resource::Transaction;

static STONES: Kind =
    Kind { source: Source::Machine, ..Kind::new("test", "Stone", "stones", "stone", &NO_FIELDS) };

/// Refuses a change once there is a stone `refused`.
struct Stones;

impl Resource for Stones {
    fn kind(&self) -> &'static Kind {
        &STONES
    }

    fn reconcile(&self, transaction: &mut dyn Transaction) -> Result<Option<i64>, ApiError> {
        match transaction.get(&STONES, "a", "refused")? {
            Some(_) => Err(ApiError::internal("it is refused")),
            None => Ok(None),
        }
    }
}

fn open(dir: &Path) -> Registry {
    Registry::open(&dir.join("db"), vec![Box::new(Stones)]).unwrap()
}

fn stone(name: &str, uid: &str, size: u32) -> Object {
    let metadata = json!({"namespace": "a", "name": name, "uid": uid});
    Object::from_value(json!({"metadata": metadata, "spec": {"size": size}})).unwrap()
}

fn find(registry: &Registry, stones: &[(&str, &str, u32)]) -> Result<u64, ApiError> {
    let stones = stones.iter().map(|(name, uid, size)| stone(name, uid, *size)).collect();
    run(registry.find(&STONES, stones)).map(|()| registry.resource_version())
}

/// What a watch tells after `since`.
fn told(registry: &Registry, since: u64) -> Vec<(EventKind, String, u64)> {
    let mut watch = registry.watch(&STONES, &ListQuery::default(), since).unwrap();
    let mut told = Vec::new();
    while let Some(event) = run(watch.next_until(registry.resource_version())).unwrap() {
        let object = event.stored.object().unwrap();
        assert_eq!(object.resource_version(), event.version);
        told.push((event.kind, object.uid().to_owned(), event.version));
    }
    told
}

#[test]
fn what_is_found_has_versions_like_all_others() {
    use EventKind::{Added, Deleted, Modified};
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let first = find(&registry, &[("x", "1", 1), ("y", "2", 1)]).unwrap();
    let list = registry.list(&STONES, &ListQuery::default()).unwrap();
    assert_eq!((list.items.len(), list.resource_version), (2, first));
    // The same again is no change.
    assert_eq!(find(&registry, &[("x", "1", 1), ("y", "2", 1)]).unwrap(), first);
    find(&registry, &[("x", "1", 2), ("y", "2", 1)]).unwrap();
    find(&registry, &[("y", "3", 1), ("z", "4", 1)]).unwrap();
    let told_uids: Vec<_> = told(&registry, first).into_iter().map(|(kind, uid, _)| (kind, uid)).collect();
    let expected = [(Modified, "1"), (Deleted, "1"), (Deleted, "2"), (Added, "3"), (Added, "4")];
    let sorted = |mut all: Vec<(EventKind, String)>| {
        all[1..3].sort_by(|one, other| one.1.cmp(&other.1));
        all
    };
    assert_eq!(sorted(told_uids), expected.map(|(kind, uid)| (kind, uid.to_owned())));
    let y = registry.get(&STONES, "a", "y").unwrap().object().unwrap();
    assert_eq!((y.uid(), told(&registry, y.resource_version()).len()), ("3", 1));
    assert_eq!(registry.get(&STONES, "b", "y").unwrap_err().code, 404);
    let elsewhere = ListQuery { namespace: Some("b".to_owned()), ..ListQuery::default() };
    assert_eq!(registry.list(&STONES, &elsewhere).unwrap().items.len(), 0);
}

#[test]
fn a_watch_from_before_a_restart_has_to_list_again() {
    let dir = tempfile::tempdir().unwrap();
    let last = find(&open(dir.path()), &[("x", "1", 1)]).unwrap();
    let registry = open(dir.path());
    // Nobody knows what has gone in the meantime, so even nothing is news.
    let now = find(&registry, &[]).unwrap();
    assert!(now > last, "{now} {last}");
    assert_eq!(registry.watch(&STONES, &ListQuery::default(), last).unwrap_err().code, 410);
    assert_eq!(told(&registry, now), []);
}

#[test]
fn what_follows_from_the_machine_is_made_with_it_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let before = find(&registry, &[("x", "1", 1)]).unwrap();
    assert!(find(&registry, &[("refused", "2", 1)]).is_err());
    let list = registry.list(&STONES, &ListQuery::default()).unwrap();
    assert_eq!((list.items.len(), list.resource_version), (1, before));
    find(&registry, &[("x", "1", 1), ("y", "3", 1)]).unwrap();
    assert_eq!(told(&registry, before).len(), 1);
}

/// A controller catches up with the last version, which may be one that nothing in the log has.
#[test]
fn a_version_without_a_change_is_reached() {
    let dir = tempfile::tempdir().unwrap();
    let resources: Vec<Box<dyn Resource>> = vec![Box::new(Things), Box::new(Addresses), Box::new(Stones)];
    let registry = Registry::open(&dir.path().join("db"), resources).unwrap();
    let before = registry.resource_version();
    let mut watch = registry.watch(&THINGS, &ListQuery::default(), before).unwrap();
    let after = find(&registry, &[]).unwrap();
    assert!(after > before);
    let next =
        async { tokio::time::timeout(std::time::Duration::from_secs(30), watch.next_until(after)).await };
    assert!(run(next).unwrap().unwrap().is_none());
}

//! What watches tell, and when.

use serde_json::{Value, json};

use super::*;

#[test]
fn a_watch_tells_everything_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let start = registry.resource_version();
    let query = ListQuery { selector: Selector::parse("seen", "").unwrap(), ..ListQuery::default() };
    let mut watch = registry.watch(&THINGS, &query, start).unwrap();
    let label = |value: Value| {
        let patch = move |old: Option<&Object>| {
            let mut object = old.unwrap().clone();
            object.metadata_mut().insert("labels".to_owned(), value);
            Ok(object)
        };
        run(registry.update(&THINGS, "", "a", Change::Patch(Box::new(patch)), WriteOptions::default()))
            .unwrap();
    };
    create(&registry, "a", json!({}), false).unwrap();
    label(json!({"seen": ""}));
    label(json!({"seen": "again"}));
    label(json!({}));
    label(json!({"seen": ""}));
    run(registry.delete(&THINGS, "", "a", DeleteOptions::default())).unwrap();
    let mut kinds = Vec::new();
    let mut versions = Vec::new();
    for _ in 0..5 {
        let event = run(watch.next()).unwrap();
        kinds.push(event.kind);
        versions.push(event.stored.object().unwrap().resource_version());
    }
    use EventKind::{Added, Deleted, Modified};
    assert_eq!(kinds, [Added, Modified, Deleted, Added, Deleted]);
    assert!(versions.is_sorted() && versions[4] <= registry.resource_version());
    assert_eq!(registry.watch(&THINGS, &query, start - 1).unwrap_err().code, 410);
}

#[test]
fn a_watch_promises_nothing_that_it_did_not_tell() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let mut watch = registry.watch(&THINGS, &ListQuery::default(), registry.resource_version()).unwrap();
    for name in ["a", "b", "c"] {
        create(&registry, name, json!({}), false).unwrap();
    }
    for left in (0..3).rev() {
        let event = run(watch.next()).unwrap();
        // A watch that starts at the bookmark gets the rest.
        let mut again = registry.watch(&THINGS, &ListQuery::default(), watch.version()).unwrap();
        assert!(event.version <= watch.version());
        let mut next = || run(again.next_until(registry.resource_version())).unwrap();
        let missed = std::iter::from_fn(&mut next).count();
        assert_eq!(missed, left);
    }
    assert_eq!(watch.version(), registry.resource_version());
}

#[test]
fn what_was_listed_is_not_told_again() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let mut query = ListQuery { limit: 2, ..ListQuery::default() };
    for name in ["a", "b", "y"] {
        create(&registry, name, json!({}), false).unwrap();
    }
    let mut watch = registry.watch(&THINGS, &query, registry.resource_version()).unwrap();
    let first = registry.piece(&THINGS, &query, Key::default()).unwrap();
    watch.covers(&first);
    // Before the second piece is read: a listed object goes, one comes and goes, one comes and stays.
    for name in ["x", "z"] {
        create(&registry, name, json!({}), false).unwrap();
    }
    for name in ["a", "x"] {
        run(registry.delete(&THINGS, "", name, DeleteOptions::default())).unwrap();
    }
    query.limit = 10;
    let second = registry.piece(&THINGS, &query, first.end.unwrap()).unwrap();
    watch.covers(&second);
    let listed: Vec<String> = first
        .items
        .iter()
        .chain(&second.items)
        .map(|stored| stored.object().unwrap().name().to_owned())
        .collect();
    assert_eq!(listed, ["a", "b", "y", "z"]);
    create(&registry, "c", json!({}), false).unwrap();
    let mut told = Vec::new();
    while let Some(event) = run(watch.next_until(registry.resource_version())).unwrap() {
        told.push((event.kind, event.stored.object().unwrap().name().to_owned()));
    }
    assert_eq!(told, [(EventKind::Deleted, "a".to_owned()), (EventKind::Added, "c".to_owned())]);
    assert!(watch.version() >= second.version);
}

/// `cacheWatcher.process` in `k8s.io/apiserver/pkg/storage/cacher/cache_watcher.go`.
#[test]
fn a_watch_of_the_future_tells_what_is_behind_its_version_only() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let start = registry.resource_version();
    let mut watch = registry.watch(&THINGS, &ListQuery::default(), start + 2).unwrap();
    assert!(watch.is_ahead());
    let made = ["a", "b", "c"].map(|name| {
        create(&registry, name, json!({}), false).unwrap();
        (registry.resource_version(), name)
    });
    let event = run(watch.next()).unwrap();
    let expected = made.iter().find(|(version, _)| *version > start + 2).unwrap();
    assert_eq!((event.version, event.stored.object().unwrap().name()), *expected);
    assert_ne!(expected.1, "a");
    assert!(!watch.is_ahead());
    // The largest version does not end a watch either.
    assert!(registry.watch(&THINGS, &ListQuery::default(), u64::MAX).unwrap().version() < u64::MAX);
}

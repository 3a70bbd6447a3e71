//! Several changes as one.

use serde_json::json;

use super::*;

#[test]
fn all_changes_are_made_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let write = |writes: Vec<Write>| run(registry.write(writes));
    let create = |name: &str| Write::create(&THINGS, thing(name, json!({})));
    let versions = write(vec![create("a"), create("b")]).unwrap();
    assert_eq!(*versions.end(), registry.resource_version());
    let get = |name: &str| registry.get(&THINGS, "", name).unwrap().object().unwrap();
    let [a, b] = ["a", "b"].map(get);
    assert!([&a, &b].iter().all(|object| versions.contains(&object.resource_version())));
    let mut changed = a.clone();
    changed.metadata_mut().insert("labels".to_owned(), json!({"x": "y"}));
    let replace = || Write::replace(&THINGS, changed.clone());
    write(vec![replace(), Write::delete(&THINGS, &b), create("c")]).unwrap();
    assert_eq!(names(&registry, &THINGS), ["a", "c"]);
    // What was seen has changed, or is gone: nothing of the rest is made.
    for (late, code) in
        [(replace(), 409), (Write::delete(&THINGS, &a), 409), (Write::delete(&THINGS, &b), 404)]
    {
        assert_eq!(write(vec![create("d"), late]).unwrap_err().code, code);
        assert_eq!(names(&registry, &THINGS), ["a", "c"]);
    }
}

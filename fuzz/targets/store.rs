//! The file that `restore` is given.

use std::sync::LazyLock;

use podhosts_apiserver::kinds::{self, Config};
use podhosts_apiserver::registry::Registry;
use podhosts_apiserver::store::Store;
use podhosts_apiserver::store::backup;
use serde_json::{Map, Value};

use super::chosen;

/// A file as it stands, or a backup with bytes changed: a place in the file (two bytes, from the end with 2) and what is
/// there then. What is restored can be served.
pub(super) fn restore(data: &[u8]) {
    let Some((way, rest)) = chosen(data, 3) else { return };
    let file = match way {
        0 => rest.to_vec(),
        _ => changed(rest, way == 2),
    };
    let dir = tempfile::tempdir().expect("there is room");
    let (from, path) = (dir.path().join("backup"), dir.path().join("data/apiserver.db"));
    std::fs::write(&from, file).expect("there is room");
    if let Err(error) = backup::restore(&path, &from) {
        assert!(!path.exists() && !error.to_string().contains('\n'), "{error}");
        return;
    }
    // Each use has a copy: a test forks beside this one, and until it executes something the fork has our locks, too.
    let copy = |name: &str| {
        let copy = dir.path().join(name);
        std::fs::copy(&path, &copy).expect("there is room");
        copy
    };
    let store = Store::open(&copy("read")).expect("is restored");
    for resource in kinds::all(Config::default()) {
        for row in store.list(resource.kind(), None, ("", ""), i64::MAX).expect("can be read") {
            serde_json::from_str::<Map<String, Value>>(&row.stored.text).expect("is an object");
        }
    }
    Registry::open(&copy("served"), kinds::all(Config::default())).expect("can be served");
}

fn changed(edits: &[u8], from_the_end: bool) -> Vec<u8> {
    let mut file = BACKUP.clone();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % file.len();
        let at = if from_the_end { file.len() - 1 - at } else { at };
        file[at] = edit[2];
    }
    file
}

/// Of a store with what every server makes.
static BACKUP: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("there is room");
    let (path, to) = (dir.path().join("apiserver.db"), dir.path().join("backup"));
    let config = Config {
        service_cidrs: vec!["10.96.0.0/28".parse().expect("is a network")],
        node_name: "node1".to_owned(),
        ..Config::default()
    };
    drop(Registry::open(&path, kinds::all(config)).expect("opens"));
    backup::backup(&path, &to).expect("is made");
    std::fs::read(&to).expect("was made")
});

//! Resource versions over a store that goes back: none is given out twice, and whoever knows of what is lost is told so.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::serve::Server;
use crate::harness::{Run, bin, needs};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const JSON: &str = "application/json";

fn run(subcommand: &str, data: &Path, file: &Path) -> Run {
    let mut command = Command::new(bin("podhosts-cni"));
    command.arg(subcommand).arg("--data-dir").arg(data).arg(file).output().unwrap().into()
}

#[track_caller]
fn create(server: &Server, name: &str) -> Value {
    let service = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
    let answer = server.ask("POST", SERVICES, JSON, service.to_string().as_bytes());
    assert_eq!(answer.code, 201, "{}", answer.json());
    answer.json()
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

fn latest(server: &Server) -> u64 {
    version(&server.get(SERVICES).json())
}

/// What a watch behind a version begins with: the code of an error, or 0 where nothing is missed.
fn watched(server: &Server, since: u64) -> u64 {
    let path = format!("{SERVICES}?watch=true&timeoutSeconds=1&resourceVersion={since}");
    let answer = server.get(&path);
    assert_eq!(answer.code, 200, "{since}");
    let text = String::from_utf8(answer.body).unwrap();
    let first = text.lines().next().map(|line| serde_json::from_str::<Value>(line).unwrap());
    first
        .filter(|event| event["type"] == "ERROR")
        .map_or(0, |event| event["object"]["code"].as_u64().unwrap())
}

fn put(server: &Server, object: &Value) -> u16 {
    let path = format!("{SERVICES}/{}", object["metadata"]["name"].as_str().unwrap());
    server.ask("PUT", &path, JSON, object.to_string().as_bytes()).code
}

/// A server that has gone back to before `lost` was made, and knows `kept`, of which `stale` is what a client saw later.
#[track_caller]
fn has_gone_back(server: &Server, seen: u64, kept: &Value, stale: &Value, lost: &Value) {
    let now = latest(server);
    assert!(now > seen, "{now} {seen}");
    for old in [version(kept), version(lost), seen] {
        assert_eq!(watched(server, old), 410, "{old}");
    }
    assert_eq!(watched(server, now), 0);
    assert_eq!(server.get(&format!("{SERVICES}/lost")).code, 404);
    // As many changes as were lost, and more: no version is had by two objects.
    let mut made: Vec<u64> =
        (0..6).map(|number| version(&create(server, &format!("new-{now}-{number}")))).collect();
    assert!(made.iter().all(|version| *version > seen), "{made:?}");
    made.dedup();
    assert_eq!(made.len(), 6);
    assert_eq!(put(server, stale), 409);
    let mut kept = kept.clone();
    kept["metadata"]["labels"] = json!({"changed": now.to_string()});
    assert_eq!(put(server, &kept), 200);
}

/// A directory whose server is stopped, a copy of its store from before, and what a client knew of.
struct Lost {
    dir: tempfile::TempDir,
    seen: u64,
    kept: Value,
    stale: Value,
    lost: Value,
}

impl Lost {
    /// `copy` makes a copy of the store in `data` when it is as it will be again.
    fn new(copy: impl FnOnce(&Path, &Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start_in(dir.path(), &[]);
        let kept = create(&server, "kept");
        copy(&dir.path().join("data"), &dir.path().join("copy"));
        let mut stale = kept.clone();
        stale["metadata"]["labels"] = json!({"seen": "later"});
        let path = format!("{SERVICES}/kept");
        let stale = server.ask("PUT", &path, JSON, stale.to_string().as_bytes()).json();
        let lost = create(&server, "lost");
        create(&server, "lost-too");
        let seen = latest(&server);
        assert!(server.stop().success());
        Self { dir, seen, kept, stale, lost }
    }

    fn check(&self, server: &Server) {
        has_gone_back(server, self.seen, &self.kept, &self.stale, &self.lost);
    }
}

fn backup(data: &Path, to: &Path) {
    run("backup", data, to).success();
}

/// As `etcdutl snapshot restore --bump-revision --mark-compacted` has it.
#[test]
fn a_restored_store_goes_on_above() {
    needs!();
    let lost = Lost::new(backup);
    let (data, copy) = (lost.dir.path().join("data"), lost.dir.path().join("copy"));
    run("restore", &data, &copy).success();
    let server = Server::start_in(lost.dir.path(), &[]);
    lost.check(&server);
    // Once more, with what was given out since.
    let seen = latest(&server);
    assert!(server.stop().success());
    run("restore", &data, &copy).success();
    let server = Server::start_in(lost.dir.path(), &[]);
    has_gone_back(&server, seen, &lost.kept, &lost.stale, &lost.lost);
    // On a machine where nothing is known of what was given out.
    let elsewhere = tempfile::tempdir().unwrap();
    run("restore", &elsewhere.path().join("data"), &copy).success();
    lost.check(&Server::start_in(elsewhere.path(), &[]));
}

#[test]
fn a_store_that_is_copied_in_goes_on_above() {
    needs!();
    for has_file in [true, false] {
        let lost = Lost::new(backup);
        let data = lost.dir.path().join("data");
        for log in ["apiserver.db-wal", "apiserver.db-shm"] {
            assert!(!data.join(log).exists(), "{log}");
        }
        fs::copy(lost.dir.path().join("copy"), data.join("apiserver.db")).unwrap();
        if !has_file {
            fs::remove_file(data.join("apiserver.db.version")).unwrap();
        }
        lost.check(&Server::start_in(lost.dir.path(), &[]));
    }
}

#[test]
fn a_store_that_was_not_touched_goes_on_where_it_ended() {
    needs!();
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_in(dir.path(), &[]);
    let first = create(&server, "first");
    let seen = latest(&server);
    assert!(seen < 1000, "{seen}");
    assert!(server.stop().success());
    let mut server = Server::start_in(dir.path(), &[]);
    // A start takes a version for each kind that is found on the machine.
    let goes_on = |server: &Server, seen: u64| (seen..seen + 5).contains(&latest(server));
    assert!(goes_on(&server, seen));
    assert_eq!((watched(&server, seen), put(&server, &first)), (0, 200));
    // Killed right behind an answer, again and again.
    for number in 0..5 {
        let made = version(&create(&server, &format!("s{number}")));
        server.kill();
        server = Server::start_in(dir.path(), &[]);
        assert!(goes_on(&server, made));
        assert_eq!(watched(&server, made), 0);
    }
    // After a crash of the machine nobody knows.
    let seen = latest(&server);
    server.kill();
    let mark = dir.path().join("data/apiserver.db.version");
    let text = fs::read_to_string(&mark).unwrap();
    let version = text.split(' ').next().unwrap();
    fs::write(&mark, format!("{version} 00000000-0000-0000-0000-000000000000\n")).unwrap();
    let server = Server::start_in(dir.path(), &[]);
    assert!(latest(&server) > seen);
    assert_eq!((watched(&server, seen), watched(&server, latest(&server))), (410, 0));
}

//! The store of the API server: one server at a time, backups, and files that are not what it wrote.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::serve::Server;
use crate::harness::{Run, bin, needs};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const JSON: &str = "application/json";

/// Runs podhosts-cni with a data directory.
fn run(subcommand: &str, data: &Path, args: &[&Path]) -> Run {
    // What should be refused and is not would serve for ever.
    let mut command = Command::new("timeout");
    command.arg("30").arg(bin("podhosts-cni")).arg(subcommand).arg("--data-dir").arg(data).args(args);
    command.output().unwrap().into()
}

/// A server that has to refuse to start; what it says, which is one line.
#[track_caller]
fn refused(data: &Path) -> String {
    let kubeconfig = data.with_file_name("refused");
    let out = Path::new("--kubeconfig-out");
    let text = run("serve", data, &["--secure-port=0".as_ref(), out, &kubeconfig]).failure();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!kubeconfig.exists());
    text.trim_end().to_owned()
}

#[track_caller]
fn create(server: &Server, name: &str) {
    let service = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
    let answer = server.ask("POST", SERVICES, JSON, service.to_string().as_bytes());
    assert_eq!(answer.code, 201, "{}", answer.json());
}

/// The names of the Services, and the address of each.
fn services(server: &Server) -> Vec<(String, String)> {
    let list = server.get(SERVICES).json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| (text(&item["metadata"]["name"]), text(&item["spec"]["clusterIP"]))).collect()
}

/// A directory with a database of many pages, and a backup of it.
fn written() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_in(dir.path(), &[]);
    for number in 0..60 {
        create(&server, &format!("service-{number}"));
    }
    run("backup", &dir.path().join("data"), &[&dir.path().join("backup")]).success();
    assert!(server.stop().success());
    dir
}

#[test]
fn a_store_has_one_server() {
    needs!();
    let server = Server::start(&[]);
    let data = server.dir.join("data");
    let database = data.join("apiserver.db");
    let expected =
        format!("podhosts-apiserver: cannot use {}: another podhosts-apiserver has it", database.display());
    assert_eq!(refused(&data), expected);
    create(&server, "a");
}

#[test]
fn a_backup_of_a_running_server_is_restored() {
    needs!();
    let dir = tempfile::tempdir().unwrap();
    let (data, backup) = (dir.path().join("data"), dir.path().join("backup"));
    let server = Server::start_in(dir.path(), &[]);
    create(&server, "a");
    let before = services(&server);
    assert_eq!(run("backup", &data, &[&backup]).success(), "");
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&backup).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    // A backup is never written over.
    let again = run("backup", &data, &[&backup]).failure();
    assert_eq!(
        again,
        format!("podhosts-apiserver: cannot write {}: there is such a file\n", backup.display())
    );
    create(&server, "b");
    let told = run("restore", &data, &[&backup]).failure();
    assert!(told.ends_with("/data/apiserver.db: another podhosts-apiserver has it\n"), "{told}");
    assert_eq!(services(&server).len(), 3);
    for name in ["apiserver.db", "apiserver.db-wal"] {
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(data.join(name)).unwrap());
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    // Killed, so that there is a log of changes, which must not be taken for the backup's.
    drop(server);
    assert!(data.join("apiserver.db-wal").exists());
    assert_eq!(run("restore", &data, &[&backup]).success(), "");
    let server = Server::start_in(dir.path(), &[]);
    assert_eq!(services(&server), before);
    // Its address is free again.
    create(&server, "b");
    assert_eq!(services(&server).len(), 3);
}

#[test]
fn what_is_no_backup_is_not_restored() {
    needs!();
    let dir = written();
    let (data, backup) = (dir.path().join("data"), dir.path().join("backup"));
    let database = data.join("apiserver.db");
    let before = fs::read(&database).unwrap();
    let whole = fs::read(&backup).unwrap();
    let wrong = dir.path().join("wrong");
    for text in [&b""[..], b"text", &whole[..whole.len() / 2], &[0; 8192]] {
        fs::write(&wrong, text).unwrap();
        let told = run("restore", &data, &[&wrong]).failure();
        assert!(
            told.starts_with(&format!("podhosts-apiserver: cannot restore {}: ", wrong.display())),
            "{told}"
        );
        assert_eq!(fs::read(&database).unwrap(), before);
    }
}

#[test]
fn a_later_schema_is_refused() {
    needs!();
    let dir = written();
    let data = dir.path().join("data");
    let database = data.join("apiserver.db");
    // SQLite has the user's version at this offset, four bytes, the most significant first.
    fs::File::options().write(true).open(&database).unwrap().write_all_at(&3_u32.to_be_bytes(), 60).unwrap();
    let before = fs::read(&database).unwrap();
    let expected = format!(
        "podhosts-apiserver: cannot use {}: it has schema 3, expected 2: it was written by a later podhosts-apiserver",
        database.display()
    );
    assert_eq!(refused(&data), expected);
    assert_eq!(fs::read(&database).unwrap(), before);
    // The same as a backup.
    let told = run("restore", &data, &[&database]).failure();
    assert!(told.contains("it has schema 3, expected 2"), "{told}");
}

#[test]
fn a_damaged_database_is_one_clear_error() {
    needs!();
    let dir = written();
    let (data, backup) = (dir.path().join("data"), dir.path().join("backup"));
    let database = data.join("apiserver.db");
    let whole = fs::read(&database).unwrap();
    let pages = whole.len() / 4096;
    assert!(pages > 10, "{pages}");
    let with = |offset: usize, bytes: &[u8]| {
        let mut text = whole.clone();
        text[offset..offset + bytes.len()].copy_from_slice(bytes);
        text
    };
    let mut damaged =
        vec![b"no database at all".repeat(1000), whole[..whole.len() / 2].to_vec(), with(100, &[7; 20])];
    // Each page with objects in turn.
    let kind = b"\"kind\":\"Service\"";
    let has_objects =
        |page: &usize| whole[page * 4096..(page + 1) * 4096].windows(kind.len()).any(|bytes| bytes == kind);
    let broken: Vec<usize> = (1..pages).filter(has_objects).collect();
    assert!(broken.len() > 5, "{broken:?} of {pages}");
    damaged.extend(broken.iter().map(|page| with(page * 4096, &[0xa5; 4096])));
    // Pages that are whole, with objects that are not.
    let json = whole.windows(kind.len()).rposition(|bytes| bytes == kind).unwrap();
    damaged.push(with(json, b"?"));
    let start = format!("podhosts-apiserver: cannot use {}: it is damaged: ", database.display());
    for (number, text) in damaged.iter().enumerate() {
        fs::write(&database, text).unwrap();
        let told = refused(&data);
        assert!(told.starts_with(&start) && told.contains("podhosts-apiserver restore"), "{number}: {told}");
    }
    assert_eq!(run("restore", &data, &[&backup]).success(), "");
    let server = Server::start_in(dir.path(), &[]);
    assert_eq!(services(&server).len(), 61);
}

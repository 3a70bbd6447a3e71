//! Attacks on the API server, by users of its machine who have no token, and by files that an operator is handed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::harness::serve::{Server, Shown};
use crate::harness::{Run, bin, needs};

/// Connections of the attacker: twice as many as the server serves.
const SOCKETS: usize = 2_200;

/// A user without a token who keeps `SOCKETS` connections, each of which sends a part of what the server waits for, and
/// opens a new one for each that the server closes. Says when all were open once.
const FLOOD: &str = r#"
import os, resource, select, socket, ssl, sys
port, count, way = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
os.setgid(65534)
os.setuid(65534)
hello = bytes.fromhex("160301020001") + b"\0" * 40
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
epoll, clients, opened = select.epoll(), {}, 0

class Client:
    def __init__(self):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", port))
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing) if way in ("request", "unauthorized") else None
        self.is_open = False
        clients[self.socket.fileno()] = self
        epoll.register(self.socket, select.EPOLLIN | select.EPOLLOUT)
    def close(self):
        epoll.unregister(self.socket)
        del clients[self.socket.fileno()]
        self.socket.close()
    def go_on(self, event):
        if event & select.EPOLLOUT and not self.is_open:
            epoll.modify(self.socket, select.EPOLLIN)
            self.is_open = True
            if way == "hello":
                self.socket.send(hello)
        if event & select.EPOLLIN:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError
            self.incoming.write(data)
        if self.tls and self.is_open:
            try:
                self.tls.do_handshake()
                if way == "request":
                    self.tls.write(b"GET /version HTTP/1.1\r\nHost: x\r\n")
                    self.tls = None
                else:
                    self.tls.write(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
            except ssl.SSLWantReadError:
                pass
            sent = self.outgoing.read()
            if sent:
                self.socket.send(sent)

while True:
    for _ in range(min(count - len(clients), 50)):
        Client()
        opened += 1
        if opened == count:
            print("open", flush=True)
    for number, event in epoll.poll(0.05):
        try:
            clients[number].go_on(event)
        except (OSError, ssl.SSLError):
            clients[number].close()
"#;

/// An attacker that stops with its test.
struct Attacker(Child);

impl Attacker {
    fn start(server: &Server, way: &str) -> Self {
        let mut process = Command::new("python3")
            .args(["-c", FLOOD, &server.address.port().to_string(), &SOCKETS.to_string(), way])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "open\n");
        Self(process)
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        // Gone already only where the test has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One attack at a time: what two do to the machine together is not the server's doing.
static ALONE: Mutex<()> = Mutex::new(());

/// Twenty requests with the token, each on a connection of its own, while the attack goes on. A machine that is busy with
/// other things is given two more tries.
fn is_answered_within_a_second(way: &str) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Server::start(&[]);
    let token = server.token();
    let mut attacker = Attacker::start(&server, way);
    let twenty = |_| {
        let mut times = Vec::new();
        for _ in 0..20 {
            let begun = Instant::now();
            let answer = server.raw(Shown::Token(&token), "GET /version", "", &[]);
            times.push(begun.elapsed());
            assert_eq!(answer.map(|answer| answer.code), Some(200), "{way}, after {times:?}");
        }
        times
    };
    let slowest: Vec<_> = (0..3).map(twenty).filter_map(|times| times.into_iter().max()).collect();
    assert!(attacker.0.try_wait().unwrap().is_none(), "{way}: the attacker has given up");
    assert!(slowest.iter().any(|time| *time < Duration::from_secs(1)), "{way}: {slowest:?}");
}

// Slowloris, CWE-400: as CVE-2007-6750 of Apache and CVE-2018-12122 of Node.js.
#[test]
fn a_user_without_a_token_opens_connections_and_says_nothing() {
    needs!("python3");
    is_answered_within_a_second("silent");
}

#[test]
fn a_user_without_a_token_begins_tls_and_does_not_go_on() {
    needs!("python3");
    is_answered_within_a_second("hello");
}

#[test]
fn a_user_without_a_token_sends_half_a_request() {
    needs!("python3");
    is_answered_within_a_second("request");
}

#[test]
fn a_user_without_a_token_asks_and_stays() {
    needs!("python3");
    is_answered_within_a_second("unauthorized");
}

/// A data directory and a backup of a server that has a Service.
fn backed_up() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (data, backup) = (dir.path().join("data"), dir.path().join("backup"));
    let server = Server::start_in(dir.path(), &[]);
    let service = r#"{"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}"#;
    let path = "/api/v1/namespaces/default/services";
    assert_eq!(server.ask("POST", path, "application/json", service.as_bytes()).code, 201);
    run("backup", &data, &[&backup]).success();
    assert!(server.stop().success());
    (dir, data, backup)
}

/// Runs podhosts-cni with a data directory.
fn run(subcommand: &str, data: &Path, args: &[&Path]) -> Run {
    // What should be refused and is not would serve for ever.
    let mut command = Command::new("timeout");
    command.arg("20").arg(bin("podhosts-cni")).arg(subcommand).arg("--data-dir").arg(data).args(args);
    command.output().unwrap().into()
}

/// That `restore` refuses `backup`, saying why, and leaves everything as it was.
#[track_caller]
fn is_not_restored(data: &Path, backup: &Path, why: &str) {
    let names = |dir: &Path| {
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let database = data.join("apiserver.db");
    let (before, files) = (fs::read(&database).unwrap(), names(data));
    let told = run("restore", data, &[backup]).failure();
    let start = format!("podhosts-apiserver: cannot restore {}: ", backup.display());
    assert!(told.starts_with(&start) && told.contains(why) && told.lines().count() == 1, "{why}: {told}");
    assert_eq!((fs::read(&database).unwrap(), names(data)), (before, files), "{why}");
}

/// `backup` after somebody has had SQLite change it.
fn with(backup: &Path, sql: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::copy(backup, file.path()).unwrap();
    let changed = Connection::open(file.path()).and_then(|db| db.execute_batch(sql));
    changed.unwrap_or_else(|error| panic!("{sql}: {error}"));
    file
}

// Code in a database that is opened: as CVE-2019-8457 and the "select code_execution from * using sqlite" attacks.
#[test]
fn a_backup_brings_along_what_sqlite_runs() {
    needs!();
    let (_dir, data, backup) = backed_up();
    for (sql, why) in [
        (
            "CREATE TRIGGER t AFTER UPDATE ON counter BEGIN DELETE FROM objects; END",
            "it has trigger \"t\", which podhosts-apiserver does not make",
        ),
        ("CREATE VIEW more AS SELECT * FROM objects", "view \"more\""),
        ("CREATE TABLE more (a)", "table \"more\""),
        ("CREATE INDEX more ON objects (hex(json))", "index \"more\""),
        ("ANALYZE", "table \"sqlite_stat1\""),
        (
            "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = replace(sql, 'json TEXT NOT NULL', \
             'json TEXT NOT NULL CHECK (json != randomblob(9))') WHERE name = 'objects'",
            "table \"objects\" is not as podhosts-apiserver makes it",
        ),
        (
            "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = replace(sql, 'version INTEGER NOT NULL', \
             'version INTEGER AS (length(name))') WHERE name = 'objects'",
            "table \"objects\" is not as podhosts-apiserver makes it",
        ),
        (
            "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET rootpage = \
             (SELECT rootpage FROM sqlite_schema WHERE name = 'counter') WHERE name = 'applied'",
            "",
        ),
        ("PRAGMA user_version=0", "it has schema 0, expected 2"),
        ("PRAGMA user_version=1", "is not as podhosts-apiserver makes it"),
        ("PRAGMA user_version=-1", "it has schema -1, expected 2"),
    ] {
        is_not_restored(&data, with(&backup, sql).path(), why);
    }
    assert_eq!(run("restore", &data, &[&backup]).success(), "");
}

#[test]
fn a_backup_holds_what_no_server_has_stored() {
    needs!();
    let (_dir, data, backup) = backed_up();
    let web = "WHERE kind = 'services' AND name = 'web'";
    for (sql, why) in [
        (format!("UPDATE objects SET json = '[]' {web}"), "expected an object"),
        (format!("UPDATE objects SET json = x'7b7d' {web}"), ""),
        (format!("UPDATE objects SET json = '{{' {web}"), "\"services\" \"default\" \"web\""),
        (format!("UPDATE objects SET json = replace(json, '\"ports\":[', '\"ports\":[1,') {web}"), "ports"),
        (format!("UPDATE objects SET json = replace(json, '\"Service\"', '\"Pod\"') {web}"), "Pod"),
        (format!("UPDATE objects SET name = '../../etc' {web}"), "the object is another one"),
        (format!("UPDATE objects SET namespace = '' {web}"), "the object is another one"),
        (format!("UPDATE objects SET kind = 'jobs' {web}"), "there is no kind \"jobs\""),
        (format!("UPDATE objects SET kind = char(27) || '[2J' {web}"), "there is no kind \"\\u{1b}[2J\""),
        (format!("UPDATE objects SET version = version + 1000000 {web}"), "it has version "),
        (format!("UPDATE objects SET version = 'new' {web}"), ""),
        (format!("UPDATE objects SET version = 1 {web}"), "another resourceVersion than 1"),
        ("UPDATE counter SET version = 9223372036854775807".to_owned(), "no last version"),
        ("UPDATE counter SET version = 'last'".to_owned(), "no last version"),
        ("DELETE FROM counter".to_owned(), "no last version"),
        ("INSERT INTO counter VALUES (1)".to_owned(), "no last version"),
        ("INSERT INTO applied VALUES ('services', 'default', 'web', 'm', '1')".to_owned(), "table applied"),
    ] {
        is_not_restored(&data, with(&backup, &sql).path(), why);
    }
}

// CWE-367: what is checked has to be what is used.
#[test]
fn a_backup_is_another_one_with_the_log_beside_it() {
    needs!();
    let (dir, data, backup) = backed_up();
    let hostile = dir.path().join("hostile");
    fs::copy(&backup, &hostile).unwrap();
    let db = Connection::open(&hostile).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.execute_batch(
        "CREATE TRIGGER t AFTER UPDATE ON counter BEGIN DELETE FROM objects; END;
         PRAGMA wal_checkpoint(TRUNCATE);
         DROP TRIGGER t;",
    )
    .unwrap();
    // With its log the file has no trigger.
    assert!(dir.path().join("hostile-wal").metadata().unwrap().len() > 0);
    is_not_restored(&data, &hostile, "trigger \"t\"");
    drop(db);
}

#[test]
fn a_store_is_put_in_place_with_a_trigger_in_it() {
    needs!();
    let (dir, data, _) = backed_up();
    let database = data.join("apiserver.db");
    let sql = "CREATE TRIGGER t AFTER UPDATE ON counter BEGIN DELETE FROM objects; END";
    Connection::open(&database).unwrap().execute_batch(sql).unwrap();
    let kubeconfig = dir.path().join("refused");
    let told = run("serve", &data, &["--secure-port=0".as_ref(), "--kubeconfig-out".as_ref(), &kubeconfig])
        .failure();
    let why = "it is damaged: it has trigger \"t\", which podhosts-apiserver does not make";
    assert!(told.contains(why) && !kubeconfig.exists(), "{told}");
    let told = run("backup", &data, &[&dir.path().join("another")]).failure();
    assert!(told.contains(why), "{told}");
}

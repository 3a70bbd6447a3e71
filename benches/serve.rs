//! The API server against SQLite itself: the cost of a Service beyond making its rows durable.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::json;

use super::harness::serve::{Server, Shown};
use super::{median, print_row};

const RUNS: usize = 1000;
const PARALLEL: usize = 16;
/// Numbers of Services in the store at which creates are measured again.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// Creates a second of kube-apiserver 1.36 with etcd, once, on a like machine with 2 cores.
const KUBERNETES: f64 = 216.0;

/// A connection that stays open.
pub(super) struct Client<S> {
    stream: S,
    token: String,
    received: Vec<u8>,
}

impl<S: Read + Write> Client<S> {
    pub(super) fn new(stream: S, token: String) -> Self {
        Self { stream, token, received: Vec::new() }
    }

    /// Creates a Service with a selector and waits for the answer.
    fn create(&mut self, name: &str) -> Duration {
        self.create_object(&service(name))
    }

    /// Creates the Service `body` and waits for the answer.
    pub(super) fn create_object(&mut self, body: &str) -> Duration {
        let request = format!(
            "POST /api/v1/namespaces/default/services HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        let start = Instant::now();
        self.stream.write_all(request.as_bytes()).unwrap();
        self.answer();
        start.elapsed()
    }

    fn answer(&mut self) {
        let mut buffer = [0; 8192];
        loop {
            let text = String::from_utf8_lossy(&self.received);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                assert!(head.starts_with("HTTP/1.1 201"), "{text}");
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                if body.len() >= length.parse().unwrap() {
                    return self.received.clear();
                }
            }
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the server hung up");
            self.received.extend_from_slice(&buffer[..count]);
        }
    }
}

pub(super) fn service(name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}]}})
    .to_string()
}

/// The rows of a Service and its IPAddress, written durably as the server does.
struct Peer {
    db: Connection,
}

impl Peer {
    fn new(dir: &Path) -> Self {
        let db = Connection::open(dir.join("peer.db")).unwrap();
        db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
        db.pragma_update(None, "synchronous", "FULL").unwrap();
        db.execute_batch("CREATE TABLE objects (name TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID")
            .unwrap();
        Self { db }
    }

    fn insert(&self, run: usize) -> Duration {
        // As long as they are in the server's store.
        let (service, address) = ("s".repeat(800), "a".repeat(450));
        let start = Instant::now();
        let transaction = self.db.unchecked_transaction().unwrap();
        for (name, text) in [(format!("service {run:08}"), service), (format!("address {run:08}"), address)] {
            let mut insert = transaction.prepare_cached("INSERT INTO objects VALUES (?1, ?2)").unwrap();
            insert.execute([name, text]).unwrap();
        }
        transaction.commit().unwrap();
        start.elapsed()
    }
}

/// A connection with TLS.
pub(super) fn encrypted(server: &Server) -> Client<impl Read + Write + use<>> {
    let stream = server.connect(Shown::Nothing);
    stream.sock.set_nodelay(true).unwrap();
    Client::new(stream, server.token())
}

/// A connection without TLS.
pub(super) fn plain(port: u16) -> Client<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    Client::new(stream, String::new())
}

struct Bench {
    server: Server,
    insecure: u16,
    peer: Peer,
    count: usize,
}

/// Runs everything; the stores are on a disk.
pub(crate) fn run() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let free = free_port();
    let server = Server::start_in(dir.path(), &[&format!("--insecure-port={free}")]);
    println!("{:<58} {:>6} KiB", "resident memory, empty", server.memory());
    let mut bench = Bench { server, insecure: free, peer: Peer::new(dir.path()), count: 0 };
    bench.sequential("create, plain HTTP (peer: SQLite's own insert)", false);
    bench.sequential("create, TLS (peer: SQLite's own insert)", true);
    bench.sizes();
    super::before::creates();
}

/// A port of the loopback interface that nobody listens on.
pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Bench {
    fn plain(&self) -> Client<TcpStream> {
        plain(self.insecure)
    }

    fn name(&mut self) -> String {
        self.count += 1;
        format!("s{:08}", self.count)
    }

    fn sequential(&mut self, title: &str, tls: bool) {
        let times = if tls {
            self.creates(encrypted(&self.server), RUNS)
        } else {
            let client = self.plain();
            self.creates(client, RUNS)
        };
        print_row(title, &times.0, &times.1);
        print_rate("  creates a second", 1.0 / median_seconds(&times.0));
    }

    /// Times of creates, and of the peer in between.
    fn creates<S: Read + Write>(
        &mut self,
        mut client: Client<S>,
        runs: usize,
    ) -> (Vec<Duration>, Vec<Duration>) {
        let run = |_| {
            let name = self.name();
            (client.create(&name), self.peer.insert(self.count))
        };
        (0..runs).map(run).unzip()
    }

    /// Fills the store up to a size by clients in parallel, measures, and again.
    fn sizes(&mut self) {
        let mut first = None;
        for size in SIZES {
            let missing = size.saturating_sub(self.count);
            let each = missing / PARALLEL;
            let start = Instant::now();
            std::thread::scope(|scope| {
                for worker in 0..PARALLEL {
                    let (mut client, from) = (self.plain(), self.count + worker * each);
                    scope.spawn(move || {
                        for n in 0..each {
                            client.create(&format!("s{:08}", from + n + 1));
                        }
                    });
                }
            });
            self.count += each * PARALLEL;
            if each > 0 {
                let rate = (each * PARALLEL) as f64 / start.elapsed().as_secs_f64();
                print_rate(&format!("  {PARALLEL} clients at once, up to {size} Services, a second"), rate);
            }
            println!(
                "{:<58} {:>6} KiB",
                format!("resident memory, {} Services", self.count),
                self.server.memory()
            );
            let client = self.plain();
            let (times, _) = self.creates(client, RUNS / 2);
            let first = first.get_or_insert_with(|| times.clone());
            print_row(&format!("create, {size} Services (peer: {} Services)", SIZES[0]), &times, first);
        }
    }
}

fn median_seconds(times: &[Duration]) -> f64 {
    median(times.iter().map(Duration::as_secs_f64).collect())
}

fn print_rate(name: &str, rate: f64) {
    println!(
        "{name:<58} {rate:>7.0}    {:>10.1}x kube-apiserver and etcd on a like machine",
        rate / KUBERNETES
    );
}

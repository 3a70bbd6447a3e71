//! Attacks on the API server, by users of its machine who have no token, and by files that an operator is handed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::needs;
use crate::harness::serve::{Server, Shown};

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

/// Twenty requests with the token, each on a connection of its own, while the attack goes on.
fn is_answered_within_a_second(way: &str) {
    let server = Server::start(&[]);
    let token = server.token();
    let mut attacker = Attacker::start(&server, way);
    let mut times = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        let answer = server.raw(Shown::Token(&token), "GET /version", "", &[]);
        times.push(begun.elapsed());
        assert_eq!(answer.map(|answer| answer.code), Some(200), "{way}, after {times:?}");
    }
    assert!(attacker.0.try_wait().unwrap().is_none(), "{way}: the attacker has given up");
    assert!(times.iter().all(|time| *time < Duration::from_secs(1)), "{way}: {times:?}");
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

//! Servers that tell who asks, and clients that ask them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Answers every connection and datagram with its name and the address that it came from. It closes a connection only
/// when the client does: a client that sends lines gets each back.
const SERVER: &str = r#"
import socket, sys, threading
name, port = sys.argv[1], int(sys.argv[2])
tcp = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1000)
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
udp.bind(("::", port))
def answer(peer):
    return (name + " " + peer[0].removeprefix("::ffff:") + "\n").encode()
def stream(connection, peer):
    with connection:
        try:
            connection.sendall(answer(peer))
            while data := connection.recv(1000):
                connection.sendall(data)
        except OSError:
            pass
def datagrams():
    while True:
        _, peer = udp.recvfrom(100)
        try:
            udp.sendto(answer(peer), peer)
        except OSError:
            pass
threading.Thread(target=datagrams, daemon=True).start()
print("ready", flush=True)
while True:
    threading.Thread(target=stream, args=tcp.accept(), daemon=True).start()
"#;

/// A server called `name`, where `python` runs.
pub(crate) fn serve(mut python: Command, name: &str, port: u16) -> Process {
    python.args(["-c", SERVER, name, &port.to_string()]);
    Process::start(python)
}

/// Connects a number of times, one after the other, and prints what each got, or why it got nothing.
pub(crate) const CLIENT: &str = r#"
import socket, sys
kind, host, port, times, patience = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
def answer():
    with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
        s.settimeout(patience)
        s.connect((host, port))
        if kind == "udp":
            s.send(b"?")
        return s.recv(100).decode().strip()
for _ in range(times):
    try:
        print(answer())
    except OSError as error:
        print(type(error).__name__)
"#;

/// A program that goes with the value.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    #[allow(dead_code, reason = "benches ask")]
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Starts a program, and waits until it says that it is ready.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }
}

/// Connects, and sends each line of its input when the one before came back.
const STREAM: &str = r#"
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
f = s.makefile("rw")
print(f.readline().strip(), flush=True)
for line in sys.stdin:
    f.write(line); f.flush()
    print(f.readline().strip(), flush=True)
"#;

/// A connection that is asked again and again, and has to answer each time.
pub(crate) struct Stream {
    client: Child,
    input: ChildStdin,
    output: std::io::Lines<BufReader<ChildStdout>>,
    /// Who answers, and the address that it sees.
    pub(crate) peer: String,
}

impl Stream {
    /// Opens one from where `python` runs to one of our servers.
    #[track_caller]
    pub(crate) fn open(mut python: Command, host: &str, port: u16) -> Self {
        python.args(["-c", STREAM, host, &port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut client = python.spawn().unwrap();
        let input = client.stdin.take().unwrap();
        let mut output = BufReader::new(client.stdout.take().unwrap()).lines();
        let peer = output.next().expect("no answer").unwrap();
        Self { client, input, output, peer }
    }

    /// Fails unless it still answers.
    #[track_caller]
    pub(crate) fn goes_on(&mut self) {
        writeln!(self.input, "x").unwrap();
        assert_eq!(self.output.next().expect("no answer").unwrap(), "x");
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

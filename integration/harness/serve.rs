//! An API server with a directory of its own, and clients for it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

use super::cni::CniNode;
use super::{bin, engines_dir, has_all};

/// A server that stops with its test.
pub(crate) struct Server {
    pub(crate) dir: PathBuf,
    pub(crate) address: SocketAddr,
    process: Child,
    _own: Option<tempfile::TempDir>,
}

/// What a client shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown<'a> {
    Nothing,
    Token(&'a str),
    Certificate(&'a str),
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

impl Server {
    /// A server with a directory of its own.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Self::start_in(dir.path(), flags);
        server._own = Some(dir);
        server
    }

    /// A server with this directory.
    pub(crate) fn start_in(dir: &Path, flags: &[&str]) -> Self {
        // This machine's own engine is none of a test's business.
        let flags = if flags.iter().any(|flag| flag.starts_with("--cri-endpoint")) {
            flags.to_vec()
        } else {
            [flags, &["--cri-endpoint=none"]].concat()
        };
        Self::start_by(Command::new(bin("podhosts-cni")), dir, &flags)
    }

    /// A server with this directory and these variables in its environment.
    pub(crate) fn start_with(dir: &Path, env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(bin("podhosts-cni"));
        command.envs(env.iter().copied());
        Self::start_by(command, dir, &["--cri-endpoint=none"])
    }

    /// A server on `node`, with this directory; its clients have to be there too.
    pub(crate) fn start_on(node: &CniNode, dir: &Path, flags: &[&str]) -> Self {
        Self::start_by(node.command(bin("podhosts-cni"), &[]), dir, flags)
    }

    fn start_by(mut command: Command, dir: &Path, flags: &[&str]) -> Self {
        command.arg("serve").args(flags);
        if !flags.iter().any(|flag| flag.starts_with("--secure-port")) {
            command.arg("--secure-port=0");
        }
        // In the network namespace that tests share, only one server could have the packet filter's table.
        if !flags.iter().any(|flag| flag.starts_with("--proxy")) {
            command.arg("--proxy=none");
        }
        if !flags.iter().any(|flag| flag.starts_with("--node-name")) {
            command.arg("--node-name=node1");
        }
        Self::start_as_told(command, dir)
    }

    /// A server with the flags that `command` has, and this directory.
    pub(crate) fn start_as_told(mut command: Command, dir: &Path) -> Self {
        command.arg("--data-dir").arg(dir.join("data")).arg("--kubeconfig-out").arg(dir.join("kubeconfig"));
        let mut process = command.stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut log = fs::File::create(dir.join("server.log")).unwrap();
        // It may have something to tell before it serves.
        let address = loop {
            let mut line = String::new();
            stderr.read_line(&mut line).unwrap();
            let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
                process.kill().unwrap();
                panic!("{error}: {line}")
            });
            log.write_all(line.as_bytes()).unwrap();
            if let Some(address) = told["address"].as_str() {
                break address.parse().unwrap();
            }
        };
        // Lines that nobody reads would fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut log));
        Self { dir: dir.to_owned(), address, process, _own: None }
    }

    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.process)
    }

    /// Asks it to stop, and waits; how it ended.
    pub(crate) fn stop(mut self) -> std::process::ExitStatus {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::TERM).unwrap();
        self.process.wait().unwrap()
    }

    /// Kills it, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Memory that it has, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub(crate) fn token(&self) -> String {
        fs::read_to_string(self.dir.join("data/token")).unwrap().trim().to_owned()
    }

    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.join("data/pki").join(name)).unwrap()
    }

    /// A connection with TLS.
    pub(crate) fn connect(
        &self,
        shown: Shown<'_>,
    ) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&self.file("ca.crt")).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder().with_root_certificates(roots);
        let config = if let Shown::Certificate(name) = shown {
            let chain = vec![CertificateDer::from_pem_slice(&self.file(&format!("{name}.crt"))).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(&self.file(&format!("{name}.key"))).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        } else {
            config.with_no_client_auth()
        };
        let name = "kubernetes.default.svc".try_into().unwrap();
        let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        rustls::StreamOwned::new(connection, socket)
    }

    /// Sends a request as it stands, `Connection: close` and what is shown being added; the answer, if there is one.
    pub(crate) fn raw(&self, shown: Shown<'_>, line: &str, headers: &str, body: &[u8]) -> Option<Answer> {
        exchange(self.connect(shown), shown, line, headers, body)
    }

    /// As [`Self::raw`], of somebody who may. On a machine that is very busy a handshake takes longer than the server waits.
    fn asked(&self, line: &str, headers: &str, body: &[u8]) -> Answer {
        let token = self.token();
        let shown = Shown::Token(&token);
        let ready = (0..10).find_map(|_| {
            let mut stream = self.connect(shown);
            stream.conn.complete_io(&mut stream.sock).ok()?;
            Some(stream)
        });
        exchange(ready.expect("no handshake"), shown, line, headers, body).unwrap()
    }

    /// A request by somebody who may, with a body.
    pub(crate) fn ask(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> Answer {
        let headers = format!("Content-Type: {media_type}\r\nContent-Length: {}\r\n", body.len());
        self.asked(&format!("{method} {path}"), &headers, body)
    }

    /// The object that comes of a request that has to succeed; it has no body for null.
    #[track_caller]
    pub(crate) fn done(&self, method: &str, path: &str, media_type: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.ask(method, path, media_type, body.as_bytes());
        let object = answer.json();
        assert!([200, 201].contains(&answer.code), "{method} {path}: {object}");
        object
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.asked(&format!("GET {path}"), "", &[])
    }

    /// Runs a kubectl; whether it succeeded, and what it printed on stdout and stderr.
    pub(crate) fn kubectl(&self, kubectl: &Path, args: &[&str]) -> (bool, String) {
        let output = Command::new(kubectl)
            .arg("--kubeconfig")
            .arg(self.dir.join("kubeconfig"))
            .arg("--cache-dir")
            .arg(self.dir.join("cache"))
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already where a test stopped it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends a request over a connection; the answer, if there is one.
fn exchange(
    mut stream: rustls::StreamOwned<rustls::ClientConnection, TcpStream>,
    shown: Shown<'_>,
    line: &str,
    headers: &str,
    body: &[u8],
) -> Option<Answer> {
    let token = match shown {
        Shown::Token(token) => format!("Authorization: Bearer {token}\r\n"),
        _ => String::new(),
    };
    let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{token}{headers}\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    // The server may have answered and hung up before it has everything.
    let _ = stream.write_all(body);
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received);
    answer(&received)
}

fn answer(received: &[u8]) -> Option<Answer> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    let headers = String::from_utf8(received[..end].to_vec()).unwrap();
    let code = headers.split(' ').nth(1)?.parse().unwrap();
    let body = received[end + 4..].to_vec();
    let is_chunked = headers.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Some(Answer { code, headers, body: if is_chunked { unchunked(&body) } else { body } })
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        let Some(chunk) = body.get(end + 2..end + 2 + size) else { break };
        whole.extend_from_slice(chunk);
        body = body.get(end + 4 + size..).unwrap_or_default();
    }
    whole
}

/// The kubectls that tests are run with: the newest, and this Debian's old one; none where one is missing.
pub(crate) fn kubectls() -> Vec<PathBuf> {
    let all = ["sid", "kubectl"].map(|dir| engines_dir().join(dir).join("usr/bin/kubectl"));
    if has_all(&all.each_ref().map(|path| path.to_str().unwrap())) { all.to_vec() } else { Vec::new() }
}

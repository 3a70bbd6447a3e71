//! The API server, as Kubernetes' clients for other languages see it: see `apiserver/clients/`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, thread};

use crate::harness::is_complete;
use crate::harness::serve::Server;

/// What every client does, in this order.
const STEPS: [&str; 14] = [
    "create",
    "list",
    "watch",
    "json_patch",
    "merge_patch",
    "strategic_patch",
    "apply_patch",
    "conflict",
    "delete_service",
    "delete_services",
    "delete_namespace",
    "delete_event",
    "delete_endpoint_slice",
    "delete_service_cidr_and_ip_address",
];
const FLAG: &str = "--service-cluster-ip-range=10.96.0.0/16,2001:db8:fd00::/112";

/// How a server goes before another one takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Stop,
    Kill,
}

fn sources() -> PathBuf {
    crate::harness::repository().join("integration/apiserver/clients")
}

/// Where `make clients` has put the client `name`. Without it the test is skipped.
fn prepared(name: &str, program: &str) -> Option<PathBuf> {
    let dir = crate::harness::repository().join("target/clients").join(name);
    let missing = match fs::read_to_string(dir.join("missing")) {
        Ok(reason) => Some(format!("the {name} client cannot be had: {}", reason.trim())),
        Err(_) if dir.join(program).exists() => None,
        Err(_) => Some(format!("{} is missing: run make clients", dir.join(program).display())),
    };
    is_complete(missing).then_some(dir)
}

/// The command of a client, which does not stay for longer than is waited for any server.
fn bounded(program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.arg("180").arg(program);
    command
}

/// Runs a client to its end, with another server on the same data and port whenever it asks for one.
#[track_caller]
fn drive(mut command: Command, end: End) {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(dir.path(), &[FLAG]);
    let port = format!("--secure-port={}", server.address.port());
    command.arg(dir.path().join("kubeconfig"));
    let mut client =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = client.stdin.take().unwrap();
    let mut stderr = client.stderr.take().unwrap();
    let told = thread::spawn(move || std::io::read_to_string(&mut stderr).unwrap());
    let (mut done, mut restarts) = (Vec::new(), 0);
    for line in BufReader::new(client.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line != "restart" {
            done.push(line);
            continue;
        }
        match end {
            End::Stop => assert!(server.stop().success()),
            End::Kill => server.kill(),
        }
        server = Server::start_in(dir.path(), &[FLAG, &port]);
        restarts += 1;
        stdin.write_all(b"restarted\n").unwrap();
    }
    let status = client.wait().unwrap();
    let told = told.join().unwrap();
    let expected: Vec<String> = STEPS.iter().map(|step| format!("ok {step}")).collect();
    let failed: Vec<&String> = done.iter().filter(|line| !expected.contains(line)).collect();
    assert!(done == expected && status.success() && restarts > 0, "{failed:#?}\n{status}\n{told}");
}

#[test]
fn the_python_client() {
    let Some(dir) = prepared("python", "complete") else { return };
    let mut command = bounded(&dir.join("venv/bin/python"));
    command.arg(sources().join("python/client.py"));
    drive(command, End::Stop);
}

#[test]
fn the_javascript_client() {
    let Some(dir) = prepared("node", "complete") else { return };
    let mut command = bounded(&dir.join("node_modules/.bin/node"));
    command.env("NODE_PATH", dir.join("node_modules")).arg(sources().join("node/client.cjs"));
    drive(command, End::Stop);
}

#[test]
fn kube_rs() {
    let Some(dir) = prepared("rust", "debug/podhosts-client-kube") else { return };
    drive(bounded(&dir.join("debug/podhosts-client-kube")), End::Kill);
}

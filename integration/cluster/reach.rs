//! Who reaches whom, and as whom.

use std::fmt::Write as _;
use std::process::Stdio;

use super::world::{BEYOND, Cluster, Member, PORT, Pod};
use crate::harness::Run;

/// Asks everyone, and prints what each answered, or why there is no answer. A datagram may be lost: it is sent again.
const ASK_ALL: &str = r#"
import socket, sys, time
patience = float(sys.argv[1])
def ask(kind, host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
        s.settimeout(patience if kind == "tcp" else min(patience, 1))
        s.connect((host, port))
        for left in reversed(range(int(patience) if kind == "udp" else 1)):
            try:
                if kind == "udp":
                    s.send(b"?")
                return s.recv(100).decode().strip()
            except TimeoutError:
                if left == 0:
                    raise
for target in sys.argv[2:]:
    kind, host, port = target.split()
    try:
        print(ask(kind, host, int(port)))
    except OSError as error:
        print(type(error).__name__)
"#;

/// How long a client waits for an answer that has to come, in seconds; the answer is there at once.
const PATIENCE: &str = "10";

/// Who is asked: the name of who has to answer, or nothing where it may be any; its address and port.
struct Target {
    name: Option<String>,
    kind: &'static str,
    host: String,
    port: u16,
}

/// Who asks: a pod, or its node.
struct Client<'a> {
    member: &'a Member,
    pod: Option<&'a Pod>,
}

impl Client<'_> {
    fn name(&self) -> &str {
        self.pod.map_or(&self.member.name, |pod| &pod.name)
    }

    /// The address that those within the cluster have to see.
    fn address(&self, family: usize) -> &str {
        self.pod.map_or(&self.member.addresses[family], |pod| &pod.addresses[family])
    }

    /// What is wrong with an answer.
    fn fault(&self, target: &Target, answer: &str) -> Option<String> {
        let family = usize::from(target.host.contains(':'));
        let (name, seen) = answer.split_once(' ').unwrap_or((answer, ""));
        let is_beyond = target.name.as_deref() == Some("beyond");
        let expected = if is_beyond { &self.member.addresses[family] } else { self.address(family) };
        // A pod that reaches itself through a Service is seen with the node's address, so that the answer comes back to
        // the node.
        let is_itself = target.name.is_none() && name == self.name();
        let is_right = target.name.as_deref().is_none_or(|wanted| wanted == name);
        if is_right && (seen == expected || is_itself) && !seen.is_empty() {
            return None;
        }
        let Target { kind, host, port, .. } = target;
        Some(format!(
            "{} to {kind} {host} {port}: {answer}, expected {:?} {expected}",
            self.name(),
            target.name
        ))
    }
}

impl Cluster {
    /// Fails unless every pod and every node reaches every pod, every node and the Services on both families, with
    /// TCP and UDP, and all see where it comes from; what is beyond the cluster sees the node.
    #[track_caller]
    pub(crate) fn assert_all_reach_all(&self, services: &[[String; 2]]) {
        let faults = self.faults(services, PATIENCE);
        assert!(faults.is_empty(), "{faults}");
    }

    /// What is wrong with the answers that come within `patience` seconds: a line for each.
    pub(crate) fn faults(&self, services: &[[String; 2]], patience: &str) -> String {
        let targets = self.targets(services);
        let clients: Vec<_> = self
            .members
            .iter()
            .flat_map(|member| {
                let pods = member.pods.iter().map(move |pod| Client { member, pod: Some(pod) });
                std::iter::once(Client { member, pod: None }).chain(pods)
            })
            .collect();
        assert!(!clients.is_empty() && !targets.is_empty());
        let asking: Vec<_> = clients
            .iter()
            .map(|client| {
                let mut python = client.member.command(client.pod, "python3");
                python.args(["-c", ASK_ALL, patience]);
                python.args(targets.iter().map(|it| format!("{} {} {}", it.kind, it.host, it.port)));
                python.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let mut faults = String::new();
        for (client, asking) in clients.iter().zip(asking) {
            let answers = Run::from(asking.wait_with_output().unwrap()).success();
            assert_eq!(answers.lines().count(), targets.len());
            for fault in targets
                .iter()
                .zip(answers.lines())
                .filter_map(|(target, answer)| client.fault(target, answer))
            {
                writeln!(faults, "{fault}").unwrap();
            }
        }
        faults
    }

    fn targets(&self, services: &[[String; 2]]) -> Vec<Target> {
        let mut targets = Vec::new();
        let mut add = |name: Option<&str>, hosts: [&str; 2], port| {
            for host in hosts {
                for kind in ["tcp", "udp"] {
                    targets.push(Target { name: name.map(str::to_owned), kind, host: host.to_owned(), port });
                }
            }
        };
        for member in &self.members {
            add(Some(&member.name), member.addresses.each_ref().map(String::as_str), PORT);
            for pod in &member.pods {
                add(Some(&pod.name), pod.addresses.each_ref().map(String::as_str), PORT);
            }
        }
        add(Some("beyond"), BEYOND, PORT);
        for service in services {
            add(None, service.each_ref().map(String::as_str), 80);
        }
        targets
    }
}

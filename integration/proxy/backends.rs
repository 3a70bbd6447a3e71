//! Backends under containerd that end by violence: how long requests are led to them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::containerd::{FLAGS, SERVICE, pod_of, python};
use crate::harness::cni::CniNode;
use crate::harness::containerd::{Containerd, each_containerd, sleeping};
use crate::harness::outside;
use crate::harness::serve::{Server, kubectls};
use crate::harness::{Run, needs};

each_containerd!(no_request_is_led_to_a_backend_that_is_gone);

/// The longest time after the end of a backend in which requests are led to it, in seconds.
const BOUND: f64 = 2.0;

/// Asks each host in turn until it is killed. Tells when it began to ask, and who answered, or why nobody did.
const CLIENT: &str = r#"
import signal, socket, sys, time
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
hosts = sys.argv[1:]
while True:
    for host in hosts:
        begun = time.time()
        try:
            with socket.create_connection((host, 80), 1) as s:
                s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answer = b""
                while part := s.recv(1000):
                    answer += part
            name = answer.split()[-1].decode() if answer else "nothing"
        except OSError as error:
            name = type(error).__name__
        print(begun, name, flush=True)
        time.sleep(0.002)
"#;

/// A container that answers every request with `name`.
fn answering(name: &str) -> Value {
    let mut container = sleeping("main");
    let script = format!("mkdir /www && echo {name} >/www/index.html && exec httpd -f -p 8080 -h /www");
    container["command"] = json!(["sh", "-c", script]);
    container
}

/// A client's answers as they come.
struct Client {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Client {
    fn start(mut command: Command, hosts: &[String]) -> Self {
        command.args(["-c", CLIENT]).args(hosts).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// When the next request began, and what became of it.
    fn next(&mut self) -> (f64, String) {
        let line = self.lines.next().unwrap().unwrap();
        let (begun, name) = line.split_once(' ').unwrap();
        (begun.parse().unwrap(), name.to_owned())
    }

    /// Waits until each of `names` answers, and nobody else does.
    #[track_caller]
    fn until_all_answer(&mut self, names: &[&str]) {
        for _ in 0..300 {
            let answers: BTreeSet<String> = (0..100).map(|_| self.next().1).collect();
            if answers.iter().eq(names) {
                return;
            }
        }
        panic!("not all of {names:?} answer");
    }

    /// How long after `gone` the last request began that none of `left` answered, of those within twice the bound.
    fn last_failure(&mut self, gone: f64, left: &[&str]) -> f64 {
        let (mut last, mut answers) = (0.0, 0);
        loop {
            let (begun, name) = self.next();
            let after = begun - gone;
            if !left.contains(&name.as_str()) {
                last = after;
            }
            answers += usize::from(after > 0.0);
            if after > 2.0 * BOUND {
                // One that goes on would have had a share of them.
                assert!(answers > 30, "only {answers}");
                return last;
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A server on the node, and the cluster IPs of a Service in it.
fn serve(node: &CniNode, kubectl: &Path) -> (Server, Vec<String>) {
    outside::connect(node);
    node.sh("ip route add default via 192.0.2.2; ip -6 route add default via 2001:db8::2");
    let dir = node.path("server");
    fs::create_dir(&dir).unwrap();
    let server = Server::start_on(node, &dir, &FLAGS);
    let file = node.path("service.json");
    fs::write(&file, SERVICE).unwrap();
    let config = dir.join("kubeconfig");
    let args =
        ["--kubeconfig", config.to_str().unwrap(), "create", "-o", "json", "-f", file.to_str().unwrap()];
    let mut create = node.command(kubectl, &args);
    create.arg("--cache-dir").arg(dir.join("cache"));
    let service: Value = serde_json::from_str(&Run::from(create.output().unwrap()).success()).unwrap();
    let ips = service["spec"]["clusterIPs"].as_array().unwrap().iter();
    (server, ips.map(|ip| ip.as_str().unwrap().to_owned()).collect())
}

fn no_request_is_led_to_a_backend_that_is_gone(containerd: &mut Containerd) {
    needs!("python3", "nft");
    let containerd = &*containerd;
    let node = &containerd.node;
    let Some(kubectl) = kubectls().first().cloned() else { return };
    let (_server, hosts) = serve(node, &kubectl);
    let names = ["web-1", "web-2", "web-3", "web-4"];
    let mut backends: Vec<_> = names
        .map(|name| {
            let (pod, container, _) = pod_of(containerd, name, "web", answering(name));
            (pod, container)
        })
        .into();
    let (_pod, _, netns) = pod_of(containerd, "client", "other", sleeping("main"));
    let mut client = Client::start(python(node, Some(&netns)), &hosts);
    client.until_all_answer(&names);
    let mut report = |how: &str, gone: f64, left: &[&str]| {
        let last = client.last_failure(gone, left);
        eprintln!("{how}: the last request is led there {:.3} s after", last.max(0.0));
        assert!(last <= BOUND, "{how}: {last} s");
    };

    // As the kernel does it where memory runs out.
    let (pod, container) = backends.remove(0);
    let process = containerd.inspect("inspect", &container)["info"]["pid"].as_u64().unwrap();
    let gone = now();
    node.sh(&format!("kill -KILL {process}"));
    report("a container that is killed", gone, &names[1..]);
    pod.remove();

    let (pod, _) = backends.remove(0);
    containerd.ask(&["stopp", &pod.id]);
    report("a sandbox that is stopped", now(), &names[2..]);

    let (pod, _) = backends.remove(0);
    pod.remove();
    report("a pod that is removed", now(), &names[3..]);
}

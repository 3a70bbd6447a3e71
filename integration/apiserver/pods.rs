//! Pods as the container engine tells of them over the CRI.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::Run;
use crate::harness::containerd::{Containerd, Release, SOCKET, each_containerd, sleeping};
use crate::harness::outside::{self, FIRST, NODE};
use crate::harness::serve::{Server, kubectls};

/// A server on containerd's node, with flags beside those that every node has.
fn serve(containerd: &Containerd, name: &str, flags: &[&str]) -> Server {
    let dir = containerd.node.path(name);
    fs::create_dir_all(&dir).unwrap();
    let ips = format!("--node-ip={},{}", NODE[0], NODE[1]);
    Server::start_on(&containerd.node, &dir, &[&["--node-name=node1", &ips], flags].concat())
}

/// A kubectl on the node.
struct Kubectl<'a> {
    containerd: &'a Containerd,
    server: &'a Server,
    program: PathBuf,
}

impl Kubectl<'_> {
    fn command(&self, args: &[&str]) -> std::process::Command {
        let (config, cache) = (self.server.dir.join("kubeconfig"), self.server.dir.join("cache"));
        let mut command = self.containerd.node.command(&self.program, &["--kubeconfig"]);
        command.arg(config).arg("--cache-dir").arg(cache).args(args);
        command
    }

    #[track_caller]
    fn ask(&self, args: &[&str]) -> String {
        Run::from(self.command(args).output().unwrap()).success()
    }

    #[track_caller]
    fn get(&self, object: &str) -> Value {
        serde_json::from_str(&self.ask(&["get", object, "-o", "json"])).unwrap()
    }

    /// Polls an object until it is as wanted; returns it.
    #[track_caller]
    fn until(&self, object: &str, is_reached: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..300 {
            let run = Run::from(self.command(&["get", object, "-o", "json"]).output().unwrap());
            let found = if run.ok { serde_json::from_str(&run.stdout).unwrap() } else { Value::Null };
            if is_reached(&found) {
                return found;
            }
            sleep(Duration::from_millis(100));
        }
        panic!("never: {:?}", self.command(&["get", object, "-o", "yaml"]).output())
    }
}

/// `kubectl get pods --watch`, line by line.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn begin(kubectl: &Kubectl<'_>) -> Self {
        let args = ["get", "pods", "--watch", "--output-watch-events", "--no-headers"];
        let mut child = kubectl.command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            // Ends with kubectl, or with whoever reads.
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok()
        });
        Self { child, lines }
    }

    /// Waits for a line with these words: name, ready and status.
    #[track_caller]
    fn until(&self, wanted: [&str; 3]) {
        self.wait(|words| words[0] != "DELETED" && words[1..] == wanted);
    }

    /// Waits until a pod is gone.
    #[track_caller]
    fn until_gone(&self, name: &str) {
        self.wait(|words| words[..2] == ["DELETED", name]);
    }

    #[track_caller]
    fn wait(&self, is_wanted: impl Fn(&[&str]) -> bool) {
        let mut seen = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(30)) {
            let words: Vec<&str> = line.split_whitespace().take(4).collect();
            if words.len() == 4 && is_wanted(&words) {
                return;
            }
            seen.push(line);
        }
        panic!("never: {seen:#?}")
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

fn is_ready(object: &Value) -> bool {
    condition(object, "Ready")["status"] == "True"
}

each_containerd!(pods_are_told_as_they_change, an_engine_goes_and_comes_back);

fn pods_are_told_as_they_change(containerd: &mut Containerd) {
    let kubectls = kubectls();
    let Some(newest) = kubectls.first() else { return };
    outside::connect(&containerd.node);
    let server = serve(containerd, "server", &["--log-level=debug"]);
    let kubectl = Kubectl { containerd, server: &server, program: newest.clone() };
    let watching = Watching::begin(&kubectl);
    let mut config = containerd.pod_config("web");
    config["labels"] = json!({"app": "web", "tier": "front"});
    config["annotations"] = json!({"example.com/note": "kept"});
    let pod = containerd.pod(&config);
    watching.until(["web", "0/0", "Pending"]);
    let mut main = sleeping("main");
    main["annotations"] = json!({"io.kubernetes.container.ports":
        r#"[{"name":"http","containerPort":80,"protocol":"TCP"}]"#});
    let main = pod.start(&main);
    watching.until(["web", "1/1", "Running"]);
    let side = pod.start(&sleeping("side"));
    watching.until(["web", "2/2", "Running"]);

    let found = kubectl.get("pod/web");
    assert_eq!(found["metadata"]["labels"], config["labels"]);
    assert_eq!(found["metadata"]["annotations"]["example.com/note"], "kept");
    assert_eq!(found["status"]["podIPs"], json!([{"ip": FIRST[0]}, {"ip": FIRST[1]}]));
    assert_eq!(found["status"]["hostIP"], NODE[0]);
    let port = json!([{"name": "http", "containerPort": 80, "protocol": "TCP"}]);
    assert_eq!(found["spec"]["containers"][0]["ports"], port);
    let status = &found["status"]["containerStatuses"][0];
    assert_eq!(status["containerID"], format!("containerd://{main}"));
    assert!(status["state"]["running"]["startedAt"].is_string(), "{status}");
    let kinds = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    assert!(kinds.iter().all(|kind| condition(&found, kind)["status"] == "True"), "{found:#}");
    for program in &kubectls {
        let kubectl = Kubectl { containerd, server: &server, program: program.clone() };
        let wide = kubectl.ask(&["get", "pods", "-l", "app=web,tier!=back", "-o", "wide", "--no-headers"]);
        let words: Vec<&str> = wide.split_whitespace().collect();
        assert_eq!(
            (&words[..4], &words[5..7]),
            (&["web", "2/2", "Running", "0"][..], &[FIRST[0], "node1"][..])
        );
        let described = kubectl.ask(&["describe", "pod", "web"]);
        for text in ["Running", "app=web", "80/TCP", "ContainersReady", &main, FIRST[1]] {
            assert!(described.contains(text), "{text}: {described}");
        }
        let node = kubectl.ask(&["describe", "node", "node1"]);
        assert!(node.contains("containerd://"), "{node}");
        assert_eq!(kubectl.ask(&["get", "pods", "-l", "app!=web", "-o", "name"]), "");
    }
    // A container that ends is no longer ready, whoever ended it.
    containerd.ask(&["stop", "-t", "0", &side]);
    watching.until(["web", "1/2", "Error"]);
    let found = kubectl.get("pod/web");
    assert_eq!(condition(&found, "Ready")["message"], "containers with unready status: [side]");
    containerd.ask(&["stopp", &pod.id]);
    watching.until(["web", "0/2", "Error"]);
    assert_eq!(kubectl.get("pod/web")["status"]["phase"], "Failed");
    assert_eq!(kubectl.get("pod/web")["status"]["podIPs"], json!([]));
    pod.remove();
    watching.until_gone("web");

    // A pod that podhosts-cni has no record of.
    let mut on_node = containerd.pod_config("on-node");
    on_node["linux"]["security_context"] = json!({"namespace_options": {"network": 2}});
    let on_node = containerd.pod(&on_node);
    on_node.start(&sleeping("main"));
    watching.until(["on-node", "1/1", "Running"]);
    let found = kubectl.get("pod/on-node");
    assert_eq!(found["spec"]["hostNetwork"], true);
    assert_eq!(found["status"]["podIPs"], json!([{"ip": NODE[0]}, {"ip": NODE[1]}]));

    // That of containerd 1.6 too, whose CRI has no events.
    let log = fs::read_to_string(server.dir.join("server.log")).unwrap();
    assert!(log.contains("an event of the container engine"), "{log}");
    assert!(!log.contains("no events of the container engine"), "{log}");
}

fn an_engine_goes_and_comes_back(containerd: &mut Containerd) {
    let kubectls = kubectls();
    let Some(newest) = kubectls.first() else { return };
    let endpoint = format!("--cri-endpoint=unix://{SOCKET}");
    let server = serve(containerd, "server", &[&endpoint]);
    let mut config = containerd.pod_config("web");
    config["labels"] = json!({"app": "web"});
    let pod = containerd.pod(&config);
    let main = pod.start(&sleeping("main"));
    let process = containerd.inspect("inspect", &main)["info"]["pid"].clone();
    let (id, _) = pod.into_parts();
    let kubectl = Kubectl { containerd, server: &server, program: newest.clone() };
    let before = kubectl.until("pod/web", is_ready);

    containerd.end("KILL");
    let kubectl = Kubectl { containerd, server: &server, program: newest.clone() };
    let node = kubectl.until("node/node1", |node| !is_ready(node));
    let why = condition(&node, "Ready");
    assert_eq!(why["reason"], "ContainerRuntimeDown");
    let message = why["message"].as_str().unwrap();
    assert!(message.starts_with("container runtime is down: cannot "), "{message}");
    assert!(kubectl.ask(&["get", "nodes"]).contains("NotReady"));
    // Its pods go on, and are shown as they were.
    assert_eq!(kubectl.get("pod/web"), before);
    // A server that starts now has the records alone.
    let late = serve(containerd, "late", &[]);
    let its = Kubectl { containerd, server: &late, program: newest.clone() };
    let found = its.get("pod/web");
    assert!(!is_ready(&its.get("node/node1")) && is_ready(&found));
    assert_eq!(found["status"]["podIPs"], before["status"]["podIPs"]);
    assert_eq!(found["spec"]["containers"], json!([]));
    // Nobody tells of a container that ends now.
    containerd.node.sh(&format!("kill -KILL {process}"));

    containerd.launch();
    for server in [&server, &late] {
        let kubectl = Kubectl { containerd, server, program: newest.clone() };
        kubectl.until("node/node1", is_ready);
        let found = kubectl.until("pod/web", |pod| !is_ready(pod) && !pod.is_null());
        assert_eq!(found["status"]["phase"], "Failed", "{found:#}");
        assert_eq!(found["metadata"]["labels"]["app"], "web");
    }
    let kubectl = Kubectl { containerd, server: &server, program: newest.clone() };
    let again = containerd.again(&id, "web");
    let mut second = sleeping("main");
    second["metadata"]["attempt"] = json!(1);
    again.start(&second);
    let found = kubectl.until("pod/web", is_ready);
    assert_eq!(found["status"]["containerStatuses"][0]["restartCount"], 1);
    again.remove();
    kubectl.until("pod/web", Value::is_null);
    // One line for each time, however often the engine was looked for.
    let log = fs::read_to_string(server.dir.join("server.log")).unwrap();
    assert_eq!(log.matches("does not answer").count(), 1, "{log}");
}

#[test]
fn a_server_that_starts_again_knows_its_pods_at_once() {
    let Some(newest) = kubectls().into_iter().next() else { return };
    let Some(containerd) = Containerd::start(Release::Bookworm) else { return };
    let server = serve(&containerd, "server", &[]);
    let mut config = containerd.pod_config("web");
    config["labels"] = json!({"app": "web"});
    let pod = containerd.pod(&config);
    pod.start(&sleeping("main"));
    let kubectl = Kubectl { containerd: &containerd, server: &server, program: newest.clone() };
    let before = kubectl.until("pod/web", is_ready);
    // The one that the harness knows is what brought it into the node's namespaces.
    containerd.node.sh(
        "for p in /proc/[0-9]*; do case $(readlink $p/exe) in */podhosts-apiserver) kill -KILL ${p#/proc/}; \
         while [ -e $p ]; do sleep 0.05; done;; esac; done",
    );
    server.kill();
    let server = serve(&containerd, "server", &[]);
    let kubectl = Kubectl { containerd: &containerd, server: &server, program: newest };
    let mut after = kubectl.get("pod/web");
    let version = |pod: &Value| pod["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(version(&after) > version(&before));
    after["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
    assert_eq!(after, before);
    // Whoever knows of an earlier start has to list again, for pods may have gone in between.
    let old = format!("/api/v1/pods?watch=true&timeoutSeconds=1&resourceVersion={}", version(&before));
    assert!(kubectl.ask(&["get", "--raw", &old]).contains("\"code\":410"));
}

#[test]
fn an_engine_that_is_missing_is_told_where_it_was_asked_for() {
    let Some(newest) = kubectls().into_iter().next() else { return };
    let Some(containerd) = Containerd::new(Release::Bookworm) else { return };
    for (name, flags, is_fine) in [
        ("auto", &[][..], true),
        ("none", &["--cri-endpoint=none"], true),
        ("missing", &["--cri-endpoint=unix:///run/missing.sock"], false),
    ] {
        let server = serve(&containerd, name, flags);
        let kubectl = Kubectl { containerd: &containerd, server: &server, program: newest.clone() };
        let node = kubectl.get("node/node1");
        assert_eq!(is_ready(&node), is_fine, "{flags:?} {node:#}");
        assert_eq!(node["status"]["nodeInfo"]["containerRuntimeVersion"], "");
        let log = fs::read_to_string(server.dir.join("server.log")).unwrap();
        assert_eq!(log.matches("\"level\":\"warn\"").count(), usize::from(!is_fine), "{log}");
    }
}

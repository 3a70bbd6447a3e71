//! `--nodes=stored`: Nodes and Leases that clients write, as agents and kubectls see them.

use std::fs;
use std::io::{BufRead, BufReader, Write};

use serde_json::{Value, json};

use super::kubectl::{refused, run};
use crate::harness::api_client::Client;
use crate::harness::needs;
use crate::harness::serve::{Server, Shown, kubectls};

const NODES: &str = "/api/v1/nodes";
const N1: &str = "/api/v1/nodes/n1";
const STATUS: &str = "/api/v1/nodes/n1/status";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

fn serve() -> Server {
    Server::start(&["--nodes=stored"])
}

/// The code and the object of an answer.
fn ask(server: &Server, method: &str, path: &str, media_type: &str, body: &Value) -> (u16, Value) {
    let answer = server.ask(method, path, media_type, body.to_string().as_bytes());
    (answer.code, answer.json())
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[test]
fn nodes_are_those_that_clients_write() {
    needs!();
    let server = serve();
    assert_eq!(server.get(NODES).json()["items"], json!([]));
    let node = json!({"metadata": {"name": "n1", "labels": {"zone": "a"}},
        "spec": {"podCIDRs": ["10.244.1.0/24", "fd00:10:244:1::/64"], "providerID": ""},
        "status": {"capacity": {"cpu": "2"}, "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}});
    let made = server.done("POST", NODES, JSON, &node);
    assert_eq!(made["spec"], json!({"podCIDR": "10.244.1.0/24", "podCIDRs": node["spec"]["podCIDRs"]}));
    assert_eq!(made["status"]["allocatable"], json!({"cpu": "2"}));
    assert_eq!(made["status"]["addresses"], node["status"]["addresses"]);
    // Go writes these in any case.
    assert_eq!(made["status"]["daemonEndpoints"], json!({"kubeletEndpoint": {"Port": 0}}));
    assert_eq!(made["status"]["nodeInfo"]["machineID"], "");
    assert_eq!(ask(&server, "POST", NODES, JSON, &node).0, 409);
    server.done("POST", NODES, JSON, &json!({"metadata": {"name": "n2"}}));
    for (query, expected) in [
        ("fieldSelector=metadata.name%3Dn1", &["n1"][..]),
        ("fieldSelector=metadata.name!%3Dn1", &["n2"]),
        ("labelSelector=zone%3Da", &["n1"]),
        ("labelSelector=!zone", &["n2"]),
        ("fieldSelector=spec.unschedulable%3Dtrue", &[]),
        ("limit=1", &["n1"]),
    ] {
        assert_eq!(names(&server.get(&format!("{NODES}?{query}")).json()), expected, "{query}");
    }
    // What a client writes as the object is not the status.
    let mut changed = server.get(N1).json();
    changed["metadata"]["labels"]["zone"] = json!("b");
    changed["spec"]["unschedulable"] = json!(true);
    changed["status"] = json!({});
    let changed = server.done("PUT", N1, JSON, &changed);
    assert_eq!(
        (&changed["metadata"]["labels"]["zone"], &changed["spec"]["unschedulable"]),
        (&json!("b"), &json!(true))
    );
    assert_eq!(changed["status"], made["status"]);
    let (code, stale) = ask(&server, "PUT", N1, JSON, &made);
    assert_eq!((code, &stale["reason"]), (409, &json!("Conflict")));
    assert_eq!(ask(&server, "PUT", "/api/v1/nodes/n3", JSON, &json!({"metadata": {"name": "n3"}})).0, 404);
    // They are there after a restart, too.
    let dir = tempfile::tempdir().unwrap();
    let first = Server::start_in(dir.path(), &["--nodes=stored"]);
    first.done("POST", NODES, JSON, &node);
    drop(first);
    let again = Server::start_in(dir.path(), &["--nodes=stored"]);
    assert_eq!(names(&again.get(NODES).json()), ["n1"]);
    drop(again);
    // A server of this machine does not show them.
    let machine = Server::start_in(dir.path(), &[]);
    assert_eq!(names(&machine.get(NODES).json()), ["node1"]);
    assert_eq!(server.done("DELETE", N1, JSON, &json!({}))["status"], "Success");
    assert_eq!(names(&server.get(NODES).json()), ["n2"]);
}

#[test]
fn pod_networks_are_given_once() {
    needs!();
    let server = serve();
    server.done("POST", NODES, JSON, &json!({"metadata": {"name": "n1"}}));
    let bad = json!({"spec": {"podCIDRs": ["10.0.0.0/24", "10.0.1.0/24"]}});
    let (code, told) = ask(&server, "PATCH", N1, MERGE, &bad);
    assert_eq!(code, 422, "{told}");
    let networks = json!({"spec": {"podCIDRs": ["10.244.1.0/24", "fd00:10:244:1::/64"]}});
    let given = server.done("PATCH", N1, STRATEGIC, &networks);
    assert_eq!(given["spec"]["podCIDR"], "10.244.1.0/24");
    let other = json!({"spec": {"podCIDR": "10.244.2.0/24", "podCIDRs": ["10.244.2.0/24"]}});
    for patch in [&other, &json!({"spec": {"podCIDR": null, "podCIDRs": null}})] {
        let (code, told) = ask(&server, "PATCH", N1, MERGE, patch);
        let why = "Node \"n1\" is invalid: spec.podCIDRs: Forbidden: node updates may not change podCIDR except \
                   from \"\" to valid";
        assert_eq!((code, &told["message"]), (422, &json!(why)));
    }
    assert_eq!(server.get(N1).json()["spec"], given["spec"]);
}

#[test]
fn a_status_takes_every_patch() {
    needs!();
    let server = serve();
    server.done(
        "POST",
        NODES,
        JSON,
        &json!({"metadata": {"name": "n1"}, "spec": {"podCIDR": "10.0.0.0/24"}}),
    );
    let condition =
        |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "r", "message": "m"});
    let states = |node: &Value| -> Vec<String> {
        let all = node["status"]["conditions"].as_array().unwrap().iter();
        all.map(|one| format!("{}={}", one["type"].as_str().unwrap(), one["status"].as_str().unwrap()))
            .collect()
    };
    let status = |conditions: Value| json!({"status": {"conditions": conditions}});
    let first = server.done("PATCH", STATUS, STRATEGIC, &status(json!([condition("Ready", "False")])));
    assert_eq!(states(&first), ["Ready=False"]);
    // Others' conditions stay where lists are merged by their types.
    let two =
        server.done("PATCH", STATUS, STRATEGIC, &status(json!([condition("NetworkUnavailable", "False")])));
    assert_eq!(states(&two), ["NetworkUnavailable=False", "Ready=False"]);
    let ready =
        server.done("PATCH", STATUS, STRATEGIC, &status(json!([{"type": "Ready", "status": "True"}])));
    assert!(states(&ready).contains(&"Ready=True".to_owned()), "{ready}");
    assert_eq!(ready["status"]["conditions"].as_array().unwrap().len(), 2);
    let mut applied = status(json!([condition("NetworkUnavailable", "True")]));
    applied["apiVersion"] = json!("v1");
    applied["kind"] = json!("Node");
    let path = format!("{STATUS}?fieldManager=agent&force=true");
    let applied = server.done("PATCH", &path, APPLY, &applied);
    assert_eq!(applied["status"]["conditions"].as_array().unwrap().len(), 2);
    assert!(states(&applied).contains(&"NetworkUnavailable=True".to_owned()), "{applied}");
    let operations = json!([{"op": "add", "path": "/status/volumesInUse", "value": ["v"]}]);
    let operated = server.done("PATCH", STATUS, JSON_PATCH, &operations);
    assert_eq!(operated["status"]["volumesInUse"], json!(["v"]));
    let replaced = server.done("PATCH", STATUS, MERGE, &status(json!([condition("Ready", "Unknown")])));
    assert_eq!(states(&replaced), ["Ready=Unknown"]);
    // It is all that is written here, and by this.
    let both = json!({"spec": {"podCIDR": "10.0.1.0/24"}, "status": {"phase": "Running"}});
    let written = server.done("PATCH", STATUS, MERGE, &both);
    assert_eq!(
        (&written["spec"]["podCIDR"], &written["status"]["phase"]),
        (&json!("10.0.0.0/24"), &json!("Running"))
    );
    let mut whole = server.get(N1).json();
    whole["status"]["conditions"] = json!([condition("Ready", "True")]);
    assert_eq!(states(&server.done("PUT", STATUS, JSON, &whole)), ["Ready=True"]);
    let unknown = json!({"status": {"nodeInfo": {"foo": 1}}});
    let (code, told) =
        ask(&server, "PATCH", &format!("{STATUS}?fieldValidation=Strict"), STRATEGIC, &unknown);
    assert!(
        code == 422 && told["message"].as_str().unwrap().contains("unknown field \"status.nodeInfo.foo\""),
        "{told}"
    );
    let wrong = json!({"status": {"capacity": {"cpu": "many"}}});
    assert!([400, 422].contains(&ask(&server, "PATCH", STATUS, MERGE, &wrong).0));
}

/// Begins a watch of what a list has.
pub(super) fn watch(server: &Server, path: &str) -> impl BufRead + use<> {
    let mut stream = BufReader::new(server.connect(Shown::Nothing));
    let (line, token) = (format!("GET {path}&watch=true HTTP/1.1"), server.token());
    write!(stream.get_mut(), "{line}\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n").unwrap();
    stream
}

/// Reads the next event of a watch.
pub(super) fn next(stream: &mut impl BufRead) -> (String, Value) {
    let mut line = String::new();
    loop {
        line.clear();
        stream.read_line(&mut line).unwrap();
        // Between are the sizes of chunks.
        if let Ok(event @ Value::Object(_)) = serde_json::from_str::<Value>(&line) {
            return (event["type"].as_str().unwrap().to_owned(), event["object"].clone());
        }
    }
}

#[test]
fn an_agent_watches_its_node() {
    needs!();
    let server = serve();
    for name in ["n1", "n2"] {
        server.done("POST", NODES, JSON, &json!({"metadata": {"name": name}}));
    }
    let version = server.get(NODES).json()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let path = format!("{NODES}?fieldSelector=metadata.name%3Dn1&resourceVersion={version}");
    let mut stream = watch(&server, &path);
    server.done("PATCH", "/api/v1/nodes/n2", MERGE, &json!({"metadata": {"labels": {"a": "b"}}}));
    server.done("PATCH", N1, MERGE, &json!({"spec": {"podCIDR": "10.0.0.0/24"}}));
    let (event, node) = next(&mut stream);
    assert_eq!((event.as_str(), &node["spec"]["podCIDRs"]), ("MODIFIED", &json!(["10.0.0.0/24"])));
    server.done("DELETE", N1, JSON, &json!({}));
    let (event, node) = next(&mut stream);
    assert_eq!((event.as_str(), &node["metadata"]["name"]), ("DELETED", &json!("n1")));
}

#[test]
fn kubectls_read_and_write_nodes() {
    for kubectl in kubectls() {
        let server = serve();
        let node = "apiVersion: v1\nkind: Node\nmetadata:\n  name: n1\n  labels:\n    \
                    node-role.kubernetes.io/control-plane: ''\n    node-role.kubernetes.io/etcd: ''\nspec:\n  \
                    podCIDRs: [10.244.1.0/24, 'fd00:10:244:1::/64']\n";
        let file = write(&server, "node.yaml", node);
        assert_eq!(run(&server, &kubectl, &format!("create -f {file}")), "node/n1 created\n");
        let row = |line: &str| {
            let table = run(&server, &kubectl, line);
            table.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        // No kubelet has told of it yet.
        assert_eq!(row("get nodes --no-headers")[..3], ["n1", "Unknown", "control-plane,etcd"]);
        let status = json!({"status": {
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "it runs"}],
            "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}, {"type": "Hostname", "address": "n1"}],
            "nodeInfo": {"kubeletVersion": "v1.36.2", "osImage": "Debian", "kernelVersion": "6.1",
                "architecture": "amd64", "containerRuntimeVersion": "containerd://2.1.9"}}});
        server.done("PATCH", STATUS, STRATEGIC, &status);
        assert_eq!(row("get nodes --no-headers")[1], "Ready");
        run(&server, &kubectl, "cordon n1");
        let wide = row("get nodes -o wide --no-headers");
        assert_eq!(
            (wide[1].as_str(), wide[4].as_str(), wide[5].as_str()),
            ("Ready,SchedulingDisabled", "v1.36.2", "192.0.2.1")
        );
        run(&server, &kubectl, "uncordon n1");
        run(&server, &kubectl, "taint node n1 a=b:NoSchedule");
        run(&server, &kubectl, "label node n1 zone=a");
        run(&server, &kubectl, "annotate node n1 note=kept");
        let described = run(&server, &kubectl, "describe node n1");
        for text in
            ["KubeletReady", "192.0.2.1", "10.244.1.0/24,fd00:10:244:1::/64", "a=b:NoSchedule", "note: kept"]
        {
            assert!(described.contains(text), "{text}: {described}");
        }
        let strange = write(
            &server,
            "strange.yaml",
            &node.replace("spec:", "spec:\n  podCIDRS: []").replace("n1", "n2"),
        );
        let told = refused(&server, &kubectl, &format!("create -f {strange}"));
        assert!(told.contains("podCIDRS"), "{told}");
        let again = write(&server, "again.yaml", &node.replace("10.244.1.0", "10.244.9.0"));
        let told = refused(&server, &kubectl, &format!("apply -f {again}"));
        assert!(told.contains("node updates may not change podCIDR"), "{told}");
        assert!(run(&server, &kubectl, "delete node n1").starts_with("node \"n1\" deleted"));
    }
}

fn write(server: &Server, name: &str, text: &str) -> String {
    let path = server.dir.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn leases_are_held_and_renewed() {
    let Some(kubectl) = kubectls().into_iter().next() else { return };
    let server = serve();
    let n1 = format!("{LEASES}/n1");
    // client-go creates one this way, too.
    let lease = json!({"metadata": {"name": "n1"}, "spec": {"holderIdentity": "n1", "leaseDurationSeconds": 40,
        "renewTime": "2026-01-02T03:04:05.000006Z"}});
    let (code, made) = ask(&server, "PUT", &n1, JSON, &lease);
    assert_eq!((code, &made["spec"]), (201, &lease["spec"]));
    let renewed =
        server.done("PATCH", &n1, MERGE, &json!({"spec": {"renewTime": "2026-01-02T03:04:15.000006Z"}}));
    assert_eq!(renewed["spec"]["renewTime"], "2026-01-02T03:04:15.000006Z");
    assert_eq!(ask(&server, "PUT", &n1, JSON, &made).0, 409);
    // Who knows no version cannot take it from its holder.
    let (code, told) = ask(&server, "PUT", &n1, JSON, &lease);
    let why = "leases.coordination.k8s.io \"n1\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified \
               for an update";
    assert_eq!((code, &told["message"]), (422, &json!(why)));
    assert_eq!(ask(&server, "PUT", &n1, JSON, &renewed).0, 200);
    let (code, told) = ask(&server, "PATCH", &n1, MERGE, &json!({"spec": {"leaseDurationSeconds": 0}}));
    let why = "Lease.coordination.k8s.io \"n1\" is invalid: spec.leaseDurationSeconds: Invalid value: 0: must be \
               greater than 0";
    assert_eq!((code, &told["message"]), (422, &json!(why)));
    let table = run(&server, &kubectl, "get leases -n kube-node-lease --no-headers");
    assert_eq!(table.split_whitespace().take(2).collect::<Vec<_>>(), ["n1", "n1"]);
    assert_eq!(names(&server.get("/apis/coordination.k8s.io/v1/leases").json()), ["n1"]);
    let elsewhere = "/apis/coordination.k8s.io/v1/namespaces/none/leases";
    assert_eq!(ask(&server, "POST", elsewhere, JSON, &lease).0, 404);
    server.done("DELETE", LEASES, JSON, &json!({}));
    assert_eq!(server.get(&n1).code, 404);
    // A server of this machine has none.
    let machine = Server::start(&[]);
    assert_eq!(machine.get(LEASES).code, 404);
}

/// A thousand Nodes as large as a kubelet's.
#[test]
fn a_thousand_nodes_take_little_memory() {
    needs!();
    let server = serve();
    let before = server.memory();
    let mut client = Client::new(&server);
    let conditions: Vec<Value> = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"]
        .map(|kind| {
            json!({"type": kind, "status": "False", "reason": "KubeletHasSufficientResources", "message": "m".repeat(60),
                "lastHeartbeatTime": "2026-01-02T03:04:05Z", "lastTransitionTime": "2026-01-02T03:04:05Z"})
        })
        .into();
    for index in 0..1000 {
        let node = json!({"metadata": {"name": format!("n{index}")},
            "spec": {"podCIDRs": [format!("10.{}.{}.0/24", index / 256, index % 256), format!("fd00:{index:x}::/64")]},
            "status": {"conditions": conditions, "images": [{"names": ["registry/image@sha256:0".repeat(4)]}]}});
        assert_eq!(client.ask("POST", NODES, &node.to_string()).unwrap().0, 201);
    }
    let (code, list) = client.ask("GET", NODES, "").unwrap();
    assert_eq!((code, names(&list).len()), (200, 1000));
    let now = server.memory();
    println!("memory: {before} KiB, with 1000 Nodes {now} KiB");
    assert!(now < before + 40_000, "{before} -> {now}");
}

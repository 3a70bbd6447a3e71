//! What changes over several requests: what is applied again and again, pods that come and go, counters.

use std::fs;
use std::io::{BufRead, BufReader, Write};

use serde_json::{Value, json};

use crate::harness::needs;
use crate::harness::serve::{Server, Shown};

const SERVICES: &str = "/api/v1/namespaces/default/services";

fn apply(server: &Server, manager: &str, object: &Value) -> Value {
    let path = format!("{SERVICES}/web?fieldManager={manager}&force=true");
    let answer = server.ask("PATCH", &path, "application/apply-patch+yaml", object.to_string().as_bytes());
    assert!([200, 201].contains(&answer.code), "{}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

fn service(labels: Value, spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "labels": labels}, "spec": spec})
}

#[test]
fn what_is_no_longer_applied_goes() {
    needs!();
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_in(dir.path(), &[]);
    let two = json!([{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]);
    let first = service(
        json!({"a": "1", "b": "2"}),
        json!({"type": "NodePort", "selector": {"app": "web"}, "ports": two}),
    );
    let created = apply(&server, "kubectl", &first);
    assert_eq!(created["spec"]["ports"].as_array().unwrap().len(), 2);
    apply(&server, "other", &service(json!({"b": "2", "c": "3"}), json!({})));
    // What was applied is remembered by the store, not by the process.
    assert!(server.stop().success());
    let server = Server::start_in(dir.path(), &[]);
    let second =
        service(json!({"a": "1"}), json!({"ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}));
    let dry = format!("{SERVICES}/web?fieldManager=kubectl&dryRun=All");
    assert_eq!(
        server.ask("PATCH", &dry, "application/apply-patch+yaml", second.to_string().as_bytes()).code,
        200
    );
    let changed = apply(&server, "kubectl", &second);
    assert_eq!(changed["metadata"]["labels"], json!({"a": "1", "b": "2", "c": "3"}));
    assert_eq!(changed["spec"]["type"], "ClusterIP");
    assert_eq!(changed["spec"].get("selector"), None);
    let ports = changed["spec"]["ports"].as_array().unwrap();
    assert_eq!((ports.len(), &ports[0]["port"], ports[0].get("nodePort")), (1, &json!(80), None));
    assert_eq!(changed["spec"]["clusterIP"], created["spec"]["clusterIP"]);
    // The same again is no change.
    assert_eq!(apply(&server, "kubectl", &second), changed);
    // What somebody changed by other means stays theirs.
    let path = format!("{SERVICES}/web");
    let patch = br#"{"metadata":{"labels":{"d":"4"}}}"#;
    assert_eq!(server.ask("PATCH", &path, "application/merge-patch+json", patch).code, 200);
    apply(&server, "other", &service(json!({}), json!({})));
    let labels = apply(&server, "kubectl", &second)["metadata"]["labels"].clone();
    assert_eq!(labels, json!({"a": "1", "d": "4"}));
    // A new object of the name begins anew.
    assert_eq!(server.ask("DELETE", &path, "application/json", b"").code, 200);
    let again = apply(&server, "other", &service(json!({"x": "y"}), json!({"ports": [{"port": 1}]})));
    assert_eq!(again["metadata"]["labels"], json!({"x": "y"}));
}

/// `mergeSortedSlice` in `k8s.io/apimachinery/pkg/util/strategicpatch/patch.go`.
#[test]
fn new_entries_of_a_list_come_first() {
    needs!();
    let server = Server::start(&[]);
    let two = json!([{"name": "a", "port": 80}, {"name": "b", "port": 443}]);
    let service = json!({"metadata": {"name": "s", "finalizers": ["example.com/a"]}, "spec": {"ports": two}});
    assert_eq!(server.ask("POST", SERVICES, "application/json", service.to_string().as_bytes()).code, 201);
    let body = json!({"metadata": {"finalizers": ["example.com/b"]}, "spec": {"ports": [{"name": "c", "port": 81}]}});
    let changed = server.ask(
        "PATCH",
        &format!("{SERVICES}/s"),
        "application/strategic-merge-patch+json",
        body.to_string().as_bytes(),
    );
    let changed = changed.json();
    let ports: Vec<i64> = changed["spec"]["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| port["port"].as_i64().unwrap())
        .collect();
    assert_eq!(ports, [81, 80, 443]);
    assert_eq!(changed["metadata"]["finalizers"], json!(["example.com/b", "example.com/a"]));
}

/// Lines of a watch, as they come.
fn watch(server: &Server, path: &str) -> impl Iterator<Item = Value> {
    let mut stream = server.connect(Shown::Nothing);
    let token = server.token();
    let head = format!("GET {path} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let lines = BufReader::new(stream).lines().map(|line| line.unwrap());
    let mut lines = lines.skip_while(|line| !line.is_empty());
    lines.next();
    lines.map(|line| serde_json::from_str(&line).unwrap())
}

#[test]
fn nodes_are_watched() {
    needs!();
    let server = Server::start(&[]);
    let events: Vec<Value> = watch(&server, "/api/v1/nodes?watch=true&timeoutSeconds=3").collect();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(
        (&events[0]["type"], &events[0]["object"]["metadata"]["name"]),
        (&json!("ADDED"), &json!("node1"))
    );
    let initial = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let path = format!("/api/v1/nodes?watch=true&timeoutSeconds=1&{initial}");
    let kinds: Vec<Value> = watch(&server, &path).map(|event| event["type"].clone()).collect();
    assert_eq!(kinds, ["ADDED", "BOOKMARK", "BOOKMARK"]);
    let version = server.get("/api/v1/nodes").json()["metadata"]["resourceVersion"].clone();
    let path = |version: &str| format!("/api/v1/nodes?watch=true&timeoutSeconds=2&resourceVersion={version}");
    assert_eq!(watch(&server, &path(version.as_str().unwrap())).count(), 0);
    // What has changed since an earlier start nobody knows.
    let events: Vec<Value> = watch(&server, &path("1")).collect();
    assert_eq!((events.len(), &events[0]["object"]["code"]), (1, &json!(410)));
}

#[test]
fn pods_that_come_and_go_are_told() {
    needs!();
    let records = std::path::Path::new("/run/podhosts/pods");
    let id = format!("serve-watch-{}", std::process::id());
    let record = records.join(format!("{id}.json"));
    let write = |ip: &str| {
        let text = json!({"version": 1, "sandboxID": id, "namespace": id, "name": "web", "uid": "u1", "podIPs": [ip]});
        fs::create_dir_all(records).unwrap();
        fs::write(&record, text.to_string()).unwrap();
    };
    let server = Server::start(&[]);
    let path = format!("/api/v1/namespaces/{id}/pods?watch=true&timeoutSeconds=60");
    write("10.0.0.1");
    let mut events = watch(&server, &path);
    let mut next = || {
        let event = events.next().unwrap();
        (event["type"].as_str().unwrap().to_owned(), event["object"]["status"]["podIP"].clone())
    };
    assert_eq!(next(), ("ADDED".to_owned(), json!("10.0.0.1")));
    write("10.0.0.2");
    assert_eq!(next(), ("MODIFIED".to_owned(), json!("10.0.0.2")));
    fs::remove_file(&record).unwrap();
    assert_eq!(next().0, "DELETED");
}

#[test]
fn allocations_are_counted() {
    needs!();
    let server = Server::start(&["--service-cluster-ip-range=10.96.0.0/29"]);
    let create = |spec: Value| {
        let body = json!({"metadata": {"generateName": "s-"}, "spec": spec}).to_string();
        server.ask("POST", SERVICES, "application/json", body.as_bytes()).code
    };
    let any = || json!({"ports": [{"port": 80}]});
    let this = || json!({"clusterIP": "10.96.0.3", "ports": [{"port": 80}]});
    assert_eq!((create(this()), create(this())), (201, 422));
    let found: Vec<u16> = (0..5).map(|_| create(any())).collect();
    assert_eq!(found, [201, 201, 201, 201, 500]);
    let metrics = String::from_utf8(server.get("/metrics").body).unwrap();
    let name = "kube_apiserver_clusterip_allocator_allocation";
    for (kind, scope, count) in [
        ("total", "static", 1),
        ("errors_total", "static", 1),
        ("total", "dynamic", 4),
        ("errors_total", "dynamic", 1),
    ] {
        let line = format!("{name}_{kind}{{cidr=\"10.96.0.0/29\",scope=\"{scope}\"}} {count}");
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

//! What is asked of Pods: to be on a node (`binding`), and to leave it (`eviction`).

use serde_json::{Value, json};

use super::kubectl::run;
use super::nodes_stored::{next, watch};
use super::rbac::{ask_as, done, grant, rule, token_of};
use crate::harness::needs;
use crate::harness::serve::{Server, Shown, kubectls};

const JSON: &str = "application/json";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn serve() -> Server {
    Server::start(&["--nodes=stored", "--authorization-mode=RBAC"])
}

fn pod(name: &str, node: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": "web"}}, "spec": {"nodeName": node,
        "containers": [{"name": "main", "image": "registry/web:1"}]}})
}

fn ask(server: &Server, path: &str, body: &Value) -> (u16, Value) {
    ask_as(server, Shown::Token(&server.token()), "POST", path, JSON, body)
}

fn binding(name: &str, node: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"apiVersion": "v1", "kind": "Node", "name": node}})
}

fn eviction(name: &str, options: &Value) -> Value {
    json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, "deleteOptions": options})
}

fn success() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
}

#[test]
fn a_scheduler_gives_a_pod_its_node() {
    let server = serve();
    let made = done(&server, "POST", PODS, &pod("p", ""));
    let version = made["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    // The node's agent sees the pod appear.
    let path = format!("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&resourceVersion={version}");
    let mut stream = watch(&server, &path);
    let mut body = binding("p", "n1");
    body["metadata"]["annotations"] = json!({"a": "b"});
    body["metadata"]["uid"] = made["metadata"]["uid"].clone();
    let (code, told) = ask(&server, &format!("{PODS}/p/binding?dryRun=All"), &body);
    assert_eq!((code, told), (201, success()));
    assert_eq!(server.get(&format!("{PODS}/p")).json()["spec"]["nodeName"], Value::Null);
    let (code, told) = ask(&server, &format!("{PODS}/p/binding"), &body);
    assert_eq!((code, told), (201, success()));
    let (event, seen) = next(&mut stream);
    assert_eq!((event.as_str(), &seen["spec"]["nodeName"]), ("ADDED", &json!("n1")));
    assert_eq!(seen["metadata"]["annotations"], json!({"a": "b"}));
    assert_eq!(seen["metadata"]["generation"], 1);
    let condition = &seen["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["status"]), (&json!("PodScheduled"), &json!("True")));
    assert!(condition["lastTransitionTime"].is_string());
    // The agent goes on from there.
    let status = json!({"metadata": {"name": "p"}, "status": {"phase": "Running"}});
    let running = done(&server, "PUT", &format!("{PODS}/p/status"), &status);
    assert_eq!(
        (&running["spec"]["nodeName"], &running["status"]["phase"]),
        (&json!("n1"), &json!("Running"))
    );
}

#[test]
fn what_cannot_be_bound_is_refused() {
    let server = serve();
    done(&server, "POST", PODS, &pod("p", ""));
    done(&server, "POST", PODS, &pod("q", "n2"));
    let mut other = binding("p", "n1");
    other["metadata"]["uid"] = "0".into();
    let mut elsewhere = binding("p", "n1");
    elsewhere["metadata"]["namespace"] = "kube-system".into();
    for (name, body, expected, why) in [
        ("p", binding("q", "n1"), 400, "name in URL does not match name in Binding object"),
        (
            "p",
            elsewhere,
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        ("p", binding("p", ""), 500, "target.name: Required value"),
        ("lost", binding("lost", "n1"), 404, "pods \"lost\" not found"),
        (
            "q",
            binding("q", "n1"),
            409,
            "Operation cannot be fulfilled on pods/binding \"q\": pod q is already assigned to node \"n2\"",
        ),
    ] {
        let (code, told) = ask(&server, &format!("{PODS}/{name}/binding"), &body);
        assert_eq!((code, &told["message"]), (expected, &json!(why)));
    }
    let (code, told) = ask(&server, &format!("{PODS}/p/binding"), &other);
    assert_eq!((code, &told["reason"]), (409, &json!("Conflict")), "{told}");
    let (code, told) = ask(
        &server,
        &format!("{PODS}/p/binding?fieldValidation=Strict"),
        &json!({"metadata": {"name": "p"},
        "target": {"name": "n1"}, "node": "n1"}),
    );
    assert!(code == 400 && told["message"].as_str().unwrap().contains("unknown field \"node\""), "{told}");
    for (method, path) in
        [("GET", "p/binding"), ("PUT", "p/binding"), ("GET", "p/eviction"), ("DELETE", "p/eviction")]
    {
        let (code, _) = ask_as(
            &server,
            Shown::Token(&server.token()),
            method,
            &format!("{PODS}/{path}"),
            JSON,
            &json!({}),
        );
        assert_eq!(code, 405, "{method} {path}");
    }
}

#[test]
fn a_pod_is_evicted() {
    let server = serve();
    for (name, node) in [("p", "n1"), ("q", "")] {
        done(&server, "POST", PODS, &pod(name, node));
    }
    let evict = |name: &str, options: Value| {
        ask(&server, &format!("{PODS}/{name}/eviction"), &eviction(name, &options))
    };
    let found = |name: &str| server.get(&format!("{PODS}/{name}"));
    let (code, told) = ask(&server, &format!("{PODS}/p/eviction?dryRun=All"), &eviction("p", &Value::Null));
    assert_eq!((code, told), (201, success()));
    assert_eq!(evict("p", json!({"dryRun": ["All"]})), (201, success()));
    let before = found("p").json();
    assert!(
        before["metadata"].get("deletionTimestamp").is_none() && before["status"].get("conditions").is_none()
    );
    let version = before["metadata"]["resourceVersion"].clone();
    for precondition in [json!({"uid": "0"}), json!({"resourceVersion": "1"})] {
        let (code, told) = evict("p", json!({"preconditions": precondition}));
        assert_eq!((code, &told["reason"]), (409, &json!("Conflict")), "{told}");
    }
    assert_eq!(found("p").json(), before);
    let exact = json!({"gracePeriodSeconds": 7, "preconditions": {"resourceVersion": version, "uid": before["metadata"]["uid"]}});
    assert_eq!(evict("p", exact), (201, success()));
    let after = found("p").json();
    assert_eq!(after["metadata"]["deletionGracePeriodSeconds"], 7);
    let condition = &after["status"]["conditions"][0];
    let told = ["type", "status", "reason", "message"].map(|key| condition[key].as_str().unwrap());
    assert_eq!(told, ["DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting"]);
    // A pod without a node goes at once. Older clients ask in an older version.
    let mut old = eviction("q", &Value::Null);
    old["deleteOptions"] = json!({"dryRun": ["All"]});
    old["apiVersion"] = "policy/v1beta1".into();
    assert_eq!(ask(&server, &format!("{PODS}/q/eviction"), &old), (201, success()));
    assert_eq!(evict("q", Value::Null), (201, success()));
    assert_eq!(found("q").code, 404);
    let (code, told) = evict("lost", Value::Null);
    assert_eq!((code, &told["message"]), (404, &json!("pods \"lost\" not found")));
    let (code, told) = ask(&server, &format!("{PODS}/p/eviction"), &eviction("q", &Value::Null));
    assert_eq!((code, &told["message"]), (400, &json!("name in URL does not match name in Eviction object")));
}

#[test]
fn they_are_granted_on_their_own() {
    let server = serve();
    let token = token_of(&server, "kube-system", "agent");
    done(&server, "POST", PODS, &pod("p", ""));
    let bind = || {
        ask_as(&server, Shown::Token(&token), "POST", &format!("{PODS}/p/binding"), JSON, &binding("p", "n1"))
            .0
    };
    let evict = || {
        let body = eviction("p", &Value::Null);
        ask_as(&server, Shown::Token(&token), "POST", &format!("{PODS}/p/eviction"), JSON, &body).0
    };
    assert_eq!((bind(), evict()), (403, 403));
    grant(&server, "agent", &[rule(&["create"], "", &["pods/binding"])]);
    assert_eq!((bind(), evict()), (201, 403));
}

#[test]
fn discovery_tells_of_them() {
    let server = serve();
    let list = server.get("/api/v1").json();
    let found = |name: &str| {
        list["resources"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
    };
    assert_eq!(
        found("pods/eviction"),
        json!({"name": "pods/eviction", "singularName": "", "namespaced": true, "group": "policy", "version": "v1",
            "kind": "Eviction", "verbs": ["create"]})
    );
    assert_eq!(
        found("pods/binding"),
        json!({"name": "pods/binding", "singularName": "", "namespaced": true, "kind": "Binding", "verbs": ["create"]})
    );
}

#[test]
fn kubectls_drain_nodes() {
    needs!();
    for kubectl in kubectls() {
        let server = serve();
        done(&server, "POST", "/api/v1/nodes", &json!({"metadata": {"name": "n1"}}));
        done(&server, "POST", PODS, &pod("p", "n1"));
        // It ends as its kubelet would end it.
        let status = json!({"metadata": {"name": "p"}, "status": {"phase": "Succeeded"}});
        done(&server, "PUT", &format!("{PODS}/p/status"), &status);
        let told = run(&server, &kubectl, "drain n1 --force");
        assert!(told.contains("pod/p evicted"), "{told}");
        assert_eq!(server.get(&format!("{PODS}/p")).code, 404);
        assert_eq!(server.get("/api/v1/nodes/n1").json()["spec"]["unschedulable"], json!(true));
    }
}

//! Events of both groups, which are the same objects.

use std::io::{BufRead, BufReader, Write};

use serde_json::{Value, json};

use crate::harness::needs;
use crate::harness::serve::{Answer, Server, Shown, kubectls};

const CORE: &str = "/api/v1/namespaces/default/events";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";
const JSON: &str = "application/json";
const TIME: &str = "2026-01-02T03:04:05.000006Z";

/// What kube-proxy tells when it starts.
fn starting(name: &str) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name}, "eventTime": TIME,
        "reportingController": "kube-proxy", "reportingInstance": "kube-proxy-node1", "action": "StartKubeProxy",
        "reason": "Starting", "regarding": {"kind": "Node", "name": "node1", "uid": "node1"}, "note": "hello",
        "type": "Normal",
    })
}

fn ask(server: &Server, method: &str, path: &str, body: &Value) -> Answer {
    server.ask(method, path, JSON, body.to_string().as_bytes())
}

/// A field of a protobuf message that has a length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 1 << 14);
    let length = [u8::try_from(bytes.len() & 0x7f).unwrap() | 0x80, u8::try_from(bytes.len() >> 7).unwrap()];
    [&[number << 3 | 2], &length[..], bytes].concat()
}

/// The same Event as kube-proxy sends it (`k8s.io/api/events/v1/generated.proto`).
fn in_protobuf(name: &str) -> Vec<u8> {
    let time = [&[8][..], &[0xe5, 0x89, 0xdd, 0xca, 0x06], &[16, 0xf0, 0x2e]].concat();
    let regarding = [field(1, b"Node"), field(3, b"node1"), field(4, b"node1")].concat();
    let series = [vec![8, 2], field(2, &time)].concat();
    let event = [
        field(1, &field(1, name.as_bytes())),
        field(2, &time),
        field(3, &series),
        field(4, b"kube-proxy"),
        field(5, b"kube-proxy-node1"),
        field(6, b"StartKubeProxy"),
        field(7, b"Starting"),
        field(8, &regarding),
        field(10, b"hello"),
        field(11, b"Normal"),
        field(12, b""),
    ]
    .concat();
    let kind = [field(1, b"events.k8s.io/v1"), field(2, b"Event")].concat();
    [&b"k8s\0"[..], &field(1, &kind), &field(2, &event)].concat()
}

/// `pkg/apis/events/v1/conversion.go`: an Event is the same object in both groups.
#[test]
fn events_of_one_group_are_events_of_the_other() {
    needs!();
    let server = Server::start(&[]);
    let made = ask(&server, "POST", EVENTS, &starting("a"));
    assert_eq!(made.code, 201, "{}", String::from_utf8_lossy(&made.body));
    assert_eq!(
        (&made.json()["apiVersion"], &made.json()["note"]),
        (&json!("events.k8s.io/v1"), &json!("hello"))
    );
    let core = server.get(&format!("{CORE}/a")).json();
    let expected = json!({"kind": "Node", "name": "node1", "uid": "node1"});
    assert_eq!((&core["apiVersion"], &core["message"]), (&json!("v1"), &json!("hello")));
    assert_eq!((&core["involvedObject"], &core["reportingComponent"]), (&expected, &json!("kube-proxy")));
    assert_eq!(
        (core.get("note"), core.get("regarding"), core.get("reportingController")),
        (None, None, None)
    );
    // As `kubectl create event` of old, or a client of the core group.
    let old = json!({"metadata": {"name": "b"}, "involvedObject": {"kind": "Service", "name": "s", "namespace": "default"},
        "source": {"component": "c", "host": "h"}, "firstTimestamp": "2026-01-02T03:04:05Z", "count": 3, "message": "m"});
    assert_eq!(ask(&server, "POST", CORE, &old).code, 201);
    let new = server.get(&format!("{EVENTS}/b")).json();
    assert_eq!(new["deprecatedSource"], json!({"component": "c", "host": "h"}));
    assert_eq!(
        (&new["deprecatedCount"], &new["regarding"]["name"], &new["note"]),
        (&json!(3), &json!("s"), &json!("m"))
    );
    // Lists, and what is selected in them.
    let names = |path: &str| -> Vec<Value> {
        let list = server.get(path).json();
        list["items"]
            .as_array()
            .unwrap_or_else(|| panic!("{list}"))
            .iter()
            .map(|item| item["metadata"]["name"].clone())
            .collect()
    };
    assert_eq!(server.get(EVENTS).json()["kind"], "EventList");
    assert_eq!(server.get(EVENTS).json()["items"][0]["note"], "hello");
    assert_eq!(names(&format!("{EVENTS}?fieldSelector=regarding.kind%3DNode")), ["a"]);
    assert_eq!(names(&format!("{EVENTS}?fieldSelector=reportingController%3Dkube-proxy")), ["a"]);
    assert_eq!(names(&format!("{EVENTS}?fieldSelector=reason!%3DStarting")), ["b"]);
    assert_eq!(names(&format!("{CORE}?fieldSelector=involvedObject.kind%3DNode")), ["a"]);
    assert_eq!(server.get(&format!("{EVENTS}?fieldSelector=involvedObject.kind%3DNode")).code, 400);
    assert_eq!(server.get(&format!("{CORE}?fieldSelector=regarding.kind%3DNode")).code, 400);
    // Tables are the same; so is a missing one.
    let table = |path: &str| {
        let accept = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io\r\n";
        let line = format!("GET {path}?includeObject=Object");
        server.raw(Shown::Token(&server.token()), &line, accept, b"").unwrap().json()["rows"][0].clone()
    };
    assert_eq!(table(EVENTS)["cells"], table(CORE)["cells"]);
    assert_eq!(
        (&table(EVENTS)["object"]["note"], &table(CORE)["object"]["message"]),
        (&json!("hello"), &json!("hello"))
    );
    assert_eq!(server.get(&format!("{EVENTS}/x")).json()["message"], "events.events.k8s.io \"x\" not found");
    assert_eq!(server.ask("DELETE", &format!("{EVENTS}/a"), JSON, b"").code, 200);
    assert_eq!(server.get(&format!("{CORE}/a")).code, 404);
}

/// A recorder counts by strategic merge patches of the series (`client-go/tools/events/event_broadcaster.go`).
#[test]
fn events_are_patched_and_watched_in_the_group_that_is_asked() {
    needs!();
    let server = Server::start(&[]);
    let body = in_protobuf("a");
    let made = server.ask("POST", EVENTS, "application/vnd.kubernetes.protobuf", &body);
    assert_eq!(made.code, 201, "{}", String::from_utf8_lossy(&made.body));
    let series = json!({"count": 2, "lastObservedTime": made.json()["eventTime"]});
    assert_eq!((&made.json()["regarding"]["name"], &made.json()["series"]), (&json!("node1"), &series));
    let path = format!("{EVENTS}/a");
    let counted = |count: u32| json!({"count": count, "lastObservedTime": TIME});
    for (count, media_type, patch) in [
        (3, "application/strategic-merge-patch+json", json!({"series": counted(3)})),
        (4, "application/merge-patch+json", json!({"series": {"count": 4}})),
        (5, "application/json-patch+json", json!([{"op": "replace", "path": "/series/count", "value": 5}])),
    ] {
        let answer = server.ask("PATCH", &path, media_type, patch.to_string().as_bytes());
        assert_eq!(answer.code, 200, "{}", String::from_utf8_lossy(&answer.body));
        assert_eq!((&answer.json()["series"], &answer.json()["note"]), (&counted(count), &json!("hello")));
    }
    let mut put = server.get(&path).json();
    put["series"] = counted(6);
    assert_eq!(ask(&server, "PUT", &path, &put).json()["series"], counted(6));
    // What is applied is applied in either group, and goes in either.
    let query = format!("{path}?fieldManager=a&force=true");
    let mut applied = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "a", "labels": {"a": "b"}}});
    let apply = |path: &str, applied: &Value| {
        let answer =
            server.ask("PATCH", path, "application/apply-patch+yaml", applied.to_string().as_bytes());
        assert_eq!(answer.code, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()
    };
    assert_eq!(apply(&query, &applied)["metadata"]["labels"], json!({"a": "b"}));
    applied["metadata"]["labels"] = json!({});
    applied["apiVersion"] = "v1".into();
    let answer = apply(&query.replace(EVENTS, CORE), &applied);
    assert_eq!(
        (answer["metadata"].get("labels").is_none_or(|all| *all == json!({})), &answer["message"]),
        (true, &json!("hello"))
    );
    let mut stream = server.connect(Shown::Nothing);
    let token = server.token();
    let head = format!(
        "GET {EVENTS}?watch=true&timeoutSeconds=1 HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let lines: Vec<String> = BufReader::new(stream).lines().map(|line| line.unwrap()).collect();
    let told: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!(
        (&told["type"], &told["object"]["note"], &told["object"]["apiVersion"]),
        (&json!("ADDED"), &json!("hello"), &json!("events.k8s.io/v1"))
    );
}

/// `ValidateEventCreate` and `ValidateEventUpdate` of `pkg/apis/core/validation/events.go`.
#[test]
fn events_are_refused_as_kubernetes_refuses_them() {
    needs!();
    let server = Server::start(&[]);
    let refused = |method: &str, path: &str, body: &Value| -> String {
        let answer = ask(&server, method, path, body);
        assert_eq!(answer.code, 422, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()["message"].as_str().unwrap().to_owned()
    };
    let with = |key: &str, value: Value| {
        let mut event = starting("a");
        event[key] = value;
        event
    };
    for (event, expected) in [
        (with("eventTime", Value::Null), "eventTime: Required value"),
        (with("type", json!("Strange")), "type: Invalid value: \"\": has invalid value: Strange"),
        (with("deprecatedCount", json!(1)), "count: Invalid value: \"\": needs to be unset"),
        (with("deprecatedSource", json!({"host": "h"})), "source: Invalid value: \"\": needs to be unset"),
        (
            with("deprecatedLastTimestamp", json!(TIME)),
            "lastTimestamp: Invalid value: \"\": needs to be unset",
        ),
        (with("series", json!({"count": 1})), "series.count: Invalid value: \"\": should be at least 2"),
        (with("series", json!({"count": 2})), "series.lastObservedTime: Required value"),
        (with("reportingController", json!("")), "reportingController: Required value"),
        (with("reportingInstance", json!("")), "reportingInstance: Required value"),
        (
            with("action", json!("x".repeat(129))),
            "action: Invalid value: \"\": can have at most 128 characters",
        ),
        (with("reason", json!("")), "reason: Required value"),
        (
            with("note", json!("x".repeat(1025))),
            "message: Invalid value: \"\": can have at most 1024 characters",
        ),
    ] {
        let message = refused("POST", EVENTS, &event);
        assert!(message.contains(expected), "{expected}: {message}");
    }
    // The core group takes an Event without a time as ever, and one with a time only with all that belongs to it.
    assert_eq!(
        ask(&server, "POST", CORE, &json!({"metadata": {"name": "b"}, "involvedObject": {}})).code,
        201
    );
    let timed = json!({"metadata": {"name": "c"}, "involvedObject": {}, "eventTime": TIME});
    assert!(refused("POST", CORE, &timed).contains("action: Required value"));
    assert_eq!(ask(&server, "POST", EVENTS, &starting("a")).code, 201);
    let path = format!("{EVENTS}/a");
    for (key, value, expected) in [
        ("note", json!("other"), "message: Invalid value: \"other\": field is immutable"),
        (
            "reportingInstance",
            json!("other"),
            "reportingInstance: Invalid value: \"other\": field is immutable",
        ),
        (
            "regarding",
            json!({"kind": "Pod"}),
            "involvedObject: Invalid value: {\"Kind\":\"Pod\",\"Namespace\":\"\",\"Name\":\"\",\"UID\":\"\",\"APIVersion\":\"\",\
             \"ResourceVersion\":\"\",\"FieldPath\":\"\"}: field is immutable",
        ),
        ("series", json!({"count": 1, "lastObservedTime": TIME}), "series.count"),
    ] {
        let mut event = server.get(&path).json();
        event[key] = value;
        let message = refused("PUT", &path, &event);
        assert!(message.contains(expected), "{expected}: {message}");
    }
    // The core group changes everything.
    let mut event = server.get(&format!("{CORE}/a")).json();
    event["message"] = "other".into();
    assert_eq!(ask(&server, "PUT", &format!("{CORE}/a"), &event).code, 200);
}

#[test]
fn kubectl_lists_events_of_both_groups() {
    for kubectl in kubectls() {
        let server = Server::start(&[]);
        assert_eq!(ask(&server, "POST", EVENTS, &starting("a")).code, 201);
        for kind in ["events", "events.events.k8s.io", "ev"] {
            let (succeeded, shown) = server.kubectl(&kubectl, &["get", kind, "-o", "wide"]);
            assert!(
                succeeded && shown.contains("Starting") && shown.contains("node/node1"),
                "{kind}: {shown}"
            );
        }
        let (succeeded, shown) = server.kubectl(&kubectl, &["delete", "events.events.k8s.io", "a"]);
        assert!(succeeded, "{shown}");
    }
}

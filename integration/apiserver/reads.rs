//! What is read and watched with other options than usual ones: what the API server takes, and what it refuses, as
//! Kubernetes 1.36 does.

use std::io::{BufRead, BufReader, Write};

use serde_json::{Value, json};

use crate::harness::needs;
use crate::harness::serve::{Answer, Server, Shown};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const ONE: &str = "/api/v1/namespaces/default/services/kubernetes";
const JSON: &str = "application/json";

fn told(answer: &Answer) -> (u16, String) {
    (answer.code, answer.json()["message"].as_str().unwrap_or_default().to_owned())
}

fn create(server: &Server, name: &str) -> Value {
    let body = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}).to_string();
    let answer = server.ask("POST", SERVICES, JSON, body.as_bytes());
    assert_eq!(answer.code, 201, "{name}");
    answer.json()
}

/// The types and names of the events of a watch that ends.
fn events(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.code, 200, "{}", String::from_utf8_lossy(&answer.body));
    let text = String::from_utf8_lossy(&answer.body);
    let tell = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        let object = &event["object"];
        let name = object["metadata"]["name"].as_str().or(object["reason"].as_str()).unwrap_or("-");
        format!("{} {name}", event["type"].as_str().unwrap())
    };
    text.lines().map(tell).collect()
}

/// `k8s.io/apimachinery/pkg/apis/meta/internalversion/validation/validation.go`, for lists, watches and deletecollection.
#[test]
fn wrong_list_options_are_invalid() {
    needs!();
    let server = Server::start(&[]);
    let invalid = |why: &str| (422, format!("ListOptions.meta.k8s.io \"\" is invalid: {why}"));
    let supported = "resourceVersionMatch: Unsupported value: \"Foo\": supported values: \"Exact\", \"NotOlderThan\", \"\"";
    let unless = "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided";
    let query = format!("{SERVICES}?resourceVersionMatch=Foo");
    assert_eq!(told(&server.get(&query)), invalid(&format!("[{unless}, {supported}]")));
    assert_eq!(told(&server.get(&format!("{query}&resourceVersion=0"))), invalid(supported));
    let deleted = server.ask("DELETE", &format!("{query}&resourceVersion=0"), JSON, b"");
    assert_eq!(told(&deleted), invalid(supported));
    let watched = server.get(&format!("{query}&watch=true&sendInitialEvents=true"));
    assert!(watched.code == 422 && told(&watched).1.contains("supported values: \"NotOlderThan\""));
    // Of one object it is no option.
    assert_eq!(server.get(&format!("{ONE}?resourceVersionMatch=Foo&limit=x&watch=yes")).code, 200);
}

/// `k8s.io/apimachinery/pkg/runtime/conversion.go`: all but `0` and `false` is true, and a limit below 0 is none.
#[test]
fn flags_and_numbers_are_read_as_go_does() {
    needs!();
    let server = Server::start(&[]);
    create(&server, "a");
    let all = ["ADDED a", "ADDED kubernetes"];
    for flag in ["watch=yes", "watch", "watch=maybe", "watch=f"] {
        assert_eq!(events(&server.get(&format!("{SERVICES}?{flag}&timeoutSeconds=-1"))), all, "{flag}");
    }
    for flag in ["watch=0", "watch=False", "watch=false&watch=true"] {
        assert_eq!(server.get(&format!("{SERVICES}?{flag}")).json()["kind"], "ServiceList", "{flag}");
    }
    for query in ["limit=-1", "limit=0", "limit=-9223372036854775808"] {
        let list = server.get(&format!("{SERVICES}?{query}")).json();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(2), "{query}");
        assert_eq!(list["metadata"].get("continue"), None, "{query}");
    }
    for (query, why) in [
        ("limit=x", "parsing \"x\": invalid syntax"),
        ("timeoutSeconds=", "parsing \"\": invalid syntax"),
        ("watch=1&timeoutSeconds=9223372036854775808", "parsing \"9223372036854775808\": value out of range"),
    ] {
        let found = told(&server.get(&format!("{SERVICES}?{query}")));
        assert_eq!(found, (400, format!("strconv.ParseInt: {why}")), "{query}");
    }
    let tables = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io\r\n";
    let get = |headers: &str| {
        let path = format!("GET {SERVICES}?includeObject=All");
        server.raw(Shown::Token(&server.token()), &path, headers, b"").unwrap()
    };
    assert_eq!((get("").code, get(tables).code), (200, 400));
}

/// `ParseResourceVersion` in `k8s.io/apiserver/pkg/storage/api_object_versioner.go`, of which `ValidateListOptions` in
/// `pkg/storage/interfaces.go` makes a bad request; the others pass it on as it is.
#[test]
fn wrong_resource_versions() {
    needs!();
    let server = Server::start(&[]);
    for (version, why) in [
        ("x", "\"x\": strconv.ParseUint: parsing \"x\": invalid syntax"),
        ("-1", "\"-1\": strconv.ParseUint: parsing \"-1\": invalid syntax"),
        (
            "18446744073709551616",
            "\"18446744073709551616\": strconv.ParseUint: parsing \"18446744073709551616\": value out of range",
        ),
    ] {
        let why = format!("resourceVersion: Invalid value: {why}");
        let list = server.get(&format!("{SERVICES}?resourceVersion={version}"));
        assert_eq!(told(&list), (400, format!("invalid resource version: {why}")));
        for path in [ONE.to_owned() + "?", format!("{SERVICES}?watch=true&")] {
            let answer = server.get(&format!("{path}resourceVersion={version}"));
            assert_eq!(told(&answer), (500, why.clone()), "{path}");
            assert_eq!(answer.json().get("reason"), None);
        }
    }
}

/// `Cacher.Watch` in `k8s.io/apiserver/pkg/storage/cacher/cacher.go`: a watch of a version that was not given out yet waits
/// for it, and one that is to list first fails in the stream.
#[test]
fn a_watch_of_the_future_waits_for_it() {
    needs!();
    let server = Server::start(&[]);
    let bookmarks = "allowWatchBookmarks=true";
    let ended =
        server.get(&format!("{SERVICES}?watch=1&resourceVersion=999999&{bookmarks}&timeoutSeconds=1"));
    assert_eq!(events(&ended), [""; 0]);
    let far = server.get(&format!("{SERVICES}?watch=1&resourceVersion={}&timeoutSeconds=1", u64::MAX));
    assert_eq!(events(&far), [""; 0]);
    let initial = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=999999";
    assert_eq!(events(&server.get(&format!("{SERVICES}?watch=1&{initial}"))), ["ERROR Timeout"]);
    // Everything up to the version is left out, everything behind it is told.
    let version =
        create(&server, "a")["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
    let request = format!(
        "GET {SERVICES}?watch=1&resourceVersion={} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        version + 1,
        server.token()
    );
    let mut stream = server.connect(Shown::Nothing);
    stream.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("HTTP/1.1 200 OK"));
    let headers = lines.by_ref().take_while(|line| !line.is_empty()).count();
    assert!(headers > 0);
    // A Service changes more than itself, so that the version may lie between two Services.
    let made = ["b", "c", "d"].map(|name| {
        let version = create(&server, name)["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>();
        (version.unwrap(), name)
    });
    let names = made.iter().filter(|(at, _)| *at > version + 1).map(|(_, name)| *name);
    for name in names {
        let event = lines.find(|line| line.starts_with('{')).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&event).unwrap()["object"]["metadata"]["name"], name);
    }
}

/// `registerResourceHandlers` in `k8s.io/apiserver/pkg/endpoints/installer.go`: the deprecated paths below `watch`.
#[test]
fn paths_that_ask_for_a_watch() {
    needs!();
    let server = Server::start(&[]);
    create(&server, "a");
    let watched = |path: &str| {
        server.get(&format!("{path}{}timeoutSeconds=-1", if path.contains('?') { '&' } else { '?' }))
    };
    for (path, expected) in [
        ("/api/v1/watch/services", &["ADDED a", "ADDED kubernetes"][..]),
        ("/api/v1/watch/namespaces/default/services", &["ADDED a", "ADDED kubernetes"]),
        ("/api/v1/watch/namespaces/default/services/a", &["ADDED a"]),
        ("/api/v1/watch/namespaces/default/services/a?fieldSelector=metadata.name%3Da", &["ADDED a"]),
        ("/api/v1/watch/namespaces/default/services/none", &[]),
        ("/api/v1/watch/namespaces/default/services?fieldSelector=metadata.name!%3Da", &["ADDED kubernetes"]),
        ("/api/v1/watch/namespaces/default", &["ADDED default"]),
        ("/api/v1/watch/nodes/node1", &["ADDED node1"]),
        ("/apis/networking.k8s.io/v1/watch/servicecidrs/kubernetes", &["ADDED kubernetes"]),
        ("/apis/events.k8s.io/v1/watch/events", &[]),
    ] {
        assert_eq!(events(&watched(path)), expected, "{path}");
    }
    for (method, path, code) in [
        ("POST", "/api/v1/watch/services", 405),
        ("DELETE", "/api/v1/watch/namespaces/default/services/a", 405),
        ("GET", "/api/v1/watch/services/a", 404),
        ("GET", "/api/v1/watch/namespaces/default/services/a/status", 404),
        ("GET", "/api/v1/watch/nothing", 404),
        ("GET", "/apis/apps/v1/watch/deployments", 404),
        ("GET", "/api/v1/watch", 404),
        ("GET", "/apis/authorization.k8s.io/v1/watch/selfsubjectaccessreviews", 404),
        // They are checked as lists are.
        ("GET", "/api/v1/watch/services?sendInitialEvents=true", 422),
        ("GET", "/api/v1/watch/namespaces/default/services/a?fieldSelector=metadata.name%3Db", 400),
        ("GET", "/api/v1/watch/namespaces/default/services/a?fieldSelector=spec.type%3DClusterIP", 400),
    ] {
        assert_eq!(server.ask(method, path, JSON, b"").code, code, "{method} {path}");
    }
    assert_eq!(server.get(&format!("{SERVICES}/a")).code, 200);
}

/// The same file: of objects there is GET, and no HEAD.
#[test]
fn objects_have_no_head() {
    needs!();
    let server = Server::start(&[]);
    let head = |path: &str| {
        server.raw(Shown::Token(&server.token()), &format!("HEAD {path}"), "", b"").unwrap().code
    };
    for path in [ONE, SERVICES, "/api/v1/watch/services", "/apis/apps/v1/deployments", "/api/v1/nodes/node1"]
    {
        assert_eq!(head(path), 405, "{path}");
    }
    for path in ["/healthz", "/metrics", "/openapi/v2"] {
        assert_eq!(head(path), 200, "{path}");
    }
}

/// `k8s.io/apiserver/pkg/endpoints/handlers/negotiation/negotiate.go`: everything but a watch comes as YAML as well.
#[test]
fn objects_are_answered_in_yaml() {
    needs!();
    let server = Server::start(&[]);
    let ask = |method: &str, path: &str, accept: &str, body: &[u8]| {
        let length = body.len();
        let headers =
            format!("Accept: {accept}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n");
        server.raw(Shown::Token(&server.token()), &format!("{method} {path}"), &headers, body).unwrap()
    };
    for (path, code, line) in [
        (ONE, 200, "  name: kubernetes"),
        (SERVICES, 200, "kind: ServiceList"),
        ("/api/v1/namespaces/default/services/none", 404, "kind: Status"),
        ("/api/v1", 200, "kind: APIResourceList"),
        ("/apis", 200, "kind: APIGroupList"),
        ("/apis/apps/v1/deployments", 200, "items: []"),
    ] {
        let answer = ask("GET", path, "application/yaml, application/json", b"");
        let text = String::from_utf8(answer.body.clone()).unwrap();
        assert_eq!(answer.code, code, "{path}");
        assert!(answer.headers.contains("content-type: application/yaml"), "{path}: {}", answer.headers);
        assert!(text.lines().any(|found| found == line), "{path}: {text}");
    }
    let table = ask("GET", SERVICES, "application/yaml;as=Table;v=v1;g=meta.k8s.io", b"");
    assert!(String::from_utf8_lossy(&table.body).contains("kind: Table"));
    // What was answered can be sent back.
    let found = ask("GET", ONE, "application/yaml", b"").body;
    let put = server.ask("PUT", ONE, "application/yaml", &found);
    assert_eq!((put.code, put.json()), (200, server.get(ONE).json()));
    let body = json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}).to_string();
    let made = ask("POST", SERVICES, "application/yaml", body.as_bytes());
    assert!(made.code == 201 && String::from_utf8_lossy(&made.body).contains("\n  name: a\n"));
    for accept in ["application/yaml", "application/yaml, application/json"] {
        assert_eq!(ask("GET", &format!("{SERVICES}?watch=1"), accept, b"").code, 406, "{accept}");
    }
    assert_eq!(ask("GET", ONE, "application/cbor", b"").code, 406);
    let json = ask("GET", ONE, "application/json, application/yaml", b"");
    assert!(json.headers.contains("content-type: application/json") && json.json().is_object());
}

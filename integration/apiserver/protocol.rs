//! How the API server answers, whatever it answers: the forms that clients accept, what they keep, tables, and health, as
//! kube-apiserver 1.36.2 answered the same requests.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::harness::needs;
use crate::harness::serve::{Answer, Server, Shown};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const ONE: &str = "/api/v1/namespaces/default/services/kubernetes";
const EVENTS: &str = "/api/v1/namespaces/default/events";
const JSON: &str = "application/json";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn get(server: &Server, path: &str, headers: &str) -> Answer {
    server.raw(Shown::Token(&server.token()), &format!("GET {path}"), headers, b"").unwrap()
}

fn accepting(server: &Server, path: &str, accept: &str) -> Answer {
    get(server, path, &format!("Accept: {accept}\r\n"))
}

/// The value of a header; empty if there is none.
fn header(answer: &Answer, name: &str) -> String {
    let name = format!("{name}: ");
    let found = answer.headers.lines().find_map(|line| {
        let (start, value) = line.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(&name).then(|| value.to_owned())
    });
    found.unwrap_or_default()
}

fn rows(server: &Server, path: &str) -> Vec<Value> {
    accepting(server, path, TABLE).json()["rows"].as_array().unwrap().clone()
}

fn columns(server: &Server, path: &str) -> Vec<(String, String)> {
    let table = accepting(server, path, TABLE).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let columns = table["columnDefinitions"].as_array().unwrap().iter();
    columns.map(|column| (text(&column["name"]), text(&column["type"]))).collect()
}

/// `github.com/munnerz/goautoneg/autoneg.go`, and `acceptMediaTypeOptions` in
/// `k8s.io/apiserver/pkg/endpoints/handlers/negotiation/negotiate.go`.
#[test]
fn the_form_with_the_highest_quality_is_taken() {
    needs!();
    let server = Server::start(&[]);
    let metadata = |list: &str| format!("application/json;as=PartialObjectMetadata{list};v=v1;g=meta.k8s.io");
    for (accept, code, media_type, kind) in [
        ("application/yaml;q=0.1, application/json", 200, JSON, "Service"),
        ("application/json;q=0.1,application/yaml;q=0.9", 200, "application/yaml", ""),
        ("*/*, application/yaml", 200, "application/yaml", ""),
        (&format!("{TABLE};q=0.5,application/json;q=0.9"), 200, JSON, "Service"),
        ("application/json;q=0", 200, JSON, "Service"),
        ("application/json;stream=other", 406, JSON, "Status"),
        ("application/json;stream=other,application/json", 200, JSON, "Service"),
        ("application/json;v=v1;g=apps", 406, JSON, "Status"),
        (&metadata(""), 200, JSON, "PartialObjectMetadata"),
        (&metadata("List"), 406, JSON, "Status"),
    ] {
        let answer = accepting(&server, ONE, accept);
        assert_eq!((answer.code, &*header(&answer, "content-type")), (code, media_type), "{accept}");
        if !kind.is_empty() {
            assert_eq!(answer.json()["kind"], kind, "{accept}");
        }
    }
    let told = accepting(&server, ONE, &metadata("List")).json()["message"].clone();
    let why =
        "you requested PartialObjectMetadataList, but the requested object is not a list (*core.Service)";
    assert_eq!(told, why);
    let told = accepting(&server, SERVICES, &metadata("")).json()["message"].clone();
    assert_eq!(
        told,
        "you requested PartialObjectMetadata, but the requested object is a list (*core.ServiceList)"
    );
    let list = accepting(&server, SERVICES, &metadata("List"));
    assert_eq!((list.code, &list.json()["kind"]), (200, &json!("PartialObjectMetadataList")));
    // A question has no table. The conformance test "should return a 406 for a backend which does not implement metadata".
    let ask = |accept: &str| {
        let body = json!({"spec": {"nonResourceAttributes": {"verb": "get", "path": "/"}}}).to_string();
        let headers =
            format!("Accept: {accept}\r\nContent-Type: {JSON}\r\nContent-Length: {}\r\n", body.len());
        let line = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        server.raw(Shown::Token(&server.token()), line, &headers, body.as_bytes()).unwrap().code
    };
    assert_eq!((ask(TABLE), ask(&format!("{TABLE},{JSON}")), ask(JSON)), (406, 201, 201));
    // A stream is of single objects.
    let watched = format!("{SERVICES}?watch=1&timeoutSeconds=1");
    assert_eq!(accepting(&server, &watched, &metadata("")).code, 200);
}

/// `k8s.io/apiserver/pkg/endpoints/discovery/aggregated`: `wrapper.go` and `etag.go`.
#[test]
fn aggregated_discovery_is_kept_by_clients() {
    needs!();
    let server = Server::start(&[]);
    for path in ["/api", "/apis"] {
        let answer = accepting(&server, path, &format!("application/json, {AGGREGATED}"));
        assert_eq!(header(&answer, "content-type"), AGGREGATED, "{path}");
        let tag = header(&answer, "etag");
        assert!(tag.starts_with('"') && tag.len() == 130, "{tag}");
        assert_eq!((&*header(&answer, "vary"), &*header(&answer, "cache-control")), ("Accept", "public"));
        let again = format!("Accept: {AGGREGATED}\r\nIf-None-Match: {tag}\r\n");
        let kept = get(&server, path, &again);
        assert_eq!((kept.code, kept.body.len(), header(&kept, "etag")), (304, 0, tag.clone()), "{path}");
        let other = get(&server, path, &again.replace(&tag, "\"x\""));
        assert_eq!((other.code, other.body), (200, answer.body), "{path}");
    }
}

/// `kubectl get all` shows kinds in the order of discovery, and a name that two groups have is the first one's.
#[test]
fn groups_and_kinds_are_in_the_order_of_kubernetes() {
    needs!();
    let server = Server::start(&["--nodes=stored"]);
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let groups = names(&server.get("/apis").json()["groups"]);
    let expected = [
        "apps",
        "events.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "batch",
        "networking.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "scheduling.k8s.io",
        "coordination.k8s.io",
        "node.k8s.io",
        "discovery.k8s.io",
    ];
    assert_eq!(groups, expected);
    let aggregated = accepting(&server, "/apis", AGGREGATED).json();
    let items = aggregated["items"].as_array().unwrap().iter().map(|group| group["metadata"]["name"].clone());
    assert_eq!(items.collect::<Vec<_>>(), expected);
    for path in ["/api/v1", "/apis/apps/v1", "/apis/networking.k8s.io/v1"] {
        let found = names(&server.get(path).json()["resources"]);
        assert!(found.is_sorted(), "{path}: {found:?}");
    }
    let root = server.get("/").json();
    assert!(root["paths"].as_array().unwrap().iter().map(Value::as_str).is_sorted());
}

/// `pkg/handler3/handler.go` of kube-openapi: the hash of a document is one of its content.
#[test]
fn openapi_documents_are_kept_by_clients() {
    needs!();
    let (server, other) = (Server::start(&[]), Server::start(&["--nodes=stored"]));
    let url = |server: &Server| {
        let index = server.get("/openapi/v3").json();
        index["paths"]["api/v1"]["serverRelativeURL"].as_str().unwrap().to_owned()
    };
    let (mine, its) = (url(&server), url(&other));
    assert_ne!(mine, its, "two documents, one hash");
    let hash = mine.strip_prefix("/openapi/v3/api/v1?hash=").unwrap();
    let answer = server.get(&mine);
    assert_eq!((answer.code, header(&answer, "etag")), (200, format!("\"{hash}\"")));
    assert!(header(&answer, "cache-control").contains("immutable"));
    let kept = get(&server, &mine, &format!("If-None-Match: W/\"x\", \"{hash}\"\r\n"));
    assert_eq!((kept.code, kept.body.len()), (304, 0));
    let moved = server.get(&its);
    assert_eq!((moved.code, header(&moved, "location")), (301, mine));
    let plain = server.get("/openapi/v3/api/v1");
    assert_eq!((plain.code, &*header(&plain, "cache-control")), (200, "no-cache, private"));
    let old = server.get("/openapi/v2");
    let tag = header(&old, "etag");
    assert_eq!(get(&server, "/openapi/v2", &format!("If-None-Match: {tag}\r\n")).code, 304);
}

/// `k8s.io/apiserver/pkg/server/healthz/healthz.go`.
#[test]
fn health_is_told_check_by_check() {
    needs!();
    let server = Server::start(&[]);
    let text = |path: &str| {
        let answer = server.get(path);
        (answer.code, String::from_utf8(answer.body).unwrap())
    };
    let ok = (200, "ok".to_owned());
    for path in ["/healthz", "/livez", "/readyz", "/livez/etcd", "/healthz/ping", "/readyz/shutdown"] {
        assert_eq!(text(path), ok, "{path}");
    }
    let all = "[+]ping ok\n[+]etcd ok\n";
    assert_eq!(text("/livez?verbose"), (200, format!("{all}livez check passed\n")));
    assert_eq!(text("/readyz?verbose=1"), (200, format!("{all}[+]shutdown ok\nreadyz check passed\n")));
    let warn = "warn: some health checks cannot be excluded: no matches for \"x\"";
    let expected = format!("[+]ping ok\n[+]etcd excluded: ok\n{warn}\nhealthz check passed\n");
    assert_eq!(text("/healthz?verbose&exclude=etcd&exclude=x"), (200, expected));
    assert_eq!(server.get("/livez/shutdown").code, 404);
}

/// `tlsRecordHeaderLooksLikeHTTP` in Go's `net/http/server.go`.
#[test]
fn a_request_without_tls_is_told_so() {
    needs!();
    let server = Server::start(&[]);
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.write_all(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    assert_eq!(text, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n");
}

/// `printEvent` in `pkg/printers/internalversion/printers.go`, and `ToSelectableFields` in
/// `pkg/registry/core/event/strategy.go`.
#[test]
fn events_of_both_groups_show_who_told_them() {
    needs!();
    let server = Server::start(&[]);
    let about = json!({"kind": "Pod", "name": "p", "namespace": "default"});
    let (old, new) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z");
    let body = json!({"metadata": {"name": "old"}, "involvedObject": about, "type": "Normal",
        "source": {"component": "kubelet", "host": "n1"}, "firstTimestamp": old, "lastTimestamp": old, "count": 2});
    server.done("POST", EVENTS, JSON, &body);
    let body = json!({"metadata": {"name": "new"}, "regarding": about, "type": "Normal", "reason": "r", "action": "a",
        "note": " n ", "reportingController": "x.y/z", "reportingInstance": "i", "eventTime": new,
        "series": {"count": 7, "lastObservedTime": new}});
    server.done("POST", "/apis/events.k8s.io/v1/namespaces/default/events", JSON, &body);
    let body =
        json!({"metadata": {"name": "bare"}, "involvedObject": {"kind": "Pod", "namespace": "default"}});
    server.done("POST", EVENTS, JSON, &body);
    for path in [EVENTS, "/apis/events.k8s.io/v1/namespaces/default/events"] {
        let found = rows(&server, path);
        let shown = |row: &Value| [3, 5, 8, 9].map(|column: usize| row["cells"][column].clone());
        let found: Vec<_> = found.iter().map(shown).collect();
        let expected = [
            [json!("pod"), json!(""), json!(1), json!("bare")],
            [json!("pod/p"), json!("x.y/z, i"), json!(7), json!("new")],
            [json!("pod/p"), json!("kubelet, n1"), json!(2), json!("old")],
        ];
        assert_eq!(found, expected, "{path}");
    }
    for (value, expected) in [("x.y/z", "new"), ("kubelet", "old"), ("", "bare")] {
        let list = server.get(&format!("{EVENTS}?fieldSelector=source%3D{value}")).json();
        let names: Vec<_> =
            list["items"].as_array().unwrap().iter().map(|event| &event["metadata"]["name"]).collect();
        assert_eq!(names, [expected], "{value}");
    }
}

/// `pkg/printers/internalversion/printers.go`.
#[test]
fn tables_have_the_columns_of_kubernetes() {
    needs!();
    let server = Server::start(&["--nodes=stored"]);
    let names = |path: &str| columns(&server, path).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names("/api/v1/serviceaccounts"), ["Name", "Age"]);
    let found = columns(&server, "/apis/scheduling.k8s.io/v1/priorityclasses");
    let expected = [
        ("Name", "string"),
        ("Value", "integer"),
        ("Global-Default", "boolean"),
        ("Age", "string"),
        ("PreemptionPolicy", "string"),
    ];
    assert_eq!(found, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
    let classes = rows(&server, "/apis/scheduling.k8s.io/v1/priorityclasses");
    assert_eq!(classes[0]["cells"][4], "PreemptLowerPriority");
    let found = columns(&server, "/apis/apps/v1/deployments");
    assert_eq!((&*found[2].1, &*found[3].1), ("string", "string"));
    assert_eq!(columns(&server, "/apis/rbac.authorization.k8s.io/v1/clusterroles")[1].1, "date");
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    for (name, ports, expected) in [
        ("a", json!([{"name": ""}]), "<unset>"),
        ("b", json!([{"name": "http"}, {"name": "dns", "port": 53}]), "http,53"),
    ] {
        let body =
            json!({"metadata": {"name": name}, "addressType": "IPv4", "endpoints": [], "ports": ports});
        server.done("POST", slices, JSON, &body);
        let query = format!("{slices}?fieldSelector=metadata.name%3D{name}");
        assert_eq!(rows(&server, &query)[0]["cells"][2], expected);
    }
    let pods = "/api/v1/namespaces/default/pods";
    let body = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}});
    server.done("POST", pods, JSON, &body);
    assert_eq!(rows(&server, pods)[0].get("conditions"), None);
    for (phase, message) in
        [("Succeeded", "The pod has completed successfully."), ("Failed", "The pod failed.")]
    {
        let patch = json!({"status": {"phase": phase}});
        server.done("PATCH", &format!("{pods}/p/status"), "application/merge-patch+json", &patch);
        let expected = json!([{"type": "Completed", "status": "True", "reason": phase, "message": message}]);
        assert_eq!(rows(&server, pods)[0]["conditions"], expected);
    }
    // Fields of pods that only old clients name, and one without a value.
    for (selector, expected) in [("spec.host%3Dn1", 1), ("spec.host%3Dn2", 0), ("status.podIPs%3Dx", 0)] {
        let list = server.get(&format!("{pods}?fieldSelector={selector}")).json();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(expected), "{selector}");
    }
    for path in ["/api/v1/nodes", "/api/v1/namespaces"] {
        let refused = server.get(&format!("{path}?fieldSelector=metadata.namespace%3D"));
        let told = refused.json()["message"].clone();
        assert_eq!(
            (refused.code, told),
            (400, json!("field label not supported: metadata.namespace")),
            "{path}"
        );
    }
    assert_eq!(
        server.get("/apis/node.k8s.io/v1/runtimeclasses?fieldSelector=metadata.namespace%3D").code,
        200
    );
}

/// `parseTimeout` in `k8s.io/apiserver/pkg/endpoints/filters/request_deadline.go`, of every path but a watch's, and
/// `ParseDuration` in Go's `time/format.go`.
#[test]
fn a_wrong_timeout_is_told_on_every_path() {
    needs!();
    let server = Server::start(&[]);
    let paths =
        ["/version", "/healthz", "/api", "/apis/apps", "/api/v1", "/openapi/v2", "/nowhere", SERVICES, ONE];
    for path in paths {
        for (timeout, why) in [
            ("x", "invalid duration \"x\""),
            ("5", "missing unit in duration \"5\""),
            ("5d", "unknown unit \"d\" in duration \"5d\""),
            ("9999999999999h", "invalid duration \"9999999999999h\""),
        ] {
            let answer = server.get(&format!("{path}?timeout={timeout}"));
            let why = format!("invalid timeout specified in the request URL - time: {why}");
            assert_eq!((answer.code, answer.json()["message"].as_str()), (400, Some(&*why)), "{path}");
        }
        for timeout in ["", "0s", "3m", "-1s", "1h1.5m"] {
            assert_ne!(server.get(&format!("{path}?timeout={timeout}")).code, 400, "{path} {timeout}");
        }
    }
    assert_eq!(server.get(&format!("{SERVICES}?watch=1&timeoutSeconds=1&timeout=x")).code, 200);
}

/// `Time` and `MicroTime` in `k8s.io/apimachinery/pkg/apis/meta/v1`: any year from 0 to 9999. The conformance test "lease API
/// should be available" takes the year 1.
#[test]
fn times_before_1970_are_kept() {
    needs!();
    let server = Server::start(&["--nodes=stored"]);
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    for (name, given, expected) in [
        ("a", "0001-01-01T00:00:02.000000Z", json!("0001-01-01T00:00:02.000000Z")),
        ("b", "1960-02-29T01:00:00.000000+02:00", json!("1960-02-28T23:00:00.000000Z")),
        ("c", "0001-01-01T00:00:00.000000Z", Value::Null),
    ] {
        let body = json!({"metadata": {"name": name}, "spec": {"acquireTime": given}});
        let lease = server.done("POST", leases, JSON, &body);
        assert_eq!(lease["spec"]["acquireTime"], expected, "{given}");
    }
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "firstTimestamp": "1901-12-13T20:45:52Z"});
    assert_eq!(server.done("POST", EVENTS, JSON, &event)["firstTimestamp"], event["firstTimestamp"]);
    assert_eq!(accepting(&server, EVENTS, TABLE).code, 200);
}

/// `metav1.ObjectMeta` leaves an empty `creationTimestamp` out since Kubernetes 1.34.
#[test]
fn an_object_without_an_age_has_no_time() {
    needs!();
    let server = Server::start(&[]);
    let query = "watch=1&timeoutSeconds=1&allowWatchBookmarks=1&sendInitialEvents=1&resourceVersionMatch=NotOlderThan";
    let answer = server.get(&format!("{SERVICES}?{query}"));
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("BOOKMARK") && !text.contains("\"creationTimestamp\":null"), "{text}");
    let question = json!({"spec": {"nonResourceAttributes": {"verb": "get", "path": "/"}}});
    let answer =
        server.done("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", JSON, &question);
    assert_eq!(answer["metadata"], json!({}));
    let question = json!({"spec": {"namespace": "default"}});
    let answer =
        server.done("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", JSON, &question);
    assert_eq!((&answer["metadata"], &answer["spec"]), (&json!({}), &json!({})));
}

//! What kube-apiserver 1.36.2 answered to the same requests, case by case: what it refuses, and in which words.

use serde_json::{Value, json};

use crate::harness::needs;
use crate::harness::serve::{Answer, Server};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const EVENTS: &str = "/api/v1/namespaces/default/events";
const NEW_EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";
const CIDRS: &str = "/apis/networking.k8s.io/v1/servicecidrs";
const ADDRESSES: &str = "/apis/networking.k8s.io/v1/ipaddresses";
pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

pub(crate) fn server() -> Server {
    Server::start(&["--service-cluster-ip-range=10.96.0.0/16,2001:db8:fd00::/112"])
}

fn ask(server: &Server, method: &str, path: &str, media_type: &str, body: &Value) -> Answer {
    server.ask(method, path, media_type, body.to_string().as_bytes())
}

/// Sees that a request is refused with `code`, and that what is told of it has all of `parts`, in this order.
#[track_caller]
pub(crate) fn refused(server: &Server, request: (&str, &str, &str), body: &Value, code: u16, parts: &[&str]) {
    let (method, path, media_type) = request;
    let answer = ask(server, method, path, media_type, body);
    let told = answer.json();
    let message = told["message"].as_str().unwrap_or_default();
    assert_eq!(answer.code, code, "{body} {told}");
    let mut rest = message;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("{body}: expected {part:?} in {message:?}"));
        rest = &rest[at + part.len()..];
    }
}

/// An object of a kind with what else it has.
pub(crate) fn object(api_version: &str, kind: &str, name: &str, rest: &Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    for (key, value) in rest.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

fn service(name: &str, rest: &Value) -> Value {
    let mut object = object("v1", "Service", name, &json!({"spec": {"ports": [{"port": 80}]}}));
    for (key, value) in rest.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

#[test]
fn services_are_taken_and_refused_as_in_1_36() {
    needs!();
    let server = server();
    // Forbidden until 1.32.
    server.done(
        "POST",
        SERVICES,
        JSON,
        &service("kubelet", &json!({"type": "LoadBalancer", "ports": [{"port": 10250}]})),
    );
    let dry = format!("{SERVICES}?dryRun=All");
    let health =
        json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 70000});
    let range = ["spec.healthCheckNodePort: Invalid value: 70000: must be between 1 and 65535, inclusive"];
    refused(&server, ("POST", &dry, JSON), &service("a", &health), 422, &range);
    let distribution = ["supported values: \"PreferClose\", \"PreferSameZone\", \"PreferSameNode\""];
    refused(
        &server,
        ("POST", SERVICES, JSON),
        &service("a", &json!({"trafficDistribution": "X"})),
        422,
        &distribution,
    );
    for ip in ["10.96.0.0", "10.96.255.255", "192.0.2.1"] {
        let mismatch = [
            &format!("failed to allocate IP {ip}: "),
            "the provided network does not match the current range",
        ];
        refused(&server, ("POST", SERVICES, JSON), &service("a", &json!({"clusterIP": ip})), 422, &mismatch);
    }
    let unspecified = ["spec.externalIPs[0]: Invalid value: \"0:0::0\": may not be unspecified (0:0::0)"];
    refused(
        &server,
        ("POST", SERVICES, JSON),
        &service("a", &json!({"externalIPs": ["0:0::0"]})),
        422,
        &unspecified,
    );
    let elsewhere = json!({"type": "ExternalName", "externalName": "a.b", "internalTrafficPolicy": "Local"});
    let made = server.done("POST", SERVICES, JSON, &service("elsewhere", &elsewhere));
    assert_eq!(made["spec"].get("internalTrafficPolicy"), None);
    server.done("POST", SERVICES, JSON, &service("a", &json!({})));
    let path = format!("{SERVICES}/a");
    let changed = ["spec.clusterIPs[0]: Invalid value: [\"10.96.0.79\"]: may not change once set"];
    let patch = json!({"spec": {"clusterIP": "10.96.0.79", "clusterIPs": null}});
    refused(&server, ("PATCH", &path, MERGE), &patch, 422, &changed);
    let changed =
        server.done("PATCH", &path, MERGE, &json!({"spec": {"type": "ExternalName", "externalName": "a"}}));
    assert_eq!(changed["spec"].get("internalTrafficPolicy"), None);
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "2001:DB8::1"}]}}});
    let answer = ask(&server, "PATCH", &format!("{SERVICES}/kubelet/status"), MERGE, &status);
    let warning = "status.loadBalancer.ingress[0]: IPv6 address \\\"2001:DB8::1\\\" should be in RFC 5952";
    assert!(answer.code == 200 && answer.headers.contains(warning), "{}", answer.headers);
}

/// `BeforeUpdate` and `ValidateObjectMetaAccessorUpdate`, and what a client means by a version of 0.
#[test]
fn metadata_is_changed_as_in_1_36() {
    needs!();
    let server = server();
    let uid = server.done("POST", SERVICES, JSON, &service("a", &json!({})))["metadata"]["uid"].clone();
    let path = format!("{SERVICES}/a");
    let with = |key: &str, value: Value| json!({"metadata": {(key): value}});
    for (key, value, shown) in [
        ("uid", json!("x"), "\"x\""),
        ("deletionTimestamp", json!("2020-01-01T00:00:00Z"), "\"2020-01-01T00:00:00Z\""),
        ("deletionGracePeriodSeconds", json!(5), "5"),
    ] {
        let fault = format!("metadata.{key}: Invalid value: {shown}: field is immutable");
        refused(&server, ("PATCH", &path, MERGE), &with(key, value), 422, &[&fault]);
    }
    let mut whole = service("a", &json!({}));
    whole["metadata"]["uid"] = "x".into();
    refused(&server, ("PUT", &path, JSON), &whole, 409, &["Precondition failed: UID in precondition: x"]);
    refused(
        &server,
        ("PUT", &format!("{path}/status"), JSON),
        &whole,
        409,
        &["Precondition failed: UID in precondition: x"],
    );
    let number = ["strconv.ParseUint: parsing \"x\": invalid syntax"];
    refused(&server, ("PATCH", &path, MERGE), &with("resourceVersion", json!("x")), 500, &number);
    refused(
        &server,
        ("PATCH", &path, MERGE),
        &with("resourceVersion", json!("1")),
        409,
        &["has been modified"],
    );
    server.done("PATCH", &path, MERGE, &with("resourceVersion", json!("0")));
    let changed =
        server.done("PATCH", &path, MERGE, &json!({"metadata": {"selfLink": "x", "generateName": "b-"}}));
    assert_eq!(changed["metadata"].get("selfLink"), None);
    assert_eq!((&changed["metadata"]["generateName"], &changed["metadata"]["uid"]), (&json!("b-"), &uid));
    // Which nobody looks at any more.
    server.done("PATCH", &path, MERGE, &with("generateName", json!("X_")));
    for (labels, part) in [
        (
            json!({"x/y/z": "1"}),
            "metadata.labels: Invalid value: \"x/y/z\": a valid label key must consist of",
        ),
        (json!({"a": "b".repeat(64)}), ": must be no more than 63 bytes"),
    ] {
        refused(&server, ("PATCH", &path, MERGE), &with("labels", labels), 422, &[part]);
    }
    // Nobody is named.
    let answer = ask(&server, "POST", SERVICES, JSON, &json!({"apiVersion": "v1", "kind": "Service"})).json();
    assert_eq!((&answer["details"]["kind"], answer["details"].get("name")), (&json!("Service"), None));
}

/// What kube-proxy 1.36.2 sends when it starts, byte by byte.
const STARTED: &[u8] = b"k8s\x00\n\x19\n\x10events.k8s.io/v1\x12\x05Event\x12\xa2\x01\n-\n\x16node1.18ec61bba765b82e\
\x12\x00\x1a\x07default\"\x00*\x002\x008\x00B\x00\x12\x0b\x08\xf2\x8f\xae\xd8\x06\x10\xc0\xfe\xb2\x04\"\nkube-proxy*\rkube-proxy-vm\
2\x0eStartKubeProxy:\x08StartingB\x19\n\x04Node\x12\x00\x1a\x05node1\"\x00*\x02v12\x00:\x00R\x00Z\x06Normalb\x04\n\x00\x12\x00j\x00\
r\x00x\x00\x1a\x00\"\x00";

#[test]
fn an_event_of_kube_proxy_is_kept() {
    needs!();
    let server = server();
    let made = server.ask("POST", NEW_EVENTS, "application/vnd.kubernetes.protobuf", STARTED);
    assert_eq!(made.code, 201, "{}", String::from_utf8_lossy(&made.body));
    let event = server.get(&format!("{EVENTS}/node1.18ec61bba765b82e")).json();
    let about = json!({"apiVersion": "v1", "kind": "Node", "name": "node1"});
    assert_eq!((&event["involvedObject"], &event["reason"]), (&about, &json!("Starting")));
    assert_eq!(
        (&event["reportingComponent"], &event["eventTime"]),
        (&json!("kube-proxy"), &json!("2026-11-29T02:03:30.009224Z"))
    );
}

/// `ValidateEventCreate`: the older group asks for less, and has its own name for what tells of an event.
#[test]
fn events_are_taken_and_refused_as_in_1_36() {
    needs!();
    let server = server();
    let old = |name: &str, rest: Value| {
        let mut event = object("v1", "Event", name, &rest);
        event["involvedObject"] = json!({"kind": "Node", "name": "x"});
        event
    };
    server.done("POST", EVENTS, JSON, &old("A_B", json!({})));
    let mut held = old("held", json!({}));
    held["metadata"]["finalizers"] = json!(["foo"]);
    server.done("POST", EVENTS, JSON, &held);
    let time = "2020-01-01T00:00:00.000000Z";
    let timed = json!({"eventTime": time, "reportingInstance": "i", "action": "A", "reason": "R"});
    refused(&server, ("POST", EVENTS, JSON), &old("a", timed), 422, &["reportingComponent: Required value"]);
    let new = |name: &str, rest: Value| {
        let mut event = json!({"eventTime": time, "reportingController": "a.b/c", "reportingInstance": "i", "action": "A",
            "reason": "R", "type": "Normal", "regarding": {"kind": "Node", "name": "x"}});
        for (key, value) in rest.as_object().unwrap() {
            event[key] = value.clone();
        }
        object("events.k8s.io/v1", "Event", name, &event)
    };
    let parts = ["[metadata.name: Invalid value: \"A_C\"", "series.count: Invalid value"];
    refused(&server, ("POST", NEW_EVENTS, JSON), &new("A_C", json!({"series": {"count": 1}})), 422, &parts);
    for (time, rest) in [
        ("2020-01-01T00:00:00Z", "cannot parse \"Z\" as \".000000\""),
        ("2020-01-01T00:00:00.123456789Z", "cannot parse \"789Z\" as \"Z07:00\""),
    ] {
        let layout = format!("parsing time \"{time}\" as \"2006-01-02T15:04:05.000000Z07:00\": ");
        refused(
            &server,
            ("POST", NEW_EVENTS, JSON),
            &new("a", json!({"eventTime": time})),
            400,
            &[&layout, rest],
        );
    }
    let made = server.done(
        "POST",
        NEW_EVENTS,
        JSON,
        &new("a", json!({"eventTime": "2020-01-01T01:00:00.123456+01:00"})),
    );
    assert_eq!(made["eventTime"], "2020-01-01T00:00:00.123456Z");
    let made =
        server.done("POST", EVENTS, JSON, &old("b", json!({"firstTimestamp": "2020-01-01T00:00:00.5Z"})));
    assert_eq!(made["firstTimestamp"], "2020-01-01T00:00:00Z");
    for (method, name, message) in [
        ("DELETE", "none", "events.events.k8s.io \"none\" not found"),
        ("GET", "none", "events.events.k8s.io \"none\" not found"),
    ] {
        let answer = server.ask(method, &format!("{NEW_EVENTS}/{name}"), JSON, b"").json();
        assert_eq!(
            (&answer["message"], &answer["details"]["group"]),
            (&json!(message), &json!("events.k8s.io"))
        );
    }
    refused(
        &server,
        ("POST", NEW_EVENTS, JSON),
        &new("a", json!({})),
        409,
        &["events.events.k8s.io \"a\" already exists"],
    );
}

#[test]
fn networks_addresses_and_namespaces_are_refused_as_in_1_36() {
    needs!();
    let server = server();
    let cidrs = |cidrs: &[&str]| {
        object("networking.k8s.io/v1", "ServiceCIDR", "a", &json!({"spec": {"cidrs": cidrs}}))
    };
    let one_family = "may specify no more than one IP for each IP family";
    for (given, parts) in [
        (
            ["x", "y"],
            &[
                "[spec.cidrs[0]: Invalid value: \"x\": must be",
                "spec.cidrs[1]: Invalid value: \"y\": must be",
            ][..],
        ),
        (["10.0.0.0/24", "x"], &["invalid: spec.cidrs[1]: Invalid value: \"x\": must be"]),
        (
            ["10.0.0.1/24", "10.0.0.2/24"],
            &["[spec.cidrs[0]: ", "spec.cidrs[1]: ", "spec.cidrs: ", one_family],
        ),
    ] {
        refused(&server, ("POST", CIDRS, JSON), &cidrs(&given), 422, parts);
    }
    let parent = json!({"spec": {"parentRef": {"resource": "services", "name": "x", "namespace": "y"}}});
    server.done("POST", ADDRESSES, JSON, &object("networking.k8s.io/v1", "IPAddress", "192.0.2.7", &parent));
    let none = ["[spec.parentRef: Required value, spec.parentRef: Invalid value: null: field is immutable]"];
    let path = format!("{ADDRESSES}/192.0.2.7");
    refused(&server, ("PATCH", &path, MERGE), &json!({"spec": {"parentRef": null}}), 422, &none);
    let namespace = |name: &str, rest: &Value| object("v1", "Namespace", name, rest);
    let both = ["[metadata.name: Invalid value: \"A_\"", "metadata.labels: Invalid value: \"A_\""];
    refused(&server, ("POST", "/api/v1/namespaces", JSON), &namespace("A_", &json!({})), 422, &both);
    let finalizer = ["spec.finalizers: Invalid value: \"x\": name is neither a standard finalizer name"];
    let given = json!({"spec": {"finalizers": ["x"]}});
    refused(&server, ("POST", "/api/v1/namespaces", JSON), &namespace("a", &given), 422, &finalizer);
}

#[test]
fn requests_are_refused_as_in_1_36() {
    needs!();
    let server = server();
    let wrong = ["invalid timeout specified in the request URL - time: invalid duration \"x\""];
    for (method, path) in [("GET", SERVICES), ("DELETE", SERVICES), ("POST", SERVICES)] {
        let path = format!("{path}?timeout=x&dryRun=All");
        refused(&server, (method, &path, JSON), &service("a", &json!({})), 400, &wrong);
    }
    for timeout in ["5s", "-5s", "1h2m3.5s", "1ms", "0", ""] {
        assert_eq!(server.get(&format!("{SERVICES}?timeout={timeout}")).code, 200, "{timeout}");
    }
    let late = ["Timeout: Too large resource version: 999999, current: "];
    refused(&server, ("GET", &format!("{SERVICES}?resourceVersion=999999"), JSON), &json!({}), 504, &late);
    server.done("POST", SERVICES, "", &service("a", &json!({})));
    let path = format!("{SERVICES}/a");
    // What says how it is to be merged has no effect where there is nothing to merge it with.
    let changed = server.done(
        "PATCH",
        &path,
        STRATEGIC,
        &json!({"spec": {"selector": {"$patch": "replace", "z": "1"}}}),
    );
    assert_eq!(changed["spec"].get("selector"), None);
    let owners = json!({"metadata": {"ownerReferences": [{"name": "a"}]}});
    let parts = ["metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be empty"];
    refused(&server, ("PATCH", &path, STRATEGIC), &owners, 422, &parts);
}

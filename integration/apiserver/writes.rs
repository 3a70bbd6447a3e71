//! What kube-apiserver 1.36.2 answered to the same writes: what it takes, refuses and warns of.

use serde_json::{Value, json};

use super::rules::{JSON, MERGE, object, refused, server};
use crate::harness::needs;
use crate::harness::serve::{Answer, Server};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const EVENTS: &str = "/api/v1/namespaces/default/events";
const NEW_EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";
const ADDRESSES: &str = "/apis/networking.k8s.io/v1/ipaddresses";
const JSON_PATCH: &str = "application/json-patch+json";

fn ask(server: &Server, method: &str, path: &str, media_type: &str, body: &Value) -> Answer {
    server.ask(method, path, media_type, body.to_string().as_bytes())
}

fn service(name: &str, ports: Value) -> Value {
    object("v1", "Service", name, &json!({"spec": {"ports": ports}}))
}

/// The code of an answer, and its warnings.
fn told(answer: &Answer) -> (u16, Vec<String>) {
    let lines = answer.headers.lines().filter_map(|line| line.strip_prefix("warning: 299 - \""));
    let texts = lines.map(|line| line.trim_end().strip_suffix('"').unwrap().replace("\\\"", "\""));
    (answer.code, texts.collect())
}

/// `fieldValidation` and `dedupOwnerReferencesAndAddWarning` warn before the object is validated
/// (`k8s.io/apiserver/pkg/endpoints/handlers/create.go`, `update.go`, `patch.go`).
#[test]
fn a_refused_write_is_warned_of() {
    needs!();
    let server = server();
    let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"});
    let mut wrong = service("a", json!([{"port": 80, "foo": 1}]));
    wrong["spec"]["type"] = "X".into();
    wrong["metadata"]["ownerReferences"] = json!([owner, owner]);
    let (code, texts) = told(&ask(&server, "POST", SERVICES, JSON, &wrong));
    assert_eq!((code, texts[0].as_str()), (422, "unknown field \"spec.ports[0].foo\""));
    assert!(texts[1].contains("duplicate UID(s) observed: u"), "{texts:?}");

    server.done("POST", SERVICES, JSON, &service("a", json!([{"port": 80}])));
    // With 409 and with the kind's own warnings.
    let mut again = service("a", json!([{"port": 80, "foo": 1}]));
    again["spec"]["externalIPs"] = json!(["192.0.2.1"]);
    let (code, texts) = told(&ask(&server, "POST", SERVICES, JSON, &again));
    assert_eq!((code, texts.len()), (409, 2), "{texts:?}");
    let patch = json!({"spec": {"foo": 1, "type": "X"}});
    let (code, texts) = told(&ask(&server, "PATCH", &format!("{SERVICES}/a"), MERGE, &patch));
    assert_eq!((code, texts), (422, vec!["unknown field \"spec.foo\"".to_owned()]));
    let ignored = format!("{SERVICES}/a?fieldValidation=Ignore");
    assert_eq!(told(&ask(&server, "PATCH", &ignored, MERGE, &patch)), (422, Vec::new()));

    // A deprecated kind first, and only where the request is served.
    let endpoints = "/api/v1/namespaces/default/endpoints";
    let wrong = object("v1", "Endpoints", "e", &json!({"foo": 1, "subsets": [{"addresses": [{"ip": "x"}]}]}));
    let deprecated = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".to_owned();
    let unknown = "unknown field \"foo\"".to_owned();
    assert_eq!(
        told(&ask(&server, "POST", endpoints, JSON, &wrong)),
        (422, vec![deprecated.clone(), unknown])
    );
    assert_eq!(told(&ask(&server, "POST", &format!("{endpoints}/e"), JSON, &wrong)), (405, Vec::new()));
    let gone = format!("{endpoints}/e");
    assert_eq!(told(&ask(&server, "DELETE", &gone, JSON, &json!({}))), (404, vec![deprecated]));
}

/// `github.com/evanphx/json-patch` 4.12, and `applyJSPatch` in `k8s.io/apiserver/pkg/endpoints/handlers/patch.go`.
#[test]
fn json_patches_mean_what_they_mean_upstream() {
    needs!();
    let server = server();
    let path = format!("{SERVICES}/a");
    server.done(
        "POST",
        SERVICES,
        JSON,
        &service("a", json!([{"port": 80, "name": "a"}, {"port": 81, "name": "b"}])),
    );
    let patch = |body: &Value| ask(&server, "PATCH", &path, JSON_PATCH, body);
    let done = |body: Value| {
        let answer = patch(&body);
        assert_eq!(answer.code, 200, "{body} {}", answer.json());
        answer.json()
    };
    // kubectl patch --type=json replaces members that are not there.
    let replaced = done(json!([{"op": "replace", "path": "/metadata/labels", "value": {"a": "b"}},
        {"op": "replace", "path": "/metadata/labels/c", "value": "d"}]));
    assert_eq!(replaced["metadata"]["labels"], json!({"a": "b", "c": "d"}));
    let last = done(json!([{"op": "replace", "path": "/spec/ports/-1/port", "value": 82},
        {"op": "add", "path": "/spec/ports/-1", "value": {"port": 83, "name": "c"}}, {"op": "remove", "path": "/spec/ports/-3"}]));
    let ports: Vec<&Value> =
        last["spec"]["ports"].as_array().unwrap().iter().map(|port| &port["port"]).collect();
    assert_eq!(ports, [82, 83]);
    done(Value::Null);
    for (body, code) in [
        (json!([{"op": "replace", "path": "/spec/foo/bar", "value": 1}]), 422),
        (json!([{"op": "explode", "path": "/spec"}]), 422),
        (json!([{"op": "add", "path": "spec", "value": 1}]), 422),
        (json!([{}]), 422),
        (json!([1]), 400),
        (json!({"op": "remove"}), 400),
    ] {
        assert_eq!(patch(&body).code, code, "{body}");
    }
    let odd = json!([{"op": "add", "path": "/metadata/labels", "value": {}, "foo": 1}]);
    let warning = "json patch unknown field \"[0].foo\"";
    assert_eq!(told(&patch(&odd)), (200, vec![warning.to_owned()]));
    let strict = format!("{path}?fieldValidation=Strict");
    refused(&server, ("PATCH", &strict, JSON_PATCH), &odd, 422, &["strict decoding error: ", warning]);
}

/// `ValidateDryRun`: an empty value is not `All`, and nothing is changed for it.
#[test]
fn a_dry_run_without_a_value_changes_nothing() {
    needs!();
    let server = server();
    let path = format!("{SERVICES}/a?dryRun=");
    let made = service("a", json!([{"port": 80}]));
    let fault =
        ["Options.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"\"]: supported values: \"All\""];
    refused(&server, ("POST", &format!("{SERVICES}?dryRun="), JSON), &made, 422, &fault);
    server.done("POST", SERVICES, JSON, &made);
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    refused(&server, ("PATCH", &path, MERGE), &patch, 422, &fault);
    refused(&server, ("PUT", &path, JSON), &made, 422, &fault);
    let deleted = server.ask("DELETE", &path, JSON, b"");
    assert_eq!(deleted.code, 422, "{}", deleted.json());
    assert_eq!(server.ask("DELETE", &format!("{SERVICES}?dryRun="), JSON, b"").code, 422);
    assert_eq!(server.get(&format!("{SERVICES}/a")).json()["metadata"].get("labels"), None);
}

/// `omitempty`: Go leaves out empty fields, and writes structures that are no pointers. Clients read `endpoint.conditions.ready`
/// without asking for `conditions`.
#[test]
fn objects_are_written_as_go_writes_them() {
    needs!();
    let server = server();
    let slice = object(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        "a",
        &json!({"addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.1"], "hints": {"forZones": [{"name": "z"}]}}], "ports": [{"port": 80}]}),
    );
    let made = server.done("POST", SLICES, JSON, &slice);
    assert_eq!(made["endpoints"][0]["conditions"], json!({}));
    assert_eq!(made["endpoints"][0].get("targetRef"), None);
    let same = server.done("PUT", &format!("{SLICES}/a"), JSON, &slice);
    assert_eq!(same["metadata"]["generation"], 1, "nothing has changed");
    let mut counted = slice.clone();
    counted["metadata"] = json!({"name": "b", "generation": -1});
    assert_eq!(server.done("POST", SLICES, JSON, &counted)["metadata"]["generation"], 1);

    let pod = json!({"kind": "Pod", "namespace": "default", "name": "p", "uid": ""});
    let event = object(
        "v1",
        "Event",
        "a",
        &json!({"involvedObject": pod, "reason": "", "count": 0, "type": "Normal"}),
    );
    let made = server.done("POST", EVENTS, JSON, &event);
    assert_eq!(
        (&made["source"], &made["reportingComponent"], &made["reportingInstance"]),
        (&json!({}), &json!(""), &json!(""))
    );
    assert_eq!(
        (made.get("reason"), made.get("count"), made["involvedObject"].get("uid")),
        (None, None, None)
    );
    assert_eq!((made.get("series"), made.get("related")), (None, None));
    let shown = server.get(&format!("{NEW_EVENTS}/a")).json();
    assert_eq!((&shown["deprecatedSource"], shown.get("note")), (&json!({}), None));

    let parent = json!({"group": "", "resource": "services", "namespace": "default", "name": "x"});
    let address =
        object("networking.k8s.io/v1", "IPAddress", "192.0.2.7", &json!({"spec": {"parentRef": parent}}));
    let made = server.done("POST", ADDRESSES, JSON, &address);
    assert_eq!(
        made["spec"]["parentRef"],
        json!({"resource": "services", "namespace": "default", "name": "x"})
    );
}

/// YAML 1.1, which `sigs.k8s.io/yaml` reads.
#[test]
fn numbers_in_yaml_may_be_octal() {
    needs!();
    let server = server();
    for (written, port) in [("0644", 420), ("0o644", 420), ("08", 8), ("1_000", 1000), ("0x50", 80)] {
        let yaml = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {{ports: [{{port: {written}}}]}}\n"
        );
        let answer =
            server.ask("POST", &format!("{SERVICES}?dryRun=All"), "application/yaml", yaml.as_bytes());
        assert_eq!(answer.json()["spec"]["ports"][0]["port"], port, "{written}: {}", answer.json());
    }
}

/// `ValidateServiceUpdate`: the class is checked before what else is wrong, and told twice among the causes.
#[test]
fn faults_are_told_in_upstreams_order() {
    needs!();
    let server = server();
    server.done("POST", SERVICES, JSON, &service("a", json!([{"port": 80}])));
    let patch = json!({"metadata": {"labels": {"a": "b c"}},
        "spec": {"loadBalancerClass": "a.b/c", "type": "ExternalName", "clusterIP": null, "clusterIPs": null}});
    let class = "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'";
    let order = ["[metadata.labels: Invalid value: \"b c\"", class, ", spec.externalName: Required value]"];
    refused(&server, ("PATCH", &format!("{SERVICES}/a"), MERGE), &patch, 422, &order);

    let namespaces = "/api/v1/namespaces";
    server.done("POST", namespaces, JSON, &object("v1", "Namespace", "n", &json!({})));
    server.ask("DELETE", &format!("{namespaces}/n"), JSON, b"");
    let order = [
        "[metadata.finalizers: Invalid value: \"a b\": name part",
        "metadata.finalizers: Forbidden: no new finalizers can be added",
        "metadata.finalizers[0]: Invalid value: \"a b\": name is neither",
    ];
    let patch = json!({"metadata": {"finalizers": ["a b"]}});
    refused(&server, ("PATCH", &format!("{namespaces}/n"), MERGE), &patch, 422, &order);
    // `SetDefaults_NamespaceStatus`.
    server.done("POST", namespaces, JSON, &object("v1", "Namespace", "m", &json!({})));
    let named = object("v1", "Namespace", "m", &json!({}));
    let status = server.done("PUT", &format!("{namespaces}/m/status"), JSON, &named);
    assert_eq!(status["status"]["phase"], "Active");
}

/// `mapType=atomic` and `structType=atomic`, and null, of which structured-merge-diff applies nothing. A Service that has
/// parts of two selectors has no pods.
#[test]
fn selectors_are_applied_as_a_whole_and_null_is_nothing() {
    needs!();
    let server = server();
    let path = format!("{SERVICES}/a");
    let mut made = service("a", json!([{"port": 80}]));
    made["spec"]["selector"] = json!({"app": "old"});
    made["metadata"]["labels"] = json!({"a": "b"});
    server.done("POST", SERVICES, JSON, &made);
    let applied = object(
        "v1",
        "Service",
        "a",
        &json!({"metadata": {"name": "a", "labels": null, "annotations": null},
        "spec": {"selector": {"name": "new"}, "ports": null}}),
    );
    let query = format!("{path}?fieldManager=m&force=true");
    let found = server.done("PATCH", &query, "application/apply-patch+yaml", &applied);
    assert_eq!(found["spec"]["selector"], json!({"name": "new"}));
    assert_eq!(
        (&found["metadata"]["labels"], &found["spec"]["ports"][0]["port"]),
        (&json!({"a": "b"}), &json!(80))
    );
}

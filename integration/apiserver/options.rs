//! Options of requests that the API server refuses or reads as Kubernetes does.

use serde_json::{Value, json};

use crate::harness::needs;
use crate::harness::serve::{Answer, Server};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

fn message(answer: &Answer) -> String {
    answer.json()["message"].as_str().unwrap_or_default().to_owned()
}

fn service(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}})
}

/// `k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go`: `ValidateCreateOptions` and those beside it.
#[test]
fn wrong_options_are_invalid() {
    needs!();
    let server = Server::start(&[]);
    let body = service("a").to_string();
    assert_eq!(server.ask("POST", SERVICES, JSON, body.as_bytes()).code, 201);
    let path = format!("{SERVICES}/a");
    let long = format!("fieldManager={}", "a".repeat(129));
    let dry = "dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"";
    let validation = "fieldValidation: Unsupported value: \"strict\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"";
    let too_long = "fieldManager: Too long: may not be more than 128 bytes";
    for (method, path, media_type, kind) in [
        ("POST", SERVICES, JSON, "CreateOptions"),
        ("PUT", &path, JSON, "UpdateOptions"),
        ("PATCH", &path, "application/merge-patch+json", "PatchOptions"),
    ] {
        for (query, expected) in
            [("dryRun=Some", dry), ("fieldValidation=strict", validation), (&*long, too_long)]
        {
            let answer = server.ask(method, &format!("{path}?{query}"), media_type, body.as_bytes());
            let expected = format!("{kind}.meta.k8s.io \"\" is invalid: {expected}");
            assert_eq!((answer.code, message(&answer)), (422, expected), "{method} {query}");
            assert_eq!(answer.json()["details"]["kind"], kind);
        }
    }
    let delete = |query: &str, body: &str| {
        let answer = server.ask("DELETE", &format!("{path}?{query}"), JSON, body.as_bytes());
        (answer.code, message(&answer))
    };
    let invalid = |why: &str| (422, format!("DeleteOptions.meta.k8s.io \"\" is invalid: {why}"));
    assert_eq!(delete("dryRun=Some", ""), invalid(dry));
    assert_eq!(delete("", r#"{"dryRun": ["Some"]}"#), invalid(dry));
    let both = "propagationPolicy: Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be both set";
    assert_eq!(delete("", r#"{"propagationPolicy": "Orphan", "orphanDependents": true}"#), invalid(both));
    assert_eq!(delete("propagationPolicy=Orphan&orphanDependents=false", ""), invalid(both));
    let strange = "propagationPolicy: Unsupported value: \"x\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"";
    assert_eq!(delete("propagationPolicy=x", ""), invalid(strange));
    let number = "strconv.ParseInt: parsing \"abc\": invalid syntax";
    assert_eq!(delete("gracePeriodSeconds=abc", ""), (400, number.to_owned()));
    assert_eq!(delete("", r#"{"kind": "Service", "apiVersion": "v1"}"#).0, 400);
    // A query that means nothing to a GET.
    assert_eq!(server.get(&format!("{path}?dryRun=Some&gracePeriodSeconds=abc&force=true")).code, 200);
    for (media_type, patch) in [
        ("application/merge-patch+json", "{}"),
        ("application/json-patch+json", "[]"),
        ("application/strategic-merge-patch+json", "{}"),
    ] {
        let answer = server.ask("PATCH", &format!("{path}?force=true"), media_type, patch.as_bytes());
        let expected = "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch";
        assert_eq!((answer.code, message(&answer)), (422, expected.to_owned()), "{media_type}");
    }
    assert_eq!(delete("gracePeriodSeconds=0&dryRun=All", "").0, 200);
    assert_eq!(
        delete("", r#"{"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", "gracePeriodSeconds": 0}"#).0,
        200
    );
}

/// `k8s.io/apimachinery/pkg/runtime/serializer/json/json.go`: what is there twice is refused by `Strict` only.
#[test]
fn keys_that_are_there_twice_in_yaml() {
    needs!();
    let server = Server::start(&[]);
    let body = "metadata: {name: a}\nspec:\n  ports:\n  - port: 80\n    port: 81\n";
    let ask = |validation: &str, body: &str| {
        server.ask(
            "POST",
            &format!("{SERVICES}?dryRun=All&fieldValidation={validation}"),
            YAML,
            body.as_bytes(),
        )
    };
    let ignored = ask("Ignore", body);
    assert_eq!((ignored.code, &ignored.json()["spec"]["ports"][0]["port"]), (201, &json!(81)));
    assert!(!ignored.headers.contains("warning:"));
    let warned = ask("Warn", body);
    let warning = "warning: 299 - \"duplicate field \\\"spec.ports[0].port\\\"\"";
    assert!(warned.code == 201 && warned.headers.contains(warning), "{}", warned.headers);
    let strict = ask("Strict", body);
    assert!(
        strict.code == 400 && message(&strict).contains("duplicate field \"spec.ports[0].port\""),
        "{}",
        message(&strict)
    );
    // What is no YAML is still none.
    assert_eq!(ask("Ignore", "metadata: {name: a\n").code, 400);
    let applied = format!("{SERVICES}/a?fieldManager=a&dryRun=All&fieldValidation=Ignore");
    let body = format!("apiVersion: v1\nkind: Service\n{body}");
    assert_eq!(server.ask("PATCH", &applied, "application/apply-patch+yaml", body.as_bytes()).code, 201);
}

/// `sigs.k8s.io/yaml` makes JSON of YAML by way of Go's numbers; JSON itself is read as it stands.
#[test]
fn numbers_in_yaml_are_numbers() {
    needs!();
    let server = Server::start(&[]);
    for (port, code) in [("80.0", 201), ("8e1", 201), ("8.0e+1", 201), ("80.5", 400), ("1e300", 400)] {
        let body = format!("metadata: {{name: a}}\nspec: {{ports: [{{port: {port}}}]}}\n");
        let answer = server.ask("POST", &format!("{SERVICES}?dryRun=All"), YAML, body.as_bytes());
        assert_eq!(answer.code, code, "{port}: {}", String::from_utf8_lossy(&answer.body));
        if code == 201 {
            assert_eq!(answer.json()["spec"]["ports"][0]["port"], 80, "{port}");
        }
    }
    let body = br#"{"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80.0}]}}"#;
    assert_eq!(server.ask("POST", SERVICES, JSON, body).code, 400);
}

/// `ValidateService` in `pkg/apis/core/validation/validation.go`.
#[test]
fn annotations_about_topology_agree() {
    needs!();
    let server = Server::start(&[]);
    let ask = |hints: &str| {
        let mut service = service("a");
        service["metadata"]["annotations"] = json!({"service.kubernetes.io/topology-aware-hints": hints, "service.kubernetes.io/topology-mode": "Auto"});
        server.ask("POST", &format!("{SERVICES}?dryRun=All"), JSON, service.to_string().as_bytes())
    };
    assert_eq!(ask("Auto").code, 201);
    let expected = "Service \"a\" is invalid: metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value: \
                    \"Auto\": must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified";
    assert_eq!((ask("auto").code, message(&ask("auto"))), (422, expected.to_owned()));
}

/// `ErrorNegotiated` in `k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/writers.go`.
#[test]
fn who_is_too_early_is_told_when_to_come_back() {
    needs!();
    let server = Server::start(&[]);
    for path in [
        "/api/v1/services?resourceVersion=999999",
        "/api/v1/namespaces/default/services/kubernetes?resourceVersion=999999",
    ] {
        let answer = server.get(path);
        assert_eq!(
            (answer.code, answer.headers.contains("retry-after: 1")),
            (504, true),
            "{}",
            answer.headers
        );
    }
    assert!(!server.get("/api/v1/nowhere").headers.contains("retry-after"));
}

/// RFC 4291, section 2.6.1: the first address of an IPv6 network is every router's in it.
#[test]
fn the_routers_address_is_given_to_nobody() {
    needs!();
    let flags = ["--service-cluster-ip-range=2001:db8:fd00::/112", "--load-balancer-pool=2001:db8:1::/126"];
    let server = Server::start(&flags);
    let made = |name: &str| {
        let mut service = service(name);
        service["spec"]["type"] = "LoadBalancer".into();
        let answer = server.ask("POST", SERVICES, JSON, service.to_string().as_bytes());
        answer.json()["status"]["loadBalancer"]["ingress"][0]["ip"].clone()
    };
    let given: Vec<Value> = ["a", "b", "c", "d"].into_iter().map(made).collect();
    assert_eq!(given, [json!("2001:db8:1::1"), json!("2001:db8:1::2"), json!("2001:db8:1::3"), Value::Null]);
    // The smallest networks have none (RFC 6164).
    let server = Server::start(&[flags[0], "--load-balancer-pool=2001:db8:1::/127"]);
    let mut service = service("a");
    service["spec"]["type"] = "LoadBalancer".into();
    let answer = server.ask("POST", SERVICES, JSON, service.to_string().as_bytes());
    assert_eq!(answer.json()["status"]["loadBalancer"]["ingress"][0]["ip"], "2001:db8:1::");
}

/// `DeleteResource` in `k8s.io/apiserver/pkg/endpoints/handlers/delete.go`: with a body, the query has no options. Without
/// one it has all of them (`Convert_url_Values_To_v1_DeleteOptions` in `k8s.io/apimachinery/pkg/apis/meta/v1/conversion.go`).
#[test]
fn the_body_of_a_deletion_stands_for_its_query() {
    needs!();
    let server = Server::start(&[]);
    let path = format!("{SERVICES}/a");
    let create = || {
        let made = server.ask("POST", SERVICES, JSON, service("a").to_string().as_bytes());
        assert_eq!(made.code, 201);
        made.json()
    };
    create();
    let delete = |query: &str, body: &str| {
        server.ask("DELETE", &format!("{path}?{query}"), JSON, body.as_bytes()).code
    };
    let body = r#"{"kind": "DeleteOptions", "apiVersion": "v1"}"#;
    for query in [
        "dryRun=All",
        "dryRun=Some",
        "propagationPolicy=x",
        "gracePeriodSeconds=abc",
        "uid=another",
        "orphanDependents=true&propagationPolicy=Orphan",
    ] {
        assert_eq!((delete(query, body), server.get(&path).code), (200, 404), "{query}");
        create();
    }
    assert_eq!(delete("orphanDependents=false", r#"{"dryRun": ["All"]}"#), 200);
    for (query, code) in [
        ("uid=another", 409),
        ("resourceVersion=1", 409),
        ("propagationPolicy=", 422),
        ("gracePeriodSeconds=", 400),
        ("dryRun=All", 200),
    ] {
        assert_eq!((delete(query, ""), server.get(&path).code), (code, 200), "{query}");
    }
    assert_eq!(delete("", r#"{"propagationPolicy": ""}"#), 422);
    let all = format!("{SERVICES}?labelSelector=none&dryRun=Some");
    assert_eq!(server.ask("DELETE", &all, JSON, b"").code, 422);
    assert_eq!(server.ask("DELETE", &all, JSON, body.as_bytes()).code, 200);
    let found = server.get(&path).json();
    let text = |key: &str| found["metadata"][key].as_str().unwrap_or_default().to_owned();
    let query = format!("uid={}&resourceVersion={}", text("uid"), text("resourceVersion"));
    assert_eq!((delete(&query, ""), server.get(&path).code), (200, 404));
}

/// `store.Create` in `k8s.io/apiserver/pkg/storage/etcd3/store.go`, which comes after all checks, and which a dry run does not
/// come to. What creates an object by other means than POST is not asked.
#[test]
fn new_objects_have_no_version() {
    needs!();
    let server = Server::start(&[]);
    let body = |version: &str| {
        let mut service = service("a");
        service["metadata"]["resourceVersion"] = version.into();
        service
    };
    let post = |query: &str, body: &Value| {
        server.ask("POST", &format!("{SERVICES}{query}"), JSON, body.to_string().as_bytes())
    };
    let refused = post("", &body("5"));
    let expected = "resourceVersion should not be set on objects to be created";
    assert_eq!(
        (refused.code, message(&refused).as_str(), refused.json().get("reason")),
        (500, expected, None)
    );
    assert_eq!(server.get(&format!("{SERVICES}/a")).code, 404);
    let mut wrong = body("5");
    wrong["spec"]["ports"][0]["port"] = 0.into();
    assert_eq!(post("", &wrong).code, 422);
    assert_eq!(post("?dryRun=All", &body("5")).code, 201);
    for version in ["", "0", "x"] {
        let made = post("", &body(version));
        assert_eq!(made.code, 201, "{version:?}");
        assert_ne!(made.json()["metadata"]["resourceVersion"], version);
        assert_eq!(server.ask("DELETE", &format!("{SERVICES}/a"), JSON, b"").code, 200);
    }
    let mut applied = body("5");
    applied["apiVersion"] = "v1".into();
    applied["kind"] = "Service".into();
    let (path, text) = (format!("{SERVICES}/a"), applied.to_string());
    assert_eq!(server.ask("PUT", &path, JSON, text.as_bytes()).code, 201);
    assert_eq!(server.ask("DELETE", &path, JSON, b"").code, 200);
    let query = format!("{path}?fieldManager=a");
    assert_eq!(server.ask("PATCH", &query, "application/apply-patch+yaml", text.as_bytes()).code, 201);
}

/// `omitempty` of `ObjectMeta` in `k8s.io/apimachinery/pkg/apis/meta/v1/types.go`: what is empty is not there.
#[test]
fn lists_and_maps_that_became_empty_are_gone() {
    needs!();
    let server = Server::start(&[]);
    let path = format!("{SERVICES}/a");
    let mut body = service("a");
    let metadata =
        json!({"name": "a", "finalizers": ["a/b", "a/c"], "labels": {"x": "y"}, "annotations": {}});
    body["metadata"] = metadata;
    body["spec"]["selector"] = json!({"app": "a"});
    let made = server.ask("POST", SERVICES, JSON, body.to_string().as_bytes());
    assert_eq!((made.code, made.json()["metadata"].get("annotations")), (201, None));
    let strategic = "application/strategic-merge-patch+json";
    for (media_type, patch) in [
        (strategic, json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b", "a/c"]}})),
        ("application/merge-patch+json", json!({"metadata": {"labels": {"x": null}}})),
        ("application/json-patch+json", json!([{"op": "remove", "path": "/spec/selector/app"}])),
    ] {
        let patched = server.ask("PATCH", &path, media_type, patch.to_string().as_bytes());
        assert_eq!(patched.code, 200, "{patch}: {}", message(&patched));
    }
    let found = server.get(&path).json();
    for (key, gone) in [("metadata", "finalizers"), ("metadata", "labels"), ("spec", "selector")] {
        assert_eq!(found[key].get(gone), None, "{gone}");
    }
    // What contradicts its order (`validatePatchWithSetOrderList` in `strategicpatch/patch.go`).
    let patch = json!({"spec": {"ports": [{"port": 81}, {"port": 80}], "$setElementOrder/ports": [{"port": 80}, {"port": 81}]}});
    let patched = server.ask("PATCH", &path, strategic, patch.to_string().as_bytes());
    let expected = "The order in patch list of ports doesn't match $setElementOrder/ports";
    assert_eq!((patched.code, message(&patched).as_str()), (400, expected));
}

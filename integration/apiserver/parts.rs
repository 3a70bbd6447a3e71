//! Parts of objects that are written on their own, and what the server itself says of objects.

use std::fs;

use serde_json::{Value, json};

use crate::harness::needs;
use crate::harness::serve::{Answer, Server, kubectls};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const CIDRS: &str = "/apis/networking.k8s.io/v1/servicecidrs";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const EVENTS: &str = "/api/v1/namespaces/default/events";
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

fn ask(server: &Server, method: &str, path: &str, media_type: &str, body: &Value) -> Answer {
    server.ask(method, path, media_type, body.to_string().as_bytes())
}

/// A merge patch that is refused, with its message.
#[track_caller]
fn refused(server: &Server, path: &str, patch: &Value) -> String {
    let answer = ask(server, "PATCH", path, MERGE, patch);
    assert_eq!(answer.code, 422, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()["message"].as_str().unwrap().to_owned()
}

fn balancer(name: &str, class: &str) -> Value {
    let mut service =
        json!({"metadata": {"name": name}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}});
    if !class.is_empty() {
        service["spec"]["loadBalancerClass"] = class.into();
    }
    service
}

fn with_ingress(ingress: &Value) -> Value {
    json!({"status": {"loadBalancer": {"ingress": ingress}}})
}

/// `serviceStatusStrategy` in `pkg/registry/core/service/strategy.go`, `ValidateLoadBalancerStatus` in
/// `pkg/apis/core/validation/validation.go`, and `SetDefaults_Service` in `pkg/apis/core/v1/defaults.go`.
#[test]
fn load_balancers_of_others_write_their_addresses() {
    needs!();
    let server = Server::start(&["--load-balancer-pool=192.0.2.0/29"]);
    server.done("POST", SERVICES, JSON, &balancer("theirs", "example.com/lb"));
    let (object, status) = (format!("{SERVICES}/theirs"), format!("{SERVICES}/theirs/status"));
    let ingress = |object: &Value| object["status"]["loadBalancer"]["ingress"].clone();
    let given = json!([{"ip": "198.51.100.1"}, {"hostname": "lb.example"}]);
    let expected = json!([{"ip": "198.51.100.1", "ipMode": "VIP"}, {"hostname": "lb.example"}]);
    let mut patch = with_ingress(&given);
    // Metadata goes with a status, the rest does not.
    patch["metadata"] = json!({"labels": {"a": "b"}});
    patch["spec"] = json!({"sessionAffinity": "ClientIP"});
    let patched = server.done("PATCH", &status, MERGE, &patch);
    assert_eq!((ingress(&patched), &patched["metadata"]["labels"]["a"]), (expected.clone(), &json!("b")));
    assert_eq!(patched["spec"]["sessionAffinity"], "None");
    // It lasts over changes of the Service, and over a start of the server.
    server.done("PATCH", &object, MERGE, &json!({"spec": {"sessionAffinity": "ClientIP"}}));
    assert_eq!(ingress(&server.get(&object).json()), expected);
    // What somebody writes with the whole object is not status.
    let whole = server.done("PATCH", &object, MERGE, &with_ingress(&json!([])));
    assert_eq!(ingress(&whole), expected);
    let mut put = server.get(&status).json();
    put["status"]["conditions"] = json!([{"type": "Ready", "status": "True", "reason": "a", "message": "",
        "lastTransitionTime": "2026-01-02T03:04:05Z"}]);
    assert_eq!(server.done("PUT", &status, JSON, &put)["status"]["conditions"][0]["reason"], "a");
    assert_eq!(ask(&server, "PUT", &status, JSON, &put).code, 409);
    for (ingress, expected) in [
        (
            json!([{"ip": "a"}]),
            "status.loadBalancer.ingress[0].ip: Invalid value: \"a\": must be a valid IP address",
        ),
        (
            json!([{"ip": "1.2.3.4", "ipMode": "x"}]),
            "ipMode: Unsupported value: \"x\": supported values: \"Proxy\", \"VIP\"",
        ),
        (json!([{"ipMode": "VIP"}]), "ipMode: Forbidden: may not be specified when `ip` is not set"),
        (
            json!([{"hostname": "1.2.3.4"}]),
            "hostname: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address",
        ),
    ] {
        let message = refused(&server, &status, &with_ingress(&ingress));
        assert!(message.contains(expected), "{expected}: {message}");
    }
    // An address that another has taken is not given to a Service of the server's own.
    server.done("PATCH", &status, MERGE, &with_ingress(&json!([{"ip": "192.0.2.1"}])));
    let own = server.done("POST", SERVICES, JSON, &balancer("own", ""));
    assert_eq!(ingress(&own), json!([{"ip": "192.0.2.2", "ipMode": "VIP"}]));
    // Those are the server's.
    let path = format!("{SERVICES}/own/status");
    assert_eq!(ingress(&server.done("PATCH", &path, MERGE, &with_ingress(&given))), ingress(&own));
    server.done(
        "POST",
        SERVICES,
        JSON,
        &json!({"metadata": {"name": "plain"}, "spec": {"ports": [{"port": 80}]}}),
    );
    let message = refused(&server, &format!("{SERVICES}/plain/status"), &with_ingress(&given));
    assert!(
        message.contains(
            "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"
        ),
        "{message}"
    );
    assert_eq!(ask(&server, "PUT", &format!("{SERVICES}/none/status"), JSON, &put).code, 400);
    put["metadata"]["name"] = "none".into();
    assert_eq!(ask(&server, "PUT", &format!("{SERVICES}/none/status"), JSON, &put).code, 404);
}

/// A server without pools is nobody's load balancer.
#[test]
fn without_pools_every_load_balancer_is_somebody_elses() {
    needs!();
    let server = Server::start(&[]);
    server.done("POST", SERVICES, JSON, &balancer("a", ""));
    let given = json!([{"ip": "198.51.100.1", "ipMode": "Proxy"}]);
    server.done("PATCH", &format!("{SERVICES}/a/status"), MERGE, &with_ingress(&given));
    let path = format!("{SERVICES}/a");
    let kept = server.done("PATCH", &path, MERGE, &json!({"metadata": {"labels": {"a": "b"}}}));
    assert_eq!(kept["status"]["loadBalancer"]["ingress"], given);
    // Another type has none.
    let changed = server.done("PATCH", &path, MERGE, &json!({"spec": {"type": "ClusterIP"}}));
    assert_eq!(changed["status"]["loadBalancer"], json!({}));
}

/// `serviceCIDRStatusStrategy` in `pkg/registry/networking/servicecidr/strategy.go`.
#[test]
fn service_cidrs_have_conditions_of_others() {
    needs!();
    let server = Server::start(&[]);
    let path = format!("{CIDRS}/kubernetes/status");
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "a", "message": "", "lastTransitionTime": "2026-01-02T03:04:05Z"});
    let before = server.get(&path).json();
    let patch = json!({"status": {"conditions": [condition("Mine", "True"), condition("Ready", "False")]},
        "metadata": {"labels": {"a": "b"}}, "spec": {"cidrs": ["10.0.0.0/8"]}});
    let patched = server.done("PATCH", &path, MERGE, &patch);
    let ready = before["status"]["conditions"][0].clone();
    assert_eq!(patched["status"]["conditions"], json!([condition("Mine", "True"), ready]));
    assert_eq!((&patched["spec"], &patched["metadata"].get("labels")), (&before["spec"], &None));
    // They stay when the server says something of it.
    let made = server.done(
        "PATCH",
        &format!("{CIDRS}/kubernetes"),
        MERGE,
        &json!({"metadata": {"labels": {"a": "b"}}}),
    );
    assert_eq!(made["status"], patched["status"]);
    server.done("PATCH", &path, MERGE, &json!({"status": null}));
    assert_eq!(server.get(&path).json()["status"]["conditions"], json!([ready]));
}

/// `namespaceStatusStrategy` and `namespaceFinalizeStrategy` in `pkg/registry/core/namespace/strategy.go`.
#[test]
fn namespaces_are_finalized_and_have_conditions_of_others() {
    needs!();
    let server = Server::start(&[]);
    let own = json!({"metadata": {"name": "n"}, "spec": {"finalizers": ["example.com/a"]}});
    let made = server.done("POST", "/api/v1/namespaces", JSON, &own);
    assert_eq!(made["spec"]["finalizers"], json!(["example.com/a", "kubernetes"]));
    let (path, status) = ("/api/v1/namespaces/n", "/api/v1/namespaces/n/status");
    let conditions = json!([{"type": "Mine", "status": "True", "reason": "a", "message": "b",
        "lastTransitionTime": "2026-01-02T03:04:05Z"}]);
    let patched = server.done("PATCH", status, MERGE, &json!({"status": {"conditions": conditions}}));
    assert_eq!(patched["status"], json!({"phase": "Active", "conditions": conditions}));
    let message = refused(&server, status, &json!({"status": {"phase": "Terminating"}}));
    assert!(message.contains("status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"), "{message}");
    // Neither is changed with the whole.
    let whole = json!({"spec": {"finalizers": []}, "status": {"conditions": null}});
    let patched = server.done("PATCH", path, MERGE, &whole);
    assert_eq!((&patched["spec"], &patched["status"]["conditions"]), (&made["spec"], &conditions));
    // Only PUT finalizes.
    let finalize = format!("{path}/finalize");
    assert_eq!(
        (server.get(&finalize).code, ask(&server, "PATCH", &finalize, MERGE, &json!({})).code),
        (405, 405)
    );
    let mut put = server.get(path).json();
    put["spec"]["finalizers"] = json!(["nonsense"]);
    let answer = ask(&server, "PUT", &finalize, JSON, &put);
    assert_eq!(answer.code, 422);
    assert!(
        answer.json()["message"]
            .as_str()
            .unwrap()
            .contains("spec.finalizers[0]: Invalid value: \"nonsense\"")
    );
    // One that is being deleted waits for the finalizers, and goes with the last of them.
    let services = format!("{path}/services");
    server.done(
        "POST",
        &services,
        JSON,
        &json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}),
    );
    let gone = ask(&server, "DELETE", path, JSON, &json!({}));
    assert_eq!((gone.code, &gone.json()["status"]["phase"]), (200, &json!("Terminating")));
    let message = refused(&server, status, &json!({"status": {"phase": "Active"}}));
    assert!(message.contains("may only be 'Terminating' if `deletionTimestamp` is not empty"), "{message}");
    let mut put = server.get(path).json();
    put["spec"]["finalizers"] = json!(["kubernetes"]);
    assert_eq!(server.done("PUT", &finalize, JSON, &put)["spec"]["finalizers"], json!(["kubernetes"]));
    let mut put = server.get(path).json();
    put["spec"]["finalizers"] = json!([]);
    server.done("PUT", &finalize, JSON, &put);
    assert_eq!(server.get(path).code, 404);
    // Nothing is left behind that nobody can reach.
    assert_eq!(server.get("/api/v1/services").json()["items"].as_array().unwrap().len(), 1);
}

#[test]
fn parts_are_discovered() {
    needs!();
    let server = Server::start(&[]);
    let parts = |path: &str| -> Vec<Value> {
        let list = server.get(path).json();
        let all = list["resources"].as_array().unwrap().iter();
        all.filter(|one| one["name"].as_str().unwrap().contains('/'))
            .map(|one| json!([one["name"], one["verbs"]]))
            .collect()
    };
    let status = json!(["get", "patch", "update"]);
    assert_eq!(
        parts("/api/v1"),
        [
            json!(["namespaces/finalize", ["update"]]),
            json!(["namespaces/status", status]),
            json!(["services/status", status])
        ]
    );
    assert_eq!(parts("/apis/networking.k8s.io/v1"), [json!(["servicecidrs/status", status])]);
}

/// `PrepareForCreate` and `PrepareForUpdate` in `pkg/registry/discovery/endpointslice/strategy.go`.
#[test]
fn endpoint_slices_count_their_changes() {
    needs!();
    let server = Server::start(&[]);
    let generation = |object: &Value| object["metadata"]["generation"].clone();
    let slice = json!({"metadata": {"name": "a", "generation": 7}, "addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.1"], "hints": {"forZones": [{"name": "z"}]}}]});
    let made = server.done("POST", SLICES, JSON, &slice);
    assert_eq!(
        (generation(&made), &made["endpoints"][0]["hints"]),
        (json!(1), &slice["endpoints"][0]["hints"])
    );
    let path = format!("{SLICES}/a");
    for (patch, expected) in [
        (json!({"metadata": {"annotations": {"a": "b"}}}), 1),
        (json!({"metadata": {"generation": 9}}), 1),
        (json!({"metadata": {"labels": {"a": "b"}}}), 2),
        (json!({"ports": [{"port": 80}]}), 3),
        (json!({"endpoints": []}), 4),
        (json!({"endpoints": []}), 4),
    ] {
        assert_eq!(generation(&server.done("PATCH", &path, MERGE, &patch)), json!(expected), "{patch}");
    }
}

/// `syncStatus` in `pkg/controlplane/controller/defaultservicecidr/default_servicecidr_controller.go`.
#[test]
fn another_range_than_the_one_that_is_kept_is_told() {
    needs!();
    let dir = tempfile::tempdir().unwrap();
    let start = |range: &str| Server::start_in(dir.path(), &[&format!("--service-cluster-ip-range={range}")]);
    let told = |server: &Server| -> Vec<Value> {
        let list = server
            .get(&format!("{EVENTS}?fieldSelector=reason%3DKubernetesDefaultServiceCIDRInconsistent"))
            .json();
        list["items"].as_array().unwrap().clone()
    };
    let server = start("10.96.0.0/28");
    assert_eq!(told(&server), [Value::Null; 0]);
    assert!(server.stop().success());
    for count in 1..3 {
        let server = start("10.97.0.0/16");
        let spec = server.get(&format!("{CIDRS}/kubernetes")).json()["spec"].clone();
        assert_eq!(spec, json!({"cidrs": ["10.96.0.0/28"]}));
        server.done(
            "POST",
            SERVICES,
            JSON,
            &json!({"metadata": {"generateName": "a-"}, "spec": {"ports": [{"port": 80}]}}),
        );
        let events = told(&server);
        let message = "The default ServiceCIDR [10.96.0.0/28] does not match the controller flag configurations [10.97.0.0/16]";
        assert_eq!(
            (events.len(), &events[0]["message"], &events[0]["type"]),
            (1, &json!(message), &json!("Warning"))
        );
        // Once for each start.
        assert_eq!(
            (&events[0]["count"], &events[0]["involvedObject"]["kind"]),
            (&json!(count), &json!("ServiceCIDR"))
        );
        for kubectl in kubectls() {
            let (_, shown) = server.kubectl(&kubectl, &["describe", "servicecidr", "kubernetes"]);
            assert!(
                shown.contains("KubernetesDefaultServiceCIDRInconsistent") || !shown.contains("Events:"),
                "{shown}"
            );
        }
        assert!(server.stop().success());
        let log = fs::read_to_string(dir.path().join("server.log")).unwrap();
        let is_told = |line: &str| {
            line.contains("is kept as it is, other than --service-cluster-ip-range")
                && line.contains("10.97.0.0/16")
        };
        assert_eq!(log.lines().filter(|line| is_told(line)).count(), 1, "{log}");
    }
    // A second network is added as ever, and told by nobody.
    let server = start("10.96.0.0/28,2001:db8:fd00::/112");
    let spec = server.get(&format!("{CIDRS}/kubernetes")).json()["spec"].clone();
    assert_eq!(spec, json!({"cidrs": ["10.96.0.0/28", "2001:db8:fd00::/112"]}));
    assert_eq!(told(&server).len(), 1);
}

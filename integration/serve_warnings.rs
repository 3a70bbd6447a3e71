//! What clients of the API server are warned of, in `Warning:` headers.

use serde_json::{Value, json};

use crate::harness::needs;
use crate::harness::serve::{Answer, Server, kubectls};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const JSON: &str = "application/json";
const EXTERNAL: &str = "spec.externalIPs is deprecated and may no longer be implemented in some clusters";

/// The texts of an answer's warnings.
fn warnings(answer: &Answer) -> Vec<String> {
    let lines = answer.headers.lines().filter_map(|line| line.strip_prefix("warning: 299 - \""));
    lines.map(|line| line.trim_end().strip_suffix('"').unwrap().replace("\\\"", "\"")).collect()
}

/// The warnings of a request that has to succeed.
#[track_caller]
fn told(server: &Server, method: &str, path: &str, media_type: &str, body: &Value) -> Vec<String> {
    let answer = server.ask(method, path, media_type, body.to_string().as_bytes());
    assert!([200, 201].contains(&answer.code), "{}", String::from_utf8_lossy(&answer.body));
    warnings(&answer)
}

fn service(name: &str, spec: &Value) -> Value {
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}]}});
    for (key, value) in spec.as_object().unwrap() {
        service["spec"][key] = value.clone();
    }
    service
}

/// `GetWarningsForService` of `pkg/api/service/warnings.go`, line by line.
#[test]
fn services_are_warned_of() {
    needs!();
    let server = Server::start(&["--service-cluster-ip-range=2001:db8:fd00::/112,10.96.0.0/16"]);
    let v6 = "2001:DB8:FD00::0:77";
    let canonical = "should be in RFC 5952 canonical format";
    for (spec, expected) in [
        (json!({}), vec![]),
        (
            json!({"clusterIP": v6}),
            vec![format!("spec.clusterIPs[0]: IPv6 address \"{v6}\" {canonical} (\"2001:db8:fd00::77\")")],
        ),
        (
            json!({"clusterIP": "None", "sessionAffinity": "ClientIP", "externalIPs": ["192.0.2.1"],
                "loadBalancerIP": "192.0.2.1"}),
            vec![
                "spec.loadBalancerIP is ignored for headless services".to_owned(),
                "spec.externalIPs is ignored for headless services".to_owned(),
                "spec.SessionAffinity is ignored for headless services".to_owned(),
            ],
        ),
        (
            json!({"externalIPs": ["192.0.2.1", "2001:DB8::1"]}),
            vec![
                format!("spec.externalIPs[1]: IPv6 address \"2001:DB8::1\" {canonical} (\"2001:db8::1\")"),
                EXTERNAL.to_owned(),
            ],
        ),
        (
            json!({"type": "LoadBalancer", "loadBalancerIP": "2001:DB8::1"}),
            vec![format!("spec.loadBalancerIP: IPv6 address \"2001:DB8::1\" {canonical} (\"2001:db8::1\")")],
        ),
        (
            json!({"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8", "2001:DB8::/64"]}),
            vec![format!(
                "spec.loadBalancerSourceRanges[1]: IPv6 CIDR value \"2001:DB8::/64\" {canonical} (\"2001:db8::/64\")"
            )],
        ),
        (
            json!({"type": "ExternalName", "externalName": "a.example", "externalIPs": ["192.0.2.1"]}),
            vec!["spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned()],
        ),
        (
            json!({"externalName": "a.example"}),
            vec!["spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned()],
        ),
        (
            json!({"trafficDistribution": "PreferClose"}),
            vec![
                "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".to_owned(),
            ],
        ),
    ] {
        let path = format!("{SERVICES}?dryRun=All");
        assert_eq!(told(&server, "POST", &path, JSON, &service("a", &spec)), expected, "{spec}");
        assert_eq!(told(&server, "POST", SERVICES, JSON, &service("a", &spec)), expected, "{spec}");
        let path = format!("{SERVICES}/a");
        // The whole object is looked at, whatever is changed of it.
        let label = json!({"metadata": {"labels": {"a": "b"}}});
        assert_eq!(told(&server, "PATCH", &path, "application/merge-patch+json", &label), expected, "{spec}");
        let put = server.get(&path).json();
        assert_eq!(told(&server, "PUT", &path, JSON, &put), expected, "{spec}");
        let applied = service("a", &spec);
        let query = format!("{path}?fieldManager=a&force=true");
        assert_eq!(
            told(&server, "PATCH", &query, "application/apply-patch+yaml", &applied),
            expected,
            "{spec}"
        );
        // Whoever writes the status cannot mend the rest (`serviceStatusStrategy.WarningsOnUpdate`).
        assert_eq!(told(&server, "PUT", &format!("{path}/status"), JSON, &server.get(&path).json()), [""; 0]);
        assert_eq!(server.ask("DELETE", &path, JSON, b"").code, 200);
    }
    let mut hints = service("b", &json!({}));
    hints["metadata"]["annotations"] = json!({"service.kubernetes.io/topology-aware-hints": "auto"});
    let expected = "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use \
                    service.kubernetes.io/topology-mode instead";
    assert_eq!(told(&server, "POST", SERVICES, JSON, &hints), [expected]);
    // What is refused is not warned of.
    let refused = service("c", &json!({"externalIPs": ["192.0.2.1"], "type": "x"})).to_string();
    let refused = server.ask("POST", SERVICES, JSON, refused.as_bytes());
    assert_eq!((refused.code, warnings(&refused).len()), (422, 0));
}

/// `WarningsOnCreate` and `WarningsOnUpdate` of `pkg/registry/discovery/endpointslice/strategy.go`; the other kinds that
/// are served have none there.
#[test]
fn endpoint_slices_are_warned_of() {
    needs!();
    let server = Server::start(&[]);
    let fqdn = json!({"metadata": {"name": "a"}, "addressType": "FQDN", "endpoints": [{"addresses": ["a.example"]}]});
    assert_eq!(
        told(&server, "POST", SLICES, JSON, &fqdn),
        ["spec.addressType: FQDN endpoints are deprecated"]
    );
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    let merge = "application/merge-patch+json";
    assert_eq!(told(&server, "PATCH", &format!("{SLICES}/a"), merge, &label), [""; 0]);
    // Of IP addresses, only those are taken that nobody is warned of. These are names as well.
    let mut bad = json!({"metadata": {"name": "b"}, "addressType": "FQDN",
        "endpoints": [{"addresses": ["a.example"]}, {"addresses": ["01.2.3.4"]}]});
    let expected =
        "endpoints[1].addresses[0]: non-standard IP address \"01.2.3.4\" is invalid: use \"1.2.3.4\"";
    let deprecated = "spec.addressType: FQDN endpoints are deprecated";
    assert_eq!(told(&server, "POST", SLICES, JSON, &bad), [deprecated, expected]);
    assert_eq!(told(&server, "PATCH", &format!("{SLICES}/b"), merge, &label), [expected]);
    bad["metadata"] = json!({"name": "c",
        "labels": {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}});
    assert_eq!(told(&server, "POST", SLICES, JSON, &bad), [deprecated]);
    for (path, body) in [
        ("/api/v1/namespaces", json!({"metadata": {"name": "n"}})),
        (
            "/apis/networking.k8s.io/v1/servicecidrs",
            json!({"metadata": {"name": "n"}, "spec": {"cidrs": ["10.1.0.0/24"]}}),
        ),
        (
            "/apis/networking.k8s.io/v1/ipaddresses",
            json!({"metadata": {"name": "10.1.0.9"}, "spec": {"parentRef": {"resource": "a", "name": "b"}}}),
        ),
    ] {
        assert_eq!(told(&server, "POST", path, JSON, &body), [""; 0], "{path}");
    }
}

/// `dedupOwnerReferencesAndAddWarning` of `k8s.io/apiserver/pkg/endpoints/handlers/rest.go`.
#[test]
fn owners_that_are_named_twice_are_named_once() {
    needs!();
    let server = Server::start(&[]);
    let owner = json!({"apiVersion": "v1", "kind": "Service", "name": "kubernetes", "uid":
        server.get(&format!("{SERVICES}/kubernetes")).json()["metadata"]["uid"]});
    let format = |when: &str| {
        format!(
            ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and \
             may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            owner["uid"].as_str().unwrap()
        )
    };
    let mut twice = service("a", &json!({}));
    twice["metadata"]["ownerReferences"] = json!([owner, owner]);
    assert_eq!(told(&server, "POST", SERVICES, JSON, &twice), [format("")]);
    let path = format!("{SERVICES}/a");
    let owners = || server.get(&path).json()["metadata"]["ownerReferences"].clone();
    assert_eq!(owners(), json!([owner]));
    assert_eq!(told(&server, "PUT", &path, JSON, &twice), [format("")]);
    let patch = json!([{"op": "add", "path": "/metadata/ownerReferences/-", "value": owner}]);
    let after = format(" after mutating admission happens");
    assert_eq!(told(&server, "PATCH", &path, "application/json-patch+json", &patch), [after]);
    assert_eq!(owners(), json!([owner]));
}

/// `WithWarningRecorder` of `k8s.io/apiserver/pkg/endpoints/filters/warning.go`: each warning once, shortened where all
/// together have more than 4096 characters.
#[test]
fn warnings_are_as_long_as_clients_take_them() {
    needs!();
    let server = Server::start(&[]);
    let body = |names: &[String]| {
        let mut service = service("a", &json!({}));
        names.iter().for_each(|name| service["spec"][name] = 1.into());
        service
    };
    let path = format!("{SERVICES}?fieldValidation=Warn&dryRun=All");
    let name = "é".repeat(300);
    let told_of_few = told(&server, "POST", &path, JSON, &body(std::slice::from_ref(&name)));
    assert_eq!(told_of_few, [format!("unknown field \"spec.{name}\"")]);
    let names: Vec<String> = (0..20).map(|n| format!("{n}{}", "x".repeat(300))).collect();
    let told_of_many = told(&server, "POST", &path, JSON, &body(&names));
    assert_eq!((told_of_many.len(), told_of_many[0].chars().count()), (16, 256), "{told_of_many:?}");
}

#[test]
fn kubectl_shows_warnings() {
    let kubectls = kubectls();
    if kubectls.is_empty() {
        return;
    }
    for kubectl in kubectls {
        let server = Server::start(&[]);
        let file = server.dir.join("a.json");
        std::fs::write(&file, service("a", &json!({"externalIPs": ["192.0.2.1"]})).to_string()).unwrap();
        for verb in ["create", "replace", "apply"] {
            let (succeeded, shown) = server.kubectl(&kubectl, &[verb, "-f", file.to_str().unwrap()]);
            assert!(succeeded && shown.contains(&format!("Warning: {EXTERNAL}")), "{shown}");
        }
    }
}

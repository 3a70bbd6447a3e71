//! v1 Endpoints: what is filled in, refused and warned of, by `ValidateEndpoints` and `pkg/registry/core/endpoint` of
//! Kubernetes 1.36.

use serde_json::{Value, json};

use crate::apiserver::rules::{JSON, MERGE, object, refused, server};
use crate::harness::needs;
use crate::harness::serve::{Answer, Server};

const ENDPOINTS: &str = "/api/v1/namespaces/default/endpoints";
const DEPRECATED: &str = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";

fn endpoints(name: &str, subset: &Value) -> Value {
    let mut given = json!({"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]});
    for (key, value) in subset.as_object().unwrap() {
        given[key] = value.clone();
    }
    object("v1", "Endpoints", name, &json!({"subsets": [given]}))
}

/// The texts of an answer's warnings.
fn warnings(answer: &Answer) -> Vec<String> {
    let lines = answer.headers.lines().filter_map(|line| line.strip_prefix("warning: 299 - \""));
    lines.map(|line| line.trim_end().strip_suffix('"').unwrap().replace("\\\"", "\"")).collect()
}

#[test]
fn protocols_are_filled_in() {
    needs!();
    let server = server();
    let made = server.done("POST", ENDPOINTS, JSON, &endpoints("a", &json!({})));
    assert_eq!(made["subsets"][0]["ports"], json!([{"port": 80, "protocol": "TCP"}]));
    // A PUT creates what is missing, as for Services.
    let path = format!("{ENDPOINTS}/b");
    let no_subsets = object("v1", "Endpoints", "b", &json!({}));
    assert_eq!(server.done("PUT", &path, JSON, &no_subsets)["metadata"]["name"], "b");
    let changed = server.done(
        "PATCH",
        &path,
        MERGE,
        &json!({"subsets": [{"notReadyAddresses": [{"ip": "192.0.2.1"}]}]}),
    );
    assert_eq!(changed["subsets"][0]["notReadyAddresses"][0]["ip"], "192.0.2.1");
}

#[test]
fn endpoints_are_checked() {
    needs!();
    let server = server();
    let ip = |ip: &str| json!({"addresses": [{"ip": ip}]});
    let port = |port: Value| json!({"ports": [port]});
    for (subset, part) in [
        (
            json!({"addresses": []}),
            "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
        ),
        (ip("nope"), "subsets[0].addresses[0].ip: Invalid value: \"nope\": must be a valid IP address"),
        (
            ip("010.0.0.1"),
            "subsets[0].addresses[0].ip: Invalid value: \"010.0.0.1\": must not have leading 0s",
        ),
        (ip("127.0.0.1"), "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (ip("::"), "may not be unspecified (::)"),
        (ip("169.254.0.1"), "may not be in the link-local range"),
        (ip("224.0.0.1"), "may not be in the link-local multicast range"),
        (
            json!({"notReadyAddresses": [{"ip": "192.0.2.1", "hostname": "A_"}]}),
            "subsets[0].notReadyAddresses[0].hostname: Invalid value: \"A_\"",
        ),
        (
            json!({"addresses": [{"ip": "192.0.2.1", "nodeName": "A_"}]}),
            "subsets[0].addresses[0].nodeName: Invalid value: \"A_\"",
        ),
        (
            json!({"ports": [{"port": 1}, {"port": 2, "name": "b"}]}),
            "subsets[0].ports[0].name: Required value",
        ),
        (port(json!({"port": 1, "name": "A_"})), "subsets[0].ports[0].name: Invalid value: \"A_\""),
        (
            port(json!({"port": 0})),
            "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            port(json!({"port": 1, "protocol": "tcp"})),
            "subsets[0].ports[0].protocol: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ),
        (
            port(json!({"port": 1, "appProtocol": "a b"})),
            "subsets[0].ports[0].appProtocol: Invalid value: \"a b\"",
        ),
    ] {
        refused(&server, ("POST", ENDPOINTS, JSON), &endpoints("a", &subset), 422, &[part]);
    }
    refused(
        &server,
        ("POST", ENDPOINTS, JSON),
        &endpoints("A_", &json!({})),
        422,
        &["metadata.name: Invalid value"],
    );
}

#[test]
fn every_answer_warns_of_a_kind_that_is_on_its_way_out() {
    needs!();
    let server = server();
    let ask = |server: &Server, method: &str, path: &str, body: &Value| {
        let answer = server.ask(method, path, JSON, body.to_string().as_bytes());
        (answer.code, warnings(&answer))
    };
    let deprecated = || vec![DEPRECATED.to_owned()];
    let path = format!("{ENDPOINTS}/a");
    for (method, path, body, code) in [
        ("GET", path.as_str(), json!({}), 404),
        ("POST", ENDPOINTS, endpoints("a", &json!({})), 201),
        ("GET", &path, json!({}), 200),
        ("GET", ENDPOINTS, json!({}), 200),
        ("GET", "/api/v1/endpoints", json!({}), 200),
        ("PUT", &path, endpoints("a", &json!({"ports": [{"port": 81}]})), 200),
        ("DELETE", &path, json!({}), 200),
    ] {
        assert_eq!(ask(&server, method, path, &body), (code, deprecated()), "{method} {path}");
    }
    let odd = endpoints("a", &json!({"addresses": [{"ip": "2001:DB8::1"}]}));
    let (code, mut told) = ask(&server, "POST", ENDPOINTS, &odd);
    told.sort();
    let why = "IPv6 address \"2001:DB8::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")";
    assert_eq!(
        (code, told),
        (201, vec![format!("subsets[0].addresses[0].ip: {why}"), DEPRECATED.to_owned()])
    );
    // The controller's own are not looked through.
    let mut managed = endpoints("b", &json!({"addresses": [{"ip": "2001:DB8::1"}]}));
    managed["metadata"]["labels"] = json!({"endpoints.kubernetes.io/managed-by": "endpoint-controller"});
    assert_eq!(ask(&server, "POST", ENDPOINTS, &managed), (201, deprecated()));
    // Other kinds are no matter.
    assert_eq!(ask(&server, "GET", "/api/v1/services", &json!({})).1, Vec::<String>::new());
}

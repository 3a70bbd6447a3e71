//! EndpointSlices: what is filled in and refused, as kube-apiserver 1.36.2 answered to the same requests.

use serde_json::{Value, json};

use crate::apiserver::rules::{JSON, MERGE, object, refused, server};
use crate::harness::needs;

const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

fn slice(rest: &Value) -> Value {
    let mut slice =
        json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]});
    for (key, value) in rest.as_object().unwrap() {
        slice[key] = value.clone();
    }
    object("discovery.k8s.io/v1", "EndpointSlice", "a", &slice)
}

/// kube-proxy ends with a nil pointer at a port that has a name and no protocol, and never sees one without a name.
#[test]
fn ports_of_endpoint_slices_are_filled_in() {
    needs!();
    let server = server();
    let given = json!({"ports": [{"port": 80}, {"name": "b", "port": 81, "protocol": "UDP"}],
        "endpoints": [{"addresses": ["10.0.0.1"], "deprecatedTopology": {"a": "b"}}]});
    let made = server.done("POST", SLICES, JSON, &slice(&given));
    let ports =
        json!([{"name": "", "port": 80, "protocol": "TCP"}, {"name": "b", "port": 81, "protocol": "UDP"}]);
    assert_eq!(made["ports"], ports);
    assert_eq!(made["endpoints"], json!([{"addresses": ["10.0.0.1"], "conditions": {}}]));
    let path = format!("{SLICES}/a");
    let changed = server.done("PATCH", &path, MERGE, &json!({"ports": [{"name": "c"}]}));
    assert_eq!(changed["ports"], json!([{"name": "c", "protocol": "TCP"}]));
    assert_eq!(changed["metadata"]["generation"], 2);
    let request = ("PATCH", path.as_str(), MERGE);
    let immutable = ["addressType: Invalid value: \"IPv6\": field is immutable"];
    refused(&server, request, &json!({"addressType": "IPv6", "endpoints": []}), 422, &immutable);
}

/// `ValidateEndpointSlice`. Of one address that is none, kube-proxy makes a rule that nftables refuses with all others.
#[test]
fn endpoint_slices_are_checked() {
    needs!();
    let server = server();
    let of = |addresses: &[&str]| json!({"endpoints": [{"addresses": addresses}]});
    let v6 = |addresses: &[&str]| json!({"addressType": "IPv6", "endpoints": [{"addresses": addresses}]});
    let names = |count: usize| (0..count).map(|n| json!({"name": format!("a{n}")})).collect::<Vec<_>>();
    let hints = |key: &str, names: Value| json!({"endpoints": [{"addresses": ["10.0.0.1"], "hints": {(key): names}}]});
    for (given, parts) in [
        (
            of(&["nope", "1.2.3.4"]),
            &["endpoints[0].addresses[0]: Invalid value: \"nope\": must be a valid IP address"][..],
        ),
        (of(&["01.2.3.4"]), &["addresses[0]: Invalid value: \"01.2.3.4\": must not have leading 0s"]),
        (of(&["127.0.0.1"]), &["may not be in the loopback range"]),
        (of(&["0.0.0.0"]), &["may not be unspecified (0.0.0.0)"]),
        (
            of(&["2001:db8::1"]),
            &["endpoints[0].addresses: Invalid value: \"2001:db8::1\": must be an IPv4 address"],
        ),
        (v6(&["1.2.3.4"]), &["endpoints[0].addresses: Invalid value: \"1.2.3.4\": must be an IPv6 address"]),
        (v6(&["2001:DB8::1"]), &["must be in canonical form (\"2001:db8::1\")"]),
        (v6(&["fe80::1"]), &["may not be in the link-local range"]),
        (
            json!({"endpoints": [{}]}),
            &["endpoints[0].addresses: Required value: must contain at least 1 address"],
        ),
        (of(&["10.0.0.1"; 101]), &["endpoints[0].addresses: Too many: 101: must have at most 100 items"]),
        (
            json!({"endpoints": vec![json!({}); 1001]}),
            &["endpoints: Too many: 1001: must have at most 1000 items"],
        ),
        (
            json!({"addressType": "FQDN", "endpoints": [{"addresses": ["a", "a.b.", "A.b", ""]}]}),
            &[
                "[endpoints[0].addresses[0]: Invalid value: \"a\": should be a domain with at least two segments",
                "endpoints[0].addresses[2]: Invalid value: \"A.b\": a lowercase RFC 1123 subdomain",
                "endpoints[0].addresses[3]: Required value",
            ],
        ),
        (
            json!({"endpoints": [{"addresses": ["10.0.0.1"], "nodeName": "A_"}]}),
            &["endpoints[0].nodeName: Invalid value: \"A_\""],
        ),
        (
            json!({"endpoints": [{"addresses": ["10.0.0.1"], "hostname": "a.b"}]}),
            &["hostname: Invalid value: \"a.b\": must not contain dots"],
        ),
        (
            hints("forZones", json!([{"name": "a"}, {"name": "a"}])),
            &["hints.forZones[1].name: Duplicate value: \"a\""],
        ),
        (hints("forNodes", json!(names(9))), &["hints.forNodes: Too many: 9: must have at most 8 items"]),
        (json!({"ports": [{}, {}]}), &["ports[1].name: Duplicate value: \"\""]),
        (json!({"ports": [{"name": "A_"}]}), &["ports[0].name: Invalid value: \"A_\""]),
        (
            json!({"ports": [{"protocol": "tcp"}]}),
            &["ports[0].protocol: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\", \"UDP\""],
        ),
        (json!({"ports": [{"appProtocol": "a b"}]}), &["ports[0].appProtocol: Invalid value: \"a b\""]),
    ] {
        refused(&server, ("POST", SLICES, JSON), &slice(&given), 422, parts);
    }
}

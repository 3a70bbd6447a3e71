//! The bodies are what kubectl 1.36 sends.

use serde_json::json;

use super::*;
use crate::kinds::service;

/// `kubectl create service clusterip test-1 --tcp=80:80`.
const SERVICE: &[u8] = b"k8s\x00\n\r\n\x02v1\x12\x07Service\x12l\n%\n\x06test-1\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00Z\r\n\x03app\x12\x06test-1\x12?\n\x15\n\x0280\x12\x03TCP\x18P\"\x06\x08\x00\x10P\x1a\x00(\x00\x12\r\n\x03app\x12\x06test-1\x1a\x00\"\tClusterIP:\x00B\x00R\x00Z\x00`\x00h\x00\x1a\x02\n\x00\x1a\x00\"\x00";

fn service(bytes: &[u8]) -> Result<Map<String, Value>, ProtobufError> {
    decode(unwrap(bytes)?.raw, service::KIND.schema)
}

#[test]
fn what_kubectl_sends_becomes_the_json_it_stands_for() {
    let unknown = unwrap(SERVICE).unwrap();
    assert_eq!((unknown.api_version.as_str(), unknown.kind.as_str()), ("v1", "Service"));
    let expected = json!({
        "metadata": {"name": "test-1", "labels": {"app": "test-1"}},
        "spec": {
            "ports": [{"name": "80", "protocol": "TCP", "port": 80, "targetPort": 80}],
            "selector": {"app": "test-1"}, "type": "ClusterIP",
        },
    });
    assert_eq!(Value::Object(service(SERVICE).unwrap()), expected);
}

#[test]
fn a_body_cut_off_anywhere_is_refused_or_has_less() {
    // A body may end between two fields.
    let ends = [4, 19, 129, 131];
    for length in 0..SERVICE.len() {
        let found = service(&SERVICE[..length]);
        assert_eq!(found.is_ok(), ends.contains(&length), "{length}");
    }
    assert_eq!(unwrap(b"{}"), Err(ProtobufError::Prefix));
    assert_eq!(unwrap(b"k8s\0\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), Err(ProtobufError::Truncated));
    assert_eq!(unwrap(b"k8s\0\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), Err(ProtobufError::Malformed));
    assert_eq!(unwrap(b"k8s\0\x03"), Err(ProtobufError::Malformed));
}

#[test]
fn pointers_to_nothing_much_stay_and_others_do_not() {
    // spec: publishNotReadyAddresses false, allocateLoadBalancerNodePorts false, clientIP.timeoutSeconds 0.
    let bytes = b"\x12\x0b\x68\x00\xa0\x01\x00\x72\x04\x0a\x02\x08\x00";
    let found = decode(bytes, service::KIND.schema).unwrap();
    let expected = json!({"spec": {
        "allocateLoadBalancerNodePorts": false, "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}},
    }});
    assert_eq!(Value::Object(found), expected);
}

#[test]
fn types_and_texts_that_do_not_fit_are_refused() {
    let schema = service::KIND.schema;
    assert_eq!(decode(b"\x0a\x03\x0a\x01\xff", schema), Err(ProtobufError::Text("name")));
    assert_eq!(decode(b"\x08\x01", schema), Err(ProtobufError::WireType { field: "metadata", found: 0 }));
    // metadata.creationTimestamp in a year that no calendar has.
    assert_eq!(
        decode(b"\x0a\x0b\x42\x09\x08\xff\xff\xff\xff\xff\xff\xff\x7f", schema),
        Err(ProtobufError::Time("creationTimestamp"))
    );
    let time = decode(b"\x0a\x08\x42\x06\x08\x80\xa3\x05\x10\x00", schema).unwrap();
    assert_eq!(time["metadata"]["creationTimestamp"], "1970-01-02T00:00:00Z");
    // Before 1970 it is negative; Go's zero time is none.
    let early =
        decode(b"\x0a\x0f\x42\x0d\x08\x82\x92\xb8\xc3\x98\xfe\xff\xff\xff\x01\x10\x00", schema).unwrap();
    assert_eq!(early["metadata"]["creationTimestamp"], "0001-01-01T00:00:02Z");
    let zero =
        decode(b"\x0a\x0f\x42\x0d\x08\x80\x92\xb8\xc3\x98\xfe\xff\xff\xff\x01\x10\x00", schema).unwrap();
    assert!(zero.get("metadata").is_none_or(|metadata| metadata.get("creationTimestamp").is_none()));
}

/// Structures that JSON has inlined are messages of their own: `volumeSource`, `handler`.
#[test]
fn inlined_structures_are_read() {
    use k8s_pb::api::core::v1::{
        Container, HostPathVolumeSource, Pod, PodSpec, Probe, ProbeHandler, TcpSocketAction, Volume,
        VolumeSource,
    };
    use prost::Message;

    let text = |text: &str| Some(text.to_owned());
    let path = HostPathVolumeSource { path: text("/x"), r#type: text("") };
    let volume = Volume {
        name: text("v"),
        volume_source: Some(VolumeSource { host_path: Some(path), ..VolumeSource::default() }),
    };
    let handler = ProbeHandler {
        tcp_socket: Some(TcpSocketAction { host: text("h"), ..TcpSocketAction::default() }),
        ..ProbeHandler::default()
    };
    let probe = Probe { handler: Some(handler), period_seconds: Some(5), ..Probe::default() };
    let container = Container { name: text("c"), liveness_probe: Some(probe), ..Container::default() };
    let spec = PodSpec {
        volumes: vec![volume],
        containers: vec![container],
        node_name: text("n1"),
        host_network: Some(false),
        host_users: Some(false),
        ..PodSpec::default()
    };
    let pod = Pod { spec: Some(spec), ..Pod::default() };
    let expected = json!({"spec": {
        "volumes": [{"name": "v", "hostPath": {"path": "/x", "type": ""}}],
        "containers": [{"name": "c", "livenessProbe": {"tcpSocket": {"host": "h"}, "periodSeconds": 5}}],
        "nodeName": "n1", "hostUsers": false,
    }});
    let found = decode(&pod.encode_to_vec(), &crate::schema::published::Pod).unwrap();
    assert_eq!(Value::Object(found), expected);
}

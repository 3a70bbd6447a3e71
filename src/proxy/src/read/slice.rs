//! EndpointSlices.

use std::time::SystemTime;

use pod::addresses::IpFamily;
use pod::validation::ip::parse_sloppy;
use serde::Deserialize;

use super::{Metadata, protocol, time};
use crate::objects::{Hints, Slice, SliceEndpoint, SlicePort};

/// An EndpointSlice's JSON. `ReadSlice::from` reads it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SliceObject {
    /// `metadata`.
    pub metadata: Metadata,
    address_type: String,
    ports: Option<Vec<EndpointPort>>,
    endpoints: Option<Vec<EndpointObject>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EndpointPort {
    name: Option<String>,
    protocol: Option<String>,
    port: Option<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EndpointObject {
    addresses: Vec<String>,
    conditions: Conditions,
    node_name: Option<String>,
    hints: Option<HintsObject>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct HintsObject {
    for_zones: Vec<Named>,
    for_nodes: Vec<Named>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

/// An EndpointSlice, and when the change happened from which it follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadSlice {
    /// `None` if it leads nowhere: it has names instead of addresses, or belongs to no Service or a headless one.
    pub slice: Option<Slice>,
    /// Annotation `endpoints.kubernetes.io/last-change-trigger-time`.
    pub triggered: Option<SystemTime>,
}

impl From<SliceObject> for ReadSlice {
    fn from(object: SliceObject) -> Self {
        let triggered = object.metadata.annotations.triggered.as_deref().and_then(time);
        let family = match object.address_type.as_str() {
            "IPv4" => IpFamily::V4,
            "IPv6" => IpFamily::V6,
            _ => return Self { slice: None, triggered },
        };
        let labels = object.metadata.labels;
        let slice = labels.service.filter(|_| labels.headless.is_none()).map(|service| Slice {
            service,
            family,
            ports: object.ports.unwrap_or_default().into_iter().filter_map(slice_port).collect(),
            endpoints: object.endpoints.unwrap_or_default().into_iter().filter_map(endpoint).collect(),
        });
        Self { slice, triggered }
    }
}

fn slice_port(port: EndpointPort) -> Option<SlicePort> {
    Some(SlicePort {
        name: port.name.unwrap_or_default().into(),
        protocol: protocol(port.protocol.as_deref())?,
        port: port.port,
    })
}

/// A condition that is not said counts as Kubernetes says in the fields' descriptions.
fn endpoint(endpoint: EndpointObject) -> Option<SliceEndpoint> {
    let conditions = endpoint.conditions;
    let names = |list: Vec<Named>| list.into_iter().map(|one| one.name).collect::<Vec<_>>();
    let hints =
        endpoint.hints.map(|hints| Hints { zones: names(hints.for_zones), nodes: names(hints.for_nodes) });
    Some(SliceEndpoint {
        address: parse_sloppy(endpoint.addresses.first()?)?,
        ready: conditions.ready.unwrap_or(true),
        serving: conditions.serving.unwrap_or(true),
        terminating: conditions.terminating.unwrap_or(false),
        node: endpoint.node_name.map(Into::into),
        hints: hints.filter(|hints| *hints != Hints::default()).map(Box::new),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: &str) -> ReadSlice {
        serde_json::from_str::<SliceObject>(json).unwrap().into()
    }

    #[test]
    fn a_slice_is_read() {
        let json = json!({
            "metadata": {"labels": {"kubernetes.io/service-name": "web"},
                "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "1970-01-01T00:00:09Z"}},
            "addressType": "IPv6",
            "ports": [{"name": null, "port": 8080}, {"name": "x", "protocol": "UDP"}],
            "endpoints": [
                {"addresses": ["2001:db8::1"], "nodeName": "n1", "hints": {"forZones": [{"name": "a"}]}},
                {"addresses": ["2001:db8::2"], "conditions": {"ready": false, "serving": true, "terminating": true}},
                {"addresses": []},
            ],
        });
        let read = read(&json.to_string());
        assert_eq!(read.triggered, Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(9)));
        let slice = read.slice.unwrap();
        assert_eq!((slice.service.as_str(), slice.family), ("web", IpFamily::V6));
        assert_eq!(slice.ports.iter().map(|port| port.port).collect::<Vec<_>>(), [Some(8080), None]);
        let [first, second] = slice.endpoints.as_slice() else { panic!("{slice:?}") };
        assert!(first.ready && first.serving && !first.terminating);
        assert_eq!(first.hints.as_ref().unwrap().zones, ["a"]);
        assert!(!second.ready && second.serving && second.terminating && second.node.is_none());
    }

    #[test]
    fn a_slice_of_names_or_of_no_service_or_a_headless_one_leads_nowhere() {
        for json in [
            r#"{"metadata":{"labels":{"kubernetes.io/service-name":"web"}},"addressType":"FQDN","endpoints":[]}"#,
            r#"{"metadata":{},"addressType":"IPv4","endpoints":null,"ports":null}"#,
            r#"{"metadata":{"labels":{"kubernetes.io/service-name":"web","service.kubernetes.io/headless":""}},"addressType":"IPv4"}"#,
        ] {
            assert_eq!(read(json).slice, None);
        }
    }
}

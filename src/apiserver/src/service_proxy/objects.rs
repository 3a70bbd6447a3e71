//! Services and EndpointSlices as the proxy reads them.

use std::net::IpAddr;
use std::time::SystemTime;

use ipnet::IpNet;
use serde::Deserialize;

use crate::kinds::endpoint_slice::SERVICE_LABEL;
use crate::time;
use pod::addresses::IpFamily;
use pod::validation::ip::parse_sloppy;
use proxy::{Hints, Service, ServicePort, Slice, SliceEndpoint, SlicePort};
use sys::net::nft::Protocol;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    creation_timestamp: String,
    labels: std::collections::BTreeMap<String, String>,
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ServiceObject {
    metadata: Metadata,
    spec: ServiceSpec,
    status: ServiceStatus,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ServiceSpec {
    r#type: String,
    ports: Vec<Port>,
    #[serde(rename = "clusterIPs")]
    cluster_ips: Vec<String>,
    #[serde(rename = "externalIPs")]
    external_ips: Vec<String>,
    #[serde(rename = "loadBalancerSourceRanges")]
    source_ranges: Vec<String>,
    #[serde(rename = "internalTrafficPolicy")]
    internal_policy: String,
    #[serde(rename = "externalTrafficPolicy")]
    external_policy: String,
    #[serde(rename = "sessionAffinity")]
    affinity: String,
    #[serde(rename = "sessionAffinityConfig")]
    affinity_config: AffinityConfig,
    #[serde(rename = "healthCheckNodePort")]
    health_check_node_port: u16,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Port {
    name: String,
    protocol: Option<String>,
    port: Option<u16>,
    node_port: u16,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct AffinityConfig {
    #[serde(rename = "clientIP")]
    client_ip: ClientIp,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ClientIp {
    timeout_seconds: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ServiceStatus {
    load_balancer: LoadBalancer,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LoadBalancer {
    ingress: Vec<Ingress>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Ingress {
    ip: String,
    ip_mode: Option<String>,
}

/// Kubernetes' default for `timeoutSeconds` of session affinity.
const AFFINITY_SECONDS: u32 = 10800;

/// Reads a Service.
///
/// # Errors
/// It is not a Service's JSON.
pub(super) fn service(json: &str) -> serde_json::Result<Service> {
    let object: ServiceObject = serde_json::from_str(json)?;
    let spec = object.spec;
    let ports = spec.ports.into_iter().filter_map(|port| {
        Some(ServicePort {
            name: port.name.into(),
            protocol: protocol(port.protocol.as_deref())?,
            port: port.port?,
            node_port: Some(port.node_port).filter(|port| *port != 0),
        })
    });
    let is_load_balancer = spec.r#type == "LoadBalancer";
    let ingress = object.status.load_balancer.ingress.iter().filter(|_| is_load_balancer);
    let vips = ingress.filter(|one| one.ip_mode.as_deref().is_none_or(|mode| mode == "VIP"));
    let has_affinity = spec.affinity == "ClientIP";
    Ok(Service {
        created: time::parse(&object.metadata.creation_timestamp).unwrap_or_default(),
        ports: ports.collect(),
        // A headless Service has the text None.
        cluster_ips: addresses(spec.cluster_ips.iter()),
        external_ips: addresses(spec.external_ips.iter()),
        load_balancer_ips: addresses(vips.map(|one| &one.ip)),
        source_ranges: spec
            .source_ranges
            .iter()
            .filter_map(|range| range.trim().parse::<IpNet>().ok())
            .collect(),
        internal_local: spec.internal_policy == "Local",
        external_local: spec.external_policy == "Local",
        affinity_seconds: has_affinity
            .then(|| spec.affinity_config.client_ip.timeout_seconds.unwrap_or(AFFINITY_SECONDS)),
        health_check_node_port: Some(spec.health_check_node_port)
            .filter(|port| *port != 0 && is_load_balancer),
    })
}

fn addresses<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<IpAddr> {
    texts.filter_map(|text| parse_sloppy(text)).collect()
}

/// TCP is the default.
fn protocol(name: Option<&str>) -> Option<Protocol> {
    match name {
        None | Some("" | "TCP") => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some("SCTP") => Some(Protocol::Sctp),
        Some(_) => None,
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct SliceObject {
    metadata: Metadata,
    address_type: String,
    ports: Option<Vec<EndpointPort>>,
    endpoints: Option<Vec<EndpointObject>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct EndpointPort {
    name: Option<String>,
    protocol: Option<String>,
    port: Option<u16>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct EndpointObject {
    addresses: Vec<String>,
    conditions: Conditions,
    node_name: Option<String>,
    hints: Option<HintsObject>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct HintsObject {
    for_zones: Vec<Named>,
    for_nodes: Vec<Named>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Named {
    name: String,
}

/// An EndpointSlice, and when the change happened from which it follows.
#[derive(Debug, PartialEq)]
pub(super) struct ReadSlice {
    /// `None` if it leads nowhere: it has names instead of addresses, or belongs to no Service.
    pub(super) slice: Option<Slice>,
    /// Annotation `endpoints.kubernetes.io/last-change-trigger-time`.
    pub(super) triggered: Option<SystemTime>,
}

/// Reads an EndpointSlice.
///
/// # Errors
/// It is not an EndpointSlice's JSON.
pub(super) fn slice(json: &str) -> serde_json::Result<ReadSlice> {
    const TRIGGERED: &str = "endpoints.kubernetes.io/last-change-trigger-time";
    let mut object: SliceObject = serde_json::from_str(json)?;
    let triggered = object.metadata.annotations.get(TRIGGERED);
    let triggered = triggered.and_then(|time| humantime::parse_rfc3339(time).ok());
    let family = match object.address_type.as_str() {
        "IPv4" => IpFamily::V4,
        "IPv6" => IpFamily::V6,
        _ => return Ok(ReadSlice { slice: None, triggered }),
    };
    let slice = object.metadata.labels.remove(SERVICE_LABEL).map(|service| Slice {
        service,
        family,
        ports: object.ports.unwrap_or_default().into_iter().filter_map(slice_port).collect(),
        endpoints: object.endpoints.unwrap_or_default().into_iter().filter_map(endpoint).collect(),
    });
    Ok(ReadSlice { slice, triggered })
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
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_is_read() {
        let json = json!({
            "metadata": {"name": "web", "creationTimestamp": "1970-01-01T00:01:00Z", "labels": {}},
            "spec": {
                "type": "LoadBalancer", "clusterIPs": ["10.96.0.5", "2001:db8::5"], "externalIPs": ["192.0.2.7"],
                "loadBalancerSourceRanges": ["198.51.100.0/24", " 2001:db8::/32"],
                "internalTrafficPolicy": "Cluster", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000,
                "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
                "ports": [
                    {"name": "http", "port": 80, "nodePort": 30080, "targetPort": "http"},
                    {"name": "dns", "protocol": "UDP", "port": 53},
                ],
            },
            "status": {"loadBalancer": {"ingress": [
                {"ip": "192.0.2.9"}, {"ip": "192.0.2.10", "ipMode": "Proxy"}, {"ip": "192.0.2.11", "ipMode": "VIP"},
                {"hostname": "lb.example"},
            ]}},
        });
        let service = service(&json.to_string()).unwrap();
        let port = |name: &str, protocol, port, node_port| ServicePort {
            name: name.into(),
            protocol,
            port,
            node_port,
        };
        let expected = Service {
            created: 60,
            ports: vec![port("http", Protocol::Tcp, 80, Some(30080)), port("dns", Protocol::Udp, 53, None)],
            cluster_ips: vec!["10.96.0.5".parse().unwrap(), "2001:db8::5".parse().unwrap()],
            external_ips: vec!["192.0.2.7".parse().unwrap()],
            load_balancer_ips: vec!["192.0.2.9".parse().unwrap(), "192.0.2.11".parse().unwrap()],
            source_ranges: vec!["198.51.100.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            internal_local: false,
            external_local: true,
            affinity_seconds: Some(60),
            health_check_node_port: Some(31000),
        };
        assert_eq!(service, expected);
    }

    #[test]
    fn a_headless_service_leads_nowhere() {
        let json =
            r#"{"spec":{"type":"ClusterIP","clusterIPs":["None"],"ports":[{"port":80,"protocol":"TCP"}]}}"#;
        assert_eq!(service(json).unwrap().cluster_ips, Vec::<IpAddr>::new());
        assert!(service(r#"{"spec":{"ports":"x"}}"#).is_err());
    }

    #[test]
    fn a_slice_is_read() {
        let json = json!({
            "metadata": {"labels": {SERVICE_LABEL: "web"},
                "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "1970-01-01T00:00:09Z"}},
            "addressType": "IPv6",
            "ports": [{"name": null, "port": 8080}, {"name": "x", "protocol": "UDP"}],
            "endpoints": [
                {"addresses": ["2001:db8::1"], "nodeName": "n1", "hints": {"forZones": [{"name": "a"}]}},
                {"addresses": ["2001:db8::2"], "conditions": {"ready": false, "serving": true, "terminating": true}},
                {"addresses": []},
            ],
        });
        let read = slice(&json.to_string()).unwrap();
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
    fn a_slice_of_names_or_of_no_service_leads_nowhere() {
        for json in [
            r#"{"metadata":{"labels":{"kubernetes.io/service-name":"web"}},"addressType":"FQDN","endpoints":[]}"#,
            r#"{"metadata":{},"addressType":"IPv4","endpoints":null,"ports":null}"#,
        ] {
            assert_eq!(slice(json).unwrap().slice, None);
        }
    }
}

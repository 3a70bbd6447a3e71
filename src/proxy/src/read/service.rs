//! Services.

use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use ipnet::IpNet;
use pod::validation::ip::parse_sloppy;
use serde::Deserialize;

use super::{Metadata, protocol, time};
use crate::objects::{Service, ServicePort};

/// A Service's JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServiceObject {
    /// `metadata`.
    pub metadata: Metadata,
    spec: ServiceSpec,
    status: ServiceStatus,
}

#[derive(Debug, Default, Deserialize)]
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

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Port {
    name: String,
    protocol: Option<String>,
    port: Option<u16>,
    node_port: u16,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AffinityConfig {
    #[serde(rename = "clientIP")]
    client_ip: ClientIp,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ClientIp {
    timeout_seconds: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ServiceStatus {
    load_balancer: LoadBalancer,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LoadBalancer {
    ingress: Vec<Ingress>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Ingress {
    ip: String,
    ip_mode: Option<String>,
}

/// Kubernetes' default for `timeoutSeconds` of session affinity.
const AFFINITY_SECONDS: u32 = 10800;

impl ServiceObject {
    /// The Service to lead connections of. `None` for one that has no cluster IP (headless, or an ExternalName), or is left to
    /// another proxy.
    pub fn into_service(self) -> Option<Service> {
        let is_left = self.metadata.labels.proxy_name.is_some();
        Some(Service::from(self)).filter(|service| !is_left && !service.cluster_ips.is_empty())
    }
}

impl From<ServiceObject> for Service {
    fn from(object: ServiceObject) -> Self {
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
        let ranges = spec.source_ranges.iter();
        Self {
            created: seconds(&object.metadata.creation_timestamp),
            ports: ports.collect(),
            // A headless Service has the text None.
            cluster_ips: addresses(spec.cluster_ips.iter()),
            external_ips: addresses(spec.external_ips.iter()),
            load_balancer_ips: addresses(vips.map(|one| &one.ip)),
            source_ranges: ranges.filter_map(|range| range.trim().parse::<IpNet>().ok()).collect(),
            internal_local: spec.internal_policy == "Local",
            external_local: spec.external_policy == "Local",
            affinity_seconds: has_affinity
                .then(|| spec.affinity_config.client_ip.timeout_seconds.unwrap_or(AFFINITY_SECONDS)),
            health_check_node_port: Some(spec.health_check_node_port)
                .filter(|port| *port != 0 && is_load_balancer),
        }
    }
}

/// Seconds since 1970; 0 if the text is no time.
fn seconds(text: &str) -> i64 {
    let since = time(text).and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or_default()
}

fn addresses<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<IpAddr> {
    texts.filter_map(|text| parse_sloppy(text)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sys::net::nft::Protocol;

    use super::*;

    fn read(json: &str) -> serde_json::Result<Service> {
        serde_json::from_str::<ServiceObject>(json).map(Into::into)
    }

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
        let service = read(&json.to_string()).unwrap();
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
    fn services_of_others_and_without_an_address_are_left_alone() {
        let labelled = |key: &str, value: &str| json!({"labels": {key: value}});
        let plain = json!({"clusterIPs": ["10.96.0.5"]});
        let other = "service.kubernetes.io/service-proxy-name";
        for (metadata, spec, expected) in [
            (json!({}), plain.clone(), true),
            (labelled(other, "cilium"), plain.clone(), false),
            (labelled(other, ""), plain.clone(), false),
            // Only EndpointSlices are known to be headless by this label.
            (labelled("service.kubernetes.io/headless", ""), plain, true),
            (json!({}), json!({"type": "ClusterIP", "clusterIPs": ["None"]}), false),
            (json!({}), json!({"type": "ExternalName", "externalName": "x"}), false),
        ] {
            let service = json!({"metadata": metadata, "spec": spec});
            let read: ServiceObject = serde_json::from_value(service.clone()).unwrap();
            assert_eq!(read.into_service().is_some(), expected, "{service}");
        }
    }

    #[test]
    fn what_is_no_service_is_not_read() {
        assert!(read(r#"{"spec":{"ports":"x"}}"#).is_err());
    }
}

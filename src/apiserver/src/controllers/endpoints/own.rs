//! The endpoint of the Service `default/kubernetes`: this server, as an API server of Kubernetes keeps its own
//! (`pkg/controlplane/reconcilers`).

use std::net::IpAddr;

use serde_json::json;

use super::index::Key;
use super::mirror::SKIP_LABEL;
use super::slice::SERVICE_LABEL;
use crate::kinds::{FamilyExt, IpFamily};
use crate::object::Object;

/// The namespace of the Service.
pub(super) const NAMESPACE: &str = "default";
/// The name of the Service, its Endpoints and its slice.
pub(super) const NAME: &str = "kubernetes";

/// Whether `key` is that of the Service.
pub(super) fn is_own((namespace, name): &Key) -> bool {
    namespace == NAMESPACE && name == NAME
}

/// Where the server is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// The addresses that pods reach, one of each family at most.
    pub ips: Vec<IpAddr>,
    /// The port.
    pub port: u16,
}

impl Address {
    /// Where pods reach a server that listens on `bound`. If that is the unspecified address, it is the node's first
    /// address of each family.
    pub fn of(bound: IpAddr, node_ips: &[IpAddr], port: u16) -> Self {
        let ips = if bound.is_unspecified() {
            // An IPv6 socket takes IPv4 connections, too.
            let first = |family: IpFamily| node_ips.iter().copied().find(|ip| IpFamily::of(*ip) == family);
            let families =
                IpFamily::ALL.into_iter().filter(|family| bound.is_ipv6() || *family == IpFamily::V4);
            families.filter_map(first).collect()
        } else {
            vec![bound.to_canonical()]
        };
        let is_reached = |ip: &IpAddr| ::pod::validation::ip::endpoint_error(&ip.to_string()).is_none();
        Self { ips: ips.into_iter().filter(is_reached).collect(), port }
    }

    /// The Endpoints and the slice of the Service, whose primary family is `family`; `None` if pods do not reach the server.
    pub(super) fn objects(&self, family: IpFamily) -> Option<[Object; 2]> {
        let ip = self.ips.iter().find(|ip| IpFamily::of(**ip) == family)?.to_string();
        let endpoints = json!({
            "apiVersion": "v1", "kind": "Endpoints",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {SKIP_LABEL: "true"}},
            "subsets": [{
                "addresses": [{"ip": ip}],
                "ports": [{"name": "https", "port": self.port, "protocol": "TCP"}],
            }],
        });
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {SERVICE_LABEL: NAME}},
            "addressType": family.name(),
            "endpoints": [{"addresses": [ip], "conditions": {"ready": true}}],
            "ports": [{"name": "https", "port": self.port, "protocol": "TCP"}],
        });
        Some([endpoints, slice].map(|object| Object::from_value(object).unwrap_or_default()))
    }
}

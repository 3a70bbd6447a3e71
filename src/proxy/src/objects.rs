//! What the proxy reads of Services, EndpointSlices and the node.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use pod::addresses::IpFamily;
use sys::net::nft::Protocol;
use sys::net::services::Place;

/// The name of an object that is in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// The namespace.
    pub namespace: String,
    /// The name in it.
    pub name: String,
}

impl ObjectName {
    /// The name `name` in `namespace`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A Service. One without a cluster IP (headless, or an ExternalName) leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// `metadata.creationTimestamp` in seconds since 1970: of two Services that claim one place, the older has it.
    pub created: i64,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
    /// `spec.clusterIPs`, without `None`: at most one of each family is used.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// The addresses in `status.loadBalancer.ingress` with `ipMode: VIP`, which is the default.
    pub load_balancer_ips: Vec<IpAddr>,
    /// `spec.loadBalancerSourceRanges`.
    pub source_ranges: Vec<IpNet>,
    /// Whether `spec.internalTrafficPolicy` is `Local`.
    pub internal_local: bool,
    /// Whether `spec.externalTrafficPolicy` is `Local`.
    pub external_local: bool,
    /// `spec.sessionAffinityConfig.clientIP.timeoutSeconds`, if `spec.sessionAffinity` is `ClientIP`.
    pub affinity_seconds: Option<u32>,
    /// `spec.healthCheckNodePort`. Only a Service of type LoadBalancer with `externalTrafficPolicy: Local` has one.
    pub health_check_node_port: Option<u16>,
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// The name, by which the ports of EndpointSlices are found. It may be empty.
    pub name: Box<str>,
    /// The protocol.
    pub protocol: Protocol,
    /// The port of cluster IPs, external IPs and load balancers' addresses.
    pub port: u16,
    /// The port of the node's addresses.
    pub node_port: Option<u16>,
}

/// An EndpointSlice with addresses. One with names (`addressType: FQDN`) leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// The Service in the same namespace: label `kubernetes.io/service-name`.
    pub service: String,
    /// `addressType`.
    pub family: IpFamily,
    /// The ports that each endpoint has.
    pub ports: Vec<SlicePort>,
    /// The endpoints.
    pub endpoints: Vec<SliceEndpoint>,
}

/// A port of an EndpointSlice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlicePort {
    /// The name of the Service's port.
    pub name: Box<str>,
    /// The protocol.
    pub protocol: Protocol,
    /// The endpoints' port. A port without a number leads nowhere.
    pub port: Option<u16>,
}

/// An endpoint of an EndpointSlice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceEndpoint {
    /// The first of `addresses`. Kubernetes ignores the others, too.
    pub address: IpAddr,
    /// `conditions.ready`; true if it is not said.
    pub ready: bool,
    /// `conditions.serving`; true if it is not said.
    pub serving: bool,
    /// `conditions.terminating`; false if it is not said.
    pub terminating: bool,
    /// `nodeName`.
    pub node: Option<Box<str>>,
    /// `hints`; none if both lists are empty.
    pub hints: Option<Box<Hints>>,
}

/// For whom an endpoint should be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hints {
    /// `forZones`.
    pub zones: Vec<String>,
    /// `forNodes`.
    pub nodes: Vec<String>,
}

/// The node that the proxy runs on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// Its name, as in the endpoints' `nodeName`.
    pub name: String,
    /// Its label `topology.kubernetes.io/zone`.
    pub zone: Option<String>,
    /// The primary address of each family: node ports are answered on these.
    pub addresses: Vec<IpAddr>,
    /// The pods' networks and the node's own addresses: whoever has one of these addresses is inside.
    pub inside: Vec<IpNet>,
    /// The networks of cluster IPs.
    pub service_networks: Vec<IpNet>,
    /// Addresses of this node and of the API server: none of them is a cluster IP, but for that of the Service
    /// `default/kubernetes`.
    pub machines: BTreeSet<IpAddr>,
    /// Where this node reaches the API server, and the API server the kubelets: no Service has these besides its cluster IPs.
    pub kept: BTreeSet<Place>,
}

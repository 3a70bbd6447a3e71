//! The places at which a Service is reached on a node.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use pod::addresses::IpFamily;
use sys::net::services::Place;

use crate::endpoints::can_be_reached;
use crate::objects::{Node, ObjectName, Service};

/// What kind of address a place has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    ClusterIp,
    LoadBalancer,
    External,
    NodePort,
}

/// A place that a Service claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
    /// The index of the Service's port.
    pub(crate) port: usize,
    /// The cluster IP of the place's family.
    pub(crate) cluster_ip: IpAddr,
}

/// What a Service asks for and does not get, for the cluster's machines would lose each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denied {
    /// A cluster IP. The other ports of one are closed.
    ClusterIp(IpAddr),
    /// One of [`Node::kept`].
    Place(Place),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClusterIp(address) => {
                write!(f, "{address}: it is an address of this node or of the API server")
            }
            Self::Place(place) => {
                let at = SocketAddr::new(place.address, place.port);
                write!(f, "{at}: the API server or a kubelet is reached there")
            }
        }
    }
}

/// What a Service claims, and what it may not have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// Each place once, grouped by family and port, that of the cluster IP first.
    pub(crate) places: Vec<Claim>,
    pub(crate) denied: BTreeSet<Denied>,
}

/// The places that a Service claims. A family without a cluster IP has none, as with kube-proxy.
pub(crate) fn claims(name: &ObjectName, service: &Service, node: &Node) -> Claims {
    let mut claims = Claims::default();
    // By this one pods reach the API server.
    let is_server = name.namespace == "default" && name.name == "kubernetes";
    for family in IpFamily::ALL {
        let of_family = |address: &&IpAddr| IpFamily::of(**address) == family && can_be_reached(**address);
        let Some(cluster_ip) = service.cluster_ips.iter().find(of_family).copied() else {
            continue;
        };
        if node.machines.contains(&cluster_ip) && !is_server {
            claims.denied.insert(Denied::ClusterIp(cluster_ip));
            continue;
        }
        for (port, spec) in service.ports.iter().enumerate().filter(|(_, spec)| spec.port != 0) {
            let mut claim = |kind, address: IpAddr, number| {
                let place = Place { address, protocol: spec.protocol, port: number };
                if kind != Kind::ClusterIp && node.kept.contains(&place) {
                    claims.denied.insert(Denied::Place(place));
                } else {
                    claims.places.push(Claim { place, kind, port, cluster_ip });
                }
            };
            claim(Kind::ClusterIp, cluster_ip, spec.port);
            let of =
                |addresses: &'_ [IpAddr]| addresses.iter().filter(of_family).copied().collect::<Vec<_>>();
            of(&service.load_balancer_ips)
                .into_iter()
                .for_each(|it| claim(Kind::LoadBalancer, it, spec.port));
            of(&service.external_ips).into_iter().for_each(|it| claim(Kind::External, it, spec.port));
            if let Some(number) = spec.node_port.filter(|number| *number != 0) {
                of(&node.addresses).into_iter().for_each(|it| claim(Kind::NodePort, it, number));
            }
        }
    }
    let places = &mut claims.places;
    // One address may be of several kinds, an external IP that of a load balancer, too: the first kind counts.
    places.sort_by_key(|claim| (claim.place, claim.kind, claim.port));
    places.dedup_by_key(|claim| claim.place);
    places.sort_by_key(|claim| (claim.cluster_ip, claim.port, claim.kind, claim.place));
    claims
}

//! The places at which a Service is reached on a node.

use std::net::IpAddr;

use pod::addresses::IpFamily;
use sys::net::services::Place;

use crate::endpoints::can_be_reached;
use crate::objects::{Node, Service};

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

/// The places that a Service claims, each once, grouped by family and port, that of the cluster IP first.
///
/// A family without a cluster IP has no places, as with kube-proxy.
pub(crate) fn claims(service: &Service, node: &Node) -> Vec<Claim> {
    let mut claims = Vec::new();
    for family in IpFamily::ALL {
        let of_family = |address: &&IpAddr| IpFamily::of(**address) == family && can_be_reached(**address);
        let Some(cluster_ip) = service.cluster_ips.iter().find(of_family).copied() else {
            continue;
        };
        for (port, spec) in service.ports.iter().enumerate().filter(|(_, spec)| spec.port != 0) {
            let mut claim = |kind, address: IpAddr, number| {
                let place = Place { address, protocol: spec.protocol, port: number };
                claims.push(Claim { place, kind, port, cluster_ip });
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
    // One address may be of several kinds, an external IP that of a load balancer, too: the first kind counts.
    claims.sort_by_key(|claim| (claim.place, claim.kind, claim.port));
    claims.dedup_by_key(|claim| claim.place);
    claims.sort_by_key(|claim| (claim.cluster_ip, claim.port, claim.kind, claim.place));
    claims
}

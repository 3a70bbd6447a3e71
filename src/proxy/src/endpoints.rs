//! The endpoints of a Service's port, from its EndpointSlices.

use std::net::IpAddr;
use std::sync::Arc;

use pod::addresses::IpFamily;
use sys::net::nft::Protocol;
use sys::net::services::Endpoint;

use crate::objects::{Node, ObjectName, ServicePort, SliceEndpoint, SlicePort};
use crate::topology::Candidate;

/// An EndpointSlice as the proxy keeps it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HeldSlice {
    pub(crate) name: Arc<ObjectName>,
    pub(crate) family: IpFamily,
    pub(crate) ports: Box<[SlicePort]>,
    pub(crate) endpoints: Box<[SliceEndpoint]>,
}

impl HeldSlice {
    /// The number of its port, if it has that of a Service.
    fn port(&self, name: &str, protocol: Protocol) -> Option<u16> {
        let port = self.ports.iter().find(|port| *port.name == *name && port.protocol == protocol)?;
        port.port.filter(|number| *number != 0)
    }
}

/// The endpoints of a Service's port in one family, sorted, each once.
pub(crate) fn candidates<'a>(
    slices: &'a [HeldSlice],
    port: &ServicePort,
    family: IpFamily,
    node: &Node,
) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for slice in slices.iter().filter(|slice| slice.family == family) {
        let Some(number) = slice.port(&port.name, port.protocol) else {
            continue;
        };
        let usable = slice
            .endpoints
            .iter()
            .filter(|endpoint| IpFamily::of(endpoint.address) == family && can_be_reached(endpoint.address));
        candidates.extend(usable.map(|endpoint| candidate(endpoint, number, node)));
    }
    // While an endpoint moves, two slices have it; and a new pod may have the address of one that terminates. Then the one
    // that does not terminate counts, and of two the one in the later slice.
    candidates.reverse();
    candidates.sort_by_key(|candidate| (candidate.endpoint, candidate.terminating));
    candidates.dedup_by_key(|candidate| candidate.endpoint);
    candidates
}

fn candidate<'a>(endpoint: &'a SliceEndpoint, port: u16, node: &Node) -> Candidate<'a> {
    let on_node = |name: &str| !node.name.is_empty() && name == node.name;
    Candidate {
        endpoint: Endpoint { address: endpoint.address, port },
        ready: endpoint.ready,
        serving: endpoint.serving,
        terminating: endpoint.terminating,
        local: endpoint.node.as_deref().is_some_and(on_node),
        hints: endpoint.hints.as_deref(),
    }
}

/// Whether packets to the address can be led somewhere else, or come from somewhere else.
pub(crate) fn can_be_reached(address: IpAddr) -> bool {
    let is_special = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.to_ipv4_mapped().is_some(),
    };
    !(is_special || address.is_unspecified() || address.is_loopback() || address.is_multicast())
}

//! The elements of the table's maps and sets, as values.

use std::fmt;
use std::net::IpAddr;

pub use crate::net::netfilter::intervals::Network;
use crate::net::nft::Protocol;

/// Where connections to a Service are made to: a cluster IP, an external IP, a load balancer's address, or an address of
/// the node with a node port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The destination's address.
    pub address: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The destination's port.
    pub port: u16,
}

/// Where a packet comes from, by its source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A pod, or the node itself.
    Inside,
    /// Any other address.
    Outside,
}

/// Which endpoints of a Service's port a set has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Those of the whole cluster.
    Cluster,
    /// Those of this node.
    Local,
}

/// The endpoints of a port of a Service. The cluster IP names the Service and the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointSet {
    /// The Service's cluster IP.
    pub cluster_ip: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The Service's port.
    pub port: u16,
    /// Which endpoints.
    pub scope: Scope,
}

/// Where a connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The pod's address.
    pub address: IpAddr,
    /// The pod's port.
    pub port: u16,
}

/// What happens to a new connection to a [`Place`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Handling {
    /// It goes to an endpoint of a set.
    Balance(Balance),
    /// It is refused at once: TCP is reset, other protocols get an ICMP message.
    Reject,
    /// Its packets are dropped.
    Drop,
}

/// How a connection gets its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Balance {
    /// The endpoints.
    pub set: EndpointSet,
    /// How many [`Element::Slot`]s the set has: a number that [`slots_for`] returns.
    pub slots: u32,
    /// Whether the endpoint sees the node's address instead of the client's.
    pub masquerade: bool,
    /// For how many seconds a client that makes no connection keeps its endpoint; 0 without session affinity.
    pub affinity_seconds: u32,
    /// Whether only sources with an [`Element::SourceRange`] may connect; other packets are dropped.
    pub checks_source: bool,
}

/// An element of a map or set of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Element {
    /// Packets from these addresses come from inside. Elements of this kind do not overlap. The kernel's map has the
    /// addresses between them as [`Origin::Outside`].
    Inside(Network),
    /// What happens to connections from `origin` to `place`. Each place has two such elements, one for each origin.
    Service {
        /// The destination.
        place: Place,
        /// Where the packet comes from.
        origin: Origin,
        /// What happens.
        handling: Handling,
    },
    /// The endpoint at `index` of a set, counted from 0. There is one for each index below [`Balance::slots`].
    Slot {
        /// The set.
        set: EndpointSet,
        /// The index.
        index: u32,
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// The endpoint is one of the set: a client with session affinity may go on to use it. Only sets of Services with
    /// session affinity have these elements.
    Member {
        /// The set.
        set: EndpointSet,
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// An endpoint on this node, by its address: when it reaches itself through a Service, its packets are masqueraded,
    /// for it would not take an answer from its own address.
    Hairpin(IpAddr),
    /// Addresses that may connect to a place whose sources are checked. Elements of one place do not overlap.
    SourceRange {
        /// The destination.
        place: Place,
        /// The sources.
        sources: Network,
    },
    /// A cluster IP: connections to its ports that no Service has are refused.
    ClusterIp(IpAddr),
    /// A network of cluster IPs: packets to those that no Service has are dropped. Elements of this kind do not overlap.
    ServiceNetwork(Network),
}

/// The largest number of slots of a set. Of more endpoints, the first so many are used.
pub const SLOTS_MAX: u32 = 1 << 16;
/// Up to this number of endpoints, each has one slot.
const EXACT_MAX: u32 = 64;
/// Above [`EXACT_MAX`] an endpoint has at least this many slots, so that one slot more or less hardly matters.
const SLOTS_PER_ENDPOINT: u32 = 32;

/// The number of slots for a set of `endpoints` endpoints: the same number to 64, then a power of two. The table has a
/// chain for each number that this function returns.
pub fn slots_for(endpoints: usize) -> u32 {
    match u32::try_from(endpoints).unwrap_or(u32::MAX) {
        few @ 0..=EXACT_MAX => few,
        many => many
            .saturating_mul(SLOTS_PER_ENDPOINT)
            .checked_next_power_of_two()
            .unwrap_or(SLOTS_MAX)
            .min(SLOTS_MAX),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}/{}", self.address, self.port, self.protocol)
    }
}

impl fmt::Display for EndpointSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = if self.scope == Scope::Local { " on this node" } else { "" };
        write!(f, "{} port {}/{}{local}", self.cluster_ip, self.port, self.protocol)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.address, self.port)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inside(network) => write!(f, "inside network {network}"),
            Self::Service { place, origin: Origin::Inside, .. } => write!(f, "service {place} for inside"),
            Self::Service { place, origin: Origin::Outside, .. } => write!(f, "service {place} for outside"),
            Self::Slot { set, index, endpoint } => write!(f, "slot {index} of {set} with {endpoint}"),
            Self::Member { set, endpoint } => write!(f, "member {endpoint} of {set}"),
            Self::Hairpin(address) => write!(f, "hairpin of {address}"),
            Self::SourceRange { place, sources } => write!(f, "source range {sources} of {place}"),
            Self::ClusterIp(address) => write!(f, "cluster IP {address}"),
            Self::ServiceNetwork(network) => write!(f, "service network {network}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_endpoints_have_a_slot_each_and_many_nearly_the_same_number() {
        assert_eq!([0, 1, 3, 64].map(slots_for), [0, 1, 3, 64]);
        assert_eq!([65, 128, 129, 2048, 100_000].map(slots_for), [4096, 4096, 8192, 65536, SLOTS_MAX]);
        assert_eq!(slots_for(usize::MAX), SLOTS_MAX);
    }
}

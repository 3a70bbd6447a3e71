//! What the thread follows.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::objects::{ObjectName, Service};
use crate::read::ReadSlice;

/// Something that the proxy has to know, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A Service; `None` if it is gone.
    Service(ObjectName, Option<Service>),
    /// An EndpointSlice; `None` if it is gone.
    Slice(ObjectName, Option<ReadSlice>),
    /// The networks of cluster IPs that an object has, such as a ServiceCIDR; none if it is gone.
    ServiceNetworks(ObjectName, Vec<IpNet>),
    /// The networks that an object's pods have: a Node's, or the addresses of a Pod that are in no Node's networks. Who has
    /// an address of these is inside.
    PodNetworks(ObjectName, Vec<IpNet>),
    /// The addresses of the cluster's nodes, as far as they are no cluster IPs.
    Machines(BTreeSet<IpAddr>),
    /// This node.
    Node(NodeFacts),
}

/// What a source knows of the node that the proxy runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its name, as in the endpoints' `nodeName`.
    pub name: String,
    /// Its label `topology.kubernetes.io/zone`.
    pub zone: Option<String>,
    /// Its addresses, the most important one of each family first. Node ports are answered on the first ones, health checks on
    /// all.
    pub addresses: Vec<IpAddr>,
    /// Where the node reaches the API server, if that is known and no place of its own.
    pub server: Option<SocketAddr>,
}

/// Where the proxy gets its objects from.
pub trait Source: Send + 'static {
    /// Waits until there is something to take. Returns false once nothing comes any more. The future may be dropped at any
    /// time, and nothing is lost.
    fn changed(&mut self) -> impl Future<Output = bool>;

    /// Tells all that has changed since the last call. It does not wait for more to come.
    ///
    /// Returns the newest resource version that it has told; `None` as long as it does not have all objects that are there
    /// at the start. Until then the packet filter stays as it is.
    ///
    /// # Errors
    /// Why nothing can be told, `cannot …`. The next call of [`Source::changed`] then returns at once.
    fn take(&mut self, tell: impl FnMut(News)) -> impl Future<Output = Result<Option<u64>, String>>;
}

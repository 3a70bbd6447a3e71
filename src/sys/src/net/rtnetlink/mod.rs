//! Network namespaces, and their interfaces, addresses and routes by rtnetlink.
//!
//! A socket stays in the namespace in which it was opened, so a namespace is entered only once.

pub(in crate::net) mod addresses;
mod device;
mod error;
mod link_changes;
mod link_removal;
mod links;
pub mod localnet;
mod namespace;
mod neighbours;
mod netlink;
pub(in crate::net) mod news;
mod route_list;
mod routes;
mod rules;
mod socket_owner;
mod sysctl;
mod vxlan;

pub use addresses::{NodeAddress, node_addresses};
pub use device::Device;
pub use error::NetworkError;
pub use link_changes::BridgePort;
pub use links::{Link, Mac, NewVeth, SourceCheck};
pub use namespace::{Namespace, NamespaceId};
pub use netlink::{NetworkChange, RouteSocket};
pub use news::{AddressChanges, NetworkChanges};
pub use route_list::{Route, Way};
pub use routes::NewRoute;
pub use rules::SourceRule;
pub use socket_owner::SocketOwners;
pub use sysctl::{overwrite, set};
pub use vxlan::{NewVxlan, Vxlan};

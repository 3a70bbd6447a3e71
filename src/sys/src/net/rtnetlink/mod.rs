//! Network namespaces and what is in them, by rtnetlink.
//!
//! One socket per namespace: it stays in the namespace it was opened in, so nobody has to enter it twice.

mod addresses;
mod device;
mod error;
mod link_changes;
mod link_removal;
mod links;
pub mod localnet;
mod namespace;
mod neighbours;
mod netlink;
mod routes;
mod socket_owner;
mod sysctl;

pub use device::Device;
pub use error::NetworkError;
pub use link_changes::BridgePort;
pub use links::{Link, Mac, NewVeth, SourceCheck};
pub use namespace::{Namespace, NamespaceId};
pub use netlink::{NetworkChange, RouteSocket};
pub use routes::NewRoute;
pub use socket_owner::SocketOwners;
pub use sysctl::{overwrite, set};

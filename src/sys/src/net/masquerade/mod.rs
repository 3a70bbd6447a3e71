//! Masquerading of what a node's pods send beyond the cluster: the table `inet podhosts-node`.
//!
//! A connection of a pod to an address that is not in the cluster leaves with the node's address. What is in the
//! cluster are elements of sets, so a node that comes or goes changes elements alone, and the rules never.

mod error;
mod layout;
mod table;
mod transaction;

pub use crate::net::netfilter::intervals::Network;
pub use error::MasqueradeError;
pub use table::{MasqueradeChanges, MasqueradeTable, Masquerading, Outcome};

//! Services in the packet filter: the table `inet podhosts-services`.
//!
//! A Service has only elements of data maps, never a chain or a rule of its own. So a transaction that adds a Service
//! costs the same however many there are, and a connection costs two lookups more. `docs/design/proxy.md` has the
//! layout.

mod chains;
mod element;
mod error;
mod handling;
mod holder;
mod items;
mod listed;
mod maps;
mod notices;
mod read;
mod rule;
mod table;
mod transaction;

pub use element::{
    Balance, Element, Endpoint, EndpointSet, Handling, Network, Origin, Place, SLOTS_MAX, Scope, slots_for,
};
pub use error::{Fault, ServicesError};
pub use holder::{HOLDER, is_held};
pub use notices::Notices;
pub use table::{Present, Table};

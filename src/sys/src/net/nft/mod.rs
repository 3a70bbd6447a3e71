//! The packet filter: source address checks, masquerading and host ports, told to the kernel's nf_tables directly.
//!
//! There are two tables: `inet podhosts` and, for frames between the ports of bridges, `bridge podhosts`. A pod has
//! only elements in their maps and sets, so the cost of a packet does not depend on the number of pods, and a pod can
//! be removed without reading the others. The chains of a network decide what is masqueraded. They stay as long as an
//! element leads to them, and a table as long as it has elements or a pod has an interface.
//!
//! Every change is one transaction of the kernel: all or nothing.

mod batch;
mod chains;
mod elements;
mod error;
mod good;
mod install;
mod lock;
mod maps;
mod missing;
mod rebuild;
mod remove;
pub(in crate::net) mod rules;
pub(in crate::net) mod table;
mod types;
mod wanted;

pub use error::NftError;
pub use install::install;
pub use missing::missing;
pub use rebuild::repair;
pub use remove::{Leaving, Removed, remove, sweep};
pub use types::{PodInterface, PortMapping, Protocol, Rules};

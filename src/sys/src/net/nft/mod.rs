//! The packet filter: source address checks, masquerading and host ports, told to the kernel's nf_tables directly.
//!
//! There are two tables, `inet podhosts` and, for what passes between the ports of bridges, `bridge podhosts`. All that
//! there is of a pod are elements of their maps and sets, so that a packet costs the same whatever the number of pods,
//! and a pod is removed by what is known of it alone. A network has chains that say what is masqueraded; they stay as
//! long as an element leads to them, and a table as long as it has elements or a pod has an interface.
//!
//! Every change is one transaction of the kernel's, all or nothing.

mod chains;
mod elements;
mod error;
mod family;
mod good;
mod install;
mod lock;
mod maps;
mod message;
mod missing;
mod rebuild;
mod remove;
mod rules;
mod socket;
mod table;
mod types;
mod wanted;

pub use error::NftError;
pub use install::install;
pub use missing::missing;
pub use rebuild::repair;
pub use remove::{Leaving, Removed, remove, sweep};
pub use types::{PodInterface, PortMapping, Protocol, Rules};

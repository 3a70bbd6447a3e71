//! The files that `podhosts-cni` leaves on the node for other programs: a record of each pod, and an attachment for
//! each interface of a container.

pub mod attachment;
pub mod directory;
pub mod record;
pub mod stores;

pub use directory::DATA_DIR;

/// The program that writes them.
pub const PLUGIN: &str = "podhosts-cni";

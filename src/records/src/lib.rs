//! What `podhosts-cni` leaves on the node for the other programs: a record of each pod, and what ADD made for each
//! interface of a container.

pub mod attachment;
pub mod directory;
pub mod record;
pub mod stores;

/// The program that writes all of it.
pub const PLUGIN: &str = "podhosts-cni";
/// Where the networks' directories are, unless a network names another place (`dataDir`).
pub const DATA_DIR: &str = "/run/podhosts/networks";

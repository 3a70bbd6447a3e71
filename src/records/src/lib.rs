//! The files that programs of podhosts leave on the node for others: `podhosts-cni` a record of each pod and an attachment
//! for each interface of a container, `podhosts-node` a record of each of the cluster's pods.

pub mod attachment;
pub mod cluster_pod;
pub mod directory;
pub mod record;
pub mod stores;

pub use directory::DATA_DIR;

/// The program that writes the records of pods and attachments.
pub const PLUGIN: &str = "podhosts-cni";

//! An OCI container as its bundle tells it: which pod it belongs to, whether it is sealed, and from what its hosts file
//! is made.
//!
//! The modules stand in the order in which a container passes through them.

// Input.
pub mod bundle;
pub mod node_config;
pub mod state;

// Which pod it belongs to, and the decision about it.
pub mod address_sources;
pub mod container_pod;
pub mod decision;
pub mod identity;
pub use records::cluster_pod;

mod mounts;

// Output.
pub mod downward_api;
pub mod hook_log;
pub mod programs;
pub mod reporter;

//! An OCI container as its bundle tells it: which pod it belongs to, what is to be done with it, and what its hosts file
//! is made of.
//!
//! The modules stand in the order in which a container passes through them.

// What comes in.
pub mod bundle;
pub mod node_config;
pub mod state;

// Whose container it is, and what is to be done with it.
pub mod container_pod;
pub mod decision;
pub mod identity;
pub mod mounts;

// What is made of it.
pub mod downward_api;
pub mod hook_log;
pub mod programs;

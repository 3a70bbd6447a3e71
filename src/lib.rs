//! Kubernetes' managed hosts file for every pod, sealed read-only, on any OCI runtime.
//!
//! The modules stand in the order in which a container passes through them.

// What comes in.
pub mod annotations;
pub mod bundle;
pub mod json;
pub mod node_config;
pub mod record;
pub mod state;

// Whose container it is, and what is to be done with it.
pub mod identity;
pub mod mounts;
pub mod plan;

// The file, byte for byte.
pub mod addresses;
pub mod downward_api;
pub mod env_names;
pub mod host_aliases;
pub mod host_name;
pub mod hosts_file;
pub mod kubelet_file;
pub mod pod;
pub mod validation;

// Which addresses a pod gets.
pub mod attachment;
pub mod fnv;
pub mod ipam;
pub mod sqlite;

// The kernel.
pub mod inputs;
pub mod sys;

// The programs.
pub mod cni;
pub mod hook;
pub mod report;
pub mod runtime;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod cri;
#[cfg(feature = "cli")]
pub mod doctor;
#[cfg(feature = "cli")]
pub mod engines;
#[cfg(feature = "cli")]
pub mod nri;
#[cfg(feature = "serve")]
pub mod serve;

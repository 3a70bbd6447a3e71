//! Kubernetes' view of a pod, as far as its hosts file goes: its names, addresses, HostAliases and annotations, the rules
//! that Kubernetes has for them, and the file, byte for byte. Nothing here asks the kernel or the clock.

pub mod addresses;
pub mod annotations;
pub mod env_names;
pub mod host_aliases;
pub mod host_name;
pub mod hosts_file;
pub mod json;
pub mod kubelet_file;
pub mod validation;

mod pod;

pub use pod::{Network, Pod, pod_ip_errors};

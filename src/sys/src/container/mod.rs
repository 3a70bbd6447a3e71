//! A container that is being made: its process and namespaces, its root file system, and the seal in it.

pub mod capabilities;
pub mod engine_mounts;
pub mod hosts_target;
pub mod hosts_view;
pub mod memory_cgroup;
pub mod netns;
pub mod process;
pub mod rootfs;
pub mod seal;

mod mount;

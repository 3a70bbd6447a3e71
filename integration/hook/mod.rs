//! The hook, in real containers, and the file it makes, against what the kubelet wrote.

mod bad_input;
mod cluster;
mod cluster_record;
mod docker;
mod hostile_rootfs;
mod kernel;
mod pods;
mod seal;
mod skip;
mod user_namespace;
pub(crate) mod vectors;

//! `podhosts configure` and `unconfigure`, judged by the engines.

mod bad_input;
mod beside;
mod built_in;
mod containerd;
mod crash;
mod crio;
mod engines;
mod files;
mod podman;
mod podman_hooks;
mod repeat;

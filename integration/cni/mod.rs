//! The CNI plugin, and the packet filter as nft and real traffic see it.

mod bad_input;
mod bad_input_keys;
mod bad_input_store;
mod bad_input_undone;
mod conflists;
mod conformance;
mod conformance_add;
mod conformance_check;
mod conformance_del;
mod conformance_gc;
mod conformance_runtime;
mod containerd;
mod disk;
mod faults;
mod faults_store;
mod nftables;
mod nftables_last_pod;
mod nftables_parallel;
mod nftables_traffic;
mod parallel;
mod podman;
mod regressions;
mod regressions_network;
mod roles;

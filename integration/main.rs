//! Tests of the whole: real runtimes, real kernels, real files. See CONTRIBUTING.md for how they are run.

#![allow(clippy::disallowed_methods, reason = "tests run other programs and write files as they like")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

mod harness;

// The pure part, against what the kubelet wrote.
mod render;
mod vectors;

// The hook, in real containers.
mod bad_input;
mod docker;
mod hostile_rootfs;
mod kernel;
mod kernels;
mod pods;
mod seal;
mod skip;
mod user_namespace;

// The packet filter, as nft and real traffic see it.
mod nftables;
mod nftables_parallel;
mod nftables_traffic;

// The other programs.
mod command_lines;
mod doctor;
mod doctor_broken;
mod downward_api;
mod inspect;
mod wrapper;
mod wrapper_crash;

// Engines' configuration.
mod configure;
mod configure_bad_input;
mod configure_beside;
mod configure_built_in;
mod configure_crash;
mod configure_engines;
mod configure_layouts;
mod configure_podman;
mod configure_repeat;
mod podman_hooks;
mod removal;

// The CNI plugin.
mod cni;
mod cni_bad_input;
mod cni_bad_input_keys;
mod cni_bad_input_store;
mod cni_bad_input_undone;
mod cni_conflists;
mod cni_conformance;
mod cni_conformance_add;
mod cni_conformance_check;
mod cni_conformance_del;
mod cni_conformance_gc;
mod cni_conformance_runtime;
mod cni_containerd;
mod cni_disk;
mod cni_faults;
mod cni_faults_store;
mod cni_parallel;
mod cni_podman;
mod cni_regressions;
mod cni_regressions_network;

// The engines, from crictl.
mod engine_containerd;
mod engine_containerd_kubelet;
mod engine_containerd_many;
mod engine_containerd_userns;
mod engine_crictl;
mod engine_doctor;
mod engine_newer;
mod engine_nri;
mod engine_podman;
mod engines;

// The API server.
mod serve_answers;
mod serve_changes;
mod serve_clients;
mod serve_containerd;
mod serve_crash;
mod serve_events;
mod serve_hostile;
mod serve_http;
mod serve_kubectl;
mod serve_log;
mod serve_namespaces;
mod serve_options;
mod serve_owners;
mod serve_pages;
mod serve_parts;
mod serve_reads;
mod serve_requests;
mod serve_rules;
mod serve_service;
mod serve_slices;
mod serve_store;
mod serve_versions;
mod serve_warnings;

// What hostile pods and clients try.
mod attacks;

// README's Limits, and the documents that name tests.
mod documents;
mod limits;

// All parsers.
mod fuzz_seeds;

// What is delivered with them.
mod delivered;
mod delivered_kubernetes;
mod install;

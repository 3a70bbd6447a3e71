//! Tests of the whole: real runtimes, real kernels, real files. See CONTRIBUTING.md for how they are run.

mod harness;

// The pure part, against what the kubelet wrote.
mod render;
mod vectors;

// The hook, in real containers.
mod bad_input;
mod hostile_rootfs;
mod kernel;
mod pods;
mod seal;
mod skip;
mod user_namespace;

// The other programs.
mod command_lines;
mod inspect;
mod wrapper;
mod wrapper_crash;

//! Tests of the whole: real runtimes, real kernels, real files. See CONTRIBUTING.md for how they are run.

#![allow(clippy::disallowed_methods, reason = "tests run other programs and write files as they like")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

mod harness;

mod hook;
mod kernels;
mod runtime;

mod cni;
mod network;
mod proxy;

// Several nodes.
mod cluster;

mod cli;
mod configure;
mod engines;

mod apiserver;

mod packaging;

// What hostile pods and clients try.
mod attacks;

// What docs/limits.md says that no other test shows.
mod limits;

// All parsers.
mod fuzz_seeds;

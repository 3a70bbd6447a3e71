//! `podhosts-node`: the network of a cluster's node, as the cluster's API server has it.

pub mod run;

/// The program's name, in its usage and in front of its errors.
pub const PROGRAM: &str = "podhosts-node";

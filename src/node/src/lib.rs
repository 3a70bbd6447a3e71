//! `podhosts-node`: the network of a cluster's node, as the cluster's API server has it.
//!
//! `api` follows objects of the API server and keeps of them what is used. `report` tells administrators and the cluster what
//! works: the Node's conditions, Events, health checks and metrics. `network` has routes to the pods of other Nodes,
//! masquerading and the plugin's configuration. `pods` keeps a record of each of the node's pods for the hook. `run` is the
//! whole program, from start to stop.

mod api;
mod network;
mod options;
mod pods;
mod problem;
mod readiness;
mod report;
pub mod run;
mod services;

/// The program's name, in its usage and in front of its errors.
pub const PROGRAM: &str = "podhosts-node";

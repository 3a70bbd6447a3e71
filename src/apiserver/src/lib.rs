//! `podhosts-apiserver`: the node's network configuration as Kubernetes API objects, for an unmodified kubectl.
//!
//! A request goes through these modules in this order: `http` (TLS, authentication, routing), `api` (paths, bodies, patches,
//! tables: the same for every kind), `registry` (one transaction for each change), the rules of its kind in `kinds`, and
//! `store` (SQLite). Neither `api` nor `registry` knows a kind by name: they take a `kind` and call its `resource`.

mod accounts;
pub mod api;
pub mod auth;
pub mod controllers;
mod http;
pub mod kind;
pub mod kinds;
mod kubeconfig;
mod machine;
pub mod object;
mod options;
pub mod pki;
pub mod registry;
pub mod resource;
pub mod run;
pub mod schema;
pub mod selector;
mod service_proxy;
mod small_set;
pub mod status;
pub mod store;
mod tables;
mod time;

/// The program's name, in its usage and in front of its errors.
pub const PROGRAM: &str = "podhosts-apiserver";

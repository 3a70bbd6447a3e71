//! Controllers: what kube-controller-manager does beside an API server. Each watches the registry and writes through it, as
//! a client does, so that a change of an object costs its own client nothing.

pub mod endpoints;

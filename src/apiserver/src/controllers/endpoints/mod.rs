//! Endpoints of Services: EndpointSlices and v1 Endpoints for the pods that a Service selects, slices for Endpoints that
//! somebody writes, and the endpoint of this server itself. It does what three controllers of kube-controller-manager do
//! (`endpointslice`, `endpoint`, `endpointslicemirroring`), and what the API server does for itself.
//!
//! The plans are pure: from a Service, the pods that it selects and what exists, to the fewest changes (`slices`,
//! `legacy`, `mirror`, `own`). `controller` watches the registry, knows by `index` which Services a change concerns,
//! and writes what `sync` plans for each of them, all of a Service as one change.

mod changes;
mod controller;
mod hints;
mod index;
mod legacy;
mod mirror;
mod own;
mod pod;
mod queue;
mod service;
mod slice;
mod slices;
mod subsets;
mod sync;
#[cfg(test)]
mod tests;
mod trigger;

pub use controller::run;
pub use own::Address;

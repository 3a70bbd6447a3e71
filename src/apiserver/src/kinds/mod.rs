//! The kinds that are served, a folder each, with the rules of Kubernetes 1.36: defaults, validation with upstream's error
//! texts, and changes of other objects.

pub mod absent;
mod age;
mod columns;
mod config;
pub mod endpoint_slice;
pub mod endpoints;
pub mod event;
pub(crate) mod family;
mod faults;
pub mod ip_address;
mod meta;
pub mod namespace;
pub mod node;
mod owners;
pub mod pod;
#[cfg(test)]
mod published_tests;
mod read_only;
pub mod review;
pub mod service;
pub mod service_cidr;
#[cfg(test)]
mod small_tests;
#[cfg(test)]
mod testing;
mod verbs;

pub use config::{Config, CriEndpoint, PoolRange, PortRange};
pub(crate) use family::{FamilyExt, IpFamily};

use std::sync::Arc;

use super::kind::Kind;
use super::resource::Resource;

/// All kinds: those that are served, and those without objects ([`absent`]).
pub fn every() -> Vec<&'static Kind> {
    known(&all(Config::default()))
}

/// The kinds of `served` and those without objects. A path names one of these.
pub fn known(served: &[Box<dyn Resource>]) -> Vec<&'static Kind> {
    served.iter().map(|resource| resource.kind()).chain(absent::ALL).collect()
}

/// All kinds, in the order in which they reconcile: a Service needs its namespace and a ServiceCIDR.
pub fn all(config: Config) -> Vec<Box<dyn Resource>> {
    let config = Arc::new(config);
    vec![
        Box::new(namespace::Namespaces::new(namespace_contents(&config))),
        Box::new(service_cidr::ServiceCidrs::new(config.clone())),
        Box::new(ip_address::IpAddresses),
        Box::new(service::Services::new(config.clone())),
        Box::new(endpoint_slice::EndpointSlices),
        Box::new(endpoints::Endpoints),
        Box::new(event::Events),
        // Follows the kind that stores its objects.
        Box::new(event::v1::EventsV1),
        Box::new(node::Nodes),
        Box::new(pod::Pods),
        Box::new(review::Access),
        Box::new(review::Rules),
        Box::new(review::Subject),
    ]
}

/// The kinds that are in namespaces and stored.
fn namespace_contents(config: &Arc<Config>) -> Vec<Box<dyn Resource>> {
    vec![
        Box::new(service::Services::new(config.clone())),
        Box::new(endpoint_slice::EndpointSlices),
        Box::new(endpoints::Endpoints),
        Box::new(event::Events),
    ]
}

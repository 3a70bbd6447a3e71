//! The kinds that are served, each with Kubernetes 1.36's rules: what is filled in, what is refused and how that is
//! said, and what changes along with an object.

pub mod absent;
mod age;
mod columns;
mod config;
pub mod endpoint_slice;
pub mod event;
mod family;
mod faults;
pub mod ip_address;
mod meta;
pub mod namespace;
pub mod node;
mod owners;
pub mod pod;
mod read_only;
pub mod review;
pub mod schemas;
pub mod service;
pub mod service_cidr;
#[cfg(test)]
mod small_tests;
#[cfg(test)]
mod testing;
mod verbs;

pub use config::{Config, PoolRange, PortRange};
pub use family::Family;

use std::sync::Arc;

use super::resource::Resource;

/// All kinds, in the order in which they reconcile: a Service needs its namespace and a ServiceCIDR.
pub fn all(config: Config) -> Vec<Box<dyn Resource>> {
    let config = Arc::new(config);
    vec![
        Box::new(namespace::Namespaces::new(config.clone())),
        Box::new(service_cidr::ServiceCidrs::new(config.clone())),
        Box::new(ip_address::IpAddresses),
        Box::new(service::Services::new(config.clone())),
        Box::new(endpoint_slice::EndpointSlices),
        Box::new(event::Events),
        // Behind the kind that stores them.
        Box::new(event::v1::EventsV1),
        Box::new(node::Nodes::new(config.clone())),
        Box::new(pod::Pods::new(config)),
        Box::new(review::Access),
        Box::new(review::Rules),
        Box::new(review::Subject),
    ]
}

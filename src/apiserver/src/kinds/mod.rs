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
pub(crate) mod pod_requests;
#[cfg(test)]
mod published_tests;
mod read_only;
pub mod review;
pub mod service;
pub mod service_cidr;
#[cfg(test)]
mod small_tests;
mod stored;
#[cfg(test)]
mod testing;
mod verbs;

pub use config::{Config, CriEndpoint, NodeSource, PoolRange, PortRange, ZONE_LABEL};
pub(crate) use family::{FamilyExt, IpFamily};
pub(crate) use stored::{account as service_account, rbac};

use std::sync::Arc;

use super::kind::{Kind, Source, Subresource};
use super::resource::Resource;

/// All kinds: those that are served, and those without objects ([`absent`]).
pub fn every() -> Vec<&'static Kind> {
    known(&all(Config::default()))
}

/// All kinds whose objects a store may have.
pub fn stored() -> Vec<&'static Kind> {
    let all = all(Config { nodes: NodeSource::Stored, ..Config::default() });
    all.iter().map(|resource| resource.kind()).filter(|kind| kind.source == Source::Stored).collect()
}

/// The kinds of `served` and those without objects. A path names one of these.
pub fn known(served: &[Box<dyn Resource>]) -> Vec<&'static Kind> {
    let served: Vec<&'static Kind> = served.iter().map(|resource| resource.kind()).collect();
    let absent = absent::ALL.iter().filter(|kind| !served.contains(kind));
    served.iter().copied().chain(absent).collect()
}

/// The kind of the objects with which a part is asked for.
pub(crate) fn requested(part: Subresource) -> Option<&'static Kind> {
    match part {
        Subresource::Status | Subresource::Finalize => None,
        Subresource::Token => Some(&review::TOKEN_REQUEST),
        Subresource::Binding => Some(&pod_requests::BINDING),
        Subresource::Eviction => Some(&pod_requests::EVICTION),
    }
}

/// All kinds, in the order in which they reconcile: a Service needs its namespace and a ServiceCIDR.
pub fn all(config: Config) -> Vec<Box<dyn Resource>> {
    let config = Arc::new(config);
    let mut all: Vec<Box<dyn Resource>> = vec![
        Box::new(namespace::Namespaces::new(namespace_contents(&config))),
        Box::new(service_cidr::ServiceCidrs::new(config.clone())),
        Box::new(ip_address::IpAddresses),
        Box::new(service::Services::new(config.clone())),
        Box::new(endpoint_slice::EndpointSlices),
        Box::new(endpoints::Endpoints),
        Box::new(event::Events),
        // Follows the kind that stores its objects.
        Box::new(event::v1::EventsV1),
    ];
    match config.nodes {
        NodeSource::Machine => all.extend([Box::new(node::Nodes) as Box<dyn Resource>, Box::new(pod::Pods)]),
        NodeSource::Stored => {
            all.extend(stored::resources(&config));
            all.extend([
                Box::new(review::OtherAccess) as Box<dyn Resource>,
                Box::new(review::LocalAccess),
                Box::new(review::Token),
            ]);
        }
    }
    all.extend([
        Box::new(review::Access) as Box<dyn Resource>,
        Box::new(review::Rules),
        Box::new(review::Subject),
    ]);
    all
}

/// The kinds that are in namespaces and stored.
fn namespace_contents(config: &Arc<Config>) -> namespace::Contents {
    let mut served: Vec<Box<dyn Resource>> = vec![
        Box::new(service::Services::new(config.clone())),
        Box::new(endpoint_slice::EndpointSlices),
        Box::new(endpoints::Endpoints),
        Box::new(event::Events),
    ];
    let clients = stored::resources(config).filter(|resource| resource.kind().namespaced);
    let mut unserved = Vec::new();
    match config.nodes {
        NodeSource::Stored => served.extend(clients),
        NodeSource::Machine => unserved.extend(clients.map(|resource| resource.kind())),
    }
    namespace::Contents { served, unserved }
}

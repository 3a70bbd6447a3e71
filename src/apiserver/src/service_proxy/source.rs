//! The registry as the Service proxy follows it.

use std::net::IpAddr;

use ipnet::IpNet;
use proxy::ObjectName;
use proxy::read::{ReadSlice, ServiceObject, SliceObject};
use proxy::thread::{News as Told, NodeFacts, Source};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::feed::{Feed, News};
use crate::kinds::{Config, endpoint_slice, pod, service, service_cidr};
use crate::registry::{Key, Registry};
use crate::status::ApiError;
use crate::store::Stored;

/// Follows the registry as every watch does.
pub(super) struct RegistrySource {
    versions: watch::Receiver<u64>,
    services: Feed,
    slices: Feed,
    cidrs: Feed,
    pods: Feed,
    pod_cidrs: Vec<IpNet>,
    /// This node's own addresses.
    own: Vec<IpAddr>,
    /// This node, until it has been told.
    node: Option<NodeFacts>,
}

impl RegistrySource {
    pub(super) fn new(registry: &Registry, config: &Config) -> Self {
        let feed = |kind| Feed::new(registry.clone(), kind);
        let (name, addresses) = (config.node_name.clone(), config.node_ips.clone());
        let zone = config.zone().map(str::to_owned);
        Self {
            versions: registry.versions(),
            services: feed(&service::KIND),
            slices: feed(&endpoint_slice::KIND),
            cidrs: feed(&service_cidr::KIND),
            pods: feed(&pod::KIND),
            pod_cidrs: config.pod_cidrs.clone(),
            own: addresses.clone(),
            node: Some(NodeFacts { name, zone, addresses, server: None }),
        }
    }

    async fn take_until(&mut self, version: u64, mut tell: impl FnMut(Told)) -> Result<(), ApiError> {
        if let Some(node) = self.node.take() {
            // A Pod is in a namespace, so no Pod has this name.
            tell(Told::PodNetworks(ObjectName::new("", node.name.as_str()), self.pod_cidrs.clone()));
            tell(Told::Node(node));
        }
        let take = |news| {
            let (name, stored) = parts(news);
            let service = stored.and_then(|it| read::<ServiceObject>("Service", &it));
            tell(Told::Service(name, service.and_then(ServiceObject::into_service)));
        };
        self.services.until(version, take).await?;
        let take = |news| {
            let (name, stored) = parts(news);
            let slice = stored.and_then(|it| read::<SliceObject>("EndpointSlice", &it));
            tell(Told::Slice(name, slice.map(ReadSlice::from)));
        };
        self.slices.until(version, take).await?;
        let own = &self.own;
        let take = |news| {
            let (name, stored) = parts(news);
            let networks = stored.map(|it| networks(&it, &name, own)).unwrap_or_default();
            tell(Told::ServiceNetworks(name, networks));
        };
        self.cidrs.until(version, take).await?;
        let pod_cidrs = &self.pod_cidrs;
        let take = |news| {
            let (name, stored) = parts(news);
            let addresses = stored.map(|it| addresses(&it)).unwrap_or_default().into_iter();
            let others = addresses.filter(|address| !pod_cidrs.iter().any(|net| net.contains(address)));
            tell(Told::PodNetworks(name, others.map(IpNet::from).collect()));
        };
        self.pods.until(version, take).await
    }
}

impl Source for RegistrySource {
    async fn changed(&mut self) -> bool {
        self.versions.changed().await.is_ok()
    }

    async fn take(&mut self, tell: impl FnMut(Told)) -> Result<Option<u64>, String> {
        let version = *self.versions.borrow_and_update();
        match self.take_until(version, tell).await {
            Ok(()) => Ok(Some(version)),
            Err(error) => {
                self.versions.mark_changed();
                Err(format!("cannot read the store: {}", error.message))
            }
        }
    }
}

fn parts(news: News) -> (ObjectName, Option<Stored>) {
    let name = |(namespace, name): Key| ObjectName { namespace, name };
    match news {
        News::Is(key, stored) => (name(key), Some(stored)),
        News::Gone(key) => (name(key), None),
    }
}

/// Reads an object; one that cannot be read leads nowhere.
fn read<T: DeserializeOwned>(kind: &str, stored: &Stored) -> Option<T> {
    match serde_json::from_str(&stored.text) {
        Ok(read) => Some(read),
        Err(error) => {
            tracing::error!("cannot read a stored {kind}: {error}");
            None
        }
    }
}

/// The networks of a ServiceCIDR whose addresses are dropped if no Service has them. One that contains an address of this
/// node's is left out: nobody would reach the server to take the ServiceCIDR back.
fn networks(stored: &Stored, name: &ObjectName, own: &[IpAddr]) -> Vec<IpNet> {
    let mut networks = stored.object().map(|object| service_cidr::networks(&object)).unwrap_or_default();
    networks.retain(|network| {
        let inside = own.iter().find(|address| network.contains(*address));
        if let Some(address) = inside {
            tracing::warn!(
                "{network} of ServiceCIDR {} contains {address}, an address of this node: packets to addresses there that \
                 no Service has are not dropped",
                name.name
            );
        }
        inside.is_none()
    });
    networks
}

fn addresses(stored: &Stored) -> Vec<IpAddr> {
    let object = stored.object().unwrap_or_default();
    let status = object.0.get("status").and_then(|status| status["podIPs"].as_array());
    status.into_iter().flatten().filter_map(|one| one["ip"].as_str()?.parse().ok()).collect()
}

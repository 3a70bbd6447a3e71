//! What the thread waits for, and what it does then.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use super::announce::{Announcements, Announcing};
use super::feed::{Feed, News};
use super::health::{HealthChecks, Local};
use super::metrics::ProxyMetrics;
use super::readable::Readable;
use super::thread::ProxyError;
use super::{node, objects};
use crate::kinds::{Config, endpoint_slice, pod, service, service_cidr};
use crate::registry::{Key, Registry};
use crate::status::ApiError;
use crate::store::Stored;
use proxy::{Node, ObjectName, Programmer, Proxy};
use sys::net::rtnetlink::{AddressChanges, node_addresses};
use sys::net::services::{Notices, Table};

/// What the proxy follows, and how.
pub(super) struct Follow {
    pub(super) registry: Registry,
    pub(super) config: Config,
    pub(super) announcing: Announcing,
}

/// The state of the thread.
pub(super) struct Run<'a> {
    config: Config,
    metrics: &'a ProxyMetrics,
    programmer: Programmer,
    feeds: Feeds,
    /// The networks of each ServiceCIDR, and the addresses of each pod.
    service_networks: BTreeMap<Key, Vec<ipnet::IpNet>>,
    pods: BTreeMap<Key, Vec<IpAddr>>,
    node_addresses: Vec<IpAddr>,
    /// The addresses of each Service that are answered on a network.
    load_balancers: BTreeMap<ObjectName, Vec<IpAddr>>,
    announcements: Announcements,
    /// Whether the node's addresses or those of load balancers may have changed.
    is_readdressed: bool,
    health: HealthChecks,
    /// `None` while the table is made anew.
    notices: Option<Readable<Notices>>,
    addresses: Readable<AddressChanges>,
    versions: watch::Receiver<u64>,
    /// Everything up to this version was read.
    version: u64,
    /// When what the kernel refused is tried again.
    retry: Option<Instant>,
    /// When the changes happened that are not in the packet filter yet.
    triggered: Vec<SystemTime>,
    /// Changes from before the start say nothing about how long they took.
    started: SystemTime,
}

struct Feeds {
    services: Feed,
    slices: Feed,
    cidrs: Feed,
    pods: Feed,
}

/// How long what failed is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Why the thread goes on.
enum Wake {
    Changed,
    Foreign,
    Addresses,
    Retry,
    Stop,
}

impl<'a> Run<'a> {
    /// Reads everything, and brings the packet filter up to date.
    pub(super) async fn begin(follow: Follow, metrics: &'a ProxyMetrics) -> Result<Self, ProxyError> {
        let Follow { registry, config, announcing } = follow;
        // First: what happens from here on is not missed.
        let addresses = Readable::new(AddressChanges::watch()?, "the node's addresses")?;
        let feed = |kind| Feed::new(registry.clone(), kind);
        let feeds = Feeds {
            services: feed(&service::KIND),
            slices: feed(&endpoint_slice::KIND),
            cidrs: feed(&service_cidr::KIND),
            pods: feed(&pod::KIND),
        };
        let mut run = Self {
            programmer: Programmer::new(Proxy::new(Node::default()), Table::open()?),
            versions: registry.versions(),
            health: HealthChecks::new(config.node_ips.clone()),
            announcements: Announcements::new(announcing),
            load_balancers: BTreeMap::new(),
            is_readdressed: true,
            service_networks: BTreeMap::new(),
            pods: BTreeMap::new(),
            node_addresses: Vec::new(),
            retry: None,
            triggered: Vec::new(),
            started: SystemTime::now(),
            version: 0,
            config,
            metrics,
            feeds,
            notices: None,
            addresses,
        };
        run.read_addresses()?;
        run.catch_up().await.map_err(|error| ProxyError::Store(error.message))?;
        run.program();
        // A listener makes a large transaction several times as long, so it comes after the first one. Whatever others did
        // in between is found by a comparison.
        run.notices = Some(listen()?);
        run.programmer.distrust();
        Ok(run)
    }

    /// Serves until `stopping` becomes true.
    pub(super) async fn until(mut self, mut stopping: watch::Receiver<bool>) {
        loop {
            match self.wait(&mut stopping).await {
                Wake::Stop => return,
                Wake::Changed => {
                    if let Err(error) = self.catch_up().await {
                        tracing::error!("cannot read the store for the Service proxy: {}", error.message);
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                Wake::Foreign => {
                    self.metrics.repaired();
                    tracing::warn!(
                        "the table inet podhosts-services was changed by somebody else, and is made right again"
                    );
                    self.repair().await;
                }
                Wake::Addresses => {
                    if let Err(error) = self.read_addresses() {
                        tracing::error!("cannot read the node's addresses: {error}");
                    }
                }
                Wake::Retry => {}
            }
            self.program();
        }
    }

    /// Makes the table right, after somebody else has changed it.
    async fn repair(&mut self) {
        self.notices = None;
        self.programmer.distrust();
        self.program();
        match listen() {
            Ok(notices) => self.notices = Some(notices),
            Err(error) => {
                tracing::error!("cannot watch the packet filter: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
        // Whatever others did while nobody listened.
        self.programmer.distrust();
    }

    async fn wait(&mut self, stopping: &mut watch::Receiver<bool>) -> Wake {
        let own = self.programmer.port_id();
        let retry = self.retry.map(tokio::time::Instant::from_std);
        let retrying = async {
            match retry {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let foreign = async {
            match &mut self.notices {
                Some(notices) => notices.until(|notices| notices.has_foreign_change(own)).await,
                // It could not be opened: a look once in a while has to do.
                None => tokio::time::sleep(PAUSE).await,
            }
        };
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => Wake::Stop,
            changed = self.versions.changed() => if changed.is_ok() { Wake::Changed } else { Wake::Stop },
            () = foreign => Wake::Foreign,
            () = self.addresses.until(AddressChanges::read) => Wake::Addresses,
            () = retrying => Wake::Retry,
        }
    }

    /// Takes all changes that the store has by now.
    async fn catch_up(&mut self) -> Result<(), ApiError> {
        let version = *self.versions.borrow_and_update();
        self.take_services(version).await?;
        self.take_slices(version).await?;
        self.take_networks(version).await?;
        self.version = version;
        Ok(())
    }

    async fn take_services(&mut self, version: u64) -> Result<(), ApiError> {
        let (proxy, metrics) = (self.programmer.proxy_mut(), self.metrics);
        let (pools, load_balancers) = (&self.config.load_balancer_pools, &mut self.load_balancers);
        let is_readdressed = &mut self.is_readdressed;
        let take = |news| {
            metrics.service_changed();
            let (key, stored) = parts(news);
            let (name, service) =
                (name(key), stored.and_then(|stored| read("Service", &stored, objects::service)));
            let all = service.iter().flat_map(|service| &service.load_balancer_ips).copied();
            let own: Vec<IpAddr> = all.filter(|address| service::is_in_pool(pools, *address)).collect();
            let before = if own.is_empty() {
                load_balancers.remove(&name)
            } else {
                load_balancers.insert(name.clone(), own)
            };
            *is_readdressed |= before.as_ref() != load_balancers.get(&name);
            proxy.set_service(name, service);
        };
        self.feeds.services.until(version, take).await
    }

    async fn take_slices(&mut self, version: u64) -> Result<(), ApiError> {
        let (proxy, metrics) = (self.programmer.proxy_mut(), self.metrics);
        let (triggered, started) = (&mut self.triggered, self.started);
        let take = |news| {
            metrics.slice_changed();
            let (key, stored) = parts(news);
            let slice = stored.and_then(|stored| read("EndpointSlice", &stored, objects::slice));
            triggered.extend(slice.as_ref().and_then(|read| read.triggered).filter(|time| *time > started));
            proxy.set_slice(name(key), slice.and_then(|read| read.slice));
        };
        self.feeds.slices.until(version, take).await
    }

    /// Takes the networks of ServiceCIDRs and the addresses of Pods.
    async fn take_networks(&mut self, version: u64) -> Result<(), ApiError> {
        let mut is_changed = false;
        let networks = &mut self.service_networks;
        let take = |news| is_changed |= keep(networks, news, networks_of);
        self.feeds.cidrs.until(version, take).await?;
        let pods = &mut self.pods;
        let take = |news| is_changed |= keep(pods, news, addresses_of);
        self.feeds.pods.until(version, take).await?;
        if is_changed {
            self.set_node();
        }
        Ok(())
    }

    fn read_addresses(&mut self) -> Result<(), ProxyError> {
        self.node_addresses = node_addresses()?.iter().map(|found| found.address.addr()).collect();
        self.is_readdressed = true;
        self.set_node();
        Ok(())
    }

    fn set_node(&mut self) {
        let pods: Vec<IpAddr> = self.pods.values().flatten().copied().collect();
        let networks = self.service_networks.values().flatten().copied().collect();
        let node = node::node(&self.config, None, &self.node_addresses, &pods, networks);
        self.programmer.proxy_mut().set_node(node);
    }

    /// Brings the packet filter up to date.
    fn program(&mut self) {
        let begun = Instant::now();
        let done = self.programmer.program(begun);
        self.retry = done.retry;
        if done.removed + done.added > 0 || done.replaced {
            self.metrics.synced(begun.elapsed());
        }
        for refusal in &done.refused {
            self.metrics.failed();
            let service = refusal.service.as_ref().map(ToString::to_string);
            tracing::error!(service, "{}", refusal.error);
        }
        if let Some(error) = &done.error {
            self.metrics.failed();
            tracing::error!("{error}");
        }
        if done.retry.is_none() {
            self.metrics.reached(self.version);
            let now = SystemTime::now();
            for time in self.triggered.drain(..) {
                self.metrics.programmed(now.duration_since(time).unwrap_or_default());
            }
        }
        if std::mem::take(&mut self.is_readdressed) {
            self.announcements.set(&self.load_balancers.values().flatten().copied().collect());
        }
        let health = self.programmer.proxy().health().into_iter().map(|check| {
            let endpoints = check.endpoints_v4.max(check.endpoints_v6);
            (check.port, Local { service: (*check.service).clone(), endpoints })
        });
        self.health.set(health.collect());
    }
}

fn listen() -> Result<Readable<Notices>, ProxyError> {
    Ok(Readable::new(Notices::open()?, "the packet filter")?)
}

/// Keeps what is read of each object. Returns whether that changed.
fn keep<T: PartialEq>(kept: &mut BTreeMap<Key, T>, news: News, read: impl Fn(&Stored) -> T) -> bool {
    match news {
        News::Is(key, stored) => {
            let new = read(&stored);
            if kept.get(&key) == Some(&new) {
                return false;
            }
            kept.insert(key, new);
            true
        }
        News::Gone(key) => kept.remove(&key).is_some(),
    }
}

fn parts(news: News) -> (Key, Option<Stored>) {
    match news {
        News::Is(key, stored) => (key, Some(stored)),
        News::Gone(key) => (key, None),
    }
}

fn name((namespace, name): Key) -> ObjectName {
    ObjectName { namespace, name }
}

/// Reads an object; one that cannot be read leads nowhere.
fn read<T>(kind: &str, stored: &Stored, read: impl FnOnce(&str) -> serde_json::Result<T>) -> Option<T> {
    match read(&stored.text) {
        Ok(read) => Some(read),
        Err(error) => {
            tracing::error!("cannot read a stored {kind}: {error}");
            None
        }
    }
}

fn networks_of(stored: &Stored) -> Vec<ipnet::IpNet> {
    stored.object().map(|object| service_cidr::networks(&object)).unwrap_or_default()
}

fn addresses_of(stored: &Stored) -> Vec<IpAddr> {
    let object = stored.object().unwrap_or_default();
    let status = object.0.get("status").and_then(|status| status["podIPs"].as_array());
    status.into_iter().flatten().filter_map(|one| one["ip"].as_str()?.parse().ok()).collect()
}

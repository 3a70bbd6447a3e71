//! What the thread waits for, and what it does then.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use sys::net::rtnetlink::{AddressChanges, node_addresses};
use sys::net::services::{Notices, Table};
use tokio::sync::watch;

use super::announce::Announcements;
use super::followed::Followed;
use super::health::{HealthChecks, Local};
use super::metrics::ProxyMetrics;
use super::readable::Readable;
use super::source::Source;
use super::{ProxyError, Settings};
use crate::objects::Node;
use crate::programmer::Programmer;
use crate::proxy::Proxy;

/// The state of the thread.
pub(super) struct Run<'a, S> {
    source: S,
    metrics: &'a ProxyMetrics,
    programmer: Programmer,
    followed: Followed,
    announcements: Announcements,
    health: HealthChecks,
    /// `None` while the table is made anew.
    notices: Option<Readable<Notices>>,
    addresses: Readable<AddressChanges>,
    /// The newest version that was read; `None` while objects are missing that are there at the start.
    version: Option<u64>,
    /// When what the kernel refused is tried again.
    retry: Option<Instant>,
    /// What Services do not get, as it was told.
    denied: BTreeSet<String>,
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

impl<'a, S: Source> Run<'a, S> {
    /// Gets ready, and changes nothing yet.
    pub(super) fn new(source: S, settings: Settings, metrics: &'a ProxyMetrics) -> Result<Self, ProxyError> {
        let Settings { announcing, is_announced, hint } = settings;
        // First: what happens from here on is not missed.
        let addresses = Readable::new(AddressChanges::watch()?, "the node's addresses")?;
        let table = Table::open().map_err(|error| ProxyError::Table { error, hint })?;
        let mut run = Self {
            source,
            metrics,
            programmer: Programmer::new(Proxy::new(Node::default()), table),
            followed: Followed::new(is_announced),
            announcements: Announcements::new(announcing),
            health: HealthChecks::new(),
            notices: None,
            addresses,
            version: None,
            retry: None,
            denied: BTreeSet::new(),
        };
        run.read_addresses()?;
        Ok(run)
    }

    /// Brings the packet filter up to date, as soon as the source has told everything.
    pub(super) async fn begin(&mut self, stopping: &mut watch::Receiver<bool>) -> Result<(), ProxyError> {
        loop {
            self.catch_up().await.map_err(ProxyError::Source)?;
            if self.version.is_some() {
                break;
            }
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return Err(ProxyError::Stopped),
                changed = self.source.changed() => if !changed { return Err(ProxyError::Stopped) },
            }
        }
        // What happened before was not for the packet filter to show.
        self.followed.take_triggered();
        self.program();
        // A listener makes a large transaction several times as long, so it comes after the first one. Whatever others did
        // in between is found by a comparison.
        self.notices = Some(listen()?);
        self.programmer.distrust();
        Ok(())
    }

    /// Serves until `stopping` becomes true.
    pub(super) async fn until(mut self, mut stopping: watch::Receiver<bool>) {
        loop {
            match self.wait(&mut stopping).await {
                Wake::Stop => return,
                Wake::Changed => {
                    if let Err(error) = self.catch_up().await {
                        tracing::error!("cannot follow Services: {error}");
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
            changed = self.source.changed() => if changed { Wake::Changed } else { Wake::Stop },
            () = foreign => Wake::Foreign,
            () = self.addresses.until(AddressChanges::read) => Wake::Addresses,
            () = retrying => Wake::Retry,
        }
    }

    /// Takes all changes that the source has by now.
    async fn catch_up(&mut self) -> Result<(), String> {
        let (followed, metrics) = (&mut self.followed, self.metrics);
        let proxy = self.programmer.proxy_mut();
        let version = self.source.take(|news| followed.take(news, proxy, metrics)).await?;
        self.version = version.or(self.version);
        Ok(())
    }

    fn read_addresses(&mut self) -> Result<(), ProxyError> {
        let addresses = node_addresses()?.iter().map(|found| found.address.addr()).collect();
        self.followed.set_interfaces(addresses);
        Ok(())
    }

    /// Tells what Services do not get.
    fn tell_denied(&mut self) {
        let denied = self.programmer.proxy().denied();
        let denied: BTreeSet<String> =
            denied.map(|(name, denied)| format!("Service {name} does not get {denied}")).collect();
        denied.difference(&self.denied).for_each(|told| tracing::warn!("{told}"));
        self.metrics.denied(denied.len());
        self.denied = denied;
    }

    /// Brings the packet filter up to date.
    fn program(&mut self) {
        if let Some(node) = self.followed.take_node() {
            self.programmer.proxy_mut().set_node(node);
        }
        self.tell_denied();
        let begun = Instant::now();
        let done = self.programmer.program(begun);
        self.retry = done.retry;
        if done.removed + done.added > 0 || done.replaced {
            self.metrics.synced(begun.elapsed());
        }
        // The programmer told of each failure when it was new, and tries again.
        let failures = done.refused.len() + usize::from(done.error.is_some());
        (0..failures).for_each(|_| self.metrics.failed());
        if let (None, Some(version)) = (done.retry, self.version) {
            self.metrics.reached(version);
            let now = SystemTime::now();
            for time in self.followed.take_triggered() {
                self.metrics.programmed(now.duration_since(time).unwrap_or_default());
            }
        }
        if let Some(addresses) = self.followed.take_load_balancer_ips() {
            self.announcements.set(&addresses.collect());
        }
        let health = self.programmer.proxy().health().into_iter().map(|check| {
            let endpoints = check.endpoints_v4.max(check.endpoints_v6);
            (check.port, Local { service: (*check.service).clone(), endpoints })
        });
        self.health.set(&self.followed.node.addresses, health.collect());
    }
}

fn listen() -> Result<Readable<Notices>, ProxyError> {
    Ok(Readable::new(Notices::open()?, "the packet filter")?)
}

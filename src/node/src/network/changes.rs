//! Changes that other programs make in this node's network.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::os::fd::AsFd;
use std::time::Duration;

use ipnet::IpNet;
use sys::net::masquerade::{MasqueradeChanges, MasqueradeTable};
use sys::net::rtnetlink::NetworkChanges;
use tokio::time::{Instant, sleep, sleep_until};

use super::NetworkFault;
use super::routes::PROTOCOL;
use crate::readiness::Readiness;

/// The time between two changes that are told of: two programs that undo each other's work do so at leisure.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a socket that cannot be read is left alone.
const BLIND: Duration = Duration::from_secs(1);

/// The sockets that tell of changes.
pub(super) struct Changes {
    network: NetworkChanges,
    masquerade: MasqueradeChanges,
    /// Both sockets in the event loop, once somebody waits there.
    readiness: Option<Readiness>,
    /// No change is told of before.
    next: Option<Instant>,
}

impl Changes {
    pub(super) fn watch(table: &MasqueradeTable) -> Result<Self, NetworkFault> {
        let (network, masquerade) = (NetworkChanges::watch()?, table.watch()?);
        Ok(Self { network, masquerade, readiness: None, next: None })
    }

    /// Reads what has arrived, without waiting; tells whether something may have changed. `own` is the socket by which this
    /// program makes its changes, and `destinations` are those of routes that matter.
    pub(super) fn take(&mut self, own: u32, destinations: &BTreeSet<IpNet>) -> bool {
        let (network, masquerade) = self.read(own, destinations);
        network.unwrap_or(true) | masquerade.unwrap_or(true)
    }

    fn read(
        &mut self,
        own: u32,
        destinations: &BTreeSet<IpNet>,
    ) -> (Result<bool, impl Display + use<>>, Result<bool, impl Display + use<>>) {
        (self.network.read(own, PROTOCOL, destinations), self.masquerade.read())
    }

    /// Waits until something may have changed.
    pub(super) async fn wait(&mut self, own: u32, destinations: &BTreeSet<IpNet>) {
        if let Some(next) = self.next {
            sleep_until(next).await;
        }
        loop {
            let readiness = match &self.readiness {
                Some(readiness) => readiness,
                None => match Readiness::of([self.network.as_fd(), self.masquerade.as_fd()]) {
                    Ok(readiness) => self.readiness.insert(readiness),
                    Err(error) => {
                        tracing::error!("cannot watch the network: {error}");
                        return std::future::pending().await;
                    }
                },
            };
            if !readiness.wait().await {
                return std::future::pending().await;
            }
            let (network, masquerade) = self.read(own, destinations);
            let (network, masquerade) = (seen(network).await, seen(masquerade).await);
            if network || masquerade {
                self.next = Some(Instant::now() + PAUSE);
                return;
            }
        }
    }
}

/// After an error, which is logged, anything may have changed.
async fn seen(read: Result<bool, impl Display>) -> bool {
    match read {
        Ok(changed) => changed,
        Err(error) => {
            tracing::error!("{error}");
            sleep(BLIND).await;
            true
        }
    }
}

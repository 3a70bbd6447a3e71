//! Flows that the kernel is to forget.

use std::time::Instant;

use sys::net::conntrack::{Conntrack, ConntrackError, Flow};
use sys::net::services::Place;

use super::pause::Pause;
use crate::flows::Leads;
use crate::proxy::Proxy;

/// The places whose flows are to be checked.
#[derive(Debug, Default)]
pub(super) struct Flows {
    places: Vec<Place>,
    conntrack: Option<Conntrack>,
    pause: Pause,
}

impl Flows {
    pub(super) fn add(&mut self, places: impl IntoIterator<Item = Place>) {
        self.places.extend(places);
    }

    /// Has the kernel forget the flows to endpoints that are gone, if there may be any. Returns their number.
    pub(super) fn check(&mut self, proxy: &Proxy, now: Instant) -> usize {
        if self.places.is_empty() || !self.pause.is_due(now) {
            return 0;
        }
        self.places.sort_unstable();
        self.places.dedup();
        match forget(&mut self.conntrack, &proxy.leads(&self.places)) {
            Ok(forgotten) => {
                self.places = Vec::new();
                self.pause = Pause::default();
                forgotten
            }
            Err(error) => {
                self.conntrack = None;
                if self.pause.fail(now, &error.to_string()) {
                    tracing::warn!(%error, "clients may go on to send to endpoints that are gone");
                }
                0
            }
        }
    }

    /// When the next attempt is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.pause.until.filter(|_| !self.places.is_empty())
    }
}

fn forget(conntrack: &mut Option<Conntrack>, leads: &Leads) -> Result<usize, ConntrackError> {
    let conntrack = match conntrack {
        Some(conntrack) => conntrack,
        None => conntrack.insert(Conntrack::open()?),
    };
    let mut stale: Vec<Flow> = Vec::new();
    conntrack.for_each(|flow| stale.extend(leads.is_stale(flow).then_some(flow)))?;
    let mut forgotten = 0;
    for flow in &stale {
        forgotten += usize::from(conntrack.delete(flow)?);
    }
    Ok(forgotten)
}

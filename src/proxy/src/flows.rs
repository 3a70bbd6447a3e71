//! Which flows lead to endpoints that are gone.
//!
//! Connection tracking remembers where the first packet of a flow was led, for as long as packets come. A TCP client
//! notices an endpoint that is gone and connects again; one of UDP or SCTP may go on to send to it for ever.

use std::collections::HashMap;
use std::sync::Arc;

use sys::net::conntrack::Flow;
use sys::net::nft::Protocol;
use sys::net::services::{Endpoint, Place};

use crate::proxy::Proxy;

/// The places of a Service with the endpoints that may answer there, both sorted.
pub(crate) type Answering = [(Place, Arc<[Endpoint]>)];

/// The places that may have flows to endpoints that are gone: places that came or went, and those that lost an endpoint
/// or have their first ones.
pub(crate) fn changed(before: &Answering, after: &Answering) -> Vec<Place> {
    let old = |place| found(before, place).is_some_and(|old| !old.is_empty());
    let lost = |place, now: &[Endpoint]| found(before, place).is_some_and(|old| !is_subset(old, now));
    let gone = before.iter().filter(|(place, _)| found(after, *place).is_none());
    let changed = after.iter().filter(|(place, now)| !old(*place) || lost(*place, now));
    gone.chain(changed).map(|(place, _)| *place).collect()
}

fn found(answering: &Answering, place: Place) -> Option<&[Endpoint]> {
    let at = answering.binary_search_by_key(&place, |(place, _)| *place).ok()?;
    answering.get(at).map(|(_, endpoints)| &**endpoints)
}

fn is_subset(some: &[Endpoint], all: &[Endpoint]) -> bool {
    some.iter().all(|endpoint| all.binary_search(endpoint).is_ok())
}

/// Where some places lead.
#[derive(Debug)]
pub struct Leads(HashMap<Place, Option<Arc<[Endpoint]>>>);

impl Proxy {
    /// Where the places lead now.
    pub fn leads(&self, places: &[Place]) -> Leads {
        let mut leads = HashMap::new();
        for place in places {
            if !leads.contains_key(place) {
                let owner = self.owners.owner(*place);
                let found = owner.map(|name| self.state(name).flows).unwrap_or_default();
                leads.extend(found.into_iter().map(|(place, endpoints)| (place, Some(endpoints))));
                leads.entry(*place).or_insert(None);
            }
        }
        Leads(leads)
    }
}

impl Leads {
    /// Whether the flow leads to one of the places, but not to an endpoint that serves there.
    ///
    /// Of a place that is gone these are the flows that were led somewhere else: the others are not of this proxy's
    /// making.
    pub fn is_stale(&self, flow: &Flow) -> bool {
        let Flow { protocol, destination, answered_by, .. } = flow;
        let place = Place { address: destination.ip(), protocol: *protocol, port: destination.port() };
        match self.0.get(&place) {
            None => false,
            _ if *protocol == Protocol::Tcp => false,
            Some(None) => answered_by != destination,
            Some(Some(endpoints)) => {
                let endpoint = Endpoint { address: answered_by.ip(), port: answered_by.port() };
                endpoints.binary_search(&endpoint).is_err()
            }
        }
    }
}

#[cfg(test)]
mod tests;

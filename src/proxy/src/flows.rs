//! Which flows lead to endpoints that are gone.
//!
//! Connection tracking remembers where the first packet of a flow was led, for as long as packets come. A TCP client
//! notices an endpoint that is gone and connects again; one of UDP or SCTP may go on to send to it for ever.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use sys::net::nft::Protocol;
use sys::net::services::{Endpoint, Place};

use crate::proxy::Proxy;

/// A flow that connection tracking knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The protocol.
    pub protocol: Protocol,
    /// Who sent the first packet.
    pub client: SocketAddr,
    /// Where that was sent to.
    pub destination: SocketAddr,
    /// Who answers.
    pub answered_by: SocketAddr,
}

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

impl Proxy {
    /// Which of `flows` lead to `places`, but not to an endpoint that serves there.
    ///
    /// Of a place that is gone these are the flows that were led somewhere else; the others are not of this proxy's
    /// making.
    pub fn stale(&self, places: &[Place], flows: impl IntoIterator<Item = Flow>) -> Vec<Flow> {
        let mut answering: HashMap<Place, Option<Arc<[Endpoint]>>> = HashMap::new();
        for place in places {
            if !answering.contains_key(place) {
                answering.extend(self.answering(*place).into_iter().map(|(place, it)| (place, Some(it))));
                answering.entry(*place).or_insert(None);
            }
        }
        let is_stale = |flow: &Flow| {
            let (address, port) = (flow.destination.ip(), flow.destination.port());
            let place = Place { address, protocol: flow.protocol, port };
            let (address, port) = (flow.answered_by.ip(), flow.answered_by.port());
            match answering.get(&place) {
                None => false,
                Some(None) => (address, port) != (place.address, place.port),
                Some(Some(endpoints)) => endpoints.binary_search(&Endpoint { address, port }).is_err(),
            }
        };
        flows.into_iter().filter(|flow| flow.protocol != Protocol::Tcp).filter(is_stale).collect()
    }

    /// The places of the Service that has `place`.
    fn answering(&self, place: Place) -> Vec<(Place, Arc<[Endpoint]>)> {
        self.owners.owner(place).map(|name| self.state(name).flows).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;

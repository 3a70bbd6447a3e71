//! Places for connections. A connection without an authenticated request yields its place to new ones. So a client
//! without a token can only take the places of others that have not shown one yet, and takes its own first.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Connections that are served.
const SERVED_MAX: usize = 1024;
/// Further connections, which are told that the server is busy.
const REFUSED_MAX: usize = 64;
/// Unauthenticated connections of one peer. More would only wait for their TLS handshake, and make those of others wait.
const SHARE_MAX: usize = 128;

/// A client, as far as it is known before it shows a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    /// A user of this machine.
    User(u32),
    /// A machine, or the network that a machine may take its IPv6 addresses from.
    Network(IpAddr),
}

impl Peer {
    /// A machine with this address.
    pub(super) fn at(address: IpAddr) -> Self {
        Self::Network(match address.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
            v4 => v4,
        })
    }
}

/// All places.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Connections with an authenticated request.
    admitted: BTreeSet<u64>,
    /// Served connections without one.
    served: Waiting,
    /// Connections that are told that the server is busy.
    refused: Waiting,
    next: u64,
}

/// Connections without an authenticated request.
#[derive(Debug, Default)]
struct Waiting {
    count: usize,
    /// Of each peer, the oldest first.
    peers: HashMap<Peer, BTreeMap<u64, Arc<Notify>>>,
}

/// The place of a connection, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    peer: Peer,
    number: u64,
    is_served: bool,
    yields: Arc<Notify>,
}

impl Places {
    /// A place for a new connection, at once: another connection yields, or this one is refused.
    pub(super) fn enter(&self, peer: Peer) -> Place {
        let mut state = self.state();
        let yields = Arc::new(Notify::new());
        let number = state.next;
        state.next += 1;
        let room = SERVED_MAX.saturating_sub(state.admitted.len());
        let is_served = room > 0;
        let (waiting, max) =
            if is_served { (&mut state.served, room) } else { (&mut state.refused, REFUSED_MAX) };
        waiting.make_room(peer, max);
        waiting.enter(peer, number, Arc::clone(&yields));
        drop(state);
        Place { places: self.clone(), peer, number, is_served, yields }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn enter(&mut self, peer: Peer, number: u64, yields: Arc<Notify>) {
        self.count += 1;
        self.peers.entry(peer).or_default().insert(number, yields);
    }

    /// `None` if the connection has ended or yielded already.
    fn leave(&mut self, peer: Peer, number: u64) -> Option<Arc<Notify>> {
        let connections = self.peers.get_mut(&peer)?;
        let yields = connections.remove(&number)?;
        if connections.is_empty() {
            self.peers.remove(&peer);
        }
        self.count -= 1;
        Some(yields)
    }

    /// Makes connections yield until there is room for one more of `peer` among `max`.
    fn make_room(&mut self, peer: Peer, max: usize) {
        if self.peers.get(&peer).is_some_and(|connections| connections.len() >= SHARE_MAX) {
            self.oldest_yields(peer);
        }
        while self.count >= max {
            let Some(largest) = self.largest() else { return };
            self.oldest_yields(largest);
        }
    }

    /// The peer with the most connections; among equals the one with the oldest.
    fn largest(&self) -> Option<Peer> {
        let oldest =
            |connections: &BTreeMap<u64, _>| connections.first_key_value().map(|(number, _)| *number);
        let by_size = |(_, connections): &(&Peer, &BTreeMap<u64, _>)| {
            (connections.len(), std::cmp::Reverse(oldest(connections)))
        };
        self.peers.iter().max_by_key(by_size).map(|(peer, _)| *peer)
    }

    fn oldest_yields(&mut self, peer: Peer) {
        let oldest = self.peers.get(&peer).and_then(|connections| connections.first_key_value());
        let Some((&number, _)) = oldest else { return };
        if let Some(yields) = self.leave(peer, number) {
            yields.notify_one();
        }
    }
}

impl Place {
    /// Whether the connection is served, rather than told that the server is busy.
    pub(super) fn is_served(&self) -> bool {
        self.is_served
    }

    /// Waits until the connection has to yield its place.
    pub(super) async fn yields(&self) {
        self.yields.notified().await;
    }

    #[cfg(test)]
    pub(super) fn is_admitted(&self) -> bool {
        self.places.state().admitted.contains(&self.number)
    }

    /// Keeps the place for good, after an authenticated request.
    pub(super) fn admit(&self) {
        let mut state = self.places.state();
        if self.is_served && state.served.leave(self.peer, self.number).is_some() {
            state.admitted.insert(self.number);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        if !state.admitted.remove(&self.number) {
            let waiting = if self.is_served { &mut state.served } else { &mut state.refused };
            waiting.leave(self.peer, self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTACKER: Peer = Peer::User(65534);
    const ADMIN: Peer = Peer::User(0);

    fn address(text: &str) -> Peer {
        Peer::at(text.parse().unwrap())
    }

    /// The numbers of the connections that have to end.
    fn yielded(places: &[Place]) -> Vec<usize> {
        let has_yielded = |place: &Place| {
            let state = place.places.state();
            let is_in = |waiting: &Waiting| {
                waiting.peers.get(&place.peer).is_some_and(|all| all.contains_key(&place.number))
            };
            !(is_in(&state.served) || is_in(&state.refused) || state.admitted.contains(&place.number))
        };
        places.iter().enumerate().filter(|(_, place)| has_yielded(place)).map(|(index, _)| index).collect()
    }

    #[test]
    fn the_oldest_of_the_largest_peer_yields() {
        let places = Places::default();
        let admin = places.enter(ADMIN);
        let mut all: Vec<Place> = (0..SHARE_MAX).map(|_| places.enter(ATTACKER)).collect();
        assert!(yielded(&all).is_empty());
        // A peer's share fills up long before all places are taken.
        all.extend((0..10).map(|_| places.enter(ATTACKER)));
        assert_eq!(yielded(&all), (0..10).collect::<Vec<_>>());
        // With many peers, those with the most connections yield, the oldest first.
        let networks: Vec<Place> = (1..SERVED_MAX - SHARE_MAX)
            .map(|n| places.enter(address(&format!("2001:db8:{n:x}::1"))))
            .collect();
        assert!(yielded(&networks).is_empty());
        let last = places.enter(address("192.0.2.1"));
        assert_eq!(yielded(&all), (0..11).collect::<Vec<_>>());
        assert!(yielded(&[admin, last]).is_empty());
    }

    #[test]
    fn whoever_was_admitted_yields_to_nobody() {
        let places = Places::default();
        let mut all: Vec<Place> =
            (0..SERVED_MAX).map(|_| places.enter(ADMIN)).inspect(Place::admit).collect();
        assert!(yielded(&all).is_empty() && all.iter().all(Place::is_served));
        let mut refused: Vec<Place> = (0..REFUSED_MAX + 3).map(|_| places.enter(ATTACKER)).collect();
        assert!(!refused.iter().any(Place::is_served));
        assert_eq!(yielded(&refused), [0, 1, 2]);
        // A refused connection stays refused.
        refused[5].admit();
        all.pop();
        let next = places.enter(ADMIN);
        assert!(next.is_served() && yielded(&all).is_empty());
        assert_eq!(yielded(&refused), [0, 1, 2]);
        refused.clear();
        drop((all, next));
        let state = places.state();
        assert!(state.admitted.is_empty() && state.served.peers.is_empty() && state.refused.peers.is_empty());
        assert_eq!((state.served.count, state.refused.count), (0, 0));
    }

    #[test]
    fn a_peer_is_a_network_where_addresses_cost_nothing() {
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
        assert_eq!(address("192.0.2.1"), address("::ffff:192.0.2.1"));
    }
}

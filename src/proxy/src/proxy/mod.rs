//! The objects, and what follows from them.

mod changes;
mod health;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sys::net::services::{Element, Place};

use crate::endpoints::HeldSlice;
use crate::objects::{Node, ObjectName, Service, Slice};
use crate::owners::{Conflict, Owners};
use crate::places::{Claims, Denied, claims};
use crate::shared::Shared;
use crate::state::State;

pub use health::HealthCheck;

/// Services, EndpointSlices and a node, and the elements of the packet filter that follow from them.
///
/// A change of an object costs what its Service has, however many others there are.
#[derive(Debug, Default)]
pub struct Proxy {
    node: Node,
    services: BTreeMap<Arc<ObjectName>, Entry>,
    /// The Service of each EndpointSlice.
    slices: BTreeMap<Arc<ObjectName>, Arc<ObjectName>>,
    pub(crate) owners: Owners,
    shared: Shared,
    health: BTreeSet<Arc<ObjectName>>,
    denied: BTreeMap<Arc<ObjectName>, BTreeSet<Denied>>,
    /// What the changed Services needed when [`Proxy::take_change`] was called last.
    before: BTreeMap<Arc<ObjectName>, State>,
    /// What the node needed then.
    node_before: Vec<Element>,
    /// Whether it may need something else since.
    is_node_changed: bool,
}

/// A Service and its EndpointSlices, which may come before it.
#[derive(Debug, Default)]
struct Entry {
    service: Option<Box<Service>>,
    /// Sorted by name.
    slices: Vec<HeldSlice>,
}

impl Proxy {
    /// A proxy without Services.
    pub fn new(node: Node) -> Self {
        Self { node, is_node_changed: true, ..Self::default() }
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The number of Services.
    pub fn services(&self) -> usize {
        self.services.values().filter(|entry| entry.service.is_some()).count()
    }

    /// Takes a Service as it is now; `None` if it is gone.
    pub fn set_service(&mut self, name: ObjectName, service: Option<Service>) {
        let name = self.key(name);
        let old = self.services.get(&name).and_then(|entry| entry.service.as_deref());
        if old == service.as_ref() {
            return;
        }
        let released = old.map(|old| claims(&name, old, &self.node).places).unwrap_or_default();
        let claimed = service.as_ref().map(|service| claims(&name, service, &self.node)).unwrap_or_default();
        let Claims { places: claimed, denied } = claimed;
        self.remember(&name);
        for claim in released.iter().chain(&claimed) {
            self.remember_claimants(claim.place);
        }
        released.iter().for_each(|claim| self.owners.release(claim.place, &name));
        self.deny(&name, denied);
        let Some(service) = service else {
            self.health.remove(&name);
            if let Some(entry) = self.services.get_mut(&name) {
                entry.service = None;
            }
            self.forget_if_empty(&name);
            return;
        };
        let rank = (service.created, Arc::clone(&name));
        claimed.iter().for_each(|claim| self.owners.claim(claim.place, rank.clone()));
        if service.health_check_node_port.is_some() {
            self.health.insert(Arc::clone(&name));
        } else {
            self.health.remove(&name);
        }
        self.services.entry(name).or_default().service = Some(Box::new(service));
    }

    /// Takes an EndpointSlice as it is now; `None` if it is gone.
    pub fn set_slice(&mut self, name: ObjectName, slice: Option<Slice>) {
        let old =
            self.slices.get_key_value(&name).map(|(name, service)| (Arc::clone(name), Arc::clone(service)));
        let Some(Slice { service, family, ports, endpoints }) = slice else {
            if let Some((name, service)) = old {
                self.remove_slice(&name, &service);
            }
            return;
        };
        let service = self.key(ObjectName { namespace: name.namespace.clone(), name: service });
        let name = match old {
            Some((name, old)) if old == service => name,
            Some((name, old)) => {
                self.remove_slice(&name, &old);
                name
            }
            None => Arc::new(name),
        };
        let (ports, endpoints) = (ports.into_boxed_slice(), endpoints.into_boxed_slice());
        let slice = HeldSlice { name: Arc::clone(&name), family, ports, endpoints };
        let held = self.services.get(&service).map(|entry| entry.slices.as_slice()).unwrap_or_default();
        let at = held.binary_search_by(|held| held.name.cmp(&name));
        if at.is_ok_and(|at| held[at] == slice) {
            return;
        }
        self.remember(&service);
        self.slices.insert(name, Arc::clone(&service));
        let held = &mut self.services.entry(service).or_default().slices;
        match at {
            Ok(at) => held[at] = slice,
            Err(at) => {
                // Most Services have one slice.
                held.reserve_exact(1);
                held.insert(at, slice);
            }
        }
    }

    fn remove_slice(&mut self, name: &Arc<ObjectName>, service: &Arc<ObjectName>) {
        self.remember(service);
        self.slices.remove(name);
        if let Some(entry) = self.services.get_mut(service) {
            entry.slices.retain(|slice| slice.name != *name);
        }
        self.forget_if_empty(service);
    }

    /// Takes the node as it is now.
    pub fn set_node(&mut self, node: Node) {
        let Node { name, zone, addresses, inside, service_networks, machines, kept } = &self.node;
        self.is_node_changed |= (inside, service_networks) != (&node.inside, &node.service_networks);
        if (name, zone, addresses) != (&node.name, &node.zone, &node.addresses) {
            let names: Vec<_> = self.services.keys().cloned().collect();
            names.iter().for_each(|name| self.remember(name));
        } else if (machines, kept) != (&node.machines, &node.kept) {
            self.remember_reclaiming(&node);
        } else {
            self.node = node;
            return;
        }
        self.node = node;
        self.owners = Owners::default();
        self.denied.clear();
        for (name, entry) in &self.services {
            let Some(service) = &entry.service else {
                continue;
            };
            let Claims { places, denied } = claims(name, service, &self.node);
            for claim in places {
                self.owners.claim(claim.place, (service.created, Arc::clone(name)));
            }
            if !denied.is_empty() {
                self.denied.insert(Arc::clone(name), denied);
            }
        }
    }

    /// Keeps what those Services need now that claim other places with `node`: one more node concerns hardly any.
    fn remember_reclaiming(&mut self, node: &Node) {
        let mut names = BTreeSet::new();
        for (name, entry) in &self.services {
            let Some(service) = &entry.service else { continue };
            let (before, after) = (claims(name, service, &self.node), claims(name, service, node));
            if before != after {
                let both = before.places.iter().chain(&after.places);
                names.extend(both.flat_map(|claim| self.owners.claimants(claim.place)));
                names.insert(Arc::clone(name));
            }
        }
        names.iter().for_each(|name| self.remember(name));
    }

    fn deny(&mut self, name: &Arc<ObjectName>, denied: BTreeSet<Denied>) {
        if denied.is_empty() {
            self.denied.remove(name);
        } else {
            self.denied.insert(Arc::clone(name), denied);
        }
    }

    /// What Services ask for and do not get.
    pub fn denied(&self) -> impl Iterator<Item = (&ObjectName, Denied)> {
        self.denied.iter().flat_map(|(name, all)| all.iter().map(|denied| (&**name, *denied)))
    }

    /// The places that two Services claim.
    pub fn conflicts(&self) -> impl Iterator<Item = Conflict> {
        self.owners.conflicts()
    }

    /// The name as it is kept already, or for the first time.
    fn key(&self, name: ObjectName) -> Arc<ObjectName> {
        self.services.get_key_value(&name).map_or_else(|| Arc::new(name), |(name, _)| Arc::clone(name))
    }

    pub(crate) fn state(&self, name: &ObjectName) -> State {
        let entry = self.services.get(name);
        let Some((service, slices)) = entry.and_then(|it| Some((it.service.as_deref()?, &it.slices))) else {
            return State::default();
        };
        State::of(name, service, slices, &self.node, &self.owners)
    }

    /// Keeps what a Service needs now, before that changes.
    fn remember(&mut self, name: &Arc<ObjectName>) {
        if !self.before.contains_key(name) {
            let state = self.state(name);
            self.before.insert(Arc::clone(name), state);
        }
    }

    fn remember_claimants(&mut self, place: Place) {
        for name in self.owners.claimants(place) {
            self.remember(&name);
        }
    }

    fn forget_if_empty(&mut self, name: &ObjectName) {
        if self.services.get(name).is_some_and(|entry| entry.service.is_none() && entry.slices.is_empty()) {
            self.services.remove(name);
        }
    }
}

#[cfg(test)]
mod tests;

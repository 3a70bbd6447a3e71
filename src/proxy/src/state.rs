//! What a Service needs in the packet filter.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use pod::addresses::IpFamily;
use sys::net::nft::Protocol;
use sys::net::services::{
    Balance, Element, Endpoint, EndpointSet, Handling, Network, Origin, Place, Scope, slots_for,
};

use crate::endpoints::{HeldSlice, candidates};
use crate::networks::ranges;
use crate::objects::{Node, ObjectName, Service};
use crate::owners::Owners;
use crate::places::{Claim, Kind, claims};
use crate::spread;
use crate::topology::{Candidate, Chosen, Policies, choose};

/// What a Service needs at one time.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Sorted, each once.
    pub(crate) elements: Vec<Element>,
    /// The endpoints that may answer a flow to a place of UDP or SCTP, sorted.
    pub(crate) flows: Vec<(Place, Arc<[Endpoint]>)>,
}

impl State {
    pub(crate) fn of(
        name: &ObjectName,
        service: &Service,
        slices: &[HeldSlice],
        node: &Node,
        owners: &Owners,
    ) -> Self {
        let mut state = Self::default();
        let claims = claims(name, service, node);
        for claims in claims.places.chunk_by(|a, b| (a.cluster_ip, a.port) == (b.cluster_ip, b.port)) {
            // Who does not have the port of the cluster IP does not have the sets of endpoints.
            let Some(home) = claims.first().filter(|claim| claim.kind == Kind::ClusterIp) else {
                continue;
            };
            let Some(spec) = service.ports.get(home.port).filter(|_| owners.is_owner(home.place, name))
            else {
                continue;
            };
            let owned: Vec<_> = claims.iter().filter(|claim| owners.is_owner(claim.place, name)).collect();
            let candidates = candidates(slices, spec, IpFamily::of(home.cluster_ip), node);
            let policies = Policies::of(service, owned.len() > 1);
            let chosen = choose(&candidates, policies, node);
            Port { service, node, home: home.place, owned: &owned, chosen }.write(&mut state);
            state.add_flows(&owned, &candidates);
            state.elements.push(Element::ClusterIp(home.cluster_ip));
        }
        state.elements.sort_unstable();
        state.elements.dedup();
        state.flows.sort_unstable_by_key(|(place, _)| *place);
        state
    }

    /// An endpoint that is not chosen any more may go on to answer while it serves, as it does over TCP.
    fn add_flows(&mut self, owned: &[&Claim], candidates: &[Candidate<'_>]) {
        if owned.first().is_none_or(|claim| claim.place.protocol == Protocol::Tcp) {
            return;
        }
        let answering = candidates.iter().filter(|candidate| candidate.ready || candidate.serving);
        let answering: Arc<[Endpoint]> = answering.map(|candidate| candidate.endpoint).collect();
        self.flows.extend(owned.iter().map(|claim| (claim.place, Arc::clone(&answering))));
    }
}

/// A port of a Service in one family.
struct Port<'a> {
    service: &'a Service,
    node: &'a Node,
    /// The port of the cluster IP.
    home: Place,
    owned: &'a [&'a Claim],
    chosen: Chosen<'a>,
}

impl Port<'_> {
    fn write(&self, state: &mut State) {
        let sources = self.sources();
        let mut is_used = [false; 2];
        for claim in self.owned {
            let checked = claim.kind == Kind::LoadBalancer && !sources.is_empty();
            let mut leads = false;
            for origin in [Origin::Inside, Origin::Outside] {
                let handling = self.handling(claim.kind, origin, checked);
                if let Handling::Balance(balance) = handling {
                    is_used[balance.set.scope as usize] = true;
                    leads = true;
                }
                state.elements.push(Element::Service { place: claim.place, origin, handling });
            }
            if checked && leads {
                let place = claim.place;
                state.elements.extend(sources.iter().map(|&sources| Element::SourceRange { place, sources }));
            }
        }
        for scope in [Scope::Cluster, Scope::Local] {
            if is_used[scope as usize] {
                self.write_set(scope, state);
            }
        }
    }

    fn handling(&self, kind: Kind, origin: Origin, checks_source: bool) -> Handling {
        let Service { internal_local, external_local, affinity_seconds, .. } = *self.service;
        if !self.chosen.has_any {
            return Handling::Reject;
        }
        let (local, masquerade) = match (kind, origin) {
            (Kind::ClusterIp, Origin::Inside) => (internal_local, false),
            (Kind::ClusterIp, Origin::Outside) => (internal_local, true),
            // Pods and the node reach the whole cluster, as if a load balancer led them to another node.
            (_, Origin::Inside) if external_local => (false, false),
            (_, Origin::Outside) if external_local => (true, false),
            (_, _) => (false, true),
        };
        let scope = if local { Scope::Local } else { Scope::Cluster };
        let endpoints = spread::used(self.endpoints(scope).len());
        if endpoints == 0 {
            return Handling::Drop;
        }
        Handling::Balance(Balance {
            set: self.set(scope),
            slots: slots_for(endpoints),
            masquerade,
            affinity_seconds: affinity_seconds.unwrap_or_default(),
            checks_source,
        })
    }

    fn set(&self, scope: Scope) -> EndpointSet {
        let Place { address, protocol, port } = self.home;
        EndpointSet { cluster_ip: address, protocol, port, scope }
    }

    fn endpoints(&self, scope: Scope) -> &[Candidate<'_>] {
        match scope {
            Scope::Cluster => &self.chosen.cluster,
            Scope::Local => &self.chosen.local,
        }
    }

    fn write_set(&self, scope: Scope, state: &mut State) {
        let set = self.set(scope);
        let candidates = self.endpoints(scope);
        let candidates = &candidates[..spread::used(candidates.len())];
        let endpoints: Vec<_> = candidates.iter().map(|candidate| candidate.endpoint).collect();
        let slots = spread::slots(&endpoints).into_iter().zip(0..);
        state.elements.extend(slots.map(|(endpoint, index)| Element::Slot {
            set,
            index,
            endpoint: endpoints[endpoint],
        }));
        if self.service.affinity_seconds.is_some_and(|seconds| seconds > 0) {
            state.elements.extend(endpoints.iter().map(|&endpoint| Element::Member { set, endpoint }));
        }
        let local = candidates.iter().filter(|candidate| candidate.local);
        state.elements.extend(local.map(|candidate| Element::Hairpin(candidate.endpoint.address)));
    }

    /// The sources that may connect to load balancers' addresses; empty if all may.
    fn sources(&self) -> Vec<Network> {
        let family = IpFamily::of(self.home.address);
        let of_family = |network: &&IpNet| IpFamily::of(network.addr()) == family;
        let mut networks: Vec<_> = self.service.source_ranges.iter().filter(of_family).copied().collect();
        if networks.iter().any(|network| network.prefix_len() == 0) {
            return Vec::new();
        }
        // The node may have a load balancer's address itself. If it may connect, then also from that address.
        let is_allowed = |address: &&IpAddr| networks.iter().any(|network| network.contains(*address));
        if self.node.addresses.iter().any(|address| is_allowed(&address)) {
            let own = self.owned.iter().filter(|claim| claim.kind == Kind::LoadBalancer);
            networks.extend(own.map(|claim| IpNet::from(claim.place.address)));
        }
        ranges(&networks, family)
    }
}

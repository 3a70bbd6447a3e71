//! Which endpoints a node uses for a port of a Service: the rules of Kubernetes' `CategorizeEndpoints`.

use sys::net::services::Endpoint;

use crate::objects::{Hints, Node, Service};

/// An endpoint of a Service's port, as this node sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) ready: bool,
    pub(crate) serving: bool,
    pub(crate) terminating: bool,
    /// Whether it is on this node.
    pub(crate) local: bool,
    pub(crate) hints: Option<&'a Hints>,
}

impl Candidate<'_> {
    /// Whether it may be used where no endpoint is ready.
    fn is_fallback(&self) -> bool {
        self.serving && self.terminating
    }

    fn has_zone(&self, zone: &str) -> bool {
        self.hints.is_some_and(|hints| hints.zones.iter().any(|hint| hint == zone))
    }

    fn has_node(&self, node: &str) -> bool {
        self.hints.is_some_and(|hints| hints.nodes.iter().any(|hint| hint == node))
    }
}

/// The policies of a Service's port in one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policies {
    /// Connections to the cluster IP stay on the node.
    pub(crate) internal_local: bool,
    /// Connections to the other places stay on the node.
    pub(crate) external_local: bool,
    /// Whether there are other places than the cluster IP.
    pub(crate) has_external: bool,
}

impl Policies {
    pub(crate) fn of(service: &Service, has_external: bool) -> Self {
        let Service { internal_local, external_local, .. } = *service;
        Self { internal_local, external_local, has_external }
    }

    /// An external place needs the cluster's endpoints even with a policy of Local: for connections from inside.
    fn uses_cluster(self) -> bool {
        !self.internal_local || self.has_external
    }

    fn uses_local(self) -> bool {
        self.internal_local || (self.external_local && self.has_external)
    }
}

/// The endpoints that a node uses.
#[derive(Debug, Default)]
pub(crate) struct Chosen<'a> {
    /// For the policy Cluster.
    pub(crate) cluster: Vec<Candidate<'a>>,
    /// For the policy Local.
    pub(crate) local: Vec<Candidate<'a>>,
    /// Whether any node has a usable endpoint: without one, connections are refused, not dropped.
    pub(crate) has_any: bool,
}

/// Chooses among `candidates`. Each list keeps their order.
pub(crate) fn choose<'a>(candidates: &[Candidate<'a>], policies: Policies, node: &Node) -> Chosen<'a> {
    let mut chosen = Chosen::default();
    if policies.uses_cluster() {
        let preference = Preference::of(candidates, node);
        chosen.cluster = ready_or_fallback(candidates, |candidate| preference.allows(candidate, node));
        chosen.has_any = !chosen.cluster.is_empty();
    }
    if policies.uses_local() {
        let local: Vec<_> = candidates.iter().filter(|candidate| candidate.local).copied().collect();
        chosen.local = ready_or_fallback(&local, |_| true);
        chosen.has_any |= candidates.iter().any(|candidate| candidate.ready || candidate.is_fallback());
    }
    chosen
}

/// The ready candidates that pass `filter`; without any, those that still serve while they terminate.
fn ready_or_fallback<'a>(
    candidates: &[Candidate<'a>],
    filter: impl Fn(&Candidate<'a>) -> bool,
) -> Vec<Candidate<'a>> {
    let ready: Vec<_> = candidates.iter().filter(|it| it.ready && filter(it)).copied().collect();
    if !ready.is_empty() {
        return ready;
    }
    candidates.iter().filter(|candidate| candidate.is_fallback()).copied().collect()
}

/// Which endpoints are nearer, by their hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preference {
    None,
    SameNode,
    SameZone,
}

impl Preference {
    /// Hints count only if every ready endpoint has one of the kind, and one of them is for this node or zone.
    fn of(candidates: &[Candidate<'_>], node: &Node) -> Self {
        let ready = || candidates.iter().filter(|candidate| candidate.ready);
        let nodes = |candidate: &Candidate<'_>| candidate.hints.is_some_and(|hints| !hints.nodes.is_empty());
        let zones = |candidate: &Candidate<'_>| candidate.hints.is_some_and(|hints| !hints.zones.is_empty());
        if ready().all(nodes) && ready().any(|candidate| candidate.has_node(&node.name)) {
            return Self::SameNode;
        }
        let Some(zone) = &node.zone else {
            return Self::None;
        };
        if ready().all(zones) && ready().any(|candidate| candidate.has_zone(zone)) {
            return Self::SameZone;
        }
        Self::None
    }

    fn allows(self, candidate: &Candidate<'_>, node: &Node) -> bool {
        match self {
            Self::None => true,
            Self::SameNode => candidate.has_node(&node.name),
            Self::SameZone => node.zone.as_ref().is_some_and(|zone| candidate.has_zone(zone)),
        }
    }
}

#[cfg(test)]
mod tests;

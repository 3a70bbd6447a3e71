//! The EndpointSlices of a Service whose endpoints are pods, after `k8s.io/endpointslice/reconciler.go` of Kubernetes 1.36:
//! the fewest changes from the slices that exist to those that are wanted. Where upstream takes endpoints and slices in the
//! random order of a map, this goes by their names.

use std::collections::BTreeMap;

use super::changes::Changes;
use super::hints;
use super::pod::Pod;
use super::service::Service;
use super::slice::port_key;
use super::slice::{CONTROLLER, Conditions, Endpoint, Identity, Port, Slice, is_reserved, labels_for, owner};
use crate::kinds::IpFamily;
use crate::kinds::endpoint_slice::MANAGED_LABEL;

/// Most endpoints of a slice.
pub(super) const SLICE_MAX: usize = 100;

/// The Node, which every pod here is on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) zone: Option<String>,
}

type Set = BTreeMap<Identity, Endpoint>;

/// The changes from `existing`, the controller's slices of this Service, to the slices of the `pods` that it selects.
pub(super) fn plan(service: &Service, pods: &[&Pod], existing: Vec<Slice>, node: &Node) -> Changes {
    let mut existing: Vec<Slice> = existing.into_iter().filter(|slice| !slice.is_being_deleted()).collect();
    existing.sort_by(|one, other| one.name().cmp(other.name()));
    let mut changes = Changes::default();
    let mut by_family: Vec<Vec<Slice>> = service.families.iter().map(|_| Vec::new()).collect();
    for slice in existing {
        match service.families.iter().position(|family| Some(*family) == slice.family()) {
            Some(index) => by_family[index].push(slice),
            None => changes.delete.push(slice),
        }
    }
    for (family, existing) in service.families.iter().zip(by_family) {
        changes.add(of_family(service, pods, existing, *family, node));
    }
    changes.recycle(|slice| slice.is_owned_by(service));
    if service.is_being_deleted {
        // The garbage collector takes the slices of this Service.
        changes.create.clear();
    }
    changes
}

fn of_family(
    service: &Service,
    pods: &[&Pod],
    existing: Vec<Slice>,
    family: IpFamily,
    node: &Node,
) -> Changes {
    let mut changes = Changes::default();
    let mut unchanged: Vec<Slice> = Vec::new();
    let mut by_ports: BTreeMap<Vec<Port>, Vec<Slice>> = BTreeMap::new();
    let had = existing.len();
    for slice in existing {
        if slice.is_owned_by(service) {
            by_ports.entry(slice.port_key()).or_default().push(slice);
        } else {
            changes.delete.push(slice);
        }
    }
    for (key, (ports, wanted)) in wanted(service, pods, family, node) {
        let mut packing =
            Packing { service, family, ports, wanted, changes: Changes::default(), unchanged: Vec::new() };
        packing.pack(by_ports.remove(&key).unwrap_or_default());
        changes.add(packing.changes);
        unchanged.extend(packing.unchanged);
    }
    changes.delete.extend(by_ports.into_values().flatten());
    if had == changes.delete.len() && changes.create.is_empty() {
        place_holder(service, family, &mut changes, &mut unchanged);
    }
    hints::settle(service.hints, &mut changes, unchanged);
    changes
}

/// If no slice would be left, keeps one without endpoints: it tells clients that a controller looks after this Service.
fn place_holder(service: &Service, family: IpFamily, changes: &mut Changes, unchanged: &mut Vec<Slice>) {
    let new = new_slice(service, family, Vec::new());
    let is_it = |old: &Slice| {
        old.endpoints.is_empty()
            && old.ports.is_empty()
            && old.labels() == new.labels()
            && old.owners().eq(new.owners())
    };
    if matches!(&changes.delete[..], [one] if is_it(one)) {
        unchanged.append(&mut changes.delete);
    } else {
        changes.create.push(new);
    }
}

fn new_slice(service: &Service, family: IpFamily, ports: Vec<Port>) -> Slice {
    let owner = owner("Service", &service.name, &service.uid);
    Slice::new((&service.namespace, &service.name), owner, family, ports, labels_for(service))
}

/// The endpoints that are wanted, by the ports that they have: pods with other numbers for the same name are in slices of
/// their own.
fn wanted(
    service: &Service,
    pods: &[&Pod],
    family: IpFamily,
    node: &Node,
) -> BTreeMap<Vec<Port>, (Vec<Port>, Set)> {
    let mut wanted: BTreeMap<Vec<Port>, (Vec<Port>, Set)> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| pod.is_endpoint(true)) {
        let ports = service.ports_of(pod);
        let (_, set) = wanted.entry(port_key(&ports)).or_insert_with(|| (ports, Set::new()));
        let endpoint = endpoint(service, pod, family, node);
        if !endpoint.addresses.is_empty() {
            set.insert(endpoint.identity(), endpoint);
        }
    }
    wanted
}

/// The endpoint of a pod (`podToEndpoint`).
fn endpoint(service: &Service, pod: &Pod, family: IpFamily, node: &Node) -> Endpoint {
    let is_ready = service.with_not_ready || (pod.is_ready && !pod.is_terminating);
    let target = [("kind", "Pod"), ("namespace", &pod.namespace), ("name", &pod.name), ("uid", &pod.uid)];
    let target = target.into_iter().map(|(key, value)| (key.to_owned(), value.into()));
    let has_hostname = !pod.hostname.is_empty() && pod.subdomain == service.name;
    Endpoint {
        addresses: pod.addresses(family),
        conditions: Conditions {
            ready: Some(is_ready),
            serving: Some(pod.is_ready),
            terminating: Some(pod.is_terminating),
        },
        hostname: has_hostname.then(|| pod.hostname.clone()),
        target_ref: Some(target.collect()),
        node_name: Some(pod.node.clone()).filter(|node| !node.is_empty()),
        zone: node.zone.clone().filter(|_| node.name == pod.node),
        hints: None,
    }
}

/// Puts the endpoints with the same ports into slices (`reconcileByPortMapping`).
struct Packing<'a> {
    service: &'a Service,
    family: IpFamily,
    ports: Vec<Port>,
    /// The endpoints that have no place yet.
    wanted: Set,
    changes: Changes,
    unchanged: Vec<Slice>,
}

impl Packing<'_> {
    fn pack(&mut self, existing: Vec<Slice>) {
        for slice in existing {
            self.update(slice);
        }
        // Slices that change anyway take as much as they can, the fullest first.
        self.changes.replace.sort_by_key(|slice| std::cmp::Reverse(slice.endpoints.len()));
        let mut changed = std::mem::take(&mut self.changes.replace);
        changed.iter_mut().for_each(|slice| self.fill(slice));
        self.changes.replace = changed;
        while !self.wanted.is_empty() {
            match self.with_room() {
                Some(index) => {
                    let mut slice = self.unchanged.remove(index);
                    self.fill(&mut slice);
                    self.changes.replace.push(slice);
                }
                None => {
                    let mut slice = new_slice(self.service, self.family, self.ports.clone());
                    self.fill(&mut slice);
                    self.changes.create.push(slice);
                }
            }
        }
    }

    /// Keeps the endpoints of a slice that are wanted, as they are wanted.
    fn update(&mut self, mut slice: Slice) {
        let (before, mut kept, mut is_other) = (slice.endpoints.len(), Vec::new(), false);
        for old in &slice.endpoints {
            if let Some(endpoint) = self.wanted.remove(&old.identity()) {
                is_other |= !endpoint.is_like(old);
                kept.push(endpoint);
            }
        }
        let labels = labels_for(self.service);
        let own =
            |labels: Vec<(String, String)>| labels.into_iter().filter(|(key, _)| !is_reserved(key)).collect();
        let (of_slice, of_service): (Vec<_>, Vec<_>) =
            (own(slice.labels()), own(self.service.labels.clone()));
        let has_changed = is_other || kept.len() != before;
        if has_changed && kept.is_empty() {
            self.changes.delete.push(slice);
        } else if has_changed || of_slice != of_service {
            if has_changed {
                slice.endpoints = kept;
            }
            slice.set_labels(labels);
            self.changes.replace.push(slice);
        } else {
            self.unchanged.push(slice);
        }
    }

    fn fill(&mut self, slice: &mut Slice) {
        while slice.endpoints.len() < SLICE_MAX {
            let Some((_, endpoint)) = self.wanted.pop_first() else { return };
            slice.endpoints.push(endpoint);
        }
    }

    /// The unchanged slice that all the endpoints that are left fit into, the fullest one (`getSliceToFill`).
    fn with_room(&self) -> Option<usize> {
        let left = self.wanted.len();
        let has_room = |slice: &Slice| left < SLICE_MAX && slice.endpoints.len() + left <= SLICE_MAX;
        let fitting = self.unchanged.iter().enumerate().filter(|(_, slice)| has_room(slice));
        // Of those that are equally full the first one.
        let fullest = fitting.max_by_key(|(index, slice)| (slice.endpoints.len(), std::cmp::Reverse(*index)));
        fullest.map(|(index, _)| index)
    }
}

/// Whether the controller keeps a slice with these labels.
pub(super) fn is_managed(labels: &[(String, String)]) -> bool {
    labels.iter().any(|(key, value)| key == MANAGED_LABEL && value == CONTROLLER)
}

//! The EndpointSlices of v1 Endpoints that somebody writes for a Service without a selector, after
//! `pkg/controller/endpointslicemirroring` of Kubernetes 1.36.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::changes::Changes;
use super::legacy;
use super::service::{labels, texts};
use super::slice::{Conditions, Endpoint, Identity, Port, SERVICE_LABEL, Slice, TRIGGER, owner, port_key};
use super::subsets::{Address, repacked};
use crate::kinds::IpFamily;
use crate::kinds::endpoint_slice::MANAGED_LABEL;
use crate::object::Object;
use ::pod::validation::ip::parse_sloppy;

/// The value of [`MANAGED_LABEL`] on mirrored slices.
pub(super) const CONTROLLER: &str = "endpointslicemirroring-controller.k8s.io";
/// The label of Endpoints that are not to be mirrored.
pub(super) const SKIP_LABEL: &str = "endpointslice.kubernetes.io/skip-mirror";
/// The annotation of Endpoints that serve as a lock.
const LOCK: &str = "control-plane.alpha.kubernetes.io/leader";
/// What kubectl applied to the Endpoints, which their slices do not get.
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Most addresses of a subset that are mirrored.
const SUBSET_MAX: usize = 1000;

/// By family and ports: the ports, and the endpoints by their identity.
type Wanted = BTreeMap<(IpFamily, Vec<Port>), (Vec<Port>, BTreeMap<Identity, Endpoint>)>;

/// Whether slices are made of these Endpoints.
pub(super) fn is_mirrored(endpoints: &Object) -> bool {
    let is_lock = endpoints.metadata().get("annotations").is_some_and(|all| all.get(LOCK).is_some());
    !is_lock && !endpoints.labels().any(|label| label == (SKIP_LABEL, "true"))
}

/// Whether the mirror keeps a slice with these labels.
pub(super) fn is_managed(labels: &[(String, String)]) -> bool {
    labels.iter().any(|(key, value)| key == MANAGED_LABEL && value == CONTROLLER)
}

/// The changes from the mirrored slices `existing` to those of `endpoints`; without any, all are deleted.
pub(super) fn plan(endpoints: Option<&Object>, mut existing: Vec<Slice>) -> Changes {
    existing.sort_by(|one, other| one.name().cmp(other.name()));
    let mut changes = Changes::default();
    let Some(endpoints) = endpoints else {
        changes.delete = existing;
        return changes;
    };
    let mut by_key: BTreeMap<(Option<IpFamily>, Vec<Port>), Vec<Slice>> = BTreeMap::new();
    for slice in existing {
        by_key.entry((slice.family(), slice.port_key())).or_default().push(slice);
    }
    for ((family, key), (ports, wanted)) in wanted(endpoints) {
        let existing = by_key.remove(&(Some(family), key)).unwrap_or_default();
        let new = (!wanted.is_empty()).then(|| slice(endpoints, family, ports, wanted));
        changes.add(settle(new, existing));
    }
    changes.delete.extend(by_key.into_values().flatten());
    changes.recycle(|_| true);
    if endpoints.is_being_deleted() {
        changes.create.clear();
    }
    changes
}

/// One slice for each family and set of ports: the first one is changed if it differs, all others are too many.
fn settle(new: Option<Slice>, existing: Vec<Slice>) -> Changes {
    let mut changes = Changes::default();
    let mut existing = existing.into_iter();
    match (new, existing.next()) {
        (Some(mut new), Some(old)) => {
            if !is_right(&old, &new) {
                new.instead_of(&old);
                changes.replace.push(new);
            }
        }
        (Some(new), None) => changes.create.push(new),
        (None, Some(old)) => changes.delete.push(old),
        (None, None) => {}
    }
    changes.delete.extend(existing);
    changes
}

fn is_right(old: &Slice, new: &Slice) -> bool {
    let by_identity = |slice: &Slice| -> BTreeMap<Identity, Endpoint> {
        slice.endpoints.iter().map(|endpoint| (endpoint.identity(), endpoint.clone())).collect()
    };
    let (had, wanted) = (by_identity(old), by_identity(new));
    let is_same = old.endpoints.len() == wanted.len()
        && had.len() == wanted.len()
        && wanted
            .iter()
            .all(|(identity, endpoint)| had.get(identity).is_some_and(|old| endpoint.is_like(old)));
    is_same
        && old.labels() == new.labels()
        && old.annotations() == new.annotations()
        && old.owners().eq(new.owners())
}

fn wanted(endpoints: &Object) -> Wanted {
    let mut wanted = Wanted::new();
    for subset in repacked(&legacy::read(endpoints)) {
        let ports: Vec<Port> = subset.ports.iter().map(named).collect();
        for family in IpFamily::ALL {
            wanted.entry((family, port_key(&ports))).or_insert_with(|| (ports.clone(), BTreeMap::new()));
        }
        let ready = subset.addresses.iter().map(|address| (address, true));
        let all = ready.chain(subset.not_ready_addresses.iter().map(|address| (address, false)));
        let all = all.filter_map(|(address, is_ready)| endpoint(address, is_ready)).take(SUBSET_MAX);
        for (family, endpoint) in all {
            if let Some((_, set)) = wanted.get_mut(&(family, port_key(&ports))) {
                set.insert(endpoint.identity(), endpoint);
            }
        }
    }
    wanted
}

/// A port of a slice, which always has a name, if only an empty one.
fn named(port: &Port) -> Port {
    Port { name: Some(port.name.clone().unwrap_or_default()), ..port.clone() }
}

fn endpoint(address: &Address, is_ready: bool) -> Option<(IpFamily, Endpoint)> {
    let ip = parse_sloppy(&address.ip)?.to_canonical();
    let endpoint = Endpoint {
        addresses: vec![ip.to_string()],
        conditions: Conditions { ready: Some(is_ready), ..Conditions::default() },
        hostname: Some(address.hostname.clone()).filter(|name| !name.is_empty()),
        target_ref: address.target_ref.clone(),
        node_name: address.node_name.clone(),
        ..Endpoint::default()
    };
    Some((IpFamily::of(ip), endpoint))
}

fn slice(
    endpoints: &Object,
    family: IpFamily,
    ports: Vec<Port>,
    wanted: BTreeMap<Identity, Endpoint>,
) -> Slice {
    let mut of_endpoints: Map<String, Value> =
        labels(endpoints).into_iter().map(|(key, value)| (key, value.into())).collect();
    of_endpoints.insert(SERVICE_LABEL.to_owned(), endpoints.name().into());
    of_endpoints.insert(MANAGED_LABEL.to_owned(), CONTROLLER.into());
    let owner = owner("Endpoints", endpoints.name(), endpoints.uid());
    let place = (endpoints.namespace(), endpoints.name());
    let mut slice = Slice::new(place, owner, family, ports, of_endpoints);
    let annotations = texts(endpoints.metadata().get("annotations").unwrap_or(&Value::Null)).into_iter();
    let copied = annotations.filter(|(key, _)| ![TRIGGER, APPLIED].contains(&key.as_str()));
    slice.set_annotations(copied.map(|(key, value)| (key, value.into())).collect());
    slice.endpoints = wanted.into_values().take(SUBSET_MAX).collect();
    slice
}

//! The v1 Endpoints of a Service whose endpoints are pods, after `pkg/controller/endpoint` of Kubernetes 1.36.

use serde_json::{Map, Value, json};

use super::pod::Pod;
use super::service::{Service, labels, texts};
use super::slice::{HEADLESS_LABEL, TRIGGER};
use super::subsets::{Address, Subset, are_equal, repacked};
use crate::kinds::endpoints::{CONTROLLER, KIND, MANAGED_LABEL};
use crate::object::Object;

/// Most addresses of the object.
const CAPACITY: usize = 1000;
/// The annotation of an object from which addresses were left out.
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";

/// The object that is to replace `existing`, or to be created; `None` if nothing changes.
pub(super) fn plan(
    service: &Service,
    pods: &[&Pod],
    existing: Option<&Object>,
    trigger: Option<&str>,
) -> Option<Object> {
    let wanted = subsets(service, pods);
    let labels = labels_for(service);
    if existing.is_some_and(|existing| is_right(existing, &wanted, &labels)) {
        return None;
    }
    let mut object = existing.cloned().unwrap_or_else(|| new(service));
    let metadata = object.metadata_mut();
    metadata.insert("labels".to_owned(), labels.into());
    let annotations = texts(metadata.get("annotations").unwrap_or(&Value::Null)).into_iter();
    let kept = annotations.filter(|(key, _)| ![TRIGGER, OVER_CAPACITY].contains(&key.as_str()));
    let mut annotations: Map<String, Value> = kept.map(|(key, value)| (key, value.into())).collect();
    if let Some(trigger) = trigger {
        annotations.insert(TRIGGER.to_owned(), trigger.into());
    }
    let (subsets, is_cut) = cut(wanted);
    if is_cut {
        annotations.insert(OVER_CAPACITY.to_owned(), "truncated".into());
    }
    if annotations.is_empty() {
        metadata.remove("annotations");
    } else {
        metadata.insert("annotations".to_owned(), annotations.into());
    }
    if subsets.is_empty() {
        object.0.remove("subsets");
    } else {
        object.0.insert("subsets".to_owned(), json!(subsets));
    }
    Some(object)
}

fn new(service: &Service) -> Object {
    let object = json!({
        "apiVersion": "v1", "kind": KIND.name, "metadata": {"name": service.name, "namespace": service.namespace},
    });
    Object::from_value(object).unwrap_or_default()
}

fn labels_for(service: &Service) -> Map<String, Value> {
    let of_service = service.labels.iter();
    let mut labels: Map<String, Value> =
        of_service.map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    if service.is_headless {
        labels.insert(HEADLESS_LABEL.to_owned(), "".into());
    } else {
        labels.remove(HEADLESS_LABEL);
    }
    labels.insert(MANAGED_LABEL.to_owned(), CONTROLLER.into());
    labels
}

fn is_right(existing: &Object, wanted: &[Subset], wanted_labels: &Map<String, Value>) -> bool {
    let found = read(existing);
    let is_annotated =
        existing.metadata().get("annotations").is_some_and(|all| all.get(OVER_CAPACITY).is_some());
    // As upstream: whether there is a cluster IP does not change, and the label about it alone is no reason to write.
    let but_headless = |labels: Vec<(String, String)>| -> Vec<_> {
        labels.into_iter().filter(|(key, _)| key != HEADLESS_LABEL).collect()
    };
    let wanted_labels = but_headless(texts(&Value::Object(wanted_labels.clone())));
    let (wanted, is_cut) = cut(wanted.to_vec());
    is_annotated == is_cut && but_headless(labels(existing)) == wanted_labels && are_equal(&found, &wanted)
}

/// The subsets of an object.
pub(super) fn read(object: &Object) -> Vec<Subset> {
    let subsets = object.0.get("subsets").cloned().unwrap_or_default();
    serde_json::from_value(subsets).unwrap_or_default()
}

/// The subsets of the pods, in the Service's primary family.
fn subsets(service: &Service, pods: &[&Pod]) -> Vec<Subset> {
    let Some(family) = service.families.first() else { return Vec::new() };
    let mut subsets = Vec::new();
    for pod in pods.iter().filter(|pod| pod.is_endpoint(service.with_not_ready)) {
        let Some(ip) = pod.address(*family) else { continue };
        let has_hostname = !pod.hostname.is_empty() && pod.subdomain == service.name;
        let target = [("kind", "Pod"), ("namespace", &pod.namespace), ("name", &pod.name), ("uid", &pod.uid)];
        let address = Address {
            ip,
            hostname: if has_hostname { pod.hostname.clone() } else { String::new() },
            node_name: Some(pod.node.clone()).filter(|node| !node.is_empty()),
            target_ref: Some(target.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()),
        };
        let ports = service.ports_of(pod).into_iter().map(unnamed).collect::<Vec<_>>();
        if ports.is_empty() && !(service.ports.is_empty() && service.is_headless) {
            continue;
        }
        let (mut ready, mut not_ready) = (Vec::new(), Vec::new());
        let is_ready = service.with_not_ready || pod.is_ready;
        if is_ready { &mut ready } else { &mut not_ready }.push(address);
        subsets.push(Subset { addresses: ready, not_ready_addresses: not_ready, ports });
    }
    repacked(&subsets)
}

/// A port of v1 Endpoints: one without a name has no field for it.
fn unnamed(mut port: super::slice::Port) -> super::slice::Port {
    port.name = port.name.filter(|name| !name.is_empty());
    port
}

/// Leaves addresses out if there are too many: from each subset in proportion to its size, ready ones last
/// (`truncateEndpoints`). Returns whether any were left out.
fn cut(mut subsets: Vec<Subset>) -> (Vec<Subset>, bool) {
    let count =
        |list: fn(&Subset) -> &Vec<Address>| subsets.iter().map(|subset| list(subset).len()).sum::<usize>();
    let (ready, not_ready) = (count(|subset| &subset.addresses), count(|subset| &subset.not_ready_addresses));
    if ready + not_ready <= CAPACITY {
        return (subsets, false);
    }
    let is_ready_cut = ready > CAPACITY;
    let (room, all) = if is_ready_cut { (CAPACITY, ready) } else { (CAPACITY - ready, not_ready) };
    let mut left = room;
    for subset in &mut subsets {
        let list = if is_ready_cut {
            subset.not_ready_addresses.clear();
            &mut subset.addresses
        } else {
            &mut subset.not_ready_addresses
        };
        let share = (list.len() * room).div_ceil(all).min(left);
        list.truncate(share);
        left -= list.len();
    }
    subsets.retain(|subset| !subset.addresses.is_empty() || !subset.not_ready_addresses.is_empty());
    (subsets, true)
}

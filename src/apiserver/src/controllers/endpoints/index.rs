//! What the controller remembers of all objects, so that a change costs only the Services that it concerns: who selects
//! whom, and which slices belong to which Service.

use std::collections::{BTreeSet, HashMap};

use super::pod::Pod;
use super::service::{Service, labels};
use super::slice::SERVICE_LABEL;
use super::{mirror, own, slices};
use crate::object::Object;

/// Namespace and name.
pub(super) type Key = (String, String);
/// A label in a namespace: namespace, key and value.
type Label = (String, String, String);
/// Names by a label.
type ByLabel = HashMap<Label, BTreeSet<String>>;

/// The key of an object.
pub(super) fn key_of(object: &Object) -> Key {
    (object.namespace().to_owned(), object.name().to_owned())
}

/// The selector of a Service, and the one of its labels by which it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Selector {
    pairs: Vec<(String, String)>,
    found_by: Label,
}

/// The index.
#[derive(Debug, Default)]
pub(super) struct Index {
    selectors: HashMap<Key, Selector>,
    services: ByLabel,
    pods: HashMap<Key, Pod>,
    pods_by_label: ByLabel,
    /// The Service of each slice that a controller here keeps.
    slices: HashMap<Key, String>,
    slices_of: HashMap<Key, BTreeSet<String>>,
}

impl Index {
    /// The Services that select pods.
    pub(super) fn services(&self) -> impl Iterator<Item = Key> {
        self.selectors.keys().cloned()
    }

    /// Notes a Service.
    pub(super) fn set_service(&mut self, service: &Service) {
        let key = (service.namespace.clone(), service.name.clone());
        self.remove_service(&key);
        if !service.is_managed() {
            return;
        }
        // The label that fewest Services are found by: one that all of them have would find all of them.
        let labels = service.selector.iter().map(|(name, value)| label(&service.namespace, name, value));
        let count = |label: &Label| self.services.get(label).map_or(0, BTreeSet::len);
        let Some(found_by) = labels.min_by_key(count) else { return };
        self.services.entry(found_by.clone()).or_default().insert(service.name.clone());
        self.selectors.insert(key, Selector { pairs: service.selector.clone(), found_by });
    }

    /// Forgets a Service.
    pub(super) fn remove_service(&mut self, key: &Key) {
        if let Some(selector) = self.selectors.remove(key) {
            remove(&mut self.services, selector.found_by, &key.1);
        }
    }

    /// Notes a pod. Returns the Services that have to be looked at.
    pub(super) fn set_pod(&mut self, pod: Pod) -> BTreeSet<Key> {
        let key = (pod.namespace.clone(), pod.name.clone());
        if self.pods.get(&key) == Some(&pod) {
            return BTreeSet::new();
        }
        let mut concerned = self.remove_pod(&key);
        self.selecting(&pod, &mut concerned);
        for (name, value) in &pod.labels {
            let names = self.pods_by_label.entry(label(&pod.namespace, name, value)).or_default();
            names.insert(pod.name.clone());
        }
        self.pods.insert(key, pod);
        concerned
    }

    /// Forgets a pod. Returns the Services that have to be looked at.
    pub(super) fn remove_pod(&mut self, key: &Key) -> BTreeSet<Key> {
        let mut concerned = BTreeSet::new();
        if let Some(pod) = self.pods.remove(key) {
            self.selecting(&pod, &mut concerned);
            for (name, value) in &pod.labels {
                remove(&mut self.pods_by_label, label(&pod.namespace, name, value), &pod.name);
            }
        }
        concerned
    }

    /// Adds the Services that select a pod.
    fn selecting(&self, pod: &Pod, to: &mut BTreeSet<Key>) {
        for (name, value) in &pod.labels {
            let found = self.services.get(&label(&pod.namespace, name, value)).into_iter().flatten();
            let keys = found.map(|name| (pod.namespace.clone(), name.clone()));
            let selects = |key: &Key| {
                let selector = self.selectors.get(key);
                selector.is_some_and(|selector| selector.pairs.iter().all(|pair| pod.labels.contains(pair)))
            };
            to.extend(keys.filter(selects));
        }
    }

    /// The pods that a Service selects, by name.
    pub(super) fn pods_of(&self, service: &Service) -> Vec<&Pod> {
        let found = |(name, value): &(String, String)| {
            self.pods_by_label.get(&label(&service.namespace, name, value))
        };
        let count = |pair: &&(String, String)| found(pair).map_or(0, BTreeSet::len);
        let rarest = service.selector.iter().min_by_key(count).and_then(found);
        let pods = rarest.into_iter().flatten();
        let pods = pods.filter_map(|name| self.pods.get(&(service.namespace.clone(), name.clone())));
        pods.filter(|pod| service.selects(pod)).collect()
    }

    /// Notes a slice. Returns the Services that have to be looked at.
    pub(super) fn set_slice(&mut self, slice: &Object) -> Vec<Key> {
        let key = key_of(slice);
        let mut concerned = self.remove_slice(&key);
        let labels = labels(slice);
        if !slices::is_managed(&labels) && !mirror::is_managed(&labels) {
            return concerned;
        }
        if let Some((_, service)) = labels.into_iter().find(|(name, _)| name == SERVICE_LABEL) {
            let of = (key.0.clone(), service.clone());
            self.slices_of.entry(of.clone()).or_default().insert(key.1.clone());
            self.slices.insert(key, service);
            concerned.push(of);
        }
        concerned
    }

    /// Forgets a slice. Returns the Services that have to be looked at.
    pub(super) fn remove_slice(&mut self, key: &Key) -> Vec<Key> {
        let is_own = key.0 == own::NAMESPACE && key.1 == own::NAME;
        let mut concerned = if is_own { vec![key.clone()] } else { Vec::new() };
        if let Some(service) = self.slices.remove(key) {
            let of = (key.0.clone(), service);
            if let Some(names) = self.slices_of.get_mut(&of) {
                names.remove(&key.1);
                if names.is_empty() {
                    self.slices_of.remove(&of);
                }
            }
            concerned.push(of);
        }
        concerned
    }

    /// The names of the slices that a controller here keeps for a Service.
    pub(super) fn slices_of(&self, service: &Key) -> Vec<String> {
        self.slices_of.get(service).into_iter().flatten().cloned().collect()
    }
}

fn label(namespace: &str, name: &str, value: &str) -> Label {
    (namespace.to_owned(), name.to_owned(), value.to_owned())
}

fn remove(from: &mut ByLabel, label: Label, name: &str) {
    if let std::collections::hash_map::Entry::Occupied(mut entry) = from.entry(label) {
        entry.get_mut().remove(name);
        if entry.get().is_empty() {
            entry.remove();
        }
    }
}

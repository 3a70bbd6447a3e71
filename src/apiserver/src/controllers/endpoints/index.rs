//! What the controller remembers of all objects, so that a change costs only the Services that it concerns: who selects
//! whom, and which slices belong to which Service.
//!
//! There may be a hundred thousand Services: each name is kept once, and labels as numbers.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::Arc;

use super::pod::Pod;
use super::service::{Service, labels};
use super::slice::SERVICE_LABEL;
use super::trigger::Times;
use super::{mirror, own, slices};
use crate::object::Object;
use crate::small_set::SmallSet;

/// Namespace and name.
pub(super) type Key = (String, String);
/// The hash of a label's key and value. If two labels share one, a Service is looked at in vain.
type Label = u64;
/// Names by a label.
type ByLabel = HashMap<Label, SmallSet<Arc<str>>>;

/// The key of an object.
pub(super) fn key_of(object: &Object) -> Key {
    (object.namespace().to_owned(), object.name().to_owned())
}

fn label((name, value): &(String, String)) -> Label {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((name, value))
}

/// The index.
#[derive(Debug, Default)]
pub(super) struct Index {
    namespaces: HashMap<String, Namespace>,
}

impl Index {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.namespaces.is_empty()
    }

    /// The Services that select pods.
    pub(super) fn services(&self) -> impl Iterator<Item = Key> {
        self.namespaces.iter().flat_map(|(namespace, inside)| {
            let selecting = inside.services.iter().filter(|(_, known)| !known.selector.is_empty());
            selecting.map(|(name, _)| (namespace.clone(), name.as_ref().to_owned()))
        })
    }

    /// Notes a Service.
    pub(super) fn set_service(&mut self, service: &Service) {
        let selector: Vec<Label> =
            if service.is_managed() { service.selector.iter().map(label).collect() } else { Vec::new() };
        self.within(&service.namespace, |inside| inside.set_selector(&service.name, selector));
    }

    /// Forgets what a Service selects.
    pub(super) fn remove_service(&mut self, (namespace, name): &Key) {
        self.within(namespace, |inside| inside.set_selector(name, Vec::new()));
    }

    /// The times of a Service that were noted last.
    pub(super) fn times(&self, (namespace, name): &Key) -> Option<&Times> {
        self.namespaces.get(namespace)?.services.get(name.as_str())?.times.as_ref()
    }

    /// Notes the times of a Service.
    pub(super) fn set_times(&mut self, (namespace, name): &Key, times: Option<Times>) {
        self.within(namespace, |inside| inside.change(name, |known| known.times = times));
    }

    /// Notes whether there are Endpoints at `key` of which slices are made.
    pub(super) fn set_mirrored(&mut self, (namespace, name): &Key, is_mirrored: bool) {
        self.within(namespace, |inside| inside.change(name, |known| known.is_mirrored = is_mirrored));
    }

    /// Whether anything is known of a Service: otherwise it selects nothing, and nobody writes endpoints for it.
    pub(super) fn knows(&self, (namespace, name): &Key) -> bool {
        self.namespaces.get(namespace).is_some_and(|inside| inside.services.contains_key(name.as_str()))
    }

    /// Notes a pod. Returns the Services that have to be looked at.
    pub(super) fn set_pod(&mut self, pod: Pod) -> BTreeSet<Key> {
        let namespace = pod.namespace.clone();
        let concerned = self.within(&namespace, |inside| inside.set_pod(pod));
        concerned.into_iter().map(|name| key(&namespace, &name)).collect()
    }

    /// Forgets a pod. Returns the Services that have to be looked at.
    pub(super) fn remove_pod(&mut self, (namespace, name): &Key) -> BTreeSet<Key> {
        let concerned = self.within(namespace, |inside| inside.remove_pod(name));
        concerned.into_iter().map(|name| key(namespace, &name)).collect()
    }

    /// The pods that a Service selects, by name.
    pub(super) fn pods_of(&self, service: &Service) -> Vec<&Pod> {
        self.namespaces.get(&service.namespace).map(|inside| inside.pods_of(service)).unwrap_or_default()
    }

    /// Notes a slice. Returns the Services that have to be looked at.
    pub(super) fn set_slice(&mut self, slice: &Object) -> BTreeSet<Key> {
        let labels = labels(slice);
        let is_kept = slices::is_managed(&labels) || mirror::is_managed(&labels);
        let service = labels.into_iter().find(|(name, _)| name == SERVICE_LABEL).filter(|_| is_kept);
        self.lead(&key_of(slice), service.as_ref().map(|(_, service)| service.as_str()))
    }

    /// Forgets a slice. Returns the Services that have to be looked at.
    pub(super) fn remove_slice(&mut self, key: &Key) -> BTreeSet<Key> {
        self.lead(key, None)
    }

    /// Notes which Service a controller here keeps a slice for.
    fn lead(&mut self, slice: &Key, service: Option<&str>) -> BTreeSet<Key> {
        let (namespace, name) = slice;
        let concerned = self.within(namespace, |inside| inside.lead(name, service));
        let mut concerned: BTreeSet<Key> = concerned.iter().map(|name| key(namespace, name)).collect();
        if own::is_own(slice) {
            concerned.insert(slice.clone());
        }
        concerned
    }

    /// The names of the slices that a controller here keeps for a Service.
    pub(super) fn slices_of(&self, (namespace, name): &Key) -> Vec<String> {
        let known = self.namespaces.get(namespace).and_then(|inside| inside.services.get(name.as_str()));
        let slices = known.into_iter().flat_map(|known| known.slices.iter());
        slices.map(|name| name.as_ref().to_owned()).collect()
    }

    /// Changes a namespace, and forgets it if nothing is left of it.
    fn within<T>(&mut self, namespace: &str, change: impl FnOnce(&mut Namespace) -> T) -> T {
        let mut entry = match self.namespaces.entry(namespace.to_owned()) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => entry.insert_entry(Namespace::default()),
        };
        let done = change(entry.get_mut());
        if entry.get().is_empty() {
            entry.remove();
        }
        done
    }
}

fn key(namespace: &str, name: &str) -> Key {
    (namespace.to_owned(), name.to_owned())
}

/// What is known of a Service, which may be gone while its slices are there.
#[derive(Debug, Default)]
struct Known {
    /// The labels that it selects. It is found by the first one.
    selector: Box<[Label]>,
    slices: SmallSet<Arc<str>>,
    times: Option<Times>,
    /// It has Endpoints of which slices are made.
    is_mirrored: bool,
}

impl Known {
    fn is_nothing(&self) -> bool {
        self.selector.is_empty() && self.slices.is_empty() && self.times.is_none() && !self.is_mirrored
    }
}

/// A namespace: no object selects one of another namespace.
#[derive(Debug, Default)]
struct Namespace {
    services: HashMap<Arc<str>, Known>,
    selecting: ByLabel,
    pods: HashMap<Arc<str>, Pod>,
    pods_by_label: ByLabel,
    /// The Service of each slice that a controller here keeps.
    slices: HashMap<Arc<str>, Arc<str>>,
}

impl Namespace {
    fn is_empty(&self) -> bool {
        self.services.is_empty() && self.pods.is_empty() && self.slices.is_empty()
    }

    /// Changes what is known of a Service, and forgets it if nothing is. Returns its name, as it is kept.
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Known)) -> Arc<str> {
        let name = match self.services.get_key_value(name) {
            Some((name, _)) => Arc::clone(name),
            None => name.into(),
        };
        let known = self.services.entry(Arc::clone(&name)).or_default();
        change(known);
        if known.is_nothing() {
            self.services.remove(&name);
        }
        name
    }

    fn set_selector(&mut self, service: &str, mut selector: Vec<Label>) {
        let before = self.services.get(service).and_then(|known| known.selector.first().copied());
        if let Some(found_by) = before {
            remove(&mut self.selecting, found_by, service);
        }
        // The label by which the fewest Services are found: by one that all of them have, all would be found.
        let count = |place: &usize| {
            let label = selector.get(*place);
            label.and_then(|label| self.selecting.get(label)).map_or(0, SmallSet::len)
        };
        if let Some(rarest) = (0..selector.len()).min_by_key(count) {
            selector.swap(0, rarest);
        }
        let found_by = selector.first().copied();
        let service = self.change(service, |known| known.selector = selector.into());
        if let Some(found_by) = found_by {
            self.selecting.entry(found_by).or_default().insert(service);
        }
    }

    fn set_pod(&mut self, pod: Pod) -> BTreeSet<Arc<str>> {
        if self.pods.get(pod.name.as_str()) == Some(&pod) {
            return BTreeSet::new();
        }
        let mut concerned = self.remove_pod(&pod.name);
        concerned.extend(self.selecting(&pod));
        let name: Arc<str> = pod.name.as_str().into();
        for label in pod.labels.iter().map(label) {
            self.pods_by_label.entry(label).or_default().insert(Arc::clone(&name));
        }
        self.pods.insert(name, pod);
        concerned
    }

    fn remove_pod(&mut self, name: &str) -> BTreeSet<Arc<str>> {
        let Some(pod) = self.pods.remove(name) else { return BTreeSet::new() };
        for label in pod.labels.iter().map(label) {
            remove(&mut self.pods_by_label, label, name);
        }
        self.selecting(&pod)
    }

    /// The Services that select a pod.
    fn selecting(&self, pod: &Pod) -> BTreeSet<Arc<str>> {
        let labels: BTreeSet<Label> = pod.labels.iter().map(label).collect();
        let found = labels.iter().filter_map(|label| self.selecting.get(label)).flat_map(SmallSet::iter);
        let selects = |name: &&Arc<str>| {
            let known = self.services.get(*name);
            known.is_some_and(|known| known.selector.iter().all(|label| labels.contains(label)))
        };
        found.filter(selects).cloned().collect()
    }

    fn pods_of(&self, service: &Service) -> Vec<&Pod> {
        let found = service.selector.iter().map(|pair| self.pods_by_label.get(&label(pair)));
        let rarest = found.min_by_key(|names| names.map_or(0, SmallSet::len)).flatten();
        let pods = rarest.into_iter().flat_map(SmallSet::iter).filter_map(|name| self.pods.get(name));
        pods.filter(|pod| service.selects(pod)).collect()
    }

    fn lead(&mut self, slice: &str, service: Option<&str>) -> Vec<Arc<str>> {
        let mut concerned = Vec::new();
        if let Some(before) = self.slices.remove(slice) {
            concerned.push(self.change(&before, |known| known.slices.remove(slice)));
        }
        if let Some(service) = service {
            let slice: Arc<str> = slice.into();
            let service = self.change(service, |known| known.slices.insert(Arc::clone(&slice)));
            concerned.push(Arc::clone(&service));
            self.slices.insert(slice, service);
        }
        concerned
    }
}

fn remove(from: &mut ByLabel, label: Label, name: &str) {
    if let Entry::Occupied(mut entry) = from.entry(label) {
        entry.get_mut().remove(name);
        if entry.get().is_empty() {
            entry.remove();
        }
    }
}

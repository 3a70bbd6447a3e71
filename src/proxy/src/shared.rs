//! Elements that several Services can need: they stay as long as one does.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use sys::net::services::Element;

/// How many Services need each of these elements.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    counts: HashMap<Key, u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Key {
    Hairpin(IpAddr),
    ClusterIp(IpAddr),
}

impl Key {
    fn of(element: &Element) -> Option<Self> {
        match *element {
            Element::Hairpin(address) => Some(Self::Hairpin(address)),
            Element::ClusterIp(address) => Some(Self::ClusterIp(address)),
            _ => None,
        }
    }

    fn element(self) -> Element {
        match self {
            Self::Hairpin(address) => Element::Hairpin(address),
            Self::ClusterIp(address) => Element::ClusterIp(address),
        }
    }
}

/// The counts that a change touches, as they were before it.
#[derive(Debug, Default)]
pub(crate) struct Before(BTreeMap<Key, u32>);

impl Shared {
    /// Takes the shared elements out of the difference of a Service and counts them.
    pub(crate) fn take(&mut self, removed: &mut Vec<Element>, added: &mut Vec<Element>, before: &mut Before) {
        removed.retain(|element| !self.count(element, before, |count| count.saturating_sub(1)));
        added.retain(|element| !self.count(element, before, |count| count + 1));
    }

    fn count(&mut self, element: &Element, before: &mut Before, change: impl Fn(u32) -> u32) -> bool {
        let Some(key) = Key::of(element) else {
            return false;
        };
        let count = self.counts.get(&key).copied().unwrap_or_default();
        if let Entry::Vacant(vacant) = before.0.entry(key) {
            vacant.insert(count);
        }
        match change(count) {
            0 => self.counts.remove(&key),
            count => self.counts.insert(key, count),
        };
        true
    }

    /// All of them.
    pub(crate) fn elements(&self) -> impl Iterator<Item = Element> {
        self.counts.keys().map(|key| key.element())
    }

    /// Which elements no Service needs any more, and which one needs now.
    pub(crate) fn difference(&self, before: Before) -> (Vec<Element>, Vec<Element>) {
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        for (key, before) in before.0 {
            match (before, self.counts.contains_key(&key)) {
                (0, true) => added.push(key.element()),
                (1.., false) => removed.push(key.element()),
                _ => {}
            }
        }
        (removed, added)
    }
}

//! Elements that several Services can need: they stay as long as one does.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sys::net::services::Element;

/// How many Services need each of these elements.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    hairpins: Counts,
    cluster_ips: Counts,
}

/// A count for each address. Two maps need a third of the memory of one for both families.
#[derive(Debug, Default)]
struct Counts {
    v4: HashMap<Ipv4Addr, u32>,
    v6: HashMap<Ipv6Addr, u32>,
}

/// The elements that a change touches, and whether a Service needed them before it.
#[derive(Debug, Default)]
pub(crate) struct Before(BTreeMap<Element, bool>);

impl Shared {
    /// Takes the shared elements out of the difference of a Service and counts them.
    pub(crate) fn take(&mut self, removed: &mut Vec<Element>, added: &mut Vec<Element>, before: &mut Before) {
        removed.retain(|element| !self.count(element, before, |count| count.saturating_sub(1)));
        added.retain(|element| !self.count(element, before, |count| count + 1));
    }

    /// Returns false for an element that is not shared.
    fn count(&mut self, element: &Element, before: &mut Before, change: impl Fn(u32) -> u32) -> bool {
        let (counts, address) = match *element {
            Element::Hairpin(address) => (&mut self.hairpins, address),
            Element::ClusterIp(address) => (&mut self.cluster_ips, address),
            _ => return false,
        };
        let count = counts.get(address);
        before.0.entry(*element).or_insert(count > 0);
        counts.set(address, change(count));
        true
    }

    fn has(&self, element: &Element) -> bool {
        match *element {
            Element::Hairpin(address) => self.hairpins.get(address) > 0,
            Element::ClusterIp(address) => self.cluster_ips.get(address) > 0,
            _ => false,
        }
    }

    /// All of them.
    pub(crate) fn elements(&self) -> impl Iterator<Item = Element> {
        let hairpins = self.hairpins.addresses().map(Element::Hairpin);
        hairpins.chain(self.cluster_ips.addresses().map(Element::ClusterIp))
    }

    /// Which elements no Service needs any more, and which one needs now.
    pub(crate) fn difference(&self, before: Before) -> (Vec<Element>, Vec<Element>) {
        let changed = before.0.into_iter().filter(|(element, before)| self.has(element) != *before);
        let (removed, added): (Vec<_>, Vec<_>) = changed.partition(|(_, before)| *before);
        let elements = |of: Vec<(Element, bool)>| of.into_iter().map(|(element, _)| element).collect();
        (elements(removed), elements(added))
    }
}

impl Counts {
    fn get(&self, address: IpAddr) -> u32 {
        let count = match address {
            IpAddr::V4(address) => self.v4.get(&address),
            IpAddr::V6(address) => self.v6.get(&address),
        };
        count.copied().unwrap_or_default()
    }

    fn set(&mut self, address: IpAddr, count: u32) {
        match (address, count) {
            (IpAddr::V4(address), 0) => self.v4.remove(&address),
            (IpAddr::V4(address), _) => self.v4.insert(address, count),
            (IpAddr::V6(address), 0) => self.v6.remove(&address),
            (IpAddr::V6(address), _) => self.v6.insert(address, count),
        };
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.v4.keys().copied().map(IpAddr::V4);
        v4.chain(self.v6.keys().copied().map(IpAddr::V6))
    }
}

//! The elements that follow from the objects, and their differences.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use pod::addresses::IpFamily;
use sys::net::nft::Protocol;
use sys::net::services::{Element, EndpointSet, Place};

use super::Proxy;
use crate::change::{Change, Part, difference};
use crate::flows;
use crate::networks::ranges;
use crate::objects::ObjectName;
use crate::shared::{Before, Shared};

impl Proxy {
    /// The difference since the last call.
    pub fn take_change(&mut self) -> Change {
        let mut change = Change::default();
        let mut shared = Before::default();
        for (service, before) in mem::take(&mut self.before) {
            let after = self.state(&service);
            let (mut removed, mut added) = difference(&before.elements, &after.elements);
            self.shared.take(&mut removed, &mut added, &mut shared);
            change.flows.extend(flows::changed(&before.flows, &after.flows));
            change.parts.push(Part { service: Some(service), removed, added });
        }
        let (mut removed, mut added) = self.take_node_change();
        let (unneeded, needed) = self.shared.difference(shared);
        removed.extend(unneeded);
        added.extend(needed);
        change.parts.push(Part { service: None, removed, added });
        change.parts.retain(|part| !part.is_empty());
        change.flows.sort_unstable();
        change.flows.dedup();
        change
    }

    /// The difference to `present`, the elements that the kernel has, instead of that since the last call of
    /// [`Proxy::take_change`].
    pub fn take_difference(&mut self, mut present: Vec<Element>) -> Change {
        self.before.clear();
        self.node_before = self.node_elements();
        self.is_node_changed = false;
        self.shared = Shared::default();
        let mut wanted = self.node_before.clone();
        for name in self.services.keys() {
            let mut elements = self.state(name).elements;
            self.shared.take(&mut Vec::new(), &mut elements, &mut Before::default());
            wanted.extend(elements);
        }
        wanted.extend(self.shared.elements());
        wanted.sort_unstable();
        present.sort_unstable();
        present.dedup();
        let (removed, added) = difference(&present, &wanted);
        drop((present, wanted));
        let gone = removed.iter().filter_map(|element| match element {
            Element::Service { place, .. } => Some(*place),
            _ => None,
        });
        let mut flows: Vec<_> = gone.chain(self.owners.places()).collect();
        flows.retain(|place| place.protocol != Protocol::Tcp);
        flows.sort_unstable();
        flows.dedup();
        Change { parts: self.parts(&removed, &added), flows }
    }

    /// All elements that the kernel should have, sorted, each once.
    pub fn wanted(&self) -> Vec<Element> {
        let mut wanted = self.node_elements();
        wanted.extend(self.services.keys().flat_map(|name| self.state(name).elements));
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// A cluster has a network for each node, so the ranges are made only when they may be others.
    fn take_node_change(&mut self) -> (Vec<Element>, Vec<Element>) {
        if !mem::take(&mut self.is_node_changed) {
            return (Vec::new(), Vec::new());
        }
        let node = self.node_elements();
        let change = difference(&self.node_before, &node);
        self.node_before = node;
        change
    }

    fn node_elements(&self) -> Vec<Element> {
        let ranges = |networks| IpFamily::ALL.into_iter().flat_map(move |family| ranges(networks, family));
        let mut elements: Vec<_> = ranges(&self.node.inside).map(Element::Inside).collect();
        elements.extend(ranges(&self.node.service_networks).map(Element::ServiceNetwork));
        elements.sort_unstable();
        elements
    }

    /// Divides a difference among the Services.
    fn parts(&self, removed: &[Element], added: &[Element]) -> Vec<Part> {
        let mut parts: BTreeMap<Option<&Arc<ObjectName>>, Part> = BTreeMap::new();
        for element in removed {
            parts.entry(self.owner(element)).or_default().removed.push(*element);
        }
        for element in added {
            parts.entry(self.owner(element)).or_default().added.push(*element);
        }
        parts.into_iter().map(|(service, part)| Part { service: service.cloned(), ..part }).collect()
    }

    /// The Service that has the element's place now.
    fn owner(&self, element: &Element) -> Option<&Arc<ObjectName>> {
        let place = match *element {
            Element::Service { place, .. } | Element::SourceRange { place, .. } => place,
            Element::Slot { set, .. } | Element::Member { set, .. } => home(set),
            Element::Inside(_) | Element::Hairpin(_) | Element::ClusterIp(_) | Element::ServiceNetwork(_) => {
                return None;
            }
        };
        self.owners.owner(place)
    }
}

/// The place of a set's cluster IP.
fn home(set: EndpointSet) -> Place {
    Place { address: set.cluster_ip, protocol: set.protocol, port: set.port }
}

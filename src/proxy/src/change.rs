//! Differences between what the packet filter has and what it should have.

use std::cmp::Ordering;
use std::sync::Arc;

use sys::net::nft::Protocol;
use sys::net::services::{Element, Place};

use crate::objects::ObjectName;

/// What is to be changed in the packet filter.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The changes of each Service, and at most one that belongs to none.
    pub parts: Vec<Part>,
    /// The places of UDP and SCTP that may have flows to endpoints that are gone.
    pub flows: Vec<Place>,
}

/// The change of one Service, or of what several share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// The Service; none for elements of the node, and for those that more than one Service can need.
    pub service: Option<Arc<ObjectName>>,
    /// What is to be removed.
    pub removed: Vec<Element>,
    /// What is to be added, after that.
    pub added: Vec<Element>,
}

impl Change {
    /// Whether nothing is to be changed in the table.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// What is to be removed.
    pub fn removed(&self) -> impl Iterator<Item = &Element> {
        self.parts.iter().flat_map(|part| &part.removed)
    }

    /// What is to be added, after that.
    pub fn added(&self) -> impl Iterator<Item = &Element> {
        self.parts.iter().flat_map(|part| &part.added)
    }
}

impl Part {
    pub(crate) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// The places of UDP and SCTP where other endpoints answer after the change.
    pub(crate) fn flows(&self) -> impl Iterator<Item = Place> {
        let places = self.removed.iter().chain(&self.added).filter_map(|element| match element {
            Element::Service { place, .. } => Some(*place),
            _ => None,
        });
        places.filter(|place| place.protocol != Protocol::Tcp)
    }
}

/// What is in `before` alone, and what is in `after` alone. Both are sorted, and have each element once.
pub(crate) fn difference(before: &[Element], after: &[Element]) -> (Vec<Element>, Vec<Element>) {
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    while let (Some(old), Some(new)) = (before.peek(), after.peek()) {
        match old.cmp(new) {
            Ordering::Less => removed.extend(before.next()),
            Ordering::Greater => added.extend(after.next()),
            Ordering::Equal => {
                before.next();
                after.next();
            }
        }
    }
    removed.extend(before);
    added.extend(after);
    (removed, added)
}

//! Elements from what the kernel lists.

use std::collections::BTreeSet;

use super::element::{Element, Endpoint, Network, Origin, Place};
use super::handling::{handling_of, protocol_of, set_of};
use super::items::{coverage, origin_number, origin_value};
use super::maps::{Map, Purpose};
use crate::net::netfilter::data::{DATA_VALUE, DATA_VERDICT, address, port};
use crate::net::netfilter::family::Encoding;
use crate::net::netfilter::intervals::{DATA, ELEMENTS, Item, KEY, intervals};
use crate::net::netfilter::message::{attributes, find, find_in};
use pod::addresses::IpFamily;

/// The keys and verdicts in a message.
pub(super) fn verdicts(message: &[u8]) -> impl Iterator<Item = Option<(u32, &[u8])>> {
    attributes(find(message, ELEMENTS).unwrap_or_default()).map(|element| {
        let key = u32::from_ne_bytes(find_in(element.value, &[KEY, DATA_VALUE])?.try_into().ok()?);
        Some((key, find_in(element.value, &[DATA, DATA_VERDICT])?))
    })
}

/// The elements for all items of a map, `None` if they are not what this version makes.
pub(super) fn elements(map: Map, items: Vec<Item>) -> Option<Vec<Element>> {
    match map.0 {
        Purpose::Origins => inside(map.1, items).map(|all| all.into_iter().map(Element::Inside).collect()),
        Purpose::ServiceNetworks => {
            let all = intervals(map.1, items)?.into_iter();
            Some(all.map(|(network, _)| Element::ServiceNetwork(network)).collect())
        }
        _ => items.iter().map(|item| element(map, item)).collect(),
    }
}

/// The networks inside.
pub(super) fn inside(family: IpFamily, mut items: Vec<Item>) -> Option<BTreeSet<Network>> {
    let all = intervals(family, items.clone())?;
    let inside = origin_value(Origin::Inside);
    let inside = all.into_iter().filter(|(_, value)| value.as_deref() == Some(&inside[..]));
    let inside: BTreeSet<Network> = inside.map(|(network, _)| network).collect();
    let mut wanted = coverage(family, &inside);
    wanted.sort();
    items.sort();
    (items == wanted).then_some(inside)
}

/// Takes fields from the front.
struct Fields<'a> {
    family: IpFamily,
    bytes: &'a [u8],
}

impl Fields<'_> {
    fn take<T>(&mut self, length: usize, read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let (field, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        read(field)
    }

    fn address(&mut self) -> Option<std::net::IpAddr> {
        let family = self.family;
        self.take(family.length(), |field| address(family, field))
    }

    fn number(&mut self) -> Option<u32> {
        self.take(4, |field| Some(u32::from_ne_bytes(field.try_into().ok()?)))
    }

    fn port(&mut self) -> Option<u16> {
        self.take(4, port)
    }

    fn place(&mut self) -> Option<Place> {
        let address = self.address()?;
        let protocol = self.take(4, |field| protocol_of(*field.first()?))?;
        Some(Place { address, protocol, port: self.port()? })
    }

    fn endpoint(&mut self) -> Option<Endpoint> {
        Some(Endpoint { address: self.address()?, port: self.port()? })
    }

    fn set(&mut self) -> Option<super::element::EndpointSet> {
        let address = self.address()?;
        set_of(address, self.number()?)
    }
}

fn element(map: Map, item: &Item) -> Option<Element> {
    let fields = |bytes| Fields { family: map.1, bytes };
    let (mut key, mut value) = (fields(&item.key), fields(item.value.as_deref().unwrap_or_default()));
    Some(match map.0 {
        Purpose::Services => {
            let (place, origin) = (key.place()?, key.number()?);
            let origin =
                [Origin::Inside, Origin::Outside].into_iter().find(|o| origin_number(*o) == origin)?;
            let (_, cluster_ip, word) = (value.number()?, value.address()?, value.number()?);
            let (timeout, handling) = (value.number()?, value.number()?);
            let handling = handling_of(handling, set_of(cluster_ip, word), timeout)?;
            Element::Service { place, origin, handling }
        }
        Purpose::Endpoints => {
            Element::Slot { set: key.set()?, index: key.number()?, endpoint: value.endpoint()? }
        }
        Purpose::Members => {
            let endpoint = key.endpoint()?;
            Element::Member { set: key.set()?, endpoint }
        }
        Purpose::Hairpins => {
            let (source, destination) = (key.address()?, key.address()?);
            Element::Hairpin(Some(source).filter(|source| *source == destination)?)
        }
        Purpose::SourceRanges => {
            let (place, first) = (key.place()?, key.address()?);
            let mut end = fields(item.key_end.as_deref()?);
            let last = end.place().filter(|other| *other == place).and_then(|_| end.address())?;
            Element::SourceRange { place, sources: Network { first, last } }
        }
        Purpose::ClusterIps => Element::ClusterIp(key.address()?),
        Purpose::Origins
        | Purpose::ServiceNetworks
        | Purpose::Affinity
        | Purpose::Balance
        | Purpose::AffinityTimeouts => return None,
    })
}

#[cfg(test)]
mod tests;

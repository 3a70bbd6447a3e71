//! Elements of sets as the kernel lists them, and intervals among them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::data::{DATA_VALUE, address, data, octets};
use super::message::{Attributes, attributes, find, find_in};
use pod::addresses::IpFamily;

/// Attributes of linux/netfilter/nf_tables.h of an element, and the flag of an interval's end.
pub(in crate::net) const KEY: u16 = 1;
pub(in crate::net) const DATA: u16 = 2;
pub(in crate::net) const FLAGS: u16 = 3;
pub(in crate::net) const KEY_END: u16 = 10;
pub(in crate::net) const INTERVAL_END: u32 = 1;

/// The list of elements in a message.
pub(in crate::net) const ELEMENTS: u16 = 3;

/// The addresses from `first` to `last`, both included, of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    /// The first address.
    pub first: IpAddr,
    /// The last address.
    pub last: IpAddr,
}

/// An element of the kernel. Intervals of a single field are two: their first address, and the one after their last,
/// unless that is the family's last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::net) struct Item {
    pub(in crate::net) key: Vec<u8>,
    pub(in crate::net) is_interval_end: bool,
    /// The end of an interval of concatenated fields, included.
    pub(in crate::net) key_end: Option<Vec<u8>>,
    pub(in crate::net) value: Option<Vec<u8>>,
}

impl Item {
    pub(in crate::net) fn new(key: Vec<u8>, value: Option<Vec<u8>>) -> Self {
        Self { key, is_interval_end: false, key_end: None, value }
    }

    /// The attributes that make it, or with `is_keyed` only those that find it.
    pub(in crate::net) fn describe(&self, is_keyed: bool) -> Attributes {
        let about = Attributes::new().nested(KEY, &data(&self.key));
        let about = match &self.value {
            Some(value) if !is_keyed => about.nested(DATA, &data(value)),
            _ => about,
        };
        let about = if self.is_interval_end { about.number(FLAGS, INTERVAL_END) } else { about };
        match &self.key_end {
            Some(end) => about.nested(KEY_END, &data(end)),
            None => about,
        }
    }
}

/// The items in a message.
pub(in crate::net) fn items(message: &[u8]) -> impl Iterator<Item = Option<Item>> {
    attributes(find(message, ELEMENTS).unwrap_or_default()).map(|element| item(element.value))
}

fn item(element: &[u8]) -> Option<Item> {
    let flags = find(element, FLAGS).and_then(|flags| Some(u32::from_be_bytes(*flags.first_chunk()?)));
    Some(Item {
        key: find_in(element, &[KEY, DATA_VALUE])?.to_vec(),
        is_interval_end: flags.unwrap_or(0) & INTERVAL_END != 0,
        key_end: find_in(element, &[KEY_END, DATA_VALUE]).map(<[u8]>::to_vec),
        value: find_in(element, &[DATA, DATA_VALUE]).map(<[u8]>::to_vec),
    })
}

/// Pairs each first address with the end that follows it.
pub(in crate::net) fn intervals(
    family: IpFamily,
    mut items: Vec<Item>,
) -> Option<Vec<(Network, Option<Vec<u8>>)>> {
    // An end comes before the interval that begins there.
    items.sort_by(|a, b| (&a.key, !a.is_interval_end).cmp(&(&b.key, !b.is_interval_end)));
    let mut intervals = Vec::new();
    let mut items = items.into_iter().peekable();
    while let Some(item) = items.next() {
        let first = address(family, &item.key).filter(|_| !item.is_interval_end)?;
        let last = match items.next_if(|next| next.is_interval_end) {
            Some(end) => before(address(family, &end.key)?)?,
            None if items.peek().is_none() => bounds(family).1,
            None => return None,
        };
        intervals.push((Network { first, last }, item.value));
    }
    Some(intervals)
}

/// The two elements of an interval, or one if it reaches to the end of the family.
pub(in crate::net) fn interval(network: &Network, value: Option<Vec<u8>>) -> Vec<Item> {
    let first = Item::new(octets(network.first), value);
    let end = after(network.last).map(|end| Item { is_interval_end: true, ..Item::new(octets(end), None) });
    [first].into_iter().chain(end).collect()
}

/// The first network that begins before another one ends.
pub(in crate::net) fn overlap(networks: &BTreeSet<Network>) -> Option<&Network> {
    networks
        .iter()
        .zip(networks.iter().skip(1))
        .find(|(one, next)| next.first <= one.last)
        .map(|(_, next)| next)
}

/// The first and the last address.
pub(in crate::net) fn bounds(family: IpFamily) -> (IpAddr, IpAddr) {
    match family {
        IpFamily::V4 => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into()),
        IpFamily::V6 => (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::from(u128::MAX).into()),
    }
}

pub(in crate::net) fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => u32::from(address).checked_add(1).map(|next| Ipv4Addr::from(next).into()),
        IpAddr::V6(address) => u128::from(address).checked_add(1).map(|next| Ipv6Addr::from(next).into()),
    }
}

/// The address before this one.
pub(in crate::net) fn before(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => u32::from(address).checked_sub(1).map(|next| Ipv4Addr::from(next).into()),
        IpAddr::V6(address) => u128::from(address).checked_sub(1).map(|next| Ipv6Addr::from(next).into()),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.first, self.last)
    }
}

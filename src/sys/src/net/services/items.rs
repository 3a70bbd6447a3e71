//! Elements as the kernel has them: keys and values of maps and sets.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::element::{Element, Endpoint, EndpointSet, Handling, Network, Origin, Place, SLOTS_MAX};
use super::error::Fault;
use super::handling::{handling_word, is_slot_count, port_word};
use super::maps::{Map, Purpose};
use crate::net::netfilter::data::{octets, padded};
use crate::net::netfilter::intervals::{Item, after, before, bounds, interval};
use pod::addresses::IpFamily;

/// The number with which values begin whose other fields are parts of keys.
const UNUSED: [u8; 4] = [0; 4];

impl Element {
    /// The map or set that has it.
    pub(super) fn map(&self) -> Map {
        let (purpose, address) = match self {
            Self::Inside(network) => (Purpose::Origins, network.first),
            Self::Service { place, .. } => (Purpose::Services, place.address),
            Self::Slot { set, .. } => (Purpose::Endpoints, set.cluster_ip),
            Self::Member { set, .. } => (Purpose::Members, set.cluster_ip),
            Self::Hairpin(address) => (Purpose::Hairpins, *address),
            Self::SourceRange { place, .. } => (Purpose::SourceRanges, place.address),
            Self::ClusterIp(address) => (Purpose::ClusterIps, *address),
            Self::ServiceNetwork(network) => (Purpose::ServiceNetworks, network.first),
        };
        Map(purpose, IpFamily::of(address))
    }

    /// The network, if it is one inside.
    pub(super) fn inside(&self) -> Option<Network> {
        match self {
            Self::Inside(network) => Some(*network),
            _ => None,
        }
    }

    /// Finds what no table can have.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let same = |a: IpAddr, b: IpAddr| IpFamily::of(a) == IpFamily::of(b);
        let is_one_family = match self {
            Self::Inside(Network { first, last }) | Self::ServiceNetwork(Network { first, last }) => {
                same(*first, *last)
            }
            Self::Service { place, handling: Handling::Balance(balance), .. } => {
                same(place.address, balance.set.cluster_ip)
            }
            Self::Slot { set, endpoint, .. } | Self::Member { set, endpoint } => {
                same(set.cluster_ip, endpoint.address)
            }
            Self::SourceRange { place, sources } => {
                same(place.address, sources.first) && same(sources.first, sources.last)
            }
            Self::Service { .. } | Self::Hairpin(_) | Self::ClusterIp(_) => true,
        };
        match self {
            _ if !is_one_family => Err(Fault::Families),
            Self::Service { handling: Handling::Balance(balance), .. } if !is_slot_count(balance.slots) => {
                Err(Fault::Slots(balance.slots))
            }
            Self::Slot { index, .. } if *index >= SLOTS_MAX => Err(Fault::Index(*index)),
            Self::Inside(network)
            | Self::ServiceNetwork(network)
            | Self::SourceRange { sources: network, .. }
                if network.last < network.first =>
            {
                Err(Fault::Order)
            }
            _ => Ok(()),
        }
    }

    /// What the kernel has for it. An [`Element::Inside`] is a part of the [`coverage`] instead.
    pub(super) fn items(&self) -> Vec<Item> {
        let item = match self {
            Self::Inside(_) => return Vec::new(),
            Self::ServiceNetwork(network) => return interval(network, None),
            Self::Service { place, origin, handling } => {
                let key = [place_key(place), number(origin_number(*origin))].concat();
                Item::new(key, Some(service_value(place, handling)))
            }
            Self::Slot { set, index, endpoint } => {
                Item::new([set_key(set), number(*index)].concat(), Some(endpoint_fields(endpoint)))
            }
            Self::Member { set, endpoint } => {
                Item::new([endpoint_fields(endpoint), set_key(set)].concat(), None)
            }
            Self::Hairpin(address) => Item::new([octets(*address), octets(*address)].concat(), None),
            Self::ClusterIp(address) => Item::new(octets(*address), None),
            Self::SourceRange { place, sources } => {
                let key = |address| [place_key(place), octets(address)].concat();
                let item = Item::new(key(sources.first), None);
                Item { key_end: Some(key(sources.last)), ..item }
            }
        };
        vec![item]
    }
}

/// The number of an origin in keys and values.
pub(super) fn origin_number(origin: Origin) -> u32 {
    match origin {
        Origin::Inside => 0,
        Origin::Outside => 1,
    }
}

/// The value of an origin.
pub(super) fn origin_value(origin: Origin) -> Vec<u8> {
    [UNUSED.to_vec(), number(origin_number(origin))].concat()
}

/// A number that is not in network byte order.
pub(super) fn number(value: u32) -> Vec<u8> {
    value.to_ne_bytes().to_vec()
}

fn place_key(place: &Place) -> Vec<u8> {
    let mut key = octets(place.address);
    key.extend([place.protocol.number(), 0, 0, 0]);
    key.extend(padded(place.port));
    key
}

fn set_key(set: &EndpointSet) -> Vec<u8> {
    [octets(set.cluster_ip), number(port_word(set))].concat()
}

fn endpoint_fields(endpoint: &Endpoint) -> Vec<u8> {
    [&octets(endpoint.address)[..], &padded(endpoint.port)].concat()
}

fn service_value(place: &Place, handling: &Handling) -> Vec<u8> {
    let (set, timeout) = match handling {
        Handling::Balance(balance) => (set_key(&balance.set), balance.affinity_seconds),
        Handling::Reject | Handling::Drop => (vec![0; octets(place.address).len() + 4], 0),
    };
    [UNUSED.to_vec(), set, number(timeout), number(handling_word(handling))].concat()
}

/// The intervals of a family's `origins`: those inside, and the gaps. `inside` is without overlaps.
fn intervals(family: IpFamily, inside: &BTreeSet<Network>) -> BTreeSet<(Network, Origin)> {
    let (start, end) = bounds(family);
    let (mut intervals, mut next) = (BTreeSet::new(), Some(start));
    for network in inside {
        if let (Some(first), Some(last)) =
            (next.filter(|first| *first < network.first), before(network.first))
        {
            intervals.insert((Network { first, last }, Origin::Outside));
        }
        intervals.insert((*network, Origin::Inside));
        next = after(network.last);
    }
    intervals.extend(next.map(|first| (Network { first, last: end }, Origin::Outside)));
    intervals
}

/// What a family's `origins` has.
pub(super) fn coverage(family: IpFamily, inside: &BTreeSet<Network>) -> Vec<Item> {
    intervals(family, inside).iter().flat_map(covering).collect()
}

/// What goes from a family's `origins`, and what comes, if other networks are inside.
pub(super) fn coverage_change(
    family: IpFamily,
    before: &BTreeSet<Network>,
    after: &BTreeSet<Network>,
) -> (Vec<Item>, Vec<Item>) {
    let (before, after) = (intervals(family, before), intervals(family, after));
    let of = |difference: Vec<&(Network, Origin)>| difference.into_iter().flat_map(covering).collect();
    (of(before.difference(&after).collect()), of(after.difference(&before).collect()))
}

fn covering((network, origin): &(Network, Origin)) -> Vec<Item> {
    interval(network, Some(origin_value(*origin)))
}

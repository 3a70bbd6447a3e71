use std::net::Ipv4Addr;

use super::*;
use crate::net::netfilter::message::Attributes;
use crate::net::nft::Protocol;
use crate::net::services::element::{Balance, EndpointSet, Handling, SLOTS_MAX, Scope};
use crate::net::services::error::Fault;
use crate::net::services::items::coverage_change;

fn ip(text: &str) -> std::net::IpAddr {
    text.parse().unwrap()
}

fn network(first: &str, last: &str) -> Network {
    Network { first: ip(first), last: ip(last) }
}

fn set(cluster_ip: &str, scope: Scope) -> EndpointSet {
    EndpointSet { cluster_ip: ip(cluster_ip), protocol: Protocol::Udp, port: 53, scope }
}

fn place(address: &str) -> Place {
    Place { address: ip(address), protocol: Protocol::Sctp, port: 65535 }
}

fn service(address: &str, origin: Origin, handling: Handling) -> Element {
    Element::Service { place: place(address), origin, handling }
}

fn balance(cluster_ip: &str) -> Balance {
    let set = set(cluster_ip, Scope::Local);
    Balance { set, slots: SLOTS_MAX, masquerade: true, affinity_seconds: 10800, checks_source: true }
}

fn samples() -> Vec<Element> {
    let mut all = Vec::new();
    for (a, b) in [("10.96.0.10", "10.0.0.5"), ("fd96::10", "fd00::5")] {
        let endpoint = Endpoint { address: ip(b), port: 5353 };
        let few = Balance { slots: 1, affinity_seconds: 0, masquerade: false, ..balance(a) };
        all.extend([
            service(a, Origin::Inside, Handling::Balance(balance(a))),
            service(b, Origin::Outside, Handling::Balance(few)),
            service(a, Origin::Outside, Handling::Reject),
            service(b, Origin::Inside, Handling::Drop),
            Element::Slot { set: set(a, Scope::Cluster), index: SLOTS_MAX - 1, endpoint },
            Element::Member { set: set(a, Scope::Local), endpoint },
            Element::Hairpin(ip(b)),
            Element::SourceRange { place: place(a), sources: Network { first: ip(b), last: ip(b) } },
            Element::ClusterIp(ip(a)),
        ]);
    }
    let networks =
        [("10.96.0.0", "10.96.255.255"), ("10.97.0.0", "10.97.0.0"), ("255.0.0.0", "255.255.255.255")];
    all.extend(networks.map(|(first, last)| Element::ServiceNetwork(network(first, last))));
    all.push(Element::ServiceNetwork(network("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
    all
}

/// What the kernel lists of elements that were added with this.
fn sent(items: &[Item]) -> Vec<Item> {
    let list = items.iter().fold(Attributes::new(), |list, item| list.nested(1, &item.describe(false)));
    let message = Attributes::new().nested(ELEMENTS, &list);
    crate::net::netfilter::intervals::items(message.as_bytes()).collect::<Option<_>>().unwrap()
}

#[test]
fn elements_are_read_back() {
    for element in samples() {
        assert_eq!(element.check(), Ok(()), "{element}");
        let found = elements(element.map(), sent(&element.items()));
        assert_eq!(found.as_deref(), Some(&[element][..]), "{element}");
    }
    // Intervals side by side, in any order.
    let networks: Vec<Element> =
        samples().into_iter().filter(|e| e.map() == Map(Purpose::ServiceNetworks, IpFamily::V4)).collect();
    let mut items: Vec<Item> = networks.iter().flat_map(Element::items).collect();
    items.reverse();
    assert_eq!(elements(Map(Purpose::ServiceNetworks, IpFamily::V4), sent(&items)), Some(networks));
}

#[test]
fn keys_and_values_have_the_lengths_of_their_maps() {
    for element in samples() {
        for item in element.items() {
            let (key, value) = element.map().lengths();
            assert_eq!(item.key.len(), key, "{element}");
            assert_eq!(item.value.map(|value| value.len()), value, "{element}");
        }
    }
}

/// A cluster has a network inside for each node, and the kernel takes long to fill the map anew for each that comes.
#[test]
fn one_more_network_inside_changes_its_neighbours_alone() {
    let node = |number: u32| {
        let first = 0x0a00_0000 + (number << 8);
        Network { first: Ipv4Addr::from(first).into(), last: Ipv4Addr::from(first + 127).into() }
    };
    let before: BTreeSet<Network> = (0..1000).filter(|number| *number != 500).map(node).collect();
    let after: BTreeSet<Network> = (0..1000).map(node).collect();
    let (gone, new) = coverage_change(IpFamily::V4, &before, &after);
    // A gap and its end; what is inside, and the gaps on both sides.
    assert_eq!((gone.len(), new.len()), (2, 6));
    let (back, again) = coverage_change(IpFamily::V4, &after, &before);
    assert_eq!((back, again), (new, gone));
    assert_eq!(coverage_change(IpFamily::V4, &after, &after), (Vec::new(), Vec::new()));
}

#[test]
fn what_is_inside_and_what_is_between_covers_the_family() {
    for (family, all) in [
        (IpFamily::V4, vec![]),
        (IpFamily::V4, vec![network("0.0.0.0", "255.255.255.255")]),
        (IpFamily::V4, vec![network("0.0.0.0", "0.0.0.0"), network("255.255.255.255", "255.255.255.255")]),
        (IpFamily::V4, vec![network("10.0.0.0", "10.0.0.255"), network("10.0.1.0", "10.0.1.255")]),
        (IpFamily::V6, vec![network("fd00::", "fd00::ffff"), network("fd01::5", "fd01::5")]),
    ] {
        let networks: BTreeSet<Network> = all.into_iter().collect();
        let items = coverage(family, &networks);
        assert_eq!(inside(family, sent(&items)), Some(networks), "{items:?}");
        // Each part is needed.
        for left_out in 0..items.len() {
            let mut items = items.clone();
            items.remove(left_out);
            assert_eq!(inside(family, items), None, "{left_out}");
        }
    }
}

#[test]
fn what_this_version_does_not_make_is_not_read() {
    let item = |key: &[u8], value: Option<&[u8]>| Item {
        key: key.to_vec(),
        is_interval_end: false,
        key_end: None,
        value: value.map(<[u8]>::to_vec),
    };
    for map in Map::all() {
        for bad in [item(&[], None), item(&[1; 3], Some(&[2; 3]))] {
            assert_eq!(elements(map, vec![bad]), None, "{}", map.name());
        }
    }
    for purpose in [Purpose::Services, Purpose::Endpoints, Purpose::Members, Purpose::SourceRanges] {
        let bad = item(&[0xff; 64], Some(&[0xff; 64]));
        assert_eq!(elements(Map(purpose, IpFamily::V6), vec![bad]), None, "{purpose:?}");
    }
    // A flag of a later version.
    let mut items = samples()[0].items();
    let value = items[0].value.as_mut().unwrap();
    value[16..20].copy_from_slice(&(1_u32 << 30 | 1).to_ne_bytes());
    assert_eq!(elements(samples()[0].map(), items), None);
}

#[test]
fn what_no_table_can_have_is_found() {
    let slots = |slots| {
        let balance = Balance { slots, ..balance("10.96.0.10") };
        service("10.96.0.10", Origin::Inside, Handling::Balance(balance)).check()
    };
    assert_eq!(
        [0, 65, SLOTS_MAX + 1].map(slots),
        [0, 65, SLOTS_MAX + 1].map(|slots| Err(Fault::Slots(slots)))
    );
    let other = Endpoint { address: ip("fd00::5"), port: 1 };
    let set = set("10.96.0.10", Scope::Cluster);
    for mixed in [
        Element::Slot { set, index: 0, endpoint: other },
        Element::Member { set, endpoint: other },
        Element::Inside(network("10.0.0.0", "fd00::")),
        Element::SourceRange { place: place("10.96.0.10"), sources: network("fd00::", "fd00::1") },
        service("fd96::1", Origin::Inside, Handling::Balance(balance("10.96.0.10"))),
    ] {
        assert_eq!(mixed.check(), Err(Fault::Families), "{mixed}");
    }
    let endpoint = Endpoint { address: ip("10.0.0.5"), port: 1 };
    assert_eq!(Element::Slot { set, index: SLOTS_MAX, endpoint }.check(), Err(Fault::Index(SLOTS_MAX)));
    assert_eq!(Element::Inside(network("10.0.0.1", "10.0.0.0")).check(), Err(Fault::Order));
}

//! Elements of the tests.

use std::net::IpAddr;

use sys::net::nft::Protocol;
use sys::net::services::{Balance, Element, Endpoint, EndpointSet, Handling, Network, Origin, Place, Scope};

pub(super) const PORT: u16 = 80;
/// Where endpoints listen.
pub(super) const TARGET: u16 = 8080;

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn network(first: &str, last: &str) -> Network {
    Network { first: ip(first), last: ip(last) }
}

pub(super) fn place(address: &str, protocol: Protocol, port: u16) -> Place {
    Place { address: ip(address), protocol, port }
}

pub(super) fn set(cluster_ip: &str, protocol: Protocol) -> EndpointSet {
    EndpointSet { cluster_ip: ip(cluster_ip), protocol, port: PORT, scope: Scope::Cluster }
}

pub(super) fn local(set: EndpointSet) -> EndpointSet {
    EndpointSet { scope: Scope::Local, ..set }
}

pub(super) fn endpoint(address: &str) -> Endpoint {
    Endpoint { address: ip(address), port: TARGET }
}

/// A balance without anything special.
pub(super) fn balance(set: EndpointSet, slots: u32) -> Balance {
    Balance { set, slots, masquerade: false, affinity_seconds: 0, checks_source: false }
}

pub(super) fn service(place: Place, origin: Origin, handling: Handling) -> Element {
    Element::Service { place, origin, handling }
}

/// The same handling for both origins.
pub(super) fn services(place: Place, handling: Handling) -> [Element; 2] {
    [Origin::Inside, Origin::Outside].map(|origin| service(place, origin, handling))
}

pub(super) fn slots(set: EndpointSet, endpoints: &[&str]) -> Vec<Element> {
    let slot = |(index, address): (u32, &&str)| Element::Slot { set, index, endpoint: endpoint(address) };
    (0..).zip(endpoints).map(slot).collect()
}

/// A Service with a cluster IP and these endpoints.
pub(super) fn balanced(cluster_ip: &str, protocol: Protocol, endpoints: &[&str]) -> Vec<Element> {
    let set = set(cluster_ip, protocol);
    let count = u32::try_from(endpoints.len()).unwrap();
    let mut all = slots(set, endpoints);
    all.extend(services(place(cluster_ip, protocol, PORT), Handling::Balance(balance(set, count))));
    all
}

/// Elements of every kind, in both families.
pub(super) fn every_kind() -> Vec<Element> {
    let mut all = Vec::new();
    for (cluster_ip, pod, other) in
        [("10.96.0.10", "10.0.1.2", "10.0.2.2"), ("fd96::10", "fd00:1::2", "fd00:2::2")]
    {
        for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
            let set = set(cluster_ip, protocol);
            let special = Balance {
                masquerade: true,
                affinity_seconds: 10800,
                checks_source: true,
                ..balance(local(set), 4096)
            };
            let at = place(cluster_ip, protocol, PORT);
            all.push(service(at, Origin::Inside, Handling::Balance(balance(set, 2))));
            all.push(service(at, Origin::Outside, Handling::Balance(special)));
            all.extend(slots(set, &[pod, other]));
            all.push(Element::Slot { set: local(set), index: 65535, endpoint: endpoint(pod) });
            all.push(Element::Member { set: local(set), endpoint: endpoint(pod) });
            let sources = Network { first: ip(pod), last: ip(other) };
            all.push(Element::SourceRange { place: at, sources });
        }
        all.extend(services(place(pod, Protocol::Tcp, 30080), Handling::Reject));
        all.extend(services(place(pod, Protocol::Tcp, 30081), Handling::Drop));
        all.extend([Element::Hairpin(ip(pod)), Element::ClusterIp(ip(cluster_ip))]);
    }
    all.extend(
        [
            ("10.0.0.0", "10.0.255.255"),
            ("10.1.0.0", "10.1.0.0"),
            ("192.0.2.1", "192.0.2.1"),
            ("fd00::", "fd00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ]
        .map(|(first, last)| Element::Inside(network(first, last))),
    );
    all.extend(
        [
            ("10.96.0.0", "10.96.255.255"),
            ("10.97.0.0", "10.97.0.255"),
            ("255.0.0.0", "255.255.255.255"),
            ("fd96::", "fd96::ffff"),
        ]
        .map(|(first, last)| Element::ServiceNetwork(network(first, last))),
    );
    all
}

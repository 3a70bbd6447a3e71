//! Mode `routed`: each pod has its own veth pair, and the node a route to each of the pod's addresses.
//!
//! The pod's gateways are link-local addresses, the same for all pods, that no interface has. Permanent entries in the
//! pod's neighbour table map them to the node's end, and entries on the node map the pod's addresses to the pod's end.
//! So the node's end needs no address that the node could use as the source of a connection to the pod, and neither
//! side resolves neighbours.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::wiring::{Pair, Undo, Wiring, everything, shown};
use crate::protocol::error::CniError;
use crate::protocol::result::{CniResult, Ip};
use pod::addresses::IpFamily;
use sys::container::netns;
use sys::net::rtnetlink::{NetworkChange, NetworkError, NewRoute, RouteSocket};

const GATEWAY_4: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
const GATEWAY_6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// The priority of the second route, which remains when the node loses the address that is the source of the first.
const WITHOUT_SOURCE: u32 = 1;

fn gateway(family: IpFamily) -> IpAddr {
    match family {
        IpFamily::V4 => GATEWAY_4.into(),
        IpFamily::V6 => GATEWAY_6.into(),
    }
}

/// Connects the pod.
///
/// # Errors
/// The kernel's answer; the caller undoes what was made.
pub(crate) fn connect<'a>(wiring: &Wiring<'a>, undo: &mut Undo<'a>) -> Result<CniResult, CniError> {
    let mut node = RouteSocket::here()?;
    wiring.forward()?;
    let mut pair = wiring.make_pair(&mut node, false, undo)?;
    wiring.end_settings()?;
    let addresses: Vec<IpNet> = wiring.addresses.iter().map(|one| IpNet::from(one.address.addr())).collect();
    lead(&mut node, wiring, &pair, &addresses)?;
    let gateways: Vec<IpAddr> = wiring.families().into_iter().map(gateway).collect();
    let routes = pod_routes(wiring, pair.inside.index);
    let to_gateway = wiring
        .has(IpFamily::V4)
        .then(|| NewRoute::new(IpNet::from(gateway(IpFamily::V4)), None, pair.inside.index));
    let with_gateway: Vec<NewRoute> = to_gateway.into_iter().chain(routes.iter().cloned()).collect();
    wiring.furnish(&mut node, &mut pair, &addresses, &gateways, &with_gateway)?;
    let ips = addresses.iter().map(|address| Ip {
        interface: Some(1),
        address: *address,
        gateway: Some(gateway(IpFamily::of(address.addr()))),
    });
    Ok(CniResult {
        ips: ips.collect(),
        interfaces: wiring.interfaces(&pair).into(),
        routes: routes.iter().map(shown).collect(),
        ..CniResult::default()
    })
}

/// The node's address towards its default route, which is to be the source of its connections to the pod. Without one
/// the kernel takes the first address of any interface, for example a virtual one on lo or that of another network's
/// bridge.
fn source(node: &mut RouteSocket, family: IpFamily) -> Option<IpAddr> {
    let source = node.source_towards(netns::beyond_default_route(family));
    // A link-local address of another interface cannot be used.
    source.filter(|source| !matches!(source, IpAddr::V6(v6) if v6.is_unicast_link_local()))
}

/// Brings the node's end up and adds the routes to the pod's addresses. When an address goes, the kernel removes the
/// IPv4 routes whose source it is, so there is a second route; an IPv6 route only loses its source.
///
/// A node without an IPv6 address gets one on its end of the pair. It is on no subnet: on a forwarding node the kernel
/// joins the anycast address of each subnet, and leaving it costs DEL another grace period.
fn lead(
    node: &mut RouteSocket,
    wiring: &Wiring<'_>,
    pair: &Pair,
    addresses: &[IpNet],
) -> Result<(), NetworkError> {
    let outside = pair.outside.index;
    let [source_4, source_6] =
        IpFamily::ALL.map(|family| if wiring.has(family) { source(node, family) } else { None });
    let mut changes = vec![NetworkChange::up(outside, wiring.host_ifname)];
    if wiring.has(IpFamily::V6) && source_6.is_none() {
        changes.push(NetworkChange::add_address(outside, IpNet::from(IpAddr::from(GATEWAY_6))));
    }
    // The routes with a source by their index among the changes; the value is the route without it.
    let mut sourced = BTreeMap::new();
    for address in addresses {
        let family = IpFamily::of(address.addr());
        let plain = NewRoute::new(*address, None, outside);
        changes.push(NetworkChange::add_neighbour(outside, address.addr(), wiring.mac));
        let source = match family {
            IpFamily::V4 => source_4,
            IpFamily::V6 => source_6,
        };
        if source.is_none() {
            changes.push(NetworkChange::add_route(&plain));
            continue;
        }
        sourced.insert(changes.len(), plain.clone());
        changes.push(NetworkChange::add_route(&NewRoute { source, ..plain.clone() }));
        if family == IpFamily::V4 {
            changes.push(NetworkChange::add_route(&NewRoute { priority: Some(WITHOUT_SOURCE), ..plain }));
        }
    }
    let ends = wiring.set_up(node, pair, changes)?;
    let mut again = Vec::new();
    for (index, end) in ends.into_iter().enumerate() {
        match (end, sourced.get(&index)) {
            // The node has lost the source address since.
            (Err(error), Some(plain)) if error.is_invalid() => again.push(NetworkChange::add_route(plain)),
            (end, _) => end?,
        }
    }
    if again.is_empty() { Ok(()) } else { node.make(again) }
}

/// The configured routes. A family without any gets a default route; a family whose routes do not cover the subnet gets
/// one to the subnet, since its other pods are not on the same link.
fn pod_routes(wiring: &Wiring<'_>, interface: u32) -> Vec<NewRoute> {
    let mut routes = wiring.configured_routes(interface, |family| Some(gateway(family)));
    for one in wiring.addresses {
        let family = IpFamily::of(one.address.addr());
        let configured = || wiring.routes.iter().filter(|route| IpFamily::of(route.dst.addr()) == family);
        let dst = if configured().next().is_none() { everything(family) } else { one.address.trunc() };
        // A pod may have several addresses of a family.
        let is_there = routes.iter().any(|route| route.dst == dst);
        if !is_there && !configured().any(|route| route.dst.contains(&dst)) {
            routes.push(NewRoute::new(dst, Some(gateway(family)), interface));
        }
    }
    routes
}

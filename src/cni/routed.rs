//! Mode `routed`: every pod at the end of a veth pair of its own, and on the node a route to each of its addresses.
//!
//! The pod's gateways are link-local addresses, the same for all pods, that no interface has: permanent entries in the
//! pod's neighbour table lead them to the node's end, and such entries on the node lead the pod's addresses to its end.
//! So the node has no address that it could take for the source of a connection to the pod, and nobody asks for
//! neighbours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::error::CniError;
use super::result::{CniResult, Ip};
use super::wiring::{Wiring, everything, shown};
use crate::sys::netns;
use crate::sys::network::{Network, NewRoute};

const GATEWAY_4: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
const GATEWAY_6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// The priority of the route that is left of two when the node loses the address it sent from.
const WITHOUT_SOURCE: u32 = 1;

fn gateway(is_ipv6: bool) -> IpAddr {
    if is_ipv6 { GATEWAY_6.into() } else { GATEWAY_4.into() }
}

/// Connects the pod.
///
/// # Errors
/// The kernel's answer; the caller undoes what was made.
pub(super) fn connect(wiring: &Wiring<'_>) -> Result<CniResult, CniError> {
    let mut node = Network::here()?;
    wiring.forward()?;
    let mut pair = wiring.make_pair(&mut node, false)?;
    let outside = pair.outside.index;
    wiring.node_settings(wiring.host_ifname)?;
    wiring.no_link_local(&mut node, &pair)?;
    node.up(outside, wiring.host_ifname)?;
    let addresses: Vec<IpNet> = wiring.addresses.iter().map(|one| IpNet::from(one.address.addr())).collect();
    for is_ipv6 in [false, true] {
        let mut of_family = addresses.iter().filter(|address| address.addr().is_ipv6() == is_ipv6).peekable();
        if of_family.peek().is_some() {
            let source = source(&mut node, is_ipv6, outside)?;
            of_family.try_for_each(|address| lead(&mut node, wiring, outside, *address, source))?;
        }
    }
    wiring.furnish(&mut node, &mut pair, &addresses)?;
    for is_ipv6 in [false, true].into_iter().filter(|is_ipv6| wiring.has(*is_ipv6)) {
        pair.pod.add_neighbour(pair.inside.index, gateway(is_ipv6), wiring.host_mac)?;
    }
    let routes = pod_routes(wiring, pair.inside.index);
    let to_gateway =
        wiring.has(false).then(|| NewRoute::new(IpNet::from(gateway(false)), None, pair.inside.index));
    Wiring::add_routes(&mut pair, to_gateway.as_slice())?;
    Wiring::add_routes(&mut pair, &routes)?;
    let ips = addresses.iter().map(|address| Ip {
        interface: Some(1),
        address: *address,
        gateway: Some(gateway(address.addr().is_ipv6())),
    });
    Ok(CniResult {
        ips: ips.collect(),
        interfaces: wiring.interfaces(&pair).into(),
        routes: routes.iter().map(shown).collect(),
        ..CniResult::default()
    })
}

/// The node's address towards its default route, from which it is to connect to the pod. Left alone, the kernel takes the
/// first address of any interface, be it a virtual one on lo or that of another network's bridge.
///
/// A node without an IPv6 address gets one on its end, for it has none to choose from.
fn source(node: &mut Network, is_ipv6: bool, outside: u32) -> Result<Option<IpAddr>, CniError> {
    let source = netns::towards_default_route(is_ipv6);
    // Of another interface's it can use no link-local one.
    let source = source.filter(|source| !matches!(source, IpAddr::V6(v6) if v6.is_unicast_link_local()));
    if source.is_none() && is_ipv6 {
        node.add_address(outside, IpNet::new_assert(GATEWAY_6.into(), 64))?;
    }
    Ok(source)
}

/// Leads one of the pod's addresses to it. The kernel removes an IPv4 route with the address that is its source, so there
/// is another one behind it; of an IPv6 route it forgets the source.
fn lead(
    node: &mut Network,
    wiring: &Wiring<'_>,
    outside: u32,
    address: IpNet,
    source: Option<IpAddr>,
) -> Result<(), CniError> {
    node.add_neighbour(outside, address.addr(), wiring.mac)?;
    let plain = NewRoute::new(address, None, outside);
    let sourced = source.map(|source| node.add_route(&NewRoute { source: Some(source), ..plain.clone() }));
    match sourced {
        Some(Ok(())) if address.addr().is_ipv6() => Ok(()),
        Some(Ok(())) => Ok(node.add_route(&NewRoute { priority: Some(WITHOUT_SOURCE), ..plain })?),
        // The node has lost that address since.
        Some(Err(error)) if error.is_invalid() => Ok(node.add_route(&plain)?),
        Some(Err(error)) => Err(error.into()),
        None => Ok(node.add_route(&plain)?),
    }
}

/// What is configured; for a family of which nothing is, everything through the gateway; and where the configured ones do
/// not lead everywhere, at least the way to the other pods of the subnet, who are on no link with this one.
fn pod_routes(wiring: &Wiring<'_>, interface: u32) -> Vec<NewRoute> {
    let mut routes = wiring.configured_routes(interface, |is_ipv6| Some(gateway(is_ipv6)));
    for one in wiring.addresses {
        let is_ipv6 = one.address.addr().is_ipv6();
        let configured = || wiring.routes.iter().filter(|route| route.dst.addr().is_ipv6() == is_ipv6);
        let dst = if configured().next().is_none() { everything(is_ipv6) } else { one.address.trunc() };
        // A pod may have several addresses of a family.
        let is_there = routes.iter().any(|route| route.dst == dst);
        if !is_there && !configured().any(|route| route.dst.contains(&dst)) {
            routes.push(NewRoute::new(dst, Some(gateway(is_ipv6)), interface));
        }
    }
    routes
}

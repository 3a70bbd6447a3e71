//! Mode `routed`: every pod at the end of a veth pair of its own, and on the node a route to each of its addresses.
//!
//! The pod's gateways are link-local addresses on the node's end, the same for all pods. The IPv4 one has scope host:
//! the node answers for it, but never sends from it to anything else than the pod.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::error::CniError;
use super::result::{CniResult, Ip};
use super::wiring::{Wiring, everything, shown};
use crate::sys::network::{Network, NewRoute, Scope};

const GATEWAY_4: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
const GATEWAY_6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

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
    for is_ipv6 in [false, true].into_iter().filter(|is_ipv6| wiring.has(*is_ipv6)) {
        let (prefix, scope) = if is_ipv6 { (64, Scope::Global) } else { (32, Scope::Host) };
        node.add_address(outside, IpNet::new_assert(gateway(is_ipv6), prefix), scope)?;
    }
    let addresses: Vec<IpNet> = wiring.addresses.iter().map(|one| IpNet::from(one.address.addr())).collect();
    for address in &addresses {
        node.add_route(&NewRoute::new(*address, None, outside))?;
    }
    wiring.furnish(&mut pair, &addresses)?;
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

/// What is configured; for a family of which nothing is, everything through the gateway; and where the configured ones do
/// not lead everywhere, at least the way to the other pods of the subnet, who are on no link with this one.
fn pod_routes(wiring: &Wiring<'_>, interface: u32) -> Vec<NewRoute> {
    let mut routes = wiring.configured_routes(interface, |is_ipv6| Some(gateway(is_ipv6)));
    for one in wiring.addresses {
        let is_ipv6 = one.address.addr().is_ipv6();
        let configured = || wiring.routes.iter().filter(|route| route.dst.addr().is_ipv6() == is_ipv6);
        let dst = if configured().next().is_none() { everything(is_ipv6) } else { one.address.trunc() };
        if !configured().any(|route| route.dst.contains(&dst)) {
            routes.push(NewRoute::new(dst, Some(gateway(is_ipv6)), interface));
        }
    }
    routes
}

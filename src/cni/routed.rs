//! Mode `routed`: every pod at the end of a veth pair of its own, and on the node a route to each of its addresses.
//!
//! The pod's gateways are link-local addresses on the node's end, the same for all pods. The IPv4 one has scope host:
//! the node answers for it, but never sends from it to anything else than the pod.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::error::CniError;
use super::result::{CniResult, Ip};
use super::wiring::{Pair, Wiring, everything, shown};
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
    node.no_link_local(outside, wiring.host_ifname)?;
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
    let mut routes = pod_routes(wiring, pair.inside.index);
    if wiring.has(false) && !link_to_gateway(&mut pair)? {
        routes.iter_mut().for_each(|route| route.on_link = route.gw == Some(GATEWAY_4.into()));
    }
    routes.iter().try_for_each(|route| pair.pod.add_route(route))?;
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

/// Makes the pod's route to the IPv4 gateway; `false` where another interface of the pod's has it already.
fn link_to_gateway(pair: &mut Pair) -> Result<bool, CniError> {
    let route = NewRoute::new(IpNet::from(IpAddr::from(GATEWAY_4)), None, pair.inside.index);
    match pair.pod.add_route(&route) {
        Err(error) if error.is_present() => Ok(false),
        other => Ok(other.map(|()| true)?),
    }
}

/// What is configured, else everything through the gateways.
fn pod_routes(wiring: &Wiring<'_>, interface: u32) -> Vec<NewRoute> {
    if !wiring.routes.is_empty() {
        return wiring.configured_routes(interface, |is_ipv6| Some(gateway(is_ipv6)));
    }
    let families = [false, true].into_iter().filter(|is_ipv6| wiring.has(*is_ipv6));
    families.map(|v6| NewRoute::new(everything(v6), Some(gateway(v6)), interface)).collect()
}

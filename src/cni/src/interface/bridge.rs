//! Mode `bridge`: all pods on one bridge, as the reference plugin does it.
//!
//! Unlike there, a bridge may have the gateways of several disjoint subnets of a family, so that a second podCIDR can
//! use the same bridge.

use std::net::IpAddr;

use ipnet::IpNet;

use super::names;
use super::wiring::{Undo, Wiring, everything, found, shown};
use crate::config::main_config::{Bridge, vlan_interface};
use crate::protocol::error::{CniError, Code};
use crate::protocol::result::{CniResult, Interface, Ip};
use pod::addresses::IpFamily;
use sys::net::rtnetlink::{BridgePort, Link, NetworkChange, NewRoute, RouteSocket};

/// Connects the pod.
///
/// # Errors
/// The kernel's answer, or that the bridge's name belongs to another interface.
pub(crate) fn connect<'a>(
    wiring: &Wiring<'a>,
    bridge: &Bridge,
    undo: &mut Undo<'a>,
) -> Result<CniResult, CniError> {
    let mut node = RouteSocket::here()?;
    let link = ensure_bridge(&mut node, bridge, wiring)?;
    if bridge.is_gateway {
        wiring.forward()?;
        let (index, name) = gateway_interface(&mut node, bridge, &link, wiring)?;
        let mut present = node.addresses(index)?;
        for one in wiring.addresses {
            if let Ok(address) = IpNet::new(one.gateway, one.address.prefix_len()) {
                ensure_address(&mut node, (index, &name), &mut present, address, bridge.force_address)?;
            }
        }
    }
    let mut pair = wiring.make_pair(&mut node, true, undo)?;
    let (outside, name) = (pair.outside.index, wiring.host_ifname);
    let port = BridgePort { bridge: link.index, hairpin: bridge.hairpin, isolated: bridge.isolated };
    wiring.end_settings()?;
    let mut changes = NetworkChange::join_bridge(outside, name, port);
    changes.extend(bridge.vlan.map(|vlan| NetworkChange::bridge_vlan(outside, vlan, false)));
    changes.push(NetworkChange::up(outside, name));
    wiring.set_up(&mut node, &pair, changes)?.into_iter().collect::<Result<(), _>>()?;
    let addresses: Vec<IpNet> = wiring.addresses.iter().map(|one| one.address).collect();
    let routes = pod_routes(wiring, bridge, pair.inside.index);
    wiring.furnish(&mut node, &mut pair, &addresses, &[], &routes)?;
    let mac = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
    let of_bridge = Interface { name: bridge.name.clone(), mac, mtu: Some(link.mtu), sandbox: String::new() };
    let ips = wiring.addresses.iter().map(|one| Ip {
        interface: Some(2),
        address: one.address,
        gateway: Some(one.gateway),
    });
    Ok(CniResult {
        ips: ips.collect(),
        interfaces: [of_bridge].into_iter().chain(wiring.interfaces(&pair)).collect(),
        routes: routes.iter().map(shown).collect(),
        ..CniResult::default()
    })
}

/// The configured routes, and the default routes that `isDefaultGateway` adds.
fn pod_routes(wiring: &Wiring<'_>, bridge: &Bridge, interface: u32) -> Vec<NewRoute> {
    let gateway = |family: IpFamily| -> Option<IpAddr> {
        let mut gateways = wiring.addresses.iter().map(|one| one.gateway);
        gateways.find(|gateway| IpFamily::of(*gateway) == family)
    };
    let mut routes = wiring.configured_routes(interface, gateway);
    for family in IpFamily::ALL {
        let dst = everything(family);
        if let Some(gw) = gateway(family).filter(|_| bridge.is_default_gateway)
            && !routes.iter().any(|route| route.dst == dst)
        {
            routes.push(NewRoute::new(dst, Some(gw), interface));
        }
    }
    routes
}

/// Makes the bridge if it is missing, and brings it up.
fn ensure_bridge(node: &mut RouteSocket, bridge: &Bridge, wiring: &Wiring<'_>) -> Result<Link, CniError> {
    let name = &bridge.name;
    let mut link = node.link(name)?;
    if link.is_none() {
        let mac = names::bridge_mac(name);
        match node.add_bridge(name, mac, wiring.mtu, bridge.vlan.is_some()) {
            // The ADD of another pod was faster.
            Err(error) if error.is_present() => {}
            other => other?,
        }
        link = node.link(name)?;
    }
    let link = found(link, name)?;
    if link.kind != "bridge" {
        let msg = format!("bridge: {name:?} is there already and no bridge, expected one or another name");
        return Err(CniError::config(msg));
    }
    settle(node, &link, name, wiring)?;
    if let Some(vlan) = bridge.vlan.filter(|_| !bridge.is_gateway) {
        // It may belong to another program, but pods reach it.
        wiring.no_advertisements(&vlan_interface(name, vlan))?;
    }
    if bridge.promiscuous && !link.is_promiscuous {
        node.promiscuous(link.index, name)?;
    }
    Ok(link)
}

/// The interface for the gateway's address: the bridge, or with a VLAN the bridge's interface in that VLAN.
fn gateway_interface(
    node: &mut RouteSocket,
    bridge: &Bridge,
    link: &Link,
    wiring: &Wiring<'_>,
) -> Result<(u32, String), CniError> {
    let Some(vlan) = bridge.vlan else { return Ok((link.index, bridge.name.clone())) };
    let name = vlan_interface(&bridge.name, vlan);
    let mut of_vlan = node.link(&name)?;
    if of_vlan.is_none() {
        node.make(vec![NetworkChange::bridge_vlan(link.index, vlan, true)])?;
        match node.add_vlan(&name, link.index, vlan) {
            Err(error) if error.is_present() => {}
            other => other?,
        }
        of_vlan = node.link(&name)?;
    }
    let of_vlan = found(of_vlan, &name)?;
    settle(node, &of_vlan, &name, wiring)?;
    Ok((of_vlan.index, name))
}

/// Makes the settings of an interface that pods reach, and brings it up unless it is: one that existed before may
/// accept router advertisements, and bringing it up notifies the whole node.
fn settle(node: &mut RouteSocket, link: &Link, name: &str, wiring: &Wiring<'_>) -> Result<(), CniError> {
    if link.is_up {
        return wiring.node_settings(name);
    }
    wiring.bridge_settings(name)?;
    Ok(node.make(vec![NetworkChange::up(link.index, name)])?)
}

/// Gives an interface the gateway's address, unless it is among the `present` ones.
fn ensure_address(
    node: &mut RouteSocket,
    (index, name): (u32, &str),
    present: &mut Vec<IpNet>,
    wanted: IpNet,
    force: bool,
) -> Result<(), CniError> {
    if present.contains(&wanted) {
        return Ok(());
    }
    let overlaps = |other: &IpNet| other.contains(&wanted.network()) || wanted.contains(&other.network());
    for other in present.extract_if(.., |other| overlaps(other)) {
        if !force {
            let msg = format!(
                "{name:?} already has an IP address different from {wanted}: {other}, expected forceAddress or none"
            );
            return Err(CniError::new(Code::Network, msg));
        }
        node.delete_address(index, other)?;
    }
    match node.make(vec![NetworkChange::add_address(index, wanted)]) {
        Err(error) if error.is_present() => {}
        other => other?,
    }
    present.push(wanted);
    Ok(())
}

//! The VXLAN interfaces, for Nodes that are not on a link of this one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use pod::addresses::IpFamily;
use sys::net::rtnetlink::{
    Mac, NetworkChange, NetworkError, NewRoute, NewVxlan, RouteSocket, SourceRule, Vxlan, set,
};

use super::plan::{Tunnel, tunnel_gateway};
use super::routes::{PROTOCOL, Wanted, difference};

/// The routing table for what pods send to Nodes behind a tunnel: "pod" in ASCII and 4.
const TABLE: u32 = u32::from_be_bytes(*b"pod\x04");
/// The priority of the rules that lead there: before the table main.
const RULE_PRIORITY: u32 = 32_112;
/// How many changes are sent together; the answers have to fit into the socket's buffer.
pub(super) const BATCH: usize = 128;

/// How the tunnels are told apart from those of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VxlanOptions {
    /// The VXLAN network identifier.
    pub(crate) id: u32,
    /// The UDP port.
    pub(crate) port: u16,
}

/// The name of a family's interface.
pub(super) fn name(family: IpFamily) -> &'static str {
    match family {
        IpFamily::V4 => "podhosts-vxlan4",
        IpFamily::V6 => "podhosts-vxlan6",
    }
}

/// Why a tunnel is not there.
#[derive(Debug)]
pub(super) enum TunnelError {
    /// Another program's interface has its name.
    Foreign(IpFamily),
    Network(NetworkError),
}

impl From<NetworkError> for TunnelError {
    fn from(error: NetworkError) -> Self {
        Self::Network(error)
    }
}

impl std::fmt::Display for TunnelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Foreign(family) => {
                write!(
                    f,
                    "cannot make VXLAN interface {}: there is another interface of that name",
                    name(*family)
                )
            }
            Self::Network(error) => error.fmt(f),
        }
    }
}

/// Makes changes, as many as it takes at a time; gives the errors.
pub(super) fn make(
    socket: &mut RouteSocket,
    changes: impl IntoIterator<Item = NetworkChange>,
) -> Result<Vec<Result<(), NetworkError>>, NetworkError> {
    let mut changes = changes.into_iter().peekable();
    let mut ends = Vec::new();
    while changes.peek().is_some() {
        ends.extend(socket.make_each(changes.by_ref().take(BATCH).collect())?);
    }
    Ok(ends)
}

/// Makes the interface with everything behind it, and removes nothing that still leads anywhere; gives its index.
pub(super) fn set_up(
    socket: &mut RouteSocket,
    family: IpFamily,
    tunnel: &Tunnel,
    options: VxlanOptions,
) -> Result<u32, TunnelError> {
    let vxlan = interface(socket, family, tunnel, options)?;
    let index = vxlan.index;
    let gateways: BTreeMap<IpAddr, Mac> =
        tunnel.ends.iter().map(|(node, mac)| (tunnel_gateway(*node, *mac), *mac)).collect();
    let ends: BTreeSet<(Mac, IpAddr)> = socket.tunnel_ends(index)?.into_iter().collect();
    let neighbours: BTreeMap<IpAddr, Mac> = socket.permanent_neighbours(index, family)?.into_iter().collect();
    let new_ends = tunnel.ends.iter().filter(|(node, mac)| !ends.contains(&(**mac, **node)));
    let new_ends = new_ends.map(|(node, mac)| NetworkChange::add_tunnel_end(index, *mac, *node));
    let new_neighbours = gateways.iter().filter(|(address, mac)| neighbours.get(address) != Some(mac));
    let new_neighbours =
        new_neighbours.map(|(address, mac)| NetworkChange::add_neighbour(index, *address, *mac));
    let first = make(socket, new_ends.chain(new_neighbours).collect::<Vec<_>>())?;
    first.into_iter().collect::<Result<(), _>>()?;
    Ok(index)
}

fn interface(
    socket: &mut RouteSocket,
    family: IpFamily,
    tunnel: &Tunnel,
    options: VxlanOptions,
) -> Result<Vxlan, TunnelError> {
    let name = name(family);
    let new = NewVxlan {
        name,
        id: options.id,
        port: options.port,
        local: tunnel.local,
        mac: tunnel.mac,
        mtu: tunnel.mtu,
    };
    let found = match socket.vxlan(name)? {
        Some(found) if !found.is_vxlan => return Err(TunnelError::Foreign(family)),
        Some(found) if found.is(&new) => found,
        other => {
            if other.is_some() {
                socket.delete_link(name)?;
            }
            socket.add_vxlan(&new)?;
            let lost = || NetworkError::Refused {
                verb: "find",
                what: name.to_owned(),
                cause: std::io::ErrorKind::NotFound.into(),
            };
            socket.vxlan(name)?.ok_or_else(lost)?
        }
    };
    let mut changes = Vec::new();
    if found.mtu != new.mtu {
        changes.push(NetworkChange::set_mtu(found.index, name, new.mtu));
    }
    if !found.is_up {
        if family == IpFamily::V6 {
            set(&format!("net/ipv6/conf/{name}/disable_ipv6"), "0")?;
            // A node that forwards accepts router advertisements only where this is 2. A container may not set it.
            let _ = set(&format!("net/ipv6/conf/{name}/accept_ra"), "0");
            changes.push(NetworkChange::no_link_local(found.index, name));
        }
        changes.push(NetworkChange::up(found.index, name));
    }
    socket.make(changes)?;
    Ok(found)
}

/// Removes what is behind the interface and not wanted any more. The routes to it are gone by then.
pub(super) fn sweep(
    socket: &mut RouteSocket,
    family: IpFamily,
    tunnel: &Tunnel,
    index: u32,
) -> Result<(), NetworkError> {
    let gateways: BTreeSet<IpAddr> =
        tunnel.ends.iter().map(|(node, mac)| tunnel_gateway(*node, *mac)).collect();
    let is_stale = |(mac, node): &(Mac, IpAddr)| tunnel.ends.get(node) != Some(mac);
    let mut changes: Vec<NetworkChange> = socket
        .tunnel_ends(index)?
        .into_iter()
        .filter(is_stale)
        .map(|(mac, node)| NetworkChange::remove_tunnel_end(index, mac, node))
        .collect();
    let neighbours = socket.permanent_neighbours(index, family)?.into_iter();
    let neighbours = neighbours.filter(|(address, _)| {
        let is_multicast = address.is_multicast();
        !gateways.contains(address) && !is_multicast
    });
    changes.extend(neighbours.map(|(address, _)| NetworkChange::remove_neighbour(index, address)));
    without_absent(make(socket, changes)?)
}

/// Removes the interface, if it is ours.
pub(super) fn remove(socket: &mut RouteSocket, family: IpFamily) -> Result<bool, NetworkError> {
    match socket.vxlan(name(family))? {
        Some(found) if found.is_vxlan => socket.delete_link(name(family)),
        _ => Ok(false),
    }
}

/// The route through a tunnel to a network of a Node's.
pub(super) fn route(tunnel: &Tunnel, index: u32, network: IpNet, node: IpAddr) -> Option<NewRoute> {
    let mac = tunnel.ends.get(&node)?;
    let gateway = tunnel_gateway(node, *mac);
    let source = Some(tunnel.local).filter(|local| !local.is_unspecified());
    Some(NewRoute {
        protocol: Some(PROTOCOL),
        // The kernel has no other way to it by this interface.
        is_on_link: gateway.is_ipv4(),
        // The interface has no address of its own.
        source,
        ..NewRoute::new(network, Some(gateway), index)
    })
}

/// Makes the rules and the table by which packets of this node's pods to Nodes behind a tunnel go through it. Routers in
/// between know no pods: they might drop such packets, and the Node might drop them because its answers go through the
/// tunnel (`rp_filter`).
pub(super) fn lead_pods(
    socket: &mut RouteSocket,
    family: IpFamily,
    tunnel: Option<(&Tunnel, u32)>,
) -> Result<(), NetworkError> {
    let wanted = tunnel.into_iter().flat_map(|(tunnel, index)| {
        tunnel.ends.keys().filter_map(move |node| {
            let route = route(tunnel, index, IpNet::from(*node), *node)?;
            let route = NewRoute { table: Some(TABLE), source: None, ..route };
            Some(Wanted { route, node: String::new() })
        })
    });
    let present = socket.routes_in(family, Some(TABLE))?;
    let steps = difference(&present, wanted.collect()).steps;
    without_absent(make(socket, steps.iter().map(super::routes::Step::change).collect::<Vec<_>>())?)?;
    let rule =
        |from: &IpNet| SourceRule { from: *from, table: TABLE, priority: RULE_PRIORITY, protocol: PROTOCOL };
    let wanted: BTreeSet<SourceRule> =
        tunnel.into_iter().flat_map(|(tunnel, _)| tunnel.pods.iter().map(rule)).collect();
    let present: BTreeSet<SourceRule> = socket.source_rules(family, PROTOCOL)?.into_iter().collect();
    let new = wanted.difference(&present).map(NetworkChange::add_rule);
    let old = present.difference(&wanted).map(NetworkChange::remove_rule);
    without_absent(make(socket, new.chain(old).collect::<Vec<_>>())?)
}

/// The first error, but for those about what is gone already.
pub(super) fn without_absent(ends: Vec<Result<(), NetworkError>>) -> Result<(), NetworkError> {
    ends.into_iter().filter(|end| !end.as_ref().is_err_and(NetworkError::is_absent)).collect()
}

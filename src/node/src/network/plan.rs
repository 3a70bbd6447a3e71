//! What the network of this node has to be, from the cluster's Nodes and the network below.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use pod::addresses::IpFamily;
use proxy::ranges;
use sys::net::masquerade::Masquerading;
use sys::net::rtnetlink::{Mac, Way};

use super::claims::{Claims, claims};
use super::underlay::Underlay;
use crate::api::node::{Cluster, ClusterNode};
use crate::problem::Problem;

/// A Node that is reached by a router has no route without an overlay.
pub(super) const NODE_NOT_ON_LINK: &str = "NodeNotOnLink";
/// This node has no way to a Node.
pub(super) const NODE_UNREACHABLE: &str = "NodeUnreachable";
/// A Node has pod networks of a family, and no InternalIP of it.
pub(super) const NODE_WITHOUT_ADDRESS: &str = "NodeWithoutAddress";
/// A Node's InternalIP is another Node's, too.
pub(super) const NODE_ADDRESS_CONFLICT: &str = "NodeAddressConflict";

/// What VXLAN adds to a packet: the outer IP header, UDP, VXLAN and the inner Ethernet header.
const OVERHEAD_4: u32 = 20 + 8 + 8 + 14;
const OVERHEAD_6: u32 = 40 + 8 + 8 + 14;
/// The least MTU that IPv6 allows.
const LEAST_MTU: u32 = 1280;
/// The first byte of MAC addresses that this program makes: locally administered, unicast.
const OWN_MAC: u8 = 0x0e;

/// How packets get to a Node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hop {
    /// By the link of the interface with this index.
    Link(u32),
    /// Through the tunnel of the route's family.
    Tunnel,
}

/// A pod network of another Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PodRoute {
    pub(super) network: IpNet,
    pub(super) node: String,
    /// The Node's InternalIP.
    pub(super) address: IpAddr,
    pub(super) hop: Hop,
}

/// The VXLAN interface of a family, for the Nodes that are not on a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tunnel {
    /// This node's InternalIP; unspecified if this machine does not have it.
    pub(super) local: IpAddr,
    pub(super) mac: Mac,
    pub(super) mtu: u32,
    /// The InternalIPs of the Nodes behind it.
    pub(super) ends: BTreeMap<IpAddr, Mac>,
    /// The networks of this node's pods of the family: what they send to the Nodes themselves goes through it, too.
    pub(super) pods: Vec<IpNet>,
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The networks of this node's pods.
    pub(super) own: Vec<IpNet>,
    /// What keeps new pods from having addresses of them.
    pub(super) fault: Option<String>,
    pub(super) routes: Vec<PodRoute>,
    pub(super) tunnels: BTreeMap<IpFamily, Tunnel>,
    /// What is masqueraded; `None` if the networks of this node's pods are not known.
    pub(super) masquerading: Option<Masquerading>,
    /// The MTU of pods, if it can be told.
    pub(super) pod_mtu: Option<u32>,
    pub(super) problems: Vec<Problem>,
}

/// Makes the plan. With `is_overlaid`, Nodes that are not on a link are reached through a tunnel.
pub(super) fn plan(
    cluster: &Cluster,
    underlay: &Underlay,
    non_masquerade: &[IpNet],
    is_overlaid: bool,
) -> Plan {
    let Claims { own, dispute, others, of_pods, problems } = claims(cluster, underlay.needed());
    let own_node = cluster.nodes.get(&cluster.own);
    let mut plan = Plan { fault: dispute, problems, ..Plan::default() };
    plan.fault = match own_node {
        None => Some(format!("this Node, {}, is not registered yet", cluster.own)),
        Some(node) if node.pod_cidrs.is_empty() => Some(format!(
            "Node {} has no spec.podCIDRs: the controller manager gives them with --allocate-node-cidrs",
            node.name
        )),
        Some(_) => plan.fault,
    };
    let own_address = |family| own_node.and_then(|node| address_of(node, family));
    let mut planner = Planner { underlay, is_overlaid, owners: owners(cluster), of_pods, plan: &mut plan };
    for (node, networks) in &others {
        planner.route(node, networks);
    }
    if is_overlaid {
        for family in IpFamily::ALL {
            planner.tunnel(family, own_address(family), &own);
        }
    }
    plan.pod_mtu = pod_mtu(own_node, underlay, is_overlaid);
    plan.masquerading = own_node.filter(|node| !node.pod_cidrs.is_empty()).map(|_| {
        let networks = others.iter().flat_map(|(_, networks)| networks).chain(&own).chain(non_masquerade);
        let addresses = cluster.nodes.values().flat_map(|node| &node.internal_ips);
        let inside: Vec<IpNet> = networks
            .copied()
            .chain(addresses.map(|address| IpNet::from(*address)))
            .chain(multicast())
            .collect();
        let all = |networks: &[IpNet]| {
            IpFamily::ALL.into_iter().flat_map(|family| ranges(networks, family)).collect()
        };
        Masquerading { pods: all(&own), inside: all(&inside) }
    });
    plan.own = own;
    plan
}

/// The networks of multicast.
fn multicast() -> impl Iterator<Item = IpNet> {
    let v4 = IpNet::new(Ipv4Addr::new(224, 0, 0, 0).into(), 4).ok();
    let v6 = IpNet::new(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0).into(), 8).ok();
    v4.into_iter().chain(v6)
}

fn address_of(node: &ClusterNode, family: IpFamily) -> Option<IpAddr> {
    node.internal_ips.iter().copied().find(|address| IpFamily::of(*address) == family)
}

/// The name of the oldest Node that has each InternalIP.
fn owners(cluster: &Cluster) -> BTreeMap<IpAddr, &str> {
    let mut nodes: Vec<&ClusterNode> = cluster.nodes.values().collect();
    nodes.sort_by_key(|node| (node.name != cluster.own, node.created, &node.name));
    let mut owners = BTreeMap::new();
    for node in nodes {
        for address in &node.internal_ips {
            owners.entry(*address).or_insert(node.name.as_str());
        }
    }
    owners
}

/// The MTU of this node's link, less what a tunnel takes.
fn pod_mtu(own: Option<&ClusterNode>, underlay: &Underlay, is_overlaid: bool) -> Option<u32> {
    let of = |address: &IpAddr| {
        let interface = underlay.interface_of(*address)?;
        // lo has an MTU that no link has.
        let mtu = underlay.mtu(interface).filter(|mtu| *mtu <= 0xffff - OVERHEAD_6)?;
        Some(if is_overlaid { mtu.saturating_sub(overhead(IpFamily::of(*address))) } else { mtu })
    };
    own?.internal_ips.iter().filter_map(of).min().filter(|mtu| *mtu >= LEAST_MTU)
}

fn overhead(family: IpFamily) -> u32 {
    match family {
        IpFamily::V4 => OVERHEAD_4,
        IpFamily::V6 => OVERHEAD_6,
    }
}

/// The MAC address of the tunnel's end at a Node. For IPv4 it has the whole address, so no two are the same; of an IPv6
/// address it has 40 bits of a hash.
pub(super) fn tunnel_mac(node: IpAddr) -> Mac {
    match node {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            Mac([OWN_MAC, 0x58, a, b, c, d])
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, e, ..] = sys::fnv::hash(&address.octets()).to_be_bytes();
            Mac([OWN_MAC, a, b, c, d, e])
        }
    }
}

/// The gateway of routes through a tunnel. The kernel takes no gateway for IPv6 to which another interface has a route
/// already, so it is the link-local address of the MAC address (EUI-64).
pub(super) fn tunnel_gateway(node: IpAddr, mac: Mac) -> IpAddr {
    let [a, b, c, d, e, f] = mac.0;
    match node {
        IpAddr::V4(_) => node,
        IpAddr::V6(_) => {
            Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f]).into()
        }
    }
}

struct Planner<'a> {
    underlay: &'a Underlay,
    is_overlaid: bool,
    owners: BTreeMap<IpAddr, &'a str>,
    of_pods: BTreeMap<IpAddr, &'a str>,
    plan: &'a mut Plan,
}

impl Planner<'_> {
    fn tell(&mut self, reason: &'static str, node: &str, text: String) {
        self.plan.problems.push(Problem { reason, node: Some(node.to_owned()), text });
    }

    /// Plans the routes to a Node's pods.
    fn route(&mut self, node: &ClusterNode, networks: &[IpNet]) {
        for family in IpFamily::ALL {
            let of_family: Vec<IpNet> =
                networks.iter().copied().filter(|net| IpFamily::of(net.addr()) == family).collect();
            if of_family.is_empty() {
                continue;
            }
            if let Some((address, hop)) = self.hop(node, family, &of_family) {
                let route = |network| PodRoute { network, node: node.name.clone(), address, hop };
                self.plan.routes.extend(of_family.into_iter().map(route));
            }
        }
    }

    /// How packets of a family get to a Node; the first InternalIP on a link is taken, else the first.
    fn hop(&mut self, node: &ClusterNode, family: IpFamily, networks: &[IpNet]) -> Option<(IpAddr, Hop)> {
        let pods = || networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let unreached =
            |why: String| format!("pods of {} on Node {} are not reached: {why}", pods(), node.name);
        let addresses: Vec<IpAddr> =
            node.internal_ips.iter().copied().filter(|address| IpFamily::of(*address) == family).collect();
        let Some(first) = addresses.first().copied() else {
            let why = format!("the Node has no InternalIP of {family}");
            self.tell(NODE_WITHOUT_ADDRESS, &node.name, unreached(why));
            return None;
        };
        let owner = |address: &IpAddr| self.owners.get(address).copied().unwrap_or_default();
        if let Some(address) = addresses
            .iter()
            .find(|address| owner(address) != node.name || self.underlay.way(**address) == Way::Own)
        {
            let why = match owner(address) {
                name if name == node.name => format!("its InternalIP {address} is an address of this node"),
                name => format!("its InternalIP {address} is that of Node {name}, too"),
            };
            self.tell(NODE_ADDRESS_CONFLICT, &node.name, unreached(why));
            return None;
        }
        if let Some((address, of)) = addresses.iter().find_map(|it| self.of_pods.get_key_value(it)) {
            let why = format!("its InternalIP {address} is in the pod network of Node {of}");
            self.tell(NODE_ADDRESS_CONFLICT, &node.name, unreached(why));
            return None;
        }
        let on_link = addresses.iter().find_map(|address| match self.underlay.way(*address) {
            Way::Link { interface } => Some((*address, Hop::Link(interface))),
            _ => None,
        });
        if on_link.is_some() {
            return on_link;
        }
        let routed =
            addresses.iter().find(|address| matches!(self.underlay.way(**address), Way::Router { .. }));
        match routed {
            Some(address) if self.is_overlaid => Some((*address, Hop::Tunnel)),
            Some(address) => {
                let why = format!(
                    "its InternalIP {address} is behind a router, which does not know these networks; expected it on \
                     the link of this node, or --overlay vxlan"
                );
                self.tell(NODE_NOT_ON_LINK, &node.name, unreached(why));
                None
            }
            None => {
                let why = format!("this node has no route to its InternalIP {first}");
                self.tell(NODE_UNREACHABLE, &node.name, unreached(why));
                None
            }
        }
    }

    /// Plans the tunnel of a family, if a route needs it.
    fn tunnel(&mut self, family: IpFamily, own: Option<IpAddr>, pods: &[IpNet]) {
        let is_of_family =
            |route: &&PodRoute| route.hop == Hop::Tunnel && IpFamily::of(route.address) == family;
        let behind: BTreeSet<(IpAddr, String)> = self
            .plan
            .routes
            .iter()
            .filter(is_of_family)
            .map(|route| (route.address, route.node.clone()))
            .collect();
        if behind.is_empty() {
            return;
        }
        let (mut ends, mut macs) = (BTreeMap::new(), BTreeMap::new());
        let mut mtu = u32::MAX;
        for (address, node) in behind {
            let mac = tunnel_mac(address);
            if let Some(other) = macs.insert(mac, node.clone()) {
                let text = format!(
                    "the InternalIP {address} of Node {node} gives the same MAC address, {mac}, as that of Node {other}: \
                     its pods are not reached"
                );
                macs.insert(mac, other);
                self.plan.routes.retain(|route| route.address != address);
                self.tell(NODE_ADDRESS_CONFLICT, &node, text);
                continue;
            }
            let below = self.underlay.way(address).interface().and_then(|index| self.underlay.mtu(index));
            mtu = mtu.min(below.unwrap_or(1500));
            ends.insert(address, mac);
        }
        let of_machine = own.filter(|own| self.underlay.interface_of(*own).is_some());
        let local = of_machine.unwrap_or(match family {
            IpFamily::V4 => Ipv4Addr::UNSPECIFIED.into(),
            IpFamily::V6 => Ipv6Addr::UNSPECIFIED.into(),
        });
        // Other nodes know this one by its InternalIP.
        let mac = tunnel_mac(own.unwrap_or(local));
        let mtu = mtu.min(0xffff).saturating_sub(overhead(family)).max(LEAST_MTU);
        let pods = pods.iter().copied().filter(|net| IpFamily::of(net.addr()) == family).collect();
        self.plan.tunnels.insert(family, Tunnel { local, mac, mtu, ends, pods });
    }
}

//! The part that both modes share: the veth pair, and the pod's end of it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::removal::remove_link;
use crate::ipam::allocate::Allocated;
use crate::protocol::error::{CniError, Code};
use crate::protocol::result::{Interface, Route};
use crate::undo::UndoGuard;
use pod::addresses::IpFamily;
use records::attachment::Attachment;
use sys::net::rtnetlink::{
    Device, Mac, Namespace, NetworkChange, NetworkError, NewRoute, NewVeth, RouteSocket, SourceCheck,
    localnet, overwrite, set,
};

/// The kernel's priority of IPv6 routes; those of second interfaces come after it.
const SECOND_PRIORITY: u32 = 1024;

/// What an ADD has made so far; undoing it may add notices.
pub(crate) type Undo<'a> = UndoGuard<'a, Vec<String>>;

/// A pod's interface that is to be made.
pub(crate) struct Wiring<'a> {
    pub(crate) pod: &'a Namespace,
    pub(crate) node: &'a Namespace,
    /// Its file, which was written before.
    pub(crate) attachment: &'a Attachment,
    /// `CNI_IFNAME`.
    pub(crate) ifname: &'a str,
    /// The MAC address of the pod's end.
    pub(crate) mac: Mac,
    /// The name of the node's end.
    pub(crate) host_ifname: &'a str,
    pub(crate) host_mac: Mac,
    pub(crate) mtu: Option<u32>,
    /// The addresses from the address book.
    pub(crate) addresses: &'a [Allocated],
    /// `ipam.routes`.
    pub(crate) routes: &'a [Route],
    /// Whether host ports on the node's loopback addresses lead to the pod.
    pub(crate) route_localnet: bool,
    /// Which sender addresses of the pod are checked.
    pub(crate) check: SourceCheck,
}

/// Both ends of a new veth pair, down.
pub(crate) struct Pair {
    /// The socket in the pod's namespace.
    pub(crate) pod: RouteSocket,
    /// The pod's end.
    pub(crate) inside: Device,
    /// The node's end.
    pub(crate) outside: Device,
}

impl<'a> Wiring<'a> {
    /// Whether the pod has an address of a family.
    pub(crate) fn has(&self, family: IpFamily) -> bool {
        self.addresses.iter().any(|one| IpFamily::of(one.address.addr()) == family)
    }

    /// The families of the pod's addresses, IPv4 first.
    pub(crate) fn families(&self) -> Vec<IpFamily> {
        IpFamily::ALL.into_iter().filter(|family| self.has(*family)).collect()
    }

    /// Turns forwarding on for the pod's families.
    pub(crate) fn forward(&self) -> Result<(), NetworkError> {
        if self.has(IpFamily::V4) {
            set("net/ipv4/ip_forward", "1")?;
        }
        if self.has(IpFamily::V6) {
            set("net/ipv6/conf/all/forwarding", "1")?;
        }
        Ok(())
    }

    /// Makes the veth pair, with settings by which the kernel never waits for anything on either end.
    pub(crate) fn make_pair(
        &self,
        node: &mut RouteSocket,
        accept_ra: bool,
        undo: &mut Undo<'a>,
    ) -> Result<Pair, CniError> {
        let pod = self.pod.inside(self.node, || {
            let mut pod = RouteSocket::here()?;
            let made = pod.add_veth(&NewVeth {
                name: self.ifname,
                mac: self.mac,
                peer_name: self.host_ifname,
                peer_mac: self.host_mac,
                peer_namespace: self.node,
                mtu: self.mtu,
                check: self.check,
            });
            // Only EEXIST proves that no pair was created.
            if !made.as_ref().is_err_and(NetworkError::is_present) {
                let (name, attachment) = (self.host_ifname, self.attachment);
                undo.push(move |_| remove_link(name, Some(attachment), &attachment.holder()));
            }
            made?;
            self.settings(accept_ra)?;
            Ok(pod)
        })?;
        let inside = found(pod.device(self.ifname)?, self.ifname)?;
        let outside = found(node.device(self.host_ifname)?, self.host_ifname)?;
        Ok(Pair { pod, inside, outside })
    }

    /// Settings of the pod's interface for which rtnetlink has no message. This thread is in the pod's namespace.
    fn settings(&self, accept_ra: bool) -> Result<(), NetworkError> {
        let ifname = self.ifname;
        if self.has(IpFamily::V6) {
            set("net/ipv6/conf/lo/disable_ipv6", "0")?;
            set(&format!("net/ipv6/conf/{ifname}/disable_ipv6"), "0")?;
            // With this the link-local address can be used at once.
            overwrite(&format!("net/ipv6/conf/{ifname}/accept_dad"), "0")?;
            overwrite(&format!("net/ipv6/conf/{ifname}/keep_addr_on_down"), "1")?;
            if !accept_ra {
                overwrite(&format!("net/ipv6/conf/{ifname}/accept_ra"), "0")?;
            }
        }
        Ok(())
    }

    /// Makes the node ignore router advertisements of pods: routes, addresses, MTU and DNS servers.
    pub(crate) fn no_advertisements(&self, interface: &str) -> Result<(), NetworkError> {
        set_if_there(&format!("net/ipv6/conf/{interface}/accept_ra"), "0")
    }

    /// Settings of the node's end, which is new.
    pub(crate) fn end_settings(&self) -> Result<(), CniError> {
        let interface = self.host_ifname;
        if_there(overwrite(&format!("net/ipv6/conf/{interface}/accept_ra"), "0"))?;
        if self.route_localnet {
            localnet::open(interface)?;
        }
        Ok(())
    }

    /// Settings of an interface of the node that stays when its pods go.
    pub(crate) fn node_settings(&self, interface: &str) -> Result<(), CniError> {
        self.no_advertisements(interface)?;
        if self.route_localnet {
            localnet::open_lasting(interface)?;
        }
        Ok(())
    }

    /// The same for an interface with addresses of its own, which the kernel has to use at once: while its link-local
    /// address is tentative the kernel resolves no neighbours there for packets that it forwards.
    pub(crate) fn bridge_settings(&self, interface: &str) -> Result<(), CniError> {
        self.node_settings(interface)?;
        Ok(set_if_there(&format!("net/ipv6/conf/{interface}/accept_dad"), "0")?)
    }

    /// Makes `changes` of the node's end, after turning its link-local address off; gives the result of each.
    pub(crate) fn set_up(
        &self,
        node: &mut RouteSocket,
        pair: &Pair,
        changes: impl IntoIterator<Item = NetworkChange>,
    ) -> Result<Vec<Result<(), NetworkError>>, NetworkError> {
        let no_link_local = NetworkChange::no_link_local(pair.outside.index, self.host_ifname);
        let mut ends = node.make_each([no_link_local].into_iter().chain(changes).collect())?;
        match ends.remove(0) {
            // Without IPv6, or with an MTU below its minimum, there is no such address.
            Err(error) if !self.has(IpFamily::V6) && error.is_unsupported() => Ok(ends),
            other => other.map(|()| ends),
        }
    }

    /// Brings the pod's end up with its addresses, its routes, and permanent entries for `neighbours`, all with the MAC
    /// address of the node's end. Both ends have a carrier once they are up, but drop packets until the kernel has
    /// looked at it, which it does at once on request.
    ///
    /// If another interface of the pod has a route to the same destination, this one gets a lower precedence, unless
    /// the configuration gives a priority.
    pub(crate) fn furnish(
        &self,
        node: &mut RouteSocket,
        pair: &mut Pair,
        addresses: &[IpNet],
        neighbours: &[IpAddr],
        routes: &[NewRoute],
    ) -> Result<(), NetworkError> {
        let index = pair.inside.index;
        // The packet filter allows the link-local address that is derived from the MAC address.
        let tells = NetworkChange::tells_its_mac(index, self.ifname, &self.families());
        pair.pod.make(vec![tells, NetworkChange::up(index, self.ifname)])?;
        node.look_at_carrier(self.host_ifname)?;
        pair.pod.look_at_carrier(self.ifname)?;
        let changes = addresses.iter().map(|address| NetworkChange::add_address(index, *address));
        let changes = changes
            .chain(neighbours.iter().map(|ip| NetworkChange::add_neighbour(index, *ip, self.host_mac)));
        let changes = changes.chain(routes.iter().map(NetworkChange::add_route)).collect();
        let mut ends = pair.pod.make_each(changes)?;
        let ends_of_routes = ends.split_off(addresses.len() + neighbours.len());
        ends.into_iter().collect::<Result<(), _>>()?;
        let (mut added, mut is_second) = (BTreeSet::new(), false);
        for (route, end) in routes.iter().zip(ends_of_routes) {
            let is_new = added.insert((route.dst, route.table));
            // The route to its gateway may have been missing before.
            let end = if is_second && end.is_err() {
                pair.pod.make(vec![NetworkChange::add_route(route)])
            } else {
                end
            };
            match end {
                Err(error) if error.is_present() && is_new && route.priority.is_none() => {
                    is_second = true;
                    let priority = Some(SECOND_PRIORITY + route.interface);
                    pair.pod.make(vec![NetworkChange::add_route(&NewRoute { priority, ..route.clone() })])?;
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// `ipam.routes` of the pod's families, with `gateway` where they name none.
    pub(crate) fn configured_routes(
        &self,
        interface: u32,
        gateway: impl Fn(IpFamily) -> Option<IpAddr>,
    ) -> Vec<NewRoute> {
        let wanted = self.routes.iter().filter(|route| self.has(IpFamily::of(route.dst.addr())));
        wanted
            .map(|route| NewRoute {
                table: route.table,
                scope: route.scope,
                priority: route.priority,
                mtu: route.mtu,
                advmss: route.advmss,
                ..NewRoute::new(
                    route.dst,
                    route.gw.or_else(|| gateway(IpFamily::of(route.dst.addr()))),
                    interface,
                )
            })
            .collect()
    }

    /// Both interfaces for the result, that of the node first.
    pub(crate) fn interfaces(&self, pair: &Pair) -> [Interface; 2] {
        let shown = |name: &str, mac: Mac, device: Device, sandbox: &str| Interface {
            name: name.to_owned(),
            mac: mac.to_string(),
            mtu: Some(device.mtu),
            sandbox: sandbox.to_owned(),
        };
        [
            shown(self.host_ifname, self.host_mac, pair.outside, ""),
            shown(self.ifname, self.mac, pair.inside, &self.attachment.netns),
        ]
    }
}

/// Sets a key that a kernel without IPv6 lacks.
fn set_if_there(key: &str, value: &'static str) -> Result<(), NetworkError> {
    if_there(set(key, value))
}

fn if_there(result: Result<(), NetworkError>) -> Result<(), NetworkError> {
    match result {
        Err(error) if error.is_absent() => Ok(()),
        other => other,
    }
}

pub(crate) fn found<T>(link: Option<T>, name: &str) -> Result<T, CniError> {
    link.ok_or_else(|| CniError::new(Code::Network, format!("cannot find {name}: it was removed meanwhile")))
}

/// The result's form of a route.
pub(crate) fn shown(route: &NewRoute) -> Route {
    Route {
        dst: route.dst,
        gw: route.gw,
        mtu: route.mtu,
        advmss: route.advmss,
        priority: route.priority,
        table: route.table,
        scope: route.scope,
    }
}

/// The destination of a family's default route.
pub(crate) fn everything(family: IpFamily) -> IpNet {
    match family {
        IpFamily::V4 => ipnet::Ipv4Net::default().into(),
        IpFamily::V6 => ipnet::Ipv6Net::default().into(),
    }
}

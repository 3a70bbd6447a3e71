//! Routes that are there: listed, replaced and removed; and the way that the kernel takes to an address.

use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteScope, RouteType,
};
use pod::addresses::IpFamily;

use super::addresses::family;
use super::error::NetworkError;
use super::netlink::{NetworkChange, RouteSocket};
use super::routes::{NewRoute, TABLE_MAIN, ip, is_unreachable};

/// The priority that the kernel gives to an IPv6 route without one.
const PRIORITY_6: u32 = 1024;

/// A route of the kernel's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Destination.
    pub dst: IpNet,
    /// Next hop; `None` if the destination is on the link.
    pub gw: Option<IpAddr>,
    /// Index of the interface; `None` if it has several next hops, or none.
    pub interface: Option<u32>,
    /// Who made it: `proto`.
    pub protocol: u8,
    /// The routing table.
    pub table: u32,
    /// Its priority (metric).
    pub priority: u32,
    /// The source of this host's own packets.
    pub source: Option<IpAddr>,
    /// The MTU along the path.
    pub mtu: Option<u32>,
    /// The next hop counts as reachable by the interface.
    pub is_on_link: bool,
    /// Packets are forwarded, not refused or dropped.
    pub is_unicast: bool,
}

impl Route {
    /// Whether it is the route that `new` makes.
    pub fn is(&self, new: &NewRoute) -> bool {
        let priority = new.priority.unwrap_or(default_priority(self.dst));
        self.is_unicast
            && self.dst == new.dst.trunc()
            && self.gw == new.gw
            && self.interface == Some(new.interface)
            && Some(self.protocol) == new.protocol
            && self.table == new.table.unwrap_or(TABLE_MAIN)
            && self.priority == priority
            && self.source == new.source
            && self.mtu == new.mtu
            && self.is_on_link == new.is_on_link
    }

    /// Whether `new` takes its place with [`NetworkChange::replace_route`].
    pub fn makes_way_for(&self, new: &NewRoute) -> bool {
        let priority = new.priority.unwrap_or(default_priority(self.dst));
        self.dst == new.dst.trunc() && self.priority == priority
    }

    pub(super) fn of(message: &RouteMessage) -> Option<Self> {
        let header = &message.header;
        let default = match header.address_family {
            netlink_packet_route::AddressFamily::Inet => IpAddr::from([0; 4]),
            netlink_packet_route::AddressFamily::Inet6 => IpAddr::from([0; 16]),
            _ => return None,
        };
        let mut dst = default;
        let mut route = Self {
            dst: IpNet::from(default),
            gw: None,
            interface: None,
            protocol: header.protocol.into(),
            table: u32::from(header.table),
            priority: 0,
            source: None,
            mtu: None,
            is_on_link: header.flags.contains(RouteFlags::Onlink),
            is_unicast: header.kind == RouteType::Unicast,
        };
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(address) => dst = ip(address)?,
                RouteAttribute::Gateway(address) => route.gw = ip(address),
                RouteAttribute::Oif(index) => route.interface = Some(*index),
                RouteAttribute::Table(table) => route.table = *table,
                RouteAttribute::Priority(priority) => route.priority = *priority,
                RouteAttribute::PrefSource(address) => route.source = ip(address),
                RouteAttribute::Metrics(all) => {
                    route.mtu = all.iter().find_map(|metric| match metric {
                        RouteMetric::Mtu(mtu) => Some(*mtu),
                        _ => None,
                    });
                }
                RouteAttribute::MultiPath(_) => route.interface = None,
                _ => {}
            }
        }
        route.dst = IpNet::new(dst, header.destination_prefix_length).ok()?;
        Some(route)
    }
}

fn default_priority(dst: IpNet) -> u32 {
    if dst.addr().is_ipv6() { PRIORITY_6 } else { 0 }
}

/// The way that the kernel takes to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The address is this host's.
    Own,
    /// By the network of an interface.
    Link {
        /// Index of the interface.
        interface: u32,
    },
    /// By a router.
    Router {
        /// Index of the interface.
        interface: u32,
    },
    /// There is no route, or one that refuses.
    None,
}

impl Way {
    /// The interface by which packets leave.
    pub fn interface(self) -> Option<u32> {
        match self {
            Self::Link { interface } | Self::Router { interface } => Some(interface),
            Self::Own | Self::None => None,
        }
    }
}

impl NetworkChange {
    /// Puts a route in the place of the one with its destination and priority, or adds it if there is none. No packet
    /// finds neither of them.
    pub fn replace_route(route: &NewRoute) -> Self {
        let message = RouteNetlinkMessage::NewRoute(route.message());
        Self::new(message, NLM_F_CREATE | NLM_F_REPLACE, "replace route", route.shown())
    }

    /// Removes a route.
    pub fn remove_route(route: &Route) -> Self {
        let mut message = RouteMessage::default();
        message.header.address_family = family(route.dst.addr());
        message.header.destination_prefix_length = route.dst.prefix_len();
        message.header.protocol = route.protocol.into();
        message.header.table = u8::try_from(route.table).unwrap_or(0);
        // Of an IPv4 route the kernel wants the scope, unless it is told that any will do.
        message.header.scope = RouteScope::NoWhere;
        let mut attributes =
            vec![RouteAttribute::Table(route.table), RouteAttribute::Priority(route.priority)];
        if route.dst.prefix_len() > 0 {
            attributes.push(RouteAttribute::Destination(RouteAddress::from(route.dst.network())));
        }
        attributes.extend(route.interface.map(RouteAttribute::Oif));
        attributes.extend(route.gw.map(RouteAddress::from).map(RouteAttribute::Gateway));
        message.attributes = attributes;
        let what = match route.gw {
            Some(gw) => format!("{} via {gw}", route.dst),
            None => route.dst.to_string(),
        };
        Self::new(RouteNetlinkMessage::DelRoute(message), 0, "remove route", what)
    }
}

impl RouteSocket {
    /// The routes of a family in a table, without those that the kernel remembers for single packets.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn routes_in(&mut self, of: IpFamily, table: Option<u32>) -> Result<Vec<Route>, NetworkError> {
        let table = table.unwrap_or(TABLE_MAIN);
        let mut message = RouteMessage::default();
        message.header.address_family = family(match of {
            IpFamily::V4 => IpAddr::from([0; 4]),
            IpFamily::V6 => IpAddr::from([0; 16]),
        });
        message.header.table = u8::try_from(table).unwrap_or(0);
        message.attributes = vec![RouteAttribute::Table(table)];
        let found = match self.dump(RouteNetlinkMessage::GetRoute(message)) {
            // There is no such table, or no such family.
            Err(cause)
                if matches!(
                    cause.raw_os_error(),
                    Some(libc::ENOENT | libc::EAFNOSUPPORT | libc::EOPNOTSUPP)
                ) =>
            {
                return Ok(Vec::new());
            }
            found => found.map_err(|cause| NetworkError::Refused {
                verb: "list",
                what: format!("{of} routes"),
                cause,
            })?,
        };
        let route = |message: &RouteNetlinkMessage| match message {
            RouteNetlinkMessage::NewRoute(message) => Route::of(message),
            _ => None,
        };
        // A kernel that does not filter lists all tables.
        Ok(found.iter().filter_map(route).filter(|route| route.table == table).collect())
    }

    /// The way that packets of this host to `destination` take.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn way_to(&mut self, destination: IpAddr) -> Result<Way, NetworkError> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(destination);
        message.header.destination_prefix_length = IpNet::from(destination).prefix_len();
        message.attributes = vec![RouteAttribute::Destination(RouteAddress::from(destination))];
        let found = match self.get(RouteNetlinkMessage::GetRoute(message)) {
            Ok(found) => found,
            Err(cause) if is_unreachable(&cause) => return Ok(Way::None),
            Err(cause) if cause.raw_os_error() == Some(libc::EAFNOSUPPORT) => return Ok(Way::None),
            Err(cause) => {
                let what = format!("a route to {destination}");
                return Err(NetworkError::Refused { verb: "look up", what, cause });
            }
        };
        Ok(found.iter().find_map(way).unwrap_or(Way::None))
    }
}

fn way(message: &RouteNetlinkMessage) -> Option<Way> {
    let RouteNetlinkMessage::NewRoute(route) = message else { return None };
    let interface = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    });
    let is_routed = route
        .attributes
        .iter()
        .any(|attribute| matches!(attribute, RouteAttribute::Gateway(_) | RouteAttribute::Via(_)));
    Some(match (route.header.kind, interface) {
        (RouteType::Local, _) => Way::Own,
        (RouteType::Unicast, Some(interface)) if is_routed => Way::Router { interface },
        (RouteType::Unicast, Some(interface)) => Way::Link { interface },
        _ => Way::None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_itself_is_its_own() {
        let mut here = RouteSocket::here().unwrap();
        assert_eq!(here.way_to([127, 0, 0, 1].into()).unwrap(), Way::Own);
        let own = Way::Own.interface();
        assert_eq!((own, Way::Router { interface: 7 }.interface()), (None, Some(7)));
        // There is no such table.
        assert_eq!(here.routes_in(IpFamily::V4, Some(0x7fff_fff0)).unwrap(), []);
        assert_eq!(here.routes_in(IpFamily::V6, Some(0x7fff_fff0)).unwrap(), []);
    }
}

//! Routes.

use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteProtocol,
    RouteScope, RouteType,
};

use super::addresses::family;
use super::error::NetworkError;
use super::netlink::{NetworkChange, RouteSocket};

/// `RT_TABLE_MAIN` of linux/rtnetlink.h.
pub(super) const TABLE_MAIN: u32 = 254;

/// A route that is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRoute {
    /// Destination.
    pub dst: IpNet,
    /// Next hop; `None` if the destination is on the link.
    pub gw: Option<IpAddr>,
    /// Index of the interface.
    pub interface: u32,
    /// Routing table; the default is main.
    pub table: Option<u32>,
    /// Scope; the default is universe with a gateway, link without.
    pub scope: Option<u8>,
    /// Priority (metric).
    pub priority: Option<u32>,
    /// MTU along the path, in bytes.
    pub mtu: Option<u32>,
    /// Advertised maximal segment size, in bytes.
    pub advmss: Option<u32>,
    /// The source address of this host's own packets on the route; the kernel's choice unless given. The kernel removes
    /// an IPv4 route together with its source address.
    pub source: Option<IpAddr>,
    /// Who makes it, as `ip route` shows it: `proto`. The default is boot.
    pub protocol: Option<u8>,
    /// The next hop counts as reachable by the interface, whatever the other routes say.
    pub is_on_link: bool,
}

impl NewRoute {
    /// A route with defaults for everything else.
    pub fn new(dst: IpNet, gw: Option<IpAddr>, interface: u32) -> Self {
        Self {
            dst,
            gw,
            interface,
            table: None,
            scope: None,
            priority: None,
            mtu: None,
            advmss: None,
            source: None,
            protocol: None,
            is_on_link: false,
        }
    }

    pub(super) fn message(&self) -> RouteMessage {
        let table = self.table.unwrap_or(TABLE_MAIN);
        let scope = match (self.scope, self.gw) {
            (Some(scope), _) => scope.into(),
            (None, None) if self.dst.addr().is_ipv4() => RouteScope::Link,
            _ => RouteScope::Universe,
        };
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: family(self.dst.addr()),
            destination_prefix_length: self.dst.prefix_len(),
            // A number that does not fit is only in the attribute.
            table: u8::try_from(table).unwrap_or(0),
            protocol: self.protocol.map_or(RouteProtocol::Boot, RouteProtocol::from),
            flags: if self.is_on_link { RouteFlags::Onlink } else { RouteFlags::default() },
            scope,
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        let address = RouteAddress::from;
        message.attributes = vec![RouteAttribute::Table(table), RouteAttribute::Oif(self.interface)];
        if self.dst.prefix_len() > 0 {
            message.attributes.push(RouteAttribute::Destination(address(self.dst.network())));
        }
        message.attributes.extend(self.gw.map(address).map(RouteAttribute::Gateway));
        message.attributes.extend(self.priority.map(RouteAttribute::Priority));
        message.attributes.extend(self.source.map(address).map(RouteAttribute::PrefSource));
        let metrics: Vec<RouteMetric> =
            self.mtu.map(RouteMetric::Mtu).into_iter().chain(self.advmss.map(RouteMetric::Advmss)).collect();
        if !metrics.is_empty() {
            message.attributes.push(RouteAttribute::Metrics(metrics));
        }
        message
    }

    pub(super) fn shown(&self) -> String {
        match self.gw {
            Some(gw) => format!("{} via {gw}", self.dst),
            None => self.dst.to_string(),
        }
    }
}

impl NetworkChange {
    /// Adds a route; fails if it exists already.
    pub fn add_route(route: &NewRoute) -> Self {
        let message = RouteNetlinkMessage::NewRoute(route.message());
        Self::new(message, NLM_F_CREATE | NLM_F_EXCL, "add route", route.shown())
    }
}

impl RouteSocket {
    /// The source address of this host's packets to `destination`; `None` without a route.
    pub fn source_towards(&mut self, destination: IpAddr) -> Option<IpAddr> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(destination);
        message.header.destination_prefix_length = IpNet::from(destination).prefix_len();
        message.attributes = vec![RouteAttribute::Destination(RouteAddress::from(destination))];
        let found = self.get(RouteNetlinkMessage::GetRoute(message)).ok()?;
        found.iter().find_map(|message| {
            let RouteNetlinkMessage::NewRoute(message) = message else { return None };
            message.attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::PrefSource(source) => ip(source),
                _ => None,
            })
        })
    }

    /// The index of the interface by whose network this host reaches `destination` without a router; `None` if there is
    /// none, or only a default route.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn link_towards(&mut self, destination: IpAddr) -> Result<Option<u32>, NetworkError> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(destination);
        message.header.destination_prefix_length = IpNet::from(destination).prefix_len();
        // The answer is the route itself, with its destination.
        message.header.flags = RouteFlags::FibMatch;
        message.attributes = vec![RouteAttribute::Destination(RouteAddress::from(destination))];
        let found = match self.get(RouteNetlinkMessage::GetRoute(message)) {
            Ok(found) => found,
            Err(cause) if is_unreachable(&cause) => return Ok(None),
            Err(cause) => {
                let what = format!("a route to {destination}");
                return Err(NetworkError::Refused { verb: "look up", what, cause });
            }
        };
        Ok(found.iter().find_map(on_link))
    }

    /// The destinations and gateways of all unicast routes through the interface with that index.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn routes(&mut self, interface: u32) -> Result<Vec<(IpNet, Option<IpAddr>)>, NetworkError> {
        let mut message = RouteMessage::default();
        message.attributes = vec![RouteAttribute::Oif(interface)];
        let found = self
            .dump(RouteNetlinkMessage::GetRoute(message))
            .map_err(|cause| NetworkError::Refused { verb: "list", what: "routes".to_owned(), cause })?;
        Ok(found.into_iter().filter_map(|message| route_of(&message, interface)).collect())
    }
}

/// Whether there is no route, or one that refuses.
pub(super) fn is_unreachable(cause: &std::io::Error) -> bool {
    let errno = [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::EACCES, libc::EINVAL];
    cause.raw_os_error().is_some_and(|cause| errno.contains(&cause))
}

/// The interface of a route that needs no router.
fn on_link(message: &RouteNetlinkMessage) -> Option<u32> {
    let RouteNetlinkMessage::NewRoute(route) = message else { return None };
    let is_direct = route.header.kind == RouteType::Unicast && route.header.destination_prefix_length > 0;
    let by_router = |attribute: &RouteAttribute| {
        matches!(
            attribute,
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_) | RouteAttribute::MultiPath(_)
        )
    };
    if !is_direct || route.attributes.iter().any(by_router) {
        return None;
    }
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

fn route_of(message: &RouteNetlinkMessage, interface: u32) -> Option<(IpNet, Option<IpAddr>)> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return None };
    let (mut dst, mut gw, mut oif) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => dst = ip(address),
            RouteAttribute::Gateway(address) => gw = ip(address),
            RouteAttribute::Oif(index) => oif = Some(*index),
            _ => {}
        }
    }
    let everything: IpAddr = match message.header.address_family {
        netlink_packet_route::AddressFamily::Inet => [0; 4].into(),
        _ => [0; 16].into(),
    };
    let wanted = oif == Some(interface) && message.header.kind == RouteType::Unicast;
    let dst = IpNet::new(dst.unwrap_or(everything), message.header.destination_prefix_length).ok();
    wanted.then_some((dst?, gw))
}

pub(super) fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}

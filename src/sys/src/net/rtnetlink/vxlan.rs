//! VXLAN interfaces, and which node each MAC address behind one is at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::link::{InfoData, InfoKind, InfoVxlan, LinkAttribute, LinkInfo, LinkMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use pod::addresses::IpFamily;

use super::error::NetworkError;
use super::links::{Mac, link, link_of, named};
use super::netlink::{NetworkChange, RouteSocket};

/// A VXLAN interface that learns nothing: what is behind it has to be told, with [`NetworkChange::add_tunnel_end`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVxlan<'a> {
    /// Its name.
    pub name: &'a str,
    /// The VXLAN network identifier, the same on all nodes.
    pub id: u32,
    /// The UDP port, the same on all nodes.
    pub port: u16,
    /// The source of its packets; unspecified if the kernel is to choose. It decides the family of the packets.
    pub local: IpAddr,
    /// Its MAC address.
    pub mac: Mac,
    /// In bytes.
    pub mtu: u32,
}

/// An interface that has the name of a VXLAN interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vxlan {
    /// Its index.
    pub index: u32,
    /// In bytes.
    pub mtu: u32,
    /// Whether it is up.
    pub is_up: bool,
    /// Whether it is a VXLAN interface at all.
    pub is_vxlan: bool,
    mac: Option<Mac>,
    id: u32,
    port: u16,
    local: Option<IpAddr>,
    learns: bool,
}

impl Vxlan {
    /// Whether it is what `new` makes, but for the MTU.
    pub fn is(&self, new: &NewVxlan<'_>) -> bool {
        self.is_vxlan
            && self.mac == Some(new.mac)
            && self.id == new.id
            && self.port == new.port
            && self.local.unwrap_or(unspecified(IpFamily::of(new.local))) == new.local
            && !self.learns
    }

    fn of(message: &LinkMessage) -> Option<Self> {
        let found = link_of(&RouteNetlinkMessage::NewLink(message.clone()))?;
        let mut vxlan = Self {
            index: found.index,
            mtu: found.mtu,
            is_up: found.is_up,
            is_vxlan: found.kind == "vxlan",
            mac: found.mac,
            id: 0,
            port: 0,
            local: None,
            learns: false,
        };
        let infos = message.attributes.iter().filter_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => Some(infos),
            _ => None,
        });
        for info in infos.flatten() {
            let LinkInfo::Data(InfoData::Vxlan(all)) = info else { continue };
            for one in all {
                match one {
                    InfoVxlan::Id(id) => vxlan.id = *id,
                    InfoVxlan::Port(port) => vxlan.port = *port,
                    InfoVxlan::Local(local) => vxlan.local = Some(IpAddr::V4(*local)),
                    InfoVxlan::Local6(local) => vxlan.local = Some(IpAddr::V6(*local)),
                    InfoVxlan::Learning(learns) => vxlan.learns = *learns,
                    _ => {}
                }
            }
        }
        Some(vxlan)
    }
}

/// The unspecified address of a family.
fn unspecified(family: IpFamily) -> IpAddr {
    match family {
        IpFamily::V4 => Ipv4Addr::UNSPECIFIED.into(),
        IpFamily::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

impl RouteSocket {
    /// Makes a VXLAN interface, down.
    ///
    /// # Errors
    /// The kernel's answer, also if the interface exists already.
    pub fn add_vxlan(&mut self, vxlan: &NewVxlan<'_>) -> Result<(), NetworkError> {
        let mut message = named(vxlan.name);
        message.attributes.push(LinkAttribute::Address(vxlan.mac.0.to_vec()));
        message.attributes.push(LinkAttribute::Mtu(vxlan.mtu));
        let local = match vxlan.local {
            IpAddr::V4(local) => InfoVxlan::Local(local),
            IpAddr::V6(local) => InfoVxlan::Local6(local),
        };
        let settings =
            vec![InfoVxlan::Id(vxlan.id), local, InfoVxlan::Port(vxlan.port), InfoVxlan::Learning(false)];
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Vxlan),
            LinkInfo::Data(InfoData::Vxlan(settings)),
        ]));
        self.new_link(message, format!("VXLAN interface {}", vxlan.name))
    }

    /// The interface with the name of a VXLAN interface, if there is one.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn vxlan(&mut self, name: &str) -> Result<Option<Vxlan>, NetworkError> {
        match self.get(RouteNetlinkMessage::GetLink(named(name))) {
            Ok(answers) => Ok(answers.iter().find_map(|answer| match answer {
                RouteNetlinkMessage::NewLink(link) => Vxlan::of(link),
                _ => None,
            })),
            Err(cause) if cause.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(cause) => Err(NetworkError::Refused { verb: "look up", what: name.to_owned(), cause }),
        }
    }

    /// The nodes behind the VXLAN interface with that index, each with its MAC address.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn tunnel_ends(&mut self, index: u32) -> Result<Vec<(Mac, IpAddr)>, NetworkError> {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Bridge;
        message.header.ifindex = index;
        let found = self.dump(RouteNetlinkMessage::GetNeighbour(message));
        let found = found.map_err(|cause| NetworkError::Refused {
            verb: "list",
            what: "the forwarding table of a VXLAN interface".to_owned(),
            cause,
        })?;
        let of_it = neighbours(&found).filter(|message| message.header.ifindex == index);
        Ok(of_it.filter_map(|message| Some((mac_in(message)?, address_in(message)?))).collect())
    }

    /// The permanent entries of a family in the neighbour table of the interface with that index.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn permanent_neighbours(
        &mut self,
        index: u32,
        family: IpFamily,
    ) -> Result<Vec<(IpAddr, Mac)>, NetworkError> {
        let mut message = NeighbourMessage::default();
        message.header.family = super::addresses::family(unspecified(family));
        message.attributes = vec![NeighbourAttribute::IfIndex(index)];
        let found = self.dump(RouteNetlinkMessage::GetNeighbour(message));
        let found = found.map_err(|cause| NetworkError::Refused {
            verb: "list",
            what: "neighbours".to_owned(),
            cause,
        })?;
        let is_wanted = |message: &&NeighbourMessage| {
            message.header.ifindex == index && message.header.state == NeighbourState::Permanent
        };
        let entry = |message: &NeighbourMessage| Some((address_in(message)?, mac_in(message)?));
        Ok(neighbours(&found).filter(is_wanted).filter_map(entry).collect())
    }
}

impl NetworkChange {
    /// Leads frames to a MAC address, behind the VXLAN interface with that index, to a node.
    pub fn add_tunnel_end(index: u32, mac: Mac, node: IpAddr) -> Self {
        let message = RouteNetlinkMessage::NewNeighbour(tunnel_end(index, mac, node));
        Self::new(message, NLM_F_CREATE | NLM_F_REPLACE, "add tunnel end", format!("{node} ({mac})"))
    }

    /// The reverse.
    pub fn remove_tunnel_end(index: u32, mac: Mac, node: IpAddr) -> Self {
        let message = RouteNetlinkMessage::DelNeighbour(tunnel_end(index, mac, node));
        Self::new(message, 0, "remove tunnel end", format!("{node} ({mac})"))
    }

    /// Sets the MTU of an interface.
    pub fn set_mtu(index: u32, name: &str, mtu: u32) -> Self {
        let mut message = link(index);
        message.attributes.push(LinkAttribute::Mtu(mtu));
        Self::new(RouteNetlinkMessage::SetLink(message), 0, "set the MTU of", name)
    }
}

fn tunnel_end(index: u32, mac: Mac, node: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.header.flags = NeighbourFlags::Own;
    message.attributes = vec![
        NeighbourAttribute::Destination(NeighbourAddress::from(node)),
        NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()),
    ];
    message
}

fn neighbours(found: &[RouteNetlinkMessage]) -> impl Iterator<Item = &NeighbourMessage> {
    found.iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewNeighbour(message) => Some(message),
        _ => None,
    })
}

fn mac_in(message: &NeighbourMessage) -> Option<Mac> {
    message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => <[u8; 6]>::try_from(&bytes[..]).ok().map(Mac),
        _ => None,
    })
}

fn address_in(message: &NeighbourMessage) -> Option<IpAddr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => Some(IpAddr::V4(*v4)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => Some(IpAddr::V6(*v6)),
        NeighbourAttribute::Destination(NeighbourAddress::Other(bytes)) => {
            let v4 = <[u8; 4]>::try_from(&bytes[..]).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(&bytes[..]).map(IpAddr::from)).ok()
        }
        _ => None,
    })
}

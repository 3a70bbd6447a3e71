//! Interfaces: veth pairs, bridges, VLANs.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::AsRawFd;
use std::str::FromStr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, InfoVlan, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo,
    LinkMessage,
};
use serde::{Deserialize, Serialize};

use super::error::NetworkError;
use super::namespace::Namespace;
use super::netlink::RouteSocket;

/// Which sender addresses the packet filter checks on a pod's interface.
///
/// It is stored as the group of the node's end, which the interface has from its start, so no packet passes unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceCheck {
    /// Nothing.
    None,
    /// On a bridge, the MAC address of frames.
    Mac,
    /// The addresses of packets, and on a bridge the MAC address of frames.
    Addresses,
}

impl SourceCheck {
    /// The number of the interface group: "pod" in ASCII, and the number of the check.
    pub fn group(self) -> u32 {
        let check = match self {
            Self::None => 0,
            Self::Mac => 1,
            Self::Addresses => 2,
        };
        u32::from_be_bytes([b'p', b'o', b'd', check])
    }

    fn of_group(group: u32) -> Option<Self> {
        [Self::None, Self::Mac, Self::Addresses].into_iter().find(|check| check.group() == group)
    }
}

/// A MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a unicast MAC address such as 0a:58:0a:f4:01:04";
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part =
                parts.next().filter(|part| part.len() == 2 && !part.starts_with('+')).ok_or(EXPECTED)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| EXPECTED)?;
        }
        let unicast = bytes[0] & 1 == 0 && bytes != [0; 6];
        if parts.next().is_some() || !unicast { Err(EXPECTED) } else { Ok(Self(bytes)) }
    }
}

impl TryFrom<String> for Mac {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// `veth`, `bridge`, ...; empty for hardware.
    pub kind: String,
    /// Its MAC address.
    pub mac: Option<Mac>,
    /// In bytes.
    pub mtu: u32,
    /// Whether it is up.
    pub is_up: bool,
    /// Whether it is up and has a carrier.
    pub is_running: bool,
    /// Index of its bridge, if it is a port of one.
    pub bridge: Option<u32>,
    /// Whether it is promiscuous by configuration.
    pub is_promiscuous: bool,
    /// Which sender addresses are checked, if it leads to a pod.
    pub check: Option<SourceCheck>,
}

/// A veth pair that is to be made.
#[derive(Debug)]
pub struct NewVeth<'a> {
    /// Name of the pod's end, which is made in the socket's namespace.
    pub name: &'a str,
    /// Its MAC address.
    pub mac: Mac,
    /// Name of the node's end.
    pub peer_name: &'a str,
    /// Its MAC address.
    pub peer_mac: Mac,
    /// The namespace of the node's end.
    pub peer_namespace: &'a Namespace,
    /// In bytes; the kernel's default is 1500.
    pub mtu: Option<u32>,
    /// Which sender addresses are checked on the node's end.
    pub check: SourceCheck,
}

pub(super) fn link(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

pub(super) fn named(name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    message
}

impl RouteSocket {
    pub(super) fn new_link(&mut self, message: LinkMessage, what: String) -> Result<(), NetworkError> {
        self.change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
            .map_err(|cause| NetworkError::Refused { verb: "make", what, cause })
    }

    /// Makes a veth pair, both ends down.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn add_veth(&mut self, veth: &NewVeth<'_>) -> Result<(), NetworkError> {
        let mut peer = named(veth.peer_name);
        peer.attributes.push(LinkAttribute::NetNsFd(veth.peer_namespace.as_raw_fd()));
        peer.attributes.push(LinkAttribute::Address(veth.peer_mac.0.to_vec()));
        peer.attributes.push(LinkAttribute::Group(veth.check.group()));
        let mut message = named(veth.name);
        message.attributes.push(LinkAttribute::Address(veth.mac.0.to_vec()));
        if let Some(mtu) = veth.mtu {
            peer.attributes.push(LinkAttribute::Mtu(mtu));
            message.attributes.push(LinkAttribute::Mtu(mtu));
        }
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]));
        self.new_link(message, format!("veth pair {} and {}", veth.name, veth.peer_name))
    }

    /// Makes a bridge, down.
    ///
    /// # Errors
    /// The kernel's answer, also if the interface exists already.
    pub fn add_bridge(
        &mut self,
        name: &str,
        mac: Mac,
        mtu: Option<u32>,
        vlans: bool,
    ) -> Result<(), NetworkError> {
        let mut message = named(name);
        message.attributes.push(LinkAttribute::Address(mac.0.to_vec()));
        message.attributes.extend(mtu.map(LinkAttribute::Mtu));
        let mut info = vec![LinkInfo::Kind(InfoKind::Bridge)];
        // Some kernels are built without VLAN filtering, and refuse even to turn it off.
        if vlans {
            info.push(LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::VlanFiltering(true)])));
        }
        message.attributes.push(LinkAttribute::LinkInfo(info));
        self.new_link(message, format!("bridge {name}"))
    }

    /// Makes an interface for one VLAN of the interface with that index, down.
    ///
    /// # Errors
    /// The kernel's answer, also if the interface exists already.
    pub fn add_vlan(&mut self, name: &str, parent: u32, vlan: u16) -> Result<(), NetworkError> {
        let mut message = named(name);
        message.attributes.push(LinkAttribute::Link(parent));
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Vlan),
            LinkInfo::Data(InfoData::Vlan(vec![InfoVlan::Id(vlan)])),
        ]));
        self.new_link(message, format!("VLAN interface {name}"))
    }

    /// The interface called `name`, if there is one.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>, NetworkError> {
        self.look_up(named(name), name)
    }

    /// The interface with that index, if there is one; `name` is for errors.
    pub(in crate::net) fn link_at(&mut self, index: u32, name: &str) -> Result<Option<Link>, NetworkError> {
        self.look_up(link(index), name)
    }

    /// The MTU of the interface with that index, if there is one.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn mtu(&mut self, index: u32) -> Result<Option<u32>, NetworkError> {
        Ok(self.link_at(index, &format!("interface {index}"))?.map(|link| link.mtu))
    }

    fn look_up(&mut self, mut message: LinkMessage, name: &str) -> Result<Option<Link>, NetworkError> {
        // The counters are more than half of an answer, and are not used.
        message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        match self.get(RouteNetlinkMessage::GetLink(message)) {
            Ok(answers) => Ok(answers.iter().find_map(link_of)),
            Err(cause) if cause.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(cause) => Err(NetworkError::Refused { verb: "look up", what: name.to_owned(), cause }),
        }
    }

    /// Whether there is an interface that leads to a pod, other than the one called `but`.
    pub(crate) fn has_pods(&mut self, but: Option<&str>) -> Result<bool, NetworkError> {
        let found = self.links()?;
        let others = found.iter().filter(|message| but.is_none() || name_of(message) != but);
        Ok(others.filter_map(link_of).any(|link| link.check.is_some()))
    }

    /// The names of all interfaces, by index.
    pub(in crate::net) fn link_names(&mut self) -> Result<BTreeMap<u32, String>, NetworkError> {
        let name = |message: &RouteNetlinkMessage| match message {
            RouteNetlinkMessage::NewLink(link) => Some((link.header.index, name_in(link)?.to_owned())),
            _ => None,
        };
        Ok(self.links()?.iter().filter_map(name).collect())
    }

    fn links(&mut self) -> Result<Vec<RouteNetlinkMessage>, NetworkError> {
        self.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))
            .map_err(|cause| NetworkError::Refused { verb: "list", what: "interfaces".to_owned(), cause })
    }

    /// Makes an interface promiscuous.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn promiscuous(&mut self, index: u32, name: &str) -> Result<(), NetworkError> {
        let mut message = link(index);
        message.header.flags = LinkFlags::Promisc;
        message.header.change_mask = LinkFlags::Promisc;
        self.change(RouteNetlinkMessage::SetLink(message), 0).map_err(|cause| NetworkError::Refused {
            verb: "make promiscuous",
            what: name.to_owned(),
            cause,
        })
    }

    /// Removes the interface called `name`; tells whether there was one.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn delete_link(&mut self, name: &str) -> Result<bool, NetworkError> {
        match self.change(RouteNetlinkMessage::DelLink(named(name)), 0) {
            Ok(()) => Ok(true),
            Err(cause) if cause.raw_os_error() == Some(libc::ENODEV) => Ok(false),
            Err(cause) => Err(NetworkError::Refused { verb: "remove", what: name.to_owned(), cause }),
        }
    }
}

fn name_of(message: &RouteNetlinkMessage) -> Option<&str> {
    let RouteNetlinkMessage::NewLink(message) = message else { return None };
    name_in(message)
}

pub(super) fn name_in(message: &LinkMessage) -> Option<&str> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

pub(super) fn link_of(message: &RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = message else { return None };
    let mut link = Link {
        index: message.header.index,
        kind: String::new(),
        mac: None,
        mtu: 0,
        is_up: message.header.flags.contains(LinkFlags::Up),
        is_running: message.header.flags.contains(LinkFlags::Up | LinkFlags::Running),
        bridge: None,
        is_promiscuous: message.header.flags.contains(LinkFlags::Promisc),
        check: None,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Address(bytes) => link.mac = <[u8; 6]>::try_from(&bytes[..]).ok().map(Mac),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Controller(index) => link.bridge = Some(*index),
            LinkAttribute::Group(group) => link.check = SourceCheck::of_group(*group),
            LinkAttribute::LinkInfo(infos) => {
                let kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
                link.kind = kind.unwrap_or_default();
            }
            _ => {}
        }
    }
    Some(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_is_a_unicast_one() {
        let mac: Mac = "0a:58:0A:f4:01:04".parse().unwrap();
        assert_eq!(mac.to_string(), "0a:58:0a:f4:01:04");
        for bad in [
            "",
            "0a:58:0a:f4:01",
            "0a:58:0a:f4:01:04:05",
            "01:00:5e:00:00:01",
            "a:58:0a:f4:1:4",
            "+a:58:0a:f4:01:04",
        ] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }
}

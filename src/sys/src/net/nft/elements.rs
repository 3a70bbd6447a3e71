//! The elements of the maps and sets: everything of a pod that is in the packet filter.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use super::error::NftError;
use super::maps::{Map, Purpose, Table};
use super::types::Protocol;
use crate::net::netfilter::data::{
    DATA_VALUE, DATA_VERDICT, GOTO, JUMP, VERDICT_CHAIN, VERDICT_CODE, address, data, enter, octets, padded,
    port,
};
use crate::net::netfilter::family::Encoding;
use crate::net::netfilter::message::{Attributes, attributes, find, find_in, text};
use crate::net::rtnetlink::Mac;
use pod::addresses::IpFamily;

/// Attributes of linux/netfilter/nf_tables.h: of an element.
const ELEMENT_KEY: u16 = 1;
const ELEMENT_DATA: u16 = 2;
const LIST_ELEMENT: u16 = 1;
const LIST_ELEMENTS: u16 = 3;
/// `IFNAMSIZ` of linux/if.h.
const INTERFACE: usize = 16;

/// How a chain is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Enter {
    /// Without return: the chain decides.
    Goto,
    /// With return if the chain does not decide.
    Jump,
}

impl Enter {
    fn code(self) -> i32 {
        match self {
            Self::Goto => GOTO,
            Self::Jump => JUMP,
        }
    }
}

/// Table, map and key of an element.
pub(super) type Place = (Table, &'static str, Vec<u8>);

/// An element of a map or set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Element {
    /// The chain decides whether packets of the pod are masqueraded.
    Masquerade { pod: IpAddr, enter: Enter, chain: String },
    /// The chain decides whether packets to the pod through a host port are masqueraded.
    Hairpin { pod: IpAddr, enter: Enter, chain: String },
    /// A host port.
    Port { host_ip: Option<IpAddr>, protocol: Protocol, host_port: u16, pod: IpAddr, pod_port: u16 },
    /// Packets from the interface may carry the address.
    Source { table: Table, interface: String, address: IpAddr },
    /// Frames from the bridge's port may carry the MAC address.
    Mac { interface: String, mac: Mac },
}

impl Element {
    pub(super) fn map(&self) -> Map {
        let (purpose, address) = match self {
            Self::Masquerade { pod, .. } => (Purpose::Masquerade, pod),
            Self::Hairpin { pod, .. } => (Purpose::Hairpin, pod),
            Self::Port { host_ip: None, pod, .. } => (Purpose::HostPorts, pod),
            Self::Port { host_ip: Some(_), pod, .. } => (Purpose::HostIpPorts, pod),
            Self::Source { table, address, .. } => (Purpose::Sources(*table), address),
            Self::Mac { .. } => return Map::MACS,
        };
        Map(purpose, IpFamily::of(*address))
    }

    /// The pod's address, if the element is about packets to or from it.
    pub(super) fn pod(&self) -> Option<IpAddr> {
        match self {
            Self::Masquerade { pod, .. } | Self::Hairpin { pod, .. } | Self::Port { pod, .. } => Some(*pod),
            Self::Source { .. } | Self::Mac { .. } => None,
        }
    }

    /// The pod's interface on the node, if the element is about packets from it.
    pub(super) fn interface(&self) -> Option<&str> {
        match self {
            Self::Source { interface, .. } | Self::Mac { interface, .. } => Some(interface),
            _ => None,
        }
    }

    /// The chain that it leads to.
    pub(super) fn chain(&self) -> Option<&str> {
        match self {
            Self::Masquerade { chain, .. } | Self::Hairpin { chain, .. } => Some(chain),
            _ => None,
        }
    }

    /// Table, map and key: only one element can have them.
    pub(super) fn place(&self) -> Place {
        let map = self.map();
        (map.table(), map.name(), self.key())
    }

    fn key(&self) -> Vec<u8> {
        match self {
            Self::Masquerade { pod, .. } | Self::Hairpin { pod, .. } => octets(*pod),
            Self::Port { host_ip, protocol, host_port, .. } => {
                let mut key = host_ip.map(octets).unwrap_or_default();
                key.extend([protocol.number(), 0, 0, 0]);
                key.extend(padded(*host_port));
                key
            }
            Self::Source { interface, address, .. } => [name(interface), octets(*address)].concat(),
            Self::Mac { interface, mac } => [&name(interface)[..], &mac.0, &[0; 2]].concat(),
        }
    }

    fn value(&self) -> Option<Attributes> {
        match self {
            Self::Masquerade { enter: way, chain, .. } | Self::Hairpin { enter: way, chain, .. } => {
                Some(enter(way.code(), chain))
            }
            Self::Port { pod, pod_port, .. } => {
                let mut value = octets(*pod);
                value.extend(padded(*pod_port));
                Some(data(&value))
            }
            Self::Source { .. } | Self::Mac { .. } => None,
        }
    }

    /// Adds the element to `about`, which names the map, for a message that makes it.
    pub(super) fn added_to(&self, about: Attributes) -> Attributes {
        let element = Attributes::new().nested(ELEMENT_KEY, &data(&self.key()));
        in_list(
            about,
            &match self.value() {
                Some(value) => element.nested(ELEMENT_DATA, &value),
                None => element,
            },
        )
    }

    /// Adds the element's key to `about`, for a message that finds or removes it.
    pub(super) fn keyed_in(&self, about: Attributes) -> Attributes {
        in_list(about, &Attributes::new().nested(ELEMENT_KEY, &data(&self.key())))
    }

    /// The elements of `map` in a message of the kernel. Elements that podhosts cannot have made are left out.
    pub(super) fn listed(map: Map, message: &[u8]) -> Vec<Self> {
        let list = find(message, LIST_ELEMENTS).unwrap_or_default();
        attributes(list).filter_map(|element| Self::read(map, element.value)).collect()
    }

    fn read(map: Map, element: &[u8]) -> Option<Self> {
        let key = find_in(element, &[ELEMENT_KEY, DATA_VALUE])?;
        match map.0 {
            Purpose::Sources(table) => {
                let (interface, rest) = key.split_at_checked(INTERFACE)?;
                return Some(Self::Source {
                    table,
                    interface: unpadded(interface),
                    address: address(map.1, rest)?,
                });
            }
            Purpose::Macs => {
                let (interface, rest) = key.split_at_checked(INTERFACE)?;
                return Some(Self::Mac { interface: unpadded(interface), mac: Mac(*rest.first_chunk()?) });
            }
            _ => {}
        }
        if matches!(map.0, Purpose::Masquerade | Purpose::Hairpin) {
            let verdict = find_in(element, &[ELEMENT_DATA, DATA_VERDICT])?;
            let code = i32::from_be_bytes(find(verdict, VERDICT_CODE)?.try_into().ok()?);
            let enter = [Enter::Goto, Enter::Jump].into_iter().find(|enter| enter.code() == code)?;
            let (pod, chain) = (address(map.1, key)?, text(find(verdict, VERDICT_CHAIN)?));
            return Some(match map.0 {
                Purpose::Masquerade => Self::Masquerade { pod, enter, chain },
                _ => Self::Hairpin { pod, enter, chain },
            });
        }
        let value = find_in(element, &[ELEMENT_DATA, DATA_VALUE])?;
        let (pod, pod_port) = (address(map.1, value)?, port(value.get(map.1.length()..)?)?);
        let (host_ip, key) = match map.0 {
            Purpose::HostIpPorts => (Some(address(map.1, key)?), key.get(map.1.length()..)?),
            _ => (None, key),
        };
        let protocol = Protocol::ALL.into_iter().find(|protocol| Some(&protocol.number()) == key.first())?;
        Some(Self::Port { host_ip, protocol, host_port: port(key.get(4..)?)?, pod, pod_port })
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Masquerade { pod, .. } => write!(f, "masquerading of {pod}"),
            Self::Hairpin { pod, .. } => write!(f, "hairpin of {pod}"),
            Self::Port { host_ip, protocol, host_port, pod, .. } => {
                let of = host_ip.map(|ip| format!(" of {ip}")).unwrap_or_default();
                write!(f, "host port {host_port}/{protocol}{of} to {pod}")
            }
            Self::Source { interface, address, .. } => write!(f, "source address {address} of {interface}"),
            Self::Mac { interface, mac } => write!(f, "MAC address {mac} of {interface}"),
        }
    }
}

/// Divides elements into those of these addresses and the others.
pub(super) fn of_and_not_of(addresses: &[IpAddr], elements: Vec<Element>) -> (Vec<Element>, Vec<Element>) {
    let is_own = |pod: IpAddr| addresses.iter().any(|address| address.to_canonical() == pod);
    elements.into_iter().partition(|element| element.pod().is_some_and(is_own))
}

/// The error for a wanted port that one of `others` has.
pub(super) fn taken(wanted: &[Element], others: &[Element]) -> Option<NftError> {
    let places: BTreeMap<_, _> = others.iter().map(|other| (other.place(), other)).collect();
    wanted.iter().find_map(|element| {
        let owner = places.get(&element.place()).filter(|other| **other != element)?.pod()?;
        match element {
            Element::Port { protocol, host_port, .. } => {
                Some(NftError::PortTaken { port: *host_port, protocol: *protocol, owner })
            }
            _ => None,
        }
    })
}

fn in_list(about: Attributes, element: &Attributes) -> Attributes {
    about.nested(LIST_ELEMENTS, &Attributes::new().nested(LIST_ELEMENT, element))
}

/// An interface's name as a register has it.
fn name(interface: &str) -> Vec<u8> {
    let mut bytes = interface.as_bytes().to_vec();
    bytes.resize(INTERFACE, 0);
    bytes
}

fn unpadded(name: &[u8]) -> String {
    String::from_utf8_lossy(name.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Element> {
        let (v4, v6) = ("10.0.0.5".parse().unwrap(), "fd00::5".parse().unwrap());
        let (chain, protocol) = ("masq-0".to_owned(), Protocol::Sctp);
        let port = |host_ip, pod| Element::Port { host_ip, protocol, host_port: 80, pod, pod_port: 8080 };
        vec![
            Element::Masquerade { pod: v4, enter: Enter::Goto, chain: chain.clone() },
            Element::Hairpin { pod: v6, enter: Enter::Jump, chain },
            port(None, v4),
            port(None, v6),
            port(Some("192.0.2.1".parse().unwrap()), v4),
            port(Some("2001:db8::1".parse().unwrap()), v6),
            Element::Source { table: Table::Inet, interface: "veth0".to_owned(), address: v4 },
            Element::Source { table: Table::Bridge, interface: "veth0".to_owned(), address: v6 },
            Element::Mac { interface: "veth45cfdc87100".to_owned(), mac: Mac([10, 88, 10, 0, 0, 5]) },
        ]
    }

    #[test]
    fn an_element_is_read_back() {
        for element in samples() {
            let sent = element.added_to(Attributes::new().text(1, "podhosts"));
            assert_eq!(
                Element::listed(element.map(), sent.as_bytes()),
                std::slice::from_ref(&element),
                "{element}"
            );
            let lengths = (element.key().len(), element.map().key().length as usize);
            assert_eq!(lengths.0, lengths.1, "{element}");
        }
    }

    #[test]
    fn what_is_not_ours_is_left_out() {
        let element = Attributes::new().nested(ELEMENT_KEY, &data(&[132, 0]));
        let list = in_list(Attributes::new(), &element.nested(ELEMENT_DATA, &data(&[10, 0, 0])));
        for map in Map::ALL {
            assert_eq!(Element::listed(map, list.as_bytes()), []);
            assert_eq!(Element::listed(map, &[]), []);
        }
    }

    #[test]
    fn elements_are_named() {
        let names: Vec<String> = samples().iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "masquerading of 10.0.0.5",
                "hairpin of fd00::5",
                "host port 80/sctp to 10.0.0.5",
                "host port 80/sctp to fd00::5",
                "host port 80/sctp of 192.0.2.1 to 10.0.0.5",
                "host port 80/sctp of 2001:db8::1 to fd00::5",
                "source address 10.0.0.5 of veth0",
                "source address fd00::5 of veth0",
                "MAC address 0a:58:0a:00:00:05 of veth45cfdc87100",
            ]
        );
    }

    #[test]
    fn only_the_same_element_has_the_same_place() {
        let all = samples();
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(a.place() == b.place(), i == j, "{a} {b}");
            }
        }
    }
}

//! The elements of the maps: all that there is of one pod.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Protocol;
use super::message::{Attributes, attributes, find, find_in, text};

/// Attributes of linux/netfilter/nf_tables.h: of a data value, a verdict, an element.
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_DATA: u16 = 2;
const LIST_ELEMENT: u16 = 1;
const LIST_ELEMENTS: u16 = 3;

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const ALL: [Self; 2] = [Self::V4, Self::V6];

    pub(super) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// Length of an address.
    pub(super) fn length(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }
}

/// What a map is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Masquerade,
    Hairpin,
    HostPorts,
    HostIpPorts,
}

/// A map of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Map(pub(super) Purpose, pub(super) Family);

/// What `nft` knows a type by, and its length.
type FieldType = (u32, usize);
const IPV4_ADDRESS: FieldType = (7, 4);
const IPV6_ADDRESS: FieldType = (8, 16);
const INET_PROTOCOL: FieldType = (12, 1);
const INET_SERVICE: FieldType = (13, 2);

/// The type and length of a key or a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DataType {
    pub(super) id: u32,
    pub(super) length: u32,
}

impl DataType {
    /// Fields behind each other, each padded to four bytes, as `nft` has them.
    fn of(fields: &[FieldType]) -> Self {
        let id = fields.iter().fold(0, |id, field| (id << 6) | field.0);
        let length = fields.iter().map(|field| field.1.next_multiple_of(4)).sum::<usize>();
        Self { id, length: u32::try_from(length).unwrap_or(u32::MAX) }
    }
}

impl Map {
    pub(super) const ALL: [Self; 8] = [
        Self(Purpose::Masquerade, Family::V4),
        Self(Purpose::Masquerade, Family::V6),
        Self(Purpose::Hairpin, Family::V4),
        Self(Purpose::Hairpin, Family::V6),
        Self(Purpose::HostPorts, Family::V4),
        Self(Purpose::HostPorts, Family::V6),
        Self(Purpose::HostIpPorts, Family::V4),
        Self(Purpose::HostIpPorts, Family::V6),
    ];

    pub(super) fn name(self) -> &'static str {
        match (self.0, self.1) {
            (Purpose::Masquerade, Family::V4) => "masquerade4",
            (Purpose::Masquerade, Family::V6) => "masquerade6",
            (Purpose::Hairpin, Family::V4) => "hairpin4",
            (Purpose::Hairpin, Family::V6) => "hairpin6",
            (Purpose::HostPorts, Family::V4) => "hostports4",
            (Purpose::HostPorts, Family::V6) => "hostports6",
            (Purpose::HostIpPorts, Family::V4) => "hostip-ports4",
            (Purpose::HostIpPorts, Family::V6) => "hostip-ports6",
        }
    }

    pub(super) fn key(self) -> DataType {
        let address = self.address();
        match self.0 {
            Purpose::Masquerade | Purpose::Hairpin => DataType::of(&[address]),
            Purpose::HostPorts => DataType::of(&[INET_PROTOCOL, INET_SERVICE]),
            Purpose::HostIpPorts => DataType::of(&[address, INET_PROTOCOL, INET_SERVICE]),
        }
    }

    /// The type of the values, or `None` for verdicts.
    pub(super) fn value(self) -> Option<DataType> {
        match self.0 {
            Purpose::Masquerade | Purpose::Hairpin => None,
            Purpose::HostPorts | Purpose::HostIpPorts => Some(DataType::of(&[self.address(), INET_SERVICE])),
        }
    }

    fn address(self) -> FieldType {
        match self.1 {
            Family::V4 => IPV4_ADDRESS,
            Family::V6 => IPV6_ADDRESS,
        }
    }
}

/// How a chain is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Enter {
    /// Not to come back: it decides.
    Goto,
    /// To go on behind it where it does not decide.
    Jump,
}

impl Enter {
    fn code(self) -> i32 {
        match self {
            Self::Goto => -4,
            Self::Jump => -3,
        }
    }
}

/// An element of a map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Element {
    /// What a pod sends is masqueraded as the chain says.
    Masquerade { pod: IpAddr, enter: Enter, chain: String },
    /// What a pod is sent through a host port is masqueraded as the chain says.
    Hairpin { pod: IpAddr, enter: Enter, chain: String },
    /// A host port.
    Port { host_ip: Option<IpAddr>, protocol: Protocol, host_port: u16, pod: IpAddr, pod_port: u16 },
}

impl Element {
    pub(super) fn map(&self) -> Map {
        let purpose = match self {
            Self::Masquerade { .. } => Purpose::Masquerade,
            Self::Hairpin { .. } => Purpose::Hairpin,
            Self::Port { host_ip: None, .. } => Purpose::HostPorts,
            Self::Port { host_ip: Some(_), .. } => Purpose::HostIpPorts,
        };
        Map(purpose, Family::of(self.pod()))
    }

    /// The pod's address.
    pub(super) fn pod(&self) -> IpAddr {
        match self {
            Self::Masquerade { pod, .. } | Self::Hairpin { pod, .. } | Self::Port { pod, .. } => *pod,
        }
    }

    /// The chain that it leads to.
    pub(super) fn chain(&self) -> Option<&str> {
        match self {
            Self::Masquerade { chain, .. } | Self::Hairpin { chain, .. } => Some(chain),
            Self::Port { .. } => None,
        }
    }

    /// Its map and its key there: of two elements with the same ones only one can be in the table.
    pub(super) fn place(&self) -> (&'static str, Vec<u8>) {
        (self.map().name(), self.key())
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
        }
    }

    fn value(&self) -> Attributes {
        match self {
            Self::Masquerade { enter, chain, .. } | Self::Hairpin { enter, chain, .. } => {
                let code = enter.code().to_be_bytes();
                let verdict = Attributes::new().bytes(VERDICT_CODE, &code).text(VERDICT_CHAIN, chain);
                Attributes::new().nested(DATA_VERDICT, &verdict)
            }
            Self::Port { pod, pod_port, .. } => {
                let mut value = octets(*pod);
                value.extend(padded(*pod_port));
                data(&value)
            }
        }
    }

    /// As the kernel wants it in order to add it to the elements of a map in `about`.
    pub(super) fn added_to(&self, about: Attributes) -> Attributes {
        let element = Attributes::new().nested(ELEMENT_KEY, &data(&self.key()));
        in_list(about, &element.nested(ELEMENT_DATA, &self.value()))
    }

    /// As the kernel wants it in order to take it away.
    pub(super) fn taken_from(&self, about: Attributes) -> Attributes {
        in_list(about, &Attributes::new().nested(ELEMENT_KEY, &data(&self.key())))
    }

    /// The elements of `map` that a message of the kernel's lists. One that podhosts cannot have made is left out.
    pub(super) fn listed(map: Map, message: &[u8]) -> Vec<Self> {
        let list = find(message, LIST_ELEMENTS).unwrap_or_default();
        attributes(list).filter_map(|element| Self::read(map, element.value)).collect()
    }

    fn read(map: Map, element: &[u8]) -> Option<Self> {
        let key = find_in(element, &[ELEMENT_KEY, DATA_VALUE])?;
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
        }
    }
}

/// A value that is no verdict.
pub(super) fn data(value: &[u8]) -> Attributes {
    Attributes::new().bytes(DATA_VALUE, value)
}

/// A verdict that ends a rule, by its number.
pub(super) fn verdict(code: i32) -> Attributes {
    Attributes::new().nested(DATA_VERDICT, &Attributes::new().bytes(VERDICT_CODE, &code.to_be_bytes()))
}

/// The bytes of an address.
pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn in_list(about: Attributes, element: &Attributes) -> Attributes {
    about.nested(LIST_ELEMENTS, &Attributes::new().nested(LIST_ELEMENT, element))
}

fn padded(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

fn address(family: Family, bytes: &[u8]) -> Option<IpAddr> {
    Some(match family {
        Family::V4 => Ipv4Addr::from(*bytes.first_chunk::<4>()?).into(),
        Family::V6 => Ipv6Addr::from(*bytes.first_chunk::<16>()?).into(),
    })
}

fn port(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes))
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
            ]
        );
    }

    #[test]
    fn types_are_those_of_nft() {
        // As `nft --debug=mnl` shows them for `type inet_proto . inet_service : ipv4_addr . inet_service`.
        let map = Map(Purpose::HostPorts, Family::V4);
        assert_eq!(map.key(), DataType { id: 0x30d, length: 8 });
        assert_eq!(map.value(), Some(DataType { id: 0x1cd, length: 8 }));
    }

    #[test]
    fn each_element_has_its_place() {
        let all = samples();
        let places: std::collections::BTreeSet<_> = all.iter().map(Element::place).collect();
        assert_eq!(places.len(), all.len());
        assert_eq!(all[0].place(), all[0].clone().place());
    }
}

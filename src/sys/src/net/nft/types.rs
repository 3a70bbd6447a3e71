//! The rules of an attachment.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::net::rtnetlink::{Mac, SourceCheck};

/// The rules that an attachment needs in the packet filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Name of its network.
    pub network: String,
    /// The subnets of its network: packets to them are not masqueraded.
    pub subnets: Vec<(IpAddr, u8)>,
    /// The pod's addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether packets that leave the network carry the node's address.
    pub masquerade: bool,
    /// Ports of the node that lead to the pod's first address of each family.
    pub ports: Vec<PortMapping>,
    /// The interface on which the pod's packets arrive, if they are checked.
    pub interface: Option<PodInterface>,
}

/// The node's end of a pod's veth pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodInterface {
    /// Its name.
    pub name: String,
    /// The MAC address of the pod's end.
    pub mac: Mac,
    /// Whether it is a port of a bridge.
    pub is_port: bool,
    /// Which sender addresses are checked.
    pub check: SourceCheck,
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    pub(in crate::net) const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// Its number in an IP header.
    pub(in crate::net) fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A port of the node that leads to one of the pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortMapping {
    /// The node's address. `None` means all addresses, `0.0.0.0` all of IPv4, `::` all of IPv6.
    pub host_ip: Option<IpAddr>,
    /// The node's port.
    pub host_port: u16,
    /// The pod's port.
    pub container_port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// `tcp:80:8080` or `tcp:80:8080:192.0.2.1`, the node's port first: short, since a pod may have many.
impl From<PortMapping> for String {
    fn from(mapping: PortMapping) -> Self {
        let PortMapping { host_ip, host_port, container_port, protocol } = mapping;
        let host_ip = host_ip.map(|ip| format!(":{ip}")).unwrap_or_default();
        format!("{protocol}:{host_port}:{container_port}{host_ip}")
    }
}

impl TryFrom<String> for PortMapping {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const EXPECTED: &str = "expected a port mapping such as tcp:80:8080:192.0.2.1";
        let mut parts = text.splitn(4, ':');
        let mut next = || parts.next().ok_or(EXPECTED);
        let name = next()?;
        let protocol = Protocol::ALL.into_iter().find(|protocol| protocol.name() == name).ok_or(EXPECTED)?;
        let mut port = || next()?.parse().map_err(|_| EXPECTED);
        let (host_port, container_port) = (port()?, port()?);
        let host_ip = parts.next().map(str::parse).transpose().map_err(|_| EXPECTED)?;
        Ok(Self { host_ip, host_port, container_port, protocol })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_mapping_is_read_back() {
        for text in ["tcp:80:8080", "udp:1:65535:192.0.2.1", "sctp:80:80:2001:db8::1", "tcp:80:80:::"] {
            let mapping = PortMapping::try_from(text.to_owned()).unwrap();
            assert_eq!(String::from(mapping), text);
        }
        for bad in ["", "tcp", "tcp:80", "icmp:80:80", "tcp:x:80", "tcp:80:99999", "tcp:80:80:"] {
            assert!(PortMapping::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}

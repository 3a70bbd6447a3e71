//! What a runtime says of a port, as CNI's `portMappings` has it.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[serde(alias = "TCP")]
    Tcp,
    /// UDP.
    #[serde(alias = "UDP")]
    Udp,
    /// SCTP.
    #[serde(alias = "SCTP")]
    Sctp,
}

impl Protocol {
    pub(super) const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// Its number in an IP header.
    pub(super) fn number(self) -> u8 {
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

/// A port of the node's that leads to one of the pod's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortMapping {
    /// The address of the node's that it is a port of. Without one it is a port of all; `0.0.0.0` are all of IPv4,
    /// `::` all of IPv6.
    #[serde(
        rename = "hostIP",
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "host_ip"
    )]
    pub host_ip: Option<IpAddr>,
    /// The node's port.
    pub host_port: u16,
    /// The pod's port.
    pub container_port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// Some runtimes write an address that they do not have as an empty text.
fn host_ip<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IpAddr>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty());
    let parse = |text: String| {
        text.parse().map_err(|_| de::Error::custom(format!("hostIP {text:?} is not an IP address")))
    };
    text.map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_read_as_runtimes_write_it() {
        let read = |extra: &str| {
            let text = format!(r#"{{"hostPort":80,"containerPort":8080,"protocol":"tcp"{extra}}}"#);
            serde_json::from_str::<PortMapping>(&text)
        };
        let host_ip = |extra: &str| read(extra).unwrap().host_ip;
        assert_eq!(host_ip(""), None);
        assert_eq!(host_ip(r#","hostIP":"""#), None);
        assert_eq!(host_ip(r#","hostIP":null"#), None);
        assert_eq!(host_ip(r#","hostIP":"192.0.2.1""#), Some("192.0.2.1".parse().unwrap()));
        let error = read(r#","hostIP":"node""#).unwrap_err().to_string();
        assert!(error.contains(r#"hostIP "node" is not an IP address"#), "{error}");
        let text = serde_json::to_string(&read(r#","hostIP":"::""#).unwrap()).unwrap();
        assert_eq!(text, r#"{"hostIP":"::","hostPort":80,"containerPort":8080,"protocol":"tcp"}"#);
        assert_eq!(serde_json::from_str::<Protocol>(r#""SCTP""#).unwrap(), Protocol::Sctp);
    }

    #[test]
    fn names_are_those_of_json() {
        for protocol in Protocol::ALL {
            assert_eq!(serde_json::to_string(&protocol).unwrap(), format!("{:?}", protocol.name()));
        }
    }
}

//! The tables and their maps and sets, with the types of keys and values.

use crate::net::netfilter::data::{
    DataType, ETHERNET_ADDRESS, FieldType, INET_PROTOCOL, INET_SERVICE, INTERFACE_NAME, address_type,
};
use pod::addresses::IpFamily;

/// A table. Both are called `podhosts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    /// IPv4 and IPv6 packets that the node routes or receives.
    Inet,
    /// Frames between the ports of bridges, which the other table never sees.
    Bridge,
}

impl Table {
    pub(super) const ALL: [Self; 2] = [Self::Inet, Self::Bridge];

    /// The name in `nft`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Inet => "inet podhosts",
            Self::Bridge => "bridge podhosts",
        }
    }

    /// `NFPROTO_INET` and `NFPROTO_BRIDGE`.
    pub(super) fn family(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Bridge => 7,
        }
    }

    pub(super) fn maps(self) -> impl DoubleEndedIterator<Item = Map> {
        Map::ALL.into_iter().filter(move |map| map.table() == self)
    }
}

/// What a map or set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Masquerade,
    Hairpin,
    HostPorts,
    HostIpPorts,
    /// The addresses that packets from a pod's interface may carry.
    Sources(Table),
    /// The MAC address that frames from a port may carry.
    Macs,
}

/// A map or set of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Map(pub(super) Purpose, pub(super) IpFamily);

/// The value of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// No value: the map is a set.
    None,
    Verdict,
    Data(DataType),
}

impl Map {
    pub(super) const ALL: [Self; 13] = [
        Self(Purpose::Masquerade, IpFamily::V4),
        Self(Purpose::Masquerade, IpFamily::V6),
        Self(Purpose::Hairpin, IpFamily::V4),
        Self(Purpose::Hairpin, IpFamily::V6),
        Self(Purpose::HostPorts, IpFamily::V4),
        Self(Purpose::HostPorts, IpFamily::V6),
        Self(Purpose::HostIpPorts, IpFamily::V4),
        Self(Purpose::HostIpPorts, IpFamily::V6),
        Self(Purpose::Sources(Table::Inet), IpFamily::V4),
        Self(Purpose::Sources(Table::Inet), IpFamily::V6),
        Self(Purpose::Sources(Table::Bridge), IpFamily::V4),
        Self(Purpose::Sources(Table::Bridge), IpFamily::V6),
        Self::MACS,
    ];
    /// The set of MAC addresses, which both families use.
    pub(super) const MACS: Self = Self(Purpose::Macs, IpFamily::V4);

    /// Whether it serves masquerading or host ports. Such maps and chains are made only when a pod needs them, because
    /// with a chain of type nat the kernel tracks every connection of the node.
    pub(super) fn translates(self) -> bool {
        !matches!(self.0, Purpose::Sources(_) | Purpose::Macs)
    }

    pub(super) fn table(self) -> Table {
        match self.0 {
            Purpose::Sources(table) => table,
            Purpose::Macs => Table::Bridge,
            _ => Table::Inet,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match (self.0, self.1) {
            (Purpose::Masquerade, IpFamily::V4) => "masquerade4",
            (Purpose::Masquerade, IpFamily::V6) => "masquerade6",
            (Purpose::Hairpin, IpFamily::V4) => "hairpin4",
            (Purpose::Hairpin, IpFamily::V6) => "hairpin6",
            (Purpose::HostPorts, IpFamily::V4) => "hostports4",
            (Purpose::HostPorts, IpFamily::V6) => "hostports6",
            (Purpose::HostIpPorts, IpFamily::V4) => "hostip-ports4",
            (Purpose::HostIpPorts, IpFamily::V6) => "hostip-ports6",
            (Purpose::Sources(_), IpFamily::V4) => "sources4",
            (Purpose::Sources(_), IpFamily::V6) => "sources6",
            (Purpose::Macs, _) => "macs",
        }
    }

    /// The name in errors.
    pub(super) fn shown(self) -> String {
        let kind = if self.value() == Value::None { "set" } else { "map" };
        let of_bridge = if self.table() == Table::Bridge { " of the table bridge podhosts" } else { "" };
        format!("{kind} {}{of_bridge}", self.name())
    }

    pub(super) fn key(self) -> DataType {
        let address = self.address();
        match self.0 {
            Purpose::Masquerade | Purpose::Hairpin => DataType::of(&[address]),
            Purpose::HostPorts => DataType::of(&[INET_PROTOCOL, INET_SERVICE]),
            Purpose::HostIpPorts => DataType::of(&[address, INET_PROTOCOL, INET_SERVICE]),
            Purpose::Sources(_) => DataType::of(&[INTERFACE_NAME, address]),
            Purpose::Macs => DataType::of(&[INTERFACE_NAME, ETHERNET_ADDRESS]),
        }
    }

    pub(super) fn value(self) -> Value {
        match self.0 {
            Purpose::Masquerade | Purpose::Hairpin => Value::Verdict,
            Purpose::HostPorts | Purpose::HostIpPorts => {
                Value::Data(DataType::of(&[self.address(), INET_SERVICE]))
            }
            Purpose::Sources(_) | Purpose::Macs => Value::None,
        }
    }

    fn address(self) -> FieldType {
        address_type(self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_of_nft() {
        // As `nft --debug=mnl` shows them for `type inet_proto . inet_service : ipv4_addr . inet_service`.
        let map = Map(Purpose::HostPorts, IpFamily::V4);
        assert_eq!(map.key(), DataType { id: 0x30d, length: 8 });
        assert_eq!(map.value(), Value::Data(DataType { id: 0x1cd, length: 8 }));
        // `type ifname . ether_addr`.
        assert_eq!(Map::MACS.key(), DataType { id: 0xa49, length: 24 });
    }
}

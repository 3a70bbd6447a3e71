//! The maps and sets of the table.

use crate::net::netfilter::data::{
    DataType, FieldType, INET_PROTOCOL, INET_SERVICE, MARK, VERDICTS, address_type,
};
use crate::net::netfilter::message::Attributes;
use pod::addresses::IpFamily;

/// The attribute with the flags of a map.
pub(super) const SET_FLAGS: u16 = 3;
/// Flags of linux/netfilter/nf_tables.h.
const INTERVAL: u32 = 0x4;
const MAP: u32 = 0x8;
const TIMEOUT: u32 = 0x10;
const EVAL: u32 = 0x20;
const CONCAT: u32 = 0x80;
/// So many clients with session affinity are remembered, for each family. The kernel wants a limit.
const AFFINITY_MAX: u32 = 1 << 20;

/// `NFTNL_UDATA_SET_KEYBYTEORDER` of libnftnl with the byte order of this machine, for `nft` to show a number right that is
/// the whole key.
const HOST_ORDER: [u8; 6] = {
    let [a, b, c, d] = 1_u32.to_ne_bytes();
    [0, 4, a, b, c, d]
};

/// What a map or set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    Origins,
    Endpoints,
    Members,
    Affinity,
    Hairpins,
    SourceRanges,
    ClusterIps,
    ServiceNetworks,
    /// Last of those with elements of Services: what it leads to is there before.
    Services,
    Balance,
    AffinityTimeouts,
}

/// A map or set of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Map(pub(super) Purpose, pub(super) IpFamily);

/// The value of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    None,
    Verdict,
    Data(Vec<FieldType>),
}

impl Purpose {
    const ALL: [Self; 11] = [
        Self::Origins,
        Self::Endpoints,
        Self::Members,
        Self::Affinity,
        Self::Hairpins,
        Self::SourceRanges,
        Self::ClusterIps,
        Self::ServiceNetworks,
        Self::Services,
        Self::Balance,
        Self::AffinityTimeouts,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Origins => "origins",
            Self::Endpoints => "endpoints",
            Self::Members => "members",
            Self::Affinity => "affinity",
            Self::Hairpins => "hairpins",
            Self::SourceRanges => "source-ranges",
            Self::ClusterIps => "cluster-ips",
            Self::ServiceNetworks => "service-networks",
            Self::Services => "services",
            Self::Balance => "balance",
            Self::AffinityTimeouts => "affinity-timeouts",
        }
    }

    fn flags(self) -> u32 {
        match self {
            Self::Origins => INTERVAL | MAP,
            Self::Endpoints | Self::Services | Self::Balance | Self::AffinityTimeouts => MAP,
            Self::Affinity => MAP | TIMEOUT | EVAL,
            Self::Members | Self::Hairpins | Self::ClusterIps => 0,
            Self::SourceRanges => INTERVAL | CONCAT,
            Self::ServiceNetworks => INTERVAL,
        }
    }
}

impl Map {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Purpose::ALL.into_iter().flat_map(|purpose| IpFamily::ALL.map(|family| Self(purpose, family)))
    }

    pub(super) fn name(self) -> String {
        format!("{}{}", self.0.name(), digit(self.1))
    }

    /// Whether the packets of clients make and remove its elements.
    pub(super) fn is_filled_by_packets(self) -> bool {
        self.0 == Purpose::Affinity
    }

    /// Whether its values are verdicts.
    pub(super) fn has_verdicts(self) -> bool {
        matches!(self.0, Purpose::Balance | Purpose::AffinityTimeouts)
    }

    /// Adds the map's attributes to `about`, which names the table.
    pub(super) fn describe(self, about: Attributes) -> Attributes {
        let fields = self.key();
        let key = DataType::of(&fields);
        let about = about.text(2, &self.name());
        // The kernel does not list 0.
        let flags = Some(self.0.flags()).filter(|flags| *flags != 0);
        let about = flags.into_iter().fold(about, |about, flags| about.number(SET_FLAGS, flags));
        let about = about.number(4, key.id).number(5, key.length);
        let about = match self.value() {
            Value::None => about,
            Value::Verdict => about.number(6, VERDICTS),
            Value::Data(fields) => {
                let value = DataType::of(&fields);
                about.number(6, value.id).number(7, value.length)
            }
        };
        match self.0 {
            Purpose::Balance | Purpose::AffinityTimeouts => about.bytes(13, &HOST_ORDER),
            Purpose::SourceRanges => about.nested(9, &Attributes::new().nested(2, &lengths(&fields))),
            Purpose::Affinity => about.nested(9, &Attributes::new().number(1, AFFINITY_MAX)),
            _ => about,
        }
    }

    /// The lengths of a key and, if it is no set, of a value.
    #[cfg(test)]
    pub(super) fn lengths(self) -> (usize, Option<usize>) {
        let length = |fields: &[FieldType]| usize::try_from(DataType::of(fields).length).unwrap();
        match self.value() {
            Value::Data(fields) => (length(&self.key()), Some(length(&fields))),
            _ => (length(&self.key()), None),
        }
    }

    fn key(self) -> Vec<FieldType> {
        let address = address_type(self.1);
        match self.0 {
            Purpose::Origins | Purpose::ClusterIps | Purpose::ServiceNetworks => vec![address],
            Purpose::Endpoints => vec![address, MARK, MARK],
            Purpose::Members => vec![address, INET_SERVICE, address, MARK],
            Purpose::Affinity => vec![address, MARK, address],
            Purpose::Hairpins => vec![address, address],
            Purpose::SourceRanges => vec![address, INET_PROTOCOL, INET_SERVICE, address],
            Purpose::Services => vec![address, INET_PROTOCOL, INET_SERVICE, MARK],
            Purpose::Balance | Purpose::AffinityTimeouts => vec![MARK],
        }
    }

    fn value(self) -> Value {
        let address = address_type(self.1);
        match self.0 {
            Purpose::Origins => Value::Data(vec![MARK, MARK]),
            Purpose::Endpoints => Value::Data(vec![address, INET_SERVICE]),
            Purpose::Affinity => Value::Data(vec![INET_PROTOCOL, address, INET_SERVICE]),
            Purpose::Services => Value::Data(vec![MARK, address, MARK, MARK, MARK]),
            Purpose::Balance | Purpose::AffinityTimeouts => Value::Verdict,
            _ => Value::None,
        }
    }
}

/// The digit at the end of the names of a family's maps and chains.
pub(super) fn digit(family: IpFamily) -> char {
    match family {
        IpFamily::V4 => '4',
        IpFamily::V6 => '6',
    }
}

/// The lengths of the fields, each of which has its own intervals.
fn lengths(fields: &[FieldType]) -> Attributes {
    fields.iter().fold(Attributes::new(), |list, (_, length)| {
        let length = u32::try_from(*length).unwrap_or(u32::MAX);
        list.nested(1, &Attributes::new().number(1, length))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_fit_into_types_and_registers() {
        for map in Map::all() {
            let value = match map.value() {
                Value::Data(fields) => fields,
                _ => Vec::new(),
            };
            for fields in [map.key(), value] {
                // A type has 32 bits, and a field 6 of them. There are 64 bytes of registers.
                assert!(fields.len() <= 5, "{}", map.name());
                assert!(DataType::of(&fields).length <= 64, "{}", map.name());
            }
            // NFT_SET_MAXNAMELEN of old kernels.
            assert!(map.name().len() < 32);
        }
    }
}

//! Ranges of addresses as in host-local's configuration, and podCIDRs, their short form.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::Deserialize;
use thiserror::Error;

use crate::protocol::addresses::optional_address;
use crate::protocol::error::CniError;
use pod::addresses::IpFamily;

/// Ranges from which a pod gets one address: the podCIDRs of one family, or one list of host-local's `ranges`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeSet {
    /// In the order of the configuration, in which they are used. Never empty, all of one family.
    pub ranges: Vec<Range>,
}

/// Addresses of one subnet that pods may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The subnet; its prefix length is that of the pods' addresses.
    pub subnet: IpNet,
    /// The first address.
    pub first: IpAddr,
    /// The last address.
    pub last: IpAddr,
    /// An address that no pod gets.
    pub gateway: IpAddr,
}

/// A range in the configuration. The aliases are the keys of Go structs without tags.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RangeConfig {
    /// In CIDR notation.
    #[serde(alias = "Subnet")]
    pub(crate) subnet: String,
    /// First address; the subnet's first unless given.
    #[serde(alias = "RangeStart", default, deserialize_with = "optional_address")]
    pub(crate) range_start: Option<IpAddr>,
    /// Last address; the subnet's last unless given.
    #[serde(alias = "RangeEnd", default, deserialize_with = "optional_address")]
    pub(crate) range_end: Option<IpAddr>,
    /// Gateway; the subnet's first address unless given.
    #[serde(alias = "Gateway", default, deserialize_with = "optional_address")]
    pub(crate) gateway: Option<IpAddr>,
}

/// Ranges that cannot be used. `at` is the key, as in `ipam.ranges[0][1]`.
#[derive(Debug, Error)]
pub(crate) enum RangeError {
    /// Not a CIDR.
    #[error("{at}: {value:?} is no CIDR, expected one such as 10.244.1.0/24 or 2001:db8:1::/64")]
    NotACidr {
        /// The key.
        at: String,
        /// Its value.
        value: String,
    },
    /// Host bits are set.
    #[error("{at}: {value} has host bits set, expected {expected}")]
    HostBits {
        /// The key.
        at: String,
        /// Its value.
        value: String,
        /// The network that was probably meant.
        expected: IpNet,
    },
    /// A subnet that has no addresses for pods.
    #[error(
        "{at}: network {subnet} is too small to allocate from, expected a prefix of at most {longest} bits"
    )]
    TooSmall {
        /// The key.
        at: String,
        /// Its value.
        subnet: IpNet,
        /// Longest prefix.
        longest: u8,
    },
    /// An address outside its subnet.
    #[error("{at}: {address} is not in {subnet}")]
    Outside {
        /// The key.
        at: String,
        /// Its value.
        address: IpAddr,
        subnet: IpNet,
    },
    /// The end is before the start.
    #[error("{at}: rangeEnd {last} is before rangeStart {first}")]
    Backwards {
        /// The key.
        at: String,
        /// rangeStart.
        first: IpAddr,
        /// rangeEnd.
        last: IpAddr,
    },
    /// Two families in one set.
    #[error("{at}: {subnet} is of another family than {other}, expected one family in each list")]
    Family {
        /// The key.
        at: String,
        /// Its value.
        subnet: IpNet,
        /// The first one.
        other: IpNet,
    },
    /// One address in two ranges.
    #[error("{at}: {first}-{last} overlaps with {other_first}-{other_last}")]
    Overlap {
        /// The key.
        at: String,
        /// Its value.
        first: IpAddr,
        /// Its value.
        last: IpAddr,
        /// The earlier one.
        other_first: IpAddr,
        /// The earlier one.
        other_last: IpAddr,
    },
    /// A list without ranges.
    #[error("{at} is empty, expected at least one range")]
    Empty {
        /// The key.
        at: String,
    },
}

impl From<RangeError> for CniError {
    fn from(error: RangeError) -> Self {
        Self::config(error.to_string())
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.ranges.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(f, "{separator}{}-{}", range.first, range.last)?;
        }
        Ok(())
    }
}

impl Range {
    /// Checks a range and adds the defaults of host-local.
    pub(crate) fn new(config: &RangeConfig, at: &str) -> Result<Self, RangeError> {
        let subnet = parse_subnet(&config.subnet, &format!("{at}.subnet"))?;
        let longest = subnet.max_prefix_len() - 2;
        if subnet.prefix_len() > longest {
            return Err(RangeError::TooSmall { at: at.to_owned(), subnet, longest });
        }
        let inside = |address: Option<IpAddr>, key: &str| match address {
            Some(address) if !subnet.contains(&address) => {
                Err(RangeError::Outside { at: format!("{at}.{key}"), address, subnet })
            }
            other => Ok(other),
        };
        let (network, end) = (number(subnet.network()), number(subnet.broadcast()));
        let family = IpFamily::of(subnet.addr());
        let at_offset = |value| address(value, family);
        // The all-ones address is broadcast in IPv4 only.
        let end = if family == IpFamily::V4 { end - 1 } else { end };
        let first = inside(config.range_start, "rangeStart")?.unwrap_or_else(|| at_offset(network + 1));
        let last = inside(config.range_end, "rangeEnd")?.unwrap_or_else(|| at_offset(end));
        if number(first) > number(last) {
            return Err(RangeError::Backwards { at: at.to_owned(), first, last });
        }
        let gateway = match config.gateway {
            // A gateway outside the subnet is allowed, but not one of the other family.
            Some(gateway) if IpFamily::of(gateway) != family => {
                return Err(RangeError::Outside { at: format!("{at}.gateway"), address: gateway, subnet });
            }
            other => other.unwrap_or_else(|| at_offset(network + 1)),
        };
        Ok(Self { subnet, first, last, gateway })
    }

    /// Whether `address` is in the range.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        IpFamily::of(address) == self.family()
            && (number(self.first)..=number(self.last)).contains(&number(address))
    }

    /// `address` with the subnet's prefix length.
    pub(crate) fn with_prefix(&self, address: IpAddr) -> IpNet {
        // Cannot fail: the address is of the subnet's family.
        IpNet::new(address, self.subnet.prefix_len()).unwrap_or(self.subnet)
    }

    /// The address after `address`, if it is in the range.
    pub(crate) fn next(&self, address: IpAddr) -> Option<IpAddr> {
        let next = number(address).checked_add(1)?;
        (next <= number(self.last)).then(|| self::address(next, IpFamily::of(address)))
    }
}

impl RangeSet {
    /// Checks one list of ranges; errors call it `at`.
    pub(crate) fn new(configs: &[RangeConfig], at: &str) -> Result<Self, RangeError> {
        let ranges: Vec<Range> = configs
            .iter()
            .enumerate()
            .map(|(index, config)| Range::new(config, &format!("{at}[{index}]")))
            .collect::<Result<_, _>>()?;
        let first = ranges.first().ok_or_else(|| RangeError::Empty { at: at.to_owned() })?;
        for (index, range) in ranges.iter().enumerate() {
            let at = || format!("{at}[{index}]");
            if range.family() != first.family() {
                return Err(RangeError::Family { at: at(), subnet: range.subnet, other: first.subnet });
            }
            if let Some(other) = ranges[..index].iter().find(|other| other.overlaps(range)) {
                return Err(other.overlap(range, at()));
            }
        }
        Ok(Self { ranges })
    }

    /// The node's podCIDRs: one set for each family, in the order of the first podCIDR of each.
    pub(crate) fn of_pod_cidrs(cidrs: &[String], at: &str) -> Result<Vec<Self>, RangeError> {
        let mut sets: Vec<Self> = Vec::new();
        for (index, cidr) in cidrs.iter().enumerate() {
            let at = format!("{at}[{index}]");
            let config =
                RangeConfig { subnet: cidr.clone(), range_start: None, range_end: None, gateway: None };
            parse_subnet(cidr, &at)?;
            let range = Range::new(&config, &at)?;
            match sets.iter_mut().find(|set| set.family() == range.family()) {
                Some(set) => {
                    if let Some(other) = set.ranges.iter().find(|other| other.overlaps(&range)) {
                        return Err(other.overlap(&range, at));
                    }
                    set.ranges.push(range);
                }
                None => sets.push(Self { ranges: vec![range] }),
            }
        }
        if sets.is_empty() { Err(RangeError::Empty { at: at.to_owned() }) } else { Ok(sets) }
    }

    /// Refuses sets that share an address.
    pub(crate) fn check_apart(sets: &[Self], at: &str) -> Result<(), RangeError> {
        for (index, set) in sets.iter().enumerate() {
            for (other, range) in sets[..index]
                .iter()
                .flat_map(|other| &other.ranges)
                .zip(std::iter::repeat(set))
                .flat_map(|(other, set)| set.ranges.iter().map(move |range| (other, range)))
            {
                if other.overlaps(range) {
                    return Err(other.overlap(range, format!("{at}[{index}]")));
                }
            }
        }
        Ok(())
    }

    /// Whether a pod may request `address`.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address)) && !self.has_gateway(address)
    }

    /// Whether `address` is the gateway of a range.
    pub(crate) fn has_gateway(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.gateway == address)
    }

    pub(crate) fn family(&self) -> IpFamily {
        self.ranges.first().map_or(IpFamily::V4, Range::family)
    }
}

impl Range {
    pub(crate) fn family(&self) -> IpFamily {
        IpFamily::of(self.first)
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.first) || other.contains(self.first)
    }

    fn overlap(&self, later: &Self, at: String) -> RangeError {
        RangeError::Overlap {
            at,
            first: later.first,
            last: later.last,
            other_first: self.first,
            other_last: self.last,
        }
    }
}

fn parse_subnet(value: &str, at: &str) -> Result<IpNet, RangeError> {
    let subnet: IpNet =
        value.parse().map_err(|_| RangeError::NotACidr { at: at.to_owned(), value: value.to_owned() })?;
    if subnet.addr() == subnet.network() {
        return Ok(subnet);
    }
    Err(RangeError::HostBits { at: at.to_owned(), value: value.to_owned(), expected: subnet.trunc() })
}

/// An address as a number.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

fn address(number: u128, family: IpFamily) -> IpAddr {
    match u32::try_from(number) {
        Ok(number) if family == IpFamily::V4 => Ipv4Addr::from(number).into(),
        _ => Ipv6Addr::from(number).into(),
    }
}

#[cfg(test)]
#[path = "ranges_tests.rs"]
mod tests;

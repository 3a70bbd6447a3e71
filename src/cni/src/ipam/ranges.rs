//! Ranges of addresses, as host-local's configuration has them, and podCIDRs, which are the same with less to say.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::Deserialize;
use thiserror::Error;

use crate::protocol::addresses::optional_address;
use crate::protocol::error::CniError;
use pod::addresses::IpFamily;

/// Ranges of which a pod gets one address: podCIDRs of one family, or one list of host-local's `ranges`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeSet {
    /// In the order of the configuration, which is the order in which they are used. Never empty, of one family.
    pub ranges: Vec<Range>,
}

/// Addresses of one subnet that pods may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The subnet, whose prefix length the pods' addresses get.
    pub subnet: IpNet,
    /// The first address.
    pub first: IpAddr,
    /// The last address.
    pub last: IpAddr,
    /// The address that no pod gets.
    pub gateway: IpAddr,
}

/// A range as it is written, by people or as Go writes a struct without tags.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RangeConfig {
    /// In CIDR notation.
    #[serde(alias = "Subnet")]
    pub subnet: String,
    /// First address; the subnet's first unless given.
    #[serde(alias = "RangeStart", default, deserialize_with = "optional_address")]
    pub range_start: Option<IpAddr>,
    /// Last address; the subnet's last unless given.
    #[serde(alias = "RangeEnd", default, deserialize_with = "optional_address")]
    pub range_end: Option<IpAddr>,
    /// Gateway; the subnet's first address unless given.
    #[serde(alias = "Gateway", default, deserialize_with = "optional_address")]
    pub gateway: Option<IpAddr>,
}

/// Ranges that make no sense. `at` is the key, as in `ipam.ranges[0][1]`.
#[derive(Debug, Error)]
pub enum RangeError {
    /// Not a CIDR.
    #[error("{at}: {value:?} is no CIDR, expected one such as 10.244.1.0/24 or 2001:db8:1::/64")]
    NotACidr {
        /// The key.
        at: String,
        /// What it holds.
        value: String,
    },
    /// Bits are set behind the prefix.
    #[error("{at}: {value} has host bits set, expected {expected}")]
    HostBits {
        /// The key.
        at: String,
        /// What it holds.
        value: String,
        /// What was probably meant.
        expected: IpNet,
    },
    /// A subnet that has no addresses for pods.
    #[error(
        "{at}: network {subnet} is too small to allocate from, expected a prefix of at most {longest} bits"
    )]
    TooSmall {
        /// The key.
        at: String,
        /// What it holds.
        subnet: IpNet,
        /// Longest prefix.
        longest: u8,
    },
    /// An address that cannot be where it is.
    #[error("{at}: {address} is not in {subnet}")]
    Outside {
        /// The key.
        at: String,
        /// What it holds.
        address: IpAddr,
        /// The subnet.
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
        /// What it holds.
        subnet: IpNet,
        /// The first one.
        other: IpNet,
    },
    /// One address in two ranges.
    #[error("{at}: {first}-{last} overlaps with {other_first}-{other_last}")]
    Overlap {
        /// The key.
        at: String,
        /// What it holds.
        first: IpAddr,
        /// What it holds.
        last: IpAddr,
        /// The earlier one.
        other_first: IpAddr,
        /// The earlier one.
        other_last: IpAddr,
    },
    /// Nothing to choose from.
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
    /// Checks a range and fills in what it leaves out, as host-local does.
    ///
    /// # Errors
    /// [`RangeError`] naming the key.
    pub fn new(config: &RangeConfig, at: &str) -> Result<Self, RangeError> {
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
            // A gateway elsewhere is the administrator's affair, but not of the other family.
            Some(gateway) if IpFamily::of(gateway) != family => {
                return Err(RangeError::Outside { at: format!("{at}.gateway"), address: gateway, subnet });
            }
            other => other.unwrap_or_else(|| at_offset(network + 1)),
        };
        Ok(Self { subnet, first, last, gateway })
    }

    /// Whether `address` is one of it.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        IpFamily::of(address) == self.family()
            && (number(self.first)..=number(self.last)).contains(&number(address))
    }

    /// `address` with the subnet's prefix length.
    pub fn with_prefix(&self, address: IpAddr) -> IpNet {
        // The subnet has that prefix, and the address is of its family.
        IpNet::new(address, self.subnet.prefix_len()).unwrap_or(self.subnet)
    }

    /// The address behind `address`, if that is in the range too.
    pub fn next(&self, address: IpAddr) -> Option<IpAddr> {
        let next = number(address).checked_add(1)?;
        (next <= number(self.last)).then(|| self::address(next, IpFamily::of(address)))
    }
}

impl RangeSet {
    /// Checks one list of ranges, to be called `at` in errors.
    ///
    /// # Errors
    /// [`RangeError`] naming the key.
    pub fn new(configs: &[RangeConfig], at: &str) -> Result<Self, RangeError> {
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

    /// The node's podCIDRs: one set for each family, IPv4 first unless an IPv6 one stands before it.
    ///
    /// # Errors
    /// [`RangeError`] naming the key.
    pub fn of_pod_cidrs(cidrs: &[String], at: &str) -> Result<Vec<Self>, RangeError> {
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
    ///
    /// # Errors
    /// [`RangeError`] naming the key.
    pub fn check_apart(sets: &[Self], at: &str) -> Result<(), RangeError> {
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

    /// Whether pods may have `address` when they ask for it.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address)) && !self.has_gateway(address)
    }

    /// Whether `address` is the gateway of a range.
    pub fn has_gateway(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.gateway == address)
    }

    /// The family of all its ranges.
    pub fn family(&self) -> IpFamily {
        self.ranges.first().map_or(IpFamily::V4, Range::family)
    }
}

impl Range {
    /// The family of its addresses.
    pub fn family(&self) -> IpFamily {
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

/// An address as a number, to count with.
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

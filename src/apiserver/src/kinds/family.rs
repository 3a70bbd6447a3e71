//! The families of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

pub(super) use crate::accounts::number_of as number;
use crate::resource::Account;

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The one that `spec.ipFamilies` calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "IPv4" => Some(Self::V4),
            "IPv6" => Some(Self::V6),
            _ => None,
        }
    }

    /// `IPv4`, `IPv6`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The family of a network.
    pub fn of_network(network: &IpNet) -> Self {
        Self::of(network.addr())
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    /// The account of the addresses that IPAddresses name.
    pub(super) fn account(self) -> Account {
        match self {
            Self::V4 => Account::V4,
            Self::V6 => Account::V6,
        }
    }

    /// The account of the addresses that load balancers have.
    pub(super) fn load_balancer_account(self) -> Account {
        match self {
            Self::V4 => Account::LoadBalancerV4,
            Self::V6 => Account::LoadBalancerV6,
        }
    }

    /// The address with a number of an account; IPv4 numbers are below 2^32.
    pub(super) fn address(self, number: u128) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
            Self::V6 => Ipv6Addr::from(number).into(),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! The families of addresses, and the accounts of each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
pub(crate) use pod::addresses::IpFamily;

use crate::accounts::Account;
pub(super) use crate::accounts::number_of as number;

/// What the kinds need of a family.
pub(crate) trait FamilyExt: Sized {
    /// The family that `spec.ipFamilies` calls `name`.
    fn from_name(name: &str) -> Option<Self>;

    /// `IPv4`, `IPv6`.
    fn name(self) -> &'static str;

    /// The family of a network.
    fn of_network(network: &IpNet) -> Self;

    /// IPv6 for IPv4 and the reverse.
    fn other(self) -> Self;

    /// The account of the addresses that IPAddresses name.
    fn account(self) -> Account;

    /// The account of the addresses that load balancers have.
    fn load_balancer_account(self) -> Account;

    /// The number under which [`Account::Waiting`] has the family.
    fn waiting_number(self) -> u128;

    /// The address with a number of an account; IPv4 numbers are below 2^32.
    fn address(self, number: u128) -> IpAddr;
}

impl FamilyExt for IpFamily {
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    fn of_network(network: &IpNet) -> Self {
        Self::of(network.addr())
    }

    fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    fn account(self) -> Account {
        match self {
            Self::V4 => Account::V4,
            Self::V6 => Account::V6,
        }
    }

    fn load_balancer_account(self) -> Account {
        match self {
            Self::V4 => Account::LoadBalancerV4,
            Self::V6 => Account::LoadBalancerV6,
        }
    }

    fn waiting_number(self) -> u128 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }

    fn address(self, number: u128) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
            Self::V6 => Ipv6Addr::from(number).into(),
        }
    }
}

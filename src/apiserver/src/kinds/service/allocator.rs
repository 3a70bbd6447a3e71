//! Chooses cluster IPs from all ServiceCIDRs that are ready: the default one first, then the others by name.
//!
//! As in Kubernetes, the upper part of a range serves Services that do not ask for a certain address, from a random start,
//! so that the lower part stays free for those that do. Once the upper part is full, the lower part serves all.

use std::net::IpAddr;

use ipnet::IpNet;
use thiserror::Error;

use crate::kinds::family::{FamilyExt, IpFamily, number};
use crate::kinds::service_cidr::{self, DEFAULT_NAME};
use crate::resource::{Allocation, Scope, Transaction};
use crate::status::ApiError;

/// Why an address cannot be had. The texts are Kubernetes' own.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum AllocationError {
    /// No address is left.
    #[error("range is full")]
    Full,
    /// The address is in use.
    #[error("provided IP is already allocated")]
    Allocated,
    /// What a dry run is told of an address that no network has for Services.
    #[error("the provided IP ({0}) is not in the valid range. The range of valid IPs is {1}")]
    NotInRange(IpAddr, IpNet),
    /// No network has the address.
    #[error("the provided network does not match the current range")]
    Mismatch,
}

/// A network with the numbers of the addresses that Services may have.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Range {
    network: IpNet,
    first: u128,
    last: u128,
}

/// The ranges that addresses are taken from at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranges(Vec<Range>);

impl Ranges {
    /// Reads the ranges from the ServiceCIDRs.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) fn of(transaction: &mut dyn Transaction) -> Result<Self, ApiError> {
        let mut objects = transaction.list(&service_cidr::KIND)?;
        objects.sort_by_key(|object| object.name() != DEFAULT_NAME);
        let ready = objects.iter().filter(|object| service_cidr::is_ready(object));
        let networks = ready.flat_map(service_cidr::networks);
        Ok(Self(networks.filter_map(Range::of).collect()))
    }

    fn of_family(&self, family: IpFamily) -> impl Iterator<Item = &Range> {
        self.0.iter().filter(move |range| IpFamily::of_network(&range.network) == family)
    }

    /// A free address. A dry run gets the address of a network, which no Service ever has.
    ///
    /// # Errors
    /// [`AllocationError::Full`].
    pub(super) fn next(
        &self,
        transaction: &mut dyn Transaction,
        family: IpFamily,
    ) -> Result<IpAddr, AllocationError> {
        if transaction.is_dry_run() {
            let range = self.of_family(family).next().ok_or(AllocationError::Full)?;
            return Ok(range.network.network());
        }
        for range in self.of_family(family) {
            let free = range.next(transaction, family);
            let (network, succeeded) = (range.network, free.is_some());
            transaction.count(Allocation { network, scope: Scope::Dynamic, succeeded });
            if let Some(number) = free {
                return Ok(family.address(number));
            }
        }
        Err(AllocationError::Full)
    }

    /// Checks that `address` is free for a Service. A dry run only looks at the ranges.
    ///
    /// # Errors
    /// [`AllocationError`] with the reason.
    pub(super) fn check(
        &self,
        transaction: &mut dyn Transaction,
        address: IpAddr,
    ) -> Result<(), AllocationError> {
        let family = IpFamily::of(address);
        let asked = number(address);
        let is_valid = |range: &&Range| (range.first..=range.last).contains(&asked);
        let Some(range) = self.of_family(family).find(is_valid) else {
            let around = self.of_family(family).find(|range| range.network.contains(&address));
            let range = around.or_else(|| self.of_family(family).next());
            return Err(match range.filter(|_| transaction.is_dry_run()) {
                Some(range) => AllocationError::NotInRange(address, range.network),
                None => AllocationError::Mismatch,
            });
        };
        if transaction.is_dry_run() {
            return Ok(());
        }
        let succeeded = transaction.used(family.account(), asked, asked) == 0;
        transaction.count(Allocation { network: range.network, scope: Scope::Static, succeeded });
        if succeeded { Ok(()) } else { Err(AllocationError::Allocated) }
    }
}

impl Range {
    fn of(network: IpNet) -> Option<Self> {
        let (first, last) = service_cidr::usable(&network).ok()?;
        Some(Self { network, first, last })
    }

    /// A free number, from the upper part if it has one.
    fn next(&self, transaction: &mut dyn Transaction, family: IpFamily) -> Option<u128> {
        let account = family.account();
        let split = self.first + offset(&self.network);
        let upper = random_free(transaction, account, split, self.last);
        upper.or_else(|| random_free(transaction, account, self.first, split.checked_sub(1)?))
    }
}

/// Size of the lower part: a sixteenth of the range, but 16 to 256, and 0 for small networks.
fn offset(network: &IpNet) -> u128 {
    const SMALLEST: u128 = 16;
    let bits = u32::from(network.max_prefix_len() - network.prefix_len());
    match 1_u128.checked_shl(bits) {
        Some(size) if size <= SMALLEST => 0,
        Some(size) => (size / 16).clamp(SMALLEST, 256),
        None => 256,
    }
}

/// The first free number from a random start on, then from the first number on.
pub(super) fn random_free(
    transaction: &mut dyn Transaction,
    account: crate::accounts::Account,
    first: u128,
    last: u128,
) -> Option<u128> {
    let count = last.checked_sub(first)?.checked_add(1)?;
    let start = first + transaction.random(count);
    transaction.free(account, start, last).or_else(|| {
        let before = start.checked_sub(1).filter(|before| *before >= first)?;
        transaction.free(account, first, before)
    })
}

//! Whether a ServiceCIDR may be removed: no IPAddress may need it.

use ipnet::IpNet;

use super::networks::networks;
use crate::accounts::Account;
use crate::kinds::family::{FamilyExt, IpFamily, number};
use crate::kinds::ip_address;
use crate::object::Object;
use crate::resource::Transaction;
use crate::status::ApiError;

/// Whether every address of a Service in `object` is also in one of the networks `others`.
///
/// # Errors
/// The store cannot be read.
pub(super) fn may_go(
    transaction: &mut dyn Transaction,
    object: &Object,
    others: &[IpNet],
) -> Result<bool, ApiError> {
    for network in networks(object) {
        for (first, last) in only_in(&network, others) {
            if has_managed(transaction, IpFamily::of_network(&network), first, last)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The numbers of `network` that none of `others` has, as runs.
fn only_in(network: &IpNet, others: &[IpNet]) -> Vec<(u128, u128)> {
    let ends = |network: &IpNet| (number(network.network()), number(network.broadcast()));
    let family = IpFamily::of_network(network);
    let mut runs = vec![ends(network)];
    for (first, last) in others.iter().filter(|other| IpFamily::of_network(other) == family).map(ends) {
        runs = runs.into_iter().flat_map(|run| without(run, first, last)).collect();
    }
    runs
}

/// A run without the numbers from `first` to `last`.
fn without((start, end): (u128, u128), first: u128, last: u128) -> Vec<(u128, u128)> {
    if last < start || end < first {
        return vec![(start, end)];
    }
    let before = first.checked_sub(1).filter(|before| start <= *before).map(|before| (start, before));
    let after = last.checked_add(1).filter(|after| *after <= end).map(|after| (after, end));
    before.into_iter().chain(after).collect()
}

/// Whether one of the addresses belongs to a Service. IPAddresses that clients created do not count.
fn has_managed(
    transaction: &mut dyn Transaction,
    family: IpFamily,
    first: u128,
    last: u128,
) -> Result<bool, ApiError> {
    let account = family.account();
    let mut from = first;
    while let Some(used) = first_used(transaction, account, from, last) {
        let name = family.address(used).to_string();
        let address = transaction.get(&ip_address::KIND, "", &name)?;
        if address.is_some_and(|address| ip_address::is_managed(&address)) {
            return Ok(true);
        }
        match used.checked_add(1).filter(|next| *next <= last) {
            Some(next) => from = next,
            None => break,
        }
    }
    Ok(false)
}

/// The lowest number from `first` to `last` that is in use.
fn first_used(transaction: &mut dyn Transaction, account: Account, first: u128, last: u128) -> Option<u128> {
    if transaction.used(account, first, last) == 0 {
        return None;
    }
    let (mut low, mut high) = (first, last);
    while low < high {
        let middle = low + (high - low) / 2;
        if transaction.used(account, first, middle) == 0 {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_one_network_has() {
        let network = |cidr: &str| cidr.parse::<IpNet>().unwrap();
        let only = |others: &[&str]| {
            let others: Vec<IpNet> = others.iter().map(|other| network(other)).collect();
            let runs = only_in(&network("10.0.0.0/24"), &others);
            runs.into_iter().map(|(first, last)| (first & 0xff, last & 0xff)).collect::<Vec<_>>()
        };
        assert_eq!(only(&[]), [(0, 255)]);
        assert_eq!(only(&["10.0.0.0/16"]), []);
        assert_eq!(only(&["10.0.0.0/24"]), []);
        assert_eq!(only(&["10.0.0.0/28", "10.0.0.128/25", "::/0", "10.1.0.0/16"]), [(16, 127)]);
        assert_eq!(only(&["10.0.0.64/26"]), [(0, 63), (128, 255)]);
    }
}

//! How full the blocks of ServiceCIDRs are.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::networks::{networks, usable};
use crate::accounts::Account;
use crate::kinds::family::{FamilyExt, IpFamily, number};
use crate::object::Object;

/// How full a block is.
#[derive(Debug, PartialEq, Eq)]
pub struct Usage {
    /// The block.
    pub network: IpNet,
    /// How many of its addresses IPAddresses name.
    pub used: u128,
    /// How many more addresses Services can have.
    pub free: u128,
}

/// How full each block of `objects` is, each block once and in order; `used` counts the numbers of an account that are
/// in use from a first to a last one.
pub fn usage(objects: &[Object], used: impl Fn(Account, u128, u128) -> u128) -> Vec<Usage> {
    let blocks: BTreeSet<IpNet> = objects.iter().flat_map(networks).collect();
    let usage = |network: IpNet| {
        let account = IpFamily::of_network(&network).account();
        let used = used(account, number(network.network()), number(network.broadcast()));
        let size = usable(&network).map_or(0, |(first, last)| last - first + 1);
        Usage { network, used, free: size.saturating_sub(used) }
    };
    blocks.into_iter().map(usage).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn free_addresses_are_those_that_a_service_could_get() {
        for (block, taken, free) in [
            ("10.96.0.0/28", 0, 14),
            ("10.96.0.0/28", 3, 11),
            ("2001:db8::/112", 0, 65535),
            ("10.0.0.0/32", 0, 0),
            ("2001:db8::/128", 0, 0),
            ("10.0.0.0/31", 1, 0),
            // The allocator takes no address from this one.
            ("2001:db8::/48", 0, 0),
        ] {
            let object = json!({"spec": {"cidrs": [block, block, "none"]}});
            let objects = [Object::from_value(object).unwrap()];
            let network: IpNet = block.parse().unwrap();
            let of = |account, first, last| {
                assert_eq!(account, IpFamily::of_network(&network).account(), "{block}");
                assert_eq!(
                    (first, last),
                    (number(network.network()), number(network.broadcast())),
                    "{block}"
                );
                taken
            };
            assert_eq!(usage(&objects, of), [Usage { network, used: taken, free }], "{block}");
        }
    }
}

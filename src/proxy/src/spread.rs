//! Divides the slots of a set among its endpoints.

use std::net::IpAddr;

use sys::net::services::{Endpoint, SLOTS_MAX, slots_for};

/// The number of endpoints that a set uses of so many: each has at least one slot.
pub(crate) fn used(endpoints: usize) -> usize {
    endpoints.min(SLOTS_MAX as usize)
}

/// The endpoint of each slot, as an index of `endpoints`, which are sorted, each of them once.
///
/// A few endpoints have one slot each. Many take turns, and each takes the free slot that comes first in an order of its
/// own (as in Google's Maglev). So no endpoint has two slots more than another one, and when an endpoint comes or goes,
/// most slots stay where they are.
pub(crate) fn slots(endpoints: &[Endpoint]) -> Vec<usize> {
    const FREE: usize = usize::MAX;
    let slots = slots_for(endpoints.len()) as usize;
    let endpoints = &endpoints[..used(endpoints.len())];
    if slots <= endpoints.len() {
        return (0..slots).collect();
    }
    let mut orders: Vec<_> = endpoints.iter().map(|endpoint| Order::of(*endpoint, slots)).collect();
    let mut taken = vec![FREE; slots];
    let mut free = slots;
    // The number of slots is a power of two and each step is odd, so that an order comes to every slot.
    while free > 0 {
        for (endpoint, order) in orders.iter_mut().enumerate().take(free) {
            let slot = order.find(|slot| taken.get(*slot) == Some(&FREE)).unwrap_or_default();
            taken[slot] = endpoint;
        }
        free -= free.min(endpoints.len());
    }
    taken
}

/// The order in which an endpoint asks for slots.
#[derive(Debug)]
struct Order {
    next: usize,
    step: usize,
    mask: usize,
}

impl Order {
    fn of(endpoint: Endpoint, slots: usize) -> Self {
        let number = match endpoint.address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        let hash = mix(mix(mix((number >> 64) as u64) ^ number as u64) ^ u64::from(endpoint.port));
        let mask = slots - 1;
        Self { next: hash as usize & mask, step: (hash >> 32) as usize & mask | 1, mask }
    }
}

impl Iterator for Order {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let slot = self.next;
        self.next = (self.next + self.step) & self.mask;
        Some(slot)
    }
}

/// Spreads a number over all bits, the same way in every version, so that a restart finds the slots as they are: the
/// last step of SplitMix64.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests;

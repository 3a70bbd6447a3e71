//! The numbers of 32 bits in the values of `services`: the port word and the handling.

use super::element::{Balance, EndpointSet, Handling, SLOTS_MAX, Scope, slots_for};
use crate::net::nft::Protocol;
use std::net::IpAddr;

/// The bits with the number of slots.
const SLOTS: u32 = (SLOTS_MAX << 1) - 1;
/// The flags above it.
pub(super) const MASQUERADE: u32 = 1 << 17;
pub(super) const AFFINITY: u32 = 1 << 18;
pub(super) const CHECKS_SOURCE: u32 = 1 << 19;
pub(super) const REJECT: u32 = 1 << 20;
pub(super) const DROP: u32 = 1 << 21;
/// The bits by which `balance` leads to a chain.
pub(super) const BALANCE: u32 = SLOTS | REJECT | DROP;
/// Of the port word.
const LOCAL: u32 = 1 << 24;
const PROTOCOL_SHIFT: u32 = 16;

/// The port word of a set of endpoints.
pub(super) fn port_word(set: &EndpointSet) -> u32 {
    let scope = if set.scope == Scope::Local { LOCAL } else { 0 };
    scope | u32::from(set.protocol.number()) << PROTOCOL_SHIFT | u32::from(set.port)
}

/// The set of a cluster IP with this port word.
pub(super) fn set_of(cluster_ip: IpAddr, word: u32) -> Option<EndpointSet> {
    let [scope, protocol, high, low] = word.to_be_bytes();
    let scope = match scope {
        0 => Scope::Cluster,
        1 => Scope::Local,
        _ => return None,
    };
    let protocol = protocol_of(protocol)?;
    Some(EndpointSet { cluster_ip, protocol, port: u16::from_be_bytes([high, low]), scope })
}

/// The protocol with this number.
pub(super) fn protocol_of(number: u8) -> Option<Protocol> {
    Protocol::ALL.into_iter().find(|protocol| protocol.number() == number)
}

/// Whether there is a chain for this number of slots.
pub(super) fn is_slot_count(slots: u32) -> bool {
    // Of at most 64 endpoints, and of the most that share so many slots.
    let shared = usize::try_from(slots / 32).map(slots_for);
    slots != 0 && (usize::try_from(slots).map(slots_for) == Ok(slots) || shared == Ok(slots))
}

/// The number for a handling.
pub(super) fn handling_word(handling: &Handling) -> u32 {
    let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
    match handling {
        Handling::Balance(balance) => {
            balance.slots
                | flag(balance.masquerade, MASQUERADE)
                | flag(balance.affinity_seconds != 0, AFFINITY)
                | flag(balance.checks_source, CHECKS_SOURCE)
        }
        Handling::Reject => REJECT,
        Handling::Drop => DROP,
    }
}

/// The handling that was made into these numbers; `set` is `None` if they name none.
pub(super) fn handling_of(word: u32, set: Option<EndpointSet>, affinity_seconds: u32) -> Option<Handling> {
    let handling = match word {
        REJECT => Handling::Reject,
        DROP => Handling::Drop,
        _ => Handling::Balance(Balance {
            set: set?,
            slots: word & SLOTS,
            masquerade: word & MASQUERADE != 0,
            affinity_seconds,
            checks_source: word & CHECKS_SOURCE != 0,
        }),
    };
    (handling_word(&handling) == word).then_some(handling)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::services::chains::slot_counts;

    #[test]
    fn the_numbers_of_slots_are_those_of_the_chains() {
        let counts: Vec<u32> = (0..=SLOTS_MAX + 1).filter(|slots| is_slot_count(*slots)).collect();
        assert_eq!(counts, slot_counts().iter().copied().collect::<Vec<_>>());
        assert!(counts.iter().all(|slots| slots & !SLOTS == 0));
    }
}

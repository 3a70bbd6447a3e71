//! Networks as ranges of addresses that do not overlap.

use std::net::IpAddr;

use ipnet::IpNet;
use pod::addresses::IpFamily;
use sys::net::services::Network;

/// The addresses of all networks of a family in ranges that neither overlap nor touch, in their order.
pub fn ranges(networks: &[IpNet], family: IpFamily) -> Vec<Network> {
    let of_family = networks.iter().filter(|network| IpFamily::of(network.addr()) == family);
    IpNet::aggregate(&of_family.copied().collect())
        .into_iter()
        .map(|network| Network { first: network.network(), last: network.broadcast() })
        .fold(Vec::new(), joined)
}

/// Aggregated networks do not overlap, but two that no single network covers may touch: packet filters refuse that.
fn joined(mut ranges: Vec<Network>, next: Network) -> Vec<Network> {
    match ranges.last_mut() {
        Some(last) if follows(last.last, next.first) => last.last = next.last,
        _ => ranges.push(next),
    }
    ranges
}

fn follows(last: IpAddr, first: IpAddr) -> bool {
    match (last, first) {
        (IpAddr::V4(last), IpAddr::V4(first)) => last.to_bits().checked_add(1) == Some(first.to_bits()),
        (IpAddr::V6(last), IpAddr::V6(first)) => last.to_bits().checked_add(1) == Some(first.to_bits()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(networks: &[&str], family: IpFamily) -> Vec<String> {
        let networks: Vec<IpNet> = networks.iter().map(|network| network.parse().unwrap()).collect();
        ranges(&networks, family).iter().map(|range| format!("{}-{}", range.first, range.last)).collect()
    }

    #[test]
    fn ranges_neither_overlap_nor_touch() {
        let networks =
            ["10.1.0.0/16", "10.0.0.0/16", "10.1.2.0/24", "10.4.0.7/32", "10.2.0.0/16", "fd00::/64"];
        assert_eq!(written(&networks, IpFamily::V4), ["10.0.0.0-10.2.255.255", "10.4.0.7-10.4.0.7"]);
        assert_eq!(written(&networks, IpFamily::V6), ["fd00::-fd00::ffff:ffff:ffff:ffff"]);
    }

    #[test]
    fn host_bits_do_not_count_and_the_last_address_has_no_successor() {
        assert_eq!(written(&["10.0.0.77/24"], IpFamily::V4), ["10.0.0.0-10.0.0.255"]);
        assert_eq!(
            written(&["255.255.255.255/32", "0.0.0.0/1"], IpFamily::V4),
            ["0.0.0.0-127.255.255.255", "255.255.255.255-255.255.255.255"]
        );
        assert_eq!(written(&["::/0", "fd00::1/128"], IpFamily::V6).len(), 1);
    }
}

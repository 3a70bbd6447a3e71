//! The networks of ServiceCIDRs, and their addresses for Services.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::kinds::family::{FamilyExt, IpFamily, number};
use crate::object::Object;

/// Networks with a special use, whose addresses do not work for Services.
const SPECIAL: [(&str, &str); 6] = [
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("224.0.0.0/4", "multicast"),
    ("::1/128", "loopback"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
];
/// Shortest usable prefix of IPv6.
const V6_SHORTEST: u8 = 64;

/// The valid networks of `spec.cidrs`.
pub(crate) fn networks(object: &Object) -> Vec<IpNet> {
    let list = object.spec().get("cidrs").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|cidr| cidr.as_str()?.parse().ok()).collect()
}

/// The first and last number of the addresses of `network` that a Service may have.
///
/// # Errors
/// The reason why the network is unusable.
pub(crate) fn usable(network: &IpNet) -> Result<(u128, u128), String> {
    let holds = |special: &str| {
        special.parse().is_ok_and(|special: IpNet| special.contains(network) || network.contains(&special))
    };
    if let Some((_, use_)) = SPECIAL.iter().find(|(special, _)| holds(special)) {
        return Err(format!("it has {use_} addresses"));
    }
    let is_v4 = network.addr().is_ipv4();
    if !is_v4 && network.prefix_len() < V6_SHORTEST {
        return Err(format!("an IPv6 network needs a prefix length of {V6_SHORTEST} or more"));
    }
    let (own, end) = (number(network.network()), number(network.broadcast()));
    // An IPv6 network has no broadcast address.
    let last = if is_v4 { end.saturating_sub(1) } else { end };
    if own >= last {
        return Err("it is too small to have an address for a Service".to_owned());
    }
    Ok((own + 1, last))
}

/// The first address of `network` that a Service may have.
pub(crate) fn first_address(network: &IpNet) -> Option<IpAddr> {
    let (first, _) = usable(network).ok()?;
    Some(IpFamily::of_network(network).address(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_that_a_service_may_have() {
        let of = |cidr: &str| usable(&cidr.parse().unwrap());
        assert_eq!(of("10.96.0.0/28"), Ok((0x0a60_0001, 0x0a60_000e)));
        assert_eq!(of("10.96.0.0/30"), Ok((0x0a60_0001, 0x0a60_0002)));
        let v6 = 0x2001_0db8_u128 << 96;
        assert_eq!(of("2001:db8::/64"), Ok((v6 + 1, v6 + u128::from(u64::MAX))));
        assert_eq!(of("2001:db8::/127"), Ok((v6 + 1, v6 + 1)));
        for (cidr, why) in [
            ("10.96.0.0/31", "too small"),
            ("10.96.0.0/32", "too small"),
            ("2001:db8::/128", "too small"),
            ("2001:db8::/63", "prefix length of 64"),
            ("127.1.0.0/16", "loopback"),
            ("0.0.0.0/0", "loopback"),
            ("169.254.0.0/16", "link-local"),
            ("224.0.0.0/24", "multicast"),
            ("::/0", "loopback"),
            ("fe80::/64", "link-local"),
            ("ff02::/64", "multicast"),
        ] {
            assert!(of(cidr).unwrap_err().contains(why), "{cidr}");
        }
    }
}

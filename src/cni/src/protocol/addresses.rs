//! Addresses as configurations, results and `CNI_ARGS` write them.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};

/// Reads an address, perhaps with a prefix length, which is ignored.
pub(crate) fn parse_ip(text: &str) -> Option<IpAddr> {
    let net = || text.parse::<IpNet>().ok().map(|net| net.addr());
    text.trim().parse().ok().or_else(net)
}

/// Reads an address that may be null or, as in host-local's configuration, empty; for `deserialize_with`.
pub(crate) fn optional_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<IpAddr>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_| de::Error::custom(format!("{text:?} is no IP address"));
    text.parse().map(Some).map_err(wrong)
}

/// Reads a CIDR, for `deserialize_with`.
pub(crate) fn cidr<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpNet, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |_| {
        de::Error::custom(format!(
            "{text:?} is no CIDR, expected one such as 10.244.1.0/24 or 2001:db8:1::/64"
        ))
    };
    text.parse().map_err(wrong)
}

//! Networks in CIDR notation as Kubernetes reads them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::go_quote;
use super::ip::parse_sloppy;

const NOT_A_CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const LEADING_ZEROS: &str = "must not have leading 0s in IP or prefix length";
const MAPPED: &str = "must not have an IPv4-mapped IPv6 address";
const HOST_BITS: &str = "must not have bits set beyond the prefix length";

/// Why `value` is no network in canonical form (`IsValidCIDR` of Kubernetes 1.36).
pub fn strict_error(value: &str) -> Option<String> {
    let legacy = legacy_error(value);
    if legacy.is_some() {
        return legacy;
    }
    let network = parse_sloppy_cidr(value)?.trunc().to_string();
    (network != value).then(|| format!("must be in canonical form ({network:?})"))
}

/// Why `value` is no network in a field of old (`IsValidCIDRForLegacyField`): all but upper case letters and
/// zeros that could be left out.
pub fn legacy_error(value: &str) -> Option<String> {
    let Some(network) = parse_sloppy_cidr(value) else { return Some(NOT_A_CIDR.to_owned()) };
    let error = match network {
        _ if has_leading_zeros(value) => LEADING_ZEROS,
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => MAPPED,
        _ if network.trunc() != network => HOST_BITS,
        _ => return None,
    };
    Some(error.to_owned())
}

/// Reads a network as `ParseCIDRSloppy` does; the bits beyond the prefix stay.
pub fn parse_sloppy_cidr(value: &str) -> Option<IpNet> {
    let (address, length) = value.split_once('/')?;
    let is_number = (1..=9).contains(&length.len()) && length.bytes().all(|b| b.is_ascii_digit());
    let length: u32 = if is_number { length.parse().ok()? } else { return None };
    IpNet::new(parse_sloppy(address)?, u8::try_from(length).ok()?).ok()
}

/// The warnings for the network at `path` that is not in the form in which Kubernetes wants it (`GetWarningsForCIDR` in
/// `k8s.io/apimachinery/pkg/util/validation/ip.go`). Values that are no network get none: they are refused elsewhere.
pub fn cidr_warnings(path: &str, value: &str) -> Vec<String> {
    let Some(network) = parse_sloppy_cidr(value) else { return Vec::new() };
    let (quoted, trunc) = (go_quote(value), canonical(network.trunc()));
    let mut warnings = Vec::new();
    if network.trunc() != network {
        let (address, bits) = (network.addr().to_canonical(), network.max_prefix_len());
        warnings.push(format!(
            "{path}: CIDR value {quoted} is ambiguous in this context (should be \"{trunc}\" or \"{address}/{bits}\"?)"
        ));
    }
    if has_leading_zeros(value) || network.addr().to_canonical() != network.addr() {
        warnings.push(format!("{path}: non-standard CIDR value {quoted} is invalid: use \"{trunc}\""));
    }
    if warnings.is_empty() && network.addr().is_ipv6() && network.to_string() != value {
        warnings.push(format!(
            "{path}: IPv6 CIDR value {quoted} should be in RFC 5952 canonical format (\"{network}\")"
        ));
    }
    warnings
}

/// A network as Go writes it: one of IPv4-mapped IPv6 addresses as one of IPv4.
fn canonical(network: IpNet) -> String {
    match (network.addr().to_canonical(), network.prefix_len()) {
        (address @ IpAddr::V4(_), length) if network.addr().is_ipv6() && length >= 96 => {
            format!("{address}/{}", length - 96)
        }
        _ => network.to_string(),
    }
}

/// Zeros that Go dropped of old: in the length, and where the standard library refuses them.
fn has_leading_zeros(value: &str) -> bool {
    value.split_once('/').is_some_and(|(address, length)| {
        length.len() > 1 && length.starts_with('0') || address.parse::<IpAddr>().is_err()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for good in ["0.0.0.0/0", "10.96.0.0/32", "2001:db8::/128", "::/0", "10.96.0.0/28"] {
            assert_eq!(strict_error(good), None, "{good}");
        }
        for (bad, why) in [
            ("10.96.0.1/24", HOST_BITS),
            ("010.96.0.0/24", LEADING_ZEROS),
            ("10.96.0.0/024", LEADING_ZEROS),
            ("::ffff:10.96.0.0/120", MAPPED),
            ("2001:DB8::/64", "must be in canonical form (\"2001:db8::/64\")"),
            ("2001:db8:0::/64", "must be in canonical form (\"2001:db8::/64\")"),
            ("foo", NOT_A_CIDR),
            ("10.96.0.0", NOT_A_CIDR),
            ("10.96.0.0/33", NOT_A_CIDR),
            ("10.96.0.0/+8", NOT_A_CIDR),
            ("10.96.0.0/", NOT_A_CIDR),
            ("10.96.0.0/8/8", NOT_A_CIDR),
            ("fe80::%eth0/64", NOT_A_CIDR),
        ] {
            assert_eq!(strict_error(bad).as_deref(), Some(why), "{bad}");
        }
        assert_eq!(legacy_error("2001:DB8::/64"), None);
    }

    /// `k8s.io/apimachinery/pkg/util/validation/ip.go`, `GetWarningsForCIDR`.
    #[test]
    fn networks_in_another_form_are_warned_of() {
        for good in ["10.96.0.0/28", "2001:db8::/64", "foo", "0.0.0.0/0"] {
            assert_eq!(cidr_warnings("a", good), [""; 0], "{good}");
        }
        for (value, expected) in [
            (
                "10.96.0.1/24",
                &[
                    "a: CIDR value \"10.96.0.1/24\" is ambiguous in this context (should be \"10.96.0.0/24\" or \"10.96.0.1/32\"?)",
                ][..],
            ),
            (
                "010.96.0.0/24",
                &["a: non-standard CIDR value \"010.96.0.0/24\" is invalid: use \"10.96.0.0/24\""],
            ),
            (
                "::ffff:10.96.0.0/120",
                &["a: non-standard CIDR value \"::ffff:10.96.0.0/120\" is invalid: use \"10.96.0.0/24\""],
            ),
            (
                "2001:DB8:0::/64",
                &[
                    "a: IPv6 CIDR value \"2001:DB8:0::/64\" should be in RFC 5952 canonical format (\"2001:db8::/64\")",
                ],
            ),
        ] {
            assert_eq!(cidr_warnings("a", value), expected, "{value}");
        }
    }
}

//! IP addresses as Kubernetes reads them: what Go accepted for years, and what 1.36 accepts of new objects.

use std::net::IpAddr;

use super::go_quote;

const NOT_AN_IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const LEADING_ZEROS: &str = "must not have leading 0s";
const MAPPED: &str = "must not be an IPv4-mapped IPv6 address";

/// How strictly an address is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpRules {
    /// What a Kubernetes 1.36 API server accepts of a new object.
    Strict,
    /// What it keeps of objects stored by older ones: leading zeros and IPv4-mapped IPv6 too.
    Legacy,
}

/// What keeps `value` from being an IP address under `rules` (`IsValidIPForLegacyField`).
pub fn ip_error(value: &str, rules: IpRules) -> Option<&'static str> {
    if parse_sloppy(value).is_none() {
        return Some(NOT_AN_IP);
    }
    if rules == IpRules::Legacy {
        return None;
    }
    match value.parse::<IpAddr>() {
        Err(_) => Some(LEADING_ZEROS),
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => Some(MAPPED),
        Ok(_) => None,
    }
}

/// What keeps `value` from being in canonical form as well as under the strict rules (`IsValidIP`).
pub fn canonical_error(value: &str) -> Option<String> {
    if let Some(error) = ip_error(value, IpRules::Strict) {
        return Some(error.to_owned());
    }
    let canonical = parse_sloppy(value)?.to_string();
    (canonical != value).then(|| format!("must be in canonical form ({canonical:?})"))
}

/// What keeps `value`, an address, from being one that others can reach (`ValidateEndpointIP`).
pub fn endpoint_error(value: &str) -> Option<String> {
    let address = parse_sloppy(value)?.to_canonical();
    let (link_local, link_local_multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    let why = if address.is_unspecified() {
        return Some(format!("may not be unspecified ({value})"));
    } else if address.is_loopback() {
        "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    } else if link_local {
        "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    } else if link_local_multicast {
        "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    } else {
        return None;
    };
    Some(why.to_owned())
}

/// Parses an address as `ParseIPSloppy` does: leading zeros are read as decimal (IPv4) or dropped (IPv6).
pub fn parse_sloppy(value: &str) -> Option<IpAddr> {
    if !value.contains(':') {
        return without_zeros_v4(value)?.parse().ok();
    }
    let groups: Option<Vec<String>> = value
        .split(':')
        .map(
            |group| {
                if group.contains('.') { without_zeros_v4(group) } else { Some(without_zeros(group, 4)) }
            },
        )
        .collect();
    groups?.join(":").parse().ok()
}

/// The warning for the address at `path` that is not in the form in which Kubernetes wants it (`GetWarningsForIP` in
/// `k8s.io/apimachinery/pkg/util/validation/ip.go`). Values that are no address get none: they are refused elsewhere.
pub fn ip_warning(path: &str, value: &str) -> Option<String> {
    let address = parse_sloppy(value)?;
    let canonical = address.to_canonical();
    // Leading zeros, and IPv4-mapped IPv6.
    if value.parse::<IpAddr>().is_err() || canonical != address {
        let value = go_quote(value);
        return Some(format!("{path}: non-standard IP address {value} is invalid: use \"{canonical}\""));
    }
    let is_other = address.is_ipv6() && address.to_string() != value;
    is_other.then(|| {
        let value = go_quote(value);
        format!("{path}: IPv6 address {value} should be in RFC 5952 canonical format (\"{address}\")")
    })
}

fn without_zeros_v4(value: &str) -> Option<String> {
    let octets: Vec<&str> = value.split('.').collect();
    let decimal = octets.iter().all(|octet| octet.bytes().all(|b| b.is_ascii_digit()));
    decimal.then(|| octets.iter().map(|octet| without_zeros(octet, 1)).collect::<Vec<_>>().join("."))
}

/// Drops leading zeros, but never below `keep` digits: those the standard library reads by itself.
fn without_zeros(digits: &str, keep: usize) -> String {
    let surplus = digits.len().saturating_sub(keep);
    let zeros = digits.bytes().take(surplus).take_while(|b| *b == b'0').count();
    digits[zeros..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_kubernetes_own_table() {
        for good in ["1.2.3.4", "1234::abcd", "::", "0.0.0.0", "fd00::6", "1234::ABCD", "0001:002::"] {
            assert_eq!(ip_error(good, IpRules::Strict), None, "{good}");
        }
        for (legacy, why) in [
            ("001.002.003.004", LEADING_ZEROS),
            ("1.2.3.004", LEADING_ZEROS),
            ("1:2::00003", LEADING_ZEROS),
            ("::ffff:01.2.3.4", LEADING_ZEROS),
            ("::ffff:1.2.3.4", MAPPED),
            ("::FFFF:0102:0304", MAPPED),
        ] {
            assert_eq!(ip_error(legacy, IpRules::Strict), Some(why), "{legacy}");
            assert_eq!(ip_error(legacy, IpRules::Legacy), None, "{legacy}");
        }
        for bad in [
            "",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.4/24",
            "2001:db8::/64",
            "1.2.3.400",
            "-1.0.0.0",
            "+1.0.0.0",
            "a.b.c.d",
            "1::2::3",
            "1:2:3:4:5:6:7:8:9",
            "[::1]",
            "fe80::1%eth0",
            "localhost",
            " 1.2.3.4",
            "1.2.3.4\n",
            "0x7f.1.1.1",
            "127.1",
            "1..2.3",
            "::1.2.3",
            "12345::",
            ":",
            "1.2.3.4:80",
            "日.1.1.1",
            "::日",
        ] {
            assert_eq!(ip_error(bad, IpRules::Legacy), Some(NOT_AN_IP), "{bad:?}");
        }
    }

    /// `k8s.io/apimachinery/pkg/util/validation/ip.go`, `GetWarningsForIP`.
    #[test]
    fn addresses_in_another_form_are_warned_of() {
        for good in ["10.0.0.1", "2001:db8::1", "::", "not an address"] {
            assert_eq!(ip_warning("a", good), None, "{good}");
        }
        let old = "is invalid: use";
        for (value, canonical) in
            [("010.0.0.1", "10.0.0.1"), ("::ffff:1.2.3.4", "1.2.3.4"), ("1::00003", "1::3")]
        {
            let expected = format!("a: non-standard IP address \"{value}\" {old} \"{canonical}\"");
            assert_eq!(ip_warning("a", value), Some(expected));
        }
        for (value, canonical) in [("2001:DB8::1", "2001:db8::1"), ("2001:db8:0:0::1", "2001:db8::1")] {
            let expected = format!(
                "a: IPv6 address \"{value}\" should be in RFC 5952 canonical format (\"{canonical}\")"
            );
            assert_eq!(ip_warning("a", value), Some(expected));
        }
    }
}

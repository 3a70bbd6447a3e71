//! `prevResult` as the chained role reads it: only the pod's addresses, for its record. Everything else that earlier
//! plugins wrote is passed on unchanged.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use super::addresses::cidr;
use pod::json::{objects, or_default};

/// The part of a result that has a pod's addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct PreviousResult {
    #[serde(default, deserialize_with = "objects")]
    interfaces: Vec<Interface>,
    #[serde(default, deserialize_with = "objects")]
    ips: Vec<Ip>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Interface {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    sandbox: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Ip {
    interface: Option<i64>,
    #[serde(deserialize_with = "cidr")]
    address: IpNet,
}

impl PreviousResult {
    /// The addresses in the container, on `ifname` or on no interface in particular, in their order. For an address of
    /// the container some plugins write the index -1, or the index of an interface that they do not list.
    pub(crate) fn addresses_of(&self, ifname: &str) -> Vec<IpAddr> {
        let on_it = |ip: &&Ip| {
            let index = ip.interface.and_then(|index| usize::try_from(index).ok());
            let interface = index.and_then(|index| self.interfaces.get(index));
            interface.is_none_or(|at| at.name == ifname && !at.sandbox.is_empty())
        };
        // The kubelet writes an IPv4-mapped IPv6 address as IPv4.
        self.ips.iter().filter(on_it).map(|ip| ip.address.addr().to_canonical()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn addresses(result: Value) -> Vec<String> {
        let previous: PreviousResult = serde_json::from_value(result).unwrap();
        previous.addresses_of("eth0").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn addresses_are_read_however_they_are_attributed() {
        let pair = json!([{"name": "veth1"}, {"name": "eth0", "sandbox": "/run/netns/x"}]);
        for (interfaces, index, is_pods) in [
            (pair.clone(), json!(1), true),
            (pair.clone(), json!(0), false),
            (pair.clone(), json!(-1), true),
            (pair.clone(), json!(7), true),
            (pair, Value::Null, true),
            (Value::Null, json!(0), true),
        ] {
            let result =
                json!({"interfaces": interfaces, "ips": [{"interface": index, "address": "10.0.0.2/24"}]});
            assert_eq!(addresses(result.clone()).len(), usize::from(is_pods), "{result}");
        }
        assert_eq!(addresses(json!({"ips": [{"address": "::ffff:10.0.0.2/120"}]})), ["10.0.0.2"]);
    }

    #[test]
    fn what_a_record_does_not_have_may_be_anything() {
        let result = json!({"ips": [{"address": "10.0.0.2/24", "gateway": "x"}], "routes": [{"dst": "x"}],
            "dns": {"nameservers": null}, "interfaces": [{"mtu": "x", "mac": null, "sandbox": null}]});
        assert_eq!(addresses(result), ["10.0.0.2"]);
        assert_eq!(addresses(json!({})), [""; 0]);
    }
}

//! Results in the form of each specification from 0.3.0 to 1.1.0.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::addresses::{cidr, optional_address};
use super::version::Version;
use pod::json::{object, objects, or_default};

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
pub(crate) struct Interface {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) mac: String,
    /// In bytes; from 1.1.0 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mtu: Option<u32>,
    /// Path of the network namespace; empty for the node's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) sandbox: String,
}

/// An address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Ip {
    /// Index of its interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) interface: Option<usize>,
    /// In CIDR notation.
    #[serde(deserialize_with = "cidr")]
    pub(crate) address: IpNet,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_address")]
    pub(crate) gateway: Option<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Route {
    #[serde(deserialize_with = "cidr")]
    pub(crate) dst: IpNet,
    /// Next hop; the gateway of the address of that family unless given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_address")]
    pub(crate) gw: Option<IpAddr>,
    /// MTU in bytes. This field and those below exist from 1.1.0 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mtu: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) advmss: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) table: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<u8>,
}

/// DNS settings that the runtime may use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
pub struct Dns {
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub(crate) nameservers: Vec<String>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub(crate) domain: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub(crate) search: Vec<String>,
    /// Options of resolv.conf.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub(crate) options: Vec<String>,
}

impl Dns {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads a resolv.conf.
    pub fn parse_resolv_conf(text: &str) -> Self {
        let mut dns = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace().map(str::to_owned);
            match words.next().as_deref() {
                Some("nameserver") => dns.nameservers.extend(words.next()),
                Some("domain") => dns.domain = words.next().unwrap_or_default(),
                Some("search") => dns.search.extend(words),
                Some("options") => dns.options.extend(words),
                _ => {}
            }
        }
        dns
    }
}

/// The result of ADD.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct CniResult {
    #[serde(default, deserialize_with = "objects")]
    pub(crate) interfaces: Vec<Interface>,
    /// All addresses.
    #[serde(default, deserialize_with = "objects")]
    pub ips: Vec<Ip>,
    #[serde(default, deserialize_with = "objects")]
    pub(crate) routes: Vec<Route>,
    #[serde(default, deserialize_with = "dns")]
    pub(crate) dns: Dns,
}

fn dns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Dns, D::Error> {
    Ok(object(deserializer)?.unwrap_or_default())
}

impl CniResult {
    /// The addresses in the container, on `ifname` or on no interface in particular, in their order.
    pub fn addresses_of(&self, ifname: &str) -> Vec<IpAddr> {
        let on_it = |ip: &&Ip| match ip.interface {
            Some(index) => {
                self.interfaces.get(index).is_some_and(|at| at.name == ifname && !at.sandbox.is_empty())
            }
            None => true,
        };
        self.ips.iter().filter(on_it).map(|ip| ip.address.addr()).collect()
    }

    /// The form of specification `version`.
    pub fn to_json(&self, version: Version) -> Value {
        let is_1_1 = version >= Version::V1_1_0;
        let interfaces: Vec<Interface> = self
            .interfaces
            .iter()
            .map(|interface| Interface { mtu: interface.mtu.filter(|_| is_1_1), ..interface.clone() })
            .collect();
        let ips: Vec<Value> = self
            .ips
            .iter()
            .map(|ip| {
                let mut value = json!(ip);
                if version < Version::V1_0_0 {
                    value["version"] = if ip.address.addr().is_ipv4() { "4" } else { "6" }.into();
                }
                value
            })
            .collect();
        let old = |route: &Route| Route {
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
            ..route.clone()
        };
        let routes: Vec<Route> =
            self.routes.iter().map(|route| if is_1_1 { route.clone() } else { old(route) }).collect();
        let mut result = json!({"cniVersion": version.name()});
        for (key, value, is_empty) in [
            ("interfaces", json!(interfaces), interfaces.is_empty()),
            ("ips", json!(ips), ips.is_empty()),
            ("routes", json!(routes), routes.is_empty()),
        ] {
            if !is_empty {
                result[key] = value;
            }
        }
        // Go's libcni always writes it, and some clients expect it.
        result["dns"] = json!(self.dns);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result() -> CniResult {
        CniResult {
            interfaces: vec![
                Interface { name: "veth1".into(), mtu: Some(1500), ..Interface::default() },
                Interface { name: "eth0".into(), sandbox: "/run/netns/x".into(), ..Interface::default() },
            ],
            ips: vec![
                Ip { interface: Some(1), address: "10.0.0.2/24".parse().unwrap(), gateway: None },
                Ip { interface: Some(0), address: "10.0.0.1/24".parse().unwrap(), gateway: None },
                Ip { interface: None, address: "2001:db8::2/64".parse().unwrap(), gateway: None },
            ],
            routes: vec![Route {
                dst: "0.0.0.0/0".parse().unwrap(),
                gw: None,
                mtu: Some(1400),
                advmss: None,
                priority: Some(5),
                table: None,
                scope: None,
            }],
            dns: Dns::default(),
        }
    }

    #[test]
    fn each_version_has_what_it_knows() {
        let old = result().to_json(Version::V0_3_1);
        assert_eq!((&old["ips"][0]["version"], &old["ips"][2]["version"]), (&"4".into(), &"6".into()));
        assert_eq!(old["routes"][0], json!({"dst": "0.0.0.0/0"}));
        assert_eq!(old["interfaces"][0], json!({"name": "veth1"}));
        let new = result().to_json(Version::V1_1_0);
        assert_eq!(new["ips"][0], json!({"interface": 1, "address": "10.0.0.2/24"}));
        assert_eq!((&new["routes"][0]["mtu"], &new["interfaces"][0]["mtu"]), (&1400.into(), &1500.into()));
        assert_eq!(result().to_json(Version::V1_0_0)["cniVersion"], "1.0.0");
        let back: CniResult = serde_json::from_value(new).unwrap();
        assert_eq!(back, result());
    }

    #[test]
    fn the_pods_addresses_are_those_in_it() {
        let addresses = result().addresses_of("eth0");
        assert_eq!(
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10.0.0.2", "2001:db8::2"]
        );
    }

    #[test]
    fn resolv_conf() {
        let dns =
            Dns::parse_resolv_conf("# x\nnameserver 10.0.0.10\nsearch a.b c\noptions ndots:5\ndomain d\n");
        assert_eq!((dns.nameservers.len(), dns.search.len(), dns.domain.as_str()), (1, 2, "d"));
        assert_eq!(dns.options, ["ndots:5"]);
        assert!(Dns::parse_resolv_conf("").is_empty());
    }
}

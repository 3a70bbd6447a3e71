//! A pod's addresses, and the names of their sources.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// An IP family, as in `ipFamilies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
pub enum IpFamily {
    /// IPv4.
    #[default]
    #[serde(rename = "IPv4", alias = "ipv4")]
    V4,
    /// IPv6.
    #[serde(rename = "IPv6", alias = "ipv6")]
    V6,
}

impl IpFamily {
    /// Both, IPv4 first.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

impl fmt::Display for IpFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// Where a pod's addresses come from. The names are those of `podhosts inspect` and of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The pod is on the node's network: the node's hosts file.
    Node,
    /// The kubelet's own file.
    Kubelet,
    /// The record of a cluster's pod that podhosts-node wrote.
    Cluster,
    /// The record that podhosts-cni wrote.
    Cni,
    /// The engine, over NRI.
    Nri,
    /// CRI-O's annotations, as far as the network namespace confirms them.
    CriO,
    /// The interfaces in the pod's network namespace.
    Netns,
    /// The annotation `podhosts.io/pod-ips`.
    Annotation,
    /// No source: the pod has no address.
    None,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 9] = [
        Self::Node,
        Self::Kubelet,
        Self::Cluster,
        Self::Cni,
        Self::Nri,
        Self::CriO,
        Self::Netns,
        Self::Annotation,
        Self::None,
    ];

    /// The source's name in logs, in JSON and in the mount's source.
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Kubelet => "kubelet",
            Self::Cluster => "cluster",
            Self::Cni => "cni",
            Self::Nri => "nri",
            Self::CriO => "cri-o",
            Self::Netns => "netns",
            Self::Annotation => "annotation",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node => "the node's network",
            Self::Kubelet => "the kubelet's hosts file",
            Self::Cluster => "the cluster's API, by podhosts-node",
            Self::Cni => "the CNI record",
            Self::Nri => "the engine, over NRI",
            Self::CriO => "CRI-O's annotations, checked against the network namespace",
            Self::Netns => "the network namespace",
            Self::Annotation => "the annotation podhosts.io/pod-ips",
            Self::None => "no source: the pod has no address",
        })
    }
}

/// An address on an interface inside the pod's network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// Name of the interface.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
}

/// CRI engines take a pod's addresses from this interface; others belong to secondary networks.
const POD_INTERFACE: &str = "eth0";

/// Picks a pod's addresses among those in its network namespace.
///
/// Only addresses of global scope count. Where `eth0` has any, they are the pod's; else those of all interfaces.
/// The `primary` family comes first, otherwise the kernel's order stands.
pub fn from_namespace(found: &[InterfaceAddress], primary: IpFamily) -> Vec<String> {
    let global: Vec<&InterfaceAddress> = found.iter().filter(|found| is_global(found.address)).collect();
    let on_pod_interface: Vec<&InterfaceAddress> =
        global.iter().copied().filter(|found| found.interface == POD_INTERFACE).collect();
    let chosen = if on_pod_interface.is_empty() { global } else { on_pod_interface };
    let mut ips: Vec<IpAddr> = chosen.iter().map(|found| found.address).collect();
    primary_first(&mut ips, primary);
    ips.iter().map(ToString::to_string).collect()
}

/// Puts the `primary` family first; the order within a family stays.
pub fn primary_first(ips: &mut [IpAddr], primary: IpFamily) {
    ips.sort_by_key(|ip| ip.is_ipv4() != (primary == IpFamily::V4));
}

/// The addresses of `listed` that really are in the namespace: a pod can add to CRI-O's list, not to its own
/// network.
pub fn confirmed(listed: &[String], found: &[InterfaceAddress]) -> Vec<String> {
    if listed.is_empty() {
        return Vec::new();
    }
    let found: HashSet<IpAddr> = found.iter().map(|found| found.address).collect();
    let is_there = |ip: &&String| ip.parse().is_ok_and(|ip: IpAddr| found.contains(&ip));
    listed.iter().filter(is_there).cloned().collect()
}

/// Global scope as the kernel assigns it, apart from unique local addresses, which pods do use.
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_multicast())
        }
        IpAddr::V6(v6) => {
            let link_local = v6.segments()[0] & 0xffc0 == 0xfe80;
            !(v6.is_loopback() || link_local || v6.is_unspecified() || v6.is_multicast())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(list: &[(&str, &str)]) -> Vec<InterfaceAddress> {
        let parse = |&(interface, ip): &(&str, &str)| InterfaceAddress {
            interface: interface.to_owned(),
            address: ip.parse().unwrap(),
        };
        list.iter().map(parse).collect()
    }

    #[test]
    fn primary_family_first_and_only_global_scope() {
        let ns = found(&[
            ("lo", "127.0.0.1"),
            ("lo", "::1"),
            ("eth0", "2001:db8::4"),
            ("eth0", "10.244.1.4"),
            ("eth0", "fe80::1"),
            ("eth0", "169.254.1.1"),
            ("net1", "192.168.0.9"),
        ]);
        assert_eq!(from_namespace(&ns, IpFamily::V4), ["10.244.1.4", "2001:db8::4"]);
        assert_eq!(from_namespace(&ns, IpFamily::V6), ["2001:db8::4", "10.244.1.4"]);
        assert!(from_namespace(&found(&[("lo", "127.0.0.1")]), IpFamily::V4).is_empty());
    }

    #[test]
    fn without_eth0_every_interface_counts() {
        let ns = found(&[("tap0", "fd00::2"), ("veth1", "10.0.0.2"), ("eth0", "fe80::1")]);
        assert_eq!(from_namespace(&ns, IpFamily::V4), ["10.0.0.2", "fd00::2"]);
    }

    #[test]
    fn a_forged_address_is_left_out() {
        let ns = found(&[("eth0", "10.0.0.1"), ("eth0", "fd00::1")]);
        let listed = ["fd00:0::1", "6.6.6.6", "10.0.0.1", "x"].map(str::to_owned);
        assert_eq!(confirmed(&listed, &ns), ["fd00:0::1", "10.0.0.1"]);
    }

    #[test]
    fn names_are_the_serialized_ones() {
        for source in Source::ALL {
            let expected = if source == Source::CriO { "cri-o" } else { source.name() };
            assert_eq!(serde_json::to_value(source).unwrap(), expected);
        }
    }
}

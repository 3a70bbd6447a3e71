//! This node as the proxy sees it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::kinds::Config;
use pod::addresses::IpFamily;
use proxy::Node;

/// Addresses that only the node itself sends from.
const OWN: [IpNet; 3] = [
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

/// The node: `addresses` are those of its interfaces, `pods` those of its pods.
pub(super) fn node(
    config: &Config,
    zone: Option<String>,
    addresses: &[IpAddr],
    pods: &[IpAddr],
    service_networks: Vec<IpNet>,
) -> Node {
    let mut inside = OWN.to_vec();
    inside.extend(&config.pod_cidrs);
    let others = addresses
        .iter()
        .chain(pods)
        .filter(|address| !config.pod_cidrs.iter().any(|net| net.contains(*address)));
    inside.extend(others.map(|address| IpNet::from(*address)));
    let primary = |family| config.node_ips.iter().find(|ip| IpFamily::of(**ip) == family).copied();
    Node {
        name: config.node_name.clone(),
        zone,
        addresses: IpFamily::ALL.into_iter().filter_map(primary).collect(),
        inside,
        service_networks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_outside_of_the_pod_cidrs_are_inside_all_the_same() {
        let config = Config {
            node_name: "n1".to_owned(),
            node_ips: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            pod_cidrs: vec!["10.244.0.0/24".parse().unwrap()],
            ..Config::default()
        };
        let pods = ["10.244.0.7", "10.88.0.7", "fd00::7"].map(|ip| ip.parse().unwrap());
        let node = node(&config, None, &["192.0.2.1".parse().unwrap()], &pods, Vec::new());
        let inside: Vec<String> = node.inside[OWN.len()..].iter().map(ToString::to_string).collect();
        assert_eq!(inside, ["10.244.0.0/24", "192.0.2.1/32", "10.88.0.7/32", "fd00::7/128"]);
        assert_eq!(node.addresses, config.node_ips);
    }
}

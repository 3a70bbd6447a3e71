//! The elements and chains of an attachment's rules. Nothing here touches the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use super::batch::Batch;
use super::chains::{Chain, hairpin_name, masquerade_name};
use super::elements::{Element, Enter};
use super::error::NftError;
use super::maps::Table;
use super::types::{PodInterface, PortMapping, Rules};
use crate::net::rtnetlink::{Mac, SourceCheck};
use pod::addresses::IpFamily;

/// The elements of an attachment, and the chains that they need.
#[derive(Debug)]
pub(super) struct Wanted {
    /// In the order in which they are added.
    pub(super) elements: Vec<Element>,
    /// The chains of its network to which the elements lead.
    pub(super) chains: Vec<Chain>,
}

impl Wanted {
    /// Checks the rules, and makes their elements and chains.
    pub(super) fn new(rules: &Rules) -> Result<Self, NftError> {
        let addresses: Vec<IpAddr> = rules.addresses.iter().map(IpAddr::to_canonical).collect();
        let mut elements = BTreeSet::new();
        if rules.masquerade {
            elements.extend(addresses.iter().map(|pod| masquerade(*pod, &rules.network)));
        }
        let mut places = BTreeMap::new();
        for mapping in &rules.ports {
            for port in ports(mapping, &addresses)? {
                if places.insert(port.place(), port.clone()).is_some_and(|other| other != port) {
                    return Err(unusable(mapping, "it is mapped to two ports of the pod".to_owned()));
                }
            }
        }
        let mapped: BTreeSet<IpAddr> = places.values().filter_map(Element::pod).collect();
        elements.extend(mapped.into_iter().map(|pod| hairpin(pod, &rules.network)));
        elements.extend(places.into_values());
        if let Some(interface) = &rules.interface {
            elements.extend(sources(interface, &addresses));
        }
        let has = |is: fn(&Element) -> bool| elements.iter().any(is);
        let masquerade = has(|element| matches!(element, Element::Masquerade { .. }))
            .then(|| Chain::masquerade(&rules.network, &rules.subnets));
        let hairpin = has(|element| matches!(element, Element::Hairpin { .. }))
            .then(|| Chain::hairpin(&rules.network, &rules.subnets));
        let chains = masquerade.into_iter().chain(hairpin).collect();
        Ok(Self { elements: elements.into_iter().collect(), chains })
    }

    /// The tables with its elements.
    pub(super) fn tables(&self) -> BTreeSet<Table> {
        self.elements.iter().map(|element| element.map().table()).collect()
    }

    /// Whether it has masquerading or host ports.
    pub(super) fn translates(&self) -> bool {
        self.elements.iter().any(|element| element.map().translates())
    }

    /// The chains that its elements need, except for the guards.
    pub(super) fn needed_chains(&self) -> Vec<Chain> {
        let has = |is: fn(&Element) -> bool| self.elements.iter().any(is);
        let mut needed = Vec::new();
        if has(|element| element.chain().is_some()) {
            needed.push(Chain::postrouting());
        }
        if has(|element| matches!(element, Element::Port { .. })) {
            needed.extend([Chain::prerouting(), Chain::output()]);
        }
        needed.extend(self.chains.iter().cloned());
        needed
    }

    /// The transaction that makes `chains` and all elements.
    pub(super) fn batch(&self, chains: &[Chain]) -> Batch {
        self.batch_replacing(chains, &[], &[])
    }

    /// The same for elements none of which exists: the kernel refuses existing ones, so success means a change.
    pub(super) fn batch_of_new(&self, chains: &[Chain]) -> Batch {
        let mut batch = Batch::default();
        batch.make_tables(chains);
        chains.iter().for_each(|chain| batch.make_chain(chain));
        self.elements.iter().for_each(|element| batch.add_new(element));
        batch
    }

    /// The same, with the removal of `stale` elements; `others` are all other existing elements.
    pub(super) fn batch_replacing(&self, chains: &[Chain], stale: &[Element], others: &[Element]) -> Batch {
        let mut batch = Batch::default();
        batch.make_tables(chains);
        chains.iter().for_each(|chain| batch.make_chain(chain));
        stale.iter().for_each(|element| batch.take_away(element));
        self.elements.iter().for_each(|element| batch.add(element));
        let is_wanted = |name: &str| self.chains.iter().any(|chain| chain.name == name);
        let unused = unused_chains(stale, others).into_iter().filter(|name| !is_wanted(name));
        unused.for_each(|name| batch.remove_chain(name));
        batch
    }
}

/// The chains to which no element leads once `gone` are removed.
pub(super) fn unused_chains<'a>(gone: &'a [Element], kept: &[Element]) -> BTreeSet<&'a str> {
    let is_used = |name: &str| kept.iter().any(|element| element.chain() == Some(name));
    gone.iter().filter_map(Element::chain).filter(|name| !is_used(name)).collect()
}

fn masquerade(pod: IpAddr, network: &str) -> Element {
    Element::Masquerade { pod, enter: Enter::Goto, chain: masquerade_name(network) }
}

fn hairpin(pod: IpAddr, network: &str) -> Element {
    // A packet that is no hairpin of this network may still have to be masqueraded for the network of its sender.
    Element::Hairpin { pod, enter: Enter::Jump, chain: hairpin_name(network) }
}

/// The sender addresses that a pod's interface may use. One is the link-local address that the kernel derives from the
/// MAC address, from which it resolves neighbours.
fn sources(interface: &PodInterface, addresses: &[IpAddr]) -> Vec<Element> {
    let table = if interface.is_port { Table::Bridge } else { Table::Inet };
    let mut elements = Vec::new();
    if interface.check == SourceCheck::Addresses {
        let has_ipv6 = addresses.iter().any(IpAddr::is_ipv6);
        let own = has_ipv6.then(|| IpAddr::V6(link_local(interface.mac)));
        let address = |address| Element::Source { table, interface: interface.name.clone(), address };
        elements.extend(addresses.iter().copied().chain(own).map(address));
    }
    if interface.is_port && interface.check != SourceCheck::None {
        elements.push(Element::Mac { interface: interface.name.clone(), mac: interface.mac });
    }
    elements
}

/// The link-local address that the kernel derives from a MAC address (EUI-64, RFC 4291).
fn link_local(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// The elements of one mapping, at most one of each family.
fn ports(mapping: &PortMapping, addresses: &[IpAddr]) -> Result<Vec<Element>, NftError> {
    if mapping.host_port == 0 || mapping.container_port == 0 {
        return Err(unusable(mapping, "a port is 0, expected 1 to 65535".to_owned()));
    }
    let host_ip = mapping.host_ip.map(|ip| ip.to_canonical());
    let families = host_ip.map_or(IpFamily::ALL.to_vec(), |ip| vec![IpFamily::of(ip)]);
    let of = |family: &IpFamily| addresses.iter().find(|address| IpFamily::of(**address) == *family);
    let pods: Vec<IpAddr> = families.iter().filter_map(of).copied().collect();
    if let (Some(ip), []) = (host_ip, pods.as_slice()) {
        let family = IpFamily::of(ip);
        let cause = format!("its address {ip} is {family}, and the pod has no {family} address");
        return Err(unusable(mapping, cause));
    }
    let element = |pod| Element::Port {
        host_ip: host_ip.filter(|ip| !ip.is_unspecified()),
        protocol: mapping.protocol,
        host_port: mapping.host_port,
        pod,
        pod_port: mapping.container_port,
    };
    Ok(pods.into_iter().map(element).collect())
}

fn unusable(mapping: &PortMapping, cause: String) -> NftError {
    NftError::Unusable { port: mapping.host_port, protocol: mapping.protocol, cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::nft::Protocol;

    fn mapping(host_ip: Option<&str>, host_port: u16, container_port: u16) -> PortMapping {
        let host_ip = host_ip.map(|ip| ip.parse().unwrap());
        PortMapping { host_ip, host_port, container_port, protocol: Protocol::Tcp }
    }

    fn wanted(addresses: &[&str], masquerade: bool, ports: &[PortMapping]) -> Result<Wanted, NftError> {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let (network, ports) = ("n".to_owned(), ports.to_vec());
        Wanted::new(&Rules { network, subnets: Vec::new(), addresses, masquerade, ports, interface: None })
    }

    fn names(addresses: &[&str], masquerade: bool, ports: &[PortMapping]) -> Vec<String> {
        let wanted = wanted(addresses, masquerade, ports).unwrap();
        wanted.elements.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_port_leads_to_the_first_address_of_each_family() {
        let addresses = ["10.0.0.5", "10.0.0.6", "fd00::5", "fd00::6"];
        assert_eq!(
            names(&addresses, false, &[mapping(None, 80, 8080)]),
            [
                "hairpin of 10.0.0.5",
                "hairpin of fd00::5",
                "host port 80/tcp to 10.0.0.5",
                "host port 80/tcp to fd00::5",
            ]
        );
        let of = |ip| names(&addresses, false, &[mapping(Some(ip), 80, 8080)]);
        assert_eq!(of("0.0.0.0"), ["hairpin of 10.0.0.5", "host port 80/tcp to 10.0.0.5"]);
        assert_eq!(of("::"), ["hairpin of fd00::5", "host port 80/tcp to fd00::5"]);
        assert_eq!(
            of("::ffff:192.0.2.1"),
            ["hairpin of 10.0.0.5", "host port 80/tcp of 192.0.2.1 to 10.0.0.5"]
        );
        assert_eq!(
            names(&["10.0.0.5"], true, &[mapping(None, 80, 8080)]),
            ["masquerading of 10.0.0.5", "hairpin of 10.0.0.5", "host port 80/tcp to 10.0.0.5"]
        );
    }

    #[test]
    fn nothing_wanted_is_nothing_made() {
        let nothing = wanted(&["10.0.0.5"], false, &[]).unwrap();
        assert!(nothing.elements.is_empty() && nothing.chains.is_empty());
        let masquerade = wanted(&["10.0.0.5"], true, &[]).unwrap();
        assert_eq!(masquerade.chains.len(), 1);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let refused = |ports: &[PortMapping]| wanted(&["10.0.0.5"], true, ports).unwrap_err().to_string();
        assert_eq!(
            refused(&[mapping(Some("::"), 80, 8080)]),
            "cannot map host port 80/tcp: its address :: is IPv6, and the pod has no IPv6 address"
        );
        assert_eq!(
            refused(&[mapping(None, 80, 0)]),
            "cannot map host port 80/tcp: a port is 0, expected 1 to 65535"
        );
        assert_eq!(
            refused(&[mapping(None, 80, 1), mapping(None, 81, 1), mapping(None, 80, 2)]),
            "cannot map host port 80/tcp: it is mapped to two ports of the pod"
        );
        // The same one twice is one.
        assert_eq!(names(&["10.0.0.5"], false, &[mapping(None, 80, 1), mapping(None, 80, 1)]).len(), 2);
    }
}

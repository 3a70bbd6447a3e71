//! The record of a cluster's pod as the source of its file, which no container of the pod can write.
//!
//! The kubelet's file is still read: where it says the same it is the source that is told, and it knows which of the
//! addresses in the network namespace are the pod's before the API does. Where it says something else, or nothing that the
//! kubelet would write, the container gets the file that the kubelet wrote before somebody changed it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use thiserror::Error;

use super::{HookError, Known, Rendered, kubelet};
use container::address_sources::PodAddresses;
use container::cluster_pod::ClusterPod;
use pod::addresses::{InterfaceAddress, Source};
use pod::host_name::HostName;
use pod::hosts_file;
use pod::kubelet_file::{Contradiction, KubeletFile, PodLines};
use pod::pod_ip_errors;
use pod::validation::go_quote;
use pod::validation::ip::parse_sloppy;
use sys::container::netns;

/// How often the kubelet's file is read at most. The record serves as well, so a sibling that keeps writing to the file delays
/// no container by more than 6 ms.
const KUBELET_TRIES: u32 = 4;

/// A difference between the kubelet's file and the record.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum Disagreement {
    /// Another host name or domain.
    #[error("it names the pod {}, expected {} as in the cluster's API", go_quote(.0), go_quote(.1))]
    Name(String, String),
    /// Other HostAliases.
    #[error("it has other HostAliases than the pod in the cluster's API")]
    Aliases,
    /// Other addresses.
    #[error("it has the addresses {0}, expected {1}")]
    Addresses(String, String),
    /// An address that is not the pod's.
    #[error(transparent)]
    Address(#[from] Contradiction),
}

impl Known<'_> {
    /// Renders the file of the cluster's pod with this record.
    pub(super) fn of_cluster(
        &self,
        record: &ClusterPod,
        node_hosts: Option<&[u8]>,
    ) -> Result<Rendered, HookError> {
        check_network(record, self.container.on_node_network)?;
        let mut interfaces = Vec::new();
        let addresses = self.pod.addresses(self.node, self.network(None), || {
            interfaces = netns::addresses(self.container)?;
            Ok::<_, HookError>(interfaces.clone())
        })?;
        let kubelets = self.kubelet_path.map(|path| {
            let file = kubelet::read(path, node_hosts, self.node.node_hosts_max_bytes, KUBELET_TRIES)?;
            kubelet::check_network(path, &file, self.container.on_node_network)?;
            let differs = |cause| HookError::KubeletCluster(path.to_owned(), cause);
            agreed(&file, record, &addresses, &interfaces).map_err(differs)
        });
        let (source, unused, confirmed) = match kubelets {
            None => (Source::Cluster, None, None),
            Some(Ok(confirmed)) => (Source::Kubelet, None, confirmed),
            Some(Err(error)) => (Source::Cluster, Some(error.to_string()), None),
        };
        let node_hosts = node_hosts.unwrap_or_default();
        let bytes = match addresses {
            PodAddresses::Own(ips, _) => pod_network(record, &confirmed.unwrap_or(ips))?,
            PodAddresses::Node | PodAddresses::Kubelet(_) => {
                hosts_file::host_network(node_hosts, &record.host_aliases)
            }
        };
        Ok(Rendered { bytes, source, of_node: node_hosts.len(), unused })
    }
}

fn pod_network(record: &ClusterPod, ips: &[String]) -> Result<Vec<u8>, HookError> {
    let errors: Vec<String> = pod_ip_errors(ips).iter().map(ToString::to_string).collect();
    let render = || hosts_file::pod_network(ips, &record.host_name(), &record.host_aliases);
    if errors.is_empty() { Ok(render()) } else { Err(HookError::Pod(errors)) }
}

fn check_network(record: &ClusterPod, on_node_network: bool) -> Result<(), HookError> {
    let (node, own) = ("the node's network", "a network of its own");
    match (record.host_network, on_node_network) {
        (true, false) => Err(HookError::ClusterNetwork(node, own)),
        (false, true) => Err(HookError::ClusterNetwork(own, node)),
        _ => Ok(()),
    }
}

/// Compares the kubelet's file with the record and the addresses that other sources tell. Returns its addresses where those
/// are merely the ones that the network namespace has, among which the kubelet knows the pod's.
fn agreed(
    file: &KubeletFile,
    cluster: &ClusterPod,
    addresses: &PodAddresses<'_>,
    interfaces: &[InterfaceAddress],
) -> Result<Option<Vec<String>>, Disagreement> {
    if file.aliases != cluster.host_aliases {
        return Err(Disagreement::Aliases);
    }
    let (Some(lines), PodAddresses::Own(ips, source)) = (&file.pod, addresses) else { return Ok(None) };
    let expected = cluster.host_name();
    if lines.name != expected {
        return Err(Disagreement::Name(full(&lines.name), full(&expected)));
    }
    if matches!(source, Source::Netns | Source::Annotation | Source::None) {
        return confirmed(lines, ips, interfaces).map(Some);
    }
    // The order is not compared: the kubelet has the engine's, the API the node's.
    let sorted = |ips: &[String]| {
        let mut ips = parsed(ips);
        ips.sort_unstable();
        ips
    };
    let is_same = sorted(&lines.ips) == sorted(ips);
    let different = || Disagreement::Addresses(lines.ips.join(", "), ips.join(", "));
    if is_same { Ok(None) } else { Err(different()) }
}

/// The addresses of the kubelet's file, all of which the network namespace has to have, in an order that no container
/// chooses: that of `ips`, then that of the interfaces.
fn confirmed(
    lines: &PodLines,
    ips: &[String],
    interfaces: &[InterfaceAddress],
) -> Result<Vec<String>, Disagreement> {
    let found = interfaces.iter().map(|found| found.address).filter(|address| !address.is_loopback());
    let mut found: Vec<IpAddr> = found.collect();
    lines.check_ips(&[], &found)?;
    let listed: BTreeSet<IpAddr> = parsed(&lines.ips).into_iter().collect();
    found.splice(0..0, parsed(ips));
    let mut seen = BTreeSet::new();
    found.retain(|address| listed.contains(address) && seen.insert(*address));
    // The namespace of a user-space network has none of them.
    let confirmed = if found.is_empty() { Vec::from_iter(listed) } else { found };
    Ok(confirmed.iter().map(ToString::to_string).collect())
}

fn parsed(ips: &[String]) -> Vec<IpAddr> {
    ips.iter().filter_map(|ip| parse_sloppy(ip)).collect()
}

fn full(name: &HostName) -> String {
    if name.domain.is_empty() { name.host.clone() } else { format!("{}.{}", name.host, name.domain) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pod::host_aliases::HostAlias;

    fn alias(ip: &str, name: &str) -> HostAlias {
        HostAlias { ip: ip.to_owned(), hostnames: vec![name.to_owned()] }
    }

    fn record() -> ClusterPod {
        ClusterPod {
            version: container::cluster_pod::CLUSTER_POD_VERSION,
            uid: "u".to_owned(),
            namespace: "ns".to_owned(),
            name: "web".to_owned(),
            hostname: "front".to_owned(),
            domain: "shop.ns.svc.k8s.example".to_owned(),
            host_network: false,
            pod_ips: Vec::new(),
            host_aliases: vec![alias("10.1.1.1", "a"), alias("10.1.1.2", "b")],
        }
    }

    fn strings(ips: &[&str]) -> Vec<String> {
        ips.iter().map(|&ip| ip.to_owned()).collect()
    }

    fn file(ips: &[&str]) -> KubeletFile {
        let record = record();
        let lines = PodLines { ips: strings(ips), name: record.host_name() };
        KubeletFile { pod: Some(lines), aliases: record.host_aliases }
    }

    fn on_eth0(ips: &[&str]) -> Vec<InterfaceAddress> {
        let one = |ip: &&str| InterfaceAddress { interface: "eth0".to_owned(), address: ip.parse().unwrap() };
        ips.iter().map(one).collect()
    }

    #[test]
    fn a_name_an_alias_or_an_order_of_aliases_is_a_difference() {
        let known = PodAddresses::Own(strings(&["10.0.0.1"]), Source::Cni);
        let differs = |change: &dyn Fn(&mut KubeletFile)| {
            let mut file = file(&["10.0.0.1"]);
            change(&mut file);
            agreed(&file, &record(), &known, &[]).err().map(|error| error.to_string())
        };
        assert_eq!(differs(&|_| ()), None);
        let aliases = Some("it has other HostAliases than the pod in the cluster's API".to_owned());
        assert_eq!(differs(&|file| file.aliases.swap(0, 1)), aliases);
        assert_eq!(differs(&|file| file.aliases.clear()), aliases);
        assert_eq!(differs(&|file| file.aliases.push(alias("6.6.6.6", "bank.example"))), aliases);
        assert_eq!(differs(&|file| file.aliases[0].ip = "010.1.1.1".to_owned()), aliases);
        for (host, domain) in
            [("db", "shop.ns.svc.k8s.example"), ("front", ""), ("front", "x.ns.svc.k8s.example")]
        {
            let name = HostName { host: host.to_owned(), domain: domain.to_owned() };
            let error = differs(&|file| file.pod.as_mut().unwrap().name = name.clone()).unwrap();
            assert!(
                error.ends_with("expected \"front.shop.ns.svc.k8s.example\" as in the cluster's API"),
                "{error}"
            );
        }
    }

    #[test]
    fn addresses_that_a_trusted_source_tells_are_all_that_the_file_has() {
        let known = PodAddresses::Own(strings(&["10.0.0.1", "fd00::1"]), Source::Cni);
        for (ips, is_same) in [
            (&["10.0.0.1", "fd00::1"][..], true),
            (&["fd00:0::1", "10.0.0.1"], true),
            (&["10.0.0.1"], false),
            (&["10.0.0.1", "fd00::1", "10.0.0.1"], false),
            (&["10.0.0.1", "fd00::1", "10.0.0.2"], false),
        ] {
            // The pod has 10.0.0.2 on another network.
            let interfaces = on_eth0(&["10.0.0.1", "fd00::1", "10.0.0.2"]);
            let found = agreed(&file(ips), &record(), &known, &interfaces);
            assert_eq!(found.is_ok(), is_same, "{ips:?}: {found:?}");
        }
    }

    #[test]
    fn addresses_of_the_namespace_are_confirmed_by_it() {
        let interfaces = on_eth0(&["127.0.0.1", "10.0.0.1", "fe80::1", "fd00::1"]);
        let known = PodAddresses::Own(strings(&["10.0.0.1", "fd00::1"]), Source::Netns);
        for (ips, expected) in [
            (&["10.0.0.1"][..], Some(&["10.0.0.1"][..])),
            (&["fd00:0::1", "10.0.0.1", "fd00::1"], Some(&["10.0.0.1", "fd00::1"])),
            (&["10.0.0.1", "6.6.6.6"], None),
            (&["127.0.0.1"], None),
        ] {
            let found = agreed(&file(ips), &record(), &known, &interfaces);
            assert_eq!(found.ok().flatten(), expected.map(strings), "{ips:?}");
        }
        // No interface has an address of a user-space network.
        let none = PodAddresses::Own(Vec::new(), Source::None);
        let found = agreed(&file(&["10.0.0.9"]), &record(), &none, &on_eth0(&["127.0.0.1"]));
        assert_eq!(found.unwrap(), Some(strings(&["10.0.0.9"])));
    }

    #[test]
    fn on_the_nodes_network_only_the_aliases_are_compared() {
        let mut file = KubeletFile { pod: None, aliases: record().host_aliases };
        assert_eq!(agreed(&file, &record(), &PodAddresses::Node, &[]), Ok(None));
        file.aliases.pop();
        assert_eq!(agreed(&file, &record(), &PodAddresses::Node, &[]), Err(Disagreement::Aliases));
    }
}

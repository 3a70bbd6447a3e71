//! Where a pod's addresses come from: every source, in the one order that all programs keep.
//!
//! This is pure: the kernel's answer comes from the caller, and only where no better source has addresses.

use std::net::IpAddr;

use pod::addresses::{self, InterfaceAddress, IpFamily, Source};
use pod::annotations::{AnnotationError, PodAnnotations};
use pod::kubelet_file::KubeletFile;

/// The sources that one pod has, in the order in which they are asked. The network namespace is asked before
/// `annotations`, by a closure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddressSources<'a> {
    /// The kubelet's file for the pod, once it is checked.
    pub kubelet: Option<&'a KubeletFile>,
    /// Whether the pod is on the node's network.
    pub on_node_network: bool,
    /// The pod's addresses in the cluster's API.
    pub cluster: &'a [String],
    /// The addresses in the pod's CNI record.
    pub record: &'a [String],
    /// The addresses that the engine told the NRI plugin.
    pub nri: &'a [String],
    /// CRI-O's list, of which only addresses in the network namespace count.
    pub crio: &'a [String],
    /// The pod's annotations, of which `podhosts.io/pod-ips` is the last source.
    pub annotations: PodAnnotations<'a>,
    /// The family that comes first where the network namespace is the source.
    pub primary_family: IpFamily,
}

/// The answer of the first source that has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodAddresses<'a> {
    /// The kubelet's file has the pod's lines.
    Kubelet(&'a KubeletFile),
    /// The pod is on the node's network and has the node's addresses.
    Node,
    /// The pod's own addresses, primary first, and their source.
    Own(Vec<String>, Source),
}

impl PodAddresses<'_> {
    /// The source that answered.
    pub fn source(&self) -> Source {
        match self {
            Self::Kubelet(_) => Source::Kubelet,
            Self::Node => Source::Node,
            Self::Own(_, source) => *source,
        }
    }
}

impl<'a> AddressSources<'a> {
    /// Asks the sources until one answers. `interfaces` lists the addresses in the pod's network namespace.
    ///
    /// # Errors
    /// The error of `interfaces`, or an address in the annotation that cannot be read; each only where it is asked.
    pub(crate) fn resolve<E: From<AnnotationError>>(
        self,
        interfaces: impl FnOnce() -> Result<Vec<InterfaceAddress>, E>,
    ) -> Result<PodAddresses<'a>, E> {
        if let Some(file) = self.kubelet {
            return Ok(PodAddresses::Kubelet(file));
        }
        if self.on_node_network {
            return Ok(PodAddresses::Node);
        }
        for (told, source) in [(self.record, Source::Cni), (self.nri, Source::Nri)] {
            if !told.is_empty() {
                return Ok(PodAddresses::Own(in_order_of(self.cluster, told), source));
            }
        }
        let found = interfaces()?;
        if is_of_this_sandbox(self.cluster, &found) {
            return Ok(PodAddresses::Own(self.cluster.to_vec(), Source::Cluster));
        }
        let confirmed = addresses::confirmed(self.crio, &found);
        if !confirmed.is_empty() {
            return Ok(PodAddresses::Own(confirmed, Source::CriO));
        }
        let in_namespace = addresses::from_namespace(&found, self.primary_family);
        if !in_namespace.is_empty() {
            return Ok(PodAddresses::Own(in_namespace, Source::Netns));
        }
        let annotated = self.annotations.pod_ips()?;
        let source = if annotated.is_empty() { Source::None } else { Source::Annotation };
        Ok(PodAddresses::Own(annotated, source))
    }
}

/// The addresses that were `told`, those first that the cluster's API has, in its order. It has one of each family.
fn in_order_of(cluster: &[String], told: &[String]) -> Vec<String> {
    let is_first = |ip: &&String| told.contains(ip);
    let first = cluster.iter().filter(is_first);
    first.chain(told.iter().filter(|ip| !cluster.contains(ip))).cloned().collect()
}

/// Whether the addresses in the cluster's API are those of the sandbox whose addresses were `found`. After a sandbox was
/// made anew, the API has the earlier one's until the kubelet tells it otherwise.
fn is_of_this_sandbox(cluster: &[String], found: &[InterfaceAddress]) -> bool {
    let is_found =
        |ip: &String| ip.parse().is_ok_and(|ip: IpAddr| found.iter().any(|found| found.address == ip));
    // Of a user-space network the namespace tells nothing.
    let tells = found.iter().any(|found| addresses::is_global(found.address));
    !cluster.is_empty() && (!tells || cluster.iter().all(is_found))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use pod::annotations::{Annotations, POD_IPS};

    /// The sources in their order, each as the letter that the table uses for it.
    const ORDER: [(char, Source); 9] = [
        ('k', Source::Kubelet),
        ('h', Source::Node),
        ('r', Source::Cni),
        ('n', Source::Nri),
        ('p', Source::Cluster),
        ('c', Source::CriO),
        ('i', Source::Netns),
        ('a', Source::Annotation),
        ('-', Source::None),
    ];

    /// Resolves with the sources of `there`; tells the answer, and whether the network namespace was asked.
    fn resolve(there: &str) -> (Source, Vec<String>, bool) {
        let has = |letter| there.contains(letter);
        let one = |letter, ip: &str| if has(letter) { vec![ip.to_owned()] } else { Vec::new() };
        let kubelet = KubeletFile { pod: None, aliases: Vec::new() };
        let annotations: Annotations =
            one('a', "10.0.0.6").into_iter().map(|ip| (POD_IPS.to_owned(), ip)).collect();
        let (record, nri, crio) = (one('r', "10.0.0.2"), one('n', "10.0.0.3"), one('c', "169.254.0.4"));
        let cluster = one('p', "10.0.0.7");
        let sources = AddressSources {
            kubelet: has('k').then_some(&kubelet),
            on_node_network: has('h'),
            cluster: &cluster,
            record: &record,
            nri: &nri,
            crio: &crio,
            annotations: PodAnnotations::new(Some(&annotations), None),
            primary_family: IpFamily::V4,
        };
        let was_asked = Cell::new(false);
        let interfaces = || {
            was_asked.set(true);
            // CRI-O's address is there, but not of global scope: from_namespace would not take it.
            let ips =
                one('c', "169.254.0.4").into_iter().chain(one('i', "10.0.0.5")).chain(one('p', "10.0.0.7"));
            let eth0 =
                |ip: String| InterfaceAddress { interface: "eth0".to_owned(), address: ip.parse().unwrap() };
            Ok::<_, AnnotationError>(ips.map(eth0).collect())
        };
        let found = sources.resolve(interfaces).unwrap();
        let source = found.source();
        let ips = match found {
            PodAddresses::Own(ips, _) => ips,
            PodAddresses::Kubelet(_) | PodAddresses::Node => Vec::new(),
        };
        (source, ips, was_asked.get())
    }

    /// All 256 sets of sources: the first one in the order answers, and the kernel is asked only for those behind NRI.
    #[test]
    fn the_first_source_that_is_there_answers() {
        let ips = ["", "", "10.0.0.2", "10.0.0.3", "10.0.0.7", "169.254.0.4", "10.0.0.5", "10.0.0.6", ""];
        for set in 0..1_u32 << 8 {
            let there: String =
                (0..8).filter(|bit| set >> bit & 1 == 1).map(|bit| ORDER[bit].0).chain(['-']).collect();
            let first = ORDER.iter().position(|(letter, _)| there.contains(*letter)).unwrap();
            let expected: Vec<&str> = Some(ips[first]).filter(|ip| !ip.is_empty()).into_iter().collect();
            let (source, found, was_asked) = resolve(&there);
            assert_eq!((source, was_asked), (ORDER[first].1, first > 3), "{there}");
            assert_eq!(found, expected, "{there}");
        }
    }

    #[test]
    fn a_source_that_is_not_asked_cannot_fail() {
        let annotations: Annotations = [(POD_IPS.to_owned(), "nonsense".to_owned())].into();
        let record = ["10.0.0.2".to_owned()];
        let sources = |record| AddressSources {
            kubelet: None,
            on_node_network: false,
            cluster: &[],
            record,
            nri: &[],
            crio: &[],
            annotations: PodAnnotations::new(Some(&annotations), None),
            primary_family: IpFamily::V4,
        };
        let refused = || Err(AnnotationError::new("the namespace", "it was asked".to_owned()));
        let found = sources(&record).resolve(refused).unwrap();
        assert_eq!(found, PodAddresses::Own(record.to_vec(), Source::Cni));
        let error = sources(&[]).resolve(refused).unwrap_err();
        assert_eq!(error.to_string(), "cannot read annotation the namespace: it was asked");
        let error = sources(&[]).resolve(|| Ok::<_, AnnotationError>(Vec::new())).unwrap_err();
        assert!(error.to_string().starts_with("cannot read annotation podhosts.io/pod-ips: "), "{error}");
    }
    fn strings(ips: &[&str]) -> Vec<String> {
        ips.iter().map(|&ip| ip.to_owned()).collect()
    }

    #[test]
    fn the_api_gives_the_order_of_what_the_sandbox_has() {
        for (cluster, told, expected) in [
            (&["fd00::1", "10.0.0.1"][..], &["10.0.0.1", "fd00::1"][..], &["fd00::1", "10.0.0.1"][..]),
            (&["10.0.0.2"], &["10.0.0.1", "10.0.0.2"], &["10.0.0.2", "10.0.0.1"]),
            // Of an earlier sandbox, or not there yet.
            (&["10.0.0.9", "fd00::9"], &["10.0.0.1", "fd00::1"], &["10.0.0.1", "fd00::1"]),
            (&[], &["10.0.0.1"], &["10.0.0.1"]),
        ] {
            assert_eq!(in_order_of(&strings(cluster), &strings(told)), expected, "{cluster:?}");
        }
    }

    #[test]
    fn addresses_of_an_earlier_sandbox_are_not_used() {
        let found = |ips: &[&str]| -> Vec<InterfaceAddress> {
            let on_eth0 =
                |ip: &&str| InterfaceAddress { interface: "eth0".into(), address: ip.parse().unwrap() };
            ips.iter().map(on_eth0).collect()
        };
        for (cluster, found_ips, expected) in [
            (&["10.0.0.1"][..], &["10.0.0.1", "fd00::1"][..], true),
            (&["10.0.0.1", "fd00:0::1"], &["10.0.0.1", "fd00::1"], true),
            (&["10.0.0.1", "fd00::2"], &["10.0.0.1", "fd00::1"], false),
            (&["10.0.0.1"], &["127.0.0.1", "fe80::1"], true),
            (&[], &["10.0.0.1"], false),
            (&[], &[], false),
        ] {
            let is_used = is_of_this_sandbox(&strings(cluster), &found(found_ips));
            assert_eq!(is_used, expected, "{cluster:?} {found_ips:?}");
        }
    }
}

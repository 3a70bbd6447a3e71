//! The kubelet's own file as the source of everything in it.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::HookError;
use container::container_pod::ContainerPod;
use container::decision::HOSTS_FILE_MAX;
use container::identity::Dialect;
use pod::hosts_file;
use pod::kubelet_file::{KubeletFile, PodLines};
use sys::container::netns;
use sys::container::process::Container;
use sys::fs::files::{self, LastLink};

/// How often a kubelet's file that is empty or unfinished is read: the kubelet truncates and rewrites it whenever
/// another container of the pod starts.
pub(super) const KUBELET_TRIES: u32 = 24;

/// The pause after a try. It grows, so that the hook cannot fall into step with a program that rewrites the file again
/// and again and see each time only its unfinished part. All pauses together are 276 ms.
fn pause_after(tries: u32) -> Duration {
    Duration::from_millis(tries.into())
}

/// Reads the kubelet's file. One without the kubelet's header is an error and not a reason to ask other sources: a
/// sibling that may write to it could get rid of the pod's HostAliases that way.
///
/// `node_hosts` is the node's own file where the pod is on its network. The kubelet's has a copy, of the file as it was
/// then, so of up to `node_hosts_max` bytes.
pub(super) fn read(
    path: &Path,
    node_hosts: Option<&[u8]>,
    node_hosts_max: usize,
    most_tries: u32,
) -> Result<KubeletFile, HookError> {
    let limit = HOSTS_FILE_MAX + if node_hosts.is_some() { node_hosts_max } else { 0 };
    let bytes_now = || match files::read(path, limit, LastLink::Refuse) {
        Err(error) if error.is_absent() => Ok(Vec::new()),
        other => other,
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let bytes = bytes_now()?;
        match KubeletFile::parse(&bytes, node_hosts) {
            // The first lines of a file that is being written may look like a whole one.
            Ok(Some(file)) if bytes_now()? == bytes => return Ok(file),
            Ok(None) if tries == most_tries => return Err(HookError::KubeletHeader(path.to_owned())),
            Err(error) if tries == most_tries => return Err(HookError::Kubelet(path.to_owned(), error)),
            Ok(Some(_)) if tries == most_tries => return Err(HookError::KubeletBusy(path.to_owned())),
            Ok(_) | Err(_) => std::thread::sleep(pause_after(tries)),
        }
    }
}

/// Refuses a host-network pod's file for a pod with a network of its own, and the other way round.
pub(super) fn check_network(path: &Path, file: &KubeletFile, on_node_network: bool) -> Result<(), HookError> {
    let (node, own) = ("the node's network", "a network of its own");
    match (file.pod.is_none(), on_node_network) {
        (true, false) => Err(HookError::KubeletNetwork(path.into(), node, own)),
        (false, true) => Err(HookError::KubeletNetwork(path.into(), own, node)),
        _ => Ok(()),
    }
}

/// Compares the lines with facts that no container of the pod can write: the host name and namespace that the engine gave
/// the pod, the addresses in its CNI record, those that NRI told, and those in its network namespace.
pub(super) fn check_pod(
    path: &Path,
    lines: &PodLines,
    pod: &ContainerPod,
    nri_pod_ips: &[String],
    container: &Container,
) -> Result<(), HookError> {
    let contradicts = |cause| HookError::KubeletPod(path.to_owned(), cause);
    let is_engines = matches!(pod.identity.dialect, Dialect::Containerd | Dialect::CriO);
    let namespace = is_engines.then_some(pod.identity.namespace.as_str());
    lines.check_name(pod.hostname()?.as_deref(), namespace).map_err(contradicts)?;
    let parsed = |ips: &[String]| ips.iter().filter_map(|ip| ip.parse().ok()).collect::<Vec<IpAddr>>();
    let recorded = pod.record.as_ref().map(|record| parsed(&record.pod_ips)).unwrap_or_default();
    let mut found = parsed(nri_pod_ips);
    if lines.unknown_ips(&[recorded.as_slice(), &found].concat()).next().is_some() {
        let in_namespace = netns::addresses(container)?.into_iter().map(|found| found.address);
        found.extend(in_namespace.filter(|address| !address.is_loopback()));
    }
    lines.check_ips(&recorded, &found).map_err(contradicts)
}

/// Renders the kubelet's file again; the node's own lines come from the node.
pub(super) fn render(file: &KubeletFile, node_hosts: &[u8]) -> Vec<u8> {
    match &file.pod {
        Some(pod) => hosts_file::pod_network(&pod.ips, &pod.name, &file.aliases),
        None => hosts_file::host_network(node_hosts, &file.aliases),
    }
}

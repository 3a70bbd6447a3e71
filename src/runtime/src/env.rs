//! The environment variables that a pod asks for by annotation.

use std::path::Path;

use thiserror::Error;

use container::address_sources::PodAddresses;
use container::bundle::NetworkNamespace;
use container::container_pod::{ContainerPod, InputError, KnownNetwork};
use container::downward_api::{self, DownwardApiError, EnvVar, PodFields};
use container::node_config::NodeConfig;
use pod::addresses::{self, InterfaceAddress};
use pod::annotations::{AnnotationError, Annotations};
use sys::container::netns::{self, NetnsError};

/// A variable that cannot be set.
#[derive(Debug, Error)]
pub enum EnvError {
    /// An annotation or the CNI record.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The pod's network namespace.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// A value that is not known.
    #[error(transparent)]
    Value(#[from] DownwardApiError),
}

impl From<AnnotationError> for EnvError {
    fn from(error: AnnotationError) -> Self {
        Self::Input(error.into())
    }
}

/// The entries, `NAME=value`, that the pod asks for in the container's environment.
///
/// # Errors
/// [`EnvError`] naming the variable or the annotation.
pub(crate) fn entries(
    node: &NodeConfig,
    pod: &ContainerPod,
    node_name: &str,
) -> Result<Vec<String>, EnvError> {
    let annotations = pod.annotations();
    let variables = downward_api::requested(annotations, &node.env.allow)?;
    if pod.identity.is_sandbox || variables.is_empty() {
        return Ok(Vec::new());
    }
    let needs = |is_one: fn(&EnvVar) -> bool| variables.iter().any(is_one);
    let pod_ips = if needs(|variable| variable.field.is_pod_ip()) { pod_ips(node, pod)? } else { Vec::new() };
    let host_ips = if needs(|variable| variable.field.is_host_ip()) { host_ips(node) } else { Vec::new() };
    let labels = labels(pod);
    let fields = PodFields {
        identity: &pod.identity,
        annotations,
        annotations_are_complete: annotations_are_complete(pod),
        labels: labels.as_ref(),
        node_name,
        pod_ips: &pod_ips,
        host_ips: &host_ips,
    };
    Ok(variables.iter().map(|variable| variable.entry(&fields)).collect::<Result<_, _>>()?)
}

/// `status.podIPs`: the node's addresses for a pod on the node's network, as Kubernetes has it.
fn pod_ips(node: &NodeConfig, pod: &ContainerPod) -> Result<Vec<String>, EnvError> {
    let interfaces = interfaces(pod)?;
    let known = KnownNetwork { on_node_network: interfaces.is_none(), ..KnownNetwork::default() };
    let interfaces = || Ok::<_, EnvError>(interfaces.unwrap_or_default());
    Ok(match pod.addresses(node, known, interfaces)? {
        PodAddresses::Own(ips, _) => downward_api::in_status(&ips, node.primary_family),
        PodAddresses::Node | PodAddresses::Kubelet(_) => host_ips(node),
    })
}

/// The addresses in the network namespace that the container will be in; `None` where that is the node's.
fn interfaces(pod: &ContainerPod) -> Result<Option<Vec<InterfaceAddress>>, NetnsError> {
    match pod.config.network_namespace() {
        NetworkNamespace::Runtimes => Ok(None),
        NetworkNamespace::New => Ok(Some(Vec::new())),
        NetworkNamespace::At(path) => netns::addresses_at(Path::new(path)),
    }
}

fn host_ips(node: &NodeConfig) -> Vec<String> {
    let mut ips = node.node_ips.clone();
    if ips.is_empty() {
        ips = netns::towards_default_routes();
        addresses::primary_first(&mut ips, node.primary_family);
    }
    ips.iter().map(ToString::to_string).collect()
}

/// The pod's labels: of CRI-O those that the container got over the CRI.
fn labels(pod: &ContainerPod) -> Option<Annotations> {
    let from_record = pod.record.as_ref().and_then(|record| record.labels.clone());
    let from_crio = || serde_json::from_str(pod.config.annotation("io.kubernetes.cri-o.Labels")?).ok();
    from_record.or_else(from_crio)
}

/// containerd hands on what its configuration names; the record then has all, if it has any.
fn annotations_are_complete(pod: &ContainerPod) -> bool {
    downward_api::tells_all_annotations(pod.identity.dialect)
        || pod.record.as_ref().is_some_and(|record| !record.annotations.is_empty())
}

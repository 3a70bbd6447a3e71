//! The environment variables that a pod asks for by annotation.

use std::path::Path;

use thiserror::Error;

use container::bundle::NetworkNamespace;
use container::container_pod::{ContainerPod, InputError};
use container::downward_api::{self, DownwardApiError, EnvVar, PodFields};
use container::node_config::NodeConfig;
use pod::addresses::{self, InterfaceAddress};
use pod::annotations::Annotations;
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

/// The entries, `NAME=value`, that belong into the container's environment.
///
/// # Errors
/// [`EnvError`] naming the variable or the annotation.
pub fn entries(node: &NodeConfig, inputs: &ContainerPod, node_name: &str) -> Result<Vec<String>, EnvError> {
    let annotations = inputs.annotations();
    let variables = downward_api::requested(annotations, &node.env.allow).map_err(InputError::from)?;
    if inputs.identity.is_sandbox || variables.is_empty() {
        return Ok(Vec::new());
    }
    let needs = |is_one: fn(&EnvVar) -> bool| variables.iter().any(is_one);
    let network =
        if needs(|variable| variable.field.is_pod_ip()) { network(inputs)? } else { Network::Unasked };
    let is_on_nodes = matches!(network, Network::Nodes);
    let host_ips = if is_on_nodes || needs(|variable| variable.field.is_host_ip()) {
        host_ips(node)
    } else {
        Vec::new()
    };
    let pod_ips = match network {
        Network::Unasked => Vec::new(),
        // As Kubernetes has it for pods on the node's network.
        Network::Nodes => host_ips.clone(),
        Network::Pods(found) => {
            let (ips, _) = inputs.addresses(node, || Ok::<_, InputError>(found))?;
            downward_api::in_status(&ips, node.primary_family)
        }
    };
    let labels = labels(inputs);
    let pod = PodFields {
        identity: &inputs.identity,
        annotations,
        annotations_are_complete: annotations_are_complete(inputs),
        labels: labels.as_ref(),
        node_name,
        pod_ips: &pod_ips,
        host_ips: &host_ips,
    };
    Ok(variables.iter().map(|variable| variable.entry(&pod)).collect::<Result<_, _>>()?)
}

enum Network {
    Unasked,
    Nodes,
    /// The addresses in the pod's network namespace.
    Pods(Vec<InterfaceAddress>),
}

fn network(inputs: &ContainerPod) -> Result<Network, EnvError> {
    Ok(match inputs.config.network_namespace() {
        NetworkNamespace::Runtimes => Network::Nodes,
        NetworkNamespace::New => Network::Pods(Vec::new()),
        NetworkNamespace::At(path) => {
            netns::addresses_at(Path::new(path))?.map_or(Network::Nodes, Network::Pods)
        }
    })
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
fn labels(inputs: &ContainerPod) -> Option<Annotations> {
    let from_record = inputs.record.as_ref().and_then(|record| record.labels.clone());
    let from_crio = || serde_json::from_str(inputs.config.annotation("io.kubernetes.cri-o.Labels")?).ok();
    from_record.or_else(from_crio)
}

/// containerd hands on what its configuration names; the record then has all, if it has any.
fn annotations_are_complete(inputs: &ContainerPod) -> bool {
    downward_api::tells_all_annotations(inputs.identity.engine)
        || inputs.record.as_ref().is_some_and(|record| !record.annotations.is_empty())
}

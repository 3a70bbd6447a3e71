//! Why a container's file was not sealed.

use std::path::PathBuf;

use thiserror::Error;

use crate::cluster::Disagreement;
use container::container_pod::InputError;
use container::decision::HOSTS_FILE_MAX;
use container::state::StateError;
use pod::annotations::AnnotationError;
use pod::kubelet_file::{Contradiction, KubeletFileError};
use sys::container::capabilities::CapabilityError;
use sys::container::netns::NetnsError;
use sys::container::process::ContainerError;
use sys::container::rootfs::RootFsError;
use sys::container::seal::SealError;
use sys::fs::files::FileError;
use sys::report;

/// Why a container's file was not sealed.
#[derive(Debug, Error)]
pub enum HookError {
    /// The state on stdin.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file, the bundle, an annotation, the configuration.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A line in the kubelet's file.
    #[error("cannot use the kubelet's hosts file {0}: {1}")]
    Kubelet(PathBuf, #[source] KubeletFileError),
    /// The kubelet's file is empty, missing, or no file of the kubelet's.
    #[error(
        "cannot use the kubelet's hosts file {0}: it is missing, or does not begin with the kubelet's header"
    )]
    KubeletHeader(PathBuf),
    /// The kubelet's file changes at every reading.
    #[error("cannot use the kubelet's hosts file {0}: it changes at every look")]
    KubeletBusy(PathBuf),
    /// The kubelet's file is of a pod on another network.
    #[error("cannot use the kubelet's hosts file {0}: it is of a pod on {1}, expected one on {2}")]
    KubeletNetwork(PathBuf, &'static str, &'static str),
    /// The kubelet's file and the record of the cluster's pod differ.
    #[error("cannot use the kubelet's hosts file {0}: {1}")]
    KubeletCluster(PathBuf, #[source] Disagreement),
    /// The record of the cluster's pod is of a pod on another network.
    #[error("cannot use the record of the cluster's pod: it is of a pod on {0}, expected one on {1}")]
    ClusterNetwork(&'static str, &'static str),
    /// The kubelet's file contradicts the engine or the network.
    #[error("cannot use the kubelet's hosts file {0}: {1}")]
    KubeletPod(PathBuf, #[source] Contradiction),
    /// The Pod, in Kubernetes' words.
    #[error("cannot render the hosts file: {}", report::first_of(.0))]
    Pod(Vec<String>),
    /// No source has the pod's name.
    #[error(
        "cannot tell the pod's name: expected annotation podhosts.io/hostname or io.kubernetes.pod.name, or hostname in config.json"
    )]
    NoName,
    /// A hosts file that is too large, without the copy of the node's.
    #[error("cannot seal a hosts file of {0} bytes, expected at most {HOSTS_FILE_MAX}")]
    TooLarge(usize),
    /// The node's hosts file is larger than the node's configuration allows.
    #[error(
        "cannot copy the node's hosts file {path}: it is larger than {limit} bytes, raise node-hosts-max-bytes in the \
         node's configuration"
    )]
    NodeHosts {
        /// The file.
        path: PathBuf,
        /// `node-hosts-max-bytes`.
        limit: usize,
    },
    /// The container's process.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The container's network.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// The container's root file system.
    #[error(transparent)]
    RootFs(#[from] RootFsError),
    /// The seal.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The seal does not show at /etc/hosts.
    #[error("cannot verify the seal: /etc/hosts in the container is not the sealed file")]
    NotThere,
    /// Privileges.
    #[error(transparent)]
    Capabilities(#[from] CapabilityError),
}

impl From<FileError> for HookError {
    fn from(error: FileError) -> Self {
        Self::Input(error.into())
    }
}

impl From<AnnotationError> for HookError {
    fn from(error: AnnotationError) -> Self {
        Self::Input(error.into())
    }
}

//! The pod of a container: one type reads what tells of it, decides about the container, and describes the pod.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::address_sources::{AddressSources, PodAddresses};
use crate::bundle::{CONFIG_JSON, CONFIG_MAX, Config, ConfigError};
use crate::decision::{self, Decision};
use crate::identity::{Dialect, IdentityError, PodIdentity};
use crate::node_config::{NodeConfig, NodeConfigError};
use pod::Pod;
use pod::addresses::InterfaceAddress;
use pod::annotations::{AnnotationError, Annotations, PodAnnotations};
use pod::host_name::{NameFields, Naming};
use pod::kubelet_file::KubeletFile;
use records::cluster_pod::{self, ClusterPod, ClusterPodError};
use records::record::{self, PodRecord, RECORD_DIR, ReadError};
use sys::fs::files::{self, FileError, LastLink};

/// A file or a value in it that cannot be read or used.
#[derive(Debug, Error)]
pub enum InputError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The node's configuration.
    #[error(transparent)]
    Node(#[from] NodeConfigError),
    /// A bundle's config.json.
    #[error("{cause}, in bundle {bundle}")]
    Config {
        /// The bundle.
        bundle: PathBuf,
        /// The error in it.
        #[source]
        cause: ConfigError,
    },
    /// The annotations that tell the pod.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The file in the place of the sandbox's configuration belongs to something else.
    #[error("cannot use {0}: it is not the configuration of the pod's sandbox")]
    Sandbox(PathBuf),
    /// The CNI record.
    #[error(transparent)]
    Record(#[from] ReadError),
    /// The record of the cluster's pod.
    #[error(transparent)]
    Cluster(#[from] ClusterPodError),
    /// An annotation.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
}

/// The pod of a container. The hook, the wrapper and `podhosts inspect` read it from the bundle and the CNI record, the
/// NRI plugin is told it by the engine.
#[derive(Debug)]
pub struct ContainerPod {
    /// The container's config.json.
    pub config: Config,
    /// Name, namespace, uid and sandbox of the pod.
    pub identity: PodIdentity,
    /// The record that podhosts-cni wrote for the pod.
    pub record: Option<PodRecord>,
    /// The record that podhosts-node wrote for the pod.
    pub cluster: Option<ClusterPod>,
    /// The pod's own annotations, where the engine tells them beside the container's.
    pod_annotations: Option<Annotations>,
    /// `None` where the container has no bundle yet.
    bundle: Option<PathBuf>,
}

/// Facts about a pod's network that are in neither its bundle nor its record.
#[derive(Debug, Clone, Copy, Default)]
pub struct KnownNetwork<'a> {
    /// The kubelet's file for the pod, once it is checked.
    pub kubelet: Option<&'a KubeletFile>,
    /// Whether the pod is on the node's network.
    pub on_node_network: bool,
    /// The addresses that the engine told the NRI plugin.
    pub nri_pod_ips: &'a [String],
}

impl ContainerPod {
    /// Reads the pod of the container `id`, whose config.json in `bundle` has the text `json`. Where the id is not
    /// known it is empty.
    ///
    /// # Errors
    /// [`InputError`] naming file, annotation or field.
    pub fn read(json: &[u8], bundle: &Path, id: &str, node_name: &str) -> Result<Self, InputError> {
        let config =
            Config::parse(json).map_err(|cause| InputError::Config { bundle: bundle.to_owned(), cause })?;
        let mut identity = PodIdentity::read(&config, node_name)?;
        if identity.dialect == Dialect::Podman && identity.name.is_empty() {
            // podman gives the host name to the pod's infra container alone.
            identity.name = sandbox_hostname(&identity, bundle)?.unwrap_or_default();
        }
        let is_named_by_host = matches!(identity.dialect, Dialect::Podman | Dialect::Plain);
        if is_named_by_host && identity.name.is_empty() && config.has_nodes_hostname() {
            identity.name = node_name.to_owned();
        }
        if identity.is_guess
            // A guess is better than a container that does not start.
            && let Ok(Some(sandbox)) = sandbox_config(&identity, bundle)
        {
            identity.take_names_of(&sandbox, &config);
        }
        let record = match &identity.sandbox_id {
            // A sandbox is skipped whatever its record says.
            _ if identity.is_sandbox => None,
            Some(sandbox_id) => record::read(sandbox_id)?,
            None => own_record(&identity, id)?,
        };
        let cluster = cluster_pod(&identity)?;
        Ok(Self { config, identity, record, cluster, pod_annotations: None, bundle: Some(bundle.to_owned()) })
    }

    /// The pod of a container that has no bundle yet, as the engine tells it.
    pub fn told(identity: PodIdentity, config: Config, pod_annotations: Annotations) -> Self {
        Self {
            config,
            identity,
            record: None,
            cluster: None,
            pod_annotations: Some(pod_annotations),
            bundle: None,
        }
    }

    /// The host name that the engine gave the pod, from a file that only the engine can write.
    ///
    /// # Errors
    /// [`InputError`] naming the sandbox's config.json.
    pub fn hostname(&self) -> Result<Option<String>, InputError> {
        match (self.identity.dialect, &self.bundle) {
            (Dialect::Containerd, Some(bundle)) => sandbox_hostname(&self.identity, bundle),
            _ => Ok(self.identity.hostname.clone()),
        }
    }

    /// The Pod as annotations, engine and record describe it.
    ///
    /// # Errors
    /// An annotation whose value cannot be read, or the sandbox's config.json.
    pub fn pod(&self) -> Result<Pod, InputError> {
        let annotations = self.annotations();
        let is_named = annotations.hostname().or(annotations.hostname_override()).is_some();
        let hostname = if is_named { None } else { self.hostname()? };
        let from_record = self.record.as_ref().map(|record| &record.hostname).filter(|name| !name.is_empty());
        let names = NameFields {
            naming: Naming::Engine,
            engine_hostname: hostname.or_else(|| from_record.cloned()),
            pod_name: self.identity.name.clone(),
            namespace: self.identity.namespace.clone(),
            hostname: annotations.hostname().map(str::to_owned),
            subdomain: annotations.subdomain().map(str::to_owned),
            hostname_override: annotations.hostname_override().map(str::to_owned),
        };
        Ok(Pod { names, aliases: annotations.host_aliases()? })
    }

    /// The container's annotations, and behind them the pod's.
    pub fn annotations(&self) -> PodAnnotations<'_> {
        let from_record = self.record.as_ref().map(|record| &record.annotations);
        PodAnnotations::new(self.config.annotations(), from_record.or(self.pod_annotations.as_ref()))
    }

    /// `<namespace>/<name>`, for people; a bundle made by hand may name the pod by its host name only.
    pub fn display_name(&self) -> String {
        let given = Some(self.identity.name.as_str()).filter(|name| !name.is_empty());
        let name = given.or(self.annotations().hostname()).unwrap_or_default();
        format!("{}/{name}", self.identity.namespace)
    }

    /// The pod's addresses, from the first source that has any.
    ///
    /// # Errors
    /// An annotation whose value cannot be read, or the error of `interfaces`.
    pub fn addresses<'a, E: From<AnnotationError>>(
        &'a self,
        node: &NodeConfig,
        known: KnownNetwork<'a>,
        interfaces: impl FnOnce() -> Result<Vec<InterfaceAddress>, E>,
    ) -> Result<PodAddresses<'a>, E> {
        let sources = AddressSources {
            kubelet: known.kubelet,
            on_node_network: known.on_node_network,
            cluster: self.cluster.as_ref().map(|pod| pod.pod_ips.as_slice()).unwrap_or_default(),
            record: self.record.as_ref().map(|record| record.pod_ips.as_slice()).unwrap_or_default(),
            nri: known.nri_pod_ips,
            crio: &self.identity.crio_ips,
            annotations: self.annotations(),
            primary_family: node.primary_family,
        };
        sources.resolve(interfaces)
    }

    /// Decides whether the container is sealed or left alone.
    ///
    /// # Errors
    /// An annotation whose value cannot be read.
    pub fn decide(&self, node: &NodeConfig) -> Result<Decision, AnnotationError> {
        decision::decide(&self.config, &self.identity, self.annotations(), node)
    }
}

/// The record of the cluster's pod, where the engine itself tells the uid. A record of another name is none of this pod's:
/// early containerd 1.6 lets a pod write the uid's annotation, and in the API anybody who may create Pods can claim the uid of
/// a static pod (see `docs/design/inputs.md`).
fn cluster_pod(identity: &PodIdentity) -> Result<Option<ClusterPod>, ClusterPodError> {
    let is_engines = matches!(identity.dialect, Dialect::Containerd | Dialect::CriO);
    let uid = identity.uid.as_deref().filter(|_| is_engines && !identity.is_sandbox && !identity.is_guess);
    let pod = uid.map_or(Ok(None), cluster_pod::read)?;
    Ok(pod.filter(|pod| pod.name == identity.name && pod.namespace == identity.namespace))
}

/// The host name in the configuration of the pod's sandbox, if there is a sandbox and it has one.
fn sandbox_hostname(identity: &PodIdentity, bundle: &Path) -> Result<Option<String>, InputError> {
    let sandbox = sandbox_config(identity, bundle)?;
    Ok(sandbox.and_then(|sandbox| sandbox.hostname).filter(|name| !name.is_empty()))
}

/// The configuration of the pod's sandbox, if there is one.
fn sandbox_config(identity: &PodIdentity, bundle: &Path) -> Result<Option<Config>, InputError> {
    let (Some(id), Some(dir)) = (&identity.sandbox_id, identity.sandbox_bundle(bundle)) else {
        return Ok(None);
    };
    record::check_id(id).map_err(|cause| InputError::Record(ReadError::SandboxId(cause)))?;
    let path = dir.join(CONFIG_JSON);
    let json = match files::read(&path, CONFIG_MAX, LastLink::Refuse) {
        Err(error) if error.is_absent() => return Ok(None),
        other => other?,
    };
    let sandbox = Config::parse(&json).map_err(|cause| InputError::Config { bundle: dir, cause })?;
    if !identity.is_sandbox_config(&sandbox) {
        return Err(InputError::Sandbox(path));
    }
    Ok(Some(sandbox))
}

/// The record of a container outside any pod: podman calls CNI with the container's own id. Plain runtimes also take ids
/// that cannot be the name of a record.
fn own_record(identity: &PodIdentity, id: &str) -> Result<Option<PodRecord>, InputError> {
    let has_no_pod = matches!(identity.dialect, Dialect::Podman | Dialect::Plain);
    if has_no_pod && record::path(Path::new(RECORD_DIR), id).is_ok() {
        Ok(record::read(id)?)
    } else {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    /// CRI-O's names of a pod that has underscores in them: from the sandbox's own configuration, where it is.
    #[test]
    #[allow(clippy::disallowed_methods)]
    fn crios_sandbox_is_asked_for_names_that_are_a_guess() {
        let dir = tempfile::tempdir().unwrap();
        let crio = |kind: &str, name: &str, namespace: &str| {
            let annotations = json!({
                "io.container.manager": "cri-o", "io.kubernetes.cri-o.ContainerType": kind,
                "io.kubernetes.cri-o.SandboxID": "s-of-no-record",
                "io.kubernetes.cri-o.SandboxName": "k8s_a_b_c_d_0",
                "io.kubernetes.cri-o.KubeName": name, "io.kubernetes.cri-o.Namespace": namespace,
            });
            json!({"root": {"path": "r"}, "annotations": annotations}).to_string()
        };
        let bundle = dir.path().join("c1/userdata");
        let display = || {
            let own = crio("container", "forged", "forged");
            ContainerPod::read(own.as_bytes(), &bundle, "c1", "node").unwrap().display_name()
        };
        assert_eq!(display(), "c/a_b");
        let sandbox = dir.path().join("s-of-no-record/userdata");
        fs::create_dir_all(&sandbox).unwrap();
        for (config, expected) in [
            (crio("sandbox", "a", "b_c"), "b_c/a"),
            // Nothing that a container should fail for.
            (crio("sandbox", "x", "y"), "c/a_b"),
            (crio("container", "a", "b_c"), "c/a_b"),
            ("{".to_owned(), "c/a_b"),
        ] {
            fs::write(sandbox.join(CONFIG_JSON), config).unwrap();
            assert_eq!(display(), expected);
        }
    }
}

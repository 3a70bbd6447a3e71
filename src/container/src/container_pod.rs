//! Everything that is read before a decision: the node's configuration, the bundle, the CNI record.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bundle::{CONFIG_MAX, Config, ConfigError};
use crate::decision::{self, Decision};
use crate::identity::{Engine, IdentityError, PodIdentity};
use crate::node_config::{self, NodeConfig, NodeConfigError};
use pod::Pod;
use pod::addresses::{self, InterfaceAddress, Source};
use pod::annotations::{AnnotationError, PodAnnotations};
use records::record::{self, PodRecord, RECORD_DIR, ReadError};
use sys::fs::files::{self, FileError, LastLink};

/// Name of the configuration in a bundle.
pub const CONFIG_JSON: &str = "config.json";

/// Something that cannot be read, or that cannot be used as it is.
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
        /// What is wrong.
        #[source]
        cause: ConfigError,
    },
    /// Whose container it is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A file where the engine keeps the sandbox's configuration, with something else in it.
    #[error("cannot use {0}: it is not the configuration of the pod's sandbox")]
    Sandbox(PathBuf),
    /// The CNI record.
    #[error(transparent)]
    Record(#[from] ReadError),
    /// An annotation.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
}

/// Reads the node's configuration; a file that is absent is one with nothing but defaults.
///
/// # Errors
/// [`InputError`] naming the file and the key.
pub fn node_config(path: &Path) -> Result<NodeConfig, InputError> {
    match files::read_text_if_present(path, node_config::CONFIG_MAX, LastLink::Follow)? {
        Some(text) => Ok(NodeConfig::parse(&text, &path.display().to_string())?),
        None => Ok(NodeConfig::default()),
    }
}

/// A container's pod, as the bundle and the CNI record tell it.
#[derive(Debug)]
pub struct ContainerPod {
    /// The bundle's config.json.
    pub config: Config,
    /// Which pod it is.
    pub identity: PodIdentity,
    /// What podhosts-cni wrote of it.
    pub record: Option<PodRecord>,
    bundle: PathBuf,
}

impl ContainerPod {
    /// Reads what belongs to the config.json with the text `json`, found in `bundle`, of the container `id`; an id
    /// that is not known is empty.
    ///
    /// # Errors
    /// [`InputError`] naming file, annotation or field.
    pub fn read(json: &[u8], bundle: &Path, id: &str, node_name: &str) -> Result<Self, InputError> {
        let config =
            Config::parse(json).map_err(|cause| InputError::Config { bundle: bundle.to_owned(), cause })?;
        let mut identity = PodIdentity::read(&config, node_name)?;
        if identity.engine == Engine::Podman && identity.name.is_empty() {
            // podman gives the host name to the pod's infra container alone.
            identity.name = sandbox_hostname(&identity, bundle)?.unwrap_or_default();
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
        Ok(Self { config, identity, record, bundle: bundle.to_owned() })
    }

    /// The host name that the engine gave the pod, as only the engine can write it.
    ///
    /// # Errors
    /// [`InputError`] naming the sandbox's config.json.
    pub fn hostname(&self) -> Result<Option<String>, InputError> {
        match self.identity.engine {
            Engine::Containerd => sandbox_hostname(&self.identity, &self.bundle),
            Engine::CriO | Engine::Podman | Engine::Plain => Ok(self.identity.hostname.clone()),
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
        Ok(decision::pod(&self.identity, annotations, self.record.as_ref(), hostname.as_deref())?)
    }

    /// The pod's annotations, from config.json and behind it the record.
    pub fn annotations(&self) -> PodAnnotations<'_> {
        PodAnnotations::new(self.config.annotations(), self.record.as_ref().map(|record| &record.annotations))
    }

    /// `<namespace>/<name>`, for people; a bundle made by hand may name the pod by its host name only.
    pub fn display_name(&self) -> String {
        let given = Some(self.identity.name.as_str()).filter(|name| !name.is_empty());
        let name = given.or(self.annotations().hostname()).unwrap_or_default();
        format!("{}/{name}", self.identity.namespace)
    }

    /// The pod's addresses, from the first source that has any. `found` lists those in its network namespace, and is
    /// asked only where the CNI record has none.
    ///
    /// # Errors
    /// An annotation whose value cannot be read, or what `found` gives.
    pub fn addresses<E: From<InputError>>(
        &self,
        node: &NodeConfig,
        found: impl FnOnce() -> Result<Vec<InterfaceAddress>, E>,
    ) -> Result<(Vec<String>, Source), E> {
        if let Some(record) = self.record.as_ref().filter(|record| !record.pod_ips.is_empty()) {
            return Ok((record.pod_ips.clone(), Source::Cni));
        }
        let found = found()?;
        let confirmed = addresses::confirmed(&self.identity.crio_ips, &found);
        if !confirmed.is_empty() {
            return Ok((confirmed, Source::CriO));
        }
        let in_namespace = addresses::from_namespace(&found, node.primary_family);
        if !in_namespace.is_empty() {
            return Ok((in_namespace, Source::Netns));
        }
        let annotated = self.annotations().pod_ips().map_err(InputError::from)?;
        let source = if annotated.is_empty() { Source::None } else { Source::Annotation };
        Ok((annotated, source))
    }

    /// What is to be done with the container.
    ///
    /// # Errors
    /// An annotation whose value cannot be read.
    pub fn decide(&self, node: &NodeConfig) -> Result<Decision, InputError> {
        Ok(decision::decide(&self.config, &self.identity, self.annotations(), node)?)
    }
}

/// Reads the configuration of `bundle` called `name`, as a rule [`CONFIG_JSON`].
///
/// # Errors
/// [`InputError`] naming the file.
pub fn config_json(bundle: &Path, name: &Path) -> Result<Vec<u8>, InputError> {
    Ok(files::read(&bundle.join(name), CONFIG_MAX, LastLink::Follow)?)
}

/// The host name in the configuration of the pod's sandbox; `None` where it has none, or where no sandbox is.
fn sandbox_hostname(identity: &PodIdentity, bundle: &Path) -> Result<Option<String>, InputError> {
    let sandbox = sandbox_config(identity, bundle)?;
    Ok(sandbox.and_then(|sandbox| sandbox.hostname).filter(|name| !name.is_empty()))
}

/// The configuration of the pod's sandbox; `None` where no sandbox is.
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

/// The record of a container outside any pod, for which podman calls CNI with the container's own id. Plain runtimes
/// take ids that can name no record.
fn own_record(identity: &PodIdentity, id: &str) -> Result<Option<PodRecord>, InputError> {
    let has_no_pod = matches!(identity.engine, Engine::Podman | Engine::Plain);
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

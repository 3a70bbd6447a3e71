//! Which pod a container belongs to, in the dialect of the engine that made the bundle.
//!
//! Only keys that the engine writes after (and so over) a pod's own annotations are believed, except for names:
//! a pod that lies about its name changes nothing but its own file.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bundle::Config;
use pod::validation::go_quote;

/// Which engine's annotations a bundle has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// containerd's CRI plugin.
    Containerd,
    /// CRI-O.
    CriO,
    /// podman, alone or in a pod of its own.
    Podman,
    /// No engine: a bundle made by hand for runc or crun.
    Plain,
}

impl Dialect {
    /// The engine's usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "CRI-O",
            Self::Podman => "podman",
            Self::Plain => "plain bundle",
        }
    }
}

/// The pod of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodIdentity {
    /// Tells the engine that made the bundle.
    pub dialect: Dialect,
    /// The pod sandbox's id.
    pub sandbox_id: Option<String>,
    /// Whether this container is the sandbox (pause, infra) itself.
    pub is_sandbox: bool,
    /// `metadata.name`; empty where it is not known.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`.
    pub uid: Option<String>,
    /// The host name that the engine gave the pod, where the container's own config.json tells it and it is not the
    /// node's or made up.
    pub hostname: Option<String>,
    /// CRI-O's list of addresses, to be checked against the network namespace.
    pub crio_ips: Vec<String>,
    /// Whether name, namespace and uid are a guess: CRI-O joins them by underscores, and one of them contains some.
    pub is_guess: bool,
}

/// Annotations that do not tell which pod this is.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// An annotation that the engine always writes is absent.
    #[error("cannot tell the pod: {engine} annotation {key} is missing")]
    Missing {
        /// The engine that writes it.
        engine: &'static str,
        /// The annotation.
        key: &'static str,
    },
    /// An annotation with a value that the engine never writes.
    #[error("cannot tell the pod: annotation {key} is {}, expected {expected}", go_quote(.value))]
    Value {
        /// The annotation.
        key: &'static str,
        /// Its value.
        value: String,
        /// The values that it may have.
        expected: &'static str,
    },
    /// Two engines' annotations: one of them is forged.
    #[error("cannot tell the pod: both containerd's and CRI-O's annotations are present")]
    TwoEngines,
}

const CRI_TYPE: &str = "io.kubernetes.cri.container-type";
const CRI_SANDBOX_ID: &str = "io.kubernetes.cri.sandbox-id";
const MANAGER: &str = "io.container.manager";
const CRIO_TYPE: &str = "io.kubernetes.cri-o.ContainerType";
const CRIO_SANDBOX_ID: &str = "io.kubernetes.cri-o.SandboxID";
const CRIO_SANDBOX_NAME: &str = "io.kubernetes.cri-o.SandboxName";
const CRIO_KUBE_NAME: &str = "io.kubernetes.cri-o.KubeName";
const CRIO_NAMESPACE: &str = "io.kubernetes.cri-o.Namespace";
const POD_NAME: &str = "io.kubernetes.pod.name";
const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
const POD_UID: &str = "io.kubernetes.pod.uid";
const DEFAULT_NAMESPACE: &str = "default";
/// Length of an id that is cut to serve as a host name.
const SHORT_ID: usize = 12;

impl PodIdentity {
    /// An identity with nothing known but the dialect.
    pub fn of(dialect: Dialect) -> Self {
        Self {
            dialect,
            sandbox_id: None,
            is_sandbox: false,
            name: String::new(),
            namespace: DEFAULT_NAMESPACE.to_owned(),
            uid: None,
            hostname: None,
            crio_ips: Vec::new(),
            is_guess: false,
        }
    }

    /// Reads the identity from a bundle's config.json on the node called `node_name`.
    ///
    /// # Errors
    /// [`IdentityError`] naming the annotation.
    pub fn read(config: &Config, node_name: &str) -> Result<Self, IdentityError> {
        let manager = config.annotation(MANAGER);
        // CRI-O refuses this key from pods and containerd writes it last, so its presence is proof.
        match (config.annotation(CRI_TYPE), manager) {
            (Some(_), Some("cri-o")) => Err(IdentityError::TwoEngines),
            (Some(_), _) => containerd(config),
            (None, Some("cri-o")) => crio(config, node_name),
            (None, Some("libpod")) => podman(config),
            (None, _) => Ok(plain(config)),
        }
    }
}

impl PodIdentity {
    /// Takes name, namespace and uid from the configuration of CRI-O's sandbox, which has each of them alone, if they agree
    /// with the joined name in `config`.
    pub(crate) fn take_names_of(&mut self, sandbox: &Config, config: &Config) {
        let told = |key| sandbox.annotation(key);
        let (Some(name), Some(namespace)) = (told(CRIO_KUBE_NAME), told(CRIO_NAMESPACE)) else { return };
        let uid = config.annotation(CRIO_SANDBOX_NAME).and_then(crio_joined).and_then(|joined| {
            joined.strip_prefix(name)?.strip_prefix('_')?.strip_prefix(namespace)?.strip_prefix('_')
        });
        if let Some(uid) = uid.filter(|uid| !uid.is_empty()) {
            (self.name, self.namespace, self.uid) = (name.into(), namespace.into(), Some(uid.into()));
            self.is_guess = false;
        }
    }

    /// The bundle of the pod's sandbox, beside the container's `bundle`: only the engine writes to its config.json.
    /// The files that containerd and podman mount at /etc/hostname are writable in every container of the pod.
    pub(crate) fn sandbox_bundle(&self, bundle: &Path) -> Option<PathBuf> {
        let id = self.sandbox_id.as_deref()?;
        match self.dialect {
            // `<state>/<namespace>/<id>`
            Dialect::Containerd => Some(bundle.parent()?.join(id)),
            // `<storage>/<id>/userdata`
            Dialect::Podman | Dialect::CriO => {
                let name = bundle.file_name()?;
                Some(bundle.parent()?.parent()?.join(id).join(name))
            }
            Dialect::Plain => None,
        }
    }

    /// Whether `sandbox` is the configuration of this pod's sandbox.
    pub(crate) fn is_sandbox_config(&self, sandbox: &Config) -> bool {
        match self.dialect {
            Dialect::Containerd => {
                sandbox.annotation(CRI_TYPE) == Some("sandbox")
                    && sandbox.annotation(CRI_SANDBOX_ID) == self.sandbox_id.as_deref()
            }
            Dialect::Podman => sandbox.annotation(MANAGER) == Some("libpod"),
            Dialect::CriO => {
                sandbox.annotation(MANAGER) == Some("cri-o")
                    && sandbox.annotation(CRIO_TYPE) == Some("sandbox")
                    && sandbox.annotation(CRIO_SANDBOX_ID) == self.sandbox_id.as_deref()
            }
            Dialect::Plain => false,
        }
    }
}

fn containerd(config: &Config) -> Result<PodIdentity, IdentityError> {
    // The CRI's caller may call a pod anything, the empty string too.
    let told = |key| {
        let value = config.annotation(key).map(str::to_owned);
        value.ok_or(IdentityError::Missing { engine: "containerd", key })
    };
    let required = |key| {
        let value = told(key)?;
        if value.is_empty() { Err(IdentityError::Missing { engine: "containerd", key }) } else { Ok(value) }
    };
    let mut pod = PodIdentity::of(Dialect::Containerd);
    pod.is_sandbox = is_sandbox(CRI_TYPE, &required(CRI_TYPE)?)?;
    pod.sandbox_id = Some(required(CRI_SANDBOX_ID)?);
    pod.name = told("io.kubernetes.cri.sandbox-name")?;
    pod.namespace = told("io.kubernetes.cri.sandbox-namespace")?;
    // Absent in the first releases of 1.6.
    pod.uid = config.annotation("io.kubernetes.cri.sandbox-uid").map(str::to_owned);
    Ok(pod)
}

fn crio(config: &Config, node_name: &str) -> Result<PodIdentity, IdentityError> {
    let missing = |key| IdentityError::Missing { engine: "CRI-O", key };
    let mut pod = PodIdentity::of(Dialect::CriO);
    let kind = config.annotation(CRIO_TYPE).ok_or(missing(CRIO_TYPE))?;
    pod.is_sandbox = is_sandbox(CRIO_TYPE, kind)?;
    let sandbox_id = config.annotation(CRIO_SANDBOX_ID).ok_or(missing(CRIO_SANDBOX_ID))?;
    let names = crio_names(config)?;
    // A pod without a host name gets the start of its id, on the node's network the node's name.
    let made_up = |name: &str| name == node_name || name.len() == SHORT_ID && sandbox_id.starts_with(name);
    let hostname = config.hostname.as_deref().filter(|name| !name.is_empty() && !made_up(name));
    pod.hostname = hostname.map(str::to_owned);
    pod.sandbox_id = Some(sandbox_id.to_owned());
    let [name, namespace, uid] = names.parts.map(str::to_owned);
    (pod.name, pod.namespace, pod.uid, pod.is_guess) = (name, namespace, Some(uid), names.is_guess);
    pod.crio_ips = (0..)
        .map_while(|n| config.annotation(&format!("io.kubernetes.cri-o.IP.{n}")))
        .map(str::to_owned)
        .collect();
    Ok(pod)
}

/// A pod's name, namespace and uid.
struct CrioNames<'a> {
    parts: [&'a str; 3],
    is_guess: bool,
}

/// CRI-O names a sandbox `k8s_<name>_<namespace>_<uid>_<attempt>`. The kubelet's names have no underscore. Where there
/// are more of them, the labels that the kubelet gives containers tell the parts, if they agree; else the name is taken
/// for the part that has them.
fn crio_names(config: &Config) -> Result<CrioNames<'_>, IdentityError> {
    let key = CRIO_SANDBOX_NAME;
    let value = config.annotation(key).ok_or(IdentityError::Missing { engine: "CRI-O", key })?;
    let joined = crio_joined(value);
    let parts = joined.and_then(|joined| {
        let (rest, uid) = joined.rsplit_once('_')?;
        let (name, namespace) = rest.rsplit_once('_')?;
        Some([name, namespace, uid]).filter(|parts| !parts.contains(&""))
    });
    let (Some(joined), Some(guess)) = (joined, parts) else {
        let expected = "k8s_<name>_<namespace>_<uid>_<attempt>";
        return Err(IdentityError::Value { key, value: value.to_owned(), expected });
    };
    let labels = [POD_NAME, POD_NAMESPACE, POD_UID].map(|key| config.annotation(key).unwrap_or_default());
    let is_guess = guess[0].contains('_');
    if is_guess && !labels.contains(&"") && labels.join("_") == joined {
        return Ok(CrioNames { parts: labels, is_guess: false });
    }
    Ok(CrioNames { parts: guess, is_guess })
}

/// `<name>_<namespace>_<uid>` of a sandbox's name.
fn crio_joined(sandbox_name: &str) -> Option<&str> {
    let (joined, attempt) = sandbox_name.strip_prefix("k8s_")?.rsplit_once('_')?;
    attempt.parse::<u32>().is_ok().then_some(joined)
}

fn podman(config: &Config) -> Result<PodIdentity, IdentityError> {
    let mut pod = plain(config);
    pod.dialect = Dialect::Podman;
    pod.sandbox_id = config.annotation(CRIO_SANDBOX_ID).map(str::to_owned);
    if let Some(kind) = config.annotation(CRIO_TYPE) {
        pod.is_sandbox = is_sandbox(CRIO_TYPE, kind)?;
    }
    Ok(pod)
}

fn plain(config: &Config) -> PodIdentity {
    let mut pod = PodIdentity::of(Dialect::Plain);
    let label = |key| config.annotation(key).filter(|value| !value.is_empty()).map(str::to_owned);
    let name = label(POD_NAME).or_else(|| config.hostname.clone());
    pod.name = name.unwrap_or_default();
    pod.namespace = label(POD_NAMESPACE).unwrap_or(pod.namespace);
    pod.uid = label(POD_UID);
    pod
}

fn is_sandbox(key: &'static str, kind: &str) -> Result<bool, IdentityError> {
    match kind {
        "sandbox" => Ok(true),
        "container" => Ok(false),
        other => {
            let expected = "\"sandbox\" or \"container\"";
            Err(IdentityError::Value { key, value: other.to_owned(), expected })
        }
    }
}

#[cfg(test)]
mod tests;

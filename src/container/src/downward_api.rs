//! The downward API without a kubelet: environment variables that a pod asks for by annotation,
//! `podhosts.io/env.NAME: <fieldPath>`, with the values that the kubelet gives them.

use std::net::IpAddr;

use thiserror::Error;

use crate::identity::{Dialect, PodIdentity};
use pod::addresses::IpFamily;
use pod::annotations::Annotations;
use pod::annotations::{AnnotationError, ENV_PREFIX, PodAnnotations};
use pod::env_names;
use pod::validation::go_quote;

/// A variable that a pod asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Where its value comes from.
    pub field: FieldPath,
}

/// A `fieldPath` of the downward API, as far as a node without an API server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldPath {
    /// `status.podIP`
    PodIp,
    /// `status.podIPs`
    PodIps,
    /// `status.hostIP`
    HostIp,
    /// `status.hostIPs`
    HostIps,
    /// `spec.nodeName`
    NodeName,
    /// `metadata.name`
    Name,
    /// `metadata.namespace`
    Namespace,
    /// `metadata.uid`
    Uid,
    /// `metadata.labels['<key>']`
    Label(String),
    /// `metadata.annotations['<key>']`
    Annotation(String),
}

/// The sources of one pod's fields.
#[derive(Debug, Clone, Copy)]
pub struct PodFields<'a> {
    /// The pod.
    pub identity: &'a PodIdentity,
    /// The pod's annotations.
    pub annotations: PodAnnotations<'a>,
    /// Whether these annotations are all that the pod has.
    pub annotations_are_complete: bool,
    /// The pod's labels, where they are known.
    pub labels: Option<&'a Annotations>,
    /// The node's name.
    pub node_name: &'a str,
    /// `status.podIPs`; looked at only where a variable needs them.
    pub pod_ips: &'a [String],
    /// The node's addresses, primary first; looked at only where a variable needs them.
    pub host_ips: &'a [String],
}

/// A variable that cannot be given its value.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DownwardApiError {
    /// No source on this node has the field.
    #[error("cannot set {name}: nothing tells {field} of the pod ({engine})")]
    Unknown {
        /// The variable.
        name: String,
        /// The field.
        field: String,
        /// The engine.
        engine: &'static str,
    },
    /// A value that no environment can hold.
    #[error("cannot set {name}: the value of {field} has a NUL in it")]
    Nul {
        /// The variable.
        name: String,
        /// The field.
        field: String,
    },
    /// A value with which the kernel would start no program.
    #[error(
        "cannot set {name}: the value of {field} has {length} bytes, expected an entry of at most {ENTRY_MAX}"
    )]
    TooLong {
        /// The variable.
        name: String,
        /// The field.
        field: String,
        /// The value's length.
        length: usize,
    },
}

/// Most variables that a pod may ask for.
const VARIABLES_MAX: usize = 256;

/// Longest entry of an environment, in bytes: `MAX_ARG_STRLEN` of the kernel, less the NUL.
const ENTRY_MAX: usize = 128 * 1024 - 1;

const EXPECTED: &str = "status.podIP, status.podIPs, status.hostIP, status.hostIPs, spec.nodeName, metadata.name, \
metadata.namespace, metadata.uid, metadata.labels['<key>'] or metadata.annotations['<key>']";

/// The variables that the pod asks for, by name. The node's configuration allows the names in `also_allowed`, beside
/// the usual ones.
///
/// # Errors
/// Too many, a name that Kubernetes would refuse or that is not allowed, or a field that is none of [`FieldPath`].
pub fn requested(
    annotations: PodAnnotations<'_>,
    also_allowed: &[String],
) -> Result<Vec<EnvVar>, AnnotationError> {
    let asked = annotations.env();
    if asked.len() > VARIABLES_MAX {
        let cause = format!("the pod has {} of them, expected at most {VARIABLES_MAX}", asked.len());
        return Err(AnnotationError::new(format!("{ENV_PREFIX}*"), cause));
    }
    let mut variables = Vec::with_capacity(asked.len());
    for (name, value) in asked {
        let error = |cause| AnnotationError::new(format!("{ENV_PREFIX}{name}"), cause);
        env_names::check(name, also_allowed).map_err(error)?;
        let field = FieldPath::parse(value)
            .ok_or_else(|| error(format!("got {}, expected {EXPECTED}", go_quote(value))))?;
        variables.push(EnvVar { name: name.to_owned(), field });
    }
    Ok(variables)
}

impl FieldPath {
    fn parse(path: &str) -> Option<Self> {
        let subscript = |prefix: &str| {
            let key = path.strip_prefix(prefix)?.strip_prefix("['")?.strip_suffix("']")?;
            (!key.is_empty() && !key.contains('\'')).then(|| key.to_owned())
        };
        Some(match path {
            "status.podIP" => Self::PodIp,
            "status.podIPs" => Self::PodIps,
            "status.hostIP" => Self::HostIp,
            "status.hostIPs" => Self::HostIps,
            "spec.nodeName" => Self::NodeName,
            "metadata.name" => Self::Name,
            "metadata.namespace" => Self::Namespace,
            "metadata.uid" => Self::Uid,
            _ => {
                let label = subscript("metadata.labels").map(Self::Label);
                return label.or_else(|| subscript("metadata.annotations").map(Self::Annotation));
            }
        })
    }

    fn name(&self) -> String {
        match self {
            Self::PodIp => "status.podIP".into(),
            Self::PodIps => "status.podIPs".into(),
            Self::HostIp => "status.hostIP".into(),
            Self::HostIps => "status.hostIPs".into(),
            Self::NodeName => "spec.nodeName".into(),
            Self::Name => "metadata.name".into(),
            Self::Namespace => "metadata.namespace".into(),
            Self::Uid => "metadata.uid".into(),
            Self::Label(key) => format!("metadata.labels['{key}']"),
            Self::Annotation(key) => format!("metadata.annotations['{key}']"),
        }
    }

    /// Whether its value is one of the pod's addresses.
    pub fn is_pod_ip(&self) -> bool {
        matches!(self, Self::PodIp | Self::PodIps)
    }

    /// Whether its value is one of the node's addresses.
    pub fn is_host_ip(&self) -> bool {
        matches!(self, Self::HostIp | Self::HostIps)
    }

    /// Its value for a pod; `None` where it is not known.
    fn value(&self, pod: &PodFields<'_>) -> Option<String> {
        let known = |value: &str| Some(value).filter(|value| !value.is_empty()).map(str::to_owned);
        // The CRI lets its caller name a pod with the empty string; elsewhere an empty name is no name.
        let is_told = matches!(pod.identity.dialect, Dialect::Containerd | Dialect::CriO);
        let called = |name: &str| if is_told { Some(name.to_owned()) } else { known(name) };
        match self {
            Self::PodIp => known(pod.pod_ips.first()?),
            Self::PodIps => known(&pod.pod_ips.join(",")),
            Self::HostIp => known(pod.host_ips.first()?),
            Self::HostIps => known(&pod.host_ips.join(",")),
            Self::NodeName => known(pod.node_name),
            Self::Name => called(&pod.identity.name),
            Self::Namespace => called(&pod.identity.namespace),
            Self::Uid => called(pod.identity.uid.as_deref()?),
            // A label that a pod lacks is empty, as in Kubernetes.
            Self::Label(key) => Some(pod.labels?.get(key).cloned().unwrap_or_default()),
            Self::Annotation(key) => match pod.annotations.value_of(key) {
                Some(value) => Some(value.to_owned()),
                None => pod.annotations_are_complete.then(String::new),
            },
        }
    }
}

impl EnvVar {
    /// The variable as it stands in an environment, `NAME=value`.
    ///
    /// # Errors
    /// [`DownwardApiError`] where the value is not known, or no environment can hold it.
    pub fn entry(&self, pod: &PodFields<'_>) -> Result<String, DownwardApiError> {
        let Self { name, field } = self;
        let unknown = || DownwardApiError::Unknown {
            name: name.clone(),
            field: field.name(),
            engine: pod.identity.dialect.name(),
        };
        let value = field.value(pod).ok_or_else(unknown)?;
        if value.contains('\0') {
            return Err(DownwardApiError::Nul { name: name.clone(), field: field.name() });
        }
        if name.len() + 1 + value.len() > ENTRY_MAX {
            let (name, field, length) = (name.clone(), field.name(), value.len());
            return Err(DownwardApiError::TooLong { name, field, length });
        }
        Ok(format!("{name}={value}"))
    }
}

/// `status.podIPs` of a pod with these addresses: one of each family, the node's primary family first. The hosts file
/// has all of them, in the order of CNI.
pub fn in_status(ips: &[String], primary: IpFamily) -> Vec<String> {
    let is_primary = |ip: &IpAddr| ip.is_ipv4() == (primary == IpFamily::V4);
    let first =
        |wanted: bool| ips.iter().find(|ip| ip.parse().is_ok_and(|ip| is_primary(&ip) == wanted)).cloned();
    [first(true), first(false)].into_iter().flatten().collect()
}

/// Whether an engine tells a container all annotations of its pod.
pub fn tells_all_annotations(dialect: Dialect) -> bool {
    dialect != Dialect::Containerd
}

#[cfg(test)]
mod tests;

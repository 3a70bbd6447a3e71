//! The decision about a container: seal its pod's file, or leave it alone and say why.

use std::fmt;

use crate::bundle::Config;
use crate::identity::{Dialect, PodIdentity};
use crate::mounts::{self, Owner};
use crate::node_config::{EtcVolume, NodeConfig, OnError};
use pod::annotations::{AnnotationError, PodAnnotations};
use pod::validation::go_quote;

/// Largest hosts file that is sealed, in bytes, without the copy of the node's own file: four times what
/// Kubernetes' limit on annotations lets through. It bounds the memory that a pod's author can make the node pin.
pub const HOSTS_FILE_MAX: usize = 1 << 20;

/// Why a container is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skip {
    /// It is the pod's sandbox (pause, infra) container.
    Sandbox,
    /// The pod's author mounts a volume at /etc/hosts: its source.
    OwnVolume(String),
    /// The pod's author mounts a volume at /etc, and the node's configuration lets that be.
    EtcVolume,
    /// The pod is annotated `podhosts.io/seal: "false"`.
    OptedOut,
    /// It is podman's or a plain bundle and carries none of our annotations.
    NoAnnotations(Dialect),
}

impl Skip {
    /// The reason's name in logs and JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::OwnVolume(_) => "own-volume",
            Self::EtcVolume => "etc-volume",
            Self::OptedOut => "opted-out",
            Self::NoAnnotations(_) => "no-annotations",
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sandbox => f.write_str("it is the pod's sandbox container"),
            Self::OwnVolume(source) => {
                write!(f, "the container mounts a volume of its own at /etc/hosts: {}", go_quote(source))
            }
            Self::EtcVolume => f.write_str("the container mounts a volume at /etc, where no seal can hold"),
            Self::OptedOut => f.write_str("the pod is annotated podhosts.io/seal: \"false\""),
            Self::NoAnnotations(dialect) => {
                write!(f, "no podhosts.io annotation is present ({})", dialect.name())
            }
        }
    }
}

/// The decision about a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It gives the container its pod's file.
    Seal(Seal),
    /// It leaves the container alone.
    Skip(Skip),
}

/// The mounts at /etc/hosts in the bundle of a container that is sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seal {
    /// Mounts at /etc/hosts that the engine or the kubelet put there, as indices into `mounts`.
    pub replaced_mounts: Vec<usize>,
    /// The kubelet's file, where the bundle mounts it.
    pub kubelet_file: Option<String>,
}

impl Seal {
    /// The mounts that are taken out of the container's configuration, as indices: a container that may unmount could
    /// uncover them beneath the seal. They stay where a container may start without a seal, for it needs them then.
    pub fn removed_mounts(&self, on_error: OnError) -> &[usize] {
        if on_error.lets_start() { &[] } else { &self.replaced_mounts }
    }
}

/// Decides about a container. The engine's word goes before the pod's.
///
/// # Errors
/// An annotation whose value cannot be read.
pub(crate) fn decide(
    config: &Config,
    identity: &PodIdentity,
    annotations: PodAnnotations<'_>,
    node: &NodeConfig,
) -> Result<Decision, AnnotationError> {
    if identity.is_sandbox {
        return Ok(Decision::Skip(Skip::Sandbox));
    }
    if matches!(identity.dialect, Dialect::Podman | Dialect::Plain) && !annotations.any() {
        return Ok(Decision::Skip(Skip::NoAnnotations(identity.dialect)));
    }
    if node.allow_opt_out && annotations.opted_out()? {
        return Ok(Decision::Skip(Skip::OptedOut));
    }
    let mut replaced_mounts = Vec::new();
    let mut kubelet_file = None;
    for (index, owner) in mounts::at_etc_hosts(config, identity, &node.kubelet_root) {
        match owner {
            Owner::User(source) => return Ok(Decision::Skip(Skip::OwnVolume(source))),
            Owner::Kubelet(path) => kubelet_file = Some(path),
            Owner::Engine => {}
        }
        replaced_mounts.push(index);
    }
    if node.etc_volume == EtcVolume::Skip && mounts::has_etc_volume(config) {
        return Ok(Decision::Skip(Skip::EtcVolume));
    }
    Ok(Decision::Seal(Seal { replaced_mounts, kubelet_file }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn decision(annotations: Value, mounts: Value, node: &NodeConfig) -> Result<Decision, String> {
        let json = json!({"root": {"path": "r"}, "mounts": mounts, "annotations": annotations}).to_string();
        let config = Config::parse(json.as_bytes()).unwrap();
        let identity = PodIdentity::read(&config, "node").unwrap();
        let annotations = PodAnnotations::new(config.annotations(), None);
        decide(&config, &identity, annotations, node).map_err(|error| error.to_string())
    }

    fn containerd(kind: &str) -> Value {
        json!({
            "io.kubernetes.cri.container-type": kind, "io.kubernetes.cri.sandbox-id": "s",
            "io.kubernetes.cri.sandbox-name": "p", "io.kubernetes.cri.sandbox-namespace": "n",
        })
    }

    #[test]
    fn every_rule() {
        let node = NodeConfig::default();
        let none = json!([]);
        let skip = |annotations: Value, mounts: Value| match decision(annotations, mounts, &node).unwrap() {
            Decision::Skip(skip) => skip.name(),
            Decision::Seal(_) => "seal",
        };
        assert_eq!(skip(containerd("container"), none.clone()), "seal");
        assert_eq!(skip(containerd("sandbox"), none.clone()), "sandbox");
        assert_eq!(skip(json!({"io.container.manager": "libpod"}), none.clone()), "no-annotations");
        assert_eq!(skip(Value::Null, none.clone()), "no-annotations");
        assert_eq!(skip(json!({"podhosts.io/hostname": "a"}), none.clone()), "seal");
        let mut opted_out = containerd("container");
        opted_out["podhosts.io/seal"] = "false".into();
        assert_eq!(skip(opted_out.clone(), none.clone()), "opted-out");
        let volume = json!([{"destination": "/etc/hosts", "source": "/data/hosts"}]);
        assert_eq!(skip(containerd("container"), volume), "own-volume");

        let strict = NodeConfig { allow_opt_out: false, ..NodeConfig::default() };
        assert!(matches!(decision(opted_out.clone(), none.clone(), &strict).unwrap(), Decision::Seal(_)));
        opted_out["podhosts.io/seal"] = "0".into();
        // An opt-out that is not allowed is not looked at: with on-error = "open" an error would be one.
        assert!(decision(opted_out.clone(), none.clone(), &strict).is_ok());
        let error = decision(opted_out, none, &node).unwrap_err();
        assert_eq!(
            error,
            "cannot read annotation podhosts.io/seal: got \"0\", expected \"true\" or \"false\""
        );
    }

    #[test]
    fn mounts_to_replace() {
        let mounts = json!([
            {"destination": "/proc"},
            {"destination": "/etc/hosts", "source": "/var/lib/kubelet/pods/u/etc-hosts"},
            {"destination": "/etc/hosts", "source": "/x/sandboxes/s/hosts"},
        ]);
        let seal = Seal {
            replaced_mounts: vec![1, 2],
            kubelet_file: Some("/var/lib/kubelet/pods/u/etc-hosts".into()),
        };
        assert_eq!(seal.removed_mounts(OnError::Closed), [1, 2]);
        assert!(seal.removed_mounts(OnError::Open).is_empty());
        let expected = Decision::Seal(seal);
        assert_eq!(
            decision(containerd("container"), mounts.clone(), &NodeConfig::default()).unwrap(),
            expected
        );
        let mut with_volume = mounts;
        with_volume[0]["destination"] = "/etc/".into();
        // The hook refuses it, for it sees also what a link in the image leads to.
        let seal = decision(containerd("container"), with_volume.clone(), &NodeConfig::default()).unwrap();
        assert_eq!(seal, expected);
        let lenient = NodeConfig { etc_volume: EtcVolume::Skip, ..NodeConfig::default() };
        let skip = decision(containerd("container"), with_volume, &lenient).unwrap();
        assert_eq!(skip, Decision::Skip(Skip::EtcVolume));
    }
}

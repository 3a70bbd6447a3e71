//! The adjustment of a new container: the wrapper's decision, made from NRI's request.

use std::collections::BTreeMap;

use thiserror::Error;

use super::messages::{Container, ContainerAdjustment, Hook, Hooks, Mount, OptionalInt, PodSandbox};
use container::bundle::{self, Config};
use container::container_pod::ContainerPod;
use container::decision::{Decision, Skip};
use container::identity::{Dialect, PodIdentity};
use container::node_config::NodeConfig;
use container::programs::{HOOK, KUBELET_HOSTS_FLAG, NRI_POD_IPS_FLAG};
use pod::annotations::{AnnotationError, Annotations, PREFIX};
use pod::pod_ip_errors;

/// A container that cannot be decided about.
#[derive(Debug, Error)]
pub enum AdjustError {
    /// A field that engines always set is missing.
    #[error("cannot use the engine's request: {0} is missing")]
    Missing(&'static str),
    /// An annotation that cannot be used.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    /// A string that is no address.
    #[error("cannot use the pod's addresses: {0}")]
    Address(String),
}

/// A new container as NRI describes it.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// The engine that creates it.
    pub dialect: Dialect,
    /// Its pod.
    pub pod: &'a PodSandbox,
    /// The container.
    pub container: &'a Container,
}

/// How a container is to be sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealing {
    /// Destinations of the mounts at /etc/hosts that go, as they are written.
    removed: Vec<String>,
    kubelet_file: Option<String>,
    annotations: Annotations,
    ips: Vec<String>,
}

impl New<'_> {
    /// How the container is to be sealed, or why it is left alone.
    ///
    /// # Errors
    /// [`AdjustError`] naming the annotation or the field.
    pub fn decide(&self, node: &NodeConfig) -> Result<Result<Sealing, Skip>, AdjustError> {
        let config = Config::of(self.mounts(), self.container.annotations.clone());
        let pod = ContainerPod::told(self.identity()?, config, self.pod.annotations.clone());
        let seal = match pod.decide(node)? {
            Decision::Skip(skip) => return Ok(Err(skip)),
            Decision::Seal(seal) => seal,
        };
        if let Some(error) = pod_ip_errors(&self.pod.ips).first() {
            return Err(AdjustError::Address(error.to_string()));
        }
        let destination =
            |&index: &usize| Some(bundle::destination(pod.config.mounts().get(index)?).to_owned());
        let removed = seal.removed_mounts(node.on_error).iter().filter_map(destination).collect();
        let (annotations, ips) = (self.annotations(), self.pod.ips.clone());
        Ok(Ok(Sealing { removed, kubelet_file: seal.kubelet_file, annotations, ips }))
    }

    /// NRI's own fields tell the pod. A container's annotations could be forged here: containerd shows those that
    /// the CRI's caller gave it in the place of its own.
    fn identity(&self) -> Result<PodIdentity, AdjustError> {
        let mut identity = PodIdentity::of(self.dialect);
        if self.pod.id.is_empty() {
            return Err(AdjustError::Missing("pod.id"));
        }
        identity.sandbox_id = Some(self.pod.id.clone());
        // The CRI's caller may call a pod anything, the empty string too.
        identity.name.clone_from(&self.pod.name);
        identity.namespace.clone_from(&self.pod.namespace);
        identity.uid = Some(self.pod.uid.clone()).filter(|uid| !uid.is_empty());
        Ok(identity)
    }

    /// The pod's annotations for podhosts, and before them the container's.
    fn annotations(&self) -> Annotations {
        let ours = |all: &BTreeMap<String, String>| {
            all.clone().into_iter().filter(|(key, _)| key.starts_with(PREFIX)).collect::<Annotations>()
        };
        let mut annotations = ours(&self.pod.annotations);
        annotations.extend(ours(&self.container.annotations));
        annotations
    }

    /// NRI's mounts as config.json has them. Type and options are left out: no decision about the engines that speak NRI
    /// depends on them.
    fn mounts(&self) -> Vec<bundle::Mount> {
        let source = |mount: &Mount| Some(mount.source.clone()).filter(|source| !source.is_empty());
        let mounts = self.container.mounts.iter();
        mounts.map(|mount| bundle::mount(&mount.destination, source(mount).as_deref())).collect()
    }

    /// Whether the hook at `path` is in the container already, from a hooks directory or a base specification.
    pub fn has_hook(&self, path: &str) -> bool {
        let hooks = self.container.hooks.iter().flat_map(|hooks| &hooks.create_runtime);
        hooks.into_iter().any(|hook| hook.path == path)
    }
}

impl Sealing {
    /// The adjustment that has the hook at `path` do it.
    ///
    /// The hook cannot see what NRI tells. It gets the annotations in config.json, where it reads them anyway, and the
    /// addresses as an argument, so that nothing about the pod has to be kept on the node.
    pub fn adjustment(self, path: &str, timeout: u32) -> ContainerAdjustment {
        let mut args = vec![HOOK.to_owned()];
        if let Some(file) = self.kubelet_file {
            args.extend([KUBELET_HOSTS_FLAG.to_owned(), file]);
        }
        // Beside the kubelet's file they are there to compare it with.
        if !self.ips.is_empty() {
            args.extend([NRI_POD_IPS_FLAG.to_owned(), self.ips.join(",")]);
        }
        let timeout = Some(OptionalInt { value: timeout.into() });
        let hook = Hook { path: path.to_owned(), args, timeout };
        let removal = |destination| Mount { destination: format!("-{destination}"), source: String::new() };
        ContainerAdjustment {
            annotations: self.annotations,
            mounts: self.removed.into_iter().map(removal).collect(),
            hooks: Some(Hooks { create_runtime: vec![hook] }),
        }
    }

    /// The adjustment where the hook is there already: it may not be added twice, nor be given what only the plugin
    /// knows, so all mounts stay.
    pub fn annotations_only(self) -> ContainerAdjustment {
        ContainerAdjustment { annotations: self.annotations, ..ContainerAdjustment::default() }
    }
}

#[cfg(test)]
#[path = "adjust_tests.rs"]
mod tests;

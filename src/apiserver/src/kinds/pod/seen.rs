//! What an engine tells about its pods.

use cri::messages::{ContainerStatus, NAMESPACE_OF_NODE, PodSandboxStatus, SANDBOX_READY};

/// The pods of an engine, as it told them last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// `containerd`, `cri-o`; empty if no engine ever answered.
    pub engine: String,
    /// Whether it answers now.
    pub is_connected: bool,
    /// Its sandboxes.
    pub sandboxes: Vec<Sandbox>,
}

/// A pod sandbox and the containers in it, those that ended included.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sandbox {
    /// The sandbox.
    pub status: PodSandboxStatus,
    /// Its containers.
    pub containers: Vec<ContainerStatus>,
}

/// Nanoseconds in a second.
const NANO: i64 = 1_000_000_000;

/// A time of the CRI in seconds since 1970.
pub(super) fn seconds(nanoseconds: i64) -> i64 {
    nanoseconds / NANO
}

impl Sandbox {
    /// When it was made, in seconds since 1970.
    pub(super) fn created(&self) -> i64 {
        seconds(self.status.created_at)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.status.state == SANDBOX_READY
    }

    /// Whether it has the network of the node.
    pub fn is_on_host(&self) -> bool {
        let namespaces = self.status.linux.as_ref().and_then(|linux| linux.namespaces.as_ref());
        let options = namespaces.and_then(|namespaces| namespaces.options.as_ref());
        options.is_some_and(|options| options.network == NAMESPACE_OF_NODE)
    }

    /// Its addresses in the engine's order.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        let network = self.status.network.as_ref();
        let first = network.map(|network| network.ip.as_str());
        let others = network.into_iter().flat_map(|network| &network.additional_ips);
        first.into_iter().chain(others.map(|other| other.ip.as_str())).filter(|ip| !ip.is_empty())
    }
}

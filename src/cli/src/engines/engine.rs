//! The engines, and the ways by which the hook gets into their containers.

use crate::engines::names::{HOOK, WRAPPER};
use crate::engines::{containerd, crio, podman};

/// The operator's program.
pub(crate) const COMMAND: &str = "podhosts";

/// A container engine or a distribution of one, as in `--runtime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// containerd, by its CRI plugin.
    Containerd,
    /// The containerd of k3s, which writes the main configuration at each start.
    K3s,
    /// The containerd of RKE2, which does as k3s.
    Rke2,
    /// CRI-O.
    Crio,
    /// podman, for root.
    Podman,
}

/// How the hook gets into containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A runtime handler that runs podhosts-runtime.
    Wrapper,
    /// A runtime handler with a base specification that has the hook.
    BaseSpec,
    /// A file in a hooks directory.
    HooksDir,
    /// The NRI plugin.
    Nri,
}

impl Engine {
    pub(crate) const ALL: [Self; 5] = [Self::Containerd, Self::K3s, Self::Rke2, Self::Crio, Self::Podman];

    /// Its name, as in `--runtime`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::K3s => "k3s",
            Self::Rke2 => "rke2",
            Self::Crio => "crio",
            Self::Podman => "podman",
        }
    }

    /// The modes that it supports, the default first.
    pub(crate) fn modes(self) -> &'static [Mode] {
        match self {
            Self::Containerd => &[Mode::Wrapper, Mode::BaseSpec, Mode::Nri],
            Self::K3s | Self::Rke2 => &[Mode::Wrapper, Mode::BaseSpec],
            Self::Crio => &[Mode::HooksDir, Mode::Wrapper, Mode::Nri],
            Self::Podman => &[Mode::HooksDir, Mode::Wrapper],
        }
    }

    /// Whether it is containerd, in any distribution.
    pub(crate) fn is_containerd(self) -> bool {
        matches!(self, Self::Containerd | Self::K3s | Self::Rke2)
    }

    /// Its program, by its name on PATH or its path.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::K3s => "/var/lib/rancher/k3s/data/current/bin/containerd",
            Self::Rke2 => "/var/lib/rancher/rke2/bin/containerd",
            other => other.name(),
        }
    }

    /// Where it serves the CRI.
    pub(crate) fn socket(self) -> &'static str {
        match self {
            Self::K3s | Self::Rke2 => "/run/k3s/containerd/containerd.sock",
            _ => containerd::SOCKET,
        }
    }

    /// The services that read the configuration when they start; a node has one of them.
    pub(crate) fn services(self) -> &'static [&'static str] {
        match self {
            Self::Containerd => &["containerd.service"],
            Self::K3s => &["k3s.service", "k3s-agent.service"],
            Self::Rke2 => &["rke2-server.service", "rke2-agent.service"],
            Self::Crio => &["crio.service"],
            Self::Podman => &[],
        }
    }

    /// The path of its main configuration.
    pub(crate) fn default_config(self) -> &'static str {
        match self {
            Self::Containerd => containerd::CONFIG,
            Self::K3s => "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
            Self::Rke2 => "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
            Self::Crio => crio::CONFIG,
            Self::Podman => podman::CONFIG,
        }
    }
}

impl Mode {
    /// Its name, as in `--mode`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wrapper => "wrapper",
            Self::BaseSpec => "base-spec",
            Self::HooksDir => "hooks-dir",
            Self::Nri => "nri",
        }
    }

    /// The mode of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Wrapper, Self::BaseSpec, Self::HooksDir, Self::Nri]
            .into_iter()
            .find(|mode| mode.name() == name)
    }

    /// Whether it makes a runtime handler.
    pub(crate) fn makes_handler(self) -> bool {
        matches!(self, Self::Wrapper | Self::BaseSpec)
    }

    /// The programs that it needs.
    pub(crate) fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Wrapper => &[WRAPPER, HOOK],
            Self::BaseSpec | Self::HooksDir => &[HOOK],
            Self::Nri => &[COMMAND, HOOK],
        }
    }
}

//! Phase and conditions of a pod, as the kubelet computes them (`pkg/kubelet/kubelet_pods.go`, `pkg/kubelet/status/generate.go`).
//!
//! The CRI does not tell the pod's restartPolicy. Nobody restarts containers for crictl, so a pod whose containers have all
//! ended has ended, as with `Never`.

use serde_json::{Value, json};

use super::containers::{Attempts, Progress};
use super::seen::Sandbox;
use crate::time;

/// `status.phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
}

/// What the conditions of a pod depend on, with times in seconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub(super) phase: Phase,
    /// Whether it has a sandbox and a network.
    has_network: bool,
    is_ready: bool,
    created: i64,
    /// Since when it has been ready, or not.
    since: i64,
    unready: Vec<String>,
}

impl State {
    /// A pod of which only the record of its network is known.
    pub(super) fn of_record(created: i64, is_ready: bool) -> Self {
        let phase = if is_ready { Phase::Running } else { Phase::Pending };
        Self { phase, has_network: true, is_ready, created, since: created, unready: Vec::new() }
    }

    pub(super) fn of_sandbox(sandbox: &Sandbox, containers: &[Attempts<'_>]) -> Self {
        let created = sandbox.created();
        let has_network = sandbox.is_ready();
        let is_unready =
            |container: &&Attempts<'_>| !has_network || container.progress() != Progress::Running;
        let unready: Vec<String> =
            containers.iter().filter(is_unready).map(|container| container.name().to_owned()).collect();
        let is_ready = unready.is_empty() && has_network && !containers.is_empty();
        let since = if is_ready {
            containers.iter().map(Attempts::started).max()
        } else {
            containers.iter().filter_map(Attempts::stopped).min()
        };
        let phase = phase(has_network, containers);
        Self { phase, has_network, is_ready, created, since: since.unwrap_or(created), unready }
    }

    /// `status.conditions`, in the order in which the kubelet writes them.
    pub(super) fn conditions(&self) -> Vec<Value> {
        let network = if self.has_network { self.created } else { self.since };
        let (reason, message) = self.why_not_ready();
        let readiness = |kind| condition(kind, self.is_ready, self.since, (reason, &message));
        let initialized = match self.phase {
            Phase::Succeeded => (reason, ""),
            _ => ("", ""),
        };
        vec![
            condition("PodReadyToStartContainers", self.has_network, network, ("", "")),
            condition("Initialized", true, self.created, initialized),
            readiness("Ready"),
            readiness("ContainersReady"),
            condition("PodScheduled", true, self.created, ("", "")),
        ]
    }

    fn why_not_ready(&self) -> (&'static str, String) {
        match self.phase {
            _ if self.is_ready => ("", String::new()),
            Phase::Succeeded => ("PodCompleted", String::new()),
            Phase::Failed => ("PodFailed", String::new()),
            _ => {
                let names = self.unready.join(" ");
                ("ContainersNotReady", format!("containers with unready status: [{names}]"))
            }
        }
    }
}

fn condition(kind: &str, status: bool, since: i64, (reason, message): (&str, &str)) -> Value {
    let mut condition = json!({
        "type": kind, "status": if status { "True" } else { "False" }, "lastProbeTime": null,
        "lastTransitionTime": time::format(since),
    });
    for (key, text) in [("reason", reason), ("message", message)] {
        if !text.is_empty() {
            condition[key] = text.into();
        }
    }
    condition
}

/// `getPhase`.
fn phase(has_network: bool, containers: &[Attempts<'_>]) -> Phase {
    let all = || containers.iter().map(Attempts::progress);
    let waits = all().any(|progress| progress == Progress::Waiting);
    let runs = all().any(|progress| progress == Progress::Running);
    let restarts = all().any(|progress| progress == Progress::Restarting);
    if has_network && (containers.is_empty() || waits) {
        Phase::Pending
    } else if runs || has_network && restarts {
        Phase::Running
    } else if all().all(|progress| progress == Progress::Ended(0)) {
        Phase::Succeeded
    } else {
        Phase::Failed
    }
}

//! The containers of a pod: what the kubelet would say about them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::seen::seconds;
use crate::time;
use cri::messages::{CONTAINER_CREATED, CONTAINER_EXITED, CONTAINER_RUNNING, ContainerStatus};
use pod::validation::labels::port_name_errors;

/// The annotation in which the kubelet leaves a container's ports, as `spec.containers[].ports` has them.
const PORTS: &str = "io.kubernetes.container.ports";
/// What the kubelet says of a container whose end nobody saw.
const UNKNOWN: (&str, i32) = ("ContainerStatusUnknown", 137);

/// A container by its name: its last attempt, and the one before, if the engine still has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempts<'a> {
    last: &'a ContainerStatus,
    before: Option<&'a ContainerStatus>,
}

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It was never started.
    Waiting,
    /// It is about to be started again.
    Restarting,
    /// It runs.
    Running,
    /// It ended with this exit code.
    Ended(i32),
}

/// The containers of a pod in the order in which they were first made.
pub(super) fn by_name(all: &[ContainerStatus]) -> Vec<Attempts<'_>> {
    let mut named: BTreeMap<&str, Vec<&ContainerStatus>> = BTreeMap::new();
    for container in all {
        named.entry(name(container)).or_default().push(container);
    }
    let mut found: Vec<(i64, Attempts<'_>)> = Vec::new();
    for mut attempts in named.into_values() {
        attempts.sort_by_key(|container| (attempt(container), container.created_at));
        let mut newest = attempts.iter().rev().copied();
        if let Some(last) = newest.next() {
            let first_made = attempts.iter().map(|container| container.created_at).min().unwrap_or_default();
            found.push((first_made, Attempts { last, before: newest.next() }));
        }
    }
    // The sort is stable: containers of one moment are in the order of their names.
    found.sort_by_key(|(first_made, _)| *first_made);
    found.into_iter().map(|(_, attempts)| attempts).collect()
}

fn name(container: &ContainerStatus) -> &str {
    container.metadata.as_ref().map(|metadata| metadata.name.as_str()).unwrap_or_default()
}

fn attempt(container: &ContainerStatus) -> u32 {
    container.metadata.as_ref().map(|metadata| metadata.attempt).unwrap_or_default()
}

impl Attempts<'_> {
    pub(super) fn name(&self) -> &str {
        name(self.last)
    }

    pub(super) fn progress(&self) -> Progress {
        match self.last.state {
            CONTAINER_RUNNING => Progress::Running,
            CONTAINER_CREATED if self.before.is_some() => Progress::Restarting,
            CONTAINER_CREATED => Progress::Waiting,
            CONTAINER_EXITED => Progress::Ended(self.last.exit_code),
            _ => Progress::Ended(UNKNOWN.1),
        }
    }

    /// When the last attempt was started, in seconds since 1970.
    pub(super) fn started(&self) -> i64 {
        seconds(self.last.started_at)
    }

    /// When it last stopped running; `None` if it runs or never ran.
    pub(super) fn stopped(&self) -> Option<i64> {
        let ended = match self.progress() {
            Progress::Ended(_) => Some(self.last),
            Progress::Restarting => self.before,
            Progress::Waiting | Progress::Running => None,
        };
        ended.map(|ended| seconds(ended.finished_at)).filter(|time| *time > 0)
    }

    /// The element of `spec.containers`.
    pub(super) fn spec(&self) -> Value {
        let mut spec = json!({"name": self.name(), "image": image(self.last), "resources": {}});
        let ports = ports(self.last.annotations.get(PORTS).map(String::as_str).unwrap_or_default());
        if !ports.is_empty() {
            spec["ports"] = ports.into();
        }
        spec
    }

    /// The element of `status.containerStatuses`.
    pub(super) fn status(&self, engine: &str, is_sandbox_ready: bool) -> Value {
        let is_running = self.progress() == Progress::Running;
        let state = match self.progress() {
            Progress::Running => json!({"running": {"startedAt": at(self.last.started_at)}}),
            Progress::Waiting | Progress::Restarting => json!({"waiting": {"reason": "ContainerCreating"}}),
            Progress::Ended(_) => json!({"terminated": ended(engine, self.last)}),
        };
        let last_state = self.before.map_or(json!({}), |before| json!({"terminated": ended(engine, before)}));
        json!({
            "name": self.name(), "image": image(self.last), "imageID": self.last.image_ref,
            "containerID": id(engine, self.last), "state": state, "lastState": last_state,
            "ready": is_running && is_sandbox_ready, "started": is_running,
            "restartCount": attempt(self.last),
        })
    }
}

fn ended(engine: &str, container: &ContainerStatus) -> Value {
    let is_known = container.state == CONTAINER_EXITED;
    let exit_code = if is_known { container.exit_code } else { UNKNOWN.1 };
    let reason = match container.reason.as_str() {
        _ if !is_known => UNKNOWN.0,
        "" if exit_code == 0 => "Completed",
        "" => "Error",
        reason => reason,
    };
    let mut ended = json!({
        "exitCode": exit_code, "reason": reason, "containerID": id(engine, container),
        "startedAt": at(container.started_at), "finishedAt": at(container.finished_at),
    });
    if !container.message.is_empty() {
        ended["message"] = container.message.as_str().into();
    }
    ended
}

/// `null` for what did not happen.
fn at(nanoseconds: i64) -> Value {
    if nanoseconds <= 0 { Value::Null } else { time::format(seconds(nanoseconds)).into() }
}

fn id(engine: &str, container: &ContainerStatus) -> String {
    format!("{engine}://{}", container.id)
}

/// The image as the user named it, if the engine remembers.
fn image(container: &ContainerStatus) -> &str {
    let Some(image) = &container.image else { return "" };
    if image.user_specified_image.is_empty() { &image.image } else { &image.user_specified_image }
}

/// A port in the kubelet's annotation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    #[serde(default)]
    name: String,
    #[serde(default)]
    host_port: u16,
    container_port: u16,
    #[serde(default)]
    protocol: String,
    #[serde(default, rename = "hostIP")]
    host_ip: String,
}

/// The ports of an annotation, without those that Kubernetes would not allow. Most containers of crictl have none.
fn ports(annotation: &str) -> Vec<Value> {
    let ports: Vec<Value> = serde_json::from_str(annotation).unwrap_or_default();
    ports.into_iter().filter_map(|port| self::port(serde_json::from_value(port).ok()?)).collect()
}

fn port(given: Port) -> Option<Value> {
    let protocol = if given.protocol.is_empty() { "TCP" } else { given.protocol.as_str() };
    if given.container_port == 0 || !["TCP", "UDP", "SCTP"].contains(&protocol) {
        return None;
    }
    let mut port = json!({"containerPort": given.container_port, "protocol": protocol});
    if port_name_errors(&given.name).is_empty() {
        port["name"] = given.name.into();
    }
    if given.host_port > 0 {
        port["hostPort"] = given.host_port.into();
    }
    if given.host_ip.parse::<std::net::IpAddr>().is_ok() {
        port["hostIP"] = given.host_ip.into();
    }
    Some(port)
}

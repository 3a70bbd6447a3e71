//! Validation of the containers of a pod (`validateContainers` in `pkg/apis/core/validation/validation.go`).

use std::collections::HashSet;

use serde_json::Value;

use super::validation::{list, mount_faults, one_of, own_name, text};
use crate::kinds::faults::{duplicate, invalid, required};
use crate::status::Cause;
use pod::validation::labels::port_name_errors;

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
const MESSAGE_POLICIES: [&str; 2] = ["FallbackToLogsOnError", "File"];
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];
const HANDLERS: [&str; 4] = ["exec", "grpc", "httpGet", "tcpSocket"];
const NOT_A_PORT: &str = "must be between 1 and 65535, inclusive";

/// The faults of the containers of a `spec` with these `volumes`.
pub(super) fn faults(spec: &Value, volumes: &HashSet<&str>, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    if list(&spec["containers"]).next().is_none() {
        faults.push(required(format!("{path}.containers"), ""));
    }
    for key in ["containers", "initContainers"] {
        for (index, container) in list(&spec[key]).enumerate() {
            let path = format!("{path}.{key}[{index}]");
            faults.extend(own_name(container, &path, &mut seen));
            faults.extend(container_faults(container, &path));
            faults.extend(port_faults(container, spec["hostNetwork"] == true, &path));
            faults.extend(mount_faults(container, volumes, &path));
        }
    }
    faults
}

fn container_faults(container: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    match text(container, "image") {
        "" => faults.push(required(format!("{path}.image"), "")),
        image if image.trim() != image => {
            let why = "must not have leading or trailing whitespace";
            faults.push(invalid(format!("{path}.image"), &image.into(), why));
        }
        _ => {}
    }
    faults.extend(one_of(container, "terminationMessagePolicy", &MESSAGE_POLICIES, path));
    faults.extend(one_of(container, "imagePullPolicy", &PULL_POLICIES, path));
    for (index, variable) in list(&container["env"]).enumerate() {
        if text(variable, "name").is_empty() {
            faults.push(required(format!("{path}.env[{index}].name"), ""));
        }
    }
    for key in PROBES {
        let probe = container.get(key).and_then(Value::as_object);
        if probe.is_some_and(|probe| !HANDLERS.iter().any(|handler| probe.contains_key(*handler))) {
            faults.push(required(format!("{path}.{key}"), "must specify a handler type"));
        }
    }
    faults
}

/// `validateContainerPorts`, and `validateHostNetwork`.
fn port_faults(container: &Value, is_on_node: bool, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    for (index, port) in list(&container["ports"]).enumerate() {
        let path = |key: &str| format!("{path}.ports[{index}].{key}");
        let name = text(port, "name");
        if !name.is_empty() {
            let errors = port_name_errors(name);
            faults.extend(errors.iter().map(|why| invalid(path("name"), &name.into(), why)));
            if errors.is_empty() && !seen.insert(name) {
                faults.push(duplicate(path("name"), &name.into()));
            }
        }
        let number = |key: &str| port[key].as_i64().unwrap_or_default();
        let is_port = |number: i64| (1..=65535).contains(&number);
        match number("containerPort") {
            0 => faults.push(required(path("containerPort"), "")),
            other if !is_port(other) => {
                faults.push(invalid(path("containerPort"), &other.into(), NOT_A_PORT));
            }
            _ => {}
        }
        match number("hostPort") {
            0 => {}
            other if !is_port(other) => faults.push(invalid(path("hostPort"), &other.into(), NOT_A_PORT)),
            other if is_on_node && other != number("containerPort") => {
                let why = "must match containerPort when hostNetwork is true";
                faults.push(invalid(path("hostPort"), &other.into(), why));
            }
            _ => {}
        }
        faults.extend(one_of(port, "protocol", &PROTOCOLS, path("").trim_end_matches('.')));
    }
    faults
}

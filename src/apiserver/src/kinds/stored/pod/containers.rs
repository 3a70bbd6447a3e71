//! Validation of the containers of a pod (`validateContainers` in `pkg/apis/core/validation/validation.go`).

use std::collections::HashSet;

use serde_json::Value;

use super::probes;
use super::validation::{list, mount_faults, one_of, own_name, text};
use crate::kinds::faults::{duplicate, invalid, required};
use crate::status::Cause;
use pod::validation::labels::port_name_errors;

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
const MESSAGE_POLICIES: [&str; 2] = ["File", "FallbackToLogsOnError"];
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const SOURCES: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
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
            let may_have_probes = key == "containers" || container["restartPolicy"] == "Always";
            faults.extend(probes::faults(container, may_have_probes, &path));
        }
    }
    faults.extend(host_port_faults(spec, path));
    faults
}

fn container_faults(container: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    if text(container, "image").is_empty() {
        faults.push(required(format!("{path}.image"), ""));
    }
    faults.extend(one_of(container, "terminationMessagePolicy", &MESSAGE_POLICIES, path));
    faults.extend(one_of(container, "imagePullPolicy", &PULL_POLICIES, path));
    for (index, variable) in list(&container["env"]).enumerate() {
        faults.extend(variable_faults(variable, &format!("{path}.env[{index}]")));
    }
    faults
}

/// `ValidateEnv`, without the fields and keys that sources name.
fn variable_faults(variable: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    match text(variable, "name") {
        "" => faults.push(required(format!("{path}.name"), "")),
        name if name.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=') => {}
        name => {
            let why = "a valid environment variable name must consist only of printable ASCII characters other than '='";
            faults.push(invalid(format!("{path}.name"), &name.into(), why));
        }
    }
    let Some(source) = variable.get("valueFrom") else { return faults };
    let why = match SOURCES.into_iter().filter(|key| !source[*key].is_null()).count() {
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        _ if !text(variable, "value").is_empty() => "may not be specified when `value` is not empty",
        1 => return faults,
        _ => "may not have more than one field specified at a time",
    };
    faults.push(invalid(format!("{path}.valueFrom"), &"".into(), why));
    faults
}

/// `checkHostPortConflicts`.
fn host_port_faults(spec: &Value, path: &str) -> Vec<Cause> {
    let (mut faults, mut seen) = (Vec::new(), HashSet::new());
    for (index, container) in list(&spec["containers"]).enumerate() {
        for (place, port) in list(&container["ports"]).enumerate() {
            let Some(number) = port["hostPort"].as_i64().filter(|number| *number != 0) else { continue };
            let taken = format!("{}/{}/{number}", text(port, "protocol"), text(port, "hostIP"));
            if !seen.insert(taken.clone()) {
                let path = format!("{path}.containers[{index}].ports[{place}].hostPort");
                faults.push(duplicate(path, &taken.into()));
            }
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

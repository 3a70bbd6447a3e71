//! Warnings about pods and templates of pods (`warningsForPodSpecAndMeta` in `pkg/api/pod/warnings.go`). Left out are those
//! about node labels, affinities, amounts and volumes.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::validation::{list, text};
use crate::kinds::faults::MOST;
use pod::validation::ip::ip_warning;
use pod::validation::{dns, go_quote};

const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// The warning about the name of an object that pods or host names are named after; `what` says which.
pub(in crate::kinds::stored) fn of_name(name: &str, what: &str) -> Option<String> {
    let why = dns::label_errors(name);
    (!why.is_empty()).then(|| {
        format!(
            "metadata.name: this is used in {what}, which can result in surprising behavior; a DNS label is \
             recommended: [{}]",
            why.join(" ")
        )
    })
}

/// The warnings about the `spec` of a pod, or of a template at `path`.
pub(in crate::kinds::stored) fn of_spec(spec: &Value, path: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, constraint) in list(&spec["topologySpreadConstraints"]).enumerate() {
        if constraint["labelSelector"].is_null() {
            let path = format!("{path}.topologySpreadConstraints[{index}].labelSelector");
            warnings.push(format!("{path}: a null labelSelector results in matching no pod"));
        }
    }
    warnings.extend(repeated(spec, "hostAliases", "ip", path));
    warnings.extend(repeated(spec, "imagePullSecrets", "name", path));
    for (index, secret) in list(&spec["imagePullSecrets"]).enumerate() {
        if text(secret, "name").is_empty() {
            warnings.push(format!("{path}.imagePullSecrets[{index}].name: invalid empty name \"\""));
        }
    }
    let containers: Vec<(String, &Value)> = CONTAINERS
        .into_iter()
        .flat_map(|key| {
            let all = list(&spec[key]).enumerate();
            all.map(move |(index, container)| (format!("{path}.{key}[{index}]"), container))
        })
        .collect();
    warnings.extend(containers.iter().flat_map(|(path, container)| hidden_variables(container, path)));
    warnings.extend(port_warnings(&containers));
    warnings.extend(port_name_warnings(&containers));
    if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds < 0) {
        let why = "must be >= 0; negative values are invalid and will be treated as 1";
        warnings.push(format!("{path}.terminationGracePeriodSeconds: {why}"));
    }
    for (index, alias) in list(&spec["hostAliases"]).enumerate() {
        warnings.extend(ip_warning(&format!("{path}.hostAliases[{index}].ip"), text(alias, "ip")));
    }
    warnings.truncate(MOST);
    warnings
}

/// Entries of a list with a name that an earlier one has.
fn repeated(spec: &Value, list_key: &str, key: &str, path: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let entries = list(&spec[list_key]).map(|entry| text(entry, key)).enumerate();
    let again = entries.filter(|(_, name)| !seen.insert(*name));
    again
        .map(|(index, name)| format!("{path}.{list_key}[{index}].{key}: duplicate {key} {}", go_quote(name)))
        .collect()
}

/// Variables that are there already, and whose value has no reference to the earlier one.
fn hidden_variables(container: &Value, path: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut warnings = Vec::new();
    for (index, variable) in list(&container["env"]).enumerate() {
        let (name, value) = (text(variable, "name"), text(variable, "value"));
        let reference = format!("$({name})");
        let keeps = variable["valueFrom"].is_null() && value != reference && value.contains(&reference);
        if !seen.insert(name) && !keeps {
            warnings.push(format!(
                "{path}.env[{index}]: hides previous definition of {}, which may be dropped when using apply",
                go_quote(name)
            ));
        }
    }
    warnings
}

/// All ports, each with its path.
fn ports<'a>(containers: &'a [(String, &'a Value)]) -> impl Iterator<Item = (String, &'a Value)> {
    containers.iter().flat_map(|(path, container)| {
        list(&container["ports"])
            .enumerate()
            .map(move |(index, port)| (format!("{path}.ports[{index}]"), port))
    })
}

fn port_warnings(containers: &[(String, &Value)]) -> Vec<String> {
    let number = |port: &Value, key: &str| port[key].as_i64().unwrap_or_default();
    let mut known: HashMap<(i64, &str), Vec<(String, &Value)>> = HashMap::new();
    let mut warnings = Vec::new();
    for (path, port) in ports(containers) {
        let (on_node, host) = (number(port, "hostPort"), text(port, "hostIP"));
        if !host.is_empty() && on_node == 0 {
            warnings.push(format!("{path}: hostIP set without hostPort: {}", in_go(port)));
        }
        let others = known.entry((number(port, "containerPort"), text(port, "protocol"))).or_default();
        // Thousands of ports would take seconds if each was compared with all.
        for (other_path, other) in others.iter().take(MOST) {
            let (other_on_node, other_host) = (number(other, "hostPort"), text(other, "hostIP"));
            let how = if (on_node, host) == (other_on_node, other_host) {
                "duplicate"
            } else if on_node == 0 || other_on_node == 0 {
                "overlapping"
            } else if on_node == other_on_node && host.is_empty() != other_host.is_empty() {
                "dangerously ambiguous"
            } else {
                continue;
            };
            if warnings.len() < MOST {
                warnings.push(format!("{path}: {how} port definition with {other_path}"));
            }
        }
        others.push((path, port));
        if warnings.len() >= MOST {
            break;
        }
    }
    warnings
}

/// A port as Go's `%+v` shows it.
fn in_go(port: &Value) -> String {
    let number = |key: &str| port[key].as_i64().unwrap_or_default();
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        text(port, "name"),
        number("hostPort"),
        number("containerPort"),
        text(port, "protocol"),
        text(port, "hostIP")
    )
}

fn port_name_warnings(containers: &[(String, &Value)]) -> Vec<String> {
    let mut known: HashMap<&str, String> = HashMap::new();
    let mut warnings = Vec::new();
    for (path, port) in ports(containers).filter(|(_, port)| !text(port, "name").is_empty()) {
        let name = text(port, "name");
        match known.get(name) {
            Some(other) => warnings.push(format!(
                "{path}: duplicate port name {} with {other}, services and probes that select ports by name will use \
                 {other}",
                go_quote(name)
            )),
            None => {
                known.insert(name, path);
            }
        }
    }
    warnings
}

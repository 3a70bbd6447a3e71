//! Validation of the `spec` of a pod, or of a template of pods: the faults that keep a kubelet from running it
//! (`ValidatePodSpec` in `pkg/apis/core/validation/validation.go`). Not checked: security contexts, affinities,
//! tolerations, and the sources of volumes.

use std::collections::HashSet;

use serde_json::Value;

use super::containers;
use crate::kinds::faults::{duplicate, invalid, not_found, required, unsupported};
use crate::kinds::meta;
use crate::status::Cause;
use pod::validation::ip::{IpRules, ip_error};

const RESTART_POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
const DNS_POLICIES: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];

/// The faults of the `spec` at `path`.
pub(in crate::kinds::stored) fn faults(spec: &Value, path: &str) -> Vec<Cause> {
    let mut faults = volume_faults(spec, &format!("{path}.volumes"));
    let volumes: HashSet<&str> = list(&spec["volumes"]).map(|volume| text(volume, "name")).collect();
    faults.extend(containers::faults(spec, &volumes, path));
    faults.extend(one_of(spec, "restartPolicy", &RESTART_POLICIES, path));
    faults.extend(one_of(spec, "dnsPolicy", &DNS_POLICIES, path));
    faults.extend(meta::label_faults(spec.get("nodeSelector"), &format!("{path}.nodeSelector")));
    let names: [(&str, meta::NameRule); 7] = [
        ("serviceAccountName", meta::subdomain),
        ("nodeName", meta::subdomain),
        ("hostname", meta::label),
        ("subdomain", meta::label),
        ("schedulerName", meta::subdomain),
        ("priorityClassName", meta::subdomain),
        ("runtimeClassName", meta::subdomain),
    ];
    for (key, rule) in names {
        faults.extend(name_faults(&spec[key], &format!("{path}.{key}"), rule));
    }
    let within = |key: &str, least: i64, why: &str| {
        let given = spec.get(key).filter(|given| given.as_i64() < Some(least))?;
        Some(invalid(format!("{path}.{key}"), given, why))
    };
    faults.extend(within("activeDeadlineSeconds", 1, "must be between 1 and 2147483647, inclusive"));
    faults.extend(alias_faults(spec, &format!("{path}.hostAliases")));
    faults
}

/// The structures of a list.
pub(in crate::kinds::stored) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The fault of a text that is none of `allowed`.
pub(super) fn one_of(value: &Value, key: &str, allowed: &[&str], path: &str) -> Option<Cause> {
    match text(value, key) {
        "" => Some(required(format!("{path}.{key}"), "")),
        given if allowed.contains(&given) => None,
        given => Some(unsupported(format!("{path}.{key}"), given, allowed)),
    }
}

fn name_faults(name: &Value, path: &str, rule: meta::NameRule) -> Vec<Cause> {
    let Some(given) = name.as_str().filter(|given| !given.is_empty()) else { return Vec::new() };
    rule(given).iter().map(|why| invalid(path, name, why)).collect()
}

/// The faults of a name that has to be there, and only once.
pub(super) fn own_name<'a>(value: &'a Value, path: &str, seen: &mut HashSet<&'a str>) -> Vec<Cause> {
    let path = format!("{path}.name");
    let name = text(value, "name");
    if name.is_empty() {
        return vec![required(path, "")];
    }
    let mut faults = name_faults(&value["name"], &path, meta::label);
    if !seen.insert(name) {
        faults.push(duplicate(path, &name.into()));
    }
    faults
}

fn volume_faults(spec: &Value, path: &str) -> Vec<Cause> {
    let mut seen = HashSet::new();
    let volumes = list(&spec["volumes"]).enumerate();
    volumes.flat_map(|(index, volume)| own_name(volume, &format!("{path}[{index}]"), &mut seen)).collect()
}

/// The faults of the mounts of a container, where the pod has these `volumes`.
pub(super) fn mount_faults(container: &Value, volumes: &HashSet<&str>, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    for (index, mount) in list(&container["volumeMounts"]).enumerate() {
        let path = |key: &str| format!("{path}.volumeMounts[{index}].{key}");
        let name = text(mount, "name");
        if name.is_empty() {
            faults.push(required(path("name"), ""));
        }
        if !volumes.contains(name) {
            faults.push(not_found(path("name"), &name.into()));
        }
        match text(mount, "mountPath") {
            "" => faults.push(required(path("mountPath"), "")),
            place if !seen.insert(place) => {
                faults.push(invalid(path("mountPath"), &place.into(), "must be unique"));
            }
            _ => {}
        }
    }
    faults
}

/// `ValidateHostAliases`.
fn alias_faults(spec: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    for (index, alias) in list(&spec["hostAliases"]).enumerate() {
        if let Some(why) = ip_error(text(alias, "ip"), IpRules::Strict) {
            faults.push(invalid(format!("{path}[{index}].ip"), &text(alias, "ip").into(), why));
        }
        for (number, name) in list(&alias["hostnames"]).enumerate() {
            let errors = meta::subdomain(name.as_str().unwrap_or_default());
            let path = format!("{path}[{index}].hostnames[{number}]");
            faults.extend(errors.iter().map(|why| invalid(path.clone(), name, why)));
        }
    }
    faults
}

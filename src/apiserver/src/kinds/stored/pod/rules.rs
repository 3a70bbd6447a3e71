//! Status, defaults and validation of a Pod, apart from its `spec` (`pkg/registry/core/pod/strategy.go`, and
//! `ValidatePodCreate`, `ValidatePodUpdate` and `ValidatePodStatusUpdate` in `pkg/apis/core/validation/validation.go`).

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{defaults, validation, warnings};
use crate::kinds::faults::{duplicate, forbidden, invalid};
use crate::kinds::meta;
use crate::object::Object;
use crate::status::Cause;
use pod::validation::ip::{IpRules, ip_error, parse_sloppy};

const GRACE: &str = "terminationGracePeriodSeconds";

/// Gives a new pod its status.
pub(super) fn begin(pod: &mut Object) {
    let class = quality_of_service(pod.spec());
    pod.0.insert("status".to_owned(), json!({"phase": "Pending", "qosClass": class}));
}

/// `ComputePodQOS` in `pkg/apis/core/helper/qos/qos.go`.
fn quality_of_service(spec: &Value) -> &'static str {
    let containers =
        || ["containers", "initContainers"].into_iter().flat_map(|key| validation::list(&spec[key]));
    let amount = |container: &Value, what: &str, of: &str| container["resources"][what].get(of).cloned();
    let mut any = false;
    let mut all = true;
    for container in containers() {
        for of in ["cpu", "memory"] {
            let limit = amount(container, "limits", of);
            // A missing request is as large as the limit.
            let request = amount(container, "requests", of).or_else(|| limit.clone());
            any |= request.is_some();
            all &= limit.is_some() && request == limit;
        }
    }
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// `PrepareForUpdate` of `podStatusStrategy`.
pub(super) fn keep_in_status(pod: &mut Object, old: &Object) {
    meta::keep(pod, old, "ownerReferences");
    let class = old.0.get("status").map(|status| status["qosClass"].clone()).unwrap_or_default();
    if !class.is_null() {
        pod.status_mut().entry("qosClass").or_insert(class);
    }
}

/// Fills in defaults, and keeps `podIP` and `podIPs` in step.
pub(super) fn fill(pod: &mut Object) {
    let spec = pod.spec_mut();
    defaults::fill(spec);
    if spec.get(GRACE).and_then(Value::as_i64).is_some_and(|seconds| seconds < 0) {
        spec.insert(GRACE.to_owned(), 1.into());
    }
    let status = pod.status_mut();
    let first = status.get("podIP").and_then(Value::as_str).unwrap_or_default().to_owned();
    let all = status.get("podIPs").and_then(Value::as_array).filter(|all| !all.is_empty());
    match all.map(|all| all[0]["ip"].clone()) {
        // Where they differ, the older field counts.
        None if !first.is_empty() => status.insert("podIPs".to_owned(), json!([{"ip": first}])),
        Some(other) if !first.is_empty() && other != *first => {
            status.insert("podIPs".to_owned(), json!([{"ip": first}]))
        }
        Some(other) => status.insert("podIP".to_owned(), other),
        None => None,
    };
}

/// `podWarnings` in `pkg/registry/core/pod/strategy.go`. Whoever changes a pod cannot change what is warned of.
pub(super) fn warnings(pod: &Object, old: Option<&Object>) -> Vec<String> {
    if old.is_some() {
        return Vec::new();
    }
    let mut warnings = warnings::of_spec(pod.spec(), "spec");
    let is_host_name = pod.spec()["hostname"].as_str().is_none_or(str::is_empty);
    warnings.extend(warnings::of_name(pod.name(), "the Pod's hostname").filter(|_| is_host_name));
    warnings
}

/// The faults of a pod.
pub(super) fn faults(pod: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut faults = validation::faults(pod.spec(), "spec");
    faults.extend(image_faults(pod.spec()));
    faults.extend(address_faults(pod));
    match old {
        None if validation::list(&pod.spec()["ephemeralContainers"]).next().is_some() => {
            faults.push(forbidden("spec.ephemeralContainers", "cannot be set on create"));
        }
        None => {}
        Some(old) => {
            faults.extend(change_faults(pod, old));
            faults.extend(class_fault(pod, old));
        }
    }
    faults
}

/// `validateContainersOnlyForPod`.
fn image_faults(spec: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    for key in ["containers", "initContainers"] {
        for (index, container) in validation::list(&spec[key]).enumerate() {
            let image = validation::text(container, "image");
            if !image.is_empty() && image.trim() != image {
                let path = format!("spec.{key}[{index}].image");
                faults.push(invalid(path, &image.into(), "must not have leading or trailing whitespace"));
            }
        }
    }
    faults
}

fn address_faults(pod: &Object) -> Vec<Cause> {
    const PATH: &str = "status.podIPs";
    let status = pod.0.get("status").unwrap_or(&Value::Null);
    let all: Vec<&str> = validation::list(&status["podIPs"]).map(|ip| validation::text(ip, "ip")).collect();
    let (mut faults, mut seen, mut families) = (Vec::new(), HashSet::new(), HashSet::new());
    for (index, ip) in all.iter().enumerate() {
        let path = format!("{PATH}[{index}]");
        if let Some(why) = ip_error(ip, IpRules::Legacy) {
            faults.push(invalid(path, &(*ip).into(), why));
        } else if !seen.insert(ip) {
            faults.push(duplicate(path, &json!({"ip": ip})));
        }
        families.insert(parse_sloppy(ip).map(|address| address.is_ipv4()));
    }
    if faults.is_empty() && all.len() > families.len() {
        let why = "may specify no more than one IP for each IP family";
        faults.push(invalid(PATH, &status["podIPs"], why));
    }
    faults
}

/// `ValidatePodStatusUpdate`.
fn class_fault(pod: &Object, old: &Object) -> Option<Cause> {
    let class =
        |pod: &Object| pod.0.get("status").map(|status| status["qosClass"].clone()).unwrap_or_default();
    let (new, old) = (class(pod), class(old));
    let is_other = !old.is_null() && !new.is_null() && new != old;
    is_other.then(|| invalid("status.qosClass", &new, "field is immutable"))
}

/// Of the `spec` only some fields may change.
fn change_faults(pod: &Object, old: &Object) -> Vec<Cause> {
    if fixed(pod.spec()) != fixed(old.spec()) {
        let why = "pod updates may not change fields other than `spec.containers[*].image`,\
                   `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
                   existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
                   previously negative)";
        return vec![forbidden("spec", why)];
    }
    let without_time = |toleration: &Value| {
        let mut toleration = toleration.clone();
        toleration.as_object_mut().and_then(|map| map.remove("tolerationSeconds"));
        toleration
    };
    let tolerations = |pod: &Object| -> Vec<Value> {
        validation::list(&pod.spec()["tolerations"]).map(without_time).collect()
    };
    let now = tolerations(pod);
    if tolerations(old).iter().all(|toleration| now.contains(toleration)) {
        return Vec::new();
    }
    let why = "existing toleration can not be modified except its tolerationSeconds";
    vec![forbidden("spec.tolerations", why)]
}

/// The fields of a `spec` that stay.
fn fixed(spec: &Value) -> Map<String, Value> {
    let mut fixed = spec.as_object().cloned().unwrap_or_default();
    for key in ["activeDeadlineSeconds", "tolerations"] {
        fixed.remove(key);
    }
    for key in ["containers", "initContainers"] {
        let list = fixed.get_mut(key).and_then(Value::as_array_mut);
        for container in list.into_iter().flatten().filter_map(Value::as_object_mut) {
            container.remove("image");
        }
    }
    fixed
}

/// The seconds that a deleted pod may take to end (`CheckGracefulDelete`).
pub(super) fn grace(pod: &Object, asked: Option<i64>) -> i64 {
    let spec = pod.spec();
    let is_anywhere = spec["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let phase = pod.0.get("status").map_or(&Value::Null, |status| &status["phase"]);
    let has_ended = matches!(phase.as_str(), Some("Succeeded" | "Failed"));
    match asked.or_else(|| spec["terminationGracePeriodSeconds"].as_i64()) {
        _ if !is_anywhere || has_ended => 0,
        None => 0,
        Some(seconds) if seconds < 0 => 1,
        Some(seconds) => seconds,
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;

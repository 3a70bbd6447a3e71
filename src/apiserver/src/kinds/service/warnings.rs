//! Warnings for clients that write a Service (`pkg/api/service/warnings.go` of Kubernetes 1.36).

use serde_json::Value;

use super::spec::{CLUSTER_IP, EXTERNAL_NAME, NONE};
use crate::object::Object;
use pod::validation::cidr::cidr_warnings;
use pod::validation::ip::ip_warning;

pub(super) const TOPOLOGY_HINTS: &str = "service.kubernetes.io/topology-aware-hints";
pub(super) const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";

/// The warnings about a Service with its defaults, in the order in which the API server gives them.
pub(super) fn warnings(object: &Object) -> Vec<String> {
    let spec = object.spec();
    let (kind, cluster_ip) = (text(spec, "type"), text(spec, "clusterIP"));
    let (is_headless, is_external_name) = (kind == CLUSTER_IP && cluster_ip == NONE, kind == EXTERNAL_NAME);
    let has_external_ips = texts(spec, "externalIPs").next().is_some();
    let mut warnings = Vec::new();
    if object.metadata().get("annotations").is_some_and(|all| all.get(TOPOLOGY_HINTS).is_some()) {
        warnings
            .push(format!("annotation {TOPOLOGY_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead"));
    }
    if !matches!(cluster_ip, "" | NONE) {
        warnings.extend(of_addresses(spec, "clusterIPs"));
    }
    if is_headless {
        warnings.extend(headless_warnings(spec, has_external_ips));
    }
    warnings.extend(of_addresses(spec, "externalIPs"));
    if has_external_ips && !is_headless && !is_external_name {
        let why = "spec.externalIPs is deprecated and may no longer be implemented in some clusters";
        warnings.push(why.to_owned());
    }
    warnings.extend(ip_warning("spec.loadBalancerIP", text(spec, "loadBalancerIP")));
    for (index, range) in texts(spec, "loadBalancerSourceRanges").enumerate() {
        warnings.extend(cidr_warnings(&format!("spec.loadBalancerSourceRanges[{index}]"), range));
    }
    if is_external_name && has_external_ips {
        warnings.push(format!("spec.externalIPs is ignored when spec.type is {EXTERNAL_NAME:?}"));
    }
    if !is_external_name && !text(spec, "externalName").is_empty() {
        warnings.push(format!("spec.externalName is ignored when spec.type is not {EXTERNAL_NAME:?}"));
    }
    if text(spec, "trafficDistribution") == "PreferClose" {
        let why = "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"";
        warnings.push(why.to_owned());
    }
    warnings
}

/// Warnings about fields that have no effect without a cluster IP.
fn headless_warnings(spec: &Value, has_external_ips: bool) -> impl Iterator<Item = String> {
    let ignored = [
        ("loadBalancerIP", !text(spec, "loadBalancerIP").is_empty()),
        ("externalIPs", has_external_ips),
        // Kubernetes' own wording.
        ("SessionAffinity", text(spec, "sessionAffinity") != "None"),
    ];
    let ignored = ignored.into_iter().filter(|(_, is_set)| *is_set);
    ignored.map(|(field, _)| format!("spec.{field} is ignored for headless services"))
}

fn of_addresses(spec: &Value, field: &str) -> Vec<String> {
    let addresses = texts(spec, field).enumerate();
    addresses.filter_map(|(index, ip)| ip_warning(&format!("spec.{field}[{index}]"), ip)).collect()
}

fn text<'a>(spec: &'a Value, field: &str) -> &'a str {
    spec[field].as_str().unwrap_or_default()
}

fn texts<'a>(spec: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    spec[field].as_array().into_iter().flatten().filter_map(Value::as_str)
}

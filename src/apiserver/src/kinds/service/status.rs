//! Validation of a `status` that a client writes (`serviceStatusStrategy` in
//! `pkg/registry/core/service/strategy.go`, `ValidateLoadBalancerStatus` in `pkg/apis/core/validation/validation.go`).

use serde_json::Value;

use super::spec::{LOAD_BALANCER, Spec};
use crate::kinds::faults::{MOST, forbidden, invalid, required, unsupported};
use crate::object::Object;
use crate::status::Cause;
use pod::validation::dns;
use pod::validation::ip::{IpRules, ip_error, ip_warning, parse_sloppy};

const INGRESS: &str = "status.loadBalancer.ingress";

fn ingress(object: &Object) -> &[Value] {
    let status = object.0.get("status");
    let list = status.and_then(|status| status["loadBalancer"]["ingress"].as_array());
    list.map_or(&[], Vec::as_slice)
}

/// Sets the default `ipMode` (`SetDefaults_Service`).
pub(super) fn fill(object: &mut Object, spec: &Spec) {
    if !spec.is(LOAD_BALANCER) {
        return;
    }
    let status = object.0.get_mut("status");
    let list = status.and_then(|status| status.pointer_mut("/loadBalancer/ingress")?.as_array_mut());
    for one in list.into_iter().flatten().filter_map(Value::as_object_mut) {
        if one.get("ip").and_then(Value::as_str).is_some_and(|ip| !ip.is_empty()) {
            one.entry("ipMode").or_insert_with(|| "VIP".into());
        }
    }
}

/// The warnings about addresses in another form than Kubernetes has them.
pub(super) fn warnings(object: &Object) -> Vec<String> {
    let of_each = ingress(object).iter().enumerate();
    let addresses = of_each.filter_map(|(index, one)| Some((index, one["ip"].as_str()?)));
    addresses.filter_map(|(index, ip)| ip_warning(&format!("{INGRESS}[{index}]"), ip)).take(MOST).collect()
}

/// The faults of `status.loadBalancer`.
pub(super) fn faults(object: &Object, spec: &Spec, old: &Object) -> Vec<Cause> {
    let list = ingress(object);
    if !spec.is(LOAD_BALANCER) {
        let why = "may only be used when `spec.type` is 'LoadBalancer'";
        return if list.is_empty() { Vec::new() } else { vec![forbidden(INGRESS, why)] };
    }
    let known: Vec<&str> = ingress(old).iter().filter_map(|one| one["ip"].as_str()).collect();
    let of_each = list.iter().enumerate();
    of_each
        .flat_map(|(index, one)| entry_faults(one, &format!("{INGRESS}[{index}]"), &known))
        .take(MOST)
        .collect()
}

fn entry_faults(one: &Value, path: &str, known: &[&str]) -> Vec<Cause> {
    let text = |key: &str| one[key].as_str().unwrap_or_default();
    let (ip, hostname) = (text("ip"), text("hostname"));
    let field = |key: &str| format!("{path}.{key}");
    let mut faults = Vec::new();
    if !ip.is_empty() {
        let rules = if known.contains(&ip) { IpRules::Legacy } else { IpRules::Strict };
        faults.extend(ip_error(ip, rules).map(|why| invalid(field("ip"), &ip.into(), why)));
    }
    match one["ipMode"].as_str() {
        None if ip.is_empty() => {}
        None => faults.push(required(field("ipMode"), "must be specified when `ip` is set")),
        Some(_) if ip.is_empty() => {
            faults.push(forbidden(field("ipMode"), "may not be specified when `ip` is not set"));
        }
        Some("VIP" | "Proxy") => {}
        Some(mode) => faults.push(unsupported(field("ipMode"), mode, &["Proxy", "VIP"])),
    }
    if !hostname.is_empty() {
        let errors = dns::subdomain_errors(hostname);
        faults.extend(errors.iter().map(|why| invalid(field("hostname"), &hostname.into(), why)));
        if parse_sloppy(hostname).is_some() {
            faults.push(invalid(
                field("hostname"),
                &hostname.into(),
                "must be a DNS name, not an IP address",
            ));
        }
    }
    faults
}

//! Defaults and validation of Endpoints (`SetDefaults_Endpoints` in `pkg/apis/core/v1/defaults.go`, `ValidateEndpoints`
//! in `pkg/apis/core/validation/validation.go` of Kubernetes 1.36).

use serde_json::Value;

use crate::kinds::faults::{MOST, invalid, of_protocols, required};
use crate::kinds::meta;
use crate::object::Object;
use crate::status::Cause;
use pod::validation::dns;
use pod::validation::ip::{IpRules, endpoint_error, ip_error};

/// A list; empty if it is missing.
pub(super) fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Fills in the protocols of ports.
pub(super) fn fill(object: &mut Object) {
    let subsets = object.0.get_mut("subsets").and_then(Value::as_array_mut).into_iter().flatten();
    let ports = subsets.filter_map(|subset| subset.get_mut("ports")?.as_array_mut()).flatten();
    for port in ports.filter_map(Value::as_object_mut) {
        if port.get("protocol").and_then(Value::as_str).is_none_or(str::is_empty) {
            port.insert("protocol".to_owned(), "TCP".into());
        }
    }
}

/// The faults of Endpoints that take the place of `old`. Subsets that did not change are not checked again.
pub(super) fn faults(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut faults = meta::faults(object, meta::subdomain);
    let subsets = |object: &Object| list(object.0.get("subsets")).to_vec();
    if old.is_none_or(|old| subsets(old) != subsets(object)) {
        let all = list(object.0.get("subsets")).iter().enumerate();
        let found = all.flat_map(|(index, subset)| subset_faults(subset, &format!("subsets[{index}]")));
        faults.extend(found.take(MOST));
    }
    faults
}

fn subset_faults(subset: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    let lists = ["addresses", "notReadyAddresses"].map(|key| (key, list(subset.get(key))));
    if lists.iter().all(|(_, addresses)| addresses.is_empty()) {
        faults.push(required(path, "must specify `addresses` or `notReadyAddresses`"));
    }
    for (key, addresses) in lists {
        let all = addresses.iter().enumerate();
        let found = all.flat_map(|(index, one)| address_faults(one, &format!("{path}.{key}[{index}]")));
        faults.extend(found.take(MOST));
    }
    let ports = list(subset.get("ports"));
    let of_ports = ports.iter().enumerate();
    let is_named = ports.len() > 1;
    let found =
        of_ports.flat_map(|(index, port)| port_faults(port, is_named, &format!("{path}.ports[{index}]")));
    faults.extend(found.take(MOST));
    faults
}

fn address_faults(address: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    let field = |key: &str| format!("{path}.{key}");
    let text = |key: &str| address[key].as_str().unwrap_or_default();
    let ip = text("ip");
    faults.extend(ip_error(ip, IpRules::Strict).map(|why| invalid(field("ip"), &ip.into(), why)));
    let host = text("hostname");
    if !host.is_empty() {
        let errors = dns::label_errors(host);
        faults.extend(errors.iter().map(|why| invalid(field("hostname"), &host.into(), why)));
    }
    if let Some(node) = address["nodeName"].as_str() {
        let errors = dns::subdomain_errors(node);
        faults.extend(errors.iter().map(|why| invalid(field("nodeName"), &node.into(), why)));
    }
    faults.extend(endpoint_error(ip).map(|why| invalid(field("ip"), &ip.into(), why)));
    faults
}

fn port_faults(port: &Value, is_named: bool, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    let field = |key: &str| format!("{path}.{key}");
    let name = port["name"].as_str().unwrap_or_default();
    if name.is_empty() && is_named {
        faults.push(required(field("name"), ""));
    } else if !name.is_empty() {
        let errors = dns::label_errors(name);
        faults.extend(errors.iter().map(|why| invalid(field("name"), &name.into(), why)));
    }
    let number = port["port"].as_i64().unwrap_or_default();
    if !(1..=65535).contains(&number) {
        faults.push(invalid(field("port"), &number.into(), "must be between 1 and 65535, inclusive"));
    }
    faults.extend(of_protocols(port, field));
    faults
}

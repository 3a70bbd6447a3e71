//! Defaults and validation of Nodes (`pkg/apis/core/v1/conversion.go`, `defaults.go`, and `ValidateNode` and
//! `ValidateNodeUpdate` in `pkg/apis/core/validation/validation.go`).

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::kinds::faults::{duplicate, forbidden, invalid, required, unsupported};
use crate::object::Object;
use crate::status::Cause;
use pod::validation::cidr::{legacy_error, parse_sloppy_cidr};
use pod::validation::labels::{label_value_errors, qualified_name_errors};

const POD_CIDRS: &str = "spec.podCIDRs";
const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "PreferNoSchedule"];

/// Keeps `podCIDR` and `podCIDRs` in step, and copies `capacity` to a missing `allocatable`.
pub(super) fn fill(node: &mut Object) {
    let spec = node.spec_mut();
    let first = spec.get("podCIDR").and_then(Value::as_str).unwrap_or_default().to_owned();
    let all = spec.get("podCIDRs").and_then(Value::as_array).filter(|all| !all.is_empty());
    match all.map(|all| all[0].clone()) {
        // Where they differ, the older field counts.
        None if !first.is_empty() => spec.insert("podCIDRs".to_owned(), json!([first])),
        Some(other) if !first.is_empty() && other != *first => {
            spec.insert("podCIDRs".to_owned(), json!([first]))
        }
        Some(other) => spec.insert("podCIDR".to_owned(), other),
        None => None,
    };
    let status = node.status_mut();
    if let (None, Some(capacity)) = (status.get("allocatable"), status.get("capacity").cloned()) {
        status.insert("allocatable".to_owned(), capacity);
    }
}

/// The faults of a Node.
pub(super) fn faults(node: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut faults = taint_faults(node);
    faults.extend(network_faults(&cidrs(node)));
    if let Some(old) = old {
        faults.extend(address_faults(node));
        faults.extend(change_faults(node, old));
    }
    faults
}

fn cidrs(node: &Object) -> Vec<&str> {
    let all = node.spec()["podCIDRs"].as_array().into_iter().flatten();
    all.map(|cidr| cidr.as_str().unwrap_or_default()).collect()
}

fn network_faults(cidrs: &[&str]) -> Vec<Cause> {
    let each = cidrs.iter().enumerate();
    let mut faults: Vec<Cause> = each
        .filter_map(|(index, cidr)| {
            Some(invalid(format!("{POD_CIDRS}[{index}]"), &(*cidr).into(), legacy_error(cidr)?))
        })
        .collect();
    let is_v4 = |cidr: &&str| parse_sloppy_cidr(cidr).map(|network| network.addr().is_ipv4());
    let families: HashSet<Option<bool>> = cidrs.iter().map(is_v4).collect();
    if faults.is_empty() && cidrs.len() > families.len() {
        let why = "may specify no more than one CIDR for each IP family";
        faults.push(invalid(POD_CIDRS, &json!(cidrs), why));
    }
    faults
}

/// The faults of the taints, with the path that Kubernetes gives them.
fn taint_faults(node: &Object) -> Vec<Cause> {
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    for (index, taint) in node.spec()["taints"].as_array().into_iter().flatten().enumerate() {
        let text = |key: &str| taint[key].as_str().unwrap_or_default();
        let path = |key: &str| format!("metadata.taints[{index}].{key}");
        let (key, value, effect) = (text("key"), text("value"), text("effect"));
        faults.extend(qualified_name_errors(key).iter().map(|why| invalid(path("key"), &key.into(), why)));
        let errors = label_value_errors(value).join(";");
        if !errors.is_empty() {
            faults.push(invalid(path("value"), &value.into(), errors));
        }
        match effect {
            "" => faults.push(required(path("effect"), "")),
            effect if EFFECTS.contains(&effect) => {}
            effect => faults.push(unsupported(path("effect"), effect, &EFFECTS)),
        }
        if !seen.insert((key, effect)) {
            let mut fault = duplicate(format!("metadata.taints[{index}]"), taint);
            fault.message.push_str(": taints must be unique by key and effect pair");
            faults.push(fault);
        }
    }
    faults
}

fn address_faults(node: &Object) -> Vec<Cause> {
    let status = node.0.get("status").unwrap_or(&Value::Null);
    let addresses = status["addresses"].as_array().into_iter().flatten().enumerate();
    let mut seen = HashSet::new();
    let twice = addresses.filter(|(_, address)| !seen.insert(address.to_string()));
    twice.map(|(index, address)| duplicate(format!("status.addresses[{index}]"), address)).collect()
}

/// The networks and the provider's id cannot be changed once they are set.
fn change_faults(node: &Object, old: &Object) -> Vec<Cause> {
    let mut faults = Vec::new();
    let (new_cidrs, old_cidrs) = (cidrs(node), cidrs(old));
    if !old_cidrs.is_empty() {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        let count = if new_cidrs.len() == old_cidrs.len() {
            new_cidrs.iter().zip(&old_cidrs).filter(|(new, old)| new != old).count()
        } else {
            1
        };
        faults.extend((0..count).map(|_| forbidden(POD_CIDRS, why)));
    }
    let text = |object: &Object, key: &str| object.spec()[key].as_str().unwrap_or_default().to_owned();
    let provider = text(old, "providerID");
    if !provider.is_empty() && text(node, "providerID") != provider {
        let why = "node updates may not change providerID except from \"\" to valid";
        faults.push(forbidden("spec.providerID", why));
    }
    if text(node, "externalID") != text(old, "externalID") {
        faults.push(forbidden("spec.externalID", "may not be updated"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(spec: Value) -> Object {
        Object::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).unwrap()
    }

    #[test]
    fn both_fields_of_pod_networks_are_in_step() {
        for (given, kept) in [
            (json!({}), json!({})),
            (
                json!({"podCIDR": "10.0.0.0/24"}),
                json!({"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"]}),
            ),
            (
                json!({"podCIDRs": ["10.0.0.0/24", "fd00::/64"]}),
                json!({"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24", "fd00::/64"]}),
            ),
            (
                json!({"podCIDR": "10.0.1.0/24", "podCIDRs": ["10.0.0.0/24", "fd00::/64"]}),
                json!({"podCIDR": "10.0.1.0/24", "podCIDRs": ["10.0.1.0/24"]}),
            ),
        ] {
            let mut node = node(given);
            fill(&mut node);
            assert_eq!(*node.spec(), kept);
        }
    }

    #[test]
    fn pod_networks_are_given_once() {
        let told = |new: Value, old: Option<Value>| {
            let old = old.map(node);
            let faults = faults(&node(new), old.as_ref());
            faults.iter().map(|fault| format!("{}: {}", fault.field, fault.message)).collect::<Vec<_>>()
        };
        let (one, both) =
            (json!({"podCIDRs": ["10.0.0.0/24"]}), json!({"podCIDRs": ["10.0.0.0/24", "fd00::/64"]}));
        assert_eq!(told(both.clone(), None), [""; 0]);
        assert_eq!(told(both.clone(), Some(json!({}))), [""; 0]);
        assert_eq!(told(both.clone(), Some(both.clone())), [""; 0]);
        let changed =
            "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid";
        assert_eq!(told(both.clone(), Some(one.clone())), [changed]);
        assert_eq!(told(json!({}), Some(one.clone())), [changed]);
        assert_eq!(told(json!({"podCIDRs": ["10.0.1.0/24"]}), Some(one)), [changed]);
        let twice = told(json!({"podCIDRs": ["10.0.0.0/24", "10.0.1.0/24"]}), None);
        let why = "may specify no more than one CIDR for each IP family";
        assert_eq!(
            twice,
            [format!("spec.podCIDRs: Invalid value: [\"10.0.0.0/24\",\"10.0.1.0/24\"]: {why}")]
        );
        let bad = told(json!({"podCIDRs": ["10.0.0.0"]}), None);
        assert!(
            bad[0].starts_with("spec.podCIDRs[0]: Invalid value: \"10.0.0.0\": must be a valid CIDR value")
        );
    }

    #[test]
    fn taints_and_addresses_are_checked() {
        let taints = json!({"taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoSchedule"},
            {"key": "", "effect": "x", "value": "!"}]});
        let fields: Vec<String> = faults(&node(taints), None).into_iter().map(|fault| fault.field).collect();
        let expected = ["[1]", "[2].key", "[2].key", "[2].value", "[2].effect"];
        assert_eq!(fields, expected.map(|field| format!("metadata.taints{field}")));
        let address = json!({"type": "InternalIP", "address": "10.0.0.1"});
        let mut old = node(json!({}));
        old.status_mut().insert("addresses".to_owned(), json!([address, address]));
        assert_eq!(faults(&old, None).len(), 0);
        assert_eq!(faults(&old, Some(&old))[0].field, "status.addresses[1]");
    }
}

//! Defaults and validation of EndpointSlices (`pkg/apis/discovery/v1/defaults.go` and
//! `pkg/apis/discovery/validation/validation.go` of Kubernetes 1.36). Service proxies rely on them: kube-proxy exits at
//! a port without a protocol, and programs no Service while one address is invalid.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::kinds::faults::{MOST, duplicate, invalid, of_protocols, required, too_many, unsupported};
use crate::kinds::meta;
use crate::object::Object;
use crate::status::Cause;
use pod::validation::dns;
use pod::validation::ip::{IpRules, canonical_error, endpoint_error, ip_error, parse_sloppy};
use pod::validation::labels::label_value_errors;

const ENDPOINTS_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 20_000;
const ADDRESS_TYPES: [&str; 3] = ["FQDN", "IPv4", "IPv6"];
/// Most zones, and most nodes, in the hints of an endpoint.
const HINTS_MAX: usize = 8;

/// Fills in the names and protocols of ports, and drops `deprecatedTopology`, which this version only shows.
pub(super) fn fill(object: &mut Object, old: Option<&Object>) {
    for port in maps(object, "ports") {
        fill_in(port, "name", "");
        fill_in(port, "protocol", "TCP");
    }
    if old.is_none_or(|old| !has_same_endpoints(object, old)) {
        maps(object, "endpoints").for_each(|endpoint| {
            endpoint.remove("deprecatedTopology");
        });
    }
}

fn maps<'a>(object: &'a mut Object, key: &str) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = object.0.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn fill_in(map: &mut Map<String, Value>, key: &str, default: &str) {
    if map.get(key).is_none_or(Value::is_null) {
        map.insert(key.to_owned(), default.into());
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn top<'a>(object: &'a Object, key: &str) -> &'a [Value] {
    object.0.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn has_same_endpoints(one: &Object, other: &Object) -> bool {
    top(one, "endpoints") == top(other, "endpoints")
}

/// The faults of an EndpointSlice that takes the place of `old`. Endpoints that did not change are not checked again.
pub(super) fn faults(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut faults = meta::faults(object, meta::subdomain);
    match text(object, "addressType") {
        "" => faults.push(required("addressType", "")),
        known if ADDRESS_TYPES.contains(&known) => {}
        other => faults.push(unsupported("addressType", other, &ADDRESS_TYPES)),
    }
    faults.extend(port_faults(top(object, "ports")));
    if old.is_none_or(|old| !has_same_endpoints(object, old)) {
        faults.extend(endpoint_faults(top(object, "endpoints"), text(object, "addressType")));
    }
    if let Some(before) = old.map(|old| text(old, "addressType"))
        && before != text(object, "addressType")
    {
        faults.push(invalid("addressType", &text(object, "addressType").into(), "field is immutable"));
    }
    faults
}

fn port_faults(ports: &[Value]) -> Vec<Cause> {
    if ports.len() > PORTS_MAX {
        return vec![too_many("ports", ports.len(), PORTS_MAX)];
    }
    let mut names = HashSet::new();
    let faults = ports.iter().enumerate().flat_map(|(index, port)| {
        let field = |key: &str| format!("ports[{index}].{key}");
        let name = port["name"].as_str().unwrap_or_default();
        let mut faults = Vec::new();
        if !name.is_empty() {
            let errors = dns::label_errors(name);
            faults.extend(errors.iter().map(|why| invalid(field("name"), &name.into(), why)));
        }
        if !names.insert(name) {
            faults.push(duplicate(field("name"), &name.into()));
        }
        faults.extend(of_protocols(port, field));
        faults
    });
    faults.take(MOST).collect()
}

fn endpoint_faults(endpoints: &[Value], address_type: &str) -> Vec<Cause> {
    if endpoints.len() > ENDPOINTS_MAX {
        return vec![too_many("endpoints", endpoints.len(), ENDPOINTS_MAX)];
    }
    let of_each = endpoints.iter().enumerate();
    let faults = of_each.flat_map(|(index, endpoint)| {
        let path = format!("endpoints[{index}]");
        let mut faults = address_faults(list(endpoint, "addresses"), address_type, &path);
        if let Some(node) = endpoint["nodeName"].as_str() {
            let errors = dns::subdomain_errors(node);
            faults.extend(errors.iter().map(|why| invalid(format!("{path}.nodeName"), &node.into(), why)));
        }
        if let Some(host) = endpoint["hostname"].as_str() {
            let errors = dns::label_errors(host);
            faults.extend(errors.iter().map(|why| invalid(format!("{path}.hostname"), &host.into(), why)));
        }
        faults.extend(hint_faults(&endpoint["hints"], &format!("{path}.hints")));
        faults
    });
    faults.take(MOST).collect()
}

fn address_faults(addresses: &[Value], address_type: &str, path: &str) -> Vec<Cause> {
    let path = format!("{path}.addresses");
    let mut faults = Vec::new();
    match addresses.len() {
        0 => faults.push(required(&path, "must contain at least 1 address")),
        count if count > ADDRESSES_MAX => faults.push(too_many(&path, count, ADDRESSES_MAX)),
        _ => {}
    }
    for (index, address) in addresses.iter().filter_map(Value::as_str).enumerate().take(MOST) {
        let own = format!("{path}[{index}]");
        match address_type {
            "IPv4" => faults.extend(ip_faults(address, false, &path, &own)),
            "IPv6" => faults.extend(ip_faults(address, true, &path, &own)),
            "FQDN" => faults.extend(domain_fault(address, &own)),
            _ => {}
        }
    }
    faults
}

/// `path` is that of the list, `own` that of the address.
fn ip_faults(address: &str, is_v6: bool, path: &str, own: &str) -> Vec<Cause> {
    let value = Value::from(address);
    let error =
        if is_v6 { canonical_error(address) } else { ip_error(address, IpRules::Strict).map(str::to_owned) };
    if let Some(why) = error {
        return vec![invalid(own, &value, why)];
    }
    let mut faults = Vec::new();
    if parse_sloppy(address).is_some_and(|address| address.is_ipv6() != is_v6) {
        let family = if is_v6 { "IPv6" } else { "IPv4" };
        faults.push(invalid(path, &value, format!("must be an {family} address")));
    }
    faults.extend(endpoint_error(address).map(|why| invalid(own, &value, why)));
    faults
}

/// `IsFullyQualifiedDomainName`.
fn domain_fault(name: &str, path: &str) -> Option<Cause> {
    if name.is_empty() {
        return Some(required(path, ""));
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let errors = dns::subdomain_errors(name);
    if !errors.is_empty() {
        return Some(invalid(path, &name.into(), errors.join(",")));
    }
    if !name.contains('.') {
        let why = "should be a domain with at least two segments separated by dots";
        return Some(invalid(path, &name.into(), why));
    }
    let long = name.split('.').find(|label| !dns::is_label(label))?;
    Some(invalid(path, &long.into(), dns::label_errors(long).join(",")))
}

fn hint_faults(hints: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    let is_zone: fn(&str) -> Vec<String> = label_value_errors;
    for (key, rule) in [("forZones", is_zone), ("forNodes", meta::subdomain)] {
        let (path, all) = (format!("{path}.{key}"), list(hints, key));
        if all.len() > HINTS_MAX {
            faults.push(too_many(path, all.len(), HINTS_MAX));
            return faults;
        }
        let mut names = HashSet::new();
        for (index, one) in all.iter().enumerate() {
            let (field, name) = (format!("{path}[{index}].name"), one["name"].as_str().unwrap_or_default());
            if !names.insert(name) {
                faults.push(duplicate(&field, &name.into()));
            }
            faults.extend(rule(name).iter().map(|why| invalid(&field, &name.into(), why)));
        }
    }
    faults
}

/// The text at `key`; empty if it is missing.
pub(super) fn text<'a>(object: &'a Object, key: &str) -> &'a str {
    object.0.get(key).and_then(Value::as_str).unwrap_or_default()
}

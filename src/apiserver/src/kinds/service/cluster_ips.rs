//! Validation of `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy`, and of changes to them.

use std::collections::HashSet;

use serde_json::json;

use super::spec::{NONE, PREFER_DUAL, REQUIRE_DUAL, SINGLE, Spec};
use crate::kinds::family::{FamilyExt, IpFamily};
use crate::kinds::faults::{MOST, duplicate, invalid, required, unsupported};
use crate::status::Cause;
use pod::validation::ip::{IpRules, ip_error, parse_sloppy};

const IPS: &str = "spec.clusterIPs";
const FAMILIES: &str = "spec.ipFamilies";

/// The faults of these fields in combination (`ValidateServiceClusterIPsRelatedFields`).
pub(super) fn faults(spec: &Spec, old: Option<&Spec>) -> Vec<Cause> {
    if !spec.needs_cluster_ip() {
        return Vec::new();
    }
    let ips = &spec.cluster_ips;
    let mut faults: Vec<Cause> = singular_fault(spec).into_iter().collect();
    faults.extend(family_faults(spec));
    let mut is_broken = false;
    for (index, ip) in ips.iter().enumerate().take(MOST) {
        if index == 0 && ip == NONE {
            if ips.len() > 1 {
                is_broken = true;
                faults.push(invalid(IPS, &json!(ips), "'None' must be the first and only value"));
            }
            continue;
        }
        let is_kept = old.is_some_and(|old| old.cluster_ips.contains(ip));
        if let Some(why) = ip_error(ip, if is_kept { IpRules::Legacy } else { IpRules::Strict }) {
            is_broken = true;
            faults.push(invalid(format!("{IPS}[{index}]"), &ip.as_str().into(), why));
        }
    }
    if ips.len() > 2 {
        faults.push(invalid(IPS, &json!(ips), "may only hold up to 2 values"));
    }
    // Broken addresses would cause false faults here.
    if !is_broken {
        faults.extend(together_faults(spec));
    }
    faults
}

fn singular_fault(spec: &Spec) -> Option<Cause> {
    match (spec.cluster_ip.as_str(), spec.cluster_ips.first()) {
        ("", None) => None,
        ("", Some(_)) => {
            Some(invalid(IPS, &json!(spec.cluster_ips), "must be empty when `clusterIP` is not specified"))
        }
        (_, None) => Some(required(IPS, "")),
        (ip, Some(first)) if ip == first => None,
        _ => Some(invalid(IPS, &json!(spec.cluster_ips), "first value must match `clusterIP`")),
    }
}

fn family_faults(spec: &Spec) -> Vec<Cause> {
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    for (index, family) in spec.ip_families.iter().enumerate().take(MOST) {
        let field = format!("{FAMILIES}[{index}]");
        if IpFamily::from_name(family).is_none() {
            faults.push(unsupported(&field, family, &["IPv4", "IPv6"]));
        }
        if !seen.insert(family) {
            faults.push(duplicate(field, &family.as_str().into()));
        }
    }
    let known = [PREFER_DUAL, REQUIRE_DUAL, SINGLE];
    if let Some(policy) = spec.ip_family_policy.as_deref().filter(|policy| !known.contains(policy)) {
        faults.push(unsupported("spec.ipFamilyPolicy", policy, &known));
    }
    faults
}

/// Two addresses of one family, or an address that is not of its entry in `ipFamilies`.
fn together_faults(spec: &Spec) -> Vec<Cause> {
    let mut faults = Vec::new();
    let of_ips: Vec<Option<IpFamily>> =
        spec.cluster_ips.iter().map(|ip| parse_sloppy(ip).map(IpFamily::of)).collect();
    let has_both = of_ips.contains(&Some(IpFamily::V4)) && of_ips.contains(&Some(IpFamily::V6));
    if of_ips.len() > 1 && !has_both {
        let why = "may specify no more than one IP for each IP family";
        faults.push(invalid(IPS, &json!(spec.cluster_ips), why));
    }
    if spec.is_headless() {
        return faults;
    }
    for (index, (ip, name)) in spec.cluster_ips.iter().zip(&spec.ip_families).enumerate() {
        let Some(family) = IpFamily::from_name(name).filter(|family| of_ips[index] != Some(*family)) else {
            continue;
        };
        let why = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
        faults.push(invalid(format!("{IPS}[{index}]"), &ip.as_str().into(), why));
    }
    faults
}

/// The faults of a change of addresses: only the second one may be added or removed. Families and policy have been checked
/// before.
pub(super) fn change_faults(spec: &Spec, old: &Spec) -> Vec<Cause> {
    let has_none = |spec: &Spec| !spec.needs_cluster_ip();
    if has_none(spec) || has_none(old) || spec.is_headless() && old.is_headless() {
        return Vec::new();
    }
    let (new, old) = (&spec.cluster_ips, &old.cluster_ips);
    let shared = if new.len() == old.len() { new.len() } else { 1 };
    let pairs = new.iter().zip(old).take(shared).enumerate();
    pairs
        .filter(|(_, (new, old))| new != old)
        .map(|(index, _)| invalid(format!("{IPS}[{index}]"), &json!(new), "may not change once set"))
        .collect()
}

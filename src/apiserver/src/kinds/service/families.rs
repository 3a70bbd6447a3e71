//! Chooses the IP families of a Service by `ipFamilyPolicy`, `ipFamilies` and `clusterIPs`.

use serde_json::json;

use super::cluster_ips;
use super::spec::{NONE, PREFER_DUAL, REQUIRE_DUAL, SINGLE, Spec};
use crate::kinds::family::{FamilyExt, IpFamily};
use crate::kinds::faults::{MOST, invalid};
use crate::status::Cause;
use pod::validation::ip::parse_sloppy;

const POLICY: &str = "spec.ipFamilyPolicy";

/// Sets the policy and the families of a Service; `configured` are the cluster's families, the primary one first.
///
/// # Errors
/// The fields that contradict each other.
pub(super) fn fill(spec: &mut Spec, old: Option<&Spec>, configured: &[IpFamily]) -> Result<(), Vec<Cause>> {
    if !spec.needs_cluster_ip() || old.is_some_and(|old| is_settled(spec, old)) {
        return Ok(());
    }
    let is_free = spec.cluster_ip == NONE && spec.selector.is_empty();
    if spec.ip_family_policy.is_none() {
        let before = old.and_then(|old| old.ip_family_policy.clone());
        let default = if is_free { REQUIRE_DUAL } else { SINGLE };
        spec.ip_family_policy = Some(before.unwrap_or_else(|| default.to_owned()));
    }
    none(cluster_ips::faults(spec, old))?;
    let mut faults = old.map(|old| shrink(spec, old)).unwrap_or_default();
    faults.extend(policy_faults(spec));
    faults.extend(infer(spec, configured));
    none(faults)?;
    // Without addresses and pods the client may name any families.
    if is_free {
        let needs_both = !spec.has_policy(SINGLE);
        complete(spec, configured, needs_both);
        return Ok(());
    }
    none(cluster_faults(spec, configured))?;
    let needs_both = !spec.has_policy(SINGLE) && configured.len() == 2;
    complete(spec, configured, needs_both);
    Ok(())
}

fn none(faults: Vec<Cause>) -> Result<(), Vec<Cause>> {
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// Whether a Service prefers two families and the change leaves that alone: its families then stay, even if the
/// cluster's have changed.
fn is_settled(spec: &Spec, old: &Spec) -> bool {
    spec.kind == old.kind
        && spec.has_policy(PREFER_DUAL)
        && old.ip_family_policy.as_deref().is_none_or(|policy| policy == PREFER_DUAL)
        && spec.cluster_ips == old.cluster_ips
        && spec.ip_families == old.ip_families
}

/// Drops the second family with `SingleStack`, if nothing else is changed. With every other policy it must stay.
fn shrink(spec: &mut Spec, old: &Spec) -> Vec<Cause> {
    let mut faults = Vec::new();
    if spec.has_policy(SINGLE) {
        if spec.cluster_ips == old.cluster_ips {
            spec.cluster_ips.truncate(1);
        }
        if spec.ip_families == old.ip_families {
            spec.ip_families.truncate(1);
        }
        return faults;
    }
    let is_less = |new: &[String], old: &[String]| !new.is_empty() && new.len() < old.len();
    for (is_less, what) in [
        (is_less(&spec.cluster_ips, &old.cluster_ips), "secondary cluster IP"),
        (is_less(&spec.ip_families, &old.ip_families), "secondary IP family"),
    ] {
        if is_less {
            let why = format!("must be 'SingleStack' to release the {what}");
            faults.push(invalid(POLICY, &json!(spec.ip_family_policy), why));
        }
    }
    faults
}

fn policy_faults(spec: &Spec) -> Vec<Cause> {
    let two = [(spec.cluster_ips.len(), "cluster IPs"), (spec.ip_families.len(), "IP families")];
    let wrong = two.into_iter().filter(|(count, _)| spec.has_policy(SINGLE) && *count == 2);
    let why =
        |what| format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
    wrong.map(|(_, what)| invalid(POLICY, &json!(spec.ip_family_policy), why(what))).collect()
}

/// Adds the families of the addresses that are given.
fn infer(spec: &mut Spec, configured: &[IpFamily]) -> Vec<Cause> {
    let mut faults = Vec::new();
    // At most two addresses. Each fault quotes all of them.
    for (index, ip) in spec.cluster_ips.iter().enumerate().take(2).skip(spec.ip_families.len()) {
        // "None" has no family.
        let Some(family) = parse_sloppy(ip).map(IpFamily::of) else { break };
        if configured.contains(&family) {
            spec.ip_families.push(family.name().to_owned());
        } else {
            let field = format!("spec.clusterIPs[{index}]");
            let why = format!("{family} is not configured on this cluster");
            faults.push(invalid(field, &json!(spec.cluster_ips), why));
        }
    }
    faults
}

fn cluster_faults(spec: &Spec, configured: &[IpFamily]) -> Vec<Cause> {
    let mut faults = Vec::new();
    if spec.has_policy(REQUIRE_DUAL) && configured.len() < 2 {
        let why = "this cluster is not configured for dual-stack services";
        faults.push(invalid(POLICY, &json!(REQUIRE_DUAL), why));
    }
    let others = spec.families().enumerate().filter(|(_, family)| !configured.contains(family));
    for (index, family) in others.take(MOST) {
        let field = format!("spec.ipFamilies[{index}]");
        faults.push(invalid(field, &family.name().into(), "not configured on this cluster"));
    }
    faults
}

/// Adds the primary family if there is none, and the other one if the Service needs both.
fn complete(spec: &mut Spec, configured: &[IpFamily], needs_both: bool) {
    if spec.ip_families.is_empty() {
        spec.ip_families.extend(configured.first().map(|family| family.name().to_owned()));
    }
    let families: Vec<IpFamily> = spec.families().collect();
    if let [one] = families[..]
        && needs_both
    {
        spec.ip_families.push(one.other().name().to_owned());
    }
}

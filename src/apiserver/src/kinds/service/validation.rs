//! Validation of Services, with faults in the order of the Kubernetes API server (`ValidateService`).

use serde_json::{Value, json};

use super::spec::{CLUSTER_IP, EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT, Spec};
use super::warnings::{TOPOLOGY_HINTS, TOPOLOGY_MODE};
use super::{cluster_ips, ports};
use crate::kinds::faults::{MOST, forbidden, invalid, required, unsupported};
use crate::kinds::meta;
use crate::object::Object;
use crate::status::Cause;
use pod::validation::cidr::legacy_error;
use pod::validation::dns;
use pod::validation::ip::{IpRules, endpoint_error, ip_error};
use pod::validation::labels::qualified_name_errors;

/// Longest time that a client may stay with a pod, in seconds.
const AFFINITY_MAX: i32 = 86400;
const SOURCE_RANGES_ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const FOR_LOAD_BALANCER: &str = "may only be used when `type` is 'LoadBalancer'";
const NOT_EXTERNAL_NAME: &str = "may not be set for ExternalName services";

/// The faults of a Service.
pub(super) fn faults(object: &Object, spec: &Spec, old: Option<&Spec>) -> Vec<Cause> {
    let mut faults =
        if old.is_some() { meta::kept_faults(object) } else { meta::faults(object, meta::label) };
    faults.extend(topology_fault(object));
    if spec.ports.is_empty() && !spec.is_headless() && spec.needs_cluster_ip() {
        faults.push(required("spec.ports", ""));
    }
    faults.extend(type_faults(spec));
    faults.extend(ports::faults(spec));
    faults.extend(meta::label_faults(object.spec().get("selector"), "spec.selector"));
    faults.extend(affinity_faults(spec));
    faults.extend(cluster_ips::faults(spec, old));
    faults.extend(external_ip_faults(spec, old));
    let known = [CLUSTER_IP, EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT];
    if !known.contains(&spec.kind.as_str()) {
        faults.push(unsupported("spec.type", &spec.kind, &known));
    }
    faults.extend(ports::together_faults(spec));
    faults.extend(source_range_faults(object, spec, old));
    if spec.allocate_load_balancer_node_ports.is_some() && !spec.is(LOAD_BALANCER) {
        faults.push(forbidden("spec.allocateLoadBalancerNodePorts", FOR_LOAD_BALANCER));
    }
    faults.extend(class_faults(spec));
    faults.extend(external_policy_faults(spec));
    faults.extend(internal_policy_faults(spec));
    faults
}

/// The faults of a change, besides those of the new Service.
pub(super) fn change_faults(spec: &Spec, old: &Spec) -> Vec<Cause> {
    let mut faults = cluster_ips::change_faults(spec, old);
    let both = spec.is(LOAD_BALANCER) && old.is(LOAD_BALANCER);
    if both && spec.load_balancer_class != old.load_balancer_class {
        let class = json!(spec.load_balancer_class);
        faults.push(invalid("spec.loadBalancerClass", &class, "may not change once set"));
    }
    // `validateLoadBalancerClassField` is called twice for a change.
    faults.extend(class_faults(spec));
    // `validateServiceExternalTrafficFieldsUpdate`: the port is open on the nodes, and load balancers ask there.
    let both = spec.needs_health_check() && old.needs_health_check();
    if both && spec.health_check_node_port != old.health_check_node_port {
        faults.push(forbidden("spec.healthCheckNodePort", "field is immutable"));
    }
    faults
}

/// Two annotations with the same meaning, of which the older one is deprecated, have to agree.
fn topology_fault(object: &Object) -> Option<Cause> {
    let annotation = |key: &str| object.metadata().get("annotations")?.get(key);
    let (mode, hints) = (annotation(TOPOLOGY_MODE)?, annotation(TOPOLOGY_HINTS)?);
    let why = format!("must match annotations[{TOPOLOGY_HINTS}] when both are specified");
    (mode != hints).then(|| invalid(format!("metadata.annotations[{TOPOLOGY_MODE}]"), mode, why))
}

fn type_faults(spec: &Spec) -> Vec<Cause> {
    let mut faults = Vec::new();
    if spec.needs_node_ports() && spec.is_headless() {
        let why = format!("may not be set to 'None' for {} services", spec.kind);
        faults.push(invalid("spec.clusterIPs[0]", &"None".into(), why));
    }
    if spec.is(EXTERNAL_NAME) {
        faults.extend(external_name_faults(spec));
    }
    faults
}

fn external_name_faults(spec: &Spec) -> Vec<Cause> {
    let mut faults = Vec::new();
    for (is_set, field) in [
        (!spec.cluster_ips.is_empty(), "spec.clusterIPs"),
        (!spec.ip_families.is_empty(), "spec.ipFamilies"),
        (spec.ip_family_policy.is_some(), "spec.ipFamilyPolicy"),
    ] {
        if is_set {
            faults.push(forbidden(field, NOT_EXTERNAL_NAME));
        }
    }
    let field = "spec.externalName";
    match spec.external_name.strip_suffix('.').unwrap_or(&spec.external_name) {
        "" => faults.push(required(field, "")),
        name => {
            faults.extend(dns::subdomain_errors(name).iter().map(|why| invalid(field, &name.into(), why)))
        }
    }
    faults
}

fn affinity_faults(spec: &Spec) -> Option<Cause> {
    match spec.session_affinity.as_str() {
        "None" => None,
        "ClientIP" => {
            let client_ip = spec.session_affinity_config.as_ref()?.client_ip.as_ref()?;
            let seconds = client_ip.timeout_seconds?;
            let why = format!("must be greater than 0 and less than {AFFINITY_MAX}");
            let field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
            (!(1..=AFFINITY_MAX).contains(&seconds)).then(|| invalid(field, &seconds.into(), why))
        }
        other => Some(unsupported("spec.sessionAffinity", other, &["ClientIP", "None"])),
    }
}

fn external_ip_faults(spec: &Spec, old: Option<&Spec>) -> Vec<Cause> {
    let of_each = spec.external_ips.iter().enumerate();
    let faults = of_each.filter_map(|(index, ip)| {
        let is_kept = old.is_some_and(|old| old.external_ips.contains(ip));
        let rules = if is_kept { IpRules::Legacy } else { IpRules::Strict };
        let why = ip_error(ip, rules).map(str::to_owned).or_else(|| endpoint_error(ip))?;
        Some(invalid(format!("spec.externalIPs[{index}]"), &ip.as_str().into(), why))
    });
    faults.take(MOST).collect()
}

fn source_range_faults(object: &Object, spec: &Spec, old: Option<&Spec>) -> Vec<Cause> {
    let ranges = &spec.load_balancer_source_ranges;
    let annotation = object.metadata().get("annotations").and_then(|all| all.get(SOURCE_RANGES_ANNOTATION));
    let mut faults = Vec::new();
    let mut check = |field: String, range: &str| {
        if let Some(why) = legacy_error(range).filter(|_| faults.len() < MOST) {
            faults.push(invalid(field, &range.into(), why));
        }
    };
    let field = if !ranges.is_empty() {
        let field = "spec.LoadBalancerSourceRanges".to_owned();
        let is_kept = |range: &str| {
            old.is_some_and(|old| old.load_balancer_source_ranges.iter().any(|kept| kept.trim() == range))
        };
        for (index, range) in ranges.iter().enumerate().filter(|(_, range)| !is_kept(range.trim())) {
            check(format!("{field}[{index}]"), range.trim());
        }
        field
    } else if let Some(annotation) = annotation.and_then(Value::as_str) {
        let field = format!("metadata.annotations[{SOURCE_RANGES_ANNOTATION}]");
        for range in annotation.split(',').map(str::trim).filter(|_| !annotation.trim().is_empty()) {
            check(field.clone(), range);
        }
        field
    } else {
        return faults;
    };
    if !spec.is(LOAD_BALANCER) {
        faults.insert(0, forbidden(field, FOR_LOAD_BALANCER));
    }
    faults
}

fn class_faults(spec: &Spec) -> Vec<Cause> {
    let field = "spec.loadBalancerClass";
    match &spec.load_balancer_class {
        None => Vec::new(),
        Some(_) if !spec.is(LOAD_BALANCER) => vec![forbidden(field, FOR_LOAD_BALANCER)],
        Some(class) => {
            let errors = qualified_name_errors(class);
            errors.iter().map(|why| invalid(field, &class.as_str().into(), why)).collect()
        }
    }
}

fn external_policy_faults(spec: &Spec) -> Vec<Cause> {
    let policy = spec.external_traffic_policy.as_str();
    let field = "spec.externalTrafficPolicy";
    let mut faults = Vec::new();
    match (spec.is_externally_accessible(), policy) {
        (false, "") | (true, "Cluster" | "Local") => {}
        (false, _) => {
            faults.push(invalid(field, &policy.into(), "may only be set for externally-accessible services"));
        }
        (true, "") => faults.push(required(field, "")),
        (true, _) => faults.push(unsupported(field, policy, &["Cluster", "Local"])),
    }
    let port = spec.health_check_node_port;
    if spec.needs_health_check() && !(1..=65535).contains(&port) {
        // A dry run takes no port, so it does not notice that the port is in no range.
        faults.push(invalid("spec.healthCheckNodePort", &port.into(), ports::PORT_RANGE));
    }
    if port != 0 && !spec.needs_health_check() {
        let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        faults.push(invalid("spec.healthCheckNodePort", &port.into(), why));
    }
    faults
}

fn internal_policy_faults(spec: &Spec) -> Vec<Cause> {
    let fields = [
        ("spec.internalTrafficPolicy", &spec.internal_traffic_policy, &["Cluster", "Local"][..]),
        (
            "spec.trafficDistribution",
            &spec.traffic_distribution,
            // In Kubernetes' own order.
            &["PreferClose", "PreferSameZone", "PreferSameNode"],
        ),
    ];
    let given =
        fields.into_iter().filter_map(|(field, value, known)| Some((field, value.as_deref()?, known)));
    given
        .filter(|(_, value, known)| !known.contains(value))
        .map(|(field, value, known)| unsupported(field, value, known))
        .collect()
}

//! The fields that a changed Service takes over from the old one: clients that send an old manifest again, or know only
//! one of two fields that belong together, do not mean to change them.

use std::collections::{BTreeMap, BTreeSet};

use super::spec::{LOAD_BALANCER, Spec};

/// Makes `clusterIPs` agree with `clusterIP` in a new Service that has only that.
pub(super) fn sync_new(spec: &mut Spec) {
    if !spec.cluster_ip.is_empty() && spec.cluster_ips.is_empty() {
        spec.cluster_ips = vec![spec.cluster_ip.clone()];
    }
}

/// Copies allocated values that the client left out.
pub(super) fn fill_allocated(spec: &mut Spec, old: &Spec) {
    if old.needs_cluster_ip() && spec.needs_cluster_ip() {
        if spec.cluster_ip.is_empty() {
            spec.cluster_ip.clone_from(&old.cluster_ip);
        }
        if spec.cluster_ips.is_empty() {
            spec.cluster_ips.clone_from(&old.cluster_ips);
        }
    }
    if old.needs_node_ports() && spec.needs_node_ports() {
        fill_node_ports(spec, old);
    }
    if old.needs_health_check() && spec.needs_health_check() && spec.health_check_node_port == 0 {
        spec.health_check_node_port = old.health_check_node_port;
    }
}

/// Ports of the same name keep their node port, unless another port has it now.
fn fill_node_ports(spec: &mut Spec, old: &Spec) {
    let kept: BTreeSet<i32> = node_ports(old).intersection(&node_ports(spec)).copied().collect();
    let by_name: BTreeMap<&str, i32> =
        old.ports.iter().map(|port| (port.name.as_str(), port.node_port)).collect();
    for port in spec.ports.iter_mut().filter(|port| port.node_port == 0) {
        let before = by_name.get(port.name.as_str()).copied().unwrap_or_default();
        if !kept.contains(&before) {
            port.node_port = before;
        }
    }
}

/// Makes `clusterIPs` agree with a `clusterIP` that was changed or cleared alone, and the other way round.
pub(super) fn sync_changed(spec: &mut Spec, old: &Spec) {
    if spec.cluster_ips.is_empty() && !old.cluster_ips.is_empty() && spec.cluster_ip == old.cluster_ip {
        spec.cluster_ips.clone_from(&old.cluster_ips);
    }
    if spec.cluster_ip == old.cluster_ip || spec.cluster_ips != old.cluster_ips {
        return;
    }
    let is_cleared = spec.cluster_ip.is_empty();
    spec.cluster_ips = if is_cleared { Vec::new() } else { vec![spec.cluster_ip.clone()] };
}

/// Clears fields that the new type does not use, if the client did not change them (`dropTypeDependentFields`).
pub(super) fn drop_useless(spec: &mut Spec, old: &Spec) {
    if old.needs_cluster_ip() && !spec.needs_cluster_ip() {
        if spec.cluster_ip == old.cluster_ip && spec.cluster_ips == old.cluster_ips {
            spec.cluster_ip.clear();
            spec.cluster_ips.clear();
        }
        if spec.ip_families == old.ip_families {
            spec.ip_families.clear();
        }
        if spec.ip_family_policy == old.ip_family_policy {
            spec.ip_family_policy = None;
        }
    }
    let only_old_ports = node_ports(old).is_superset(&node_ports(spec));
    if old.needs_node_ports() && !spec.needs_node_ports() && only_old_ports {
        spec.ports.iter_mut().for_each(|port| port.node_port = 0);
    }
    let same_health_port = spec.health_check_node_port == old.health_check_node_port;
    if old.needs_health_check() && !spec.needs_health_check() && same_health_port {
        spec.health_check_node_port = 0;
    }
    if old.is(LOAD_BALANCER) && !spec.is(LOAD_BALANCER) {
        if spec.allocate_load_balancer_node_ports == old.allocate_load_balancer_node_ports {
            spec.allocate_load_balancer_node_ports = None;
        }
        if spec.load_balancer_class == old.load_balancer_class {
            spec.load_balancer_class = None;
        }
    }
    let same_policy = spec.external_traffic_policy == old.external_traffic_policy;
    // The type does not decide: `externalIPs` open a ClusterIP Service to the outside, too.
    if old.is_externally_accessible() && !spec.is_externally_accessible() && same_policy {
        spec.external_traffic_policy.clear();
    }
}

/// Clears fields that defaults set on every Service, but that an ExternalName does not have
/// (`defaultOnReadInternalTrafficPolicy` in `pkg/registry/core/service/storage/storage.go`).
pub(super) fn drop_unused(spec: &mut Spec) {
    if !spec.needs_cluster_ip() {
        spec.internal_traffic_policy = None;
    }
}

fn node_ports(spec: &Spec) -> BTreeSet<i32> {
    spec.ports.iter().map(|port| port.node_port).filter(|port| *port != 0).collect()
}

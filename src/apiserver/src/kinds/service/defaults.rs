//! Defaults of Services.

use super::spec::{AffinityConfig, CLUSTER_IP, ClientIpConfig, LOAD_BALANCER, Spec, TargetPort};

/// How long a client stays with a pod, in seconds.
const AFFINITY_SECONDS: i32 = 10800;

/// Sets all defaults that do not depend on the cluster.
pub(super) fn fill(spec: &mut Spec) {
    fill_affinity(spec);
    default_to(&mut spec.kind, CLUSTER_IP);
    for port in &mut spec.ports {
        default_to(&mut port.protocol, "TCP");
        if matches!(&port.target_port, TargetPort::Number(0))
            || port.target_port == TargetPort::Name(String::new())
        {
            port.target_port = TargetPort::Number(port.port);
        }
    }
    if spec.is_externally_accessible() {
        default_to(&mut spec.external_traffic_policy, "Cluster");
    }
    let is_known = spec.is(CLUSTER_IP) || spec.needs_node_ports();
    if is_known && spec.internal_traffic_policy.is_none() {
        spec.internal_traffic_policy = Some("Cluster".to_owned());
    }
    if spec.is(LOAD_BALANCER) {
        spec.allocate_load_balancer_node_ports.get_or_insert(true);
    }
}

fn fill_affinity(spec: &mut Spec) {
    default_to(&mut spec.session_affinity, "None");
    match spec.session_affinity.as_str() {
        "None" => spec.session_affinity_config = None,
        "ClientIP" => {
            let config = spec.session_affinity_config.take();
            let seconds = config.and_then(|config| config.client_ip?.timeout_seconds);
            let seconds = Some(seconds.unwrap_or(AFFINITY_SECONDS));
            let client_ip = Some(ClientIpConfig { timeout_seconds: seconds });
            spec.session_affinity_config = Some(AffinityConfig { client_ip });
        }
        _ => {}
    }
}

fn default_to(field: &mut String, value: &str) {
    if field.is_empty() {
        value.clone_into(field);
    }
}

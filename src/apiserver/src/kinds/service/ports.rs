//! Validation of `spec.ports`.

use std::collections::HashSet;

use serde_json::json;

use super::spec::{CLUSTER_IP, Port, Spec, TargetPort};
use crate::kinds::faults::{MOST, duplicate, forbidden, invalid, required, unsupported};
use crate::status::Cause;
use pod::validation::dns;
use pod::validation::labels::{port_name_errors, qualified_name_errors};

pub(super) const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";

/// The faults of each port.
pub(super) fn faults(spec: &Spec) -> Vec<Cause> {
    let mut names = HashSet::new();
    let needs_name = spec.ports.len() > 1;
    let of_each = spec.ports.iter().enumerate();
    let faults = of_each.flat_map(|(index, port)| port_faults(port, &path(index), needs_name, &mut names));
    faults.take(MOST).collect()
}

fn path(index: usize) -> String {
    format!("spec.ports[{index}]")
}

fn port_faults<'a>(port: &'a Port, path: &str, needs_name: bool, names: &mut HashSet<&'a str>) -> Vec<Cause> {
    let mut faults = Vec::new();
    let field = |key: &str| format!("{path}.{key}");
    let name = port.name.as_str();
    if !name.is_empty() {
        let errors = dns::label_errors(name);
        faults.extend(errors.iter().map(|why| invalid(field("name"), &name.into(), why)));
        if !names.insert(name) {
            faults.push(duplicate(field("name"), &name.into()));
        }
    } else if needs_name {
        faults.push(required(field("name"), ""));
    }
    if !(1..=65535).contains(&port.port) {
        faults.push(invalid(field("port"), &port.port.into(), PORT_RANGE));
    }
    match port.protocol.as_str() {
        "TCP" | "UDP" | "SCTP" => {}
        "" => faults.push(required(field("protocol"), "")),
        protocol => faults.push(unsupported(field("protocol"), protocol, &["SCTP", "TCP", "UDP"])),
    }
    match &port.target_port {
        TargetPort::Number(number) if (1..=65535).contains(number) => {}
        TargetPort::Number(number) => faults.push(invalid(field("targetPort"), &json!(number), PORT_RANGE)),
        TargetPort::Name(name) => {
            let errors = port_name_errors(name);
            faults.extend(errors.iter().map(|why| invalid(field("targetPort"), &name.as_str().into(), why)));
        }
    }
    if let Some(protocol) = &port.app_protocol {
        let errors = qualified_name_errors(protocol);
        faults.extend(errors.iter().map(|why| invalid(field("appProtocol"), &protocol.as_str().into(), why)));
    }
    faults
}

/// The faults of all ports together: duplicates, and node ports that the type does not allow.
pub(super) fn together_faults(spec: &Spec) -> Vec<Cause> {
    let mut faults = Vec::new();
    let with_node_port = || spec.ports.iter().enumerate().filter(|(_, port)| port.node_port != 0);
    let node_port = |index: usize| format!("{}.nodePort", path(index));
    if spec.is(CLUSTER_IP) {
        let why = "may not be used when `type` is 'ClusterIP'";
        faults.extend(with_node_port().map(|(index, _)| forbidden(node_port(index), why)).take(MOST));
    }
    let mut seen = HashSet::new();
    let twice = with_node_port().filter(|(_, port)| !seen.insert((&port.protocol, port.node_port)));
    faults.extend(twice.map(|(index, port)| duplicate(node_port(index), &port.node_port.into())).take(MOST));
    let mut seen = HashSet::new();
    let twice = spec.ports.iter().enumerate().filter(|(_, port)| !seen.insert((&port.protocol, port.port)));
    faults.extend(twice.take(MOST).map(|(index, port)| {
        let key = json!([
            ["Name", ""],
            ["Protocol", port.protocol],
            ["AppProtocol", null],
            ["Port", port.port],
            ["TargetPort", 0],
            ["NodePort", 0],
        ]);
        duplicate(path(index), &key)
    }));
    faults
}

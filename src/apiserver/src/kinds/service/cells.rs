//! The row of a Service in a table.

use std::collections::BTreeSet;

use serde_json::Value;

use super::load_balancer;
use super::spec::{EXTERNAL_NAME, LOAD_BALANCER, Spec};
use crate::kinds::age;
use crate::object::Object;

const NOTHING: &str = "<none>";

/// The cells, in the order of the columns.
pub(super) fn row(object: &Object, now: i64) -> Vec<Value> {
    let spec = Spec::of(object).unwrap_or_default();
    let own = spec.cluster_ips.first().cloned().unwrap_or_else(|| NOTHING.to_owned());
    vec![
        object.name().into(),
        spec.kind.as_str().into(),
        own.into(),
        external(object, &spec).into(),
        ports(&spec).into(),
        age::cell(object, now),
        selector(&spec).into(),
    ]
}

fn external(object: &Object, spec: &Spec) -> String {
    if spec.is(EXTERNAL_NAME) {
        return spec.external_name.clone();
    }
    let mut all: Vec<String> = Vec::new();
    if spec.is(LOAD_BALANCER) {
        let of_balancer: BTreeSet<String> = load_balancer::shown(object).collect();
        all.extend(of_balancer);
    }
    all.extend(spec.external_ips.iter().cloned());
    match (all.is_empty(), spec.is(LOAD_BALANCER)) {
        (false, _) => all.join(","),
        (true, true) => "<pending>".to_owned(),
        (true, false) => NOTHING.to_owned(),
    }
}

fn ports(spec: &Spec) -> String {
    let texts = spec.ports.iter().map(|port| match port.node_port {
        0 => format!("{}/{}", port.port, port.protocol),
        node_port => format!("{}:{node_port}/{}", port.port, port.protocol),
    });
    or_nothing(texts.collect())
}

fn selector(spec: &Spec) -> String {
    or_nothing(spec.selector.iter().map(|(key, value)| format!("{key}={value}")).collect())
}

fn or_nothing(texts: Vec<String>) -> String {
    if texts.is_empty() { NOTHING.to_owned() } else { texts.join(",") }
}

//! The hints of endpoints for `trafficDistribution` (`k8s.io/endpointslice/trafficdist`).

use serde_json::{Value, json};

use super::changes::Changes;
use super::service::Hints;
use super::slice::{Endpoint, Slice};

/// Sets the hints of all slices that change. A slice of `unchanged` with other hints is changed, too.
pub(super) fn settle(wanted: Option<Hints>, changes: &mut Changes, unchanged: Vec<Slice>) {
    let is_wrong = |slice: &Slice| slice.endpoints.iter().any(|endpoint| is_wrong(wanted, endpoint));
    changes.replace.extend(unchanged.into_iter().filter(is_wrong));
    let slices = changes.create.iter_mut().chain(&mut changes.replace);
    for endpoint in slices.flat_map(|slice| &mut slice.endpoints) {
        match wanted {
            None => endpoint.hints = None,
            Some(hints) if is_ready(endpoint) => endpoint.hints = of(hints, endpoint),
            // As upstream: it keeps what it had.
            Some(_) => {}
        }
    }
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.ready == Some(true)
}

fn is_wrong(wanted: Option<Hints>, endpoint: &Endpoint) -> bool {
    match wanted {
        None => endpoint.hints.is_some(),
        Some(hints) => is_ready(endpoint) && endpoint.hints != of(hints, endpoint),
    }
}

fn of(hints: Hints, endpoint: &Endpoint) -> Option<Value> {
    let mut value = json!({});
    if let Some(zone) = &endpoint.zone {
        value["forZones"] = json!([{"name": zone}]);
    }
    if let Some(node) = endpoint.node_name.as_ref().filter(|_| hints == Hints::Node) {
        value["forNodes"] = json!([{"name": node}]);
    }
    Some(value).filter(|value| value.as_object().is_some_and(|hints| !hints.is_empty()))
}

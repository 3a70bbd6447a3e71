//! The condition `Ready` of a ServiceCIDR.

use serde_json::{Value, json};

use super::networks::{networks, usable};
use crate::object::Object;
use crate::time;

const READY: &str = "Ready";
const READY_MESSAGE: &str = "Kubernetes Service CIDR is ready";
/// The reason of a ServiceCIDR with an unusable network.
const UNUSABLE: &str = "Unusable";
const TERMINATING: &str = "Terminating";

/// The condition `Ready`, if there is one.
pub(super) fn ready(object: &Object) -> Option<&Value> {
    let status = object.0.get("status")?;
    let conditions = status.get("conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == READY)
}

/// Sets the condition: whether addresses are taken from the networks, and why not from some.
pub(super) fn set_ready(object: &mut Object, now: i64) {
    let networks = networks(object);
    let faults: Vec<String> = networks
        .iter()
        .filter_map(|network| Some(format!("{network} cannot be used: {}", usable(network).err()?)))
        .collect();
    if faults.is_empty() {
        set(object, true, "", READY_MESSAGE, now);
    } else if faults.len() < networks.len() {
        set(object, true, UNUSABLE, &format!("{READY_MESSAGE}; {}", faults.join("; ")), now);
    } else {
        set(object, false, UNUSABLE, &faults.join("; "), now);
    }
}

/// Notes that it cannot be removed yet. Returns whether anything changed.
pub(super) fn set_terminating(object: &mut Object, now: i64) -> bool {
    let message = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";
    set(object, false, TERMINATING, message, now)
}

/// Sets the condition; its time changes only with its status. Returns whether anything changed.
fn set(object: &mut Object, status: bool, reason: &str, message: &str, now: i64) -> bool {
    let status = if status { "True" } else { "False" };
    let old = ready(object).cloned().unwrap_or_default();
    let since = if old["status"] == status { old["lastTransitionTime"].clone() } else { Value::Null };
    let since = if since.is_null() { time::format(now).into() } else { since };
    let condition = json!({
        "type": READY, "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
    });
    let is_news = condition != old;
    put(object, condition);
    is_news
}

/// Inserts or replaces the condition `Ready`.
fn put(object: &mut Object, ready: Value) {
    let status = object.status_mut();
    let mut conditions = match status.remove("conditions") {
        Some(Value::Array(conditions)) => conditions,
        _ => Vec::new(),
    };
    match conditions.iter_mut().find(|condition| condition["type"] == READY) {
        Some(old) => *old = ready,
        None => conditions.push(ready),
    }
    status.insert("conditions".to_owned(), conditions.into());
}

/// Keeps the condition `Ready` of `old` in `object`.
pub(super) fn keep_ready(object: &mut Object, old: &Object) {
    match ready(old).cloned() {
        Some(ready) => put(object, ready),
        None => {
            if let Some(conditions) = object.status_mut().get_mut("conditions").and_then(Value::as_array_mut)
            {
                conditions.retain(|condition| condition["type"] != READY);
            }
        }
    }
}

/// Whether addresses are taken from it: it is not being deleted, and its condition `Ready` is not false.
pub(crate) fn is_ready(object: &Object) -> bool {
    let says_no = ready(object).is_some_and(|ready| ready["status"] != "True");
    !object.is_being_deleted() && !says_no
}

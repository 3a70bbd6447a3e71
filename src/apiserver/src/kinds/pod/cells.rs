//! The row of a Pod in a table (`printPod` in `k8s.io/kubernetes/pkg/printers/internalversion/printers.go`).

use serde_json::Value;

use crate::kinds::age;
use crate::object::Object;

/// What the statuses of the containers add up to.
struct Summary {
    reason: String,
    ready: usize,
    restarts: u64,
    /// The time of the last restart.
    restarted: String,
}

pub(super) fn cells(object: &Object, now: i64) -> Vec<Value> {
    let status = object.0.get("status").unwrap_or(&Value::Null);
    let text = |value: &Value| value.as_str().unwrap_or("<none>").to_owned();
    let containers = object.spec()["containers"].as_array().map_or(0, Vec::len);
    let summary = summary(status);
    let restarts = if summary.restarted.is_empty() {
        summary.restarts.to_string()
    } else {
        let ago = age::since(Some(&summary.restarted.into()), now);
        format!("{} ({ago} ago)", summary.restarts)
    };
    [
        object.name().to_owned(),
        format!("{}/{containers}", summary.ready),
        summary.reason,
        restarts,
        age::since(object.metadata().get("creationTimestamp"), now),
        text(&status["podIPs"][0]["ip"]),
        text(&object.spec()["nodeName"]),
        "<none>".to_owned(),
        "<none>".to_owned(),
    ]
    .map(Value::from)
    .into()
}

fn summary(status: &Value) -> Summary {
    let phase = status["phase"].as_str().unwrap_or("<none>");
    let mut summary = Summary { reason: phase.to_owned(), ready: 0, restarts: 0, restarted: String::new() };
    let mut is_running = false;
    for container in status["containerStatuses"].as_array().into_iter().flatten().rev() {
        summary.restarts += container["restartCount"].as_u64().unwrap_or_default();
        let restarted = container["lastState"]["terminated"]["finishedAt"].as_str().unwrap_or_default();
        // Times of one form: the later one is the greater text.
        if restarted > summary.restarted.as_str() {
            restarted.clone_into(&mut summary.restarted);
        }
        let reason = |state: &str| container["state"][state]["reason"].as_str();
        if let Some(reason) = reason("waiting").or_else(|| reason("terminated")) {
            reason.clone_into(&mut summary.reason);
        } else if container["ready"] == true && container["state"]["running"].is_object() {
            is_running = true;
            summary.ready += 1;
        }
    }
    if summary.reason == "Completed" && is_running {
        let mut conditions = status["conditions"].as_array().into_iter().flatten();
        let is_ready =
            conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
        summary.reason = if is_ready { "Running" } else { "NotReady" }.to_owned();
    }
    summary
}

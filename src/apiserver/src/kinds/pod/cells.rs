//! The row of a Pod in a table (`printPod` in `k8s.io/kubernetes/pkg/printers/internalversion/printers.go`).

use serde_json::{Value, json};

use crate::kinds::age;
use crate::object::Object;

/// The reason of a pod whose node cannot be reached.
const LOST: &str = "NodeLost";

/// What the statuses of the containers add up to.
struct Summary {
    reason: String,
    ready: usize,
    restarts: Restarts,
}

/// How often containers were started again, and when last.
#[derive(Default)]
struct Restarts {
    count: u64,
    last: String,
}

impl Restarts {
    fn add(&mut self, container: &Value) {
        self.count += container["restartCount"].as_u64().unwrap_or_default();
        let ended = container["lastState"]["terminated"]["finishedAt"].as_str().unwrap_or_default();
        // Times of one form: the later one is the greater text.
        if ended > self.last.as_str() {
            ended.clone_into(&mut self.last);
        }
    }

    fn text(&self, now: i64) -> String {
        if self.count == 0 || self.last.is_empty() {
            return self.count.to_string();
        }
        let ago = age::since(Some(&self.last.as_str().into()), now);
        format!("{} ({ago} ago)", self.count)
    }
}

/// Whether a pod has ended (`podSuccessConditions` and `podFailedConditions`).
pub(super) fn conditions(object: &Object) -> Vec<Value> {
    let phase = object.0.get("status").and_then(|status| status["phase"].as_str()).unwrap_or_default();
    let message = match phase {
        "Succeeded" => "The pod has completed successfully.",
        "Failed" => "The pod failed.",
        _ => return Vec::new(),
    };
    vec![json!({"type": "Completed", "status": "True", "reason": phase, "message": message})]
}

pub(super) fn cells(object: &Object, now: i64) -> Vec<Value> {
    let (spec, status) = (object.spec(), object.0.get("status").unwrap_or(&Value::Null));
    let text = |value: &Value| value.as_str().unwrap_or("<none>").to_owned();
    let sidecars = list(&spec["initContainers"]).filter(|container| container["restartPolicy"] == "Always");
    let containers = list(&spec["containers"]).count() + sidecars.count();
    let summary = summary(object, spec, status);
    [
        object.name().to_owned(),
        format!("{}/{containers}", summary.ready),
        summary.reason,
        summary.restarts.text(now),
        age::since(object.metadata().get("creationTimestamp"), now),
        text(&status["podIPs"][0]["ip"]),
        text(&spec["nodeName"]),
        text(&status["nominatedNodeName"]),
        gates(spec, status),
    ]
    .map(Value::from)
    .into()
}

fn list(value: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn is_true(status: &Value, kind: &Value) -> bool {
    list(&status["conditions"]).any(|condition| condition["type"] == *kind && condition["status"] == "True")
}

/// How many of its readiness gates a pod meets.
fn gates(spec: &Value, status: &Value) -> String {
    match list(&spec["readinessGates"]).count() {
        0 => "<none>".to_owned(),
        count => {
            let met = list(&spec["readinessGates"]).filter(|gate| is_true(status, &gate["conditionType"]));
            format!("{}/{count}", met.count())
        }
    }
}

fn summary(object: &Object, spec: &Value, status: &Value) -> Summary {
    let phase = status["phase"].as_str().unwrap_or("<none>");
    let told = status["reason"].as_str().filter(|reason| !reason.is_empty());
    let mut reason = told.unwrap_or(phase).to_owned();
    let is_gated =
        |condition: &Value| condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated";
    if list(&status["conditions"]).any(is_gated) {
        "SchedulingGated".clone_into(&mut reason);
    }
    let mut summary = Summary { reason, ready: 0, restarts: Restarts::default() };
    let sidecars = initialize(&mut summary, spec, status);
    if let Some(sidecars) = sidecars {
        summary.restarts = sidecars;
        add_containers(&mut summary, status);
    }
    if object.is_being_deleted() {
        if status["reason"] == LOST {
            "Unknown".clone_into(&mut summary.reason);
        } else if !matches!(phase, "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut summary.reason);
        }
    }
    summary
}

/// Adds up the init containers. Returns the restarts of the sidecars, once the pod is initialized.
fn initialize(summary: &mut Summary, spec: &Value, status: &Value) -> Option<Restarts> {
    let count = list(&spec["initContainers"]).count();
    let mut sidecars = Restarts::default();
    for (index, container) in list(&status["initContainerStatuses"]).enumerate() {
        let own = list(&spec["initContainers"]).find(|own| own["name"] == container["name"]);
        let is_sidecar = own.is_some_and(|own| own["restartPolicy"] == "Always");
        summary.restarts.add(container);
        if is_sidecar {
            sidecars.add(container);
        }
        let ended = container["state"].get("terminated");
        if ended.is_some_and(|ended| ended["exitCode"] == 0) {
            continue;
        }
        if is_sidecar && container["started"] == true {
            summary.ready += usize::from(container["ready"] == true);
            continue;
        }
        let waits = container["state"]["waiting"]["reason"].as_str();
        summary.reason = match (ended, waits.filter(|reason| !matches!(*reason, "" | "PodInitializing"))) {
            (Some(ended), _) => format!("Init:{}", end(ended)),
            (None, Some(reason)) => format!("Init:{reason}"),
            (None, None) => format!("Init:{index}/{count}"),
        };
        return is_true(status, &"Initialized".into()).then_some(sidecars);
    }
    Some(sidecars)
}

/// Why a container has ended.
fn end(terminated: &Value) -> String {
    match (
        terminated["reason"].as_str().unwrap_or_default(),
        terminated["signal"].as_i64().unwrap_or_default(),
    ) {
        ("", 0) => format!("ExitCode:{}", terminated["exitCode"].as_i64().unwrap_or_default()),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn add_containers(summary: &mut Summary, status: &Value) {
    let mut is_running = false;
    for container in list(&status["containerStatuses"]).rev() {
        summary.restarts.add(container);
        let waits = container["state"]["waiting"]["reason"].as_str().filter(|reason| !reason.is_empty());
        if let Some(reason) = waits {
            reason.clone_into(&mut summary.reason);
        } else if let Some(ended) = container["state"].get("terminated") {
            summary.reason = end(ended);
        } else if container["ready"] == true && container["state"]["running"].is_object() {
            is_running = true;
            summary.ready += 1;
        }
    }
    if summary.reason == "Completed" && is_running {
        let is_ready = is_true(status, &"Ready".into());
        summary.reason = if is_ready { "Running" } else { "NotReady" }.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_says_how_far_a_pod_is() {
        let ended = |code: i64| json!({"terminated": {"exitCode": code}});
        let init = |state: Value, more: Value| {
            let mut status = json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": state, "restartCount": 1}]});
            status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            status
        };
        let running = json!([{"name": "c", "ready": true, "restartCount": 2, "state": {"running": {}},
            "lastState": {"terminated": {"finishedAt": "2001-09-09T01:46:30Z"}}}]);
        let sidecar = json!([{"name": "i", "restartPolicy": "Always"}]);
        let plain = json!([{"name": "i"}, {"name": "j"}]);
        for (inits, status, ready, reason, restarts) in [
            (&plain, init(json!({}), json!({})), "0/1", "Init:0/2", "1"),
            (
                &plain,
                init(json!({"waiting": {"reason": "PodInitializing"}}), json!({})),
                "0/1",
                "Init:0/2",
                "1",
            ),
            (
                &plain,
                init(json!({"waiting": {"reason": "ImagePullBackOff"}}), json!({})),
                "0/1",
                "Init:ImagePullBackOff",
                "1",
            ),
            (&plain, init(ended(3), json!({})), "0/1", "Init:ExitCode:3", "1"),
            (
                &plain,
                init(json!({"terminated": {"signal": 9, "exitCode": 137}}), json!({})),
                "0/1",
                "Init:Signal:9",
                "1",
            ),
            (
                &plain,
                init(ended(0), json!({"phase": "Running", "containerStatuses": running})),
                "1/1",
                "Running",
                "2 (10s ago)",
            ),
            (
                &sidecar,
                json!({"phase": "Running", "containerStatuses": running, "initContainerStatuses":
                    [{"name": "i", "started": true, "ready": true, "restartCount": 1, "state": {"running": {}}}]}),
                "2/2",
                "Running",
                "3 (10s ago)",
            ),
            (&plain, json!({"phase": "Failed", "reason": "Evicted"}), "0/1", "Evicted", "0"),
        ] {
            let pod = json!({"metadata": {"name": "a"}, "spec": {"containers": [{}], "initContainers": inits}, "status": status});
            let row = cells(&Object::from_value(pod).unwrap(), 1_000_000_000);
            assert_eq!(row[1..4], [ready, reason, restarts].map(Value::from), "{status}");
        }
    }

    #[test]
    fn a_pod_that_ends_is_terminating_and_gates_are_counted() {
        let row = |phase: &str, reason: &str| {
            let pod = json!({"metadata": {"name": "a", "deletionTimestamp": "2001-09-09T01:46:30Z"},
                "spec": {"readinessGates": [{"conditionType": "x"}, {"conditionType": "y"}]},
                "status": {"phase": phase, "reason": reason, "conditions": [{"type": "x", "status": "True"}]}});
            cells(&Object::from_value(pod).unwrap(), 1_000_000_000)
        };
        assert_eq!((&row("Running", "")[2], &row("Running", "")[8]), (&json!("Terminating"), &json!("1/2")));
        assert_eq!(row("Running", LOST)[2], "Unknown");
        assert_eq!(row("Failed", "Evicted")[2], "Evicted");
    }
}

//! What is asked of a pod: to be on a node (Binding), and to leave it (Eviction). Neither is stored.

use serde_json::{Value, json};

use super::faults::{required, unsupported};
use crate::kind::{Kind, Source};
use crate::object::Object;
use crate::registry::is_same;
use crate::schema::core::OBJECT_REFERENCE;
use crate::schema::meta::{API_VERSION, DELETE_OPTIONS, KIND, METADATA};
use crate::schema::{Field, Form, Type};
use crate::status::ApiError;
use crate::time;

/// Gives a pod a node. Its path is below that of a pod.
pub(crate) static BINDING: Kind =
    Kind { source: Source::Question, ..Kind::new("", "Binding", "pods/binding", "", &BINDING_TYPE) };
/// Deletes a pod. Its path is below that of a pod.
pub(crate) static EVICTION: Kind =
    Kind { source: Source::Question, ..Kind::new("policy", "Eviction", "", "", &EVICTION_TYPE) };

/// The same of older clients. Kubernetes takes it still.
pub(crate) static OLD_EVICTION: Kind = Kind { version: "v1beta1", ..EVICTION };

static BINDING_TYPE: Type = Type::new(
    "io.k8s.api.core.v1.Binding",
    "Gives a pod a node.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(2, "target", Form::Object(&OBJECT_REFERENCE), "The node.").required(),
    ],
);

static EVICTION_TYPE: Type = Type::new(
    "io.k8s.api.policy.v1.Eviction",
    "Asks a pod to leave its node.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(2, "deleteOptions", Form::Object(&DELETE_OPTIONS), "How it is deleted.").pointer(),
    ],
);

/// Refuses what no pod can be bound to (`ValidatePodBinding` in `pkg/apis/core/validation/validation.go`).
///
/// # Errors
/// Without a reason, as upstream.
pub(crate) fn check_target(binding: &Object) -> Result<(), ApiError> {
    let target = binding.0.get("target").unwrap_or(&Value::Null);
    let text = |key: &str| target[key].as_str().unwrap_or_default();
    let mut faults = Vec::new();
    if !matches!(text("kind"), "" | "Node") {
        faults.push(unsupported("target.kind", text("kind"), &["Node", "<empty>"]));
    }
    if text("name").is_empty() {
        faults.push(required("target.name", ""));
    }
    let texts: Vec<String> =
        faults.iter().map(|fault| format!("{}: {}", fault.field, fault.message)).collect();
    match &texts[..] {
        [] => Ok(()),
        [one] => Err(ApiError::unclassified(one.as_str())),
        all => Err(ApiError::unclassified(format!("[{}]", all.join(", ")))),
    }
}

/// The pod on the node of `binding`, with the labels and annotations that the binding has.
///
/// # Errors
/// `Conflict` if the pod has a node, or is not to have one.
pub(crate) fn bound(kind: &Kind, pod: &Object, binding: &Object, now: i64) -> Result<Object, ApiError> {
    is_same(kind, binding, pod)?;
    let (given, version) = (binding.resource_version(), pod.resource_version());
    if given > 0 && given != version {
        let why = format!(
            "Precondition failed: ResourceVersion in precondition: {given}, ResourceVersion in object meta: {version}"
        );
        return Err(ApiError::conflict(kind, pod.name(), &why));
    }
    let (name, node) = (pod.name(), pod.spec()["nodeName"].as_str().unwrap_or_default());
    let refused = |why: String| Err(ApiError::conflict(&BINDING, name, &why));
    if pod.is_being_deleted() {
        return refused(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    if !node.is_empty() {
        return refused(format!("pod {name} is already assigned to node {node:?}"));
    }
    if pod.spec()["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
        return refused(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    let mut pod = pod.clone();
    let target = binding.0.get("target").map(|target| target["name"].clone()).unwrap_or_default();
    pod.spec_mut().insert("nodeName".to_owned(), target);
    pod.status_mut().remove("nominatedNodeName");
    for key in ["annotations", "labels"] {
        let Some(Value::Object(given)) = binding.metadata().get(key) else { continue };
        let own = pod.metadata_mut().entry(key).or_insert_with(|| json!({}));
        for (key, text) in given {
            own[key] = text.clone();
        }
    }
    set_condition(&mut pod, json!({"type": "PodScheduled", "status": "True"}), now);
    Ok(pod)
}

/// The pod with a note that it is about to be evicted. `preconditions` are a uid and a version.
///
/// # Errors
/// `Conflict`: it is another pod than the client means.
pub(crate) fn evicted(
    kind: &Kind,
    pod: &Object,
    (uid, version): &(Option<String>, Option<String>),
    now: i64,
) -> Result<Object, ApiError> {
    let own_version = pod.resource_version().to_string();
    for (what, wanted, found, became) in [
        ("UID", uid, pod.uid(), "deleted and then recreated"),
        ("ResourceVersion", version, own_version.as_str(), "modified"),
    ] {
        if let Some(wanted) = wanted.as_ref().filter(|wanted| *wanted != found) {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). \
                 The object might have been {became}"
            );
            return Err(ApiError::another(kind, pod.name(), &why));
        }
    }
    let mut pod = pod.clone();
    let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting"});
    set_condition(&mut pod, condition, now);
    Ok(pod)
}

/// Sets a condition of a pod; one of the same status keeps its time (`UpdatePodCondition`).
fn set_condition(pod: &mut Object, mut condition: Value, now: i64) {
    condition["lastProbeTime"] = Value::Null;
    condition["lastTransitionTime"] = time::format(now).into();
    let all = pod.status_mut().entry("conditions").or_insert_with(|| json!([]));
    let Some(all) = all.as_array_mut() else { return };
    match all.iter_mut().find(|one| one["type"] == condition["type"]) {
        Some(found) => {
            if found["status"] == condition["status"] {
                condition["lastTransitionTime"] = found["lastTransitionTime"].clone();
            }
            *found = condition;
        }
        None => all.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::pod;

    fn pod(metadata: Value, spec: Value) -> Object {
        let mut pod = Object::from_value(json!({"metadata": metadata, "spec": spec, "status": {}})).unwrap();
        pod.metadata_mut().insert("name".to_owned(), "p".into());
        pod
    }

    #[test]
    fn a_pod_gets_its_node_once() {
        let binding = |metadata: Value| {
            Object::from_value(json!({"metadata": metadata, "target": {"kind": "Node", "name": "n1"}}))
                .unwrap()
        };
        let whole = json!({"labels": {"a": "2", "b": "3"}, "annotations": {"c": "4"}});
        let free =
            pod(json!({"uid": "u", "resourceVersion": "7", "labels": {"a": "1", "z": "0"}}), json!({}));
        let made = bound(&pod::KIND, &free, &binding(whole), 0).unwrap();
        assert_eq!(made.spec()["nodeName"], "n1");
        assert_eq!(made.metadata()["labels"], json!({"a": "2", "b": "3", "z": "0"}));
        assert_eq!(made.metadata()["annotations"], json!({"c": "4"}));
        let condition = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null,
            "lastTransitionTime": "1970-01-01T00:00:00Z"});
        assert_eq!(made.0["status"]["conditions"], json!([condition]));
        for (found, metadata, why) in [
            (
                pod(json!({}), json!({"nodeName": "n2"})),
                json!({}),
                "pods/binding \"p\": pod p is already assigned to node \"n2\"",
            ),
            (
                pod(json!({"deletionTimestamp": "1970-01-01T00:00:00Z"}), json!({})),
                json!({}),
                "pods/binding \"p\": pod p is being deleted, cannot be assigned to a host",
            ),
            (
                pod(json!({}), json!({"schedulingGates": [{"name": "g"}]})),
                json!({}),
                "pods/binding \"p\": pod p has non-empty .spec.schedulingGates",
            ),
            (
                free.clone(),
                json!({"uid": "v"}),
                "pods \"p\": Precondition failed: UID in precondition: v, UID in object meta: u",
            ),
            (
                free.clone(),
                json!({"resourceVersion": "6"}),
                "pods \"p\": Precondition failed: ResourceVersion in precondition: 6, ResourceVersion in object meta: 7",
            ),
        ] {
            let error = bound(&pod::KIND, &found, &binding(metadata), 0).unwrap_err();
            assert_eq!((error.code, error.message), (409, format!("Operation cannot be fulfilled on {why}")));
        }
        let exact = json!({"uid": "u", "resourceVersion": "7"});
        assert!(bound(&pod::KIND, &free, &binding(exact), 0).is_ok());
    }

    #[test]
    fn targets_are_nodes() {
        for (target, expected) in [
            (json!({"name": "n"}), None),
            (json!({"kind": "Node", "name": "n"}), None),
            (json!({"kind": "Node"}), Some("target.name: Required value")),
            (
                json!({"kind": "Pod"}),
                Some(
                    "[target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\", target.name: Required value]",
                ),
            ),
        ] {
            let binding = Object::from_value(json!({"target": target})).unwrap();
            assert_eq!(check_target(&binding).err().map(|error| error.message).as_deref(), expected);
        }
    }

    #[test]
    fn a_condition_keeps_its_time() {
        let mut found = pod(json!({}), json!({}));
        for now in [0, 60] {
            set_condition(&mut found, json!({"type": "A", "status": "True"}), now);
        }
        let conditions = &found.0["status"]["conditions"];
        assert_eq!(conditions.as_array().unwrap().len(), 1);
        assert_eq!(conditions[0]["lastTransitionTime"], "1970-01-01T00:00:00Z");
        set_condition(&mut found, json!({"type": "A", "status": "False"}), 60);
        assert_eq!(found.0["status"]["conditions"][0]["lastTransitionTime"], "1970-01-01T00:01:00Z");
    }
}

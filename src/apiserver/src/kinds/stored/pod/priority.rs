//! The priority of a new pod, and how long it stays on a node that is not ready (`plugin/pkg/admission/priority/admission.go`
//! and `plugin/pkg/admission/defaulttolerationseconds/admission.go`).

use serde_json::{Map, Value, json};

use super::KIND;
use super::validation::{list, text};
use crate::kinds::stored::manifest::{PRIORITY_CLASS, is_default};
use crate::object::Object;
use crate::resource::Transaction;
use crate::status::ApiError;

/// Taints of a node that does not answer. A pod stays on it for a while.
const AWAY: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
/// Seconds for which it stays.
const STAY: i64 = 300;

/// Gives a pod the priority of its class.
///
/// # Errors
/// `Forbidden`: there is no such class, or the pod says something else.
pub(super) fn admit(transaction: &mut dyn Transaction, pod: &mut Object) -> Result<(), ApiError> {
    let class = class_of(transaction, pod)?;
    match complete(pod.spec_mut(), class.as_ref()) {
        Ok(()) => Ok(()),
        Err(why) => Err(ApiError::forbidden(&KIND, pod.name(), &why)),
    }
}

/// The class that a pod names; else the one that is the default, if there is one.
fn class_of(transaction: &mut dyn Transaction, pod: &Object) -> Result<Option<Object>, ApiError> {
    let name = text(pod.spec(), "priorityClassName");
    if name.is_empty() {
        let all = transaction.list(&PRIORITY_CLASS)?.into_iter();
        return Ok(all.filter(is_default).min_by_key(value));
    }
    let found = transaction.get(&PRIORITY_CLASS, "", name)?;
    let why = || format!("no PriorityClass with name {name} was found");
    found.map(Some).ok_or_else(|| ApiError::forbidden(&KIND, pod.name(), &why()))
}

fn value(class: &Object) -> i64 {
    class.0.get("value").and_then(Value::as_i64).unwrap_or_default()
}

fn complete(spec: &mut Map<String, Value>, class: Option<&Object>) -> Result<(), String> {
    let priority = class.map(value).unwrap_or_default();
    if let Some(given) = spec.get("priority").and_then(Value::as_i64).filter(|given| *given != priority) {
        return Err(format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed \
             {priority} from the given PriorityClass name"
        ));
    }
    let policy = class.and_then(|class| class.0.get("preemptionPolicy")?.as_str());
    let policy = policy.unwrap_or("PreemptLowerPriority");
    if let Some(given) = spec.get("preemptionPolicy").and_then(Value::as_str).filter(|given| *given != policy)
    {
        return Err(format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller \
             computed {policy} from the given PriorityClass name"
        ));
    }
    if let Some(class) = class {
        spec.insert("priorityClassName".to_owned(), class.name().into());
    }
    spec.insert("priority".to_owned(), priority.into());
    spec.insert("preemptionPolicy".to_owned(), policy.into());
    Ok(())
}

/// Lets a pod stay on a node that does not answer for a while, unless it says for how long.
pub(super) fn tolerate(spec: &mut Map<String, Value>) {
    let given = spec.get("tolerations").cloned().unwrap_or_default();
    let is_told = |taint: &str| {
        list(&given).any(|one| {
            [taint, ""].contains(&text(one, "key")) && ["NoExecute", ""].contains(&text(one, "effect"))
        })
    };
    let missing = AWAY.into_iter().filter(|taint| !is_told(taint)).map(
        |taint| json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": STAY}),
    );
    let missing: Vec<Value> = missing.collect();
    if !missing.is_empty()
        && let Some(all) = spec.entry("tolerations").or_insert_with(|| json!([])).as_array_mut()
    {
        all.extend(missing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(spec: &Value, class: Option<Value>) -> Result<Value, String> {
        let mut spec = spec.as_object().unwrap().clone();
        let class = class.map(|class| Object::from_value(class).unwrap());
        complete(&mut spec, class.as_ref()).map(|()| spec.into())
    }

    #[test]
    fn a_pod_has_the_priority_of_its_class() {
        let high = || Some(json!({"metadata": {"name": "high"}, "value": 7, "preemptionPolicy": "Never"}));
        let lower = json!({"priority": 0, "preemptionPolicy": "PreemptLowerPriority"});
        assert_eq!(completed(&json!({}), None), Ok(lower.clone()));
        assert_eq!(completed(&lower, None), Ok(lower.clone()));
        let own = json!({"priorityClassName": "high", "priority": 7, "preemptionPolicy": "Never"});
        assert_eq!(completed(&json!({}), high()), Ok(own.clone()));
        assert_eq!(completed(&own, high()), Ok(own));
        let refused = completed(&json!({"priority": 8}), high()).unwrap_err();
        assert!(
            refused.starts_with("the integer value of priority (8) must not be provided")
                && refused.contains("computed 7")
        );
        let refused =
            completed(&lower, None).and_then(|_| completed(&json!({"preemptionPolicy": "Never"}), None));
        assert!(
            refused.unwrap_err().contains("computed PreemptLowerPriority from the given PriorityClass name")
        );
    }

    #[test]
    fn a_pod_stays_for_a_while_unless_it_says_for_how_long() {
        let told = |tolerations: Value| {
            let mut spec = Map::from_iter([("tolerations".to_owned(), tolerations)]);
            tolerate(&mut spec);
            spec["tolerations"].as_array().unwrap().len()
        };
        for (given, expected) in [
            (json!([]), 2),
            (json!([{"operator": "Exists"}]), 1),
            (json!([{"operator": "Exists", "effect": "NoSchedule"}]), 3),
            (json!([{"key": AWAY[0], "effect": "NoExecute", "tolerationSeconds": 1}]), 2),
            (json!([{"key": AWAY[0]}, {"key": AWAY[1], "effect": "NoExecute"}]), 2),
            (json!([{"key": AWAY[0], "effect": "NoSchedule"}]), 3),
        ] {
            assert_eq!(told(given.clone()), expected, "{given}");
        }
    }
}

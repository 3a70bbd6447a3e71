//! What is in a namespace that is being deleted, and what keeps it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::kinds::{Config, endpoint_slice, event, service};
use crate::object::Object;
use crate::resource::Transaction;
use crate::status::ApiError;
use crate::time;

/// What stays in a namespace until its finalizers are done.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// How many of a kind, by its qualified name.
    kinds: BTreeMap<String, usize>,
    /// How many have a finalizer, by its name.
    finalizers: BTreeMap<String, usize>,
}

impl Left {
    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

/// Removes what is in the namespace `name`, or begins to where it has finalizers.
///
/// # Errors
/// The store cannot be read or written.
pub(super) fn remove(
    transaction: &mut dyn Transaction,
    config: &Config,
    name: &str,
) -> Result<Left, ApiError> {
    let (mut gone, mut left) = (Vec::new(), Left::default());
    for kind in [&service::INFO, &endpoint_slice::INFO, &event::INFO] {
        for mut content in transaction.list_in(kind.plural, name)? {
            if !content.finalizers().is_empty() {
                *left.kinds.entry(group_resource(kind.plural, kind.group)).or_default() += 1;
                for finalizer in content.finalizers() {
                    *left.finalizers.entry(finalizer.to_owned()).or_default() += 1;
                }
                if !content.is_being_deleted() {
                    content.mark_deleted(transaction.now());
                    transaction.put(kind.plural, &mut content)?;
                }
                continue;
            }
            if kind.plural == service::INFO.plural {
                service::release(transaction, &content)?;
            }
            transaction.remove(kind.plural, content.namespace(), content.name())?;
            gone.push(content);
        }
    }
    service::pass_on(transaction, config, &gone)?;
    Ok(left)
}

/// `services.`, `endpointslices.discovery.k8s.io`: as the namespace controller writes them.
fn group_resource(plural: &str, group: &str) -> String {
    format!("{plural}.{group}")
}

/// Says in the status of a namespace what is left in it; whether that is news. The types, reasons and texts are those of
/// `pkg/controller/namespace/deletion/status_condition_utils.go`.
pub(super) fn tell(object: &mut Object, left: &Left, now: i64) -> bool {
    let listed = |counts: &BTreeMap<String, usize>, what: &str| {
        let texts: Vec<String> =
            counts.iter().map(|(name, count)| format!("{name} {what} {count} resource instances")).collect();
        texts.join(", ")
    };
    let conditions = [
        (
            "NamespaceContentRemaining",
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", listed(&left.kinds, "has")),
        ),
        (
            "NamespaceFinalizersRemaining",
            "SomeFinalizersRemain",
            format!(
                "Some content in the namespace has finalizers remaining: {}",
                listed(&left.finalizers, "in")
            ),
        ),
    ];
    let old = object.0.get("status").map_or(Value::Null, |status| status["conditions"].clone());
    let is_told = |(kind, _, message): &(&str, &str, String)| {
        let mut old = old.as_array().into_iter().flatten();
        old.any(|condition| condition["type"] == *kind && condition["message"] == **message)
    };
    if conditions.iter().all(is_told) {
        return false;
    }
    let since = time::format(now);
    let conditions: Vec<Value> = conditions
        .into_iter()
        .map(|(kind, reason, message)| {
            json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": since})
        })
        .collect();
    object.status_mut().insert("conditions".to_owned(), conditions.into());
    true
}

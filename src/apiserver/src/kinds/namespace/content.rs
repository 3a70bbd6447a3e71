//! Removes the content of a namespace that is being deleted.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::object::Object;
use crate::resource::{Resource, Transaction};
use crate::status::ApiError;
use crate::time;

/// The content that stays because of its finalizers.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Objects of each kind, by its qualified name.
    kinds: BTreeMap<String, usize>,
    /// Objects with each finalizer.
    finalizers: BTreeMap<String, usize>,
}

impl Left {
    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    fn add(&mut self, kind: &Kind, content: &Object) {
        // `services.`, `endpointslices.discovery.k8s.io`: as the namespace controller writes them.
        *self.kinds.entry(format!("{}.{}", kind.plural, kind.group)).or_default() += 1;
        for finalizer in content.finalizers() {
            *self.finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }
}

/// What namespaces have in them.
pub struct Contents {
    /// The rules of each kind.
    pub served: Vec<Box<dyn Resource>>,
    /// The kinds that a store may have from another time, and that are not served.
    pub unserved: Vec<&'static Kind>,
}

/// Removes everything in the namespace `name`, and marks objects with finalizers as being deleted. Those of kinds that are not
/// served go whatever finalizers they have, for nobody can see them: a Namespace of the same name would have them, bindings of
/// roles, too, when the kinds are served again.
///
/// # Errors
/// The store cannot be read or written.
pub(super) fn remove(
    transaction: &mut dyn Transaction,
    contents: &Contents,
    name: &str,
) -> Result<Left, ApiError> {
    let mut left = Left::default();
    for kind in &contents.unserved {
        transaction.remove_unserved(kind, name)?;
    }
    for resource in &contents.served {
        let (kind, mut gone) = (resource.kind(), Vec::new());
        for mut content in transaction.list_in(kind, name)? {
            if content.finalizers().is_empty() {
                resource.delete(transaction, &content)?;
                transaction.remove(kind, content.namespace(), content.name())?;
                gone.push(content);
                continue;
            }
            left.add(kind, &content);
            if !content.is_being_deleted() {
                content.mark_deleted(transaction.now(), 0);
                transaction.put(kind, &mut content)?;
            }
        }
        resource.deleted(transaction, &gone)?;
    }
    Ok(left)
}

/// Sets the conditions of a namespace about its remaining content. Returns whether they changed. The texts are those of
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

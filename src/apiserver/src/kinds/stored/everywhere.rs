//! Objects that the server makes itself.
//!
//! Each namespace has some of them. If one is deleted, it is made again at once; if one is changed, it is put right
//! (`pkg/controller/serviceaccount/serviceaccounts_controller.go` and
//! `pkg/controller/certificates/rootcacertpublisher/publisher.go`).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::kinds::namespace;
use crate::object::Object;
use crate::resource::Transaction;
use crate::status::ApiError;

/// An object with these members besides the metadata.
pub(super) fn object(kind: &Kind, name: &str, members: Map<String, Value>) -> Object {
    let mut object = Object(members);
    object.0.insert("apiVersion".to_owned(), kind.api_version().into());
    object.0.insert("kind".to_owned(), kind.name.into());
    object.metadata_mut().insert("name".to_owned(), name.into());
    object
}

/// Gives each namespace its `object`, where the transaction changed anything about it.
///
/// # Errors
/// The store cannot be read or written.
pub(super) fn keep(
    transaction: &mut dyn Transaction,
    kind: &'static Kind,
    object: &Object,
) -> Result<(), ApiError> {
    let changed = transaction.changed(&namespace::KIND).zip(transaction.changed(kind));
    let names: BTreeSet<String> = match changed {
        Some((namespaces, objects)) => {
            let own = objects.into_iter().filter(|(_, name)| name == object.name());
            namespaces.into_iter().map(|(_, name)| name).chain(own.map(|(namespace, _)| namespace)).collect()
        }
        None => transaction.list(&namespace::KIND)?.iter().map(|one| one.name().to_owned()).collect(),
    };
    for name in names {
        let found = transaction.get(&namespace::KIND, "", &name)?;
        if found.is_some_and(|namespace| !namespace.is_being_deleted()) {
            keep_in(transaction, kind, object, &name)?;
        }
    }
    Ok(())
}

/// Makes those of `objects` that are missing, when the server starts. A transaction that follows up on a change makes none.
/// They are in no namespace.
///
/// # Errors
/// The store cannot be read or written.
pub(super) fn begin(
    transaction: &mut dyn Transaction,
    kind: &'static Kind,
    objects: fn() -> Vec<Object>,
) -> Result<(), ApiError> {
    if transaction.changed(kind).is_some() {
        return Ok(());
    }
    for mut object in objects() {
        if transaction.get(kind, "", object.name())?.is_none() {
            transaction.put(kind, &mut object)?;
        }
    }
    Ok(())
}

fn keep_in(
    transaction: &mut dyn Transaction,
    kind: &'static Kind,
    object: &Object,
    namespace: &str,
) -> Result<(), ApiError> {
    let Some(mut found) = transaction.get(kind, namespace, object.name())? else {
        let mut object = object.clone();
        object.metadata_mut().insert("namespace".to_owned(), namespace.into());
        return transaction.put(kind, &mut object);
    };
    if put_right(&mut found, object) { transaction.put(kind, &mut found) } else { Ok(()) }
}

/// Gives `found` the members of `object`, and its annotations where they are empty. Returns whether anything changed.
fn put_right(found: &mut Object, object: &Object) -> bool {
    let before = found.clone();
    for (key, value) in object.0.iter().filter(|(key, _)| *key != "metadata") {
        found.0.insert(key.clone(), value.clone());
    }
    if let Some(Value::Object(wanted)) = object.metadata().get("annotations") {
        let own = found.metadata_mut().entry("annotations").or_insert_with(|| json!({}));
        for (key, text) in wanted {
            if own[key].as_str().is_none_or(str::is_empty) {
                own[key] = text.clone();
            }
        }
    }
    *found != before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_put_right() {
        let wanted = json!({"kind": "ConfigMap", "data": {"a": "1"}, "metadata": {"name": "x", "annotations": {"why": "so"}}});
        let wanted = Object::from_value(wanted).unwrap();
        for (found, expected) in [
            (
                json!({"kind": "ConfigMap", "data": {"a": "1"}, "metadata": {"annotations": {"why": "not", "b": "2"}}}),
                None,
            ),
            (
                json!({"kind": "ConfigMap", "data": {"a": "1"}, "metadata": {"annotations": {"why": ""}}}),
                Some(
                    json!({"kind": "ConfigMap", "data": {"a": "1"}, "metadata": {"annotations": {"why": "so"}}}),
                ),
            ),
            (
                json!({"kind": "ConfigMap", "data": {"a": "1", "b": "2"}, "metadata": {"uid": "u"}}),
                Some(
                    json!({"kind": "ConfigMap", "data": {"a": "1"}, "metadata": {"uid": "u", "annotations": {"why": "so"}}}),
                ),
            ),
        ] {
            let mut object = Object::from_value(found.clone()).unwrap();
            assert_eq!(put_right(&mut object, &wanted), expected.is_some(), "{found}");
            assert_eq!(object.into_value(), expected.unwrap_or(found));
        }
    }
}

//! API objects: JSON, and accessors for the metadata that all objects have.

use serde_json::{Map, Value, json};

use super::time;

/// The finalizer of an object that is being deleted while its dependents stay.
pub const ORPHAN: &str = "orphan";
/// The finalizer of an object that is being deleted after its dependents.
pub const FOREGROUND: &str = "foregroundDeletion";

/// An API object.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object(pub Map<String, Value>);

impl Object {
    /// Converts a JSON value; `None` if it is not an object.
    pub fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self(map)),
            _ => None,
        }
    }

    /// Converts to a JSON value.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// `metadata`; empty if it is missing.
    pub fn metadata(&self) -> &Map<String, Value> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        self.0.get("metadata").and_then(Value::as_object).unwrap_or(&NONE)
    }

    /// `metadata`; added if it is missing.
    pub fn metadata_mut(&mut self) -> &mut Map<String, Value> {
        object_in(&mut self.0, "metadata")
    }

    /// `spec`; `null` if it is missing.
    pub fn spec(&self) -> &Value {
        self.0.get("spec").unwrap_or(&Value::Null)
    }

    /// `spec`; added if it is missing.
    pub fn spec_mut(&mut self) -> &mut Map<String, Value> {
        object_in(&mut self.0, "spec")
    }

    /// `status`; added if it is missing.
    pub fn status_mut(&mut self) -> &mut Map<String, Value> {
        object_in(&mut self.0, "status")
    }

    /// Keeps the metadata and the member `part`; takes everything else from `old`.
    pub fn keep_only(&mut self, part: &str, old: &Self) {
        let kept = ["metadata", part].map(|key| (key, self.0.remove(key)));
        self.0.clone_from(&old.0);
        for (key, value) in kept {
            match value {
                Some(value) => self.0.insert(key.to_owned(), value),
                None => self.0.remove(key),
            };
        }
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.text("name")
    }

    /// `metadata.namespace`.
    pub fn namespace(&self) -> &str {
        self.text("namespace")
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        self.text("uid")
    }

    /// `metadata.resourceVersion`; 0 if there is none.
    pub fn resource_version(&self) -> u64 {
        self.text("resourceVersion").parse().unwrap_or(0)
    }

    /// Sets `metadata.resourceVersion`.
    pub fn set_resource_version(&mut self, version: u64) {
        self.metadata_mut().insert("resourceVersion".to_owned(), version.to_string().into());
    }

    /// `metadata.labels`.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.metadata().get("labels").and_then(Value::as_object).into_iter().flatten();
        labels.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }

    /// `metadata.finalizers`.
    pub fn finalizers(&self) -> Vec<&str> {
        let list = self.metadata().get("finalizers").and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).collect()
    }

    /// Sets `metadata.finalizers`; removes the field if the list is empty.
    pub fn set_finalizers(&mut self, finalizers: &[String]) {
        if finalizers.is_empty() {
            self.metadata_mut().remove("finalizers");
        } else {
            self.metadata_mut().insert("finalizers".to_owned(), json!(finalizers));
        }
    }

    /// `metadata.ownerReferences`.
    pub fn owners(&self) -> impl Iterator<Item = &Value> {
        self.metadata().get("ownerReferences").and_then(Value::as_array).into_iter().flatten()
    }

    /// Whether it is being deleted.
    pub fn is_being_deleted(&self) -> bool {
        self.metadata().get("deletionTimestamp").is_some_and(|value| !value.is_null())
    }

    /// `metadata.deletionGracePeriodSeconds`.
    pub fn deletion_grace(&self) -> Option<i64> {
        self.metadata().get("deletionGracePeriodSeconds").and_then(Value::as_i64)
    }

    /// Marks the object as being deleted since `now`, in seconds since 1970, and as ending within `grace` seconds
    /// (`markAsDeleting` in `k8s.io/apiserver/pkg/registry/generic/registry/store.go`).
    pub fn mark_deleted(&mut self, now: i64, grace: i64) {
        let metadata = self.metadata_mut();
        metadata.insert("deletionTimestamp".to_owned(), time::format(now.saturating_add(grace)).into());
        metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
        // Deletion changes the desired state.
        if let Some(count) = metadata.get("generation").and_then(Value::as_i64).filter(|count| *count > 0) {
            metadata.insert("generation".to_owned(), count.saturating_add(1).into());
        }
    }

    /// Lets an object that is being deleted end within `grace` seconds of when it was deleted.
    pub fn shorten_grace(&mut self, grace: i64) {
        let before = self.deletion_grace().unwrap_or_default();
        let metadata = self.metadata_mut();
        let end = metadata.get("deletionTimestamp").and_then(Value::as_str).and_then(time::parse);
        if let Some(end) = end {
            let end = end.saturating_sub(before).saturating_add(grace);
            metadata.insert("deletionTimestamp".to_owned(), time::format(end).into());
        }
        metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
    }

    fn text(&self, key: &str) -> &str {
        self.metadata().get(key).and_then(Value::as_str).unwrap_or_default()
    }
}

/// The object at `key`, which replaces any other value there.
fn object_in<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = map.entry(key).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        // Just made one.
        _ => unreachable!("an object was put there"),
    }
}

//! Objects that are found on the machine and only read.

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::object::Object;
use crate::time;

/// The metadata of an object that was found.
pub(super) struct Found<'a> {
    /// `metadata.namespace`; empty for kinds without namespaces.
    pub(super) namespace: &'a str,
    /// `metadata.name`.
    pub(super) name: &'a str,
    /// `metadata.uid`.
    pub(super) uid: &'a str,
    /// `metadata.creationTimestamp`, in seconds since 1970.
    pub(super) since: i64,
}

impl Found<'_> {
    /// Makes the object. Its resource version is always 1, because clients cannot change it.
    pub(super) fn object(
        &self,
        kind: &Kind,
        labels: &Value,
        annotations: &Value,
        spec: Value,
        status: Value,
    ) -> Object {
        let mut metadata = json!({
            "name": self.name, "uid": self.uid, "resourceVersion": "1",
            "creationTimestamp": time::format(self.since),
        });
        for (key, value) in [("labels", labels), ("annotations", annotations)] {
            if value.as_object().is_some_and(|map| !map.is_empty()) {
                metadata[key] = value.clone();
            }
        }
        if kind.namespaced {
            metadata["namespace"] = self.namespace.into();
        }
        Object::from_value(json!({
            "apiVersion": kind.api_version(), "kind": kind.name, "metadata": metadata, "spec": spec,
            "status": status,
        }))
        .unwrap_or_default()
    }
}

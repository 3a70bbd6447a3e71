//! Kinds that are found on the machine and only read.

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::object::Object;
use crate::time;

/// Something that was found.
pub(super) struct Found<'a> {
    /// `metadata.namespace`, empty where it has none.
    pub(super) namespace: &'a str,
    /// `metadata.name`.
    pub(super) name: &'a str,
    /// `metadata.uid`.
    pub(super) uid: &'a str,
    /// Since when it is there, in seconds since 1970.
    pub(super) since: i64,
}

impl Found<'_> {
    /// As an object. It has no version of its own: it is never changed by anybody who would have to know one.
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

//! Events: as they are given.

mod rules;
pub(super) mod schema;
pub(super) mod schema_v1;
pub mod v1;

use serde_json::Value;

use super::columns::{column, wide};
use super::{age, meta, namespace, verbs};
use crate::object::Object;
use crate::resource::{Column, Resource, ResourceInfo, Transaction};
use crate::status::ApiError;

/// `events`.
pub const INFO: ResourceInfo = ResourceInfo {
    group: "",
    version: "v1",
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    categories: &[],
    namespaced: true,
    verbs: verbs::ALL,
    columns: &[
        column("Last Seen", "How long ago it happened last."),
        column("Type", "Normal or Warning."),
        column("Reason", "Why, in one word."),
        column("Object", "What it is about."),
        wide("Subobject", "The part of the object that it is about."),
        wide("Source", "Who told it."),
        column("Message", "What happened."),
        wide("First Seen", "How long ago it happened first."),
        wide("Count", "How often it happened."),
        Column { format: "name", ..wide("Name", "The name of the event.") },
    ],
    fields: &[
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ],
};

/// The kind.
pub struct Events;

impl Resource for Events {
    fn info(&self) -> &'static ResourceInfo {
        &INFO
    }

    fn create(&self, transaction: &mut dyn Transaction, object: &mut Object) -> Result<(), ApiError> {
        namespace::must_exist(transaction, &INFO, object)?;
        let mut faults = rules::faults(object);
        if is_strict(transaction) {
            faults.extend(rules::strict_faults(object));
        }
        faults.extend(meta::faults(object, meta::subdomain));
        meta::checked(&INFO, object, &faults)
    }

    fn update(
        &self,
        transaction: &mut dyn Transaction,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        let mut faults = rules::faults(object);
        if is_strict(transaction) {
            faults.extend(rules::strict_change_faults(object, old));
        }
        faults.extend(meta::change_faults(object, old));
        faults.extend(meta::faults(object, meta::subdomain));
        meta::checked(&INFO, object, &faults)
    }

    fn has_owners(&self) -> bool {
        false
    }

    fn may_be_created_by_update(&self) -> bool {
        true
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        let about = field(object, "involvedObject");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let seen = |keys: [&str; 3]| {
            let found = keys.into_iter().map(|key| field(object, key)).find(|value| value.is_string());
            age::since(found, now)
        };
        let source = [&field(object, "source")["component"], &field(object, "source")["host"]].map(text);
        let source: Vec<String> = source.into_iter().filter(|part| !part.is_empty()).collect();
        [
            seen(["lastTimestamp", "eventTime", "firstTimestamp"]),
            text(field(object, "type")),
            text(field(object, "reason")),
            format!("{}/{}", text(&about["kind"]).to_lowercase(), text(&about["name"])),
            text(&about["fieldPath"]),
            source.join(", "),
            text(field(object, "message")).trim().to_owned(),
            seen(["firstTimestamp", "eventTime", "lastTimestamp"]),
            field(object, "count").as_i64().unwrap_or(1).to_string(),
            object.name().to_owned(),
        ]
        .map(Value::from)
        .into()
    }
}

/// Whether a change was asked for by the newer group.
fn is_strict(transaction: &dyn Transaction) -> bool {
    transaction.group() == v1::INFO.group
}

pub(super) fn field<'a>(object: &'a Object, key: &str) -> &'a Value {
    object.0.get(key).unwrap_or(&Value::Null)
}

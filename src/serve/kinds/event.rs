//! Events: as they are given.

use serde_json::Value;

use super::age;
use super::columns::{column, wide};
use super::verbs;
use crate::serve::object::Object;
use crate::serve::resource::{Column, Resource, ResourceInfo, Transaction};
use crate::serve::status::ApiError;

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
};

/// The kind.
pub struct Events;

impl Resource for Events {
    fn info(&self) -> &'static ResourceInfo {
        &INFO
    }

    fn create(&self, _: &mut dyn Transaction, _: &mut Object) -> Result<(), ApiError> {
        Ok(())
    }

    fn update(&self, _: &mut dyn Transaction, _: &mut Object, _: &Object) -> Result<(), ApiError> {
        Ok(())
    }

    fn delete(&self, _: &mut dyn Transaction, _: &Object) -> Result<(), ApiError> {
        Ok(())
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        vec![object.name().into(), age::cell(object, now)]
    }
}

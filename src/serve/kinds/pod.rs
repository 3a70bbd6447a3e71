//! Pods: those that podhosts gave a network.

use std::sync::Arc;

use serde_json::Value;

use super::age;
use super::columns::{AGE, NAME, column, wide};
use super::config::Config;
use super::verbs;
use crate::serve::object::Object;
use crate::serve::resource::{Resource, ResourceInfo, Transaction};
use crate::serve::status::ApiError;

/// `pods`.
pub const INFO: ResourceInfo = ResourceInfo {
    group: "",
    version: "v1",
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    namespaced: true,
    verbs: verbs::READ_ONLY,
    columns: &[
        NAME,
        column("Ready", "How many of the containers are ready."),
        column("Status", "What state the pod is in."),
        column("Restarts", "How often its containers were started again."),
        AGE,
        wide("IP", "The first address of the pod."),
        wide("Node", "The node that it runs on."),
        wide("Nominated Node", "The node that it is meant for."),
        wide("Readiness Gates", "The conditions that it has to meet beyond its containers."),
    ],
};

/// The kind.
pub struct Pods {
    config: Arc<Config>,
}

impl Pods {
    /// With what the command line says.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config }
    }
}

impl Resource for Pods {
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

//! The Node: this machine.

use std::sync::Arc;

use serde_json::Value;

use super::age;
use super::columns::{AGE, NAME, column, wide};
use super::config::Config;
use super::verbs;
use crate::serve::object::Object;
use crate::serve::resource::{Resource, ResourceInfo, Transaction};
use crate::serve::status::ApiError;

/// `nodes`.
pub const INFO: ResourceInfo = ResourceInfo {
    group: "",
    version: "v1",
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    categories: &[],
    namespaced: false,
    verbs: verbs::READ_ONLY,
    columns: &[
        NAME,
        column("Status", "Whether the node takes pods."),
        column("Roles", "The roles of the node."),
        AGE,
        column("Version", "The version of the program that runs the pods."),
        wide("Internal-IP", "The first address of the machine."),
        wide("External-IP", "The first address outside."),
        wide("OS-Image", "The operating system, from os-release."),
        wide("Kernel-Version", "The kernel, and the architecture."),
        wide("Container-Runtime", "The engine, and its version."),
    ],
};

/// The kind.
pub struct Nodes {
    config: Arc<Config>,
}

impl Nodes {
    /// With what the command line says.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config }
    }
}

impl Resource for Nodes {
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

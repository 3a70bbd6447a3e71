//! EndpointSlices: as they are given.

use serde_json::Value;

use super::age;
use super::columns::{AGE, NAME, column};
use super::verbs;
use crate::serve::object::Object;
use crate::serve::resource::{Resource, ResourceInfo, Transaction};
use crate::serve::status::ApiError;

/// `endpointslices`.
pub const INFO: ResourceInfo = ResourceInfo {
    group: "discovery.k8s.io",
    version: "v1",
    kind: "EndpointSlice",
    plural: "endpointslices",
    singular: "endpointslice",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: verbs::ALL,
    columns: &[
        NAME,
        column("AddressType", "The family of the addresses, or FQDN."),
        column("Ports", "The ports."),
        column("Endpoints", "The addresses."),
        AGE,
    ],
};

/// The kind.
pub struct EndpointSlices;

impl Resource for EndpointSlices {
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

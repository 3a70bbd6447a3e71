//! Services: their addresses, ports, and what is said where something is wrong with one.

mod info;

use std::sync::Arc;

use serde_json::Value;

pub use info::INFO;

use super::age;
use super::config::Config;
use crate::serve::object::Object;
use crate::serve::resource::{Resource, ResourceInfo, Transaction};
use crate::serve::status::ApiError;

/// The kind.
pub struct Services {
    config: Arc<Config>,
}

impl Services {
    /// With what the command line says.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config }
    }
}

impl Resource for Services {
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

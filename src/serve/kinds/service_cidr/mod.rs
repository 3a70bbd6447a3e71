//! ServiceCIDRs: the blocks that the addresses of Services are taken from.

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
pub struct ServiceCidrs {
    config: Arc<Config>,
}

impl ServiceCidrs {
    /// With what the command line says.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config }
    }
}

impl Resource for ServiceCidrs {
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

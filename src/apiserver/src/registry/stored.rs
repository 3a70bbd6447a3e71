//! Conversions between stored text and objects.

use std::sync::Arc;

use crate::object::Object;
use crate::status::ApiError;
use crate::store::Stored;

impl Stored {
    /// Parses the object.
    ///
    /// # Errors
    /// The text is not a JSON object.
    pub fn object(&self) -> Result<Object, ApiError> {
        let read = serde_json::from_str(&self.text).map(Object);
        read.map_err(|cause| ApiError::internal(format_args!("cannot read a stored object: {cause}")))
    }

    /// Writes an object as text.
    pub(super) fn of(object: &Object) -> Result<Self, ApiError> {
        let text = serde_json::to_string(&object.0).map_err(ApiError::internal)?;
        Ok(Self { text: Arc::from(text) })
    }

    /// A copy with another resource version.
    pub(super) fn at_version(&self, version: u64) -> Result<Self, ApiError> {
        let mut object = self.object()?;
        object.set_resource_version(version);
        Self::of(&object)
    }
}

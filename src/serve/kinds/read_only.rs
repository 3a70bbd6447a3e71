//! Kinds that are found on the machine and only read.

use crate::serve::status::ApiError;

/// The answer to every change; the verbs of such kinds keep requests from coming so far.
pub(super) fn refusal() -> ApiError {
    ApiError::method_not_allowed()
}

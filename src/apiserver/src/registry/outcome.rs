//! What a change is, and what comes of it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::read::List;
use super::transaction::Pending;
use crate::status::ApiError;
use crate::store::Stored;

/// The result of a change.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// The stored object, or the one that a dry run would have stored.
    Stored(Stored),
    /// The same, and it is new.
    Created(Stored),
    /// The last state of a deleted object.
    Gone(Stored),
    /// The list of the objects that were deleted.
    Many(List),
    /// The versions of several changes.
    Versions(RangeInclusive<u64>),
}

/// Makes a change.
pub(super) type Work = Box<dyn FnOnce(&mut Pending<'_>) -> Result<Outcome, ApiError> + Send>;

impl Outcome {
    pub(super) fn stored(self) -> Stored {
        match self {
            Self::Stored(stored) | Self::Created(stored) | Self::Gone(stored) => stored,
            Self::Many(_) | Self::Versions(_) => Stored { text: Arc::from("{}") },
        }
    }
}

//! How changes are asked for, and what they come to.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::kind::Subresource;
use crate::object::Object;
use crate::status::ApiError;
use crate::store::Stored;

/// How a change is made.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// Everything is done but kept (`dryRun=All`).
    pub dry_run: bool,
    /// Who makes it.
    pub field_manager: String,
    /// The API group by which it is asked for.
    pub group: &'static str,
    /// The part of the object that is written, where it is not the whole.
    pub part: Option<Subresource>,
    /// Takes what the client is to be told of the change.
    pub warnings: Warnings,
}

/// Warnings about a change. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Adds some.
    pub fn add(&self, warnings: Vec<String>) {
        if !warnings.is_empty() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
        }
    }

    /// Takes out what was added.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is to become of an object.
pub enum Change {
    /// It is replaced.
    Replace(Object),
    /// It becomes what the function makes of it. Where there is none, the function gets nothing, and may make one.
    Patch(Patch),
    /// It becomes what the function makes of it and of what the same and other managers applied last. What is applied
    /// now, the object's own JSON, is remembered for the next time.
    Apply(Map<String, Value>, Apply),
}

/// Makes the new object of the old one.
pub type Patch = Box<dyn FnOnce(Option<&Object>) -> Result<Object, ApiError> + Send>;

/// Makes the new object of the old one and of what was applied to it before.
pub type Apply = Box<dyn FnOnce(Option<&Object>, &Applied) -> Result<Object, ApiError> + Send>;

/// What was applied to an object last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Applied {
    /// By who applies now.
    pub own: Map<String, Value>,
    /// By each of the others.
    pub others: Vec<Map<String, Value>>,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Replace(_) => "Replace",
            Self::Patch(_) => "Patch",
            Self::Apply(..) => "Apply",
        })
    }
}

/// What an update came to.
#[derive(Debug, Clone)]
pub struct Updated {
    /// The object as it is now.
    pub stored: Stored,
    /// Whether it is new.
    pub created: bool,
}

/// How an object is deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Everything is done but kept.
    pub dry_run: bool,
    /// It has to be this one.
    pub uid: Option<String>,
    /// It has to be at this version.
    pub resource_version: Option<String>,
    /// What becomes of those that belong to it.
    pub policy: Policy,
}

/// What becomes of the objects that belong to one that is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// What the finalizers of the object say, and else that they go afterwards.
    #[default]
    Default,
    /// They go afterwards.
    Background,
    /// They go before.
    Foreground,
    /// They stay.
    Orphan,
}

/// What a deletion came to.
#[derive(Debug, Clone)]
pub enum Deleted {
    /// The object is gone; as it was last.
    Gone(Stored),
    /// It stays until its finalizers are done.
    Pending(Stored),
}

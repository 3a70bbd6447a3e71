//! The options of changes, and their results.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::auth::User;
use crate::kind::Subresource;
use crate::object::Object;
use crate::status::ApiError;
use crate::store::Stored;

/// Options of a change.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// Make the change, but do not keep it (`dryRun=All`).
    pub dry_run: bool,
    /// The manager that asks for it.
    pub field_manager: String,
    /// The API group in the request's path.
    pub group: &'static str,
    /// The part of the object to write; `None` for the whole object.
    pub part: Option<Subresource>,
    /// Receives warnings for the client.
    pub warnings: Warnings,
    /// The user who asks for it, if roles decide what users may do.
    pub author: Option<Arc<User>>,
}

/// Warnings about a change. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Adds some.
    pub fn add(&self, warnings: impl IntoIterator<Item = String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
    }

    /// Takes all warnings out.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A change of an object.
pub enum Change {
    /// Replaces it.
    Replace(Object),
    /// Calls the function, which makes the new object of the old one, or of `None` if there is none.
    Patch(Patch),
    /// Calls the function with the old object and with what each manager applied last. The JSON that is applied now is
    /// remembered for the next time.
    Apply(Map<String, Value>, Apply),
}

/// Makes the new object of the old one.
pub type Patch = Box<dyn FnOnce(Option<&Object>) -> Result<Object, ApiError> + Send>;

/// Makes the new object of the old one and of what was applied to it before.
pub type Apply = Box<dyn FnOnce(Option<&Object>, &Applied) -> Result<Object, ApiError> + Send>;

/// What managers applied to an object last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Applied {
    /// By the manager that applies now.
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

/// The result of an update.
#[derive(Debug, Clone)]
pub struct Updated {
    /// The object after the update.
    pub stored: Stored,
    /// Whether it is new.
    pub created: bool,
}

/// Options of a deletion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Make the deletion, but do not keep it.
    pub dry_run: bool,
    /// Precondition: the object has this uid.
    pub uid: Option<String>,
    /// Precondition: the object has this resource version.
    pub resource_version: Option<String>,
    /// What to do with its dependents.
    pub policy: Policy,
    /// The seconds that it may take to end, for kinds whose objects take time.
    pub grace: Option<i64>,
}

/// What to do with the dependents of an object that is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// Do what the object's finalizers say; without any, as [`Self::Background`].
    #[default]
    Default,
    /// Delete them after the object.
    Background,
    /// Delete them before the object.
    Foreground,
    /// Keep them.
    Orphan,
}

/// The result of a deletion.
#[derive(Debug, Clone)]
pub enum Deleted {
    /// The object is gone; its last state.
    Gone(Stored),
    /// It stays until its finalizers are done.
    Pending(Stored),
}

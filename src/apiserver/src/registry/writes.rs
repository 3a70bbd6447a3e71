//! Several changes of one client as one: all of them are made, or none.

use std::ops::RangeInclusive;

use super::Registry;
use super::changes::{create, delete, update};
use super::options::{Change, DeleteOptions};
use super::outcome::{Outcome, Work};
use super::transaction::Pending;
use crate::kind::Kind;
use crate::object::Object;
use crate::status::ApiError;

/// One of several changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    kind: &'static Kind,
    what: What,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    Create(Object),
    Replace(Object),
    Delete(Object),
}

impl Write {
    /// Creates an object in the namespace that it names.
    pub fn create(kind: &'static Kind, object: Object) -> Self {
        Self { kind, what: What::Create(object) }
    }

    /// Replaces an object, if it still has this version.
    pub fn replace(kind: &'static Kind, object: Object) -> Self {
        Self { kind, what: What::Replace(object) }
    }

    /// Deletes an object, if it still has this uid and this version.
    pub fn delete(kind: &'static Kind, object: &Object) -> Self {
        Self { kind, what: What::Delete(object.clone()) }
    }

    fn make(self, pending: &mut Pending<'_>) -> Result<(), ApiError> {
        let kind = self.kind;
        match self.what {
            What::Create(object) => {
                let namespace = object.namespace().to_owned();
                create(pending, kind, &namespace, object)?;
            }
            What::Replace(object) => {
                let (namespace, name) = (object.namespace().to_owned(), object.name().to_owned());
                update(pending, kind, &namespace, &name, Change::Replace(object))?;
            }
            What::Delete(object) => {
                let (namespace, name) = (object.namespace(), object.name());
                let options = DeleteOptions {
                    uid: Some(object.uid().to_owned()),
                    resource_version: Some(object.resource_version().to_string()),
                    ..DeleteOptions::default()
                };
                delete(pending, kind, namespace, name, &options)?;
            }
        }
        Ok(())
    }
}

impl Registry {
    /// Makes several changes as one. Returns the resource versions that they got.
    ///
    /// # Errors
    /// What the API server would answer to the first one that fails. No change is made then.
    pub async fn write(&self, writes: Vec<Write>) -> Result<RangeInclusive<u64>, ApiError> {
        let work: Work = Box::new(move |pending| {
            let before = *pending.version;
            for write in writes {
                write.make(pending)?;
            }
            // There is no client to warn.
            pending.warnings.clear();
            Ok(Outcome::Versions(before + 1..=*pending.version))
        });
        match self.change(work, false).await? {
            Outcome::Versions(versions) => Ok(versions),
            _ => Err(ApiError::internal("several changes have no versions")),
        }
    }
}

//! Events: as they are given.

mod cells;
mod kind;
mod rules;
pub(super) mod schema;
pub(super) mod schema_v1;
pub mod v1;

use serde_json::Value;

use super::{meta, namespace};
use crate::kind::Kind;
use crate::object::Object;
use crate::resource::{Resource, Transaction};
use crate::status::ApiError;

pub use kind::KIND;

/// Events of the core group.
pub struct Events;

impl Resource for Events {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn create(&self, transaction: &mut dyn Transaction, object: &mut Object) -> Result<(), ApiError> {
        namespace::must_exist(transaction, &KIND, object)?;
        let mut faults = rules::faults(object);
        if is_strict(transaction) {
            faults.extend(rules::strict_faults(object));
        }
        faults.extend(meta::faults(object, meta::subdomain));
        meta::checked(&KIND, object, &faults)
    }

    fn update(
        &self,
        transaction: &mut dyn Transaction,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        let mut faults = rules::faults(object);
        if is_strict(transaction) {
            faults.extend(rules::strict_change_faults(object, old));
        }
        faults.extend(meta::change_faults(object, old));
        faults.extend(meta::faults(object, meta::subdomain));
        meta::checked(&KIND, object, &faults)
    }

    fn may_be_created_by_update(&self) -> bool {
        true
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        cells::row(object, now)
    }
}

/// Whether a change was asked for by the newer group.
fn is_strict(transaction: &dyn Transaction) -> bool {
    transaction.group() == kind::V1.group
}

//! Events, which are stored as clients send them.

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

/// The rules of Events, written by the core group or by `events.k8s.io`.
pub struct Events;

impl Resource for Events {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn create(&self, transaction: &mut dyn Transaction, object: &mut Object) -> Result<(), ApiError> {
        namespace::must_exist(transaction, &KIND, object)?;
        let is_strict = is_strict(transaction);
        let mut faults = rules::faults(object, controller(is_strict));
        if is_strict {
            faults.extend(meta::faults(object, meta::subdomain));
            faults.extend(rules::strict_faults(object));
        }
        meta::checked(&KIND, object, &faults)?;
        meta::checked(&KIND, object, &meta::common_faults(object, meta::path_segment))
    }

    fn update(
        &self,
        transaction: &mut dyn Transaction,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        let is_strict = is_strict(transaction);
        let mut faults = meta::common_faults(object, meta::path_segment);
        faults.extend(meta::change_faults(object, old));
        faults.extend(rules::faults(object, controller(is_strict)));
        if is_strict {
            faults.extend(meta::finalizer_kind_faults(object));
            faults.extend(rules::strict_change_faults(object, old));
        }
        meta::checked(&KIND, object, &faults)
    }

    fn may_be_created_by_update(&self) -> bool {
        true
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        cells::row(object, now)
    }
}

/// Whether the client writes by `events.k8s.io`, whose rules are stricter.
fn is_strict(transaction: &dyn Transaction) -> bool {
    transaction.group() == kind::V1.group
}

/// The field that names the controller of an event, as a group calls it.
fn controller(is_strict: bool) -> &'static str {
    if is_strict { "reportingController" } else { "reportingComponent" }
}

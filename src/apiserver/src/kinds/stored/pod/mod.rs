//! Pods that clients write (`pkg/registry/core/pod/strategy.go`).

mod account;
mod containers;
pub(super) mod defaults;
mod priority;
mod probes;
mod rules;
pub(super) mod validation;
pub(super) mod warnings;

use crate::kind::{Kind, Source, Subresource};
use crate::kinds::{pod, verbs};
use crate::object::Object;
use crate::resource::{Resource, Transaction};
use crate::schema::published;
use crate::status::ApiError;

use super::Shape;

static KIND: Kind = Kind {
    verbs: verbs::ALL,
    subresources: &[(Subresource::Binding, verbs::ASK), (Subresource::Eviction, verbs::ASK), verbs::STATUS],
    schema: &published::Pod,
    source: Source::Stored,
    ..pod::KIND
};

pub(super) static SHAPE: Shape = Shape {
    is_returned_when_deleted: true,
    has_generation: true,
    begin: rules::begin,
    fill: rules::fill,
    admit,
    keep,
    keep_in_status: rules::keep_in_status,
    warnings: rules::warnings,
    faults: rules::faults,
    grace: Some(rules::grace),
    cells: |object, now| pod::Pods.cells(object, now),
    row_conditions: |object| pod::Pods.row_conditions(object),
    ..Shape::new(&KIND)
};

/// Does what admission plugins do with a new pod.
fn admit(transaction: &mut dyn Transaction, pod: &mut Object) -> Result<(), ApiError> {
    account::admit(transaction, pod)?;
    priority::admit(transaction, pod)?;
    priority::tolerate(pod.spec_mut());
    Ok(())
}

/// Keeps what they gave a pod where a client that replaces it does not say it.
fn keep(pod: &mut Object, old: &Object) {
    for key in ["priority", "preemptionPolicy"] {
        if let Some(value) = old.spec().get(key) {
            pod.spec_mut().entry(key).or_insert_with(|| value.clone());
        }
    }
    priority::tolerate(pod.spec_mut());
}

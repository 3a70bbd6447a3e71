//! Pods that clients write (`pkg/registry/core/pod/strategy.go`).

mod account;
mod containers;
pub(super) mod defaults;
mod rules;
pub(super) mod validation;

use crate::kind::{Kind, Source, Subresource};
use crate::kinds::{pod, verbs};
use crate::resource::Resource;
use crate::schema::published;

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
    admit: account::admit,
    faults: rules::faults,
    grace: Some(rules::grace),
    cells: |object, now| pod::Pods.cells(object, now),
    ..Shape::new(&KIND)
};

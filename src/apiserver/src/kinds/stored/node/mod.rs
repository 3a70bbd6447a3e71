//! Nodes that clients write (`pkg/registry/core/node/strategy.go`, `ValidateNode` and `ValidateNodeUpdate`).

mod rules;

use crate::kind::{Kind, Source};
use crate::kinds::{node, verbs};
use crate::resource::Resource;
use crate::schema::published;

use super::Shape;

static KIND: Kind = Kind {
    verbs: verbs::ALL,
    subresources: &[verbs::STATUS],
    schema: &published::Node,
    source: Source::Stored,
    ..node::KIND
};

pub(super) static SHAPE: Shape = Shape {
    // A kubelet creates its Node with a status.
    begin: |_| {},
    fill: rules::fill,
    faults: rules::faults,
    cells: |object, now| node::Nodes.cells(object, now),
    ..Shape::new(&KIND)
};

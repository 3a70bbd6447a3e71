//! The names and columns of Events in both of their groups.

use super::{schema, schema_v1};
use crate::kind::{Column, Kind, Source, View};
use crate::kinds::columns::{column, wide};
use crate::kinds::verbs;

/// `events`.
pub static KIND: Kind = Kind {
    short_names: &["ev"],
    verbs: verbs::ALL,
    columns: &[
        column("Last Seen", "How long ago it happened last."),
        column("Type", "Normal or Warning."),
        column("Reason", "Why, in one word."),
        column("Object", "What it is about."),
        wide("Subobject", "The part of the object that it is about."),
        wide("Source", "Who told it."),
        column("Message", "What happened."),
        wide("First Seen", "How long ago it happened first."),
        wide("Count", "How often it happened."),
        Column { format: "name", ..wide("Name", "The name of the event.") },
    ],
    fields: &[
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ],
    has_owners: false,
    ..Kind::new("", "Event", "events", "event", &schema::EVENT)
};

/// The fields of `events.k8s.io`, with their names in the core group.
const V1_VIEW: View = View {
    kind: &KIND,
    fields: &[
        ("note", "message"),
        ("regarding", "involvedObject"),
        ("reportingController", "reportingComponent"),
        ("deprecatedSource", "source"),
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
    ],
};

/// `events.events.k8s.io`.
pub(super) static V1: Kind = Kind {
    group: "events.k8s.io",
    schema: &schema_v1::EVENT,
    source: Source::View(V1_VIEW),
    fields: &[
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "regarding.apiVersion",
        "regarding.resourceVersion",
        "regarding.fieldPath",
        "reason",
        "reportingController",
        "type",
    ],
    ..KIND
};

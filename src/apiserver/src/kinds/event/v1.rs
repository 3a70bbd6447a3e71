//! Events of the group `events.k8s.io`: the same Events with other names for their fields
//! (`pkg/apis/events/v1/conversion.go`), and more that is refused.

use serde_json::Value;

use super::{Events, INFO as STORED};
use crate::object::Object;
use crate::resource::{Resource, ResourceInfo, View};

/// `events.events.k8s.io`.
pub static INFO: ResourceInfo = ResourceInfo {
    group: "events.k8s.io",
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
    ..STORED
};

/// The kind.
pub struct EventsV1;

impl Resource for EventsV1 {
    fn info(&self) -> &'static ResourceInfo {
        &INFO
    }

    fn view(&self) -> Option<View> {
        Some(View {
            info: &STORED,
            fields: &[
                ("note", "message"),
                ("regarding", "involvedObject"),
                ("reportingController", "reportingComponent"),
                ("deprecatedSource", "source"),
                ("deprecatedFirstTimestamp", "firstTimestamp"),
                ("deprecatedLastTimestamp", "lastTimestamp"),
                ("deprecatedCount", "count"),
            ],
        })
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        Events.cells(object, now)
    }
}

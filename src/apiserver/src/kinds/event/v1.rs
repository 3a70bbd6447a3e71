//! Events of the group `events.k8s.io`: the same objects with other names for their fields
//! (`pkg/apis/events/v1/conversion.go`).

use serde_json::Value;

use super::{cells, kind};
use crate::kind::Kind;
use crate::object::Object;
use crate::resource::Resource;

/// The view of Events in `events.k8s.io`.
pub struct EventsV1;

impl Resource for EventsV1 {
    fn kind(&self) -> &'static Kind {
        &kind::V1
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        cells::row(object, now)
    }
}

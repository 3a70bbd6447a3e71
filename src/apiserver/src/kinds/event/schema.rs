//! The fields of an Event (`k8s.io/api/core/v1`).

use crate::schema::core::OBJECT_REFERENCE;
use crate::schema::meta::{API_VERSION, KIND, METADATA};
use crate::schema::{Field, Form, Type};

pub(in crate::kinds) static EVENT: Type = Type::new(
    "io.k8s.api.core.v1.Event",
    "Something that happened to an object.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(2, "involvedObject", Form::Object(&OBJECT_REFERENCE), "The object.").required(),
        Field::new(3, "reason", Form::Text, "What happened, in one word."),
        Field::new(4, "message", Form::Text, "What happened, for people."),
        Field::new(5, "source", Form::Object(&EVENT_SOURCE), "Who saw it."),
        Field::new(6, "firstTimestamp", Form::Time, "When it was first seen."),
        Field::new(7, "lastTimestamp", Form::Time, "When it was last seen."),
        Field::new(8, "count", Form::Int32, "How often it was seen."),
        Field::new(9, "type", Form::Text, "Normal or Warning."),
        Field::new(10, "eventTime", Form::MicroTime, "When it was first seen, to the microsecond."),
        Field::new(11, "series", Form::Object(&EVENT_SERIES), "The series that it belongs to.").pointer(),
        Field::new(12, "action", Form::Text, "What was done."),
        Field::new(13, "related", Form::Object(&OBJECT_REFERENCE), "Another object that it is about.")
            .pointer(),
        Field::new(14, "reportingComponent", Form::Text, "Which controller tells it.").written(),
        Field::new(15, "reportingInstance", Form::Text, "Which instance of it.").written(),
    ],
);

static EVENT_SERIES: Type = Type::new(
    "io.k8s.api.core.v1.EventSeries",
    "Something that happened again and again.",
    &[
        Field::new(1, "count", Form::Int32, "How often it was seen so far."),
        Field::new(2, "lastObservedTime", Form::MicroTime, "When it was last seen."),
    ],
);

pub(in crate::kinds) static EVENT_SOURCE: Type = Type::new(
    "io.k8s.api.core.v1.EventSource",
    "Who saw an event.",
    &[
        Field::new(1, "component", Form::Text, "The component."),
        Field::new(2, "host", Form::Text, "The node that it is on."),
    ],
);

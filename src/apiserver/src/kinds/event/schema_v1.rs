//! `k8s.io/api/events/v1`.

use super::schema::EVENT_SOURCE;
use crate::schema::core::OBJECT_REFERENCE;
use crate::schema::meta::{API_VERSION, KIND, METADATA};
use crate::schema::{Field, Form, Type};

pub(in crate::kinds) static EVENT: Type = Type::new(
    "io.k8s.api.events.v1.Event",
    "Something that happened to an object.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(2, "eventTime", Form::MicroTime, "When it was first seen, to the microsecond.").required(),
        Field::new(3, "series", Form::Object(&EVENT_SERIES), "The series that it belongs to.").pointer(),
        Field::new(4, "reportingController", Form::Text, "Which controller tells it."),
        Field::new(5, "reportingInstance", Form::Text, "Which instance of it."),
        Field::new(6, "action", Form::Text, "What was done."),
        Field::new(7, "reason", Form::Text, "Why, in one word."),
        Field::new(8, "regarding", Form::Object(&OBJECT_REFERENCE), "The object."),
        Field::new(9, "related", Form::Object(&OBJECT_REFERENCE), "Another object that it is about.")
            .pointer(),
        Field::new(10, "note", Form::Text, "What happened, for people."),
        Field::new(11, "type", Form::Text, "Normal or Warning."),
        Field::new(12, "deprecatedSource", Form::Object(&EVENT_SOURCE), "Who saw it, in core/v1."),
        Field::new(13, "deprecatedFirstTimestamp", Form::Time, "When it was first seen, in core/v1."),
        Field::new(14, "deprecatedLastTimestamp", Form::Time, "When it was last seen, in core/v1."),
        Field::new(15, "deprecatedCount", Form::Int32, "How often it was seen, in core/v1."),
    ],
);

static EVENT_SERIES: Type = Type::new(
    "io.k8s.api.events.v1.EventSeries",
    "Something that happened again and again.",
    &[
        Field::new(1, "count", Form::Int32, "How often it was seen so far.").required(),
        Field::new(2, "lastObservedTime", Form::MicroTime, "When it was last seen.").required(),
    ],
);

//! Validation of Events (`pkg/apis/core/validation/events.go` of Kubernetes 1.36). The rules of the core group are weaker than
//! those of `events.k8s.io`.

use serde_json::{Value, json};

use super::cells::field;
use crate::kinds::faults::{invalid, required};
use crate::object::Object;
use crate::status::Cause;
use pod::validation::labels::qualified_name_errors;

/// Most characters of an action, of a reason and of an instance.
const SHORT_MAX: usize = 128;
/// Most characters of a note.
const NOTE_MAX: usize = 1024;

fn text<'a>(object: &'a Object, key: &str) -> &'a str {
    field(object, key).as_str().unwrap_or_default()
}

/// The faults of an Event in both groups (`legacyValidateEvent`); `controller` is the name of `reportingComponent` in the
/// group.
pub(super) fn faults(event: &Object, controller: &'static str) -> Vec<Cause> {
    let (about, own) = (&field(event, "involvedObject")["namespace"], event.namespace());
    let about = about.as_str().unwrap_or_default();
    let has_time = field(event, "eventTime").is_string();
    let is_elsewhere = match (about.is_empty(), has_time) {
        // Events about objects without a namespace belong into `default`.
        (true, false) => own != "default",
        (true, true) => !matches!(own, "default" | "kube-system"),
        (false, false) => about != own,
        (false, true) => false,
    };
    let mut faults = Vec::new();
    if is_elsewhere {
        faults.push(invalid("involvedObject.namespace", &about.into(), "does not match event.namespace"));
    }
    if has_time {
        faults.extend(timed_faults(event, controller));
    }
    faults
}

/// The faults of one with `eventTime`.
fn timed_faults(event: &Object, field: &'static str) -> Vec<Cause> {
    let mut faults = Vec::new();
    let controller = text(event, "reportingComponent");
    if controller.is_empty() {
        faults.push(required(field, ""));
    }
    let errors = qualified_name_errors(controller);
    faults.extend(errors.iter().map(|why| invalid(field, &controller.into(), why)));
    let short = [("reportingInstance", SHORT_MAX), ("action", SHORT_MAX), ("reason", SHORT_MAX)];
    for (key, most) in short.into_iter().chain([("message", NOTE_MAX)]) {
        let value = text(event, key);
        if value.is_empty() && key != "message" {
            faults.push(required(key, ""));
        }
        if value.len() > most {
            faults.push(invalid(key, &"".into(), format!("can have at most {most} characters")));
        }
    }
    faults
}

/// More faults of an Event that is created by `events.k8s.io` (`ValidateEventCreate`).
pub(super) fn strict_faults(event: &Object) -> Vec<Cause> {
    let mut faults = series_faults(event);
    if !field(event, "eventTime").is_string() {
        faults.push(required("eventTime", ""));
    }
    let kind = text(event, "type");
    if !matches!(kind, "Normal" | "Warning") {
        faults.push(invalid("type", &"".into(), format!("has invalid value: {kind}")));
    }
    let source = field(event, "source");
    let is_set = [
        ("firstTimestamp", field(event, "firstTimestamp").is_string()),
        ("lastTimestamp", field(event, "lastTimestamp").is_string()),
        ("count", field(event, "count").as_i64().unwrap_or_default() != 0),
        (
            "source",
            ["component", "host"].iter().any(|key| source[key].as_str().is_some_and(|text| !text.is_empty())),
        ),
    ];
    let set = is_set.into_iter().filter(|(_, is_set)| *is_set);
    faults.extend(set.map(|(key, _)| invalid(key, &"".into(), "needs to be unset")));
    faults
}

/// More faults of a change by `events.k8s.io` (`ValidateEventUpdate`): only the series may change.
pub(super) fn strict_change_faults(event: &Object, old: &Object) -> Vec<Cause> {
    let mut faults = Vec::new();
    if field(event, "series") != field(old, "series") {
        faults.extend(series_faults(event));
    }
    for (key, shown) in [
        ("involvedObject", "involvedObject"),
        ("reason", "reason"),
        ("message", "message"),
        ("source", "source"),
        ("firstTimestamp", "firstTimestamp"),
        ("lastTimestamp", "lastTimestamp"),
        ("count", "count"),
        ("type", "type"),
        ("eventTime", "eventTime"),
        ("action", "action"),
        ("related", "related"),
        ("reportingComponent", "reportingController"),
        ("reportingInstance", "reportingInstance"),
    ] {
        let (new, before) = (field(event, key), field(old, key));
        if !is_same(new, before) {
            faults.push(invalid(shown, &in_go(key, new), "field is immutable"));
        }
    }
    faults
}

/// Whether two values are equal in Go, where a missing field equals empty text, an empty structure and 0.
fn is_same(one: &Value, other: &Value) -> bool {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        _ => false,
    };
    one == other || is_empty(one) && is_empty(other)
}

/// A value as Go shows it in faults.
fn in_go(key: &str, value: &Value) -> Value {
    let fields: &[(&str, &str)] = match key {
        "involvedObject" | "related" => &[
            ("Kind", "kind"),
            ("Namespace", "namespace"),
            ("Name", "name"),
            ("UID", "uid"),
            ("APIVersion", "apiVersion"),
            ("ResourceVersion", "resourceVersion"),
            ("FieldPath", "fieldPath"),
        ],
        "source" => &[("Component", "component"), ("Host", "host")],
        // A text that is not there is empty in Go.
        "reason" | "message" | "action" | "type" | "reportingComponent" | "reportingInstance"
            if value.is_null() =>
        {
            return "".into();
        }
        _ => return value.clone(),
    };
    let pair = |(go, key): &(&str, &str)| json!([go, value[*key].as_str().unwrap_or_default()]);
    fields.iter().map(pair).collect()
}

/// The faults of a series (`validateV1EventSeries`).
fn series_faults(event: &Object) -> Vec<Cause> {
    let series = field(event, "series");
    let mut faults = Vec::new();
    if series.is_null() {
        return faults;
    }
    if series["count"].as_i64().unwrap_or_default() < 2 {
        faults.push(invalid("series.count", &"".into(), "should be at least 2"));
    }
    if !series["lastObservedTime"].is_string() {
        faults.push(required("series.lastObservedTime", ""));
    }
    faults
}

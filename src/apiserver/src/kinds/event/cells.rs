//! The row of an Event in a table (`printEvent` in `k8s.io/kubernetes/pkg/printers/internalversion/printers.go`).

use serde_json::Value;

use crate::kinds::age;
use crate::object::Object;

/// The cells, in the order of the columns.
pub(super) fn row(object: &Object, now: i64) -> Vec<Value> {
    let (about, series) = (field(object, "involvedObject"), field(object, "series"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let first = [field(object, "firstTimestamp"), field(object, "eventTime")];
    let last = [&series["lastObservedTime"], field(object, "lastTimestamp")];
    let seen = |times: &[&Value]| age::since(times.iter().copied().find(|time| time.is_string()), now);
    let count = series["count"].as_i64().or_else(|| field(object, "count").as_i64());
    let about_name = Some(text(&about["name"])).filter(|name| !name.is_empty());
    let about_parts: Vec<String> =
        std::iter::once(text(&about["kind"]).to_lowercase()).chain(about_name).collect();
    vec![
        seen(&[last[0], last[1], first[0], first[1]]).into(),
        text(field(object, "type")).into(),
        text(field(object, "reason")).into(),
        about_parts.join("/").into(),
        text(&about["fieldPath"]).into(),
        source(object).into(),
        text(field(object, "message")).trim().into(),
        seen(&first).into(),
        count.filter(|count| *count != 0).unwrap_or(1).into(),
        object.name().into(),
    ]
}

/// Who told of it: the fields of the core group, or those of `events.k8s.io` (`formatEventSource`).
fn source(object: &Object) -> String {
    let given = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let old = field(object, "source");
    let component = given(&old["component"]).or_else(|| given(field(object, "reportingComponent")));
    let instance = given(&old["host"]).or_else(|| given(field(object, "reportingInstance")));
    let component = component.unwrap_or_default();
    instance.map_or(component.clone(), |instance| format!("{component}, {instance}"))
}

pub(super) fn field<'a>(object: &'a Object, key: &str) -> &'a Value {
    object.0.get(key).unwrap_or(&Value::Null)
}

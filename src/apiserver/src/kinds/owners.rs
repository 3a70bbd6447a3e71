//! Validation of `metadata.ownerReferences` (`ValidateOwnerReferences` in
//! `k8s.io/apimachinery/pkg/api/validation/objectmeta.go`). `registry::garbage` acts on them.

use serde_json::{Value, json};

use super::faults::{MOST, invalid};
use crate::object::Object;
use crate::status::Cause;

const PATH: &str = "metadata.ownerReferences";
/// If all references are longer than this, in bytes, only one fault quotes them.
const LONG: usize = 16 << 10;

/// The faults of the references of an object.
pub(super) fn faults(object: &Object) -> Vec<Cause> {
    let mut faults: Vec<Cause> = object.owners().flat_map(reference_faults).take(MOST).collect();
    let controllers = object.owners().filter(|owner| owner["controller"] == true);
    let name = |owner: &Value| format!("{}/{}", text(owner, "kind"), text(owner, "name"));
    let controllers: Vec<String> = controllers.map(name).take(MOST).collect();
    if let Some((first, others)) = controllers.split_first() {
        let all = format!("[{}]", object.owners().map(shown).collect::<Vec<_>>().join(","));
        // Each fault quotes all references.
        let most = if all.len() > LONG { 1 } else { MOST };
        faults.extend(others.iter().take(most).map(|other| {
            let why = "Only one reference can have Controller set to true. Found \"true\" in references for";
            fault(&all, &format!("{why} {first} and {other}"))
        }));
    }
    faults
}

fn reference_faults(owner: &Value) -> Vec<Cause> {
    let api_version = text(owner, "apiVersion");
    let mut faults = Vec::new();
    // A text with more than one slash is no version either.
    let version = match api_version.split('/').collect::<Vec<_>>()[..] {
        [version] | [_, version] => version,
        _ => "",
    };
    for (field, is_missing, why) in [
        ("apiVersion", version.is_empty(), "version must not be empty"),
        ("kind", text(owner, "kind").is_empty(), "must not be empty"),
        ("name", text(owner, "name").is_empty(), "must not be empty"),
        ("uid", text(owner, "uid").is_empty(), "must not be empty"),
    ] {
        if is_missing {
            faults.push(invalid(format!("{PATH}.{field}"), &json!(text(owner, field)), why));
        }
    }
    if api_version == "v1" && text(owner, "kind") == "Event" {
        faults.push(fault(&shown(owner), "/v1, Kind=Event is disallowed from being an owner"));
    }
    faults
}

fn fault(value: &str, why: &str) -> Cause {
    let message = format!("Invalid value: {value}: {why}");
    Cause { reason: "FieldValueInvalid", message, field: PATH.to_owned() }
}

fn text<'a>(owner: &'a Value, key: &str) -> &'a str {
    owner[key].as_str().unwrap_or_default()
}

/// A reference in the order of Go's fields.
fn shown(owner: &Value) -> String {
    let always = ["apiVersion", "kind", "name", "uid"].map(|key| (key, json!(text(owner, key))));
    let pointers = ["controller", "blockOwnerDeletion"].map(|key| (key, owner[key].clone()));
    let fields = always.into_iter().chain(pointers.into_iter().filter(|(_, value)| value.is_boolean()));
    let fields: Vec<String> = fields.map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_controllers_are_not_told_many_times() {
        let told = |count: usize| {
            let owner = |index| json!({"apiVersion": "v1", "kind": "Service", "name": format!("a{index}"), "uid": "u", "controller": true});
            let owners: Vec<Value> = (0..count).map(owner).collect();
            let object =
                Object::from_value(json!({"metadata": {"ownerReferences": owners}})).unwrap_or_default();
            let faults = faults(&object);
            (faults.len(), faults.iter().map(|fault| fault.message.len()).sum::<usize>())
        };
        assert_eq!((told(1).0, told(2).0, told(50).0), (0, 1, 49));
        let (count, bytes) = told(12_000);
        assert!(count == 1 && bytes < 2 << 20, "{count} {bytes}");
    }
}

//! JSON patches, one operation at a time: a few of them can make an object that fills the memory, or the stack.

use json_patch::{AddOperation, CopyOperation, MoveOperation, PatchOperation, ReplaceOperation};
use serde_json::Value;

/// Most bytes that the copies of a patch may add, as upstream.
const COPIES_MAX: usize = 3 << 20;
/// How deep an object may get, as deep as one may be that arrives.
const DEPTH_MAX: usize = 128;

/// Does what the patch says.
///
/// # Errors
/// Which operation cannot be done; `value` is of no use then.
pub fn apply(value: &mut Value, patch: &[PatchOperation]) -> Result<(), String> {
    let mut copied = 0;
    for (index, operation) in patch.iter().enumerate() {
        check(value, operation, &mut copied)?;
        json_patch::patch(value, std::slice::from_ref(operation)).map_err(|cause| {
            // It knows of one operation only.
            cause.to_string().replacen("operation '/0'", &format!("operation '/{index}'"), 1)
        })?;
    }
    Ok(())
}

fn check(value: &Value, operation: &PatchOperation, copied: &mut usize) -> Result<(), String> {
    let at = |pointer: &str| value.pointer(pointer).unwrap_or(&Value::Null);
    let (place, new) = match operation {
        PatchOperation::Add(AddOperation { path, value }) => (path.count(), value),
        PatchOperation::Replace(ReplaceOperation { path, value }) => (path.count(), value),
        PatchOperation::Move(MoveOperation { from, path }) => (path.count(), at(from.as_str())),
        PatchOperation::Copy(CopyOperation { from, path }) => {
            let source = at(from.as_str());
            *copied += size(source);
            if *copied > COPIES_MAX {
                return Err(format!("the copies are larger than {COPIES_MAX} bytes"));
            }
            (path.count(), source)
        }
        PatchOperation::Remove(_) | PatchOperation::Test(_) => return Ok(()),
    };
    if place + depth(new) > DEPTH_MAX {
        return Err(format!("the object would be deeper than {DEPTH_MAX}"));
    }
    Ok(())
}

/// How many levels there are in `value`, which is not deep.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// About how many bytes `value` has as text.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => 2 + text.len(),
        Value::Array(list) => 2 + list.iter().map(|value| 1 + size(value)).sum::<usize>(),
        Value::Object(map) => 2 + map.iter().map(|(key, value)| 4 + key.len() + size(value)).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 5,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(operations: Value) -> Result<Value, String> {
        let patch: json_patch::Patch = serde_json::from_value(operations).unwrap();
        let mut value = json!({"a": {"b": [1]}});
        apply(&mut value, &patch.0).map(|()| value)
    }

    #[test]
    fn operations_see_what_those_before_them_did() {
        let found = applied(json!([
            {"op": "add", "path": "/a/b/-", "value": 2}, {"op": "copy", "from": "/a/b", "path": "/c"},
            {"op": "test", "path": "/c/1", "value": 2}, {"op": "remove", "path": "/a"},
        ]));
        assert_eq!(found, Ok(json!({"c": [1, 2]})));
        let error = applied(json!([{"op": "remove", "path": "/a"}, {"op": "remove", "path": "/x"}]));
        assert!(error.as_ref().is_err_and(|error| error.contains("/1")), "{error:?}");
    }

    #[test]
    fn copies_of_copies_end() {
        let double: Vec<Value> =
            (0..40).map(|n| json!({"op": "copy", "from": "", "path": format!("/{n}")})).collect();
        let error = applied(Value::Array(double)).unwrap_err();
        assert!(error.contains("larger than"), "{error}");
    }

    #[test]
    fn depth_ends() {
        let deep = (0..100).fold(json!({}), |inner, _| json!({"d": inner}));
        let further = format!("/a{}", "/d".repeat(60));
        let add = json!({"op": "add", "path": "/a", "value": deep});
        assert!(applied(json!([add])).is_ok());
        for more in [
            json!({"op": "add", "path": further, "value": deep}),
            json!({"op": "copy", "from": "/a", "path": further}),
            json!({"op": "replace", "path": further, "value": deep}),
        ] {
            let error = applied(json!([add, more])).unwrap_err();
            assert!(error.contains("deeper than 128"), "{error}");
        }
        let moved = json!([add, {"op": "add", "path": "/e", "value": deep}, {"op": "move", "from": "/e", "path": further}]);
        assert!(applied(moved).unwrap_err().contains("deeper"));
    }
}

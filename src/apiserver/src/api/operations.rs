//! Applies JSON patches one operation at a time, within limits: a few operations can make an object that fills the memory
//! or overflows the stack.

use json_patch::jsonptr::{Pointer, PointerBuf, Token};
use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation,
    TestOperation,
};
use serde_json::{Map, Value};

/// Most bytes that the copies of a patch may add, as upstream.
const COPIES_MAX: usize = 3 << 20;
/// Deepest object: deeper ones cannot be parsed again.
const DEPTH_MAX: usize = 127;
/// Most values that a patch may visit, or move in lists. All other changes wait meanwhile.
const VISITED_MAX: usize = 1 << 22;

/// Most faults that are told.
const FAULTS_MAX: usize = 100;

/// Applies a patch.
///
/// # Errors
/// The operation that cannot be applied. `value` is then in an unspecified state.
pub fn apply(value: &mut Value, patch: &[PatchOperation]) -> Result<(), String> {
    let mut costs = Costs::default();
    for (index, operation) in patch.iter().enumerate() {
        let operation = as_upstream(value, operation.clone());
        costs.add(value, &operation)?;
        json_patch::patch(value, &[operation]).map_err(|cause| {
            // json_patch was given one operation, so it counts from 0.
            cause.to_string().replacen("operation '/0'", &format!("operation '/{index}'"), 1)
        })?;
    }
    Ok(())
}

/// The faults of a JSON patch that it is not refused for: `twice`, its duplicate fields, and unknown fields
/// (`applyJSPatch` in `k8s.io/apiserver/pkg/endpoints/handlers/patch.go`).
pub fn faults(patch: &Value, twice: &[String]) -> Vec<String> {
    const FIELDS: [&str; 4] = ["op", "path", "from", "value"];
    let mut faults: Vec<String> = twice.iter().map(|fault| format!("json patch {fault}")).collect();
    for (index, operation) in patch.as_array().into_iter().flatten().enumerate() {
        let names = operation.as_object().into_iter().flat_map(Map::keys);
        let unknown = names.filter(|name| !FIELDS.contains(&name.as_str()));
        faults.extend(unknown.map(|name| format!("json patch unknown field \"[{index}].{name}\"")));
        if faults.len() >= FAULTS_MAX {
            break;
        }
    }
    faults
}

/// Makes an operation on `value` mean what upstream's library makes of it: indexes below 0 count from the end of a list,
/// and a replacement adds the member of an object that is not there (`github.com/evanphx/json-patch`, version 4).
fn as_upstream(value: &Value, operation: PatchOperation) -> PatchOperation {
    let counted = |path: &Pointer, is_new: bool| from_the_end(value, path, is_new);
    match operation {
        PatchOperation::Add(AddOperation { path, value }) => {
            PatchOperation::Add(AddOperation { path: counted(&path, true), value })
        }
        PatchOperation::Remove(RemoveOperation { path }) => {
            PatchOperation::Remove(RemoveOperation { path: counted(&path, false) })
        }
        PatchOperation::Replace(ReplaceOperation { path, value: new }) => {
            let path = counted(&path, false);
            let parent = path.parent().and_then(|parent| value.pointer(parent.as_str()));
            if parent.is_some_and(Value::is_object) && value.pointer(path.as_str()).is_none() {
                PatchOperation::Add(AddOperation { path, value: new })
            } else {
                PatchOperation::Replace(ReplaceOperation { path, value: new })
            }
        }
        PatchOperation::Move(MoveOperation { from, path }) => {
            PatchOperation::Move(MoveOperation { from: counted(&from, false), path: counted(&path, true) })
        }
        PatchOperation::Copy(CopyOperation { from, path }) => {
            PatchOperation::Copy(CopyOperation { from: counted(&from, false), path: counted(&path, true) })
        }
        PatchOperation::Test(TestOperation { path, value }) => {
            PatchOperation::Test(TestOperation { path: counted(&path, false), value })
        }
    }
}

/// `path` with indexes below 0 as those that they mean in `value`. A new entry may also stand behind the last one.
fn from_the_end(value: &Value, path: &Pointer, is_new: bool) -> PointerBuf {
    let last = path.count().saturating_sub(1);
    let mut at = Some(value);
    let tokens = path.tokens().enumerate().map(|(place, token)| {
        let list = at.and_then(Value::as_array);
        let end = list.map_or(0, |list| list.len() + usize::from(is_new && place == last));
        let back = token.encoded().strip_prefix('-').and_then(|digits| digits.parse::<usize>().ok());
        let token = match back.and_then(|back| end.checked_sub(back)).filter(|_| list.is_some()) {
            Some(index) if index < end => Token::from(index),
            _ => token.into_owned(),
        };
        at = at.and_then(|at| {
            token.encoded().parse::<usize>().ok().map_or_else(
                || at.get(token.decoded().as_ref()),
                |index| at.get(index).or_else(|| at.get(token.decoded().as_ref())),
            )
        });
        token
    });
    PointerBuf::from_tokens(tokens)
}

/// The costs of a patch so far.
#[derive(Default)]
struct Costs {
    copied: usize,
    visited: usize,
}

impl Costs {
    /// Adds the costs of an operation on `value`, which is not applied yet.
    fn add(&mut self, value: &Value, operation: &PatchOperation) -> Result<(), String> {
        let at = |pointer: &Pointer| value.pointer(pointer.as_str()).unwrap_or(&Value::Null);
        let (path, new) = match operation {
            PatchOperation::Add(AddOperation { path, value })
            | PatchOperation::Replace(ReplaceOperation { path, value }) => (path, value),
            PatchOperation::Move(MoveOperation { from, path }) => {
                self.visited += followers(value, from);
                (path, at(from))
            }
            PatchOperation::Copy(CopyOperation { from, path }) => {
                self.copied += size(at(from));
                if self.copied > COPIES_MAX {
                    return Err(format!("the copies are larger than {COPIES_MAX} bytes"));
                }
                (path, at(from))
            }
            PatchOperation::Remove(RemoveOperation { path }) => (path, &Value::Null),
            PatchOperation::Test(_) => return Ok(()),
        };
        self.visited += followers(value, path);
        if path.count() + depth(new, &mut self.visited) > DEPTH_MAX {
            return Err(format!("the object would be deeper than {DEPTH_MAX}"));
        }
        if self.visited > VISITED_MAX {
            return Err("the operations move too much".to_owned());
        }
        Ok(())
    }
}

/// How many entries of a list move if one is inserted or removed at `place`.
fn followers(value: &Value, place: &Pointer) -> usize {
    let Some((list, index)) = place.split_back() else { return 0 };
    let list = value.pointer(list.as_str()).and_then(Value::as_array);
    match (list, index.encoded().parse::<usize>()) {
        (Some(list), Ok(index)) => list.len().saturating_sub(index),
        _ => 0,
    }
}

/// How many levels there are in `value`, which is not deep.
fn depth(value: &Value, visited: &mut usize) -> usize {
    *visited += 1;
    match value {
        Value::Array(list) => 1 + list.iter().map(|value| depth(value, visited)).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(|value| depth(value, visited)).max().unwrap_or(0),
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
    fn indexes_below_0_count_from_the_end() {
        for (operations, expected) in [
            (json!([{"op": "add", "path": "/a/b/-1", "value": 2}]), Some(json!([1, 2]))),
            (json!([{"op": "add", "path": "/a/b/-2", "value": 0}]), Some(json!([0, 1]))),
            (json!([{"op": "add", "path": "/a/b/-3", "value": 0}]), None),
            (json!([{"op": "replace", "path": "/a/b/-1", "value": 3}]), Some(json!([3]))),
            (json!([{"op": "replace", "path": "/a/b/-2", "value": 3}]), None),
            (json!([{"op": "replace", "path": "/a/b/1", "value": 3}]), None),
            (json!([{"op": "copy", "from": "/a/b/-1", "path": "/a/b/-"}]), Some(json!([1, 1]))),
            (
                json!([{"op": "test", "path": "/a/b/-1", "value": 1}, {"op": "remove", "path": "/a/b/-1"}]),
                Some(json!([])),
            ),
        ] {
            let found = applied(operations.clone()).ok().map(|value| value["a"]["b"].clone());
            assert_eq!(found, expected, "{operations}");
        }
    }

    #[test]
    fn a_replacement_of_a_missing_member_adds_it() {
        let replace = |path: &str| applied(json!([{"op": "replace", "path": path, "value": 1}]));
        assert_eq!(replace("/c"), Ok(json!({"a": {"b": [1]}, "c": 1})));
        assert_eq!(replace("/a/-1"), Ok(json!({"a": {"b": [1], "-1": 1}})));
        for path in ["/x/y", "/a/b/1", "/a/b/x"] {
            assert!(replace(path).is_err(), "{path}");
        }
    }

    #[test]
    fn faults_of_operations_are_told() {
        let patch = json!([{"op": "add"}, {"op": "add", "foo": 1, "bar": 2}]);
        let found = faults(&patch, &["duplicate field \"[0].op\"".to_owned()]);
        let expected =
            ["duplicate field \"[0].op\"", "unknown field \"[1].bar\"", "unknown field \"[1].foo\""];
        assert_eq!(found, expected.map(|fault| format!("json patch {fault}")));
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
            assert!(error.contains("deeper than 127"), "{error}");
        }
        let moved = json!([add, {"op": "add", "path": "/e", "value": deep}, {"op": "move", "from": "/e", "path": further}]);
        assert!(applied(moved).unwrap_err().contains("deeper"));
    }

    #[test]
    fn the_deepest_object_is_read_again() {
        let mut value = json!({"a": {}});
        let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({"d": inner}));
        for (levels, fits) in [(126, true), (127, false)] {
            let add: json_patch::Patch =
                serde_json::from_value(json!([{"op": "add", "path": "/a", "value": nested(levels)}]))
                    .unwrap();
            assert_eq!(apply(&mut value, &add.0).is_ok(), fits, "{levels}");
            assert!(serde_json::from_str::<Value>(&value.to_string()).is_ok(), "{levels}");
        }
    }

    #[test]
    fn moving_much_again_and_again_ends() {
        let list = json!({"op": "add", "path": "/list", "value": vec![0; 50_000]});
        for moved in [
            json!({"op": "move", "from": "/list", "path": "/list"}),
            json!({"op": "move", "from": "/list/0", "path": "/list/0"}),
        ] {
            let many: Vec<Value> = std::iter::once(list.clone()).chain(vec![moved; 100]).collect();
            assert!(applied(Value::Array(many)).unwrap_err().contains("move too much"));
        }
        let append = vec![json!({"op": "add", "path": "/list/-", "value": 1}); 1000];
        assert!(applied(Value::Array(std::iter::once(list).chain(append).collect())).is_ok());
    }
}

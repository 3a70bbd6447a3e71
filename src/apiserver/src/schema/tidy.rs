//! Makes objects look as Go writes them: it leaves out false, 0 and empty text of fields that it may leave out
//! (`omitempty`), and writes structures that are no pointers in any case, with the fields that it may not leave out.

use serde_json::{Map, Value, json};

use super::{Field, Form, Type};

/// Tidies a structure. The depth is bounded by the table.
pub(crate) fn structure(map: &mut Map<String, Value>, schema: &'static Type) {
    for field in schema.all_fields().filter(|field| !field.is_pointer) {
        if let Some(zero) = always_written(field) {
            map.entry(field.name).or_insert(zero);
        }
    }
    map.retain(|name, value| {
        let Some(field) = schema.field(name) else { return true };
        inner(value, field.form);
        !is_left_out(value, field)
    });
}

fn inner(value: &mut Value, form: Form) {
    match (value, form) {
        (Value::Object(map), Form::Object(schema)) => structure(map, schema),
        (Value::Array(list), Form::List(item)) => list.iter_mut().for_each(|value| inner(value, *item)),
        _ => {}
    }
}

/// The value of a missing field that Go writes.
fn always_written(field: &Field) -> Option<Value> {
    match field.form {
        Form::Object(_) => Some(json!({})),
        Form::Text if is_written(field) => Some("".into()),
        Form::Boolean if is_written(field) => Some(false.into()),
        Form::Int32 | Form::Int64 if is_written(field) => Some(0.into()),
        _ => None,
    }
}

/// Whether Go writes the field even if it is empty.
fn is_written(field: &Field) -> bool {
    field.is_required || field.is_written
}

fn is_left_out(value: &Value, field: &Field) -> bool {
    if field.is_pointer || is_written(field) {
        return false;
    }
    match (value, field.form) {
        (Value::Bool(flag), Form::Boolean) => !flag,
        (Value::Number(number), Form::Int32 | Form::Int64) => number.as_i64() == Some(0),
        (Value::String(text), Form::Text) => text.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::published;

    #[test]
    fn objects_are_written_as_go_writes_them() {
        let mut pod = json!({
            "metadata": {"name": "a", "generateName": ""},
            "spec": {"nodeName": "", "hostNetwork": false, "hostUsers": false, "terminationGracePeriodSeconds": 0,
                "containers": [{"stdin": false, "ports": [{"hostPort": 0}]}],
                "volumes": [{"name": "v", "hostPath": {"path": "", "type": ""}}]},
        });
        structure(pod.as_object_mut().unwrap(), &published::Pod);
        let written = json!({
            "metadata": {"name": "a"},
            "spec": {"hostUsers": false, "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "", "ports": [{"containerPort": 0}], "resources": {}}],
                "volumes": [{"name": "v", "hostPath": {"path": "", "type": ""}}]},
            "status": {},
        });
        assert_eq!(pod, written);
    }
}

//! OpenAPI: enough for `kubectl explain`, and for `kubectl apply` to leave the check of fields to the server.

use serde_json::{Map, Value, json};

use super::discovery::of_version;
use crate::kinds::schemas;
use crate::resource::{Resource, ResourceInfo};
use crate::schema::{Field, Form, Merge, Type};

/// `/openapi/v3`: where the documents are.
pub fn index(kinds: &[Box<dyn Resource>]) -> Value {
    let mut paths = Map::new();
    for info in kinds.iter().map(|kind| kind.info()) {
        let path = base(info);
        let url = format!("/openapi/v3/{path}?hash={}", env!("CARGO_PKG_VERSION"));
        paths.insert(path, json!({"serverRelativeURL": url}));
    }
    json!({"paths": paths})
}

/// The document of one version of a group.
pub fn document(kinds: &[Box<dyn Resource>], group: &str, version: &str) -> Option<Value> {
    let (mut paths, mut definitions) = (Map::new(), Map::new());
    for info in of_version(kinds, group, version) {
        let schema = schemas::of(info.group, info.kind)?;
        define(schema, &mut definitions);
        let gvk = json!({"group": info.group, "version": info.version, "kind": info.kind});
        if let Some(definition) = definitions.get_mut(schema.name) {
            definition["x-kubernetes-group-version-kind"] = json!([gvk]);
        }
        let root = if info.namespaced {
            format!("/{}/namespaces/{{namespace}}/{}", base(info), info.plural)
        } else {
            format!("/{}/{}", base(info), info.plural)
        };
        let body = json!({"content": {"application/json": {"schema": reference(schema)}}});
        let operation = |action: &str, verb: &str| {
            let mut operation = json!({
                "tags": [group], "operationId": format!("{verb}{}", info.kind),
                "responses": {"200": {"description": "OK", "content": body["content"]}},
                "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk,
            });
            if matches!(action, "post" | "put" | "patch") {
                operation["parameters"] = PARAMETERS.iter().map(parameter).collect();
                operation["requestBody"] = body.clone();
            }
            operation
        };
        let (mut all, mut one) = (Map::new(), Map::new());
        for verb in info.verbs {
            let (place, method, action) = match *verb {
                "list" => (&mut all, "get", "list"),
                "create" => (&mut all, "post", "post"),
                "deletecollection" => (&mut all, "delete", "deletecollection"),
                "get" => (&mut one, "get", "get"),
                "update" => (&mut one, "put", "put"),
                "patch" => (&mut one, "patch", "patch"),
                "delete" => (&mut one, "delete", "delete"),
                _ => continue,
            };
            place.insert(method.to_owned(), operation(action, verb));
        }
        paths.insert(root.clone(), Value::Object(all));
        paths.insert(format!("{root}/{{name}}"), Value::Object(one));
    }
    if paths.is_empty() {
        return None;
    }
    Some(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "1.36"},
        "paths": paths, "components": {"schemas": definitions},
    }))
}

/// The query parameters of changes: that `fieldValidation` is among them is what kubectl looks for.
pub(super) const PARAMETERS: [(&str, &str); 3] = [
    ("dryRun", "All: everything is done but kept."),
    ("fieldManager", "Who makes the change."),
    ("fieldValidation", "Ignore, Warn or Strict: what happens to fields that the kind does not have."),
];

fn parameter((name, description): &(&str, &str)) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": "string", "uniqueItems": true}})
}

pub(super) fn base(info: &ResourceInfo) -> String {
    if info.group.is_empty() {
        format!("api/{}", info.version)
    } else {
        format!("apis/{}/{}", info.group, info.version)
    }
}

fn reference(schema: &Type) -> Value {
    json!({"$ref": format!("#/components/schemas/{}", schema.name)})
}

/// Puts a structure and everything in it among the definitions.
pub(super) fn define(schema: &'static Type, definitions: &mut Map<String, Value>) {
    if definitions.contains_key(schema.name) {
        return;
    }
    definitions.insert(schema.name.to_owned(), Value::Null);
    let mut properties = Map::new();
    for field in schema.fields {
        properties.insert(field.name.to_owned(), property(field));
        if let Some(inner) = field.form.inner() {
            define(inner, definitions);
        }
    }
    let required: Vec<&str> =
        schema.fields.iter().filter(|field| field.is_required).map(|field| field.name).collect();
    let mut definition =
        json!({"description": schema.description, "type": "object", "properties": properties});
    if !required.is_empty() {
        definition["required"] = json!(required);
    }
    if schema.is_open {
        definition["x-kubernetes-preserve-unknown-fields"] = true.into();
    }
    definitions.insert(schema.name.to_owned(), definition);
}

fn property(field: &Field) -> Value {
    // A reference has no room for a description of its own, so it goes in as the only part of `allOf`.
    let mut property = match field.form {
        Form::Object(inner) => json!({"allOf": [reference(inner)]}),
        form => shape(form),
    };
    property["description"] = field.description.into();
    match field.merge {
        Merge::Replace if matches!(field.form, Form::List(_)) => {
            property["x-kubernetes-list-type"] = "atomic".into();
        }
        Merge::Replace => {}
        Merge::Set => {
            property["x-kubernetes-list-type"] = "set".into();
            property["x-kubernetes-patch-strategy"] = "merge".into();
        }
        Merge::Key(key, keys) => {
            property["x-kubernetes-list-type"] = "map".into();
            property["x-kubernetes-list-map-keys"] = json!(keys);
            property["x-kubernetes-patch-strategy"] = "merge".into();
            property["x-kubernetes-patch-merge-key"] = key.into();
        }
    }
    property
}

fn shape(form: Form) -> Value {
    match form {
        Form::Text | Form::Quantity => json!({"type": "string"}),
        Form::Boolean => json!({"type": "boolean"}),
        Form::Int32 => json!({"type": "integer", "format": "int32"}),
        Form::Int64 => json!({"type": "integer", "format": "int64"}),
        Form::Time | Form::MicroTime => json!({"type": "string", "format": "date-time"}),
        Form::IntOrString => {
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
        }
        Form::Any => json!({"type": "object"}),
        Form::Texts | Form::Quantities => {
            json!({"type": "object", "additionalProperties": {"type": "string"}})
        }
        Form::Object(inner) => reference(inner),
        Form::List(item) => json!({"type": "array", "items": shape(*item)}),
    }
}

#[cfg(test)]
mod tests {
    use super::super::discovery;
    use super::*;
    use crate::kinds::{self, Config};

    /// Sees that every reference leads somewhere.
    fn check(value: &Value, document: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(path) = map.get("$ref").and_then(Value::as_str) {
                    assert!(document.pointer(&path[1..]).is_some_and(Value::is_object), "{path}");
                }
                map.values().for_each(|value| check(value, document));
            }
            Value::Array(list) => list.iter().for_each(|value| check(value, document)),
            _ => {}
        }
    }

    #[test]
    fn every_kind_is_described() {
        let kinds = kinds::all(Config::default());
        let index = index(&kinds);
        assert!(
            index["paths"]["api/v1"]["serverRelativeURL"]
                .as_str()
                .unwrap()
                .starts_with("/openapi/v3/api/v1?hash=")
        );
        for info in kinds.iter().map(|kind| kind.info()) {
            let document = document(&kinds, info.group, info.version).unwrap();
            check(&document, &document);
            let schema = &document["components"]["schemas"][schemas::of(info.group, info.kind).unwrap().name];
            assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], info.kind);
        }
        assert!(document(&kinds, "apps", "v1").is_none());
        // What makes kubectl leave the check of fields to the server.
        let document = document(&kinds, "", "v1").unwrap();
        let patch = &document["paths"]["/api/v1/namespaces/{namespace}/services/{name}"]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Service");
        assert_eq!(patch["parameters"][2]["name"], "fieldValidation");
    }

    #[test]
    fn both_forms_of_discovery_tell_the_same() {
        let kinds = kinds::all(Config::default());
        let names = |entries: &Value, key: &str| -> Vec<String> {
            let names =
                entries.as_array().unwrap().iter().map(|entry| entry[key].as_str().unwrap().to_owned());
            names.filter(|name| !name.contains('/')).collect()
        };
        let core = discovery::aggregated(&kinds, true, "v2");
        let legacy = discovery::kinds_of(&kinds, "", "v1").unwrap();
        let found = names(&core["items"][0]["versions"][0]["resources"], "resource");
        assert_eq!(found, names(&legacy["resources"], "name"));
        assert!(found.contains(&"services".to_owned()), "{found:?}");
        let groups = discovery::aggregated(&kinds, false, "v2");
        let found: Vec<&str> = groups["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group["metadata"]["name"].as_str().unwrap())
            .collect();
        let legacy = discovery::group_list(&kinds);
        assert_eq!(found, names(&legacy["groups"], "name"));
        assert_eq!(
            discovery::group(&kinds, "networking.k8s.io").unwrap()["preferredVersion"]["version"],
            "v1"
        );
        assert!(discovery::group(&kinds, "").is_none() && discovery::kinds_of(&kinds, "", "v2").is_none());
    }
}

//! OpenAPI: enough for `kubectl explain`, and for `kubectl apply` to leave the check of fields to the server.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::discovery::in_use;
use crate::kind::{Kind, Source, Verb};
use crate::schema::{Field, Form, Merge, Type};

/// The hashes of the documents by their paths (`pkg/handler3/handler.go` of kube-openapi). Clients keep a document for as
/// long as it has the same one.
pub type Hashes = BTreeMap<String, String>;

/// The hashes of all documents.
pub fn hashes(kinds: &[&'static Kind]) -> Hashes {
    let mut hashes = Hashes::new();
    for kind in kinds.iter().filter(|kind| kind.source != Source::Nowhere) {
        hashes.entry(base(kind)).or_insert_with(|| {
            let document = document(kinds, kind.group, kind.version).unwrap_or_default();
            hash(document.to_string().as_bytes())
        });
    }
    hashes
}

/// The hash of a document, of which an `ETag` is made.
pub fn hash(document: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA512, document);
    digest.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02X}"))
}

/// `/openapi/v3`: the URLs of the documents.
pub fn index(hashes: &Hashes) -> Value {
    let url =
        |path: &str, hash: &str| json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")});
    let paths: Map<String, Value> =
        hashes.iter().map(|(path, hash)| (path.clone(), url(path, hash))).collect();
    json!({"paths": paths})
}

/// The document of one version of a group.
pub fn document(kinds: &[&'static Kind], group: &str, version: &str) -> Option<Value> {
    let (mut paths, mut definitions) = (Map::new(), Map::new());
    for kind in in_use(kinds, group, version) {
        let schema = kind.schema;
        define(schema, &mut definitions);
        let gvk = json!({"group": kind.group, "version": kind.version, "kind": kind.name});
        if let Some(definition) = definitions.get_mut(schema.name) {
            definition["x-kubernetes-group-version-kind"] = json!([gvk]);
        }
        let root = if kind.namespaced {
            format!("/{}/namespaces/{{namespace}}/{}", base(kind), kind.plural)
        } else {
            format!("/{}/{}", base(kind), kind.plural)
        };
        let body = json!({"content": {"application/json": {"schema": reference(schema)}}});
        let (mut all, mut one) = (Map::new(), Map::new());
        for operation in operations(kind) {
            let place = if operation.is_of_one { &mut one } else { &mut all };
            let mut value = json!({
                "tags": [group], "operationId": format!("{}{}", operation.verb.name(), kind.name),
                "responses": {"200": {"description": "OK", "content": body["content"]}},
                "x-kubernetes-action": operation.action, "x-kubernetes-group-version-kind": gvk,
            });
            if operation.has_body() {
                value["parameters"] = PARAMETERS.iter().map(parameter).collect();
                value["requestBody"] = body.clone();
            }
            place.insert(operation.method.to_owned(), value);
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

/// An operation of OpenAPI on a kind.
pub(super) struct Operation {
    pub(super) verb: Verb,
    /// Whether it is done with one object.
    pub(super) is_of_one: bool,
    pub(super) method: &'static str,
    /// `x-kubernetes-action`.
    pub(super) action: &'static str,
}

impl Operation {
    pub(super) fn has_body(&self) -> bool {
        matches!(self.verb, Verb::Create | Verb::Update | Verb::Patch)
    }
}

/// The operations of a kind. A watch is a list with a parameter.
pub(super) fn operations(kind: &Kind) -> impl Iterator<Item = Operation> {
    kind.verbs.iter().filter_map(|verb| {
        let (is_of_one, method, action) = match verb {
            Verb::List => (false, "get", "list"),
            Verb::Create => (false, "post", "post"),
            Verb::DeleteCollection => (false, "delete", "deletecollection"),
            Verb::Get => (true, "get", "get"),
            Verb::Update => (true, "put", "put"),
            Verb::Patch => (true, "patch", "patch"),
            Verb::Delete => (true, "delete", "delete"),
            Verb::Watch => return None,
        };
        Some(Operation { verb: *verb, is_of_one, method, action })
    })
}

/// The query parameters of changes. kubectl looks for `fieldValidation` among them.
pub(super) const PARAMETERS: [(&str, &str); 3] = [
    ("dryRun", "All: everything is done but kept."),
    ("fieldManager", "Who makes the change."),
    ("fieldValidation", "Ignore, Warn or Strict: what happens to fields that the kind does not have."),
];

fn parameter((name, description): &(&str, &str)) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": "string", "uniqueItems": true}})
}

pub(super) fn base(kind: &Kind) -> String {
    path(kind.group, kind.version)
}

/// Where the kinds of a version of a group are: `api/v1`, `apis/apps/v1`.
pub fn path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn reference(schema: &Type) -> Value {
    json!({"$ref": format!("#/components/schemas/{}", schema.name)})
}

/// Adds a structure and everything in it to the definitions.
pub(super) fn define(schema: &'static Type, definitions: &mut Map<String, Value>) {
    if definitions.contains_key(schema.name) {
        return;
    }
    definitions.insert(schema.name.to_owned(), Value::Null);
    let mut properties = Map::new();
    for field in schema.all_fields() {
        properties.insert(field.name.to_owned(), property(field));
        if let Some(inner) = field.form.inner() {
            define(inner, definitions);
        }
    }
    let required: Vec<&str> =
        schema.all_fields().filter(|field| field.is_required).map(|field| field.name).collect();
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
    match field.apply {
        Merge::Replace if matches!(field.form, Form::List(_)) => {
            property["x-kubernetes-list-type"] = "atomic".into();
        }
        Merge::Replace => {}
        Merge::Set => property["x-kubernetes-list-type"] = "set".into(),
        Merge::Key(keys) => {
            property["x-kubernetes-list-type"] = "map".into();
            property["x-kubernetes-list-map-keys"] = json!(keys);
        }
    }
    if field.merge != Merge::Replace {
        property["x-kubernetes-patch-strategy"] = "merge".into();
    }
    if let Merge::Key(key) = field.merge {
        property["x-kubernetes-patch-merge-key"] = key.into();
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
        Form::Blobs => {
            json!({"type": "object", "additionalProperties": {"type": "string", "format": "byte"}})
        }
        Form::Object(inner) => reference(inner),
        Form::List(item) => json!({"type": "array", "items": shape(*item)}),
    }
}

#[cfg(test)]
mod tests {
    use super::super::discovery;
    use super::*;
    use crate::kinds;

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
        let kinds = kinds::every();
        let index = index(&hashes(&kinds));
        assert!(
            index["paths"]["api/v1"]["serverRelativeURL"]
                .as_str()
                .unwrap()
                .starts_with("/openapi/v3/api/v1?hash=")
        );
        for kind in kinds.iter().filter(|kind| kind.source != Source::Nowhere) {
            let document = document(&kinds, kind.group, kind.version).unwrap();
            check(&document, &document);
            let schema = &document["components"]["schemas"][kind.schema.name];
            assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], kind.name);
        }
        assert!(document(&kinds, "apps", "v1").is_none());
        // With this kubectl leaves the check of fields to the server.
        let document = document(&kinds, "", "v1").unwrap();
        let patch = &document["paths"]["/api/v1/namespaces/{namespace}/services/{name}"]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Service");
        assert_eq!(patch["parameters"][2]["name"], "fieldValidation");
    }

    #[test]
    fn both_forms_of_discovery_tell_the_same() {
        let kinds = kinds::every();
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

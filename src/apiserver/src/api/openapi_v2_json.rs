//! OpenAPI 2 in JSON, the answer of `/openapi/v2` unless the client wants protobuf. It is made of OpenAPI 3.

use serde_json::{Map, Value, json};

use super::openapi::{self, PARAMETERS, base, define};
use crate::kind::{Kind, Source};

/// The document of all kinds.
pub fn document(kinds: &[&'static Kind]) -> Value {
    let (mut paths, mut definitions) = (Map::new(), Map::new());
    for kind in kinds.iter().filter(|kind| kind.source != Source::Nowhere) {
        let schema = kind.schema;
        define(schema, &mut definitions);
        if let Some(definition) = definitions.get_mut(schema.name) {
            definition["x-kubernetes-group-version-kind"] = json!([gvk(kind)]);
        }
        let namespace = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
        let root = format!("/{}{namespace}/{}", base(kind), kind.plural);
        let reference = json!({"$ref": format!("#/definitions/{}", schema.name)});
        let (all, one) = operations(kind, &reference);
        paths.insert(root.clone(), Value::Object(all));
        if !one.is_empty() {
            paths.insert(format!("{root}/{{name}}"), Value::Object(one));
        }
    }
    definitions.values_mut().for_each(older);
    json!({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.36.0"},
        "paths": paths, "definitions": definitions,
    })
}

fn gvk(kind: &Kind) -> Value {
    json!({"group": kind.group, "version": kind.version, "kind": kind.name})
}

/// The operations on all objects of a kind, and on one.
fn operations(kind: &Kind, reference: &Value) -> (Map<String, Value>, Map<String, Value>) {
    let (mut all, mut one) = (Map::new(), Map::new());
    for operation in openapi::operations(kind) {
        let place = if operation.is_of_one { &mut one } else { &mut all };
        let mut value = json!({
            "operationId": format!("{}{}", operation.verb.name(), kind.name),
            "consumes": ["*/*"], "produces": ["application/json"],
            "responses": {"200": {"description": "OK", "schema": reference}},
            "x-kubernetes-action": operation.action, "x-kubernetes-group-version-kind": gvk(kind),
        });
        if operation.has_body() {
            let body = json!({"name": "body", "in": "body", "required": true, "schema": reference});
            let query = PARAMETERS.iter().map(|(name, description)| {
                json!({"name": name, "in": "query", "type": "string", "uniqueItems": true, "description": description})
            });
            value["parameters"] = std::iter::once(body).chain(query).collect();
        }
        place.insert(operation.method.to_owned(), value);
    }
    (all, one)
}

/// Converts a definition of OpenAPI 3 to OpenAPI 2.
fn older(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("format").is_some_and(|format| format == "int-or-string") {
                map.remove("oneOf");
                map.insert("type".to_owned(), "string".into());
            }
            if let Some(Value::String(path)) = map.get_mut("$ref") {
                *path = path.replace("#/components/schemas/", "#/definitions/");
            }
            map.values_mut().for_each(older);
        }
        Value::Array(list) => list.iter_mut().for_each(older),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_kind_is_described_in_terms_of_openapi_2() {
        let kinds = kinds::every();
        let document = document(&kinds);
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50, "{found:?}");
        for path in found {
            assert!(document.pointer(&path[1..]).is_some_and(Value::is_object), "{path}");
        }
        let port = &document["definitions"]["io.k8s.api.core.v1.ServicePort"]["properties"]["targetPort"];
        assert_eq!((&port["type"], port.get("oneOf")), (&json!("string"), None));
        let patch = &document["paths"]["/api/v1/namespaces/{namespace}/services/{name}"]["patch"];
        assert_eq!(patch["parameters"][3]["name"], "fieldValidation");
    }
}

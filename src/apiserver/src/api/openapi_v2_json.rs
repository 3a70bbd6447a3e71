//! OpenAPI 2 in JSON, which `/openapi/v2` is unless protobuf is asked for. What it says is what OpenAPI 3 says.

use serde_json::{Map, Value, json};

use super::openapi::{PARAMETERS, base, define};
use crate::kinds::schemas;
use crate::resource::{Resource, ResourceInfo};

/// The document of all kinds.
pub fn document(kinds: &[Box<dyn Resource>]) -> Value {
    let (mut paths, mut definitions) = (Map::new(), Map::new());
    for info in kinds.iter().map(|kind| kind.info()) {
        let Some(schema) = schemas::of(info.group, info.kind) else { continue };
        define(schema, &mut definitions);
        if let Some(definition) = definitions.get_mut(schema.name) {
            definition["x-kubernetes-group-version-kind"] = json!([gvk(info)]);
        }
        let namespace = if info.namespaced { "/namespaces/{namespace}" } else { "" };
        let root = format!("/{}{namespace}/{}", base(info), info.plural);
        let reference = json!({"$ref": format!("#/definitions/{}", schema.name)});
        let (all, one) = operations(info, &reference);
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

fn gvk(info: &ResourceInfo) -> Value {
    json!({"group": info.group, "version": info.version, "kind": info.kind})
}

/// What may be done with all objects of a kind, and with one.
fn operations(info: &ResourceInfo, reference: &Value) -> (Map<String, Value>, Map<String, Value>) {
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
        let mut operation = json!({
            "operationId": format!("{verb}{}", info.kind), "consumes": ["*/*"], "produces": ["application/json"],
            "responses": {"200": {"description": "OK", "schema": reference}},
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk(info),
        });
        if matches!(action, "post" | "put" | "patch") {
            let body = json!({"name": "body", "in": "body", "required": true, "schema": reference});
            let query = PARAMETERS.iter().map(|(name, description)| {
                json!({"name": name, "in": "query", "type": "string", "uniqueItems": true, "description": description})
            });
            operation["parameters"] = std::iter::once(body).chain(query).collect();
        }
        place.insert(method.to_owned(), operation);
    }
    (all, one)
}

/// Makes a definition of OpenAPI 3 one of OpenAPI 2.
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
    use crate::kinds::{self, Config};

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
        let kinds = kinds::all(Config::default());
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

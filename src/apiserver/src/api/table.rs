//! Tables, as `kubectl get` asks for them (`meta.k8s.io`), and lists of metadata only.

use serde_json::{Map, Value, json};

use super::parameters::Include;
use crate::object::Object;
use crate::resource::Resource;

/// A table of one object, whose version is that of the table.
pub fn of_one(
    resource: &dyn Resource,
    version: &str,
    object: &Object,
    include: Include,
    now: i64,
    with_columns: bool,
) -> Value {
    let metadata = list_metadata(object.resource_version(), None, None);
    let mut table = head(resource, version, metadata, with_columns);
    table["rows"] = json!([row(resource, version, object, include, now)]);
    table
}

/// A table without its rows.
pub fn head(resource: &dyn Resource, version: &str, list_metadata: Value, with_columns: bool) -> Value {
    json!({
        "kind": "Table",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": list_metadata,
        "columnDefinitions": if with_columns { columns(resource) } else { Value::Null },
    })
}

fn columns(resource: &dyn Resource) -> Value {
    let column = |column: &crate::kind::Column| {
        json!({
            "name": column.name, "type": column.kind, "format": column.format,
            "description": column.description, "priority": column.priority,
        })
    };
    resource.kind().columns.iter().map(column).collect()
}

/// An object's row.
pub fn row(resource: &dyn Resource, version: &str, object: &Object, include: Include, now: i64) -> Value {
    let shown = match include {
        Include::None => Value::Null,
        Include::Metadata => metadata(version, object),
        Include::Object => {
            let mut object = object.clone();
            if let Some(view) = resource.kind().view() {
                view.to_shown(&mut object, resource.kind());
            }
            object.into_value()
        }
    };
    let mut row = json!({"cells": resource.cells(object, now), "object": shown});
    let conditions = resource.row_conditions(object);
    if !conditions.is_empty() {
        row["conditions"] = conditions.into();
    }
    row
}

/// A `PartialObjectMetadata`.
pub fn metadata(version: &str, object: &Object) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object.metadata(),
    })
}

/// The metadata of a list.
pub fn list_metadata(resource_version: u64, continue_token: Option<&str>, remaining: Option<u64>) -> Value {
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".to_owned(), resource_version.to_string().into());
    if let Some(token) = continue_token {
        metadata.insert("continue".to_owned(), token.into());
    }
    if let Some(remaining) = remaining {
        metadata.insert("remainingItemCount".to_owned(), remaining.into());
    }
    Value::Object(metadata)
}

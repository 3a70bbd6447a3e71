//! `get` and `list`.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request};
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::call::{Call, Shared, form};
use crate::api::media::Form;
use crate::api::parameters::{Parameters, go_uint};
use crate::api::path::Place;
use crate::api::table;
use crate::kind::{Kind, View};
use crate::kinds::absent;
use crate::object::Object;
use crate::registry::{List, ListQuery};

use crate::selector::{Selector, escaped};
use crate::status::ApiError;
use crate::store::Stored;
use crate::time::now;
use pod::validation::go_quote;

impl Call<'_> {
    /// The answer with one object, in the form that the client wants.
    pub(super) fn object(&self, code: u16, stored: &Stored) -> Result<Answer, ApiError> {
        Ok(match self.form {
            Form::Plain | Form::Discovery(_) => answer::text(code, self.shown(stored)?.to_string()),
            Form::Metadata(version, _) => answer::json(code, &table::metadata(version, &stored.object()?)),
            Form::Table(version) => {
                let object = stored.object()?;
                let (include, resource) = (self.parameters.include_object, self.resource);
                answer::json(code, &table::of_one(resource, version, &object, include, now(), true))
            }
        })
    }

    /// The text of an object in the kind that the client asked for.
    fn shown(&self, stored: &Stored) -> Result<Arc<str>, ApiError> {
        match self.kind.view() {
            None => Ok(Arc::clone(&stored.text)),
            Some(view) => view_of(view, self.kind, &stored.text),
        }
    }

    /// The query for the objects of the request.
    pub(super) fn query(&self) -> Result<ListQuery, ApiError> {
        let mut fields = self.parameters.field_selector.clone();
        if let Some(name) = self.name.as_ref().filter(|_| fields.is_empty()) {
            fields = format!("metadata.name={}", escaped(name));
        }
        let selector = Selector::parse(&self.parameters.label_selector, &fields)?;
        selector.check(self.kind)?;
        // `listOpts` in `k8s.io/apiserver/pkg/endpoints/handlers/get.go`.
        if self.name.is_some() && self.name.as_deref() != selector.name() {
            let message = "fieldSelector metadata.name doesn't match requested name";
            return Err(ApiError::bad_request(message));
        }
        let selector = match self.kind.view() {
            Some(view) => selector.renamed(view),
            None => selector,
        };
        Ok(ListQuery {
            namespace: Some(self.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            selector,
            limit: u64::try_from(self.parameters.limit).unwrap_or_default(),
            continue_token: self.parameters.continue_token.clone(),
        })
    }

    /// `resourceVersion` as a number; `None` if it is not given. Upstream gives the error no reason (`ParseResourceVersion` in
    /// `k8s.io/apiserver/pkg/storage/api_object_versioner.go`).
    pub(super) fn version(&self) -> Result<Option<u64>, ApiError> {
        let given = self.parameters.resource_version.as_str();
        if given.is_empty() {
            return Ok(None);
        }
        go_uint(given).map(Some).map_err(|why| {
            ApiError::unclassified(format!("resourceVersion: Invalid value: {}: {why}", go_quote(given)))
        })
    }

    /// Checks that `resourceVersion` and `resourceVersionMatch` allow a list of the present objects
    /// (`ValidateListOptions` in `k8s.io/apiserver/pkg/storage/interfaces.go`).
    pub(super) fn check_version(&self) -> Result<(), ApiError> {
        let invalid =
            |error: ApiError| ApiError::bad_request(format!("invalid resource version: {}", error.message));
        let (version, current) = (self.version().map_err(invalid), self.shared.registry.resource_version());
        if !self.parameters.continue_token.is_empty() {
            return if matches!(self.parameters.resource_version.as_str(), "" | "0") {
                Ok(())
            } else {
                Err(ApiError::bad_request("specifying resource version is not allowed when using continue"))
            };
        }
        let Some(version) = version? else { return Ok(()) };
        if version > current {
            return Err(ApiError::too_large_version(version, current));
        }
        // Earlier versions are not kept.
        if self.parameters.resource_version_match == "Exact" && version < current {
            return Err(ApiError::expired("The resourceVersion for the provided list is too old."));
        }
        Ok(())
    }
}

/// The text of a stored object as an object of `kind`, by its view.
pub(super) fn view_of(view: View, kind: &Kind, text: &str) -> Result<Arc<str>, ApiError> {
    let mut object = Object(serde_json::from_str(text).map_err(ApiError::internal)?);
    view.to_shown(&mut object, kind);
    Ok(serde_json::to_string(&object.0).map_err(ApiError::internal)?.into())
}

/// One object.
pub(super) fn get(call: &Call<'_>) -> Result<Answer, ApiError> {
    let name = call.name.as_deref().unwrap_or_default();
    if let Some(version) = call.version()? {
        let current = call.shared.registry.resource_version();
        if version > current {
            return Err(ApiError::too_large_version(version, current));
        }
    }
    let stored = call.shared.registry.get(call.kind, &call.namespace, name)?;
    call.object(200, &stored)
}

/// The answer for a kind that never has objects: an empty list.
pub(super) fn absent(
    shared: &Shared,
    kind: &Kind,
    place: &Place,
    request: &Request<Incoming>,
) -> Result<Answer, ApiError> {
    if request.method() != Method::GET {
        return Err(ApiError::method_not_allowed());
    }
    if let Place::One { name, .. } = place {
        return Err(ApiError::not_found(kind, name));
    }
    let parameters = Parameters::parse(request.uri().query().unwrap_or_default());
    if parameters.watch {
        return Err(ApiError::method_not_allowed());
    }
    parameters.check_list()?;
    let version = shared.registry.resource_version();
    Ok(match form(request.headers(), kind, None)? {
        Form::Table(of) => answer::json(200, &absent::table(of, version)),
        _ => answer::json(200, &absent::list(kind, version)),
    })
}

/// All objects that are asked for.
pub(super) async fn list(call: &Call<'_>) -> Result<Answer, ApiError> {
    call.parameters.check_list()?;
    let query = call.query()?;
    call.check_version()?;
    let _room = call.shared.limits.list().await;
    // Reading the store blocks: it is a file.
    tokio::task::block_in_place(|| in_form(call, call.shared.registry.list(call.kind, &query)?))
}

/// A list in the form that is asked for. Objects are read and shown one by one, for there may be many.
pub(super) fn in_form(call: &Call<'_>, list: List) -> Result<Answer, ApiError> {
    let metadata =
        table::list_metadata(list.resource_version, list.continue_token.as_deref(), list.remaining);
    let (kind, api_version, items) = (call.kind.name, call.kind.api_version(), list.items.into_iter());
    let text = match call.form {
        Form::Table(version) => {
            let head = table::head(call.resource, version, metadata, true);
            let (include, now) = (call.parameters.include_object, now());
            let row = |object: &Object| table::row(call.resource, version, object, include, now).to_string();
            joined(&head, "rows", items.map(|stored| Ok(row(&stored.object()?))))?
        }
        Form::Metadata(version, _) => {
            let head = json!({
                "kind": "PartialObjectMetadataList", "apiVersion": format!("meta.k8s.io/{version}"),
                "metadata": metadata,
            });
            let metadata = |stored: Stored| Ok(table::metadata(version, &stored.object()?).to_string());
            joined(&head, "items", items.map(metadata))?
        }
        // Sends the stored text of each object.
        Form::Plain | Form::Discovery(_) => {
            let head =
                json!({"kind": format!("{kind}List"), "apiVersion": api_version, "metadata": metadata});
            joined(&head, "items", items.map(|stored| call.shown(&stored)))?
        }
    };
    Ok(answer::text(200, text))
}

/// The JSON object `head` with one more member `array`, of which the elements are JSON text.
fn joined(
    head: &Value,
    array: &str,
    elements: impl Iterator<Item = Result<impl AsRef<str>, ApiError>>,
) -> Result<String, ApiError> {
    let mut text = head.to_string();
    text.pop();
    text.push_str(&format!(",\"{array}\":["));
    for (index, element) in elements.enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(element?.as_ref());
    }
    text.push_str("]}");
    Ok(text)
}

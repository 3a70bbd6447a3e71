//! `get` and `list`.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request};
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::handle::{Call, Shared, form};
use crate::serve::api::absent;
use crate::serve::api::media::Form;
use crate::serve::api::parameters::Parameters;
use crate::serve::api::table;
use crate::serve::object::Object;
use crate::serve::registry::{List, ListQuery};
use crate::serve::resource::{ResourceInfo, View};
use crate::serve::selector::{Selector, escaped};
use crate::serve::status::{ApiError, Cause};
use crate::serve::store::Stored;
use crate::serve::time::now;

impl Call<'_> {
    /// One object in the form that is asked for.
    pub(super) fn object(&self, code: u16, stored: &Stored) -> Result<Answer, ApiError> {
        Ok(match self.form {
            Form::Plain | Form::Discovery(_) => answer::text(code, self.shown(stored)?.to_string()),
            Form::Metadata(version) => answer::json(code, &table::metadata(version, &stored.object()?)),
            Form::Table(version) => {
                let object = stored.object()?;
                let (include, resource) = (self.parameters.include_object, self.resource);
                answer::json(code, &table::of_one(resource, version, &object, include, now(), true))
            }
        })
    }

    /// The text of an object as the kind that is asked for has it.
    fn shown(&self, stored: &Stored) -> Result<Arc<str>, ApiError> {
        match self.resource.view() {
            None => Ok(Arc::clone(&stored.text)),
            Some(view) => view_of(view, self.info, &stored.text),
        }
    }

    /// The objects that the request means.
    pub(super) fn query(&self) -> Result<ListQuery, ApiError> {
        let mut fields = self.parameters.field_selector.clone();
        if let Some(name) = &self.name {
            if !fields.is_empty() {
                fields.push(',');
            }
            fields.push_str("metadata.name=");
            fields.push_str(&escaped(name));
        }
        let selector = Selector::parse(&self.parameters.label_selector, &fields)?;
        selector.check(self.info)?;
        let selector = match self.resource.view() {
            Some(view) => selector.renamed(view),
            None => selector,
        };
        Ok(ListQuery {
            namespace: Some(self.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            selector,
            limit: self.parameters.limit,
            continue_token: self.parameters.continue_token.clone(),
        })
    }

    /// `resourceVersion` as a number; `None` where it is not given.
    pub(super) fn version(&self) -> Result<Option<u64>, ApiError> {
        let given = self.parameters.resource_version.as_str();
        if given.is_empty() {
            return Ok(None);
        }
        let unable = |_| {
            let message = format!("Invalid value: {given:?}: must be a number");
            self.invalid("resourceVersion", &message)
        };
        given.parse().map(Some).map_err(unable)
    }

    /// A query parameter that makes no sense.
    pub(super) fn invalid(&self, field: &str, message: &str) -> ApiError {
        let reason =
            if message.starts_with("Forbidden") { "FieldValueForbidden" } else { "FieldValueInvalid" };
        let cause = Cause { reason, message: message.to_owned(), field: field.to_owned() };
        let details = json!({"group": "meta.k8s.io", "kind": "ListOptions", "causes": [cause]});
        let message = format!("ListOptions.meta.k8s.io \"\" is invalid: {field}: {message}");
        ApiError { code: 422, reason: "Invalid", message, details }
    }

    /// Whether the parameters are those of a list.
    pub(super) fn check_list(&self) -> Result<(), ApiError> {
        if self.parameters.send_initial_events.is_some() {
            let message = "Forbidden: sendInitialEvents is forbidden for list";
            return Err(self.invalid("sendInitialEvents", message));
        }
        self.check_version()
    }

    /// Whether a list of the objects as they are now is what `resourceVersion` and `resourceVersionMatch` ask for.
    fn check_version(&self) -> Result<(), ApiError> {
        let (version, current) = (self.version()?, self.shared.registry.resource_version());
        let is_continued = !self.parameters.continue_token.is_empty();
        match self.parameters.resource_version_match.as_str() {
            "" if is_continued && version.is_some_and(|version| version > 0) => {
                Err(ApiError::bad_request("specifying resource version is not allowed when using continue"))
            }
            "" | "NotOlderThan" if version.is_some_and(|version| version > current) => {
                Err(ApiError::too_large_version(version.unwrap_or_default(), current))
            }
            "" => Ok(()),
            "NotOlderThan" | "Exact" if is_continued => Err(self.invalid(
                "resourceVersionMatch",
                "Forbidden: resourceVersionMatch is forbidden when continue is provided",
            )),
            "NotOlderThan" | "Exact" if version.is_none() => Err(self.invalid(
                "resourceVersionMatch",
                "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
            )),
            "NotOlderThan" => Ok(()),
            "Exact" => match version {
                Some(0) => Err(self.invalid(
                    "resourceVersionMatch",
                    "Forbidden: resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"",
                )),
                Some(version) if version > current => Err(ApiError::too_large_version(version, current)),
                Some(version) if version == current => Ok(()),
                // Only the present is kept.
                _ => Err(ApiError::expired("The resourceVersion for the provided list is too old.")),
            },
            other => Err(self.invalid(
                "resourceVersionMatch",
                &format!("Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\", \"\""),
            )),
        }
    }
}

/// What is stored as a view of it.
pub(super) fn view_of(view: View, info: &ResourceInfo, text: &str) -> Result<Arc<str>, ApiError> {
    let mut object = Object(serde_json::from_str(text).map_err(ApiError::internal)?);
    view.to_shown(&mut object, info);
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
    let stored = call.shared.registry.get(call.info.plural, &call.namespace, name)?;
    call.object(200, &stored)
}

/// The answer about a kind of which there are no objects: a list of none.
pub(super) fn absent(
    shared: &Shared,
    info: &'static ResourceInfo,
    name: Option<&str>,
    request: &Request<Incoming>,
) -> Result<Answer, ApiError> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(ApiError::method_not_allowed());
    }
    if let Some(name) = name {
        return Err(ApiError::not_found(info, name));
    }
    if Parameters::parse(request.uri().query().unwrap_or_default())?.watch {
        return Err(ApiError::method_not_allowed());
    }
    let version = shared.registry.resource_version();
    Ok(match form(request.headers())? {
        Form::Table(of) => answer::json(200, &absent::table(of, version)),
        _ => answer::json(200, &absent::list(info, version)),
    })
}

/// All objects that are asked for.
pub(super) async fn list(call: &Call<'_>) -> Result<Answer, ApiError> {
    call.check_list()?;
    let query = call.query()?;
    let _room = call.shared.limits.list().await;
    // The store is a file.
    tokio::task::block_in_place(|| in_form(call, call.shared.registry.list(call.info.plural, &query)?))
}

/// A list in the form that is asked for. Objects are read and shown one by one, for there may be many.
pub(super) fn in_form(call: &Call<'_>, list: List) -> Result<Answer, ApiError> {
    let metadata =
        table::list_metadata(list.resource_version, list.continue_token.as_deref(), list.remaining);
    let (kind, api_version, items) = (call.info.kind, call.info.api_version(), list.items.into_iter());
    let text = match call.form {
        Form::Table(version) => {
            let head = table::head(call.resource, version, metadata, true);
            let (include, now) = (call.parameters.include_object, now());
            let row = |object: &Object| table::row(call.resource, version, object, include, now).to_string();
            joined(&head, "rows", items.map(|stored| Ok(row(&stored.object()?))))?
        }
        Form::Metadata(version) => {
            let head = json!({
                "kind": "PartialObjectMetadataList", "apiVersion": format!("meta.k8s.io/{version}"),
                "metadata": metadata,
            });
            let metadata = |stored: Stored| Ok(table::metadata(version, &stored.object()?).to_string());
            joined(&head, "items", items.map(metadata))?
        }
        // Their text as it is stored.
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

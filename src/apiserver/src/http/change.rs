//! The verbs that change objects.

use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use serde_json::{Map, Value};

use super::answer::{self, Answer};
use super::body::{self, Received};
use super::call::Call;
use super::deletion::{delete, delete_collection};
use super::limits::Room;
use super::{pod_requests, token_request};
use crate::api::media::{Content, OBJECTS, PATCHES};
use crate::api::parameters::Validation;
use crate::api::patch::Patch;
use crate::api::{apply, body as contents, operations, owners};
use crate::kind::{Kind, Source, Subresource, Verb, View};
use crate::object::Object;
use crate::registry::{Change, Registry, Warnings, WriteOptions, is_same};
use crate::status::ApiError;
use sys::process::memory;

pub(super) async fn change(
    call: &Call<'_>,
    verb: Verb,
    request: Request<Incoming>,
    room: Room,
) -> Result<Answer, ApiError> {
    let (parts, body) = request.into_parts();
    let mut received = body::read(&parts.headers, body, &call.shared.limits).await?;
    let options = match verb {
        Verb::Create => Some(("CreateOptions", None)),
        Verb::Update => Some(("UpdateOptions", None)),
        Verb::Patch => Some(("PatchOptions", Some(received.content == Some(Content::Apply)))),
        // The options of a deletion may be in the body.
        _ => None,
    };
    if let Some((kind, is_apply)) = options {
        call.parameters.check(kind, is_apply)?;
    }
    // A change keeps its room until it is written, even if the client has gone.
    let registry = &call.shared.registry.holding((room, received.room.take()));
    let answer = match verb {
        Verb::Create => create(call, registry, &received).await,
        Verb::Update => update(call, registry, &received).await,
        Verb::Patch => patch(call, registry, &received).await,
        Verb::Delete => delete(call, registry, &received).await,
        _ => delete_collection(call, registry, &received).await,
    };
    if received.bytes.len() > LARGE {
        memory::give_back();
    }
    answer
}

/// After a body above this size, freed memory is returned to the kernel.
const LARGE: usize = 128 << 10;

impl Call<'_> {
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    pub(super) fn options(&self) -> WriteOptions {
        let has_rules = self.shared.access.gate.has_rules();
        WriteOptions {
            author: Some(Arc::clone(&self.user)).filter(|_| has_rules),
            dry_run: self.parameters.dry_run,
            field_manager: self.parameters.field_manager.clone(),
            group: self.kind.group,
            part: self.part,
            warnings: self.told.clone(),
        }
    }

    /// Refuses a request whose object names another namespace than the path.
    pub(super) fn check_namespace(&self, request: &Object) -> Result<(), ApiError> {
        if request.namespace().is_empty() || request.namespace() == self.namespace {
            return Ok(());
        }
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        Err(ApiError::bad_request(message))
    }

    /// The object in a body. Warns of what is no fault.
    fn received(&self, received: &Received) -> Result<Object, ApiError> {
        let mut object = self.received_as(received, self.kind)?;
        if let Some(view) = self.kind.view() {
            view.to_stored(&mut object);
        }
        self.told.add(owners::once(&mut object, ""));
        Ok(object)
    }

    /// The same for an object of `kind`.
    pub(super) fn received_as(&self, received: &Received, kind: &Kind) -> Result<Object, ApiError> {
        let is_whole =
            |content: &Content| matches!(content, Content::Json | Content::Yaml | Content::Protobuf);
        let content = received.content.filter(is_whole);
        let content =
            content.ok_or_else(|| ApiError::unsupported_media_type(&received.media_type, OBJECTS))?;
        let validation = self.parameters.validation;
        let (object, faults) = contents::object(&received.bytes, content, kind, validation)?;
        self.told.add(faults);
        Ok(object)
    }
}

async fn create(call: &Call<'_>, registry: &Registry, received: &Received) -> Result<Answer, ApiError> {
    if call.kind.namespaced && call.namespace.is_empty() {
        // Other kinds can be listed there.
        let is_asked = call.kind.source == Source::Question;
        return Err(if is_asked { ApiError::no_such_path() } else { ApiError::method_not_allowed() });
    }
    match call.part {
        Some(Subresource::Token) => return token_request::answer(call, received),
        Some(Subresource::Binding) => return pod_requests::bind(call, registry, received).await,
        Some(Subresource::Eviction) => return pod_requests::evict(call, registry, received).await,
        _ => {}
    }
    let mut object = call.received(received)?;
    if call.kind.source == Source::Question {
        if call.kind.namespaced {
            call.check_namespace(&object)?;
            object.metadata_mut().insert("namespace".to_owned(), call.namespace.as_str().into());
        }
        let answered = tokio::task::block_in_place(|| call.resource.answer(call, &object))?;
        return Ok(answer::json(201, &answered.into_value()));
    }
    let stored = registry.create(call.kind, &call.namespace, object, call.options()).await?;
    call.object(201, &stored)
}

async fn update(call: &Call<'_>, registry: &Registry, received: &Received) -> Result<Answer, ApiError> {
    let object = call.received(received)?;
    let change = if call.part.is_some() {
        let (kind, name) = (call.kind, call.name().to_owned());
        if object.name() != name {
            let given = object.name();
            let message =
                format!("the name of the object ({given}) does not match the name on the URL ({name})");
            return Err(ApiError::bad_request(message));
        }
        // An update of a part never creates the object.
        Change::Patch(Box::new(move |old| {
            let old = old.ok_or_else(|| ApiError::not_found(kind, &name))?;
            is_same(kind, &object, old)?;
            Ok(object)
        }))
    } else {
        Change::Replace(object)
    };
    let updated = registry.update(call.kind, &call.namespace, call.name(), change, call.options()).await?;
    call.object(if updated.created { 201 } else { 200 }, &updated.stored)
}

async fn patch(call: &Call<'_>, registry: &Registry, received: &Received) -> Result<Answer, ApiError> {
    let is_patch = |content: &Content| !matches!(content, Content::Json | Content::Yaml | Content::Protobuf);
    let content = received.content.filter(is_patch);
    let content = content.ok_or_else(|| ApiError::unsupported_media_type(&received.media_type, PATCHES))?;
    let parameters = &call.parameters;
    let (value, twice) = contents::value(&received.bytes, content).map_err(ApiError::bad_request)?;
    let faults = if content == Content::JsonPatch { operations::faults(&value, &twice) } else { twice };
    let mut patch = Patch::parse(content, value)?;
    match parameters.validation {
        Validation::Strict if !faults.is_empty() => return Err(patch.strictly_refused(&faults)),
        Validation::Ignore => {}
        _ => call.told.add(faults),
    }
    let (mut kind, mut view) = (call.kind, call.kind.view());
    if let Patch::Apply(applied) = &mut patch {
        check_applied(call, applied)?;
        // The applied configuration is stored in the stored kind's form.
        if let Some(view) = view.take() {
            *applied = view.stored(applied);
            kind = view.kind;
        }
    }
    let patching = Patching {
        kind,
        view,
        validation: parameters.validation,
        name: call.name().to_owned(),
        is_whole: call.part.is_none(),
        told: call.told.clone(),
    };
    let change = patching.into_change(patch);
    let updated = registry.update(kind, &call.namespace, call.name(), change, call.options()).await?;
    call.object(if updated.created { 201 } else { 200 }, &updated.stored)
}

/// What the writer needs to apply a patch to the old object.
struct Patching {
    kind: &'static Kind,
    view: Option<View>,
    validation: Validation,
    name: String,
    is_whole: bool,
    told: Warnings,
}

impl Patching {
    fn into_change(self, patch: Patch) -> Change {
        match patch {
            Patch::Apply(applied) if self.is_whole => {
                let remembered = applied.clone();
                Change::Apply(
                    remembered,
                    Box::new(move |old, before| {
                        let pruned = old.map(|old| {
                            let mut object = old.clone();
                            apply::prune(
                                &mut object.0,
                                &before.own,
                                &applied,
                                &before.others,
                                self.kind.schema,
                            );
                            object
                        });
                        self.patched(Patch::Apply(applied), old, pruned.as_ref())
                    }),
                )
            }
            patch => Change::Patch(Box::new(move |old| self.patched(patch, old, old))),
        }
    }

    /// The new object: `patch` applied to `pruned`, which is `old` without the fields that are no longer applied.
    fn patched(
        &self,
        patch: Patch,
        old: Option<&Object>,
        pruned: Option<&Object>,
    ) -> Result<Object, ApiError> {
        let shown = pruned.zip(self.view).map(|(old, view)| view.shown(old, self.kind));
        let of = shown.as_ref().or(pruned);
        let (mut object, faults) = patch.applied(of, self.kind, self.validation, &self.name)?;
        if let Some(view) = self.view {
            view.to_stored(&mut object);
        }
        if self.validation != Validation::Ignore {
            self.told.add(faults);
        }
        self.told.add(owners::once(&mut object, " after mutating admission happens"));
        if old.is_none() && !self.is_whole {
            return Err(ApiError::not_found(self.kind, &self.name));
        }
        Ok(object)
    }
}

/// Upstream's rules for server-side apply, apart from those of merging.
fn check_applied(call: &Call<'_>, applied: &Map<String, Value>) -> Result<(), ApiError> {
    let kind = call.kind;
    let given = |key: &str| applied.get(key).and_then(Value::as_str).unwrap_or_default();
    if given("kind") != kind.name || given("apiVersion") != kind.api_version() {
        let (kind, version) = (given("kind"), given("apiVersion"));
        let wanted = (call.kind.name, call.kind.api_version());
        return Err(ApiError::bad_request(format!(
            "cannot apply: expected kind {:?} of {:?}, got {kind:?} of {version:?}",
            wanted.0, wanted.1
        )));
    }
    if let Some(Value::Object(metadata)) = applied.get("metadata") {
        // `Apply` in k8s.io/apimachinery/pkg/util/managedfields/internal/structuredmerge.go.
        if metadata.get("managedFields").is_some_and(Value::is_array) {
            return Err(ApiError::bad_request("metadata.managedFields must be nil"));
        }
        let name = metadata.get("name").and_then(Value::as_str).unwrap_or(call.name());
        if name != call.name() {
            let url = call.name();
            return Err(ApiError::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({url})"
            )));
        }
    }
    apply::declared(applied, call.kind.schema).map_err(|faults| untyped(call, applied, &faults))
}

/// The error for an applied configuration with unknown fields or a list entry twice. Upstream gives it no reason.
fn untyped(call: &Call<'_>, applied: &Map<String, Value>, faults: &str) -> ApiError {
    let text = |key: &str| applied.get("metadata").and_then(|all| all.get(key)?.as_str()).unwrap_or_default();
    let kind = call.kind;
    let gvk = format!("{}/{}, Kind={}", kind.group, kind.version, kind.name);
    let (namespace, name) = (text("namespace"), text("name"));
    let message = format!("failed to create typed patch object ({namespace}/{name}; {gvk}): {faults}");
    ApiError::unclassified(message)
}

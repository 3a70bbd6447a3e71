//! Answers requests.

use std::sync::Arc;
use std::time::Instant;

use http_body_util::Either;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{Method, Request};
use tracing::Instrument;

use super::access;
use super::activity::UnderWay;
use super::answer::{self, Answer};
use super::call::{Call, Caller, Shared, form, header, not_acceptable};
use super::metrics::Labels;
use super::request_log::{self, Logged};
use super::{change, pages, read, watch};
use crate::api::media::{self, Content, Encoding, Form};
use crate::api::parameters::Parameters;
use crate::api::path::{self, PATH_MAX, Place, Route, Target};
use crate::auth::{Attributes, User};
use crate::kind::{Kind, Source, Subresource, Verb};
use crate::registry::Warnings;
use crate::status::ApiError;

/// Answers a request, in a span of its own.
pub(super) async fn handle(
    shared: Arc<Shared>,
    caller: Caller,
    under_way: UnderWay,
    request: Request<Incoming>,
) -> Answer {
    let span = request_log::span(request.headers());
    answer(shared, caller, under_way, request).instrument(span).await
}

async fn answer(
    shared: Arc<Shared>,
    caller: Caller,
    under_way: UnderWay,
    request: Request<Incoming>,
) -> Answer {
    let start = Instant::now();
    let (logged, mut labels) = (Logged::of(&request), Labels::of(request.method()));
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let in_yaml = is_in_yaml(&request);
    // A long list would keep the other requests of this thread waiting.
    let encoded =
        |answer| if in_yaml { tokio::task::block_in_place(|| answer::in_yaml(answer)) } else { answer };
    let told = Warnings::default();
    let answered = respond(&shared, caller, &under_way, request, &mut labels, &told).await;
    let (mut answer, error) = match answered.and_then(|answer| kept(&shared, encoded(answer), is_read)) {
        Ok(answer) => (answer, None),
        Err(error) => (encoded(answer::error(&error)), Some(error)),
    };
    answer = answer::with_warnings(answer, &told.take());
    let (status, duration) = (answer.status().as_u16(), start.elapsed());
    // A wrong applied configuration is the client's fault, though its error has code 500.
    let failure = error.filter(|error| error.code >= 500 && !matches!(error.reason, "Timeout" | ""));
    let failure = failure.as_ref().map(|error| error.message.as_str());
    logged.answered(labels, status, duration, failure);
    shared.metrics.count(labels, status, duration);
    answer::hold(&mut answer, under_way);
    answer
}

/// Whether the client wants YAML, for a path that can be answered in YAML (`NegotiateOutputMediaType` in
/// `k8s.io/apiserver/pkg/endpoints/handlers/negotiation/negotiate.go`).
fn is_in_yaml<T>(request: &Request<T>) -> bool {
    let is_api = matches!(request.uri().path().split('/').nth(1), Some("api" | "apis"));
    let accepted = || media::accept(header(request.headers(), &ACCEPT), |_| true);
    is_api && accepted().is_some_and(|(_, encoding)| encoding == Encoding::Yaml)
}

/// Takes room for an answer until the client has read it. Without room a read fails, but a change is answered, because
/// it was made.
fn kept(shared: &Shared, mut answer: Answer, is_read: bool) -> Result<Answer, ApiError> {
    if let Either::Left(whole) = answer.body_mut() {
        match shared.limits.answer(whole.len()) {
            Ok(room) => whole.takes(room),
            Err(busy) if is_read => return Err(busy),
            Err(_) => {}
        }
    }
    Ok(answer)
}

async fn respond(
    shared: &Arc<Shared>,
    caller: Caller,
    under_way: &UnderWay,
    request: Request<Incoming>,
    labels: &mut Labels,
    told: &Warnings,
) -> Result<Answer, ApiError> {
    let user = match caller {
        Caller::Refused => return Err(ApiError::busy()),
        Caller::Trusted(user) => user,
        Caller::Anybody => {
            let user = shared.access.user(&shared.registry, request.headers());
            user.ok_or_else(ApiError::unauthorized)?
        }
    };
    under_way.admit();
    access::as_oneself(request.headers(), &user)?;
    if request.uri().path().len() > PATH_MAX {
        let message = format!("the path is too long: limit is {PATH_MAX}");
        return Err(ApiError {
            code: 414,
            reason: "RequestURITooLong",
            message,
            details: serde_json::Value::Null,
        });
    }
    let (method, uri) = (request.method(), request.uri());
    let asked = Attributes::of(method.as_str(), uri.path(), uri.query().unwrap_or_default());
    shared.access.gate.check(&shared.registry, &user, &asked)?;
    let route = path::parse(uri.path(), &shared.kinds);
    if !matches!(route, Some(Route::Objects(_))) {
        Parameters::parse(uri.query().unwrap_or_default()).check_timeout()?;
    }
    match route.ok_or_else(ApiError::no_such_path)? {
        Route::Objects(target) => objects(shared, user, target, request, labels, told).await,
        page if request.method() == Method::GET || request.method() == Method::HEAD => {
            pages::page(shared, &page, request.uri().query().unwrap_or_default(), request.headers())
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

async fn objects(
    shared: &Arc<Shared>,
    user: Arc<User>,
    target: Target,
    request: Request<Incoming>,
    labels: &mut Labels,
    told: &Warnings,
) -> Result<Answer, ApiError> {
    labels.note(target.kind, &target.place);
    if target.kind.source == Source::Nowhere {
        return read::absent(shared, target.kind, &target.place, &request);
    }
    let (call, verb) = call(shared, user, target, &request, labels, told)?;
    if verb == Verb::Watch {
        // YAML has no streams.
        if is_in_yaml(&request) {
            return Err(not_acceptable());
        }
        return watch::watch(&call);
    }
    call.parameters.check_timeout()?;
    let room = shared.limits.request()?;
    let answer = match verb {
        Verb::Get => read::get(&call),
        Verb::List => read::list(&call).await,
        _ => {
            // No change is made while clients leave too many answers unread.
            let _room = shared.limits.answer(1)?;
            change::change(&call, verb, request, room).await
        }
    };
    answer.map_err(|error| match call.kind.view() {
        Some(view) => error.in_group(call.kind, view.kind),
        None => error,
    })
}

/// Checks a request for objects.
fn call<'a>(
    shared: &'a Arc<Shared>,
    user: Arc<User>,
    Target { kind, place, is_watch }: Target,
    request: &Request<Incoming>,
    labels: &mut Labels,
    told: &Warnings,
) -> Result<(Call<'a>, Verb), ApiError> {
    let parameters = Parameters::parse(request.uri().query().unwrap_or_default());
    let verb = if is_watch {
        Some(Verb::Watch).filter(|_| request.method() == Method::GET)
    } else {
        // A token is asked for like an object that has no name yet.
        let is_named =
            matches!(&place, Place::One { part, .. } if !part.is_some_and(Subresource::is_request));
        verb(request.method(), is_named, parameters.watch)
    };
    let verb = verb.ok_or_else(ApiError::method_not_allowed)?;
    let content = media::content(header(request.headers(), &CONTENT_TYPE));
    let is_apply = verb == Verb::Patch && content == Some(Content::Apply);
    labels.note_verb(verb, is_apply, parameters.dry_run);
    let (namespace, name, part) = match place {
        Place::All(namespace) => (namespace.unwrap_or_default(), None, None),
        Place::One { namespace, name, part } => (namespace, Some(name), part),
    };
    if !kind.allows(part, verb) {
        return Err(ApiError::method_not_allowed());
    }
    told.add(kind.deprecated.map(str::to_owned));
    let (resource, form) = (shared.registry.resource(kind)?, form(request.headers(), kind, part)?);
    let told = told.clone();
    let call = Call { shared, user, resource, kind, namespace, name, part, parameters, form, told };
    if matches!(call.form, Form::Table(_)) {
        call.parameters.check_table()?;
    }
    check_form(kind, verb, call.form)?;
    Ok((call, verb))
}

/// Refuses a list of metadata for one object, and the reverse, before anything is done (`asPartialObjectMetadata` in
/// `k8s.io/apiserver/pkg/endpoints/handlers/response.go`).
fn check_form(kind: &Kind, verb: Verb, form: Form) -> Result<(), ApiError> {
    let Form::Metadata(_, wants_list) = form else { return Ok(()) };
    if wants_list == (verb == Verb::List) || verb == Verb::DeleteCollection {
        return Ok(());
    }
    // Upstream names Go's type. Events are of the core group there.
    let package = match kind.view().map_or(kind.group, |view| view.kind.group) {
        "" => "core",
        group => group.split('.').next().unwrap_or_default(),
    };
    let message = if wants_list {
        format!(
            "you requested PartialObjectMetadataList, but the requested object is not a list (*{package}.{})",
            kind.name
        )
    } else {
        format!(
            "you requested PartialObjectMetadata, but the requested object is a list (*{package}.{}List)",
            kind.name
        )
    };
    Err(ApiError { code: 406, reason: "NotAcceptable", message, details: serde_json::Value::Null })
}

/// The verb of a request (`NewRequestInfo` in `k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`). The
/// parameter `watch` has no effect for one object, and HEAD is not served for objects (`registerResourceHandlers` in
/// `pkg/endpoints/installer.go`).
fn verb(method: &Method, is_named: bool, is_watch: bool) -> Option<Verb> {
    match (method, is_named) {
        (&Method::GET, true) => Some(Verb::Get),
        (&Method::GET, false) if is_watch => Some(Verb::Watch),
        (&Method::GET, false) => Some(Verb::List),
        (&Method::POST, false) => Some(Verb::Create),
        (&Method::PUT, true) => Some(Verb::Update),
        (&Method::PATCH, true) => Some(Verb::Patch),
        (&Method::DELETE, true) => Some(Verb::Delete),
        (&Method::DELETE, false) => Some(Verb::DeleteCollection),
        _ => None,
    }
}

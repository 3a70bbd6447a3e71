//! From a request to its answer.

use std::sync::Arc;
use std::time::Instant;

use http_body_util::Either;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, HeaderMap};
use hyper::{Method, Request};
use tracing::Instrument;

use super::access::{self, Access};
use super::activity::UnderWay;
use super::answer::{self, Answer};
use super::found::Looks;
use super::limits::Limits;
use super::metrics::{Labels, Metrics};
use super::places::Places;
use super::{change, pages, read, request_log, watch};
use crate::api::media::{self, Encoding, Form};
use crate::api::parameters::Parameters;
use crate::api::path::{self, PATH_MAX, Place, Route, Target};
use crate::kind::{Kind, Source, Subresource, Verb};
use crate::registry::Registry;
use crate::resource::Resource;
use crate::status::ApiError;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) registry: Registry,
    /// What paths may name.
    pub(super) kinds: Vec<&'static Kind>,
    pub(super) access: Access,
    pub(super) limits: Limits,
    pub(super) places: Places,
    pub(super) metrics: Metrics,
    /// What is found on the machine.
    pub(super) looks: Looks,
    /// Where clients are told that the server is.
    pub(super) address: String,
    /// Becomes true when the server is to stop.
    pub(super) stopping: tokio::sync::watch::Receiver<bool>,
}

impl Shared {
    /// Waits until the server is to stop.
    pub(super) async fn stopped(&self) {
        // Whoever would say so is gone: it is stopping, too.
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}

/// Who asks, as far as the connection tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Nobody in particular: a token is needed.
    Anybody,
    /// Somebody with a certificate that the CA signed, or on the insecure port.
    Trusted,
    /// Somebody for whom there is no room.
    Refused,
}

/// Answers a request.
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
    let (uri, mut labels) = (request.uri().clone(), Labels::of(request.method()));
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let in_yaml = is_in_yaml(&request);
    // A list may be long.
    let encoded =
        |answer| if in_yaml { tokio::task::block_in_place(|| answer::in_yaml(answer)) } else { answer };
    let answered = respond(&shared, caller, &under_way, request, &mut labels).await;
    let (mut answer, error) = match answered.and_then(|answer| kept(&shared, encoded(answer), is_read)) {
        Ok(answer) => (answer, None),
        Err(error) => (encoded(answer::error(&error)), Some(error)),
    };
    let (status, duration) = (answer.status().as_u16(), start.elapsed());
    // What is applied wrongly is the client's fault, whatever the code.
    let failure = error.filter(|error| error.code >= 500 && !matches!(error.reason, "Timeout" | ""));
    let failure = failure.as_ref().map(|error| error.message.as_str());
    request_log::answered(labels, uri.path(), status, duration, failure);
    shared.metrics.count(labels, status, duration);
    answer::hold(&mut answer, under_way);
    answer
}

/// Whether the answer is to be YAML, as far as what is asked for can be (`NegotiateOutputMediaType` in
/// `k8s.io/apiserver/pkg/endpoints/handlers/negotiation/negotiate.go`).
fn is_in_yaml<T>(request: &Request<T>) -> bool {
    let is_api = matches!(request.uri().path().split('/').nth(1), Some("api" | "apis"));
    let accepted = || media::accept(header(request.headers(), &ACCEPT), |_| true);
    is_api && accepted().is_some_and(|(_, encoding)| encoding == Encoding::Yaml)
}

/// An answer that takes its room until the client has read it. Without any, only a change is answered: it was made.
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
) -> Result<Answer, ApiError> {
    match caller {
        Caller::Refused => return Err(answer::busy()),
        Caller::Anybody if !shared.access.admits(request.headers()) => return Err(ApiError::unauthorized()),
        Caller::Anybody | Caller::Trusted => under_way.admit(),
    }
    access::as_oneself(request.headers())?;
    if request.uri().path().len() > PATH_MAX {
        let message = format!("the path is too long: limit is {PATH_MAX}");
        return Err(ApiError {
            code: 414,
            reason: "RequestURITooLong",
            message,
            details: serde_json::Value::Null,
        });
    }
    match path::parse(request.uri().path(), &shared.kinds).ok_or_else(ApiError::no_such_path)? {
        Route::Objects(target) => objects(shared, target, request, labels).await,
        page if request.method() == Method::GET || request.method() == Method::HEAD => {
            pages::page(shared, &page, request.headers())
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// A request for objects, with everything that is known about it.
pub(super) struct Call<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) resource: &'a dyn Resource,
    pub(super) kind: &'static Kind,
    /// Empty for kinds without one, and for all of them.
    pub(super) namespace: String,
    pub(super) name: Option<String>,
    /// The part of the object that is meant, where it is not the whole.
    pub(super) part: Option<Subresource>,
    pub(super) parameters: Parameters,
    /// In what form the answer is to be.
    pub(super) form: Form,
}

async fn objects(
    shared: &Arc<Shared>,
    target: Target,
    request: Request<Incoming>,
    labels: &mut Labels,
) -> Result<Answer, ApiError> {
    let Target { kind, place, is_watch } = target;
    labels.resource = kind.plural;
    if kind.source == Source::Nowhere {
        return read::absent(shared, kind, &place, &request);
    }
    let parameters = Parameters::parse(request.uri().query().unwrap_or_default());
    let verb = if is_watch {
        Some(Verb::Watch).filter(|_| request.method() == Method::GET)
    } else {
        verb(request.method(), matches!(place, Place::One { .. }), parameters.watch)
    };
    let verb = verb.ok_or_else(ApiError::method_not_allowed)?;
    labels.verb = verb.name();
    let (namespace, name, part) = match place {
        Place::All(namespace) => (namespace.unwrap_or_default(), None, None),
        Place::One { namespace, name, part } => (namespace, Some(name), part),
    };
    if !kind.allows(part, verb) {
        return Err(ApiError::method_not_allowed());
    }
    let (resource, form) = (shared.registry.resource(kind)?, form(request.headers())?);
    let call = Call { shared, resource, kind, namespace, name, part, parameters, form };
    if matches!(call.form, Form::Table(_)) {
        call.parameters.check_table()?;
    }
    if verb == Verb::Watch {
        // There is no YAML that goes on.
        if is_in_yaml(&request) {
            return Err(not_acceptable());
        }
        return watch::watch(&call);
    }
    let room = shared.limits.request()?;
    match verb {
        Verb::Get => read::get(&call),
        Verb::List => read::list(&call).await,
        _ => {
            // None is made while answers are left unread.
            let _room = shared.limits.answer(1)?;
            change::change(&call, verb, request, room).await
        }
    }
}

/// What is to be done (`NewRequestInfo` in `k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`). Of one object `watch`
/// asks for nothing, and no object has a HEAD (`registerResourceHandlers` in `pkg/endpoints/installer.go`).
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

/// The form in which objects are asked for.
pub(super) fn form(headers: &HeaderMap) -> Result<Form, ApiError> {
    let accept = header(headers, &ACCEPT);
    let accepted = media::accept(accept, |form| !matches!(form, Form::Discovery(_)));
    accepted.map(|(form, _)| form).ok_or_else(not_acceptable)
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &hyper::header::HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

pub(super) fn not_acceptable() -> ApiError {
    let message =
        "only the following media types are accepted: application/json, application/yaml".to_owned();
    ApiError { code: 406, reason: "NotAcceptable", message, details: serde_json::Value::Null }
}

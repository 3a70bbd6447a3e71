//! Builds answers.

use std::collections::HashSet;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http_body_util::Either;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WARNING};
use hyper::{Response, StatusCode};
use serde_json::Value;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::activity::UnderWay;
use super::limits::{Room, UNREAD_TIME};
use super::stream::Stream;
use crate::api::yaml;
use crate::status::ApiError;

/// An answer: whole, or a stream of events.
pub(super) type Answer = Response<Either<Whole, Stream>>;

/// Bytes handed to the connection at a time; it keeps them until the client reads.
const PIECE: usize = 64 << 10;

/// A complete body. Its unread part takes up room, but only for a limited time: an HTTP/2 client that opens no window
/// never reads it.
#[derive(Debug)]
pub(super) struct Whole {
    rest: Arc<Mutex<Rest>>,
    expiry: Option<AbortHandle>,
}

#[derive(Debug)]
struct Rest {
    bytes: Bytes,
    /// When the client last read some of it.
    since: Instant,
    is_late: bool,
    room: Option<Room>,
    under_way: Option<UnderWay>,
}

impl Whole {
    fn new(bytes: Bytes) -> Self {
        let rest = Rest { bytes, since: Instant::now(), is_late: false, room: None, under_way: None };
        Self { rest: Arc::new(Mutex::new(rest)), expiry: None }
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Length of the unread part, in bytes.
    pub(super) fn len(&self) -> usize {
        self.rest().bytes.len()
    }

    /// Keeps `room` until the body is read.
    pub(super) fn takes(&mut self, room: Room) {
        self.rest().room = Some(room);
    }

    /// Counts the request as under way until the body is read, or dropped because the client does not read it.
    fn expires(&mut self, under_way: UnderWay) {
        self.rest().under_way = Some(under_way);
        let rest = Arc::clone(&self.rest);
        let expiry = tokio::spawn(async move {
            loop {
                let end = {
                    let mut rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
                    let end = rest.since + UNREAD_TIME;
                    if end <= Instant::now() {
                        *rest = Rest {
                            bytes: Bytes::new(),
                            since: end,
                            is_late: true,
                            room: None,
                            under_way: None,
                        };
                        return;
                    }
                    end
                };
                sleep_until(end).await;
            }
        });
        self.expiry = Some(expiry.abort_handle());
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if let Some(expiry) = &self.expiry {
            expiry.abort();
        }
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let mut rest = self.rest();
        if rest.is_late {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        rest.since = Instant::now();
        let size = rest.bytes.len().min(PIECE);
        let piece = (size > 0).then(|| Ok(Frame::data(rest.bytes.split_to(size))));
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        let rest = self.rest();
        rest.bytes.is_empty() && !rest.is_late
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}

/// Counts the request as under way until its answer is read.
pub(super) fn hold(answer: &mut Answer, under_way: UnderWay) {
    match answer.body_mut() {
        Either::Left(whole) => whole.expires(under_way),
        Either::Right(stream) => stream.takes(under_way),
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer with a complete body.
pub(super) fn whole(code: u16, media_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Either::Left(Whole::new(body.into())));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    set(&mut answer, CONTENT_TYPE, media_type);
    set(&mut answer, CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    answer
}

/// An answer with JSON text.
pub(super) fn text(code: u16, mut json: String) -> Answer {
    json.push('\n');
    whole(code, JSON, json)
}

/// An answer in JSON.
pub(super) fn json(code: u16, value: &Value) -> Answer {
    text(code, value.to_string())
}

/// Converts a complete answer from JSON to YAML. One that is too deep for YAML stays JSON.
pub(super) fn in_yaml(mut answer: Answer) -> Answer {
    let Either::Left(whole) = answer.body() else { return answer };
    if answer.headers().get(CONTENT_TYPE) != Some(&JSON) {
        return answer;
    }
    let json = whole.rest().bytes.clone();
    let yaml = std::str::from_utf8(&json).ok().and_then(|json| yaml::of_json(json).ok());
    if let Some(yaml) = yaml {
        *answer.body_mut() = Either::Left(Whole::new(yaml.into()));
        set(&mut answer, CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
    }
    answer
}

/// An answer in plain text.
pub(super) fn plain(code: u16, body: impl Into<Bytes>) -> Answer {
    whole(code, HeaderValue::from_static("text/plain; charset=utf-8"), body)
}

/// An answer that streams JSON.
pub(super) fn stream(lines: Stream) -> Answer {
    let mut answer = Response::new(Either::Right(lines));
    set(&mut answer, CONTENT_TYPE, JSON);
    set(&mut answer, CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    answer
}

/// An error.
pub(super) fn error(error: &ApiError) -> Answer {
    let mut answer = json(error.code, &error.to_status());
    // `ErrorNegotiated` in `k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/writers.go`.
    if let Some(seconds) = error.details["retryAfterSeconds"].as_u64().filter(|seconds| *seconds > 0) {
        set(&mut answer, RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// Most characters of all warnings, for clients limit the size of headers.
const WARNINGS_MAX: usize = 4096;
/// Most characters of one warning if all together are too long.
const WARNING_MAX: usize = 256;

/// Adds warnings, which kubectl shows: each once, shortened if they are too long together
/// (`k8s.io/apiserver/pkg/endpoints/filters/warning.go`).
pub(super) fn with_warnings(mut answer: Answer, warnings: &[String]) -> Answer {
    if warnings.is_empty() {
        return answer;
    }
    let mut seen = HashSet::new();
    let once: Vec<&str> = warnings.iter().map(String::as_str).filter(|text| seen.insert(*text)).collect();
    let is_too_much = once.iter().map(|text| text.chars().count()).sum::<usize>() > WARNINGS_MAX;
    let (longest, mut written) = (if is_too_much { WARNING_MAX } else { usize::MAX }, 0);
    for warning in once {
        if written >= WARNINGS_MAX {
            break;
        }
        let text: String = warning.chars().take(longest).collect();
        written += text.chars().count();
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        // 299 is a persistent warning. One with characters that a header cannot have is left out.
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
            answer.headers_mut().append(WARNING, value);
        }
    }
    answer
}

pub(super) fn set(answer: &mut Answer, name: HeaderName, value: HeaderValue) {
    answer.headers_mut().insert(name, value);
}

//! A span for each request, and its line in the log.

use std::time::Duration;

use hyper::header::{HeaderMap, USER_AGENT};
use tracing::field::Empty;
use tracing::{Level, Span, enabled, error_span, record_all};

use super::handle::header;
use super::metrics::Labels;

/// Longest user agent that is logged, in bytes, as upstream (`k8s.io/apiserver/pkg/audit/request.go`).
const USER_AGENT_MAX: usize = 1024;

/// The span of a request. It is there at every level, so that an error says who asked; what is known at the end alone
/// is recorded where there is something to log.
pub(super) fn span(headers: &HeaderMap) -> Span {
    // `header` gives nothing but ASCII.
    let user_agent = header(headers, &USER_AGENT).map(|text| text.get(..USER_AGENT_MAX).unwrap_or(text));
    error_span!(
        "request",
        verb = Empty,
        resource = Empty,
        path = Empty,
        userAgent = user_agent,
        status = Empty,
        durationSeconds = Empty
    )
}

/// Logs how the request of the current span was answered: as an error with the `failure`, else for debugging.
pub(super) fn answered(labels: Labels, path: &str, status: u16, duration: Duration, failure: Option<&str>) {
    if failure.is_none() && !enabled!(Level::DEBUG) {
        return;
    }
    let (verb, resource, seconds) = (labels.verb, labels.resource, duration.as_secs_f64());
    record_all!(Span::current(), verb, resource, path, status, durationSeconds = seconds);
    match failure {
        Some(cause) => tracing::error!(cause, "a request failed"),
        None => tracing::debug!("a request was answered"),
    }
}

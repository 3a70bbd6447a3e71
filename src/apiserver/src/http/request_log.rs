//! A span for each request, and its line in the log.

use std::time::Duration;

use hyper::header::{HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use tracing::field::Empty;
use tracing::{Span, debug_span, record_all};

use super::metrics::Labels;

/// Longest user agent that is logged, in bytes, as upstream (`k8s.io/apiserver/pkg/audit/request.go`).
const USER_AGENT_MAX: usize = 1024;

/// The parts of a request that its line has, kept while the request is answered.
#[derive(Debug)]
pub(super) struct Logged {
    uri: Uri,
    user_agent: Option<HeaderValue>,
}

/// The span of a request. It is for debugging, as that of tower-http is, and costs nothing at the default level.
pub(super) fn span(headers: &HeaderMap) -> Span {
    debug_span!(
        "request",
        verb = Empty,
        resource = Empty,
        path = Empty,
        userAgent = headers.get(USER_AGENT).map(shown),
        status = Empty,
        durationSeconds = Empty
    )
}

fn shown(user_agent: &HeaderValue) -> &str {
    // Only ASCII is text for `to_str`, so it can be cut anywhere.
    let text = user_agent.to_str().unwrap_or("?");
    text.get(..USER_AGENT_MAX).unwrap_or(text)
}

impl Logged {
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        Self { uri: request.uri().clone(), user_agent: request.headers().get(USER_AGENT).cloned() }
    }

    /// Logs how the request of the current span was answered: as an error with the `failure`, else for debugging.
    pub(super) fn answered(&self, labels: Labels, status: u16, duration: Duration, failure: Option<&str>) {
        let span = Span::current();
        if failure.is_none() && span.is_disabled() {
            return;
        }
        let Labels { verb, resource, .. } = labels;
        let (path, seconds) = (self.uri.path(), duration.as_secs_f64());
        record_all!(span, verb, resource, path, status, durationSeconds = seconds);
        match failure {
            None => tracing::debug!("a request was answered"),
            Some(cause) if !span.is_disabled() => tracing::error!(cause, "a request failed"),
            Some(cause) => {
                let agent = self.user_agent.as_ref().map(shown);
                tracing::error!(
                    verb,
                    resource,
                    path,
                    userAgent = agent,
                    status,
                    durationSeconds = seconds,
                    cause,
                    "a request failed"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use telemetry::log::Level;
    use telemetry::log::testing::written;

    #[test]
    fn a_failure_says_who_asked_at_every_level() {
        let request =
            Request::get("/api/v1/services?watch=1").header(USER_AGENT, "kubectl").body(()).unwrap();
        let labels = Labels { verb: "list", resource: "services", ..Labels::default() };
        for (level, is_logged) in [(None, false), (Some(Level::Debug), true)] {
            let lines = written(level, || {
                let _entered = span(request.headers()).entered();
                let logged = Logged::of(&request);
                logged.answered(labels, 200, Duration::from_millis(250), None);
                logged.answered(labels, 500, Duration::from_millis(500), Some("the disk is full"));
            });
            let mut lines: Vec<Value> =
                lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let mut last = lines.pop().unwrap();
            last["ts"].take();
            let expected = json!({
                "ts": null, "level": "error", "msg": "a request failed", "cause": "the disk is full", "verb": "list",
                "resource": "services", "path": "/api/v1/services", "userAgent": "kubectl", "status": 500,
                "durationSeconds": 0.5,
            });
            assert_eq!((last, !lines.is_empty()), (expected, is_logged), "{level:?}");
        }
    }

    #[test]
    fn a_long_user_agent_is_cut() {
        let long = HeaderValue::from_str(&"a".repeat(60_000)).unwrap();
        assert_eq!((shown(&long).len(), shown(&HeaderValue::from_static("curl"))), (1024, "curl"));
        assert_eq!(shown(&HeaderValue::from_bytes("é".as_bytes()).unwrap()), "?");
    }
}

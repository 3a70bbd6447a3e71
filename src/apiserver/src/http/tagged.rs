//! Answers that clients keep, and ask for again by their `ETag`.

use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION, VARY,
};

use super::answer::{self, Answer, set};
use super::call::header;

/// Marks an answer with its hash. A client that has the same one gets 304 without the body
/// (`k8s.io/apiserver/pkg/endpoints/discovery/aggregated/etag.go`).
pub(super) fn tagged(answer: Answer, hash: &str, asked: &HeaderMap) -> Answer {
    let tag = format!("\"{hash}\"");
    let is_known = header(asked, &IF_NONE_MATCH)
        .is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let mut answer = if is_known { without_body(304, &answer) } else { answer };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        set(&mut answer, ETAG, tag);
    }
    set(&mut answer, VARY, HeaderValue::from_static("Accept"));
    answer
}

/// A document at a URL with its hash never changes (`HandleGroupVersion` in `pkg/handler3/handler.go` of kube-openapi). The
/// age says what upstream says by `Expires`.
pub(super) fn for_ever(answer: &mut Answer) {
    set(answer, CACHE_CONTROL, HeaderValue::from_static("public, immutable, max-age=31536000"));
}

/// Leads to another URL of this server.
pub(super) fn moved(answer: &Answer, to: &str) -> Answer {
    let mut answer = without_body(301, answer);
    if let Ok(to) = HeaderValue::from_str(to) {
        set(&mut answer, LOCATION, to);
    }
    answer
}

/// An answer with the headers of another one.
fn without_body(code: u16, whole: &Answer) -> Answer {
    let mut answer = answer::plain(code, "");
    *answer.headers_mut() = whole.headers().clone();
    answer.headers_mut().remove(CONTENT_TYPE);
    answer
}

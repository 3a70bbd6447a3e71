//! Reads bodies, within a size and a time.

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};

use super::limits::{BODY_MAX, BODY_TIME, Limits, Room};
use crate::api::media::{self, Content};
use crate::status::ApiError;

/// A body, complete.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Bytes,
    /// Its format, if known.
    pub(super) content: Option<Content>,
    /// Its media type, as sent.
    pub(super) media_type: String,
    /// Kept until the request is done.
    pub(super) room: Option<Room>,
}

pub(super) async fn read(headers: &HeaderMap, body: Incoming, limits: &Limits) -> Result<Received, ApiError> {
    let media_type = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    // An empty media type counts as none.
    let media_type = media_type.filter(|media_type| !media_type.is_empty());
    let received = |bytes, room| Received {
        bytes,
        content: media::content(media_type),
        media_type: media_type.unwrap_or_default().to_owned(),
        room: Some(room),
    };
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(ApiError::unsupported_media_type("an encoded body", media::OBJECTS));
    }
    let announced = body.size_hint().exact().map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    if announced.is_some_and(|size| size > BODY_MAX) {
        // Some clients read the answer only after they have sent everything.
        let _ = tokio::time::timeout(BODY_TIME, discard(body)).await;
        return Err(ApiError::too_large(BODY_MAX));
    }
    let room = limits.body(announced.unwrap_or(BODY_MAX))?;
    let collected = tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_MAX).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(received(collected.to_bytes(), room)),
        Ok(Err(cause)) if cause.is::<LengthLimitError>() => Err(ApiError::too_large(BODY_MAX)),
        Ok(Err(cause)) => Err(ApiError::bad_request(format!("cannot read the body: {cause}"))),
        Err(_) => Err(ApiError::timeout("the body did not arrive in time")),
    }
}

/// Most bytes of a body that are read and thrown away.
const DISCARDED_MAX: usize = 4 * BODY_MAX;

async fn discard(mut body: Incoming) {
    let mut size = 0;
    while let Some(Ok(frame)) = body.frame().await {
        size += frame.data_ref().map_or(0, Bytes::len);
        if size > DISCARDED_MAX {
            return;
        }
    }
}

//! `watch`: a stream of events, one JSON object a line.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::answer::{self, Answer};
use super::call::{Call, Shared};
use super::limits::Room;
use super::read::view_of;
use super::stream::{self, Closed, Lines, Stream};
use crate::api::media::Form;
use crate::api::parameters::Include;
use crate::api::table;
use crate::kind::{Kind, View};
use crate::object::Object;
use crate::registry::{Event, EventKind, Key, ListQuery, Watch};
use crate::status::ApiError;
use crate::time::now;

/// How often bookmarks are sent, to clients that want them.
const BOOKMARK_TIME: Duration = Duration::from_secs(60);
/// How long a watch lasts by default, in seconds.
const DEFAULT_TIME: u64 = 1800;
/// Longest watch, in seconds.
const LONGEST_TIME: u64 = 24 * 3600;
/// Objects read at a time for the initial events.
const PIECE: u64 = 200;
/// The annotation of the bookmark after the initial events.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// Begins a watch.
pub(super) fn watch(call: &Call<'_>) -> Result<Answer, ApiError> {
    let room = call.shared.limits.watch()?;
    call.parameters.check_list()?;
    let query = call.query()?;
    let start = match start(call) {
        Ok(start) => start,
        Err(error) if error.code == 504 => return Ok(failed(&error)),
        Err(error) => return Err(error),
    };
    let registry = &call.shared.registry;
    let marks_end = call.parameters.sends_initial_events();
    // Before the list, so that no change is missed between the two.
    let since = match start {
        Start::Behind(version) => version,
        Start::Everything | Start::Now => registry.resource_version(),
    };
    let events = match registry.watch(call.kind, &query, since) {
        Ok(events) => events,
        Err(error) if error.code == 410 => return Ok(failed(&error)),
        Err(error) => return Err(error),
    };
    let (stream, body) = Streaming::new(call);
    let initial = matches!(start, Start::Everything).then_some(query);
    tokio::spawn(stream.run(events, initial, marks_end, room));
    Ok(answer::stream(body))
}

/// A stream with one error, with status 200 as upstream's (`newErrWatcher` in
/// `k8s.io/apiserver/pkg/storage/cacher/cacher.go`).
fn failed(error: &ApiError) -> Answer {
    answer::json(200, &json!({"type": "ERROR", "object": error.to_status()}))
}

/// Where a watch begins.
enum Start {
    /// With an event for each object.
    Everything,
    /// With the changes from now on.
    Now,
    /// With the changes after this version.
    Behind(u64),
}

fn start(call: &Call<'_>) -> Result<Start, ApiError> {
    let version = call.version()?;
    match call.parameters.send_initial_events {
        Some(true) => match version {
            Some(version) if version > call.shared.registry.resource_version() => {
                Err(ApiError::too_large_version(version, call.shared.registry.resource_version()))
            }
            _ => Ok(Start::Everything),
        },
        Some(false) if version.is_none_or(|version| version == 0) => Ok(Start::Now),
        _ => Ok(match version {
            None | Some(0) => Start::Everything,
            Some(version) => Start::Behind(version),
        }),
    }
}

struct Streaming {
    shared: Arc<Shared>,
    kind: &'static Kind,
    view: Option<View>,
    form: Form,
    include: Include,
    bookmarks: bool,
    end: Instant,
    with_columns: bool,
    lines: Lines,
}

impl Streaming {
    /// A stream and the body that the client reads.
    fn new(call: &Call<'_>) -> (Self, Stream) {
        let (lines, body) = stream::stream(&call.shared.limits);
        let seconds = match call.parameters.timeout_seconds {
            None | Some(0) => DEFAULT_TIME,
            Some(seconds) => u64::try_from(seconds).unwrap_or_default(),
        };
        let stream = Self {
            shared: Arc::clone(call.shared),
            kind: call.kind,
            view: call.kind.view(),
            form: call.form,
            include: call.parameters.include_object,
            bookmarks: call.parameters.allow_bookmarks,
            end: Instant::now() + Duration::from_secs(seconds.min(LONGEST_TIME)),
            with_columns: true,
            lines,
        };
        (stream, body)
    }

    async fn run(mut self, mut events: Watch, initial: Option<ListQuery>, marks_end: bool, room: Room) {
        let mut end = None;
        if let Some(query) = initial {
            match self.everything(query, &mut events).await {
                Ok(version) => end = Some(version),
                Err(Closed) => return self.lines.end(),
            }
        }
        // After an error, too, the client sees the end of the stream.
        let _ = self.follow(events, end, marks_end).await;
        self.lines.end();
        drop(room);
    }

    /// Sends an event for each object; returns the version of the last.
    async fn everything(&mut self, mut query: ListQuery, events: &mut Watch) -> Result<u64, Closed> {
        query.limit = PIECE;
        let mut after = Key::default();
        loop {
            let registry = &self.shared.registry;
            let piece = tokio::task::block_in_place(|| registry.piece(self.kind, &query, after));
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => {
                    // The client would take later events for the rest of the list.
                    self.error(&error).await?;
                    return Err(Closed);
                }
            };
            events.covers(&piece);
            for stored in &piece.items {
                self.object("ADDED", &stored.text).await?;
            }
            match piece.end {
                Some(end) => after = end,
                None => return Ok(piece.version),
            }
        }
    }

    /// Sends events as changes happen. There are no bookmarks before the version `initial_end`: the initial events
    /// contain some of the changes up to it.
    async fn follow(
        &mut self,
        mut events: Watch,
        mut initial_end: Option<u64>,
        marks_end: bool,
    ) -> Result<(), Closed> {
        let mut next_bookmark = Instant::now() + BOOKMARK_TIME;
        let (shared, lines) = (Arc::clone(&self.shared), self.lines.clone());
        let mut stopping = pin!(shared.stopped());
        loop {
            tokio::select! {
                event = events.next_until(initial_end.unwrap_or(u64::MAX)) => match event {
                    Ok(Some(event)) => self.event(&event).await?,
                    Ok(None) => {
                        initial_end = None;
                        if marks_end && self.bookmarks {
                            self.bookmark(events.version(), true).await?;
                        }
                    }
                    Err(error) => return self.error(&error).await,
                },
                () = sleep_until(next_bookmark), if self.bookmarks && initial_end.is_none() => {
                    next_bookmark = Instant::now() + BOOKMARK_TIME;
                    if !events.is_ahead() {
                        self.bookmark(events.version(), false).await?;
                    }
                }
                () = sleep_until(self.end) => {
                    // The client can continue from here.
                    let is_told = self.bookmarks && initial_end.is_none() && !events.is_ahead();
                    return if is_told { self.bookmark(events.version(), false).await } else { Ok(()) };
                }
                () = &mut stopping => return Ok(()),
                () = lines.closed() => return Err(Closed),
            }
        }
    }

    async fn event(&mut self, event: &Event) -> Result<(), Closed> {
        let kind = match event.kind {
            EventKind::Added => "ADDED",
            EventKind::Modified => "MODIFIED",
            EventKind::Deleted => "DELETED",
        };
        self.object(kind, &event.stored.text).await
    }

    async fn object(&mut self, kind: &str, text: &str) -> Result<(), Closed> {
        let shown = match self.form {
            Form::Plain | Form::Discovery(_) => match self.view {
                None => text.to_owned(),
                // Stored objects can always be read.
                Some(view) => {
                    view_of(view, self.kind, text).map_or_else(|_| text.to_owned(), |text| text.to_string())
                }
            },
            Form::Metadata(version, _) => table::metadata(version, &read(text)).to_string(),
            Form::Table(version) => self.table(version, &read(text)).to_string(),
        };
        self.lines.send(format!("{{\"type\":\"{kind}\",\"object\":{shown}}}\n")).await
    }

    /// A table with one row; only the first table of a stream has column definitions.
    fn table(&mut self, version: &str, object: &Object) -> Value {
        let Ok(resource) = self.shared.registry.resource(self.kind) else { return Value::Null };
        let with_columns = std::mem::replace(&mut self.with_columns, false);
        table::of_one(resource, version, object, self.include, now(), with_columns)
    }

    /// Tells the client that it has all events up to `version`.
    async fn bookmark(&mut self, version: u64, marks_end: bool) -> Result<(), Closed> {
        let mut object = json!({
            "kind": self.kind.name, "apiVersion": self.kind.api_version(),
            "metadata": {"resourceVersion": version.to_string()},
        });
        if marks_end {
            object["metadata"]["annotations"] = json!({INITIAL_EVENTS_END: "true"});
        }
        self.object("BOOKMARK", &object.to_string()).await
    }

    async fn error(&mut self, error: &ApiError) -> Result<(), Closed> {
        self.lines.send(format!("{}\n", json!({"type": "ERROR", "object": error.to_status()}))).await
    }
}

fn read(text: &str) -> Object {
    serde_json::from_str(text).ok().and_then(Object::from_value).unwrap_or_default()
}

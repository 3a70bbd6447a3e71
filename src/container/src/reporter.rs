//! The `tracing` subscriber of the hook and the wrapper: it turns an event into a line of the hook's log and one on stderr.
//!
//! The two programs emit one event and live for a millisecond, so there are no spans, filters or formats.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::hook_log::{self, Entry, Outcome, TARGET};
use sys::fs::log::Log;
use sys::report;

/// Writes a message of this level to a further place.
type Also = Box<dyn Fn(Level, &str) + Send + Sync>;

/// Writes events to the hook's log and to stderr.
pub struct Reporter {
    program: &'static str,
    log: Option<Log>,
    also: Option<Also>,
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("program", &self.program).finish_non_exhaustive()
    }
}

impl Reporter {
    /// Writes the events of `program`: those about a container to `log`, warnings and errors to stderr.
    pub fn new(program: &'static str, log: Option<Log>) -> Self {
        Self { program, log, also: None }
    }

    /// Also gives warnings and errors to `write`, before stderr.
    #[must_use]
    pub fn also(mut self, write: impl Fn(Level, &str) + Send + Sync + 'static) -> Self {
        self.also = Some(Box::new(write));
        self
    }

    /// Writes what `emit` emits.
    pub fn report(self, emit: impl FnOnce()) {
        tracing::subscriber::with_default(self, emit);
    }
}

impl Subscriber for Reporter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == TARGET
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = *event.metadata().level();
        if level <= Level::WARN {
            if let Some(write) = &self.also {
                write(level, &fields.message);
            }
            report::complain(self.program, &fields.message);
        }
        if let (Some(log), Some(entry)) = (&self.log, fields.entry()) {
            hook_log::append(log, &entry);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    container: String,
    pid: i32,
    pod: String,
    outcome: Option<Outcome>,
    reason: String,
    bytes: usize,
    duration_us: u64,
}

impl Fields {
    /// The entry in the log; `None` of an event that is not about a container.
    fn entry(&self) -> Option<Entry<'_>> {
        Some(Entry {
            time: report::now().into(),
            container: self.container.as_str().into(),
            pid: self.pid,
            pod: self.pod.as_str().into(),
            outcome: self.outcome?,
            reason: self.reason.as_str().into(),
            bytes: self.bytes,
            duration_us: self.duration_us,
        })
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "container" => value.clone_into(&mut self.container),
            "pod" => value.clone_into(&mut self.pod),
            "reason" => value.clone_into(&mut self.reason),
            "outcome" => self.outcome = Outcome::from_name(value),
            _ => {}
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name() == "pid" {
            self.pid = i32::try_from(value).unwrap_or_default();
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "bytes" => self.bytes = usize::try_from(value).unwrap_or(usize::MAX),
            "duration_us" => self.duration_us = value,
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use sys::fs::files::{self, LastLink};

    fn text_of(path: &std::path::Path) -> String {
        files::read_text_if_present(path, 1 << 20, LastLink::Refuse).unwrap().unwrap()
    }

    /// Every field of an entry comes through the event as it was, and only warnings and errors go to people.
    #[test]
    fn an_event_is_the_line_that_its_entry_would_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let text = "a \"quoted\" %s {} \u{202e}\n日";
        for (outcome, told) in [
            (Outcome::Sealed, None),
            (Outcome::Skipped, None),
            (Outcome::Open, Some(Level::WARN)),
            (Outcome::Failed, Some(Level::ERROR)),
        ] {
            let entry = Entry {
                time: "".into(),
                container: text.into(),
                pid: i32::MAX,
                pod: "n/p".into(),
                outcome,
                reason: text.into(),
                bytes: 1 << 20,
                duration_us: u64::MAX,
            };
            let heard = Arc::new(Mutex::new(None));
            let hear = {
                let heard = Arc::clone(&heard);
                move |level, message: &str| *heard.lock().unwrap() = Some((level, message.to_owned()))
            };
            let log = Log::open(&path, 1 << 20).ok();
            Reporter::new("test", log).also(hear).report(|| entry.emit(text));
            assert_eq!(heard.lock().unwrap().take(), told.map(|level| (level, text.to_owned())));
            let line = text_of(&path);
            let mut written: Entry<'_> = serde_json::from_str(line.lines().next_back().unwrap()).unwrap();
            assert!(written.time.ends_with('Z'));
            written.time = "".into();
            assert_eq!(written.to_json(), entry.to_json());
        }
        assert_eq!(text_of(&path).lines().count(), 4);
    }

    #[test]
    fn an_event_of_no_container_is_not_in_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let reporter = Reporter::new("test", Log::open(&path, 1 << 20).ok());
        reporter.report(|| tracing::error!(target: TARGET, "cannot"));
        assert_eq!(text_of(&path), "");
    }
}

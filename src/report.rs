//! What the hook says of a container: one short line on stderr, one JSON object in its log, one exit code.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::node_config::NodeConfig;
use crate::sys::log::Log;
use crate::validation::printable;

/// How a program of podhosts ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done: sealed, skipped, or let through by `on-error = "open"`.
    Success = 0,
    /// The container, its bundle, its pod's annotations or the kernel stand in the way.
    Failure = 1,
    /// Wrong command line, or a configuration that cannot be used.
    Usage = 2,
    /// An error of podhosts itself.
    Internal = 70,
}

/// What became of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its hosts file is sealed.
    Sealed,
    /// It is left alone, for a reason that is none of an error.
    Skipped,
    /// It does not start.
    Failed,
    /// It starts without a seal (`on-error = "open"`).
    Open,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<'a> {
    /// When, RFC 3339 in UTC.
    pub time: Cow<'a, str>,
    /// Container id.
    pub container: Cow<'a, str>,
    /// The container's process.
    pub pid: i32,
    /// `<namespace>/<name>`, or empty while that is not known.
    pub pod: Cow<'a, str>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was skipped or failed; for a sealed one the source of its addresses.
    pub reason: Cow<'a, str>,
    /// Size of the sealed file in bytes.
    pub bytes: usize,
    /// Microseconds since the hook's start.
    pub duration_us: u64,
}

/// Longest id or reason that is written, in bytes: what an annotation holds must not fill the log.
const TEXT_MAX: usize = 1024;

impl<'a> Entry<'a> {
    /// Of a container that starts without the hook, `Skipped` or `Open`: the hook's log tells of every container, so
    /// also of one that the hook never sees.
    pub fn without_hook(outcome: Outcome, container: &'a str, pod: &'a str, reason: &'a str) -> Self {
        Self {
            time: now().into(),
            container: container.into(),
            pid: 0,
            pod: pod.into(),
            outcome,
            reason: reason.into(),
            bytes: 0,
            duration_us: 0,
        }
    }
}

impl Entry<'_> {
    /// The line, without its newline.
    pub fn to_json(&self) -> String {
        let bounded = Entry {
            time: self.time.clone(),
            container: bounded(&self.container),
            pod: bounded(&self.pod),
            reason: bounded(&self.reason),
            ..*self
        };
        // Strings and numbers always have a JSON form.
        serde_json::to_string(&bounded).unwrap_or_default()
    }
}

/// Opens the node's log, if it has one that can be opened.
pub fn open_log(node: &NodeConfig) -> Option<Log> {
    let file = Some(&node.log.file).filter(|file| !file.is_empty())?;
    Log::open(Path::new(file), node.log.max_bytes).ok()
}

/// Writes one entry. A log that cannot be written is no reason to keep a container from starting.
pub fn write(log: Option<Log>, entry: &Entry<'_>) {
    if let Some(log) = log {
        let _ = log.append(&entry.to_json());
    }
}

/// The time now, RFC 3339 in UTC.
pub fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

/// Whole microseconds.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The start of `text`, at most `max` bytes of it.
pub fn shortened(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// The start of `text`, as it can be shown to people.
fn bounded(text: &str) -> Cow<'_, str> {
    match printable(shortened(text, TEXT_MAX)) {
        Cow::Borrowed(text) => text.into(),
        // Escapes are longer than what they stand for.
        Cow::Owned(text) => shortened(&text, TEXT_MAX).to_owned().into(),
    }
}

/// The first of several errors, and how many more there are: a runtime quotes one line of a hook's stderr.
pub fn first_of(errors: &[String]) -> String {
    match errors {
        [] => String::new(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

/// Prints the one line that a runtime quotes.
pub fn complain(program: &str, message: &str) {
    // Not eprintln!, which panics where stderr is closed.
    let _ = writeln!(io::stderr(), "{program}: {}", bounded(message));
}

/// Turns a panic into a line on stderr and [`ExitCode::Internal`]: a runtime is never left with a signal.
pub fn panics_become_errors(program: &'static str) {
    std::panic::set_hook(Box::new(move |panic| {
        complain(program, &format!("internal error: {panic}").replace('\n', " "));
        std::process::exit(ExitCode::Internal as i32);
    }));
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        (code as u8).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_bounded() {
        let long = "日".repeat(10_000);
        let entry = Entry {
            time: now().into(),
            container: long.as_str().into(),
            pid: 2,
            pod: long.as_str().into(),
            outcome: Outcome::Failed,
            reason: long.as_str().into(),
            bytes: 0,
            duration_us: 1,
        };
        let line = entry.to_json();
        assert!(line.len() < 3 * TEXT_MAX + 300, "{}", line.len());
        assert!(!line.contains('\n'));
        let back: Entry<'_> = serde_json::from_str(&line).unwrap();
        assert_eq!(back.outcome, Outcome::Failed);
    }

    #[test]
    fn several_errors_are_one_line() {
        assert_eq!(first_of(&["a".into(), "b".into(), "c".into()]), "a (and 2 more)");
        assert_eq!(first_of(&["a".into()]), "a");
    }
}

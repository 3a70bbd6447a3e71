//! The hook's log: one JSON object for each container, written by the hook, the wrapper and the NRI plugin.

use std::borrow::Cow;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tracing::Level;

use crate::node_config::NodeConfig;
use sys::fs::log::Log;
use sys::report::{bounded, now};

/// The target of the events about containers.
pub const TARGET: &str = "podhosts::container";

/// The end of a container's way through podhosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its hosts file is sealed.
    Sealed,
    /// It is left alone, and that is no error.
    Skipped,
    /// It does not start.
    Failed,
    /// It starts without a seal (`on-error = "open"`).
    Open,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Sealed, Self::Skipped, Self::Failed, Self::Open];

    /// Its name in the log.
    fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Open => "open",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<'a> {
    /// The time, RFC 3339 in UTC.
    pub time: Cow<'a, str>,
    /// Container id.
    pub container: Cow<'a, str>,
    /// The container's process.
    pub pid: i32,
    /// `<namespace>/<name>`, or empty while that is not known.
    pub pod: Cow<'a, str>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was skipped or failed; for a sealed one the source of its addresses.
    pub reason: Cow<'a, str>,
    /// Size of the sealed file in bytes.
    pub bytes: usize,
    /// Microseconds since the hook's start.
    pub duration_us: u64,
}

impl<'a> Entry<'a> {
    /// An entry about a container that starts without the hook, `Skipped` or `Open`: the hook's log tells of every
    /// container.
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
    /// Emits the entry as an event, with a `message` for people.
    pub fn emit(&self, message: &str) {
        // The level of an event is a constant.
        macro_rules! emit {
            ($level:expr) => {
                tracing::event!(
                    target: TARGET,
                    $level,
                    container = &*self.container,
                    pid = self.pid,
                    pod = &*self.pod,
                    outcome = self.outcome.name(),
                    reason = &*self.reason,
                    bytes = self.bytes,
                    duration_us = self.duration_us,
                    "{message}"
                )
            };
        }
        match self.outcome {
            Outcome::Sealed | Outcome::Skipped => emit!(Level::INFO),
            Outcome::Open => emit!(Level::WARN),
            Outcome::Failed => emit!(Level::ERROR),
        }
    }

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
pub fn open(node: &NodeConfig) -> Option<Log> {
    let file = Some(&node.log.file).filter(|file| !file.is_empty())?;
    Log::open(Path::new(file), node.log.max_bytes).ok()
}

/// Writes one entry.
pub fn write(log: Option<Log>, entry: &Entry<'_>) {
    if let Some(log) = log {
        append(&log, entry);
    }
}

pub(crate) fn append(log: &Log, entry: &Entry<'_>) {
    // A log that cannot be written never keeps a container from starting.
    let _ = log.append(&entry.to_json());
}

#[cfg(test)]
mod tests {
    use sys::report::TEXT_MAX;

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
}

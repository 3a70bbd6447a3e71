//! Errors of an engine's files, and of configuring an engine.

use std::path::{Path, PathBuf};

use sys::fs::files::FileError;
use thiserror::Error;

/// An engine's configuration that cannot be read or used.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The kernel refused, or it is no text.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not TOML, or not JSON.
    #[error("cannot read {path}: line {line}: {cause}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// The parser's words.
        cause: String,
    },
    /// What podhosts itself keeps cannot be used.
    #[error(
        "cannot use {path}, podhosts' own record of what it changed: {cause}; remove it, and unconfigure takes out what \
         has podhosts' name"
    )]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// Something else is where a certain type has to be.
    #[error("cannot use {path}: {key} is {found}, expected {expected}")]
    Type {
        /// The file.
        path: PathBuf,
        /// The key with those above it.
        key: String,
        /// What is there.
        found: &'static str,
        /// What should be.
        expected: &'static str,
    },
    /// A file of a hooks directory that is no hook.
    #[error("cannot use {path}: {cause}")]
    Hook {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A pattern of file names that means nothing.
    #[error("cannot use {path}: {pattern:?} is no pattern of file names: {cause}")]
    Pattern {
        /// The file it is in.
        path: PathBuf,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl EngineError {
    pub(crate) fn toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        // The message is one line but for hints, which come behind.
        let cause = error.message().lines().next().unwrap_or_default().to_owned();
        Self::Syntax { path: path.to_owned(), line: line_at(text, at), cause }
    }

    pub(crate) fn json(path: &Path, error: &serde_json::Error) -> Self {
        Self::Syntax { path: path.to_owned(), line: error.line(), cause: json_cause(error) }
    }

    pub(crate) fn wrong_type(path: &Path, key: String, found: &'static str, expected: &'static str) -> Self {
        Self::Type { path: path.to_owned(), key, found, expected }
    }
}

/// What is wrong with a JSON text, without the place, which goes before it.
pub(crate) fn json_cause(error: &serde_json::Error) -> String {
    let (said, place) = (error.to_string(), format!(" at line {} column {}", error.line(), error.column()));
    said.strip_suffix(&place).unwrap_or(&said).to_owned()
}

/// The line that byte `at` of a text is in, counted from 1.
pub(crate) fn line_at(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count()
}

/// A key with those above it, as TOML writes it.
pub(crate) fn dotted(keys: &[&str]) -> String {
    let is_bare = |key: &str| {
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let part = |key: &&str| if is_bare(key) { (*key).to_owned() } else { format!("{key:?}") };
    keys.iter().map(part).collect::<Vec<_>>().join(".")
}

/// Why an engine's configuration is left as it is.
#[derive(Debug, Error)]
pub(crate) enum ConfigureError {
    /// It cannot be read.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine has no such way.
    #[error("cannot configure {engine} by {mode}, expected {possible}")]
    Mode { engine: &'static str, mode: &'static str, possible: String },
    /// An option that means nothing here.
    #[error("cannot use {option}: {reason}")]
    Option { option: &'static str, reason: String },
    /// The configuration would point to nothing.
    #[error("cannot use {0}: it is no executable file, expected podhosts' program; see --bin-dir")]
    Program(PathBuf),
    /// A network would go that pods need to be deleted.
    #[error("cannot remove {path}: pods that it has connected could not be deleted then: {pods}", path = path.display())]
    InUse {
        path: PathBuf,
        /// The ids of the pods' sandboxes.
        pods: String,
    },
    /// Something else stands in the way.
    #[error("cannot configure {engine}: {reason}")]
    Refused {
        engine: &'static str,
        /// What, and what to do.
        reason: String,
    },
}

impl ConfigureError {
    /// Whether the command line is wrong, and not something on the node.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Mode { .. } | Self::Option { .. })
    }
}

impl From<FileError> for ConfigureError {
    fn from(error: FileError) -> Self {
        Self::Engine(error.into())
    }
}

//! The engines' own configuration: what it says, and how podhosts is put into it and taken out again.
//!
//! [`containerd`], [`crio`], [`podman`] and [`hooks_dir`] read; what they return is what the engine makes of its files,
//! not what one file says. [`plan`] decides which files are to have which text, without writing any; [`change`] writes
//! them, all or none.

pub mod containerd;
pub mod crio;
pub mod edit;
pub mod engine;
pub mod files;
pub mod go;
pub mod hooks;
pub mod in_use;
pub mod layers;
pub mod low_level;
pub mod podman;

use std::path::{Path, PathBuf};

use thiserror::Error;

use sys::fs::files::FileError;

/// Name of the runtime handler, and of the CNI network, that podhosts makes.
pub const NAME: &str = "podhosts";

/// The annotations that engines have to pass on, as containerd's patterns say it.
pub const ANNOTATIONS: &str = "podhosts.io/*";

pub use container::programs::{HOOK, WRAPPER};
pub use records::PLUGIN;

/// Whether a program is the wrapper, by its name.
pub fn is_wrapper(program: &str) -> bool {
    Path::new(program).file_name().is_some_and(|name| name == WRAPPER)
}

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
    Memory {
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

/// The first word that is a version, as `1.6.20~ds1` or `v2.1.9+unknown`.
pub fn version_in(said: &str) -> Option<containerd::Version> {
    let parse = |word: &str| {
        let mut numbers = word.strip_prefix('v').unwrap_or(word).split('.');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    };
    said.split_whitespace().find_map(parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_tell_their_version_in_many_ways() {
        for (said, version) in [
            ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3", Some((1, 6))),
            ("containerd github.com/containerd/containerd/v2 2.1.9+unknown ", Some((2, 1))),
            ("containerd containerd.io v2.2.0 1c4457e00facac03ce1d75f7b6777a7a851e5c41", Some((2, 2))),
            ("podman version 5.8.6", Some((5, 8))),
            ("podman version 6", None),
            ("", None),
        ] {
            assert_eq!(version_in(said), version, "{said}");
        }
    }
}

//! Errors in crictl's words: an engine's as Go's gRPC has them, and in front of them what was being done.

use cri::CriError;

/// One line for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Error(String);

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl From<CriError> for Error {
    fn from(error: CriError) -> Self {
        match error {
            CriError::Call { code, message, .. } => {
                Self(format!("rpc error: code = {code:?} desc = {message}"))
            }
            other => Self(other.to_string()),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Says what was being done when something failed.
pub(crate) trait Context<T> {
    fn context(self, doing: &str) -> Result<T, Error>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, doing: &str) -> Result<T, Error> {
        self.map_err(|error| Error(format!("{doing}: {}", error.into())))
    }
}

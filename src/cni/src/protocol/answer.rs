//! What a call of the program prints, and how it ends.

use sys::report::ExitCode;

/// What a call prints, and how it ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// For stdout; may be empty.
    pub stdout: String,
    /// Lines for stderr.
    pub stderr: Vec<String>,
    /// The exit code.
    pub code: ExitCode,
}

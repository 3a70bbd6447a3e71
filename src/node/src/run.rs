//! From the command line to the end.

use sys::report::ExitCode;

/// Runs the agent until a signal ends it.
pub fn main() -> ExitCode {
    ExitCode::Success
}

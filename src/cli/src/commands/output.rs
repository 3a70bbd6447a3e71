//! What the commands print, and how they end.

use std::io::{self, Write, stderr, stdout};

use pod::validation::printable_lines;
use sys::report::ExitCode;

/// Prints errors, a line each.
pub(super) fn complain(errors: &[String]) -> ExitCode {
    for error in errors {
        let _ = writeln!(stderr(), "{}", printable_lines(error));
    }
    ExitCode::Failure
}

/// Prints the result of a command.
pub(super) fn print(output: &[u8]) -> ExitCode {
    match stdout().write_all(output).and_then(|()| stdout().flush()) {
        Ok(()) => ExitCode::Success,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::Success,
        Err(error) => {
            let _ = writeln!(stderr(), "cannot write to stdout: {error}");
            ExitCode::Failure
        }
    }
}

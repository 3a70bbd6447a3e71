//! Other programs that the operator's command asks or tells: engines, ctr, systemctl.

use std::io;
use std::process::{Command, Stdio};

use thiserror::Error;

/// A program that cannot be run, or failed.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// It is not there, or cannot be started.
    #[error("cannot run {program}: {cause}")]
    Start {
        /// The program.
        program: String,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// It said no.
    #[error("cannot run {program}: it ended with {status}: {said}")]
    Failed {
        /// The program with its arguments.
        program: String,
        /// How it ended.
        status: String,
        /// The last line it wrote to stderr.
        said: String,
    },
}

/// What a program, looked for on PATH, writes to stdout.
///
/// # Errors
/// [`ProgramError`] where it cannot be run or fails.
pub fn output(program: &str, args: &[&str]) -> Result<String, ProgramError> {
    #[allow(clippy::disallowed_methods, reason = "the operator's command asks the engine it is told of")]
    let mut command = Command::new(program);
    let output = command.args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|cause| ProgramError::Start { program: program.to_owned(), cause })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(ProgramError::Failed {
        program: [&[program], args].concat().join(" "),
        status: output.status.to_string(),
        said: said.trim_end().lines().last().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_answers_fails_or_is_not_there() {
        assert_eq!(output("sh", &["-c", "echo yes"]).unwrap(), "yes\n");
        let error = |program, args: &[&str]| output(program, args).unwrap_err().to_string();
        assert_eq!(
            error("sh", &["-c", "echo a >&2; echo no >&2; exit 3"]),
            "cannot run sh -c echo a >&2; echo no >&2; exit 3: it ended with exit status: 3: no"
        );
        assert!(error("/nowhere/x", &[]).starts_with("cannot run /nowhere/x: No such file"));
    }
}

//! `podhosts in-use`: whether the programs may go, for the scripts that remove them.

use crate::engines::in_use;
use crate::engines::in_use::User;
use pod::validation::printable;
use sys::report::ExitCode;

use super::output::{complain, print};

/// Prints what still needs the programs, a line for each, and fails where there is any.
pub(super) fn run() -> ExitCode {
    match in_use::here() {
        Err(error) => complain(&[error]),
        Ok(users) if users.is_empty() => ExitCode::Success,
        Ok(users) => {
            let lines: String = users.iter().map(line).collect();
            print(lines.as_bytes());
            ExitCode::Failure
        }
    }
}

fn line(user: &User) -> String {
    let id = printable(&user.id);
    format!("{id} ({}) cannot be stopped or deleted without {}\n", user.engine, user.program)
}

//! `podhosts in-use`: whether the programs may go, for the scripts that remove them.

use crate::engines::PLUGIN;
use crate::engines::in_use::{User, users};
use pod::validation::printable;
use sys::process::exec;
use sys::report::ExitCode;

use super::{complain, print};

/// Prints what still needs the programs, a line for each, and fails where there is any.
pub(super) fn run() -> ExitCode {
    match here() {
        Err(error) => complain(&[error]),
        Ok(users) if users.is_empty() => ExitCode::Success,
        Ok(users) => {
            let lines: String = users.iter().map(line).collect();
            print(lines.as_bytes());
            ExitCode::Failure
        }
    }
}

/// What is to be known when the configuration goes, before the programs do.
pub(super) fn note() -> Option<String> {
    let users = here().unwrap_or_default();
    let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
    (!ids.is_empty()).then(|| {
        format!(
            "{} cannot be stopped or deleted without podhosts' programs: restart the engine and drain the node before \
             they are removed",
            ids.join(", ")
        )
    })
}

/// The sandboxes of pods that podhosts-cni has connected, where there are any.
pub(super) fn connected() -> Option<String> {
    let users = here().unwrap_or_default().into_iter().filter(|user| user.program == PLUGIN);
    let ids: Vec<String> = users.map(|user| user.id).collect();
    (!ids.is_empty()).then(|| ids.join(", "))
}

/// What needs the programs beside this one.
fn here() -> Result<Vec<User>, String> {
    let own = exec::own_path().map_err(|cause| format!("cannot find podhosts: {cause}"))?;
    Ok(own.parent().map(users).unwrap_or_default())
}

fn line(user: &User) -> String {
    let id = printable(&user.id);
    format!("{id} ({}) cannot be stopped or deleted without {}\n", user.engine, user.program)
}

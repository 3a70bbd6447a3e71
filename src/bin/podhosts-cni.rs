//! The CNI plugin: command and parameters in the environment, JSON on stdout.

use std::io::{self, Write};
use std::process::ExitCode;

use podhosts::{cni, report};

fn main() -> ExitCode {
    report::panics_become_errors("podhosts-cni");
    #[allow(clippy::disallowed_methods, reason = "CNI passes its parameters in the environment")]
    let command = std::env::var("CNI_COMMAND").ok();
    let answer = cni::answer(command.as_deref());
    // A stream that is closed is the runtime's affair.
    if !answer.stderr.is_empty() {
        let _ = writeln!(io::stderr(), "{}", answer.stderr);
    }
    if !answer.stdout.is_empty() {
        let _ = writeln!(io::stdout(), "{}", answer.stdout);
    }
    answer.code.into()
}

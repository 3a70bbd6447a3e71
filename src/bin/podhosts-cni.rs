//! The CNI plugin: command and parameters in the environment, JSON on stdout.

use std::process::ExitCode;

use podhosts::{cni, report};

fn main() -> ExitCode {
    report::panics_become_errors("podhosts-cni");
    #[allow(clippy::disallowed_methods, reason = "CNI passes its parameters in the environment")]
    let command = std::env::var("CNI_COMMAND").ok();
    let answer = cni::answer(command.as_deref());
    if !answer.stderr.is_empty() {
        eprintln!("{}", answer.stderr);
    }
    if !answer.stdout.is_empty() {
        println!("{}", answer.stdout);
    }
    answer.code.into()
}

//! The operator's command.

use std::process::ExitCode;

use podhosts::{cli, report};

fn main() -> ExitCode {
    report::panics_become_errors("podhosts");
    cli::run().into()
}

//! The operator's command.

use std::process::ExitCode;

use sys::report;

fn main() -> ExitCode {
    report::panics_become_errors("podhosts");
    podhosts::run().into()
}

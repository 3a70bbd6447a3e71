//! The agent's program.

use std::process::ExitCode;

use sys::report;

fn main() -> ExitCode {
    report::panics_become_errors(podhosts_node::PROGRAM);
    podhosts_node::run::main().into()
}

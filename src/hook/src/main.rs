//! The OCI createRuntime hook: state on stdin, sealed file as its effect.

use std::io::stdin;
use std::process::ExitCode;

use podhosts_hook as hook;
use sys::process::limits;
use sys::report;

fn main() -> ExitCode {
    report::panics_become_errors(hook::PROGRAM);
    limits::no_new_privileges();
    match hook::Options::parse(std::env::args_os().skip(1)) {
        Ok(options) => hook::run(&options, stdin().lock()).into(),
        Err(answer) => answer.give(),
    }
}

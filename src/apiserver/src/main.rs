//! The API server's program. `podhosts-cni serve`, `backup` and `restore` start it, too.

use std::process::ExitCode;

use sys::report;

fn main() -> ExitCode {
    report::panics_become_errors(podhosts_apiserver::PROGRAM);
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    podhosts_apiserver::run::main(&args).into()
}

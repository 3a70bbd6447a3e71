//! The wrapper: becomes runc or crun, with the hook in the bundle.

use std::ffi::OsString;
use std::process::ExitCode;

use podhosts_runtime as runtime;
use sys::report;

fn main() -> ExitCode {
    report::panics_become_errors(runtime::PROGRAM);
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    runtime::run(&args).into()
}

//! The CNI plugin: command and parameters in the environment, configuration on stdin, JSON on stdout.

use std::io::{self, Write, stdin};
use std::process::ExitCode;

use podhosts_cni as cni;
use sys::process::limits;
use sys::process::memory;
use sys::report;

fn main() -> ExitCode {
    report::panics_become_errors(cni::PROGRAM);
    cni::panics_become_answers();
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    if cni::api_server::is_for_api_server(&args) {
        // Returns only where it fails.
        let error = cni::api_server::become_api_server();
        report::complain(cni::PROGRAM, &error);
        return report::ExitCode::Failure.into();
    }
    memory::keep_all();
    // The plugin itself starts no program.
    limits::no_new_privileges();
    #[allow(clippy::disallowed_methods, reason = "CNI passes its parameters in the environment")]
    let answer = cni::answer(&args, |name| std::env::var(name).ok(), stdin().lock());
    for line in &answer.stderr {
        report::complain(cni::PROGRAM, line);
    }
    if !answer.stdout.is_empty() {
        // A stream that is closed is the runtime's affair.
        let _ = writeln!(io::stdout(), "{}", answer.stdout);
    }
    answer.code.into()
}

//! The operator's command.

#[path = "args.rs"]
mod args;
mod configure;
mod inspect;
mod list;
pub mod manifest;
mod mountinfo;
mod render;
mod runtime_state;

use std::io::{self, Write, stderr, stdout};

use clap::Parser;
use clap::error::ErrorKind;

use crate::report::ExitCode;
use args::{Cli, Command};

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is no reason to complain.
            let _ = error.print();
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked_for { ExitCode::Success } else { ExitCode::Usage };
        }
    };
    let result = match &cli.command {
        Command::List(args) => {
            let (output, errors) = list::run(args);
            let printed = print(&output);
            return if errors.is_empty() { printed } else { complain(&errors) };
        }
        Command::Render(args) => render::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Configure(args) => return configure::configure(args),
        Command::Unconfigure(args) => return configure::unconfigure(args),
    };
    match result {
        Ok(output) => print(&output),
        Err(errors) => complain(&errors),
    }
}

fn complain(errors: &[String]) -> ExitCode {
    for error in errors {
        let _ = writeln!(stderr(), "{error}");
    }
    ExitCode::Failure
}

fn print(output: &[u8]) -> ExitCode {
    match stdout().write_all(output).and_then(|()| stdout().flush()) {
        Ok(()) => ExitCode::Success,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::Success,
        Err(error) => {
            let _ = writeln!(stderr(), "cannot write to stdout: {error}");
            ExitCode::Failure
        }
    }
}

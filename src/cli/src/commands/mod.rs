//! The operator's command.

mod args;
mod configure;
mod doctor;
mod in_use;
mod inspect;
mod list;
mod nri;
mod render;

use std::io::{self, Write, stderr, stdout};

use clap::Parser;
use clap::error::ErrorKind;

use args::{Cli, Command};
use pod::validation::printable_lines;
use sys::report::ExitCode;

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    // An engine starts its own plugins without arguments.
    if std::env::args_os().len() == 1
        && let Some(result) = nri::run_launched()
    {
        return end(result);
    }
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
        Command::Doctor(args) => return doctor::run(args),
        Command::Render(args) => render::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Configure(args) => return configure::configure(args),
        Command::Unconfigure(args) => return configure::unconfigure(args),
        Command::InUse => return in_use::run(),
        Command::Nri(args) => nri::run(args),
    };
    end(result)
}

fn end(result: Result<Vec<u8>, Vec<String>>) -> ExitCode {
    match result {
        Ok(output) => print(&output),
        Err(errors) => complain(&errors),
    }
}

fn complain(errors: &[String]) -> ExitCode {
    for error in errors {
        let _ = writeln!(stderr(), "{}", printable_lines(error));
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

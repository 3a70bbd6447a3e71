//! The operator's command.

mod args;
mod configure;
mod doctor;
mod in_use;
mod inspect;
mod list;
mod nri;
mod output;
mod render;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Cli, Command};
use output::{complain, print};
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

//! The CNI plugin, for every specification from 0.3.0 to 1.1.0. The modules stand in the order in which a call passes
//! through them:
//!
//! - [`protocol`]: the command and its parameters in the environment, versions, errors and results;
//! - [`config`]: the configuration on standard input, which becomes a checked [`Request`], one type for each command and
//!   role ([`config::roles`] lists the roles);
//! - `commands`: does what was asked;
//! - [`ipam`]: which addresses the pod gets;
//! - `interface`: the pod's interface, made behind an undo guard (`undo`).
//!
//! [`api_server`] is for `podhosts-cni serve`, which is no CNI call.

pub mod protocol;

pub mod config;

mod commands;

pub mod ipam;

mod interface;
mod undo;

pub mod api_server;

use std::io::{self, Read, Write};
use std::path::Path;

use commands::migrate;
use config::document::Document;
use config::request::Request;
use protocol::answer::Answer;
use protocol::environment::{Command, Parameters};
use protocol::error::{CniError, Code};
use protocol::version::Version;
use sys::fs::files;
use sys::report::ExitCode;

pub use records::PLUGIN as PROGRAM;
/// Largest network configuration that is read, in bytes: it holds a pod's annotations, of 256 KiB, twice at most.
const CONFIG_MAX: usize = 4 << 20;

/// Answers a call with this command line, these variables and this standard input.
pub fn answer(args: &[String], variable: impl Fn(&str) -> Option<String>, stdin: impl Read) -> Answer {
    let command = variable("CNI_COMMAND").unwrap_or_default();
    match args {
        // A runtime passes no arguments.
        [migrate, args @ ..] if migrate == "migrate" => return migrate::run(args),
        _ if command.is_empty() => {
            let about = vec![about(), migrate::usage()];
            return Answer { stdout: String::new(), stderr: about, code: ExitCode::Success };
        }
        _ => {}
    }
    let (mut version, mut notices) = (Version::CURRENT, Vec::new());
    let result = Command::parse(&command).and_then(|command| {
        let parameters = Parameters::read(command, variable)?;
        if command == Command::Version {
            return commands::run(&Request::Version, &mut notices);
        }
        let config = files::read_stream(stdin, Path::new("stdin"), CONFIG_MAX, 0)?;
        let document = Document::parse(&config, command)?;
        version = document.version;
        let request = Request::read(command, parameters, &document)?;
        commands::run(&request, &mut notices)
    });
    let (stdout, code) = match result {
        Ok(None) => (String::new(), ExitCode::Success),
        Ok(Some(value)) => (value.to_string(), ExitCode::Success),
        Err(error) => (error.to_json(version.name()).to_string(), ExitCode::Failure),
    };
    Answer { stdout, stderr: notices, code }
}

/// Makes a panic, which is a fault of podhosts, an error that the runtime understands.
pub fn panics_become_answers() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let error = CniError::new(Code::Internal, format!("internal error: {panic}"));
        // Not println!, which panics where stdout is closed.
        let _ = writeln!(io::stdout(), "{}", error.to_json(Version::CURRENT.name()));
        report(panic);
    }));
}

fn about() -> String {
    format!(
        "the CNI plugin of podhosts {}; supports CNI {}",
        env!("CARGO_PKG_VERSION"),
        Version::names().join(", ")
    )
}

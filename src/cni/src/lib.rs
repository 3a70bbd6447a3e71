//! The CNI plugin, for every specification from 0.3.0 to 1.1.0.
//!
//! A call is read from the environment and standard input ([`environment`], [`config`], [`runtime_config`]), checked as
//! a whole, and then does one thing. [`config::Role`] lists the three roles.

mod add;
pub mod api_server;
mod bridge;
mod call;
mod check;
pub mod config;
mod detach;
pub mod environment;
pub mod error;
mod gc;
pub mod ipam;
pub mod main_config;
mod migrate;
mod names;
mod pod_record;
pub mod previous;
pub mod result;
mod routed;
pub mod runtime_config;
mod status;
pub mod version;
mod wiring;

use std::io::{self, Read, Write};
use std::path::Path;

use serde_json::{Value, json};

use call::Call;
use config::{Document, Role};
use environment::{Command, Parameters};
use error::{CniError, Code};
use sys::fs::files;
use sys::report::ExitCode;
use version::Version;

pub use records::PLUGIN as PROGRAM;
/// Largest network configuration that is read, in bytes: it holds a pod's annotations, of 256 KiB, twice at most.
const CONFIG_MAX: usize = 4 << 20;

/// What a call prints, and how it ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// For stdout; may be empty.
    pub stdout: String,
    /// Lines for stderr.
    pub stderr: Vec<String>,
    /// How the program ends.
    pub code: ExitCode,
}

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
            return Ok(Some(versions()));
        }
        let config = files::read_stream(stdin, Path::new("stdin"), CONFIG_MAX, 0)?;
        let document = Document::parse(&config, command)?;
        version = document.version;
        let mut call = Call { parameters, document, notices: Vec::new() };
        let result = run(command, &mut call);
        notices = call.notices;
        result
    });
    let (stdout, code) = match result {
        Ok(None) => (String::new(), ExitCode::Success),
        Ok(Some(value)) => (value.to_string(), ExitCode::Success),
        Err(error) => (error.to_json(version.name()).to_string(), ExitCode::Failure),
    };
    Answer { stdout, stderr: notices, code }
}

/// Lets a panic, which is a fault of podhosts, end in an error that the runtime understands.
pub fn panics_become_answers() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let error = CniError::new(Code::Internal, format!("internal error: {panic}"));
        // Not println!, which panics where stdout is closed.
        let _ = writeln!(io::stdout(), "{}", error.to_json(Version::CURRENT.name()));
        report(panic);
    }));
}

fn run(command: Command, call: &mut Call) -> Result<Option<Value>, CniError> {
    match (command, call.document.role) {
        (Command::Add, Role::Main) => add::main(call).map(Some),
        (Command::Add, Role::Ipam) => add::ipam(call).map(Some),
        (Command::Add, Role::Chained) => add::chained(call).map(Some),
        (Command::Del, _) => detach::del(call).map(|()| None),
        (Command::Check, _) => check::run(call).map(|()| None),
        (Command::Gc, _) => gc::run(call).map(|()| None),
        (Command::Status, _) => status::run(call).map(|()| None),
        (Command::Version, _) => Ok(Some(versions())),
    }
}

fn versions() -> Value {
    json!({"cniVersion": Version::CURRENT.name(), "supportedVersions": Version::names()})
}

fn about() -> String {
    format!(
        "the CNI plugin of podhosts {}; supports CNI {}",
        env!("CARGO_PKG_VERSION"),
        Version::names().join(", ")
    )
}

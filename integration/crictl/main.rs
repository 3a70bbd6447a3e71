//! As much of crictl as the tests use, for machines that have none: the same commands, flags, files, output and exit
//! codes. It is built with the tests and never installed.

#![allow(clippy::disallowed_methods, reason = "a program for tests reads and writes files as it likes")]

mod args;
mod containers;
mod endpoint;
mod error;
mod exec;
mod files;
mod images;
mod logs;
mod messages;
mod output;
mod pods;
mod proto_json;
mod runtime;
mod table;

use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;
use pod::validation::go_quote;

use args::{Command, Crictl};
use error::{Context, Error};

fn main() -> ExitCode {
    match run(&Crictl::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let time = humantime::format_rfc3339_seconds(SystemTime::now());
            eprintln!("time=\"{time}\" level=error msg={}", go_quote(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn run(crictl: &Crictl) -> Result<(), Error> {
    let endpoint = endpoint::find(crictl)?;
    let connect = || endpoint.connect(endpoint.timeout);
    match &crictl.command {
        Command::Version => runtime::version(&connect()?).context("getting the runtime version"),
        Command::Info(info) => runtime::info(&connect()?, info).context("getting status of runtime"),
        Command::Runp { runtime, file } => pods::run(&endpoint, file, runtime),
        Command::Stopp { ids } => pods::stop(&connect()?, ids),
        Command::Rmp(remove) => pods::remove(&connect()?, remove),
        Command::Inspectp(inspect) => {
            pods::inspect(&connect()?, inspect).context("get the status of pod sandboxes")
        }
        Command::Pods(pods) => pods::list(&connect()?, pods).context("listing pod sandboxes"),
        Command::Create { pod, container_file, pod_file } => {
            containers::create(&connect()?, pod, container_file, pod_file)
        }
        Command::Start { ids } => containers::start(&connect()?, ids),
        Command::Run(run) => containers::run(&endpoint, run).context("running container"),
        Command::Stop { timeout, ids } => containers::stop(&endpoint, *timeout, ids),
        Command::Rm(remove) => containers::remove(&connect()?, remove),
        Command::Inspect(inspect) => {
            containers::inspect(&connect()?, inspect).context("get the status of containers")
        }
        Command::Ps(ps) => containers::list(&connect()?, ps).context("listing containers"),
        Command::Exec(exec) => exec::exec(&endpoint, exec),
        Command::Logs { id } => logs::print(&connect()?, id),
        Command::Images(images) => images::list(&connect()?, images).context("listing images"),
    }
}

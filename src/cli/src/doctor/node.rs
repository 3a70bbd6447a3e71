//! The node: its configuration, and the rights of this process.

use std::path::Path;

use super::finding::Report;
use super::options::DoctorOptions;
use super::runtimes::Runtimes;
use container::node_config::NodeConfig;
use sys::container::capabilities;
use sys::fs::files::{self, FileError, LastLink};
use sys::fs::log::Log;

/// The node's configuration; the defaults where it cannot be read.
pub(super) fn configuration(options: &DoctorOptions, runtimes: &Runtimes, report: &mut Report) -> NodeConfig {
    const CHECK: &str = "configuration";
    let path = options.config.display();
    let config = match NodeConfig::read(&options.config) {
        Ok(config) => config,
        Err(error) => {
            let remedy = format!("correct {path}; until then no container with the hook starts");
            report.error(CHECK, error.to_string(), remedy);
            return NodeConfig::default();
        }
    };
    let before = report.checks.len();
    if config.on_error.lets_start() {
        let message =
            format!("{path} has on-error = \"open\": a container whose file cannot be sealed starts without");
        report.warning(CHECK, message, "on-error = \"closed\", once everything else here is well");
    }
    let node_hosts =
        files::read(Path::new(&config.node_hosts), config.node_hosts_max_bytes, LastLink::Follow);
    if let Err(error) = node_hosts {
        let remedy = match &error {
            FileError::TooLarge { .. } => {
                format!("raise node-hosts-max-bytes in {path}: no container on the node's network starts")
            }
            _ => format!("make the file, or set node-hosts in {path}: pods on the node's network get it"),
        };
        report.error(CHECK, error.to_string(), remedy);
    }
    if runtimes.find(&config).is_none() {
        let remedy = format!("install runc or crun, or set runtime.runtimes in {path}");
        report.fault(CHECK, runtimes.run_wrapper(), no_runtime(&config), remedy);
    }
    if let Err(cause) = open_log(&config) {
        let message = format!("cannot open the log {}: {cause}", config.log.file);
        report.error(CHECK, message, format!("make the directory, or set log.file in {path}"));
    }
    if report.checks.len() == before {
        let state =
            if options.config.exists() { "is well" } else { "is absent: everything is at its default" };
        report.ok(CHECK, format!("{path} {state}"));
    }
    config
}

/// That the wrapper has nothing to become.
pub(super) fn no_runtime(config: &NodeConfig) -> String {
    format!("none of {} is a program on PATH", config.runtime.runtimes.join(", "))
}

fn open_log(config: &NodeConfig) -> std::io::Result<()> {
    match config.log.file.as_str() {
        "" => Ok(()),
        file => Log::open(Path::new(file), config.log.max_bytes).map(drop).map_err(Into::into),
    }
}

/// Whether this program may do what the hook has to.
pub(super) fn privileges(report: &mut Report) {
    match capabilities::missing() {
        Ok(None) => report.ok("privileges", "all capabilities that the hook needs"),
        Ok(Some(missing)) => {
            let message = format!("{missing} is missing: what follows was looked at without it");
            report.error("privileges", message, "run podhosts doctor as the node's root");
        }
        Err(error) => report.error("privileges", error.to_string(), "run podhosts doctor as the node's root"),
    }
}

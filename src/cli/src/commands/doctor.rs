//! `podhosts doctor`.

use std::path::PathBuf;

use crate::doctor;
use crate::doctor::DoctorOptions;
use pod::validation::printable_json;
use sys::process::exec;
use sys::report::ExitCode;

use super::args::DoctorArgs;
use super::output::{complain, print};

pub(super) fn run(args: &DoctorArgs) -> ExitCode {
    let own = match exec::own_path() {
        Ok(own) => own,
        Err(cause) => return complain(&[format!("cannot find this program: {cause}")]),
    };
    let bin_dir = own.parent().map_or_else(|| PathBuf::from("/"), PathBuf::from);
    let report =
        doctor::run(&DoctorOptions { config: args.config.clone(), bin_dir, self_test: !args.no_self_test });
    let text = if args.json {
        match serde_json::to_string_pretty(&report) {
            Ok(json) => printable_json(&json).into_owned() + "\n",
            Err(error) => return complain(&[error.to_string()]),
        }
    } else {
        report.to_text()
    };
    let printed = print(text.as_bytes());
    if report.is_healthy() { printed } else { ExitCode::Failure }
}

//! The programs of podhosts: whether they are there, and of one version.

use std::path::{Path, PathBuf};

use super::finding::Report;
use super::options::{DoctorOptions, PATIENCE};
use container::node_config::NodeConfig;
use container::programs::{HOOK, WRAPPER};
use sys::process::exec;
use sys::process::programs;

const CHECK: &str = "programs";

/// Looks at the hook and the wrapper.
pub(super) fn check(options: &DoctorOptions, config: &NodeConfig, needs_wrapper: bool, report: &mut Report) {
    let hook = hook_path(options, config);
    let wrapper = options.bin_dir.join(WRAPPER);
    let before = report.checks.len();
    for (program, is_needed) in [(&hook, true), (&wrapper, needs_wrapper)] {
        if let Err(fault) = executable(program) {
            report.fault(CHECK, is_needed, fault, "make install, or the package again");
        }
    }
    let own = env!("CARGO_PKG_VERSION");
    if report.checks.len() == before {
        match version(&hook) {
            Ok(version) if version == own => {
                report.ok(CHECK, format!("{} and {}, version {own}", hook.display(), wrapper.display()));
            }
            Ok(version) => {
                let message = format!("{} is of version {version}, this program of {own}", hook.display());
                report.error(CHECK, message, "install all programs of one version");
            }
            Err(fault) => report.error(CHECK, fault, "make install, or the package again"),
        }
    }
}

/// The hook that the wrapper would name.
pub(super) fn hook_path(options: &DoctorOptions, config: &NodeConfig) -> PathBuf {
    config.runtime.hook.as_ref().map_or_else(|| options.bin_dir.join(HOOK), PathBuf::from)
}

/// Whether an engine could start the program at `path`; else why not.
pub(super) fn executable(path: &Path) -> Result<(), String> {
    exec::program(path).map(drop).map_err(|fault| fault.to_string())
}

fn version(hook: &Path) -> Result<String, String> {
    let shown = hook.display();
    let run = programs::run(hook, &["--version"], &[], b"", PATIENCE)
        .map_err(|cause| format!("cannot run {shown}: {cause}"))?;
    let said = String::from_utf8_lossy(&run.stdout).trim().to_owned();
    said.strip_prefix("podhosts-hook ")
        .map(str::to_owned)
        .ok_or_else(|| format!("{shown} --version said {said:?}, expected podhosts-hook and its version"))
}

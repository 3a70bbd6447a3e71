//! podman: its hooks directories and its runtimes. It has no CRI, and reads its files at every start of a container.

use std::path::Path;

use super::cni;
use super::finding::Report;
use super::installation::{self, Installation};
use super::options::PATIENCE;
use super::programs::executable;
use crate::engines::engine::Engine;
use crate::engines::error::EngineError;
use crate::engines::files::Files;
use crate::engines::hooks::Rules;
use crate::engines::names::NAME;
use crate::engines::podman;
use crate::engines::podman::printed::Printed;
use crate::engines::podman::{Places, Podman};
use crate::engines::version::{Version, version_in};
use sys::process::programs;

pub(super) const CHECK: &str = "podman";
const CONFIGURE: &str = "podhosts configure --runtime podman";

/// Looks at podman; the paths of its networks, where it makes them by CNI.
pub(super) fn check(engine: &Installation, report: &mut Report) -> Option<cni::Paths> {
    let version = version(engine);
    // podman itself says whether it reads its files.
    let printed = match engine.program.as_deref().map(Printed::of_disk) {
        Some(Err(said)) => {
            report.error(CHECK, format!("podman does not read its files: {said}"), "correct the file");
            return None;
        }
        Some(Ok(printed)) => printed,
        None => None,
    };
    let found = Podman::read(&Files::new(), &Places::usual(version)).and_then(|config| {
        files(&config, printed.as_ref(), version, report)?;
        let is_cni = config.network_backend()? == Some("cni");
        let paths = cni::Paths::of("podman", config.cni_conf_dir()?, config.cni_bin_dirs()?);
        Ok(is_cni.then_some(paths))
    });
    found.unwrap_or_else(|error| {
        report.error(
            CHECK,
            error.to_string(),
            "correct the file; podman would not start a container with it",
        );
        None
    })
}

fn version(engine: &Installation) -> Option<Version> {
    let program = engine.program.as_ref()?;
    let run = programs::run(program, &["--version"], &[], b"", PATIENCE).ok()?;
    version_in(&String::from_utf8_lossy(&run.stdout))
}

/// The low-level runtimes that its files name, ours among them.
pub(super) fn runtimes(engine: &Installation) -> Vec<String> {
    let Ok(config) = Podman::read(&Files::new(), &Places::usual(version(engine))) else { return Vec::new() };
    [NAME, "crun", "runc"].iter().filter_map(|name| config.runtime(name).ok()).flatten().collect()
}

fn files(
    config: &Podman,
    printed: Option<&Printed>,
    version: Option<Version>,
    report: &mut Report,
) -> Result<(), EngineError> {
    let programs = config.runtime(NAME)?;
    if let Some(fault) = programs.first().and_then(|program| executable(Path::new(program)).err()) {
        let message = format!("runtime {NAME}: {fault}");
        report.error(CHECK, message, format!("install podhosts there, or {CONFIGURE} --mode wrapper"));
    } else if let Some(program) = programs.first() {
        report.ok(CHECK, format!("runtime {NAME}: {program}"));
    }
    let told = printed.map(Printed::hooks_dirs).filter(|dirs| !dirs.is_empty());
    let dirs = told.map_or_else(|| config.hooks_dirs(), |dirs| Ok(Some(dirs)))?;
    let groups = Podman::hooks_groups(dirs.as_deref(), version);
    if !installation::hooks(Engine::Podman, &groups, Rules::podman(version), report) && programs.is_empty() {
        report.warning(CHECK, "no hook and no runtime leads to podhosts", CONFIGURE);
    }
    Ok(())
}

/// The engine as it is found on a node.
pub(super) fn engine() -> Installation {
    Installation::named("podman", podman::CONFIG, "")
}

//! podman: its hooks directories and its runtimes. It has no CRI, and reads its files at every start of a container.

use std::path::Path;

use super::cni;
use super::engine::{self, Engine};
use super::finding::Report;
use super::programs::executable;
use crate::engines::files::Files;
use crate::engines::podman::{self, Podman};
use crate::engines::{EngineError, NAME};

pub(super) const CHECK: &str = "podman";
const CONFIGURE: &str = "podhosts configure --runtime podman";

/// Looks at podman; the paths of its networks, where it makes them by CNI.
pub(super) fn check(engine: &Engine, report: &mut Report) -> Option<cni::Paths> {
    let found = Podman::read(&Files::new(), &engine.config, Path::new(podman::DROP_INS)).and_then(|config| {
        files(&config, report)?;
        let is_cni = config.network_backend()? == Some("cni");
        let paths = cni::Paths { conf_dir: config.cni_conf_dir()?, bin_dirs: config.cni_bin_dirs()? };
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

/// Whether its files name a runtime of ours.
pub(super) fn runs_wrapper(engine: &Engine) -> bool {
    let config = Podman::read(&Files::new(), &engine.config, Path::new(podman::DROP_INS));
    config.and_then(|config| config.runtime(NAME)).is_ok_and(|programs| !programs.is_empty())
}

fn files(config: &Podman, report: &mut Report) -> Result<(), EngineError> {
    let programs = config.runtime(NAME)?;
    if let Some(fault) = programs.first().and_then(|program| executable(Path::new(program)).err()) {
        let message = format!("runtime {NAME}: {fault}");
        report.error(CHECK, message, format!("install podhosts there, or {CONFIGURE} --mode wrapper"));
    } else if let Some(program) = programs.first() {
        report.ok(CHECK, format!("runtime {NAME}: {program}"));
    }
    if !engine::hooks(CHECK, config.hooks_dirs()?, CONFIGURE, report) && programs.is_empty() {
        report.warning(CHECK, "no hook and no runtime leads to podhosts", CONFIGURE);
    }
    Ok(())
}

/// The engine as it is found on a node.
pub(super) fn engine() -> Engine {
    Engine::named("podman", podman::CONFIG, "")
}

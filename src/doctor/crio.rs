//! CRI-O: its hooks directories, its runtime handlers, and whether it is ready.

use std::path::Path;

use super::engine::{self, Engine};
use super::finding::Report;
use super::programs::executable;
use super::{cni, nri};
use crate::engines::crio::{self, Crio};
use crate::engines::files::Files;
use crate::engines::{EngineError, WRAPPER};

pub(super) const CHECK: &str = "crio";
const CONFIGURE: &str = "podhosts configure --runtime crio";

/// Looks at CRI-O; the paths of its networks, where it can be read.
pub(super) fn check(engine: &Engine, report: &mut Report) -> Option<cni::Paths> {
    // Its own findings come behind those of the files.
    let mut asked = Report::default();
    let answers = engine.ask(CHECK, &mut asked).is_some();
    let found = Crio::read(&Files::new(), &engine.config, Path::new(crio::DROP_INS)).and_then(|config| {
        let is_off = (config.nri_enabled()? == Some(false)).then(|| "enable_nri is false".to_owned());
        let by_nri = nri::check(CHECK, is_off, answers, CONFIGURE, report);
        files(&config, by_nri, report)?;
        Ok(cni::Paths { conf_dir: config.cni_conf_dir()?, bin_dirs: config.cni_bin_dirs()? })
    });
    let paths = match found {
        Ok(paths) => Some(paths),
        Err(error) => {
            report.error(CHECK, error.to_string(), "correct the file; CRI-O would not start with it");
            None
        }
    };
    report.checks.append(&mut asked.checks);
    if answers {
        report.ok(CHECK, "CRI-O answers over the CRI");
    }
    paths
}

fn files(config: &Crio, by_nri: bool, report: &mut Report) -> Result<(), EngineError> {
    let mut found = by_nri;
    for handler in config.handlers()? {
        let path = handler.runtime_path.as_deref().map(Path::new);
        let Some(path) = path.filter(|path| path.file_name().is_some_and(|name| name == WRAPPER)) else {
            continue;
        };
        found = true;
        match executable(path) {
            Ok(()) => report.ok(CHECK, format!("runtime handler {}: {}", handler.name, path.display())),
            Err(fault) => {
                let message = format!("runtime handler {}: {fault}", handler.name);
                report.error(
                    CHECK,
                    message,
                    format!("install podhosts there, or {CONFIGURE} --mode wrapper"),
                );
            }
        }
    }
    if !engine::hooks(CHECK, config.hooks_dirs()?, CONFIGURE, report) && !found {
        report.warning(CHECK, "no hook and no runtime handler leads to podhosts", CONFIGURE);
    }
    Ok(())
}

/// The engine as it is found on a node.
pub(super) fn engine() -> Engine {
    Engine::named("crio", crio::CONFIG, "/var/run/crio/crio.sock")
}

//! CRI-O: its hooks directories, its runtime handlers, and whether it is ready.

use std::path::Path;

use super::finding::Report;
use super::installation::{self, Installation};
use super::programs::executable;
use super::{cni, nri};
use crate::engines::crio::Crio;
use crate::engines::crio::printed::Printed;
use crate::engines::engine::Engine;
use crate::engines::error::EngineError;
use crate::engines::files::Files;
use crate::engines::hooks::Rules;
use crate::engines::names::is_wrapper;
use crate::engines::{crio, hooks};

pub(super) const CHECK: &str = "crio";
const CONFIGURE: &str = "podhosts configure --runtime crio";

/// Looks at CRI-O; the paths of its networks, where it can be read.
pub(super) fn check(engine: &Installation, report: &mut Report) -> Option<cni::Paths> {
    // Its own findings come behind those of the files.
    let mut asked = Report::default();
    let answers = engine.ask(CHECK, &mut asked).is_some();
    let mut is_ours = true;
    let found = Crio::read(&Files::new(), &engine.config, Path::new(crio::DROP_INS)).and_then(|config| {
        let is_off = (config.nri_enabled()? == Some(false))
            .then(|| ("enable_nri is false".to_owned(), format!("{CONFIGURE} --mode nri")));
        let taken = nri::Taken {
            is_off,
            socket: config.nri_socket()?,
            refuses_connections: config.nri_refuses_connections()?,
        };
        let printed = printed(engine, report);
        let by_nri = nri::check(CHECK, taken, answers, CONFIGURE, report);
        let found = files(&config, printed.as_ref(), by_nri, report)?;
        let paths = cni::Paths::of("CRI-O", config.cni_conf_dir()?, config.cni_bin_dirs()?);
        is_ours = found || cni::has_our_network(&paths);
        Ok(paths)
    });
    let paths = match found {
        Ok(paths) => Some(paths),
        Err(error) => {
            report.error(CHECK, error.to_string(), "correct the file; CRI-O may not start with it");
            None
        }
    };
    if !is_ours {
        asked.soften();
    }
    report.checks.append(&mut asked.checks);
    if answers {
        report.ok(CHECK, "CRI-O answers over the CRI");
    }
    paths
}

/// What CRI-O itself makes of its files, where its program is there; that it does not read them is reported.
fn printed(engine: &Installation, report: &mut Report) -> Option<Printed> {
    let program = engine.program.as_deref()?;
    match Printed::of(program, &Files::new(), &engine.config, Path::new(crio::DROP_INS)) {
        Ok(printed) => printed,
        Err(said) => {
            let message = format!("CRI-O does not read its files: {said}");
            report.error(CHECK, message, "correct the file; CRI-O would not start with it");
            None
        }
    }
}

/// The low-level runtimes that its files name.
pub(super) fn runtimes(engine: &Installation) -> Vec<String> {
    let config = Crio::read(&Files::new(), &engine.config, Path::new(crio::DROP_INS));
    let handlers = config.and_then(|config| config.handlers()).into_iter().flatten();
    handlers.filter_map(|handler| handler.runtime_path).collect()
}

/// Whether anything leads to podhosts, after a look at each.
fn files(
    config: &Crio,
    printed: Option<&Printed>,
    by_nri: bool,
    report: &mut Report,
) -> Result<bool, EngineError> {
    let mut found = by_nri;
    for handler in config.handlers()? {
        let path = handler.runtime_path.as_deref().filter(|path| is_wrapper(path));
        let Some(path) = path.map(Path::new) else { continue };
        found = true;
        if printed.map(|printed| printed.has(&handler)).transpose()? == Some(false) {
            let message = format!(
                "runtime handler {}: {} is in its files, and `crio config` has it not",
                handler.name,
                path.display()
            );
            report.error(
                CHECK,
                message,
                "see CONTAINER_RUNTIMES in its environment, which goes before its files",
            );
            continue;
        }
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
    let dirs = printed.map_or(config, |printed| &printed.crio).hooks_dirs()?;
    let dirs = dirs.unwrap_or_else(|| vec![hooks::DISTRIBUTION.to_owned()]);
    let dirs = vec![dirs.into_iter().map(Into::into).collect()];
    found |= installation::hooks(Engine::Crio, &dirs, Rules::crio(), report);
    if !found {
        report.warning(CHECK, "no hook and no runtime handler leads to podhosts", CONFIGURE);
    }
    Ok(found)
}

/// The engine as it is found on a node.
pub(super) fn engine() -> Installation {
    Installation::named("crio", crio::CONFIG, "/var/run/crio/crio.sock")
}

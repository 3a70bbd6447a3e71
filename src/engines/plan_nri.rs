//! The NRI plugin's service, and that the engine's brings it up.

use std::path::{Path, PathBuf};

use super::EngineError;
use super::files::Files;
use super::plan::{Engine, HEADER, Place, PlanError, Request};

/// Where the node's own units are.
pub const UNITS: &str = "/etc/systemd/system";

/// The plugin's service.
pub const SERVICE: &str = "podhosts-nri.service";

fn paths(engine: Engine) -> Option<[PathBuf; 2]> {
    let engine = engine.service()?;
    let units = Path::new(UNITS);
    Some([units.join(SERVICE), units.join(format!("{engine}.d/podhosts-nri.conf"))])
}

/// Plans the service. Plain files do all of it: a drop-in of the engine's unit wants the plugin's, so that nothing has
/// to be enabled, nor disabled afterwards.
pub(super) fn plan(files: &mut Files, request: &Request) -> Result<(), PlanError> {
    let Some([service, wants]) = paths(request.place.engine) else { return Ok(()) };
    let program = request.bin_dir.display().to_string();
    if program.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'\\%$;".contains(c)) {
        return Err(request.refused(format!("{program:?} cannot be written into a unit of systemd's")));
    }
    let text = include_str!("../../vendor-configs/systemd/podhosts-nri.service");
    files.put(&service, text.replace("/usr/local/bin", &program));
    files.put(&wants, include_str!("../../vendor-configs/systemd/wants-podhosts-nri.conf").to_owned());
    Ok(())
}

/// The service, where it is for another engine, too.
pub(super) fn wanted_by_others(files: &Files, engine: Engine) -> Result<Option<PathBuf>, EngineError> {
    for other in [Engine::Containerd, Engine::Crio].into_iter().filter(|other| *other != engine) {
        if let Some([service, wants]) = paths(other)
            && files.read(&wants)?.is_some()
        {
            return Ok(Some(service));
        }
    }
    Ok(None)
}

/// Takes out what [`plan`] put in, but for what `stays`.
pub(super) fn take_out(
    files: &mut Files,
    place: &Place,
    stays: &dyn Fn(&Path) -> bool,
) -> Result<(), EngineError> {
    for path in paths(place.engine).into_iter().flatten().filter(|path| !stays(path)) {
        if files.read(&path)?.is_some_and(|text| text.starts_with(HEADER)) {
            files.remove(&path);
        }
    }
    Ok(())
}

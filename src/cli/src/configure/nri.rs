//! The NRI plugin's service, and that the engine's brings it up.

use std::path::{Path, PathBuf};

use crate::engines::containerd::reader::Containerd;
use crate::engines::crio::Crio;
use crate::engines::engine::{COMMAND, Engine};
use crate::engines::error::{ConfigureError, EngineError};
use crate::engines::files::Files;
use crate::engines::setup::{HEADER, Place, Setup};

/// Where the node's own units are.
pub(crate) const UNITS: &str = "/etc/systemd/system";

/// Where engines wait for plugins.
pub(crate) const SOCKET: &str = "/var/run/nri/nri.sock";

/// The plugin's service.
pub(crate) const SERVICE: &str = "podhosts-nri.service";

fn paths(engine: Engine) -> Option<[PathBuf; 2]> {
    let engine = engine.services().first()?;
    let units = Path::new(UNITS);
    Some([units.join(SERVICE), units.join(format!("{engine}.d/podhosts-nri.conf"))])
}

/// Whether the engine brings the plugin's service up.
pub(crate) fn is_wanted(files: &Files, engine: Engine) -> Result<bool, EngineError> {
    match paths(engine) {
        Some([_, wants]) => Ok(files.read(&wants)?.is_some()),
        None => Ok(false),
    }
}

/// Plans the service. Plain files do all of it: a drop-in of the engine's unit wants the plugin's, so that nothing has
/// to be enabled, nor disabled afterwards.
pub(crate) fn plan(files: &mut Files, setup: &Setup) -> Result<(), ConfigureError> {
    let Some([service, wants]) = paths(setup.place.engine) else { return Ok(()) };
    let socket = socket(files, setup)?;
    let program = setup.bin_dir.display().to_string();
    for word in [Some(&program), socket.as_ref()].into_iter().flatten() {
        if word.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'\\%$;".contains(c)) {
            return Err(setup.refused(format!("{word:?} cannot be written into a unit of systemd's")));
        }
    }
    let text = include_str!("../../../../vendor-configs/systemd/podhosts-nri.service");
    let mut text = text.replace("/usr/local/bin", &program);
    if let Some(socket) = &socket {
        text = text.replace("/podhosts nri\n", &format!("/podhosts nri --socket {socket}\n"));
    }
    let others =
        wanted_by_others(files, setup.place.engine)?.map(|path| files.read(&path)).transpose()?.flatten();
    if let Some(theirs) = others.as_deref().map(socket_of)
        && theirs != socket_of(&text)
    {
        let reason = format!(
            "{SERVICE} is another engine's, too, which waits for plugins at {}; give both one socket",
            theirs.display()
        );
        return Err(setup.refused(reason));
    }
    files.put(&service, text);
    files.put(&wants, include_str!("../../../../vendor-configs/systemd/wants-podhosts-nri.conf").to_owned());
    Ok(())
}

/// The socket that a unit's plugin connects to.
pub(crate) fn socket_of(unit: &str) -> PathBuf {
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap_or_default();
    let mut words = command.split_whitespace().skip_while(|word| *word != "--socket").skip(1);
    words.next().unwrap_or(SOCKET).into()
}

/// Where the engine waits for plugins, where that is not the usual place.
fn socket(files: &Files, setup: &Setup) -> Result<Option<String>, ConfigureError> {
    let place = &setup.place;
    let (socket, refuses, key) = match place.engine {
        Engine::Crio => {
            let crio = Crio::read(files, &place.config, place.drop_ins())?;
            (crio.nri_socket()?, crio.nri_refuses_connections()?, "nri_disable_connections")
        }
        _ => {
            let containerd = Containerd::read(files, &place.config, setup.version)?;
            (containerd.nri_socket(), containerd.nri_refuses_connections(), "disable_connections")
        }
    };
    if refuses {
        let reason = format!(
            "{key} is true, so only plugins may connect that it starts itself: take that out, or link \
             /opt/nri/plugins/90-podhosts to {}",
            setup.program(COMMAND).display()
        );
        return Err(setup.refused(reason));
    }
    let is_usual =
        |socket: &PathBuf| [SOCKET, "/run/nri/nri.sock"].iter().any(|usual| socket == Path::new(usual));
    Ok(socket.filter(|socket| !is_usual(socket)).map(|socket| socket.display().to_string()))
}

/// The service, where it is for another engine, too.
pub(crate) fn wanted_by_others(files: &Files, engine: Engine) -> Result<Option<PathBuf>, EngineError> {
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
pub(crate) fn take_out(
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

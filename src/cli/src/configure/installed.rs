//! What the node has installed: the engine's version, and podhosts' own programs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engines::engine::Engine;
use crate::engines::version::{Version, version_in};
use cri::Client;
use sys::fs::files::FileError;
use sys::process::{exec, programs};

/// How long containerd may take to tell its version.
const CRI_PATIENCE: Duration = Duration::from_secs(5);

/// The engine's version where a plan depends on it: of the installed program, or else of the running engine.
pub(crate) fn version(engine: Engine) -> Option<Version> {
    let installed = || programs::output(engine.program(), &["--version"]).ok();
    let said = match engine {
        Engine::Containerd | Engine::K3s | Engine::Rke2 => {
            installed().or_else(|| running_version(engine.socket()))
        }
        Engine::Podman => installed(),
        Engine::Crio => None,
    };
    said.and_then(|said| version_in(&said))
}

/// Asks containerd over the CRI: a container that configures its node has no containerd of its own.
fn running_version(socket: &str) -> Option<String> {
    let client = Client::connect(Path::new(socket), CRI_PATIENCE).ok()?;
    client.version().ok().map(|version| version.runtime_version)
}

/// The directory of the running program.
///
/// # Errors
/// [`FileError`] where the kernel does not tell it.
pub(crate) fn own_dir() -> Result<PathBuf, FileError> {
    let failed = |cause| FileError::Io { verb: "find", path: PathBuf::from("podhosts"), cause };
    let own = exec::own_path().map_err(failed)?;
    Ok(own.parent().unwrap_or(Path::new("/")).to_owned())
}

//! What a node has of podhosts without a journal: configured by hand, or the journal was lost.

use crate::configure::journal::LastChoices;
use crate::configure::nri;
use crate::engines::containerd::{Containerd, Handler};
use crate::engines::crio::Crio;
use crate::engines::engine::{Engine, Mode};
use crate::engines::error::EngineError;
use crate::engines::files::Files;
use crate::engines::names::{NAME, is_wrapper};
use crate::engines::podman::{Podman, plan};
use crate::engines::setup::Place;
use crate::engines::version::Version;

/// Our handler in an engine's files.
#[derive(Debug, Default)]
struct Ours {
    /// How it brings the hook into containers; `None` where there is no handler.
    mode: Option<Mode>,
    /// Whether pods that name no handler get ours.
    is_default: bool,
}

/// The choices that made what the files on the disk have and those `without` podhosts lack: a call that is told nothing
/// else would take it away. `None` where they lack nothing.
///
/// # Errors
/// [`EngineError`] naming a file that cannot be read.
pub(super) fn choices(
    place: &Place,
    version: Option<Version>,
    without: &Files,
) -> Result<Option<LastChoices>, EngineError> {
    let on_disk = Files::new();
    let (now, then) = (ours(&on_disk, place, version)?, ours(without, place, version)?);
    let set_as_default = now.is_default && !then.is_default;
    let mode = match now.mode {
        Some(mode) if then.mode.is_none() => mode,
        _ if nri::is_wanted(&on_disk, place.engine)? && !nri::is_wanted(without, place.engine)? => Mode::Nri,
        _ => return Ok(None),
    };
    Ok(Some(LastChoices { mode: mode.name().to_owned(), set_as_default, ..LastChoices::default() }))
}

fn ours(files: &Files, place: &Place, version: Option<Version>) -> Result<Ours, EngineError> {
    Ok(match place.engine {
        Engine::Containerd | Engine::K3s | Engine::Rke2 => {
            let containerd = Containerd::read(files, &place.config, version)?;
            let ours = containerd.handlers()?.into_iter().find(|handler| handler.name == NAME);
            let mode = |ours: Handler| match ours.binary_name {
                Some(program) if is_wrapper(&program) => Mode::Wrapper,
                _ => Mode::BaseSpec,
            };
            Ours { mode: ours.map(mode), is_default: containerd.default_handler()? == NAME }
        }
        Engine::Crio => {
            let crio = Crio::read(files, &place.config, place.drop_ins())?;
            Ours {
                mode: crio.handler_table(NAME).map(|_| Mode::Wrapper),
                is_default: crio.default_handler()?.as_deref() == Some(NAME),
            }
        }
        Engine::Podman => {
            let podman = Podman::read(files, &plan::places(place, version))?;
            Ours {
                mode: (!podman.runtime(NAME)?.is_empty()).then_some(Mode::Wrapper),
                is_default: podman.default_runtime()? == Some(NAME),
            }
        }
    })
}

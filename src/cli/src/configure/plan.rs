//! Which files an engine is to have with podhosts, and without it. Nothing is written here.

use std::path::Path;

use crate::configure::journal::Journal;
use crate::configure::take_out::take_out_named;
use crate::configure::{network, nri};
use crate::engines::engine::{Engine, Mode};
use crate::engines::error::{ConfigureError, EngineError};
use crate::engines::files::Files;
use crate::engines::own_keys::OwnKeys;
use crate::engines::setup::{HEADER, Place, Setup};
use crate::engines::version::Version;
use crate::engines::{containerd, crio, hooks, podman};

/// Plans the files for a setup, and returns notes. [`take_out`] has to come first.
///
/// # Errors
/// [`ConfigureError`], which says why nothing can be done.
pub(super) fn put_in(files: &mut Files, setup: &Setup) -> Result<Vec<String>, ConfigureError> {
    setup.check()?;
    let mut notes = Vec::new();
    match setup.place.engine {
        Engine::Containerd | Engine::K3s | Engine::Rke2 => containerd::plan::plan(files, setup, &mut notes)?,
        Engine::Crio => crio::plan::plan(files, setup, &mut notes)?,
        Engine::Podman => podman::plan::plan(files, setup, &mut notes)?,
    }
    if setup.mode == Mode::Nri {
        nri::plan(files, setup)?;
    }
    if setup.with_cni {
        network::plan(files, setup, &mut notes)?;
    }
    Ok(notes)
}

/// Refuses to leave pods that name no handler without one: containerd would not serve the CRI then, CRI-O not start, and
/// podman start no container. A default that is missing already is not refused.
///
/// # Errors
/// [`ConfigureError::Refused`] naming it.
pub(super) fn keeps_default(
    planned: &Files,
    place: &Place,
    version: Option<Version>,
) -> Result<(), ConfigureError> {
    match place.engine {
        Engine::Containerd | Engine::K3s | Engine::Rke2 => {
            containerd::plan::keeps_default(planned, place, version)
        }
        Engine::Crio => crio::plan::keeps_default(planned, place),
        Engine::Podman => podman::plan::keeps_default(planned, place, version),
    }
}

/// Refuses to remove podhosts where that would change other settings: without one file, the others may mean
/// something else.
///
/// # Errors
/// [`ConfigureError::Refused`] naming it.
pub(super) fn keeps_others(
    planned: &Files,
    place: &Place,
    version: Option<Version>,
) -> Result<(), ConfigureError> {
    match place.engine {
        Engine::Containerd | Engine::K3s | Engine::Rke2 => {
            containerd::plan::keeps_others(planned, place, version)
        }
        Engine::Crio => crio::plan::keeps_others(planned, place),
        Engine::Podman => Ok(()),
    }
}

/// Plans the files without podhosts: undoes the journal's entries, and removes our names from files without an entry.
/// Keeps files that other engines' journals also claim. Returns notes.
///
/// # Errors
/// [`EngineError`] naming a file that cannot be read.
pub(super) fn take_out(
    files: &mut Files,
    place: &Place,
    journal: &Journal,
    others: &[Journal],
) -> Result<Vec<String>, EngineError> {
    let wanted = nri::wanted_by_others(files, place.engine)?;
    let is_shared =
        |path: &Path| wanted.as_deref() == Some(path) || others.iter().any(|other| other.of(path).is_some());
    let notes = journal.undo(files, &is_shared)?;
    let is_remembered = |path: &Path| journal.of(path).is_some();
    // The drop-in first: what imports it may lead to nothing else.
    for path in [&place.drop_in, &place.config] {
        let is_main_of_others = path == &place.config && !place.engine.is_containerd();
        if is_remembered(path) || is_main_of_others {
            continue;
        }
        let Some(text) = files.read(path)? else { continue };
        match take_out_named(path, &text, &own_keys(files, place), HEADER)? {
            Some(new) if new == text => {}
            Some(new) => files.put(path, new),
            None => files.remove(path),
        }
    }
    if !place.engine.is_containerd() {
        hooks::plan::take_out(files, place, &is_remembered)?;
    }
    nri::take_out(files, place, &|path| is_remembered(path) || is_shared(path))?;
    if place.engine.is_containerd() && journal.of(&place.network_template()).is_some() {
        network::take_made_out(files, place)?;
    }
    Ok(notes)
}

fn own_keys(files: &Files, place: &Place) -> OwnKeys {
    match place.engine {
        Engine::Containerd | Engine::K3s | Engine::Rke2 => containerd::plan::own_keys(files, place),
        Engine::Crio => crio::plan::own_keys(files, place),
        Engine::Podman => podman::plan::own_keys(files, place),
    }
}

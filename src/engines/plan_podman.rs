//! What podman is to have: a drop-in, and for the hooks directory a file in it.

use toml_edit::Array;

use super::files::Files;
use super::plan::{Mode, Place, PlanError, Request, edited, named_dirs, put_hook};
use super::plan_crio::more_dirs;
use super::podman::Podman;
use super::take_out::Named;
use super::{NAME, WRAPPER};

pub(super) fn named(files: &Files, place: &Place) -> Named {
    let mut without = files.clone();
    without.remove(&place.drop_in);
    let podman = Podman::read(&without, &place.config, place.drop_ins());
    let dirs = podman.and_then(|podman| podman.hooks_dirs()).ok().flatten();
    Named {
        handlers: vec![vec!["engine", "runtimes", NAME]],
        names: vec![vec!["engine", "runtime"]],
        ours: vec![vec!["network", "network_backend"]],
        list: named_dirs(place, &["engine", "hooks_dir"], dirs),
    }
}

pub(super) fn plan(files: &mut Files, request: &Request, notes: &mut Vec<String>) -> Result<(), PlanError> {
    let podman = read(files, request)?;
    let is_wrapper = request.mode == Mode::Wrapper;
    let dirs = if is_wrapper { None } else { more_dirs(podman.hooks_dirs()?, &request.place.hooks_dir) };
    let needs_backend = request.with_cni && podman.network_backend()? != Some("cni");
    if request.with_cni && request.version.is_some_and(|(major, _)| major >= 5) {
        return Err(request.refused("podman 5 has no CNI; leave --with-cni out".to_owned()));
    }
    if !is_wrapper {
        put_hook(files, request);
    }
    if dirs.is_none() && !needs_backend && !is_wrapper {
        return Ok(());
    }
    let drop_in = &request.place.drop_in;
    let text = edited(files, drop_in, |edit| {
        if let Some(dirs) = dirs {
            edit.set(&["engine"], "hooks_dir", dirs)?;
        }
        if is_wrapper {
            if request.set_as_default {
                edit.set(&["engine"], "runtime", NAME)?;
            }
            let program = request.program(WRAPPER).display().to_string();
            edit.set(&["engine", "runtimes"], NAME, Array::from_iter([program]))?;
        }
        if needs_backend {
            edit.set(&["network"], "network_backend", "cni")?;
        }
        Ok(())
    })?;
    files.put(drop_in, text);
    if needs_backend {
        notes.push("networks that podman made with another backend are not seen with cni".to_owned());
    }
    verify(files, request)
}

fn read(files: &Files, request: &Request) -> Result<Podman, PlanError> {
    Ok(Podman::read(files, &request.place.config, request.place.drop_ins())?)
}

/// See [`super::plan::keeps_default`].
pub(super) fn keeps_default(planned: &Files, place: &Place) -> Result<(), PlanError> {
    let read = |files: &Files| Podman::read(files, &place.config, place.drop_ins());
    let (Ok(before), Ok(after)) = (read(&Files::new()), read(planned)) else { return Ok(()) };
    let is_there = |podman: &Podman| podman.runtime(NAME).is_ok_and(|programs| !programs.is_empty());
    if after.default_runtime()? != Some(NAME) || is_there(&after) || !is_there(&before) {
        return Ok(());
    }
    let reason = format!("engine.runtime is {NAME:?}, and there is no such runtime then: name another");
    Err(PlanError::Refused { engine: place.engine.name(), reason })
}

/// A later file may say otherwise.
fn verify(files: &Files, request: &Request) -> Result<(), PlanError> {
    let podman = read(files, request)?;
    if request.mode == Mode::HooksDir && more_dirs(podman.hooks_dirs()?, &request.place.hooks_dir).is_some() {
        return request.overridden("engine.hooks_dir");
    }
    if request.set_as_default && podman.default_runtime()? != Some(NAME) {
        return request.overridden("engine.runtime");
    }
    Ok(())
}

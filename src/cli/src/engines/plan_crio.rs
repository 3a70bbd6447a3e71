//! What CRI-O is to have: a drop-in, and for the hooks directory a file in it.

use toml::Table;
use toml_edit::Array;

use super::crio::Crio;
use super::files::Files;
use super::handler::{copied, plain};
use super::hooks_dir::{Group, Rules};
use super::judge_crio::{RUNTIMES, Seen, hooks_dirs};
use super::plan::{Mode, Place, PlanError, Request, edited};
use super::plan_hooks::{self, named_dirs, put_hook};
use super::take_out::Named;
use super::{NAME, WRAPPER, low_level};

const RUNTIME: [&str; 2] = ["crio", "runtime"];

/// The handlers that no file has to name: CRI-O's crun, and runc before 1.31.
const BUILT_IN: [&str; 2] = ["crun", "runc"];

pub(super) fn named(files: &Files, place: &Place) -> Named {
    let mut without = files.clone();
    without.remove(&place.drop_in);
    let crio = Crio::read(&without, &place.config, place.drop_ins());
    let dirs = crio.and_then(|crio| crio.hooks_dirs()).ok().flatten();
    Named {
        handlers: vec![vec!["crio", "runtime", "runtimes", NAME]],
        names: vec![vec!["crio", "runtime", "default_runtime"]],
        ours: vec![vec!["crio", "nri", "enable_nri"]],
        list: named_dirs(place, &["crio", "runtime", "hooks_dir"], dirs),
    }
}

pub(super) fn plan(files: &mut Files, request: &Request, notes: &mut Vec<String>) -> Result<(), PlanError> {
    let drop_in = &request.place.drop_in;
    let before = Seen::of(files, &request.place)?;
    let crio = &before.crio;
    let without = files.clone();
    let mut expected = hooks_dirs(crio)?;
    match request.mode {
        Mode::HooksDir => {
            if let Some(dirs) = put_hook(files, request, &expected) {
                let list = Array::from_iter(&dirs);
                let text = edited(files, drop_in, |edit| edit.set(&RUNTIME, "hooks_dir", list))?;
                files.put(drop_in, text);
                expected = dirs;
            }
        }
        Mode::Nri if crio.nri_enabled()? == Some(true) => {}
        Mode::Nri => {
            let text = edited(files, drop_in, |edit| edit.set(&["crio", "nri"], "enable_nri", true))?;
            files.put(drop_in, text);
        }
        Mode::Wrapper | Mode::BaseSpec => put_handler(files, request, crio, notes)?,
    }
    verify((&without, &before), files, request, &expected)
}

/// Puts in our handler, with what the default one has: that of the files, or, where none names it and the program is there,
/// CRI-O's own.
fn put_handler(
    files: &mut Files,
    request: &Request,
    crio: &Crio,
    notes: &mut Vec<String>,
) -> Result<(), PlanError> {
    let default = crio.default_handler()?.or_else(|| Some(BUILT_IN[0].to_owned()));
    let named = default.and_then(|name| Some((crio.handler_table(&name)?.clone(), name)));
    let mut beside = named.map(|(table, name)| (name, table));
    if beside.is_none() {
        let mut with_ours = files.clone();
        put(&mut with_ours, request, None)?;
        beside = Seen::of(&with_ours, &request.place)?.built_in();
    }
    let is_oci = |(_, table): &(String, Table)| {
        table.get("runtime_type").and_then(toml::Value::as_str).is_none_or(|kind| matches!(kind, "" | "oci"))
    };
    let beside = beside.filter(is_oci);
    if let Some((name, table)) = &beside {
        let path = table.get("runtime_path").and_then(toml::Value::as_str).filter(|path| !path.is_empty());
        notes.extend(low_level::note(files, name, path.unwrap_or(name))?);
    }
    put(files, request, beside.as_ref().map(|(_, table)| table))
}

/// Puts in our handler with what `beside` has.
fn put(files: &mut Files, request: &Request, beside: Option<&Table>) -> Result<(), PlanError> {
    let mut handler = toml_edit::Table::new();
    handler.insert("runtime_path", plain(&request.program(WRAPPER).display().to_string()));
    handler.insert("runtime_type", plain("oci"));
    if let Some(beside) = beside {
        // These two would make it another program.
        copied(&mut handler, beside, &["platform_runtime_paths", "inherit_default_runtime"]);
    }
    let drop_in = &request.place.drop_in;
    let text = edited(files, drop_in, |edit| {
        if request.set_as_default {
            edit.set(&RUNTIME, "default_runtime", NAME)?;
        }
        edit.put(&RUNTIMES, NAME, toml_edit::Item::Table(handler))
    })?;
    files.put(drop_in, text);
    Ok(())
}

/// See [`super::plan::keeps_default`].
pub(super) fn keeps_default(planned: &Files, place: &Place) -> Result<(), PlanError> {
    let read = |files: &Files| Crio::read(files, &place.config, place.drop_ins());
    let (Ok(before), Ok(after)) = (read(&Files::new()), read(planned)) else { return Ok(()) };
    let is_there = |crio: &Crio| crio.handler_table(NAME).is_some();
    if after.default_handler()?.as_deref() != Some(NAME) || is_there(&after) || !is_there(&before) {
        return Ok(());
    }
    let reason = format!("default_runtime is {NAME:?}, and there is no such handler then: name another");
    Err(PlanError::Refused { engine: place.engine.name(), reason })
}

/// See [`super::plan::keeps_others`].
pub(super) fn keeps_others(planned: &Files, place: &Place) -> Result<(), PlanError> {
    // What CRI-O cannot read now is nobody's any longer.
    let Ok(before) = Seen::of(&Files::new(), place) else { return Ok(()) };
    before.keeps_others(&Seen::of(planned, place)?, place)
}

/// Whether CRI-O would have ours, where a later file may say otherwise, and all hooks that it has without us.
fn verify(
    (without, before): (&Files, &Seen),
    files: &Files,
    request: &Request,
    expected: &[String],
) -> Result<(), PlanError> {
    let after = Seen::of(files, &request.place)?;
    is_set(&after.crio, request, expected)?;
    after.is_loaded(before, request, expected)?;
    if request.mode == Mode::HooksDir {
        let groups = |crio: &Crio| -> Result<Vec<Group>, PlanError> {
            Ok(vec![hooks_dirs(crio)?.into_iter().map(Into::into).collect()])
        };
        let sides = [(without, groups(&before.crio)?), (files, groups(&after.crio)?)];
        plan_hooks::check(sides, Rules::crio(), request)?;
    }
    before.keeps_others(&after, &request.place)
}

/// Whether the files say what is planned, where a later one may say otherwise.
fn is_set(crio: &Crio, request: &Request, expected: &[String]) -> Result<(), PlanError> {
    let program = request.program(WRAPPER).display().to_string();
    let path = crio.handler_table(NAME).and_then(|table| table.get("runtime_path")?.as_str());
    let default = crio.default_handler()?;
    let is_there = |name: &String| BUILT_IN.contains(&name.as_str()) || crio.handler_table(name).is_some();
    if let Some(name) = default.as_ref().filter(|name| !is_there(name)) {
        return Err(request.refused(format!("default_runtime is {name:?}, and there is no such handler")));
    }
    match request.mode {
        Mode::HooksDir if hooks_dirs(crio)? != expected => {
            overridden(crio, request, &["crio", "runtime", "hooks_dir"])
        }
        Mode::Nri if crio.nri_enabled()? != Some(true) => {
            overridden(crio, request, &["crio", "nri", "enable_nri"])
        }
        Mode::Wrapper if path != Some(program.as_str()) => {
            overridden(crio, request, &[&RUNTIMES[..], &[NAME]].concat())
        }
        Mode::Wrapper if request.set_as_default && default.as_deref() != Some(NAME) => {
            overridden(crio, request, &["crio", "runtime", "default_runtime"])
        }
        _ => Ok(()),
    }
}

fn overridden(crio: &Crio, request: &Request, keys: &[&str]) -> Result<(), PlanError> {
    request.overridden_in(&crio.layers, keys)
}

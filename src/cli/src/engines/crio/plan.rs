//! What CRI-O is to have: a drop-in, and for the hooks directory a file in it.

use toml::Table;
use toml_edit::Array;

use super::reader::Crio;
use super::view::{RUNTIMES, View, hooks_dirs};
use crate::engines::edit::{copied, plain};
use crate::engines::engine::Mode;
use crate::engines::error::ConfigureError;
use crate::engines::files::Files;
use crate::engines::hooks::plan::{own_dirs, put_hook};
use crate::engines::hooks::{self, Group, Rules};
use crate::engines::low_level;
use crate::engines::names::{NAME, WRAPPER};
use crate::engines::own_keys::OwnKeys;
use crate::engines::setup::{Place, Setup, edited};

const RUNTIME: [&str; 2] = ["crio", "runtime"];

/// The handlers that no file has to name: CRI-O's crun, and runc before 1.31.
const BUILT_IN: [&str; 2] = ["crun", "runc"];

pub(crate) fn own_keys(files: &Files, place: &Place) -> OwnKeys {
    let mut without = files.clone();
    without.remove(&place.drop_in);
    let crio = Crio::read(&without, &place.config, place.drop_ins());
    let dirs = crio.and_then(|crio| crio.hooks_dirs()).ok().flatten();
    OwnKeys {
        handlers: vec![vec!["crio", "runtime", "runtimes", NAME]],
        names: vec![vec!["crio", "runtime", "default_runtime"]],
        ours: vec![vec!["crio", "nri", "enable_nri"]],
        list: own_dirs(place, &["crio", "runtime", "hooks_dir"], dirs),
    }
}

pub(crate) fn plan(files: &mut Files, setup: &Setup, notes: &mut Vec<String>) -> Result<(), ConfigureError> {
    let drop_in = &setup.place.drop_in;
    let before = View::of(files, &setup.place)?;
    let crio = &before.crio;
    let without = files.clone();
    let mut expected = hooks_dirs(crio)?;
    match setup.mode {
        Mode::HooksDir => {
            if let Some(dirs) = put_hook(files, setup, &expected) {
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
        Mode::Wrapper | Mode::BaseSpec => put_handler(files, setup, crio, notes)?,
    }
    verify((&without, &before), files, setup, &expected)
}

/// Puts in our handler, with what the default one has: that of the files, or, where none names it and the program is there,
/// CRI-O's own.
fn put_handler(
    files: &mut Files,
    setup: &Setup,
    crio: &Crio,
    notes: &mut Vec<String>,
) -> Result<(), ConfigureError> {
    let default = crio.default_handler()?.or_else(|| Some(BUILT_IN[0].to_owned()));
    let named = default.and_then(|name| Some((crio.handler_table(&name)?.clone(), name)));
    let mut beside = named.map(|(table, name)| (name, table));
    if beside.is_none() {
        let mut with_ours = files.clone();
        put(&mut with_ours, setup, None)?;
        beside = View::of(&with_ours, &setup.place)?.built_in();
    }
    let is_oci = |(_, table): &(String, Table)| {
        table.get("runtime_type").and_then(toml::Value::as_str).is_none_or(|kind| matches!(kind, "" | "oci"))
    };
    let beside = beside.filter(is_oci);
    if let Some((name, table)) = &beside {
        let path = table.get("runtime_path").and_then(toml::Value::as_str).filter(|path| !path.is_empty());
        notes.extend(low_level::find_or_note(files, name, path.unwrap_or(name))?);
    }
    put(files, setup, beside.as_ref().map(|(_, table)| table))
}

/// Puts in our handler with what `beside` has.
fn put(files: &mut Files, setup: &Setup, beside: Option<&Table>) -> Result<(), ConfigureError> {
    let mut handler = toml_edit::Table::new();
    handler.insert("runtime_path", plain(&setup.program(WRAPPER).display().to_string()));
    handler.insert("runtime_type", plain("oci"));
    if let Some(beside) = beside {
        // These two would make it another program.
        copied(&mut handler, beside, &["platform_runtime_paths", "inherit_default_runtime"]);
    }
    let drop_in = &setup.place.drop_in;
    let text = edited(files, drop_in, |edit| {
        if setup.set_as_default {
            edit.set(&RUNTIME, "default_runtime", NAME)?;
        }
        edit.put(&RUNTIMES, NAME, toml_edit::Item::Table(handler))
    })?;
    files.put(drop_in, text);
    Ok(())
}

/// Refuses to leave pods that name no handler without one.
pub(crate) fn keeps_default(planned: &Files, place: &Place) -> Result<(), ConfigureError> {
    let read = |files: &Files| Crio::read(files, &place.config, place.drop_ins());
    let (Ok(before), Ok(after)) = (read(&Files::new()), read(planned)) else { return Ok(()) };
    let is_there = |crio: &Crio| crio.handler_table(NAME).is_some();
    if after.default_handler()?.as_deref() != Some(NAME) || is_there(&after) || !is_there(&before) {
        return Ok(());
    }
    let reason = format!("default_runtime is {NAME:?}, and there is no such handler then: name another");
    Err(ConfigureError::Refused { engine: place.engine.name(), reason })
}

/// Refuses to remove podhosts where that would change other settings.
pub(crate) fn keeps_others(planned: &Files, place: &Place) -> Result<(), ConfigureError> {
    // What CRI-O cannot read now is nobody's any longer.
    let Ok(before) = View::of(&Files::new(), place) else { return Ok(()) };
    before.keeps_others(&View::of(planned, place)?, place)
}

/// Whether CRI-O would have ours, where a later file may say otherwise, and all hooks that it has without us.
fn verify(
    (without, before): (&Files, &View),
    files: &Files,
    setup: &Setup,
    expected: &[String],
) -> Result<(), ConfigureError> {
    let after = View::of(files, &setup.place)?;
    is_set(&after.crio, setup, expected)?;
    after.is_loaded(before, setup, expected)?;
    if setup.mode == Mode::HooksDir {
        let groups = |crio: &Crio| -> Result<Vec<Group>, ConfigureError> {
            Ok(vec![hooks_dirs(crio)?.into_iter().map(Into::into).collect()])
        };
        let sides = [(without, groups(&before.crio)?), (files, groups(&after.crio)?)];
        hooks::plan::check(sides, Rules::crio(), setup)?;
    }
    before.keeps_others(&after, &setup.place)
}

/// Whether the files say what is planned, where a later one may say otherwise.
fn is_set(crio: &Crio, setup: &Setup, expected: &[String]) -> Result<(), ConfigureError> {
    let program = setup.program(WRAPPER).display().to_string();
    let path = crio.handler_table(NAME).and_then(|table| table.get("runtime_path")?.as_str());
    let default = crio.default_handler()?;
    let is_there = |name: &String| BUILT_IN.contains(&name.as_str()) || crio.handler_table(name).is_some();
    if let Some(name) = default.as_ref().filter(|name| !is_there(name)) {
        return Err(setup.refused(format!("default_runtime is {name:?}, and there is no such handler")));
    }
    match setup.mode {
        Mode::HooksDir if hooks_dirs(crio)? != expected => {
            overridden(crio, setup, &["crio", "runtime", "hooks_dir"])
        }
        Mode::Nri if crio.nri_enabled()? != Some(true) => {
            overridden(crio, setup, &["crio", "nri", "enable_nri"])
        }
        Mode::Wrapper if path != Some(program.as_str()) => {
            overridden(crio, setup, &[&RUNTIMES[..], &[NAME]].concat())
        }
        Mode::Wrapper if setup.set_as_default && default.as_deref() != Some(NAME) => {
            overridden(crio, setup, &["crio", "runtime", "default_runtime"])
        }
        _ => Ok(()),
    }
}

fn overridden(crio: &Crio, setup: &Setup, keys: &[&str]) -> Result<(), ConfigureError> {
    setup.overridden_in(&crio.layers, keys)
}

//! What CRI-O is to have: a drop-in, and for the hooks directory a file in it.

use toml_edit::Array;

use crate::engines::crio::Crio;
use crate::engines::edit::{copied, plain};
use crate::engines::engine::Mode;
use crate::engines::error::ConfigureError;
use crate::engines::files::Files;
use crate::engines::hooks::plan::{own_dirs, put_hook};
use crate::engines::hooks::{Group, Rules};
use crate::engines::names::{NAME, WRAPPER};
use crate::engines::own_keys::OwnKeys;
use crate::engines::setup::{Place, Setup, edited};
use crate::engines::{hooks, low_level};

const RUNTIME: [&str; 2] = ["crio", "runtime"];
const RUNTIMES: [&str; 3] = ["crio", "runtime", "runtimes"];

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
    let crio = read(files, setup)?;
    let without = files.clone();
    let mut expected = hooks_dirs(&crio)?;
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
        Mode::Wrapper | Mode::BaseSpec => put_handler(files, setup, &crio, notes)?,
    }
    verify((&without, &crio), files, setup, &expected)
}

fn put_handler(
    files: &mut Files,
    setup: &Setup,
    crio: &Crio,
    notes: &mut Vec<String>,
) -> Result<(), ConfigureError> {
    let default = crio.default_handler()?;
    let beside = default.as_deref().and_then(|name| crio.handler_table(name));
    let is_oci = |table: &&toml::Table| {
        table.get("runtime_type").and_then(toml::Value::as_str).is_none_or(|kind| matches!(kind, "" | "oci"))
    };
    let beside = beside.filter(is_oci);
    if let Some(path) = beside.and_then(|table| table.get("runtime_path")).and_then(toml::Value::as_str) {
        notes.extend(low_level::note(files, default.as_deref().unwrap_or_default(), path)?);
    }
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

fn read(files: &Files, setup: &Setup) -> Result<Crio, ConfigureError> {
    Ok(Crio::read(files, &setup.place.config, setup.place.drop_ins())?)
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

/// The hooks directories that CRI-O reads.
fn hooks_dirs(crio: &Crio) -> Result<Vec<String>, ConfigureError> {
    Ok(crio.hooks_dirs()?.unwrap_or_else(|| vec![hooks::DISTRIBUTION.to_owned()]))
}

/// Whether CRI-O would have ours, where a later file may say otherwise, and all hooks that it has without us.
fn verify(
    (without, before): (&Files, &Crio),
    files: &Files,
    setup: &Setup,
    expected: &[String],
) -> Result<(), ConfigureError> {
    let crio = read(files, setup)?;
    match setup.mode {
        Mode::HooksDir if hooks_dirs(&crio)? != expected => {
            overridden(&crio, setup, &["crio", "runtime", "hooks_dir"])
        }
        Mode::HooksDir => {
            let groups = |crio: &Crio| -> Result<Vec<Group>, ConfigureError> {
                Ok(vec![hooks_dirs(crio)?.into_iter().map(Into::into).collect()])
            };
            let sides = [(without, groups(before)?), (files, groups(&crio)?)];
            hooks::plan::check(sides, Rules::crio(), setup)
        }
        Mode::Nri if crio.nri_enabled()? != Some(true) => {
            overridden(&crio, setup, &["crio", "nri", "enable_nri"])
        }
        Mode::Wrapper if setup.set_as_default && crio.default_handler()?.as_deref() != Some(NAME) => {
            overridden(&crio, setup, &["crio", "runtime", "default_runtime"])
        }
        _ => Ok(()),
    }
}

fn overridden(crio: &Crio, setup: &Setup, keys: &[&str]) -> Result<(), ConfigureError> {
    setup.overridden_in(&crio.layers, keys)
}

//! What podman is to have: a drop-in, and for the hooks directory a file in it.

use toml_edit::Array;

use crate::engines::engine::Mode;
use crate::engines::error::ConfigureError;
use crate::engines::files::Files;
use crate::engines::hooks::Rules;
use crate::engines::hooks::plan::{own_dirs, put_hook};
use crate::engines::names::{NAME, WRAPPER};
use crate::engines::own_keys::OwnKeys;
use crate::engines::podman::printed::{About, Printed, is_usual};
use crate::engines::podman::{Environment, Places, Podman};
use crate::engines::setup::{Place, Setup, edited};
use crate::engines::version::Version;
use crate::engines::{hooks, low_level};

pub(crate) fn own_keys(files: &Files, place: &Place) -> OwnKeys {
    let mut without = files.clone();
    without.remove(&place.drop_in);
    let podman = Podman::read(&without, &places(place, None));
    let dirs = podman.and_then(|podman| podman.hooks_dirs()).ok().flatten();
    OwnKeys {
        handlers: vec![vec!["engine", "runtimes", NAME]],
        names: vec![vec!["engine", "runtime"]],
        ours: vec![vec!["network", "network_backend"]],
        list: own_dirs(place, &["engine", "hooks_dir"], dirs),
    }
}

/// Where podman's files are.
pub(crate) fn places(place: &Place, version: Option<Version>) -> Places {
    let environment = Environment::of_process();
    Places { main: place.config.clone(), drop_ins: place.drop_ins().to_owned(), version, environment }
}

/// podman's files, and podman's own word on them if its program is there.
struct View {
    podman: Podman,
    printed: Option<Printed>,
}

impl View {
    fn of(files: &Files, setup: &Setup) -> Result<Self, ConfigureError> {
        let places = places(&setup.place, setup.version);
        let podman = Podman::read(files, &places)?;
        // Before podman is asked: our errors name the line and the expected type.
        podman.hooks_dirs()?;
        podman.default_runtime()?;
        podman.runtime(NAME)?;
        let is_on_disk = files.are_on_disk()? && is_usual(&places);
        let about = if is_on_disk { About::Disk } else { About::Files(&podman) };
        let printed = match &setup.place.program {
            Some(program) => Printed::of(program, about).map_err(|said| {
                setup.refused(format!("{} does not read its files: {said}", program.display()))
            })?,
            None => None,
        };
        Ok(Self { podman, printed })
    }

    /// The hooks directories; nothing where no file names any.
    fn hooks_dirs(&self) -> Result<Option<Vec<String>>, ConfigureError> {
        let told = self.printed.as_ref().map(Printed::hooks_dirs).filter(|dirs| !dirs.is_empty());
        let concluded = self.podman.hooks_dirs()?;
        Ok(match told {
            // What podman has without any file.
            Some(dirs) if concluded.is_none() && dirs == [hooks::DISTRIBUTION] => None,
            Some(dirs) => Some(dirs),
            None => concluded,
        })
    }

    /// The name or path of the default runtime, if podman or a file names one.
    fn runtime(&self) -> Result<Option<String>, ConfigureError> {
        let told = self.printed.as_ref().map(|printed| printed.runtime().to_owned());
        let concluded = self.podman.default_runtime()?.map(str::to_owned);
        Ok(told.or(concluded).filter(|name| !name.is_empty()))
    }
}

pub(crate) fn plan(files: &mut Files, setup: &Setup, notes: &mut Vec<String>) -> Result<(), ConfigureError> {
    let without = files.clone();
    let view = View::of(files, setup)?;
    let is_wrapper = setup.mode == Mode::Wrapper;
    let needs_backend = setup.with_cni && view.podman.network_backend()? != Some("cni");
    if setup.with_cni && setup.version.is_some_and(|(major, _)| major >= 5) {
        return Err(setup.refused("podman 5 has no CNI; leave --with-cni out".to_owned()));
    }
    let mut dirs = None;
    let mut expected = view.hooks_dirs()?;
    if !is_wrapper {
        dirs = put_hook(files, setup, &read_now(&view, setup)?);
        expected = dirs.clone().or(expected);
    }
    if dirs.is_some() || needs_backend || is_wrapper {
        put_drop_in(files, setup, dirs.as_deref(), needs_backend)?;
    }
    if is_wrapper && setup.set_as_default {
        let name = view.runtime()?.unwrap_or_else(|| "crun".to_owned());
        low_level::keep_podmans(files, setup, &view.podman, &name, notes)?;
    }
    if needs_backend {
        notes.push("networks that podman made with another backend are not seen with cni".to_owned());
    }
    verify((&without, &view), files, setup, expected.as_deref())?;
    notes.extend(modules(files, setup)?);
    Ok(())
}

/// The directories whose hooks podman reads.
fn read_now(view: &View, setup: &Setup) -> Result<Vec<String>, ConfigureError> {
    let dirs = view.hooks_dirs()?;
    if dirs.as_ref().is_some_and(Vec::is_empty) && setup.version.is_none() {
        let reason = "engine.hooks_dir is empty, which podman before 4.8 takes for no directory, and later ones for two: \
                      name the directories"
            .to_owned();
        return Err(setup.refused(reason));
    }
    let groups = Podman::hooks_groups(dirs.as_deref(), setup.version);
    Ok(groups.concat().iter().map(|dir| dir.display().to_string()).collect())
}

fn put_drop_in(
    files: &mut Files,
    setup: &Setup,
    dirs: Option<&[String]>,
    needs_backend: bool,
) -> Result<(), ConfigureError> {
    if let Some(only) = Environment::of_process().only {
        let only = only.display();
        return Err(setup.refused(format!("CONTAINERS_CONF is set, so podman reads {only} alone: unset it")));
    }
    let drop_in = &setup.place.drop_in;
    let mut with = files.clone();
    with.put(drop_in, files.read(drop_in)?.unwrap_or_default());
    let podman = Podman::read(&with, &places(&setup.place, setup.version))?;
    let is_appended = podman.appends_at(drop_in, &["engine", "hooks_dir"])?;
    let dirs = dirs.map(|dirs| if is_appended { &dirs[dirs.len() - 1..] } else { dirs });
    let text = edited(files, drop_in, |edit| {
        if let Some(dirs) = dirs {
            edit.set(&["engine"], "hooks_dir", Array::from_iter(dirs))?;
        }
        if setup.mode == Mode::Wrapper {
            if setup.set_as_default {
                edit.set(&["engine"], "runtime", NAME)?;
            }
            let program = setup.program(WRAPPER).display().to_string();
            edit.set(&["engine", "runtimes"], NAME, Array::from_iter([program]))?;
        }
        if needs_backend {
            edit.set(&["network"], "network_backend", "cni")?;
        }
        Ok(())
    })?;
    files.put(drop_in, text);
    Ok(())
}

/// Refuses to leave pods that name no handler without one.
pub(crate) fn keeps_default(
    planned: &Files,
    place: &Place,
    version: Option<Version>,
) -> Result<(), ConfigureError> {
    let read = |files: &Files| Podman::read(files, &places(place, version));
    let (Ok(before), Ok(after)) = (read(&Files::new()), read(planned)) else { return Ok(()) };
    let is_there = |podman: &Podman| podman.runtime(NAME).is_ok_and(|programs| !programs.is_empty());
    if after.default_runtime()? != Some(NAME) || is_there(&after) || !is_there(&before) {
        return Ok(());
    }
    let reason = format!("engine.runtime is {NAME:?}, and there is no such runtime then: name another");
    Err(ConfigureError::Refused { engine: place.engine.name(), reason })
}

/// Checks that podman would use our hook or runtime, and keep everything else.
fn verify(
    (without, before): (&Files, &View),
    files: &Files,
    setup: &Setup,
    expected: Option<&[String]>,
) -> Result<(), ConfigureError> {
    let after = View::of(files, setup)?;
    if let (Some(before), Some(after)) = (&before.printed, &after.printed)
        && let Some([name, was, is]) = before.difference(after)
    {
        let reason = format!("podman's --{name} would be {is:?} instead of {was:?}");
        return Err(setup.refused(reason));
    }
    let runtimes = [before.runtime()?, after.runtime()?];
    if setup.set_as_default && runtimes[1].as_deref() != Some(NAME) {
        return setup.overridden_in(&after.podman.layers, &["engine", "runtime"]);
    }
    if !setup.set_as_default && runtimes[0] != runtimes[1] {
        let [was, is] = runtimes.map(Option::unwrap_or_default);
        return Err(setup.refused(format!("podman's default runtime would be {is:?} instead of {was:?}")));
    }
    let dirs = [before.hooks_dirs()?, after.hooks_dirs()?];
    if dirs[1].as_deref() != expected {
        return setup.overridden_in(&after.podman.layers, &["engine", "hooks_dir"]);
    }
    if setup.mode != Mode::HooksDir {
        return Ok(());
    }
    let [was, is] = dirs.map(|dirs| Podman::hooks_groups(dirs.as_deref(), setup.version));
    hooks::plan::check([(without, was), (files, is)], Rules::podman(setup.version), setup)
}

/// Notes on modules (`podman --module`), which override all other files for the containers started with them.
fn modules(files: &Files, setup: &Setup) -> Result<Vec<String>, ConfigureError> {
    let key = match setup.mode {
        Mode::HooksDir => "hooks_dir",
        _ if setup.set_as_default => "runtime",
        _ => return Ok(Vec::new()),
    };
    let keys = ["engine", key];
    let mut notes = Vec::new();
    for module in places(&setup.place, setup.version).modules(files)? {
        let appends = module.appends(&keys)? == Some(true);
        if module.get(&keys)?.is_some() && !appends {
            let path = module.path.display();
            notes.push(format!(
                "{path} sets engine.{key}: containers that are started with this module do not come to podhosts"
            ));
        }
    }
    Ok(notes)
}

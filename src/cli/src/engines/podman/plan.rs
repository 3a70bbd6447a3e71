//! What podman is to have: a drop-in, and for the hooks directory a file in it.

use toml_edit::Array;

use crate::configure::plan::{Mode, Place, PlanError, Request, edited};
use crate::configure::take_out::Named;
use crate::engines::containerd::Version;
use crate::engines::files::Files;
use crate::engines::hooks;
use crate::engines::hooks::Rules;
use crate::engines::hooks::plan::{named_dirs, put_hook};
use crate::engines::podman::view::{About, View, is_usual};
use crate::engines::podman::{Environment, Places, Podman};
use crate::engines::{NAME, WRAPPER, low_level};

pub(crate) fn named(files: &Files, place: &Place) -> Named {
    let mut without = files.clone();
    without.remove(&place.drop_in);
    let podman = Podman::read(&without, &places(place, None));
    let dirs = podman.and_then(|podman| podman.hooks_dirs()).ok().flatten();
    Named {
        handlers: vec![vec!["engine", "runtimes", NAME]],
        names: vec![vec!["engine", "runtime"]],
        ours: vec![vec!["network", "network_backend"]],
        list: named_dirs(place, &["engine", "hooks_dir"], dirs),
    }
}

/// Where podman's files are.
pub(crate) fn places(place: &Place, version: Option<Version>) -> Places {
    let environment = Environment::of_process();
    Places { main: place.config.clone(), drop_ins: place.drop_ins().to_owned(), version, environment }
}

/// podman's files, and what it makes of them itself where it can be asked.
struct Seen {
    podman: Podman,
    view: Option<View>,
}

impl Seen {
    fn of(files: &Files, request: &Request) -> Result<Self, PlanError> {
        let places = places(&request.place, request.version);
        let podman = Podman::read(files, &places)?;
        // Our own words name the line and what is expected.
        podman.hooks_dirs()?;
        podman.default_runtime()?;
        podman.runtime(NAME)?;
        let changes = crate::configure::change::changes(files, crate::configure::change::SameMeaning::Write)?;
        let is_on_disk = changes.is_empty() && is_usual(&places);
        let about = if is_on_disk { About::Disk } else { About::Files(&podman) };
        let view = match &request.place.program {
            Some(program) => View::of(program, about).map_err(|said| {
                request.refused(format!("{} does not read its files: {said}", program.display()))
            })?,
            None => None,
        };
        Ok(Self { podman, view })
    }

    /// The hooks directories; nothing where no file names any.
    fn hooks_dirs(&self) -> Result<Option<Vec<String>>, PlanError> {
        let told = self.view.as_ref().map(View::hooks_dirs).filter(|dirs| !dirs.is_empty());
        let concluded = self.podman.hooks_dirs()?;
        Ok(match told {
            // What podman has without any file.
            Some(dirs) if concluded.is_none() && dirs == [hooks::DISTRIBUTION] => None,
            Some(dirs) => Some(dirs),
            None => concluded,
        })
    }

    /// The default runtime, by its name or path; nothing where nobody tells.
    fn runtime(&self) -> Result<Option<String>, PlanError> {
        let told = self.view.as_ref().map(|view| view.runtime().to_owned());
        let concluded = self.podman.default_runtime()?.map(str::to_owned);
        Ok(told.or(concluded).filter(|name| !name.is_empty()))
    }
}

pub(crate) fn plan(files: &mut Files, request: &Request, notes: &mut Vec<String>) -> Result<(), PlanError> {
    let without = files.clone();
    let seen = Seen::of(files, request)?;
    let is_wrapper = request.mode == Mode::Wrapper;
    let needs_backend = request.with_cni && seen.podman.network_backend()? != Some("cni");
    if request.with_cni && request.version.is_some_and(|(major, _)| major >= 5) {
        return Err(request.refused("podman 5 has no CNI; leave --with-cni out".to_owned()));
    }
    let mut dirs = None;
    let mut expected = seen.hooks_dirs()?;
    if !is_wrapper {
        dirs = put_hook(files, request, &read_now(&seen, request)?);
        expected = dirs.clone().or(expected);
    }
    if dirs.is_some() || needs_backend || is_wrapper {
        put_drop_in(files, request, dirs.as_deref(), needs_backend)?;
    }
    if is_wrapper && request.set_as_default {
        let name = seen.runtime()?.unwrap_or_else(|| "crun".to_owned());
        low_level::keep_podmans(files, request, &seen.podman, &name, notes)?;
    }
    if needs_backend {
        notes.push("networks that podman made with another backend are not seen with cni".to_owned());
    }
    verify((&without, &seen), files, request, expected.as_deref())?;
    notes.extend(modules(files, request)?);
    Ok(())
}

/// The directories whose hooks podman reads.
fn read_now(seen: &Seen, request: &Request) -> Result<Vec<String>, PlanError> {
    let dirs = seen.hooks_dirs()?;
    if dirs.as_ref().is_some_and(Vec::is_empty) && request.version.is_none() {
        let reason = "engine.hooks_dir is empty, which podman before 4.8 takes for no directory, and later ones for two: \
                      name the directories"
            .to_owned();
        return Err(request.refused(reason));
    }
    let groups = Podman::hooks_groups(dirs.as_deref(), request.version);
    Ok(groups.concat().iter().map(|dir| dir.display().to_string()).collect())
}

fn put_drop_in(
    files: &mut Files,
    request: &Request,
    dirs: Option<&[String]>,
    needs_backend: bool,
) -> Result<(), PlanError> {
    if let Some(only) = Environment::of_process().only {
        let only = only.display();
        return Err(
            request.refused(format!("CONTAINERS_CONF is set, so podman reads {only} alone: unset it"))
        );
    }
    let drop_in = &request.place.drop_in;
    let mut with = files.clone();
    with.put(drop_in, files.read(drop_in)?.unwrap_or_default());
    let podman = Podman::read(&with, &places(&request.place, request.version))?;
    let is_appended = podman.appends_at(drop_in, &["engine", "hooks_dir"])?;
    let dirs = dirs.map(|dirs| if is_appended { &dirs[dirs.len() - 1..] } else { dirs });
    let text = edited(files, drop_in, |edit| {
        if let Some(dirs) = dirs {
            edit.set(&["engine"], "hooks_dir", Array::from_iter(dirs))?;
        }
        if request.mode == Mode::Wrapper {
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
    Ok(())
}

/// See [`crate::configure::plan::keeps_default`].
pub(crate) fn keeps_default(
    planned: &Files,
    place: &Place,
    version: Option<Version>,
) -> Result<(), PlanError> {
    let read = |files: &Files| Podman::read(files, &places(place, version));
    let (Ok(before), Ok(after)) = (read(&Files::new()), read(planned)) else { return Ok(()) };
    let is_there = |podman: &Podman| podman.runtime(NAME).is_ok_and(|programs| !programs.is_empty());
    if after.default_runtime()? != Some(NAME) || is_there(&after) || !is_there(&before) {
        return Ok(());
    }
    let reason = format!("engine.runtime is {NAME:?}, and there is no such runtime then: name another");
    Err(PlanError::Refused { engine: place.engine.name(), reason })
}

/// Whether podman would have ours, and all else as it is without us.
fn verify(
    (without, before): (&Files, &Seen),
    files: &Files,
    request: &Request,
    expected: Option<&[String]>,
) -> Result<(), PlanError> {
    let after = Seen::of(files, request)?;
    if let (Some(before), Some(after)) = (&before.view, &after.view)
        && let Some([name, was, is]) = before.difference(after)
    {
        let reason = format!("podman's --{name} would be {is:?} instead of {was:?}");
        return Err(request.refused(reason));
    }
    let runtimes = [before.runtime()?, after.runtime()?];
    if request.set_as_default && runtimes[1].as_deref() != Some(NAME) {
        return request.overridden_in(&after.podman.layers, &["engine", "runtime"]);
    }
    if !request.set_as_default && runtimes[0] != runtimes[1] {
        let [was, is] = runtimes.map(Option::unwrap_or_default);
        return Err(request.refused(format!("podman's default runtime would be {is:?} instead of {was:?}")));
    }
    let dirs = [before.hooks_dirs()?, after.hooks_dirs()?];
    if dirs[1].as_deref() != expected {
        return request.overridden_in(&after.podman.layers, &["engine", "hooks_dir"]);
    }
    if request.mode != Mode::HooksDir {
        return Ok(());
    }
    let [was, is] = dirs.map(|dirs| Podman::hooks_groups(dirs.as_deref(), request.version));
    hooks::plan::check([(without, was), (files, is)], Rules::podman(request.version), request)
}

/// What is to be said of modules, which go before everything else for the containers that are started with them.
fn modules(files: &Files, request: &Request) -> Result<Vec<String>, PlanError> {
    let key = match request.mode {
        Mode::HooksDir => "hooks_dir",
        _ if request.set_as_default => "runtime",
        _ => return Ok(Vec::new()),
    };
    let keys = ["engine", key];
    let mut notes = Vec::new();
    for module in places(&request.place, request.version).modules(files)? {
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

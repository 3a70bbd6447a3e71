//! What containerd is to have: a runtime handler, or NRI.
//!
//! Before containerd 2.0 an imported plugin section replaces the whole section, so files of version 2 are edited
//! themselves. Later releases merge sections, and there is a drop-in, which the main file imports. In containerd 2.0 to
//! 2.2 the last file's version decides whether sections of version 2 mean anything: a drop-in has the version that the
//! whole has without it.

use std::path::Path;

use toml_edit::{Item, Table};

use crate::engines::containerd::built_in::put_built_in;
use crate::engines::containerd::generated::{check_generated, is_of_gke};
use crate::engines::containerd::handler::{beside, handler};
use crate::engines::containerd::imports::{import_patterns, imports_any, missing_import};
use crate::engines::containerd::merge::{Release, merged};
use crate::engines::containerd::reader::Containerd;
use crate::engines::containerd::section::{DEFAULT_HANDLER, NRI, cri_section, file_version};
use crate::engines::containerd::view::View;
use crate::engines::edit::Edit;
use crate::engines::engine::Mode;
use crate::engines::error::{ConfigureError, EngineError};
use crate::engines::files::{Files, covers};
use crate::engines::layers::Layer;
use crate::engines::names::{NAME, WRAPPER};
use crate::engines::own_keys::{OwnKeys, OwnList};
use crate::engines::setup::{Place, Setup, edited};
use crate::engines::version::Version;

pub(crate) fn own_keys(files: &Files, place: &Place) -> OwnKeys {
    let in_cri = |keys: &[&'static str]| {
        [2, 3].map(|version| [&cri_section(version)[..], &["containerd"], keys].concat()).to_vec()
    };
    // Others may have come to rely on them. Earlier versions of podhosts imported the whole directory.
    let usual = place.config.with_file_name("conf.d").join("*.toml").display().to_string();
    let own = [usual, place.drop_in.display().to_string()].into_iter();
    let own = own.filter(|pattern| !imports_any(files, pattern)).collect();
    OwnKeys {
        handlers: in_cri(&["runtimes", NAME]),
        names: in_cri(&["default_runtime_name"]),
        ours: vec![NRI.into_iter().chain(["disable"]).collect()],
        list: OwnList { keys: vec!["imports"], own, inherited: Vec::new() },
    }
}

/// The changes to make.
#[derive(Debug, Clone)]
struct Wanted {
    handler: Option<Table>,
    is_default: bool,
    needs_built_in: bool,
    needs_nri: bool,
    template: Option<String>,
}

/// A place for it: a file, the version that a file without one gets, and the versions by which the sections of handler
/// and default are named.
#[derive(Debug, Clone, Copy)]
struct Target<'a> {
    path: &'a Path,
    version: i64,
    of_handler: i64,
    of_default: i64,
}

pub(crate) fn plan(files: &mut Files, setup: &Setup, notes: &mut Vec<String>) -> Result<(), ConfigureError> {
    let containerd = Containerd::read(files, &setup.place.config, setup.version)?;
    check_enabled(&containerd, setup)?;
    let version = version(&containerd, setup)?;
    if let Some((path, by)) = missing_import(files, &containerd.layers)? {
        let (path, by) = (path.display(), by.display());
        return Err(setup
            .refused(format!("{by} imports {path}, which is not there: containerd does not start with it")));
    }
    let before = View::of(files, &setup.place, setup.version)?;
    let mut with_spec = files.clone();
    let handler = match setup.mode {
        Mode::Nri => None,
        _ => Some(handler(&mut with_spec, setup, &containerd, notes)?),
    };
    if let Some(template) = containerd.cni_template().filter(|_| setup.pod_cidrs_of_node) {
        let reason = format!("it makes its network of {template} already (cni.conf_template)");
        return Err(setup.refused(reason));
    }
    let wanted = Wanted {
        template: setup.pod_cidrs_of_node.then(|| setup.place.network_template().display().to_string()),
        needs_built_in: handler.is_some() && is_replaced(&containerd)?,
        needs_nri: setup.mode == Mode::Nri && nri_is_off(&before, setup)?,
        is_default: handler.is_some() && setup.set_as_default,
        handler,
    };
    if wanted.handler.is_none() && !wanted.needs_nri && wanted.template.is_none() {
        return Ok(());
    }
    let mut refusal = None;
    for target in targets(&containerd, version, &wanted, setup)? {
        let mut planned = with_spec.clone();
        put(&mut planned, target, &wanted, setup)?;
        match verify(&before, &planned, setup) {
            Ok(()) => {
                if is_of_gke(&planned, setup)? {
                    notes.push(format!(
                        "GKE writes {} again when it makes the node anew: the DaemonSet configures it again",
                        setup.place.config.display()
                    ));
                }
                *files = planned;
                if setup.with_cni {
                    notes.extend(containerd.own_networks().iter().map(|(name, dir)| {
                        format!("handler {name} has a cni_conf_dir of its own, {dir}: its pods get no network of podhosts'")
                    }));
                }
                return Ok(());
            }
            // The first place is the usual one.
            Err(error) => drop(refusal.get_or_insert(error)),
        }
    }
    Err(refusal.unwrap_or_else(|| setup.refused("there is no place for it".to_owned())))
}

fn check_enabled(containerd: &Containerd, setup: &Setup) -> Result<(), ConfigureError> {
    let refused = |path: &Path, what: &str| {
        Err(setup.refused(format!("{} has {what} in disabled_plugins; take it out there", path.display())))
    };
    if let Some(path) = containerd.cri_disabled_in()? {
        return refused(path, "the CRI plugin");
    }
    match containerd.nri_disabled_in()? {
        Some(path) if setup.mode == Mode::Nri => refused(path, "NRI"),
        _ => Ok(()),
    }
}

/// The version that the main file has, or is to have.
fn version(containerd: &Containerd, setup: &Setup) -> Result<i64, ConfigureError> {
    let config = setup.place.config.display();
    match containerd.version()? {
        // All that are in use read 2; those that read 3 read drop-ins, too.
        _ if is_bare(containerd) => {
            Ok(if setup.version.is_some_and(|(major, _)| major >= 2) { 3 } else { 2 })
        }
        Some(version) if version > containerd.release.newest() => {
            let engine = setup.version.map_or_else(String::new, |(major, minor)| format!(" {major}.{minor}"));
            let expected = containerd.release.newest();
            Err(setup.refused(format!(
                "{config} has version {version}, which containerd{engine} does not read, expected {expected}"
            )))
        }
        Some(version @ 2..) => Ok(version),
        version => {
            // There is no `config migrate` before 2.0.
            let is_old = setup.version.is_some_and(|(major, _)| major < 2);
            let remedy = if is_old {
                "`containerd config dump` prints the whole of it as version 2"
            } else {
                "`containerd config migrate` prints it as a later one"
            };
            let version = version.unwrap_or(1);
            Err(setup.refused(format!("{config} has version {version}, expected 2, 3 or 4; {remedy}")))
        }
    }
}

/// Whether the main file names no version and has nothing of which the meaning hangs on one.
fn is_bare(containerd: &Containerd) -> bool {
    let has = |main: &Layer, key: &str| main.table.contains_key(key);
    let keys = ["version", "plugins", "disabled_plugins", "required_plugins"];
    containerd.layers.first().is_none_or(|main| !keys.iter().any(|key| has(main, key)))
}

/// The places that it may be put in, the usual one first.
fn targets<'a>(
    containerd: &Containerd,
    version: i64,
    wanted: &Wanted,
    setup: &'a Setup,
) -> Result<Vec<Target<'a>>, ConfigureError> {
    let place = &setup.place;
    let main = Target { path: &place.config, version: 2, of_handler: 2, of_default: 2 };
    let is_old = Release::possible(setup.version, &containerd.layers)?.contains(&Release::Before2_0);
    if is_old && version == 2 {
        if setup.is_drop_in_given {
            let reason = format!(
                "{} has version 2, and before containerd 2.0 a drop-in would replace all its settings of the CRI \
                 plugin; the file itself is edited without that option",
                main.path.display()
            );
            return Err(ConfigureError::Option { option: "--drop-in", reason });
        }
        return Ok(vec![main]);
    }
    let mut targets = Vec::new();
    if version == 2 && !setup.is_drop_in_given {
        targets.push(main);
    }
    let whole = if containerd.layers.len() < 2 {
        version
    } else {
        merged(&containerd.layers, Release::From2_0)?.version
    };
    let other = if whole >= 3 { 2 } else { 3 };
    for of_handler in [whole, other] {
        for of_default in [whole, other] {
            if wanted.is_default || of_default == whole {
                targets.push(Target { path: &place.drop_in, version: whole, of_handler, of_default });
            }
        }
    }
    Ok(targets)
}

/// Plans it to be in this place.
fn put(files: &mut Files, target: Target<'_>, wanted: &Wanted, setup: &Setup) -> Result<(), ConfigureError> {
    let text = edited(files, target.path, |edit| {
        ensure_version(edit, target.version)?;
        if wanted.needs_nri {
            edit.set(&NRI, "disable", false)?;
        }
        if let Some(template) = &wanted.template {
            let [plugins, cri] = cri_section(target.of_handler);
            edit.set(&[plugins, cri, "cni"], "conf_template", template.as_str())?;
        }
        let Some(handler) = &wanted.handler else { return Ok(()) };
        if wanted.needs_built_in {
            put_built_in(edit, target.of_handler)?;
        }
        if wanted.is_default {
            let [plugins, cri] = cri_section(target.of_default);
            edit.set(&[plugins, cri, "containerd"], "default_runtime_name", NAME)?;
        }
        let [plugins, cri] = cri_section(target.of_handler);
        edit.put(&[plugins, cri, "containerd", "runtimes"], NAME, Item::Table(handler.clone()))
    })?;
    files.put(target.path, text);
    let main = &setup.place.config;
    if target.path == main {
        return check_generated(setup);
    }
    if imports(files, main, target.path)? {
        return Ok(());
    }
    check_generated(setup)?;
    // By its name: other files beside it may be there for another day.
    let text = edited(files, main, |edit| {
        ensure_version(edit, target.version)?;
        edit.push(&[], "imports", &target.path.display().to_string())
    })?;
    files.put(main, text);
    Ok(())
}

fn ensure_version(edit: &mut Edit, version: i64) -> Result<(), EngineError> {
    if edit.get(&["version"]).is_some() { Ok(()) } else { edit.set(&[], "version", version) }
}

/// Whether a handler of ours would take the place of containerd's built-in one, or that is gone already.
fn is_replaced(containerd: &Containerd) -> Result<bool, EngineError> {
    if containerd.release != Release::Before2_0 {
        return Ok(false);
    }
    let is_gone =
        containerd.default_handler_is_missing()? && containerd.default_handler()? == DEFAULT_HANDLER;
    Ok(is_gone || !containerd.names_handlers())
}

/// Whether NRI has to be switched on.
fn nri_is_off(before: &View, setup: &Setup) -> Result<bool, ConfigureError> {
    if let Some((major, minor)) = setup.version.filter(|&version| version < (1, 7)) {
        return Err(setup.refused(format!("containerd {major}.{minor} has no NRI, 1.7 has")));
    }
    for config in before.configs() {
        let is_on_by_default = config.release != Release::Before2_0;
        if config.nri_disabled()?.unwrap_or(!is_on_by_default) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the main file imports `drop_in`.
fn imports(files: &Files, main: &Path, drop_in: &Path) -> Result<bool, ConfigureError> {
    let Some(layer) = Layer::read(files, main)? else { return Ok(false) };
    let drop_in = drop_in.display().to_string();
    Ok(import_patterns(&layer)?.iter().any(|pattern| *pattern == drop_in || covers(pattern, &drop_in)))
}

/// Refuses to leave pods that name no handler without one.
pub(crate) fn keeps_default(
    planned: &Files,
    place: &Place,
    version: Option<Version>,
) -> Result<(), ConfigureError> {
    let read = |files: &Files| Containerd::read(files, &place.config, version);
    // A file that cannot be read now is no reason to refuse; the planned files were read before where that matters.
    let (Ok(before), Ok(after)) = (read(&Files::new()), read(planned)) else { return Ok(()) };
    if !after.default_handler_is_missing()? || before.default_handler_is_missing()? {
        return Ok(());
    }
    let (name, config) = (after.default_handler()?, place.config.display());
    let reason = format!(
        "default_runtime_name is {name:?}, and there is no such handler then: name another in {config}"
    );
    Err(ConfigureError::Refused { engine: place.engine.name(), reason })
}

/// Refuses to change values that are not podhosts'.
pub(crate) fn keeps_others(
    planned: &Files,
    place: &Place,
    version: Option<Version>,
) -> Result<(), ConfigureError> {
    // containerd cannot use a file that it cannot read, so no setting can be lost.
    let Ok(before) = View::of(&Files::new(), place, version) else { return Ok(()) };
    before.keeps_others(&View::of(planned, place, version)?, place)
}

/// Checks that containerd would load the planned settings, and keep all others.
fn verify(before: &View, planned: &Files, setup: &Setup) -> Result<(), ConfigureError> {
    let after = View::of(planned, &setup.place, setup.version)?;
    for config in after.configs() {
        is_loaded(config, setup)?;
        let before = before.configs().find(|before| before.release == config.release);
        let beside = before.map(beside).transpose()?.flatten().filter(|_| setup.mode != Mode::Nri);
        if let Some(key) = beside.and_then(|beside| config.lacks(NAME, &beside.name, setup.with_cni)) {
            return Err(setup.refused(format!("the handler would not have {key} of the one beside it")));
        }
    }
    before.keeps_others(&after, &setup.place)
}

fn is_loaded(config: &Containerd, setup: &Setup) -> Result<(), ConfigureError> {
    if setup.pod_cidrs_of_node && config.cni_template().is_none() {
        return Err(overridden(config, setup));
    }
    if setup.mode == Mode::Nri {
        return if config.nri_disabled()? == Some(true) { Err(overridden(config, setup)) } else { Ok(()) };
    }
    if setup.set_as_default && config.has_legacy_default() {
        let reason = "containerd.default_runtime goes before default_runtime_name; make it a handler of \
                      containerd.runtimes, and name that in default_runtime_name";
        return Err(setup.refused(reason.to_owned()));
    }
    let handlers = config.handlers()?;
    let ours = handlers.iter().find(|handler| {
        let wrapper = setup.program(WRAPPER).display().to_string();
        let is_way = match setup.mode {
            Mode::Wrapper => handler.binary_name == Some(wrapper),
            _ => handler.base_runtime_spec.is_some(),
        };
        handler.name == NAME && is_way && handler.passes("podhosts.io/x")
    });
    let default = config.default_handler()?;
    if ours.is_none() || setup.set_as_default && default != NAME {
        return Err(overridden(config, setup));
    }
    if handlers.iter().all(|handler| handler.name != default) {
        return Err(
            setup.refused(format!("default_runtime_name is {default:?}, and there is no such handler"))
        );
    }
    Ok(())
}

/// The error that another file, or its version, overrides the planned settings.
fn overridden(config: &Containerd, setup: &Setup) -> ConfigureError {
    let main = config.layers.first().map(|layer| file_version(layer).unwrap_or_default());
    let others = config.layers.iter().skip(1).rev().filter(|layer| layer.path != setup.place.drop_in);
    let mut versions = others.clone().filter_map(|layer| Some((layer, file_version(layer).ok()?)));
    let is_old = config.release == Release::Before2_0;
    if !is_old && let Some((layer, version)) = versions.find(|(_, version)| Some(*version) != main) {
        let (path, config) = (layer.path.display(), setup.place.config.display());
        return setup.refused(format!(
            "{path} has version {version}, and {config} {}: containerd would not load what is planned; give both one version",
            main.unwrap_or_default()
        ));
    }
    let imported = config.imported_cri_sections().unwrap_or_default();
    let culprit = imported.into_iter().rev().find(|path| **path != setup.place.drop_in);
    let Some(culprit) = culprit.map(Path::display) else {
        let config = setup.place.config.display();
        return setup.refused(format!(
            "{config} has the CRI plugin's sections of version 2 and of 3: containerd would not load what is planned"
        ));
    };
    let remedy = if is_old { "name that file with --config" } else { "name a later file with --drop-in" };
    setup.refused(format!(
        "{culprit} is imported, and what it says of the CRI plugin goes before it; {remedy}"
    ))
}

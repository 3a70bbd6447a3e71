//! What containerd is to have: a runtime handler, or NRI.
//!
//! Files of version 2 are edited themselves, because before containerd 2.0 an imported plugin section replaces the
//! whole section. From version 3 on there is a drop-in, and the main file imports it. A drop-in has the version of the
//! main file: containerd 2.0 and 2.1 take the whole for one of the last version they read, and would not migrate the
//! others.

use std::path::{Path, PathBuf};

use toml_edit::{Array, InlineTable, Item, Table};

use super::built_in::put_built_in;
use super::containerd::{
    CONFIG, Containerd, DEFAULT_HANDLER, NRI, RUNC_V2, Version, cri_section, import_patterns, imports_any,
};
use super::edit::{COMMENT, Edit};
use super::files::{Files, covers};
use super::layers::Layer;
use super::plan::{Mode, Place, PlanError, Request, edited, with_path};
use super::take_out::{Named, NamedList};
use super::{ANNOTATIONS, EngineError, HOOK, NAME, WRAPPER};

/// The base specification, beside the main file.
const BASE_SPEC: &str = "podhosts-base.json";

pub(super) fn named(files: &Files, place: &Place) -> Named {
    let in_cri = |keys: &[&'static str]| {
        [2, 3].map(|version| [&cri_section(version)[..], &["containerd"], keys].concat()).to_vec()
    };
    // Others may have come to rely on them.
    let own = [usual_import(place), place.drop_in.display().to_string()].into_iter();
    let own = own.filter(|pattern| !imports_any(files, pattern)).collect();
    Named {
        handlers: in_cri(&["runtimes", NAME]),
        names: in_cri(&["default_runtime_name"]),
        ours: vec![NRI.into_iter().chain(["disable"]).collect()],
        list: NamedList { keys: vec!["imports"], own, inherited: Vec::new() },
    }
}

/// The pattern of the directory that containerd has for drop-ins.
fn usual_import(place: &Place) -> String {
    place.config.with_file_name("conf.d").join("*.toml").display().to_string()
}

pub(super) fn plan(files: &mut Files, request: &Request, notes: &mut Vec<String>) -> Result<(), PlanError> {
    let main = &request.place.config;
    let containerd = read(files, request)?;
    if let Some(path) = containerd.cri_disabled_in()? {
        let reason = format!("{} has the CRI plugin in disabled_plugins; take it out there", path.display());
        return Err(request.refused(reason));
    }
    if let (Mode::Nri, Some(path)) = (request.mode, containerd.nri_disabled_in()?) {
        let reason = format!("{} has NRI in disabled_plugins; take it out there", path.display());
        return Err(request.refused(reason));
    }
    let version = version(&containerd, request)?;
    if version == 2 && request.is_drop_in_given {
        let reason = format!(
            "{} has version 2, and before containerd 2.0 a drop-in would replace all its settings of the CRI plugin; \
             the file itself is edited without that option",
            main.display()
        );
        return Err(PlanError::Option { option: "--drop-in", reason });
    }
    let handler = match request.mode {
        Mode::Nri => None,
        _ => Some(handler(files, request, &containerd, notes)?),
    };
    let needs_built_in = handler.is_some() && is_replaced(&containerd, version, request)?;
    let needs_nri = request.mode == Mode::Nri && nri_is_off(&containerd, version, request)?;
    if handler.is_none() && !needs_nri {
        return Ok(());
    }
    let target = if version == 2 { main } else { &request.place.drop_in };
    let text = edited(files, target, |edit| {
        ensure_version(edit, version)?;
        match handler {
            Some(handler) => {
                if needs_built_in {
                    put_built_in(edit, version)?;
                }
                put_handler(edit, version, handler, request.set_as_default)
            }
            None => edit.set(&NRI, "disable", false),
        }
    })?;
    files.put(target, text);
    if version != 2 && !imports(files, main, target)? {
        import(files, request, version)?;
    }
    verify(files, request)
}

fn read(files: &Files, request: &Request) -> Result<Containerd, PlanError> {
    Ok(Containerd::read(files, &request.place.config, request.version)?)
}

/// The version that the files have, or are to have.
fn version(containerd: &Containerd, request: &Request) -> Result<i64, PlanError> {
    let is_empty = containerd.layers.first().is_none_or(|main| main.table.is_empty());
    match containerd.version()? {
        // All that are in use read 2; those that read 3 read drop-ins, too.
        _ if is_empty => Ok(if request.version.is_some_and(|(major, _)| major >= 2) { 3 } else { 2 }),
        Some(version @ 2..=4) => Ok(version),
        version => Err(request.refused(format!(
            "{} has version {}, expected 2, 3 or 4; `containerd config migrate` prints it as a later one",
            request.place.config.display(),
            version.unwrap_or(1)
        ))),
    }
}

fn ensure_version(edit: &mut Edit, version: i64) -> Result<(), EngineError> {
    if edit.get(&["version"]).is_some() { Ok(()) } else { edit.set(&[], "version", version) }
}

/// The handler: what the one beside it has, and ours.
fn handler(
    files: &mut Files,
    request: &Request,
    containerd: &Containerd,
    notes: &mut Vec<String>,
) -> Result<Table, PlanError> {
    let handlers = containerd.handlers()?;
    let default = containerd.default_handler()?;
    let is_runc =
        |name: &str| handlers.iter().find(|handler| handler.name == name && handler.runtime_type == RUNC_V2);
    let beside = is_runc(&default).or_else(|| is_runc("runc"));
    let mut annotations = [vec![ANNOTATIONS.to_owned()], vec![ANNOTATIONS.to_owned()]];
    if let Some(beside) = beside {
        for (all, more) in
            annotations.iter_mut().zip([&beside.pod_annotations, &beside.container_annotations])
        {
            all.extend(more.iter().filter(|pattern| *pattern != ANNOTATIONS).cloned());
        }
    }
    let [pod, container] = annotations;
    let mut table = Table::new();
    table.insert("runtime_type", plain(RUNC_V2));
    table.insert("pod_annotations", Item::Value(Array::from_iter(pod).into()));
    table.insert("container_annotations", Item::Value(Array::from_iter(container).into()));
    if let Some(mut key) = table.key_mut("pod_annotations") {
        key.leaf_decor_mut().set_prefix(format!("{COMMENT}\n"));
    }
    let mut options = Table::new();
    if request.mode == Mode::Wrapper {
        options.insert("BinaryName", plain(&request.program(WRAPPER).display().to_string()));
        if let Some(binary) = beside.and_then(|beside| beside.binary_name.as_deref()) {
            notes.push(runs_another(beside.map_or("", |beside| &beside.name), binary));
        }
    } else {
        let path =
            put_base_spec(files, request, beside.and_then(|beside| beside.base_runtime_spec.as_deref()))?;
        table.insert("base_runtime_spec", plain(&path.display().to_string()));
    }
    if let Some(beside) = beside.and_then(|beside| containerd.handler_table(&beside.name)) {
        copied(&mut table, beside, &["options"]);
        if let Some(beside) = beside.get("options").and_then(toml::Value::as_table) {
            copied(&mut options, beside, &[]);
        }
    }
    if !options.is_empty() {
        options.set_position(Some(isize::MAX));
        table.insert("options", Item::Table(options));
    }
    // At the end of the file, where nobody's indentation is in the way.
    table.set_position(Some(isize::MAX));
    Ok(table)
}

/// Says that the wrapper runs another program than the handler it stands beside.
pub(super) fn runs_another(handler: &str, binary: &str) -> String {
    format!(
        "{handler} runs {binary}; {WRAPPER} runs the first of runtime.runtimes in /etc/podhosts/config.toml, by \
         default runc"
    )
}

/// Whether a handler of ours would take the place of containerd's built-in one, or that is gone already.
fn is_replaced(containerd: &Containerd, version: i64, request: &Request) -> Result<bool, PlanError> {
    if version != 2 || containerd.keeps_built_in(request.version)? {
        return Ok(false);
    }
    let is_gone = containerd.default_handler_is_missing(request.version)?
        && containerd.default_handler()? == DEFAULT_HANDLER;
    Ok(is_gone || containerd.handlers()?.is_empty())
}

fn put_handler(edit: &mut Edit, version: i64, handler: Table, is_default: bool) -> Result<(), EngineError> {
    let [plugins, cri] = cri_section(version);
    if is_default {
        edit.set(&[plugins, cri, "containerd"], "default_runtime_name", NAME)?;
    }
    edit.put(&[plugins, cri, "containerd", "runtimes"], NAME, Item::Table(handler))
}

/// Plans the base specification: the engine's own, or the one that handler has already, with our hook.
fn put_base_spec(files: &mut Files, request: &Request, base: Option<&Path>) -> Result<PathBuf, PlanError> {
    let path = request.place.config.with_file_name(BASE_SPEC);
    let text = match base {
        Some(base) => files
            .read(base)?
            .ok_or_else(|| request.refused(format!("base_runtime_spec {} is not there", base.display())))?,
        None => request.default_spec.clone().map_err(|reason| {
            request.refused(format!("base-spec needs containerd's default specification: {reason}"))
        })?,
    };
    let mut spec: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| request.refused(format!("its default specification is no JSON: {error}")))?;
    let hook: serde_json::Value =
        serde_json::from_str(&with_path(include_str!("../../hooks/podhosts.json"), &request.program(HOOK)))
            .map_err(|error| request.refused(error.to_string()))?;
    let hooks = spec.as_object_mut().map(|spec| spec.entry("hooks").or_insert_with(|| serde_json::json!({})));
    let stage = hooks.and_then(serde_json::Value::as_object_mut);
    let stage = stage.map(|hooks| hooks.entry("createRuntime").or_insert_with(|| serde_json::json!([])));
    let Some(list) = stage.and_then(serde_json::Value::as_array_mut) else {
        return Err(request.refused("its default specification is no OCI specification".to_owned()));
    };
    list.push(hook["hook"].clone());
    // A value that was parsed always has a JSON form.
    files.put(&path, serde_json::to_string_pretty(&spec).unwrap_or_default() + "\n");
    Ok(path)
}

/// Whether NRI has to be switched on.
fn nri_is_off(containerd: &Containerd, version: i64, request: &Request) -> Result<bool, PlanError> {
    if let Some((major, minor)) = request.version.filter(|&version| version < (1, 7)) {
        return Err(request.refused(format!("containerd {major}.{minor} has no NRI, 1.7 has")));
    }
    let is_on_by_default = version >= 3 || request.version.is_some_and(|(major, _)| major >= 2);
    Ok(containerd.nri_disabled()?.unwrap_or(!is_on_by_default))
}

/// Whether the main file imports `drop_in`.
fn imports(files: &Files, main: &Path, drop_in: &Path) -> Result<bool, PlanError> {
    let Some(layer) = Layer::read(files, main)? else { return Ok(false) };
    let drop_in = drop_in.display().to_string();
    Ok(import_patterns(&layer)?.iter().any(|pattern| *pattern == drop_in || covers(pattern, &drop_in)))
}

/// Plans the main file to import the drop-in, and what else is in containerd's own directory for that.
fn import(files: &mut Files, request: &Request, version: i64) -> Result<(), PlanError> {
    let main = &request.place.config;
    let dir = main.with_file_name("conf.d");
    let drop_in = &request.place.drop_in;
    let is_usual =
        drop_in.parent() == Some(&dir) && drop_in.extension().is_some_and(|suffix| suffix == "toml");
    let pattern = if is_usual { usual_import(&request.place) } else { drop_in.display().to_string() };
    let text = edited(files, main, |edit| {
        ensure_version(edit, version)?;
        edit.push(&[], "imports", &pattern)
    })?;
    files.put(main, text);
    Ok(())
}

/// A value of a handler or its options.
pub(super) fn plain(text: &str) -> Item {
    Item::Value(text.into())
}

/// Takes over what `to` does not have, but for `except` and what says nothing.
pub(super) fn copied(to: &mut Table, from: &toml::Table, except: &[&str]) {
    for (key, value) in from {
        let is_empty = value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty);
        if !to.contains_key(key) && !except.contains(&key.as_str()) && !is_empty {
            to.insert(key, Item::Value(as_edited(value)));
        }
    }
}

/// The same value for an edited text.
fn as_edited(value: &toml::Value) -> toml_edit::Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(value) => (*value).into(),
        toml::Value::Datetime(time) => (*time).into(),
        toml::Value::Array(list) => list.iter().map(as_edited).collect::<Array>().into(),
        toml::Value::Table(table) => {
            table.iter().map(|(key, value)| (key, as_edited(value))).collect::<InlineTable>().into()
        }
    }
}

/// See [`super::plan::keeps_default`].
pub(super) fn keeps_default(
    planned: &Files,
    place: &Place,
    version: Option<Version>,
) -> Result<(), PlanError> {
    let read = |files: &Files| Containerd::read(files, &place.config, version);
    // What cannot be read may have been so before; what is planned was read for that where it matters.
    let (Ok(before), Ok(after)) = (read(&Files::new()), read(planned)) else { return Ok(()) };
    if !after.default_handler_is_missing(version)? || before.default_handler_is_missing(version)? {
        return Ok(());
    }
    let (name, config) = (after.default_handler()?, place.config.display());
    let reason = format!(
        "default_runtime_name is {name:?}, and there is no such handler then: name another in {config}"
    );
    Err(PlanError::Refused { engine: place.engine.name(), reason })
}

/// An import may replace the section that was edited, or say otherwise.
fn verify(files: &Files, request: &Request) -> Result<(), PlanError> {
    let containerd = read(files, request)?;
    let is_there = match request.mode {
        Mode::Nri => containerd.nri_disabled()? != Some(true),
        _ => {
            let has_handler = containerd
                .handlers()?
                .iter()
                .any(|handler| handler.name == NAME && handler.passes("podhosts.io/x"));
            has_handler && (!request.set_as_default || containerd.default_handler()? == NAME)
        }
    };
    if is_there && (request.mode == Mode::Nri || !containerd.default_handler_is_missing(request.version)?) {
        return Ok(());
    }
    if is_there {
        let name = containerd.default_handler()?;
        return Err(
            request.refused(format!("default_runtime_name is {name:?}, and there is no such handler"))
        );
    }
    let imported = containerd.imported_cri_sections()?;
    let culprit = imported.iter().rev().find(|path| **path != request.place.drop_in);
    let culprit = culprit.map_or(CONFIG.to_owned(), |path| path.display().to_string());
    Err(request.refused(format!("{culprit} is imported, and what it says of the CRI plugin goes before it; name that file with --config")))
}

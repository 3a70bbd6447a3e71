//! The runtime handler that containerd is to have: what the one beside it has, and ours.

use std::path::{Path, PathBuf};

use toml_edit::{Array, Item, Table};

use crate::engines::containerd::Handler;
use crate::engines::containerd::reader::{Containerd, runs_runc};
use crate::engines::containerd::section::RUNC_V2;
use crate::engines::edit::{COMMENT, copied, plain};
use crate::engines::engine::Mode;
use crate::engines::error::ConfigureError;
use crate::engines::files::Files;
use crate::engines::low_level;
use crate::engines::names::{ANNOTATIONS, HOOK, WRAPPER};
use crate::engines::setup::{Setup, with_path};

/// The base specification, beside the main file.
pub(crate) const BASE_SPEC: &str = "podhosts-base.json";

/// The handler that ours stands beside: the default one, or runc's where another shim is the default.
///
/// # Errors
/// [`crate::engines::EngineError::Type`] naming the key.
pub(crate) fn beside(containerd: &Containerd) -> Result<Option<Handler>, crate::engines::EngineError> {
    let (handlers, default) = (containerd.handlers()?, containerd.default_handler()?);
    let named =
        |name: &str| handlers.iter().find(|handler| handler.name == name && runs_runc(handler)).cloned();
    Ok(named(&default).or_else(|| named("runc")))
}

/// The handler: what the one beside it has, and ours.
pub(crate) fn handler(
    files: &mut Files,
    setup: &Setup,
    containerd: &Containerd,
    notes: &mut Vec<String>,
) -> Result<Table, ConfigureError> {
    let beside = beside(containerd)?;
    let beside = beside.as_ref();
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
    // A shim that is named by its path may be on no other.
    let shim = beside.map(|beside| beside.runtime_type.as_str()).filter(|shim| shim.starts_with('/'));
    table.insert("runtime_type", plain(shim.unwrap_or(RUNC_V2)));
    table.insert("pod_annotations", Item::Value(Array::from_iter(pod).into()));
    table.insert("container_annotations", Item::Value(Array::from_iter(container).into()));
    if let Some(mut key) = table.key_mut("pod_annotations") {
        key.leaf_decor_mut().set_prefix(format!("{COMMENT}\n"));
    }
    let mut options = Table::new();
    if setup.mode == Mode::Wrapper {
        options.insert("BinaryName", plain(&setup.program(WRAPPER).display().to_string()));
        if let Some(binary) = beside.and_then(|beside| beside.binary_name.as_deref()) {
            notes.extend(low_level::find_or_note(files, beside.map_or("", |beside| &beside.name), binary)?);
        }
    } else {
        let path =
            put_base_spec(files, setup, beside.and_then(|beside| beside.base_runtime_spec.as_deref()))?;
        table.insert("base_runtime_spec", plain(&path.display().to_string()));
    }
    if let Some(beside) = beside.and_then(|beside| containerd.handler_table(&beside.name)) {
        // The network is where handlers look that have no directory of their own.
        let own_network: &[&str] = if setup.with_cni { &["cni_conf_dir", "cni_max_conf_num"] } else { &[] };
        copied(&mut table, beside, &[&["options"], own_network].concat());
        if let Some(beside) = beside.get("options").and_then(toml::Value::as_table) {
            copied(&mut options, beside, &[]);
        }
    }
    if !options.is_empty() {
        options.set_position(Some(isize::MAX));
        table.insert("options", Item::Table(options));
    }
    // At the end of the file, so that the indentation of other tables does not change.
    table.set_position(Some(isize::MAX));
    Ok(table)
}

/// Plans the base specification: the engine's own, or the one that handler has already, with our hook.
fn put_base_spec(files: &mut Files, setup: &Setup, base: Option<&Path>) -> Result<PathBuf, ConfigureError> {
    let path = setup.place.config.with_file_name(BASE_SPEC);
    let text = match base {
        Some(base) => files
            .read(base)?
            .ok_or_else(|| setup.refused(format!("base_runtime_spec {} is not there", base.display())))?,
        None => setup.default_spec.clone().map_err(|reason| {
            setup.refused(format!("base-spec needs containerd's default specification: {reason}"))
        })?,
    };
    let mut spec: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| setup.refused(format!("its default specification is no JSON: {error}")))?;
    let hook: serde_json::Value = serde_json::from_str(&with_path(
        include_str!("../../../../../hooks/podhosts.json"),
        &setup.program(HOOK),
    ))
    .map_err(|error| setup.refused(error.to_string()))?;
    let hooks = spec.as_object_mut().map(|spec| spec.entry("hooks").or_insert_with(|| serde_json::json!({})));
    let stage = hooks.and_then(serde_json::Value::as_object_mut);
    let stage = stage.map(|hooks| hooks.entry("createRuntime").or_insert_with(|| serde_json::json!([])));
    let Some(list) = stage.and_then(serde_json::Value::as_array_mut) else {
        return Err(setup.refused("its default specification is no OCI specification".to_owned()));
    };
    list.push(hook["hook"].clone());
    // A value that was parsed always has a JSON form.
    files.put(&path, serde_json::to_string_pretty(&spec).unwrap_or_default() + "\n");
    Ok(path)
}

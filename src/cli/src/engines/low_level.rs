//! The low-level runtime that containers have, and the one that the wrapper runs for them.

use std::path::{Path, PathBuf};

use toml_edit::Array;

use crate::engines::error::{ConfigureError, EngineError};
use crate::engines::files::Files;
use crate::engines::names::{WRAPPER, is_wrapper};
use crate::engines::podman::Podman;
use crate::engines::setup::{Setup, edited};
use crate::engines::{containerd, crio};
use container::node_config::{CONFIG_PATH, NodeConfig};
use sys::process::exec;

/// The directories in which podman looks for runc and crun first.
const PODMANS: [&str; 7] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/sbin",
    "/bin",
    "/run/current-system/sw/bin",
];

/// The runtimes of the node's configuration, and the one of them that the wrapper runs.
fn of_wrapper(files: &Files) -> Result<(NodeConfig, Option<PathBuf>), ConfigureError> {
    let text = files.read(Path::new(CONFIG_PATH))?.unwrap_or_default();
    let config = NodeConfig::parse(&text, CONFIG_PATH)
        .map_err(|error| EngineError::Hook { path: CONFIG_PATH.into(), cause: error.to_string() })?;
    let program = exec::find_program(&config.runtime.runtimes);
    Ok((config, program))
}

/// Whether two paths are of one program.
fn is_same(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// A note if the wrapper runs another program than `binary`, with which `whose` containers run now. Where the wrapper
/// would find no runtime, and the node's configuration names none, that is to name this one: CRI-O's packages keep theirs
/// in a directory that is not on PATH, and no container of ours would start.
///
/// # Errors
/// [`ConfigureError`] where the node's configuration cannot be read.
pub(crate) fn find_or_note(
    files: &mut Files,
    whose: &str,
    binary: &str,
) -> Result<Option<String>, ConfigureError> {
    let (config, program) = of_wrapper(files)?;
    let own = exec::find_program(&[binary.to_owned()]).filter(|own| !is_wrapper(&own.display().to_string()));
    match (&program, own) {
        (None, Some(own)) if !names_runtimes(files)? => {
            let runs = format!("{whose} runs {}", own.display());
            Ok(Some(put_first(files, config, &own, &runs)?))
        }
        (Some(program), Some(own)) if is_same(program, &own) => Ok(None),
        _ => Ok(Some(note(whose, binary, program))),
    }
}

/// That the wrapper runs `program`, and not `binary`, with which `whose` containers run now.
fn note(whose: &str, binary: &str, program: Option<PathBuf>) -> String {
    let runs =
        program.map_or("would find no runtime".to_owned(), |program| format!("runs {}", program.display()));
    format!(
        "{whose} runs {binary}; {WRAPPER} {runs}, the first of runtime.runtimes in {CONFIG_PATH} that is there"
    )
}

/// Has the node's configuration name `program` before all others; the note about it, which begins with `runs`.
fn put_first(
    files: &mut Files,
    config: NodeConfig,
    program: &Path,
    runs: &str,
) -> Result<String, ConfigureError> {
    let path = Path::new(CONFIG_PATH);
    let runtimes = [program.display().to_string()].into_iter().chain(config.runtime.runtimes);
    let text = edited(files, path, |edit| edit.set(&["runtime"], "runtimes", Array::from_iter(runtimes)))?;
    files.put(path, text);
    Ok(format!("{runs}: {WRAPPER} runs that from now on, by runtime.runtimes in {CONFIG_PATH}"))
}

/// Keeps the runtime that podman's containers have by default, which is `name` to it: where the node's configuration
/// names none and no other engine runs the wrapper, it is to name this one.
///
/// # Errors
/// [`ConfigureError`] where a configuration cannot be read.
pub(crate) fn keep_podmans(
    files: &mut Files,
    setup: &Setup,
    podman: &Podman,
    name: &str,
    notes: &mut Vec<String>,
) -> Result<(), ConfigureError> {
    let Some(program) = podmans(podman, name)? else { return Ok(()) };
    let shown = program.display().to_string();
    let (config, now) = of_wrapper(files)?;
    if now.as_deref().is_some_and(|now| is_same(now, &program)) || is_wrapper(&shown) {
        return Ok(());
    }
    let is_free =
        config.runtime.runtimes == NodeConfig::default().runtime.runtimes && !names_runtimes(files)?;
    if !is_free || runs_for_others(files, setup) {
        notes.push(note(&format!("podman's default runtime {name}"), &shown, now));
        return Ok(());
    }
    let runs = format!("podman's default runtime was {name}, {shown}");
    notes.push(put_first(files, config, &program, &runs)?);
    Ok(())
}

/// Whether the node's configuration says which runtimes there are.
fn names_runtimes(files: &Files) -> Result<bool, EngineError> {
    let layer = crate::engines::layers::Layer::read(files, Path::new(CONFIG_PATH))?;
    Ok(layer.is_some_and(|layer| matches!(layer.get(&["runtime", "runtimes"]), Ok(Some(_)))))
}

/// The program that a runtime's name stands for to podman.
fn podmans(podman: &Podman, name: &str) -> Result<Option<PathBuf>, EngineError> {
    if name.starts_with('/') {
        return Ok(Some(name.into()));
    }
    let mut programs = podman.runtime(name)?;
    if programs.is_empty() {
        programs.extend(PODMANS.map(|dir| format!("{dir}/{name}")));
    }
    let there = programs.into_iter().map(PathBuf::from).find(|path| path.is_file());
    Ok(there.or_else(|| exec::find_program(&[name.to_owned()])))
}

/// Whether another engine is known to run the wrapper: by its journal, or by its files.
fn runs_for_others(files: &Files, setup: &Setup) -> bool {
    setup.others_run_wrapper || names_wrapper(files, Path::new(containerd::CONFIG)) || crios(files)
}

fn names_wrapper(files: &Files, config: &Path) -> bool {
    files.read(config).ok().flatten().is_some_and(|text| text.contains(WRAPPER))
}

fn crios(files: &Files) -> bool {
    let drop_ins = files.below(Path::new(crio::DROP_INS)).unwrap_or_default();
    drop_ins.iter().chain([&PathBuf::from(crio::CONFIG)]).any(|path| names_wrapper(files, path))
}

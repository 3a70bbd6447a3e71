//! containerd: its files, its loaded configuration, and whether both agree.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::finding::Report;
use super::installation::Installation;
use super::options::PATIENCE;
use super::programs::executable;
use super::{cni, nri};
use crate::engines::containerd;
use crate::engines::containerd::Handler;
use crate::engines::containerd::reader::Containerd;
use crate::engines::containerd::section::RUNC_V2;
use crate::engines::files::Files;
use crate::engines::names::{ANNOTATIONS, HOOK, NAME, is_wrapper};
use crate::engines::version::{Version, version_in};
use cri::messages::StatusResponse;
use pod::annotations::HOST_ALIASES;
use sys::fs::files::{self, LastLink};
use sys::process::exec;
use sys::process::programs;

pub(super) const CHECK: &str = "containerd";
/// Where containerd 2.2 and later, and `podhosts configure`, have drop-ins.
const DROP_INS: &str = "/etc/containerd/conf.d";
const CONFIGURE: &str = "podhosts configure --runtime containerd";
/// Largest base specification that is read, in bytes.
const SPEC_MAX: usize = 4 << 20;

/// Looks at containerd; the paths of its networks, where it can be read.
pub(super) fn check(engine: &Installation, report: &mut Report) -> Option<cni::Paths> {
    let version = engine.program.as_deref().and_then(version);
    let config = match Containerd::read(&Files::new(), &engine.config, version) {
        Ok(config) => config,
        Err(error) => {
            report.error(CHECK, error.to_string(), "correct the file; containerd would not start with it");
            return None;
        }
    };
    let before = report.checks.len();
    if let Ok(Some(path)) = config.cri_disabled_in() {
        let message = format!("{} switches containerd's CRI plugin off (disabled_plugins)", path.display());
        if names_podhosts(&config) {
            report.error(CHECK, message, "take cri out of disabled_plugins, and restart containerd");
        } else {
            // As on nodes where it is there for another engine, such as Docker.
            report.skipped(CHECK, message);
        }
        return None;
    }
    let ours = match files(&config, version, report) {
        Ok(ours) => ours,
        Err(error) => {
            report.error(CHECK, error, "correct the file; containerd would not start with it");
            return None;
        }
    };
    // Its own findings come behind those of the files.
    let mut asked = Report::default();
    let status = engine.ask(CHECK, &mut asked);
    let taken = nri::Taken {
        is_off: nri_is_off(&config, version),
        socket: config.nri_socket(),
        refuses_connections: config.nri_refuses_connections(),
    };
    let by_nri = nri::check(CHECK, taken, status.is_some(), CONFIGURE, report);
    if ours.is_empty() && !by_nri {
        report.warning(CHECK, "no runtime handler leads to podhosts", CONFIGURE);
    }
    if report.checks.len() == before && !ours.is_empty() {
        let names: Vec<&str> = ours.iter().map(|handler| handler.name.as_str()).collect();
        report.ok(CHECK, format!("{}: runtime handler {}", engine.config.display(), names.join(", ")));
    }
    let paths = match (config.cni_conf_dir(), config.cni_bin_dirs()) {
        (Ok(conf_dir), Ok(bin_dirs)) => {
            let paths = cni::Paths::of("containerd", conf_dir, bin_dirs);
            Some(cni::Paths { calls_loopback: !config.sets_up_loopback(), ..paths })
        }
        _ => None,
    };
    if ours.is_empty() && !by_nri && !paths.as_ref().is_some_and(cni::has_our_network) {
        asked.soften();
    }
    report.checks.append(&mut asked.checks);
    if let Some(status) = status {
        loaded(&status, &ours, report);
    }
    paths
}

/// The low-level runtimes that its files name.
pub(super) fn runtimes(engine: &Installation) -> Vec<String> {
    let version = engine.program.as_deref().and_then(version);
    let config = Containerd::read(&Files::new(), &engine.config, version);
    let handlers = config.and_then(|config| config.handlers()).into_iter().flatten();
    handlers.filter_map(|handler| handler.binary_name).collect()
}

/// The version of the containerd that is installed.
fn version(program: &Path) -> Option<Version> {
    let run = programs::run(program, &["--version"], &[], b"", PATIENCE).ok()?;
    version_in(&String::from_utf8_lossy(&run.stdout))
}

/// The handlers that lead to podhosts, after a look at each.
fn files(config: &Containerd, version: Option<Version>, report: &mut Report) -> Result<Vec<Handler>, String> {
    let shown = |error: crate::engines::EngineError| error.to_string();
    if config.default_handler_is_missing().map_err(shown)? {
        let name = config.default_handler().map_err(shown)?;
        let message = format!(
            "there is no runtime handler {name}, which is the default: containerd does not serve the CRI like this"
        );
        report.error(CHECK, message, CONFIGURE);
    }
    not_imported(config, report);
    unread(config, version, report)?;
    let is_old = version.is_some_and(|(major, _)| major < 2);
    if let Some(path) = config.imported_cri_sections().map_err(shown)?.first().filter(|_| is_old) {
        let message = format!(
            "{} is imported and has a CRI section: before containerd 2.0 it replaces that of the main file",
            path.display()
        );
        report.warning(CHECK, message, "put its tables into the main file");
    }
    let mut ours = Vec::new();
    for handler in config.handlers().map_err(shown)? {
        let is_wrapper = handler.binary_name.as_deref().is_some_and(is_wrapper);
        let spec = handler.base_runtime_spec.as_deref().map(|path| (path, hooks_of(path)));
        let has_hook = matches!(&spec, Some((_, Ok(hooks))) if !hooks.is_empty());
        if is_wrapper || has_hook {
            look(&handler, spec.and_then(|(_, hooks)| hooks.ok()).unwrap_or_default(), report);
            ours.push(handler);
        } else if let Some((path, Err(fault))) = spec {
            let message = format!("handler {}: {} cannot be used: {fault}", handler.name, path.display());
            report.error(
                CHECK,
                message,
                format!("{CONFIGURE} --mode base-spec, or take base_runtime_spec out"),
            );
        }
    }
    Ok(ours)
}

/// Why containerd serves no NRI plugins, and the remedy; `None` where it does.
fn nri_is_off(config: &Containerd, version: Option<Version>) -> Option<nri::Off> {
    if let Ok(Some(path)) = config.nri_disabled_in() {
        let why = format!("NRI is switched off in {} (disabled_plugins)", path.display());
        return Some((why, "take io.containerd.nri.v1.nri out of disabled_plugins".to_owned()));
    }
    let why = match (config.nri_disabled().ok().flatten(), version) {
        (_, Some(version)) if version < (1, 7) => Some("containerd before 1.7 has no NRI".to_owned()),
        (Some(true), _) => Some("NRI is switched off in containerd's configuration".to_owned()),
        (None, Some((1, _))) => Some("NRI is off by default before containerd 2.0".to_owned()),
        _ => None,
    };
    why.map(|why| (why, format!("{CONFIGURE} --mode nri")))
}

/// Whether any of the files has anything to do with podhosts.
fn names_podhosts(config: &Containerd) -> bool {
    config.layers.iter().any(|layer| format!("{:?}", layer.table).contains("podhosts"))
}

/// Files that keep containerd from starting, or that it does not understand.
fn unread(config: &Containerd, version: Option<Version>, report: &mut Report) -> Result<(), String> {
    let shown = |error: crate::engines::EngineError| error.to_string();
    if let Some((path, by)) =
        containerd::imports::missing_import(&Files::new(), &config.layers).map_err(shown)?
    {
        let message = format!("{} imports {}, which is not there", by.display(), path.display());
        report.error(CHECK, message, "take it out of imports; containerd does not start with it");
    }
    let Some((major, minor)) = version else { return Ok(()) };
    let newest = config.release.newest();
    for layer in &config.layers {
        let version = containerd::section::file_version(layer).map_err(shown)?;
        if version > newest {
            let path = layer.path.display();
            let message =
                format!("{path} has version {version}, which containerd {major}.{minor} does not read");
            report.warning(CHECK, message, format!("write it as version {newest}"));
        }
    }
    Ok(())
}

/// A drop-in of ours that containerd does not read.
fn not_imported(config: &Containerd, report: &mut Report) {
    let Ok(drop_ins) = Files::new().in_dir(Path::new(DROP_INS)) else { return };
    for path in drop_ins {
        let is_read = config.layers.iter().any(|layer| layer.path == path);
        let text = Files::on_disk(&path).ok().flatten().unwrap_or_default();
        if !is_read && text.contains(NAME) {
            let message = format!("containerd does not read {}: nothing imports it", path.display());
            report.error(CHECK, message, format!("add imports = [{path:?}] to the main file"));
        }
    }
}

/// The podhosts hooks in a base specification.
fn hooks_of(spec: &Path) -> Result<Vec<PathBuf>, String> {
    let text = files::read(spec, SPEC_MAX, LastLink::Follow).map_err(|error| error.to_string())?;
    let spec: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let hooks = spec["hooks"]["createRuntime"].as_array().map(Vec::as_slice).unwrap_or_default();
    let paths = hooks.iter().filter_map(|hook| hook["path"].as_str()).map(PathBuf::from);
    Ok(paths.filter(|path| path.file_name().is_some_and(|name| name == HOOK)).collect())
}

/// One handler of ours: its programs, its shim, the annotations.
fn look(handler: &Handler, hooks: Vec<PathBuf>, report: &mut Report) {
    let name = &handler.name;
    let programs = handler.binary_name.iter().filter(|name| is_wrapper(name)).map(PathBuf::from);
    for program in programs.chain(hooks) {
        // The shim looks for a name without a slash on PATH.
        let bare = program.to_str().filter(|program| !program.contains('/'));
        let program = bare.and_then(|bare| exec::find_program(&[bare.to_owned()])).unwrap_or(program);
        if let Err(fault) = executable(&program) {
            report.error(
                CHECK,
                format!("handler {name}: {fault}"),
                format!("install podhosts there, or {CONFIGURE}"),
            );
        }
    }
    if handler.runtime_type != RUNC_V2 {
        let message =
            format!("handler {name} has runtime_type {:?}, expected {RUNC_V2:?}", handler.runtime_type);
        report.error(CHECK, message, CONFIGURE);
    }
    if !handler.passes(HOST_ALIASES) {
        let message = format!("handler {name} does not pass podhosts.io annotations on to containers");
        report.error(
            CHECK,
            message,
            format!("pod_annotations = [{ANNOTATIONS:?}] in the handler, or {CONFIGURE}"),
        );
    }
}

/// What the engine tells of its configuration.
#[derive(Debug, Deserialize)]
struct Loaded {
    containerd: LoadedRuntimes,
}

#[derive(Debug, Deserialize)]
struct LoadedRuntimes {
    runtimes: std::collections::BTreeMap<String, LoadedHandler>,
}

#[derive(Debug, Deserialize)]
struct LoadedHandler {
    #[serde(rename = "PodAnnotations", default)]
    pod_annotations: Option<Vec<String>>,
    #[serde(default)]
    options: Option<Value>,
    #[serde(rename = "baseRuntimeSpec", default)]
    base_runtime_spec: String,
}

/// Compares what the engine runs with to what the files say now.
fn loaded(status: &StatusResponse, ours: &[Handler], report: &mut Report) {
    let text = status.info.get("config").map_or("", String::as_str);
    let loaded: Loaded = match serde_json::from_str(text) {
        Ok(loaded) => loaded,
        Err(error) => {
            return report.skipped(CHECK, format!("what containerd tells of its configuration: {error}"));
        }
    };
    let differs = ours.iter().find(|handler| {
        loaded.containerd.runtimes.get(&handler.name).is_none_or(|loaded| !is_same(handler, loaded))
    });
    match differs {
        Some(handler) => {
            let message =
                format!("containerd has not loaded handler {} as its files have it now", handler.name);
            report.error(CHECK, message, "systemctl restart containerd");
        }
        None if !ours.is_empty() => report.ok(CHECK, "containerd has loaded what its files say"),
        None => {}
    }
}

fn is_same(handler: &Handler, loaded: &LoadedHandler) -> bool {
    let option =
        |key: &str| loaded.options.as_ref().and_then(|options| options[key].as_str()).unwrap_or_default();
    let spec = handler.base_runtime_spec.as_deref().unwrap_or(Path::new(""));
    handler.binary_name.as_deref().unwrap_or_default() == option("BinaryName")
        && handler.pod_annotations == loaded.pod_annotations.as_deref().unwrap_or_default()
        && Path::new(&loaded.base_runtime_spec) == spec
}

/// The engine as it is found on a node.
pub(super) fn engine() -> Installation {
    Installation::named("containerd", containerd::CONFIG, containerd::SOCKET)
}

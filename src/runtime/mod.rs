//! The wrapper: adds the hook to a pod container's bundle on `create` and `run`, then becomes the low-level runtime.

pub mod argv;
pub mod env;
pub mod inject;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde_json::json;
use thiserror::Error;

use crate::bundle::CONFIG_MAX;
use crate::hook;
use crate::inputs::{self, CONFIG_JSON, InputError, PodInputs};
use crate::node_config::{CONFIG_PATH, NodeConfig, OnError};
use crate::plan::Decision;
use crate::report::{self, Entry, ExitCode, Outcome};
use crate::sys;
use crate::sys::exec::{self, NoProgram};
use crate::sys::files::{FileError, Original};
use crate::sys::log;
use crate::validation::{go_quote, printable};

use argv::{ArgvError, Create, Invocation};
use env::EnvError;
use inject::{Changes, Hook, InjectError};

/// The program's name on stderr.
pub const PROGRAM: &str = "podhosts-runtime";
/// The hook's flag for the kubelet's file, whose mount the wrapper takes out of config.json.
pub const KUBELET_HOSTS_FLAG: &str = "--kubelet-hosts";
/// The hook's flag for a configuration that is not the bundle's config.json (crun's `--config`).
pub const CONFIG_JSON_FLAG: &str = "--config-json";
/// The hook's flag for the pod's addresses, separated by commas, as the NRI plugin was told them.
pub const NRI_POD_IPS_FLAG: &str = "--nri-pod-ips";

/// Why a container was not prepared.
#[derive(Debug, Error)]
pub enum WrapperError {
    /// The command line.
    #[error(transparent)]
    Argv(#[from] ArgvError),
    /// The configuration, the bundle, an annotation.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A variable cannot be set.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// config.json cannot be edited.
    #[error("{cause}, in bundle {bundle}")]
    Inject {
        /// The bundle.
        bundle: PathBuf,
        /// What is wrong.
        #[source]
        cause: InjectError,
    },
    /// The hook is not where it should be.
    #[error("cannot find the hook: {0} is {1}, expected podhosts-hook beside this program or runtime.hook")]
    NoHook(PathBuf, &'static str),
    /// Nothing to become.
    #[error("cannot find a low-level runtime: none of {0} is an executable file other than this one")]
    NoRuntime(String),
    /// The kernel refused.
    #[error("cannot run {0}: {1}")]
    Exec(PathBuf, #[source] std::io::Error),
    /// This program cannot tell where it is, or where its bundle is.
    #[error("cannot find {0}: {1}")]
    Where(&'static str, #[source] std::io::Error),
    /// A path that JSON cannot hold.
    #[error("cannot use path {0:?}: it is not UTF-8")]
    NotUtf8(PathBuf),
}

impl From<FileError> for WrapperError {
    fn from(error: FileError) -> Self {
        Self::Input(error.into())
    }
}

/// Runs the wrapper with the runtime's arguments, the program's name left out. Returns only on failure.
pub fn run(args: &[OsString]) -> ExitCode {
    let mut invocation = Invocation::default();
    let parsed = argv::parse(args, &mut invocation);
    match prepare_and_become(args, parsed, &invocation) {
        Ok(never) => match never {},
        Err(error) => fail(&error, &invocation),
    }
}

fn prepare_and_become(
    args: &[OsString],
    parsed: Result<(), ArgvError>,
    invocation: &Invocation,
) -> Result<std::convert::Infallible, WrapperError> {
    let config = inputs::node_config(Path::new(CONFIG_PATH));
    let node = match (parsed, &invocation.create) {
        (Err(error), _) => {
            let node = config.unwrap_or_default();
            // Of a container that may be made by this, the id comes last.
            let container = args.last().map(|word| word.to_string_lossy()).unwrap_or_default();
            as_configured(Err(error.into()), &node, &container, invocation)?;
            node
        }
        (Ok(()), Some(create)) => {
            let node = config?;
            as_configured(prepare(&node, create), &node, &create.container, invocation)?;
            node
        }
        // What runs has to be stopped and deleted, whatever has become of the configuration since.
        (Ok(()), None) => config.unwrap_or_default(),
    };
    let runtime = low_level_runtime(&node.runtime.runtimes, invocation)?;
    let error = exec::become_program(&runtime, args);
    Err(WrapperError::Exec(runtime, error))
}

/// The first of `runtimes` that is there; for a container that exists, the one that has made it.
fn low_level_runtime(runtimes: &[String], invocation: &Invocation) -> Result<PathBuf, WrapperError> {
    let ids: Vec<&OsStr> = invocation.ids().collect();
    let maker =
        if ids.is_empty() { None } else { exec::find_maker(runtimes, invocation.root.as_deref(), &ids) };
    let found = maker.or_else(|| exec::find_program(runtimes));
    found.ok_or_else(|| WrapperError::NoRuntime(runtimes.join(", ")))
}

/// Lets a container pass that was not prepared, where the node's configuration says so.
fn as_configured(
    prepared: Result<(), WrapperError>,
    node: &NodeConfig,
    container: &str,
    invocation: &Invocation,
) -> Result<(), WrapperError> {
    match (prepared, node.on_error) {
        (Err(error), OnError::Open) => {
            let message = format!("started without a seal (on-error = \"open\"): {error}");
            say(&message, "warning", invocation);
            let reason = error.to_string();
            report::write(
                report::open_log(node),
                &Entry::without_hook(Outcome::Open, container, "", &reason),
            );
            Ok(())
        }
        (result, _) => result,
    }
}

/// Puts the hook into the bundle of a container that is to be sealed, and the variables that its pod asks for; any
/// other bundle is left as it is.
fn prepare(node: &NodeConfig, create: &Create) -> Result<(), WrapperError> {
    let here =
        std::env::current_dir().map_err(|cause| WrapperError::Where("the current directory", cause))?;
    let bundle = create.bundle.as_ref().map_or_else(|| here.clone(), |bundle| here.join(bundle));
    // crun looks for another configuration in the current directory, not in the bundle.
    let config_json =
        create.config.as_ref().map_or_else(|| bundle.join(CONFIG_JSON), |config| here.join(config));
    let original = Original::read(&config_json, CONFIG_MAX)?;
    let node_name = sys::node_name();
    let inputs = PodInputs::read(&original.bytes, &bundle, &create.container, &node_name)?;
    let env = env::entries(node, &inputs, &node_name)?;
    let (mut args, mut removed) = (Vec::new(), Vec::new());
    let mut program = None;
    let mut skipped = None;
    match inputs.decide(node)? {
        Decision::Skip(skip) => skipped = Some(skip.to_string()),
        Decision::Seal { replaced_mounts, kubelet_file } => {
            program = Some(hook_path(node)?);
            args = hook_args(kubelet_file, create.config.is_some().then_some(&config_json))?;
            // Covered mounts can be uncovered by a container that may unmount. But where a container may start
            // without a seal, it needs the engine's file beneath.
            removed = if node.on_error == OnError::Closed { replaced_mounts } else { Vec::new() };
        }
    }
    let path = program.as_deref().map(utf8).transpose()?;
    let hook = path.map(|path| Hook { path, args: &args, timeout: node.runtime.hook_timeout });
    let edited = inject::inject(&original.bytes, &Changes { hook, removed_mounts: &removed, env: &env })
        .map_err(|cause| WrapperError::Inject { bundle: bundle.clone(), cause })?;
    if let Some(edited) = edited {
        original.replace(&edited)?;
    }
    if let Some(reason) = skipped {
        let pod = inputs.display_name();
        let entry = Entry::without_hook(Outcome::Skipped, &create.container, &pod, &reason);
        report::write(report::open_log(node), &entry);
    }
    Ok(())
}

fn hook_args(
    kubelet_file: Option<String>,
    config_json: Option<&PathBuf>,
) -> Result<Vec<String>, WrapperError> {
    let mut args = vec![hook::PROGRAM.to_owned()];
    if let Some(path) = kubelet_file {
        args.extend([KUBELET_HOSTS_FLAG.to_owned(), path]);
    }
    if let Some(path) = config_json {
        args.extend([CONFIG_JSON_FLAG.to_owned(), utf8(path)?.to_owned()]);
    }
    Ok(args)
}

/// The hook's program: the configured one, or the one beside this program.
///
/// # Errors
/// There is none. A missing hook would make the runtime fail with an error that names neither podhosts nor the remedy.
pub fn hook_path(node: &NodeConfig) -> Result<PathBuf, WrapperError> {
    let path = match &node.runtime.hook {
        Some(path) => PathBuf::from(path),
        None => {
            let own = exec::own_path().map_err(|cause| WrapperError::Where("this program", cause))?;
            own.with_file_name(hook::PROGRAM)
        }
    };
    match exec::program(&path) {
        Ok(_) => Ok(path),
        Err(NoProgram::NotExecutable(_)) => Err(WrapperError::NoHook(path, "not executable")),
        Err(_) => Err(WrapperError::NoHook(path, "not a file")),
    }
}

/// A path as JSON and NRI can hold it.
///
/// # Errors
/// One that is not UTF-8.
pub fn utf8(path: &Path) -> Result<&str, WrapperError> {
    path.to_str().ok_or_else(|| WrapperError::NotUtf8(path.to_owned()))
}

/// Reports on stderr and, as runc does, in the file of `--log`: engines show its last error.
fn fail(error: &WrapperError, invocation: &Invocation) -> ExitCode {
    say(&error.to_string(), "error", invocation);
    ExitCode::Failure
}

fn say(message: &str, level: &str, invocation: &Invocation) {
    if let Some(path) = &invocation.log {
        let line = log_line(&format!("{PROGRAM}: {message}"), level, invocation.log_is_json);
        // stderr has it too.
        let _ = log::append_to_file(path, &line);
    }
    report::complain(PROGRAM, message);
}

fn log_line(message: &str, level: &str, is_json: bool) -> String {
    let time = report::now();
    if is_json {
        json!({"level": level, "msg": printable(message), "time": time}).to_string()
    } else {
        format!("time=\"{time}\" level={level} msg={}", go_quote(message))
    }
}

#[cfg(test)]
mod tests {
    use super::log_line;

    #[test]
    fn log_lines_have_runcs_forms() {
        let json: serde_json::Value = serde_json::from_str(&log_line("a \"b\"\n", "error", true)).unwrap();
        assert_eq!((json["level"].as_str(), json["msg"].as_str()), (Some("error"), Some("a \"b\"\\n")));
        assert!(json["time"].as_str().unwrap().ends_with('Z'));
        assert!(log_line("a \"b\"\n", "error", false).ends_with(" level=error msg=\"a \\\"b\\\"\\n\""));
    }
}

//! The wrapper: adds the hook to a pod container's bundle on `create` and `run`, then becomes the low-level runtime.

pub mod argv;
pub mod env;
pub mod inject;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use oci_spec::runtime::Hook;
use serde_json::json;
use thiserror::Error;

use container::bundle::{CONFIG_JSON, CONFIG_MAX};
use container::container_pod::{ContainerPod, InputError};
use container::decision::{Decision, Seal};
use container::hook_log::{self, Entry, Outcome};
use container::node_config::{CONFIG_PATH, NodeConfig};
use container::programs::{self, CONFIG_JSON_FLAG, HOOK, KUBELET_HOSTS_FLAG};
use pod::validation::{go_quote, printable};
use sys::fs::files::{FileError, Original};
use sys::fs::log;
use sys::process::exec;
use sys::report::{self, ExitCode};

use argv::{ArgvError, Create, Invocation};
use env::EnvError;
use inject::{Changes, InjectError};

pub use container::programs::WRAPPER as PROGRAM;
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
    /// The hook cannot be named.
    #[error(transparent)]
    Hook(#[from] programs::HookError),
    /// Nothing to become.
    #[error("cannot find a low-level runtime: none of {0} is an executable file other than this one")]
    NoRuntime(String),
    /// The kernel refused.
    #[error("cannot run {0}: {1}")]
    Exec(PathBuf, #[source] std::io::Error),
    /// This program cannot tell where it is, or where its bundle is.
    #[error("cannot find {0}: {1}")]
    Where(&'static str, #[source] std::io::Error),
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
    let config = NodeConfig::read(Path::new(CONFIG_PATH)).map_err(InputError::from);
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
    match prepared {
        Err(error) if node.on_error.lets_start() => {
            let message = format!("started without a seal (on-error = \"open\"): {error}");
            say(&message, "warning", invocation);
            let reason = error.to_string();
            hook_log::write(
                hook_log::open(node),
                &Entry::without_hook(Outcome::Open, container, "", &reason),
            );
            Ok(())
        }
        result => result,
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
    let pod = ContainerPod::read(&original.bytes, &bundle, &create.container, &node_name)?;
    let env = env::entries(node, &pod, &node_name)?;
    let decision = pod.decide(node).map_err(InputError::from)?;
    let own_config = create.config.is_some().then_some(&*config_json);
    let hook = if let Decision::Seal(seal) = &decision { Some(hook(node, seal, own_config)?) } else { None };
    let removed_mounts = match &decision {
        Decision::Seal(seal) => seal.removed_mounts(node.on_error),
        Decision::Skip(_) => &[],
    };
    let edited = inject::inject(&original.bytes, &Changes { hook, removed_mounts, env: &env })
        .map_err(|cause| WrapperError::Inject { bundle: bundle.clone(), cause })?;
    if let Some(edited) = edited {
        original.replace(&edited)?;
    }
    if let Decision::Skip(skip) = decision {
        let (name, reason) = (pod.display_name(), skip.to_string());
        let entry = Entry::without_hook(Outcome::Skipped, &create.container, &name, &reason);
        hook_log::write(hook_log::open(node), &entry);
    }
    Ok(())
}

/// The hook that does `seal`. It gets `own_config` where it has to read another file than the bundle's config.json.
fn hook(node: &NodeConfig, seal: &Seal, own_config: Option<&Path>) -> Result<Hook, WrapperError> {
    let mut args = vec![HOOK.to_owned()];
    if let Some(path) = &seal.kubelet_file {
        args.extend([KUBELET_HOSTS_FLAG.to_owned(), path.clone()]);
    }
    if let Some(path) = own_config {
        args.extend([CONFIG_JSON_FLAG.to_owned(), programs::utf8(path)?.to_owned()]);
    }
    let path = programs::hook_path(node)?;
    Ok(inject::hook(programs::utf8(&path)?, args, node.runtime.hook_timeout))
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

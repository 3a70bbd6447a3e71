//! An engine on the node: its program, its configuration, its socket.

use std::path::{Path, PathBuf};

use super::PATIENCE;
use super::finding::Report;
use super::programs::executable;
use crate::cri::messages::StatusResponse;
use crate::cri::{Client, CriError};
use crate::engines::files::Files;
use crate::engines::hooks_dir::{self, HookFile};
use crate::sys::exec;

/// Where an engine is.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    /// Its program, where it is on PATH.
    pub(super) program: Option<PathBuf>,
    /// Its main configuration.
    pub(super) config: PathBuf,
    /// Its CRI socket.
    pub(super) socket: PathBuf,
}

impl Engine {
    pub(super) fn named(program: &str, config: &str, socket: &str) -> Self {
        let program = exec::find_program(&[program.to_owned()]);
        Self { program, config: config.into(), socket: socket.into() }
    }

    /// Whether the node has it.
    pub(super) fn is_there(&self) -> bool {
        self.program.is_some() || self.config.exists()
    }

    /// Asks the engine how it is over the CRI; `None` where it does not answer, which is reported.
    pub(super) fn ask(&self, check: &'static str, report: &mut Report) -> Option<StatusResponse> {
        let status = match Client::connect(&self.socket, PATIENCE).and_then(|client| client.status()) {
            Ok(status) => status,
            Err(error @ CriError::Connect { .. }) => {
                report.skipped(check, format!("{error}: what it has loaded was not asked"));
                return None;
            }
            Err(error) => {
                report.error(
                    check,
                    error.to_string(),
                    "see the engine's own log; its CRI may be switched off",
                );
                return None;
            }
        };
        let conditions = status.status.iter().flat_map(|status| &status.conditions);
        for condition in conditions.filter(|condition| !condition.status && is_needed(&condition.r#type)) {
            let message =
                format!("{} is not true: {} {}", condition.r#type, condition.reason, condition.message);
            report.error(
                check,
                message,
                "pods cannot start until it is: see the engine's own log and the CNI lines here",
            );
        }
        Some(status)
    }
}

/// The conditions that the kubelet waits for; others are advice.
fn is_needed(condition: &str) -> bool {
    matches!(condition, "RuntimeReady" | "NetworkReady")
}

/// Looks at the hooks directories of an engine. Whether podhosts' hook is in them.
pub(super) fn hooks(
    check: &'static str,
    dirs: Option<Vec<String>>,
    configure: &str,
    report: &mut Report,
) -> bool {
    let dirs = dirs.unwrap_or_else(|| vec![hooks_dir::DISTRIBUTION.to_owned()]);
    let paths: Vec<PathBuf> = dirs.iter().map(PathBuf::from).collect();
    let hooks = match hooks_dir::read(&Files::new(), &paths) {
        Ok(hooks) => hooks,
        Err(error) => {
            report.error(check, error.to_string(), "make the directory readable");
            return false;
        }
    };
    let mut found: Option<PathBuf> = None;
    for (path, hook) in hooks {
        let shown = path.display();
        match hook {
            Err(error) => {
                let remedy = format!("correct {shown} or take it away: no container starts with it");
                report.error(check, error.to_string(), remedy);
            }
            Ok(hook) if hook.is_ours() => {
                if let Some(other) = found.replace(path.clone()) {
                    let message =
                        format!("{} and {shown} are both podhosts': the hook runs twice", other.display());
                    report.warning(check, message, "take one of them away: that of CRI-O serves podman, too");
                }
                match works(&path, &hook) {
                    Ok(()) => report.ok(check, format!("{shown}: {}", hook.hook.path.display())),
                    Err((fault, remedy)) => report.error(check, fault, remedy),
                }
            }
            Ok(_) => {}
        }
    }
    found.is_some() || elsewhere(check, &paths, configure, report)
}

/// Whether the hook in `path` will be called; else what is wrong, and the remedy.
fn works(path: &Path, hook: &HookFile) -> Result<(), (String, String)> {
    let shown = path.display();
    let configure =
        format!("podhosts configure --runtime {}", if is_podmans(path) { "podman" } else { "crio" });
    if let Err(fault) = executable(&hook.hook.path) {
        let message = format!("{shown}: {fault}; the engine leaves the hook out without a word");
        return Err((message, format!("install podhosts-hook there, or {configure}")));
    }
    if !hook.stages.iter().any(|stage| stage == "createRuntime" || stage == "prestart") {
        return Err((format!("{shown} has stages {:?}, expected createRuntime", hook.stages), configure));
    }
    if hook.when.always != Some(true) && hook.when.annotations.is_empty() {
        let message = format!("{shown} is for no container: when has neither always nor annotations");
        return Err((message, configure));
    }
    Ok(())
}

/// Whether a hook's file is podman's: each engine's has a name of its own, also where they share a directory.
fn is_podmans(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "podhosts-annotated.json")
}

/// A hook of ours in a directory that this engine does not read. An error only where it is the engine's own: the other
/// one's says nothing about this one.
fn elsewhere(check: &'static str, dirs: &[PathBuf], configure: &str, report: &mut Report) -> bool {
    let others = [hooks_dir::DISTRIBUTION, hooks_dir::NODE].map(PathBuf::from);
    let others: Vec<PathBuf> = others.into_iter().filter(|dir| !dirs.contains(dir)).collect();
    let hooks = hooks_dir::read(&Files::new(), &others).unwrap_or_default();
    let is_ours = |hook: &HookFile| hook.is_ours();
    let Some((path, _)) = hooks.into_iter().find(|(_, hook)| hook.as_ref().is_ok_and(is_ours)) else {
        return false;
    };
    let dir = path.parent().unwrap_or(Path::new("/")).display();
    let message = format!("{} is in a directory that is not among hooks_dir", path.display());
    let remedy = format!("add {dir:?} to hooks_dir, or {configure}");
    if is_podmans(&path) == (check == super::podman::CHECK) {
        report.error(check, message, remedy);
    } else {
        report.warning(check, message, remedy);
    }
    true
}

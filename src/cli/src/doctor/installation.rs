//! An engine on the node: its program, its configuration, its socket.

use std::path::{Path, PathBuf};

use super::finding::Report;
use super::options::PATIENCE;
use super::programs::executable;
use crate::engines::engine::Engine;
use crate::engines::files::Files;
use crate::engines::hooks;
use crate::engines::hooks::{Group, HookFile, Hooks, Rules};
use cri::messages::StatusResponse;
use cri::{Client, CriError};
use sys::process::exec;

/// An engine's paths on this node.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    /// Its program, if it is on PATH.
    pub(super) program: Option<PathBuf>,
    /// Its main configuration.
    pub(super) config: PathBuf,
    /// Its CRI socket.
    pub(super) socket: PathBuf,
}

impl Installation {
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

/// Looks at the hooks in an engine's directories. Whether podhosts' hook is in them.
pub(super) fn hooks(engine: Engine, groups: &[Group], rules: Rules, report: &mut Report) -> bool {
    let check = engine.name();
    let Hooks { hooks, left_out, fatal } = hooks::read(&Files::new(), groups, rules);
    for file in &fatal {
        let remedy = format!("correct {} or take it away: no container starts with it", file.path.display());
        report.error(check, file.error.to_string(), remedy);
    }
    let mut ours = hooks;
    for file in left_out {
        match file.without_program {
            Some(hook) => ours.push((file.path, hook)),
            None => {
                let message = format!(
                    "{}; the engine leaves it out as long as the program of a hook before it is missing",
                    file.error
                );
                let remedy = format!("correct {} or take it away", file.path.display());
                report.warning(check, message, remedy);
            }
        }
    }
    ours.retain(|(_, hook)| hook.is_ours());
    let mut found: Option<PathBuf> = None;
    for (path, hook) in ours {
        let shown = path.display();
        if let Some(other) = found.replace(path.clone()) {
            let message = format!("{} and {shown} are both podhosts': the hook runs twice", other.display());
            report.warning(check, message, "take one of them away: that of CRI-O serves podman, too");
        }
        match works(&path, &hook) {
            Ok(()) => report.ok(check, format!("{shown}: {}", hook.path.display())),
            Err((fault, remedy)) => report.error(check, fault, remedy),
        }
    }
    // Where one file stops all, the others were not looked at.
    found.is_some() || !fatal.is_empty() || elsewhere(engine, &groups.concat(), rules, report)
}

/// Checks that the hook in `path` will be called; else a fault and its remedy.
fn works(path: &Path, hook: &HookFile) -> Result<(), (String, String)> {
    let shown = path.display();
    let configure =
        format!("podhosts configure --runtime {}", if is_podmans(path) { "podman" } else { "crio" });
    if let Err(fault) = executable(&hook.path) {
        let message = format!("{shown}: {fault}; the engine leaves the hook out without a word");
        return Err((message, format!("install podhosts-hook there, or {configure}")));
    }
    let stages = hook.stages.as_deref().unwrap_or_default();
    if !stages.iter().any(|stage| stage == "createRuntime" || stage == "prestart") {
        return Err((format!("{shown} has stages {stages:?}, expected createRuntime"), configure));
    }
    if hook.when.is_never() {
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
fn elsewhere(engine: Engine, dirs: &[PathBuf], rules: Rules, report: &mut Report) -> bool {
    let check = engine.name();
    let others = [hooks::plan::own_dir(engine), hooks::DISTRIBUTION.into(), hooks::NODE.into()];
    let others: Vec<Group> =
        others.into_iter().filter(|dir| !dirs.contains(dir)).map(|dir| vec![dir]).collect();
    let read = hooks::read(&Files::new(), &others, rules);
    let Some((path, _)) = read.hooks.into_iter().find(|(_, hook)| hook.is_ours()) else { return false };
    let dir = path.parent().unwrap_or(Path::new("/")).display();
    let message = format!("{} is in a directory that is not among hooks_dir", path.display());
    let remedy = format!("add {dir:?} to hooks_dir, or podhosts configure --runtime {check}");
    if is_podmans(&path) == (engine == Engine::Podman) {
        report.error(check, message, remedy);
    } else {
        report.warning(check, message, remedy);
    }
    true
}

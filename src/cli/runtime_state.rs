//! What runc and crun keep of a container: its process and its bundle.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::sys::files::{LastLink, read};

/// Largest state file that is read, in bytes; runc's holds the whole configuration.
const STATE_MAX: usize = 16 << 20;
/// Where runtimes keep their states unless they are told otherwise.
const DEFAULT_ROOTS: [&str; 4] =
    ["/run/runc", "/run/crun", "/run/containerd/runc/k8s.io", "/run/containerd/runc/default"];

/// A container as its runtime knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RuntimeState {
    pub(super) id: String,
    pub(super) pid: i32,
    pub(super) bundle: PathBuf,
}

/// runc's `<root>/<id>/state.json`.
#[derive(Deserialize)]
struct Runc {
    init_process_pid: i32,
    config: RuncConfig,
}

#[derive(Deserialize)]
struct RuncConfig {
    labels: Vec<String>,
}

/// crun's `<root>/<id>/status`.
#[derive(Deserialize)]
struct Crun {
    pid: i32,
    bundle: PathBuf,
}

/// The directories to look in.
pub(super) fn roots(given: Option<&Path>) -> Vec<PathBuf> {
    given.map_or_else(|| DEFAULT_ROOTS.map(PathBuf::from).to_vec(), |root| vec![root.to_owned()])
}

/// The container called `id`.
pub(super) fn by_id(roots: &[PathBuf], id: &str) -> Option<RuntimeState> {
    // An id is one component of a path, or it is none.
    if id.is_empty() || id.contains('/') || id.starts_with('.') {
        return None;
    }
    roots.iter().find_map(|root| read_state(&root.join(id), id))
}

/// The first container that `matches`.
pub(super) fn find(roots: &[PathBuf], matches: impl Fn(&RuntimeState) -> bool) -> Option<RuntimeState> {
    let entries = roots.iter().filter_map(|root| root.read_dir().ok()).flatten().flatten();
    entries
        .filter_map(|entry| read_state(&entry.path(), entry.file_name().to_str()?))
        .find(|state| matches(state))
}

fn read_state(dir: &Path, id: &str) -> Option<RuntimeState> {
    runc(dir, id).or_else(|| crun(dir, id))
}

fn runc(dir: &Path, id: &str) -> Option<RuntimeState> {
    let json = read(&dir.join("state.json"), STATE_MAX, LastLink::Refuse).ok()?;
    let state: Runc = serde_json::from_slice(&json).ok()?;
    let bundle = state.config.labels.iter().find_map(|label| label.strip_prefix("bundle="))?;
    Some(RuntimeState { id: id.to_owned(), pid: state.init_process_pid, bundle: bundle.into() })
}

fn crun(dir: &Path, id: &str) -> Option<RuntimeState> {
    let json = read(&dir.join("status"), STATE_MAX, LastLink::Refuse).ok()?;
    let Crun { pid, bundle } = serde_json::from_slice(&json).ok()?;
    Some(RuntimeState { id: id.to_owned(), pid, bundle })
}

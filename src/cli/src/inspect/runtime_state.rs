//! The state files of runc and crun: a container's process and bundle.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use sys::fs::files::{LastLink, read};

/// Largest state file that is read, in bytes; runc's holds the whole configuration.
const STATE_MAX: usize = 16 << 20;
/// Where runtimes keep their states unless they are told otherwise.
const DEFAULT_ROOTS: [&str; 4] =
    ["/run/runc", "/run/crun", "/run/containerd/runc/k8s.io", "/run/containerd/runc/default"];

/// A container as its runtime knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuntimeState {
    pub(crate) id: String,
    /// Its process, if that still runs.
    pub(crate) pid: Option<i32>,
    pub(crate) bundle: PathBuf,
}

/// runc's `<root>/<id>/state.json`.
#[derive(Deserialize)]
struct Runc {
    init_process_pid: i32,
    init_process_start: u64,
    config: RuncConfig,
}

#[derive(Deserialize)]
struct RuncConfig {
    labels: Vec<String>,
}

/// crun's `<root>/<id>/status`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Crun {
    pid: i32,
    process_start_time: u64,
    bundle: PathBuf,
}

/// The directories to look in.
pub(crate) fn roots(given: Option<&Path>) -> Vec<PathBuf> {
    given.map_or_else(|| DEFAULT_ROOTS.map(PathBuf::from).to_vec(), |root| vec![root.to_owned()])
}

/// The container called `id`.
pub(crate) fn by_id(roots: &[PathBuf], id: &str) -> Option<RuntimeState> {
    // An id is one component of a path, or it is none.
    if id.is_empty() || id.contains('/') || id.starts_with('.') {
        return None;
    }
    roots.iter().find_map(|root| read_state(&root.join(id), id))
}

/// The first container that `matches`.
pub(crate) fn find(roots: &[PathBuf], matches: impl Fn(&RuntimeState) -> bool) -> Option<RuntimeState> {
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
    let pid = if_running(state.init_process_pid, state.init_process_start);
    Some(RuntimeState { id: id.to_owned(), pid, bundle: bundle.into() })
}

fn crun(dir: &Path, id: &str) -> Option<RuntimeState> {
    let json = read(&dir.join("status"), STATE_MAX, LastLink::Refuse).ok()?;
    let Crun { pid, process_start_time, bundle } = serde_json::from_slice(&json).ok()?;
    Some(RuntimeState { id: id.to_owned(), pid: if_running(pid, process_start_time), bundle })
}

/// `pid`, unless it is gone or another process' by now: a process is known by its start, in clock ticks since boot.
fn if_running(pid: i32, start: u64) -> Option<i32> {
    let stat = read(Path::new(&format!("/proc/{pid}/stat")), 4096, LastLink::Refuse).ok()?;
    let stat = String::from_utf8_lossy(&stat).into_owned();
    // The name in the second field may hold anything, brackets too; the start is the 22nd.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    // A zombie has no file system to look at.
    let has_ended = matches!(fields.next()?, "Z" | "X");
    let started: u64 = fields.nth(18)?.parse().ok()?;
    (started == start && !has_ended).then_some(pid)
}

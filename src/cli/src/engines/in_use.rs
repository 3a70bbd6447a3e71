//! Containers that cannot be stopped, or pods that cannot be deleted, without podhosts' programs: engines run the
//! wrapper for kill and delete, and the CNI plugin for DEL, as they did for create, also after a new configuration.

use std::path::{Path, PathBuf};

use crate::engines::containerd;
use crate::engines::files::Files;
use crate::engines::layers::Layer;
use crate::engines::names::{PLUGIN, WRAPPER};
use records::record::{self, RECORD_DIR};
use sys::fs::files::{LastLink, read};
use sys::process::exec;

/// Where containerd keeps what runs, and where it does so in k3s.
const STATES: [&str; 2] = ["/run/containerd", "/run/k3s/containerd"];

/// containerd's shims with their bundles, below that.
const TASKS: &str = "io.containerd.runtime.v2.task";

/// Largest file of containerd's or of /proc that is read, in bytes.
const FILE_MAX: usize = 1 << 20;

/// A container or pod that still needs a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// The id of a container, or of a pod's sandbox.
    pub id: String,
    /// The engine, or `pod network`.
    pub engine: &'static str,
    /// The program.
    pub program: &'static str,
}

/// What needs the programs of this one's directory.
///
/// # Errors
/// A message where the kernel does not tell that directory.
pub(crate) fn here() -> Result<Vec<User>, String> {
    let own = exec::own_path().map_err(|cause| format!("cannot find podhosts: {cause}"))?;
    Ok(own.parent().map(users).unwrap_or_default())
}

/// A note for unconfigure: containers that still need the programs.
pub(crate) fn note() -> Option<String> {
    let users = here().unwrap_or_default();
    let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
    (!ids.is_empty()).then(|| {
        format!(
            "{} cannot be stopped or deleted without podhosts' programs: restart the engine and drain the node before \
             they are removed",
            ids.join(", ")
        )
    })
}

/// The sandboxes of pods that podhosts-cni has connected, if there are any.
pub(crate) fn connected() -> Option<String> {
    let users = here().unwrap_or_default().into_iter().filter(|user| user.program == PLUGIN);
    let ids: Vec<String> = users.map(|user| user.id).collect();
    (!ids.is_empty()).then(|| ids.join(", "))
}

/// All that needs the programs in `bin_dir`, or a plugin that left records.
pub(crate) fn users(bin_dir: &Path) -> Vec<User> {
    let wrapper = bin_dir.join(WRAPPER);
    let mut users = Vec::new();
    for state in states() {
        of_containerd(&state.join(TASKS), &wrapper, &mut users);
    }
    of_conmon(Path::new("/proc"), &wrapper, &mut users);
    for name in names(Path::new(RECORD_DIR)) {
        if let Some(id) = record::id_of(&name) {
            users.push(User { id: id.to_owned(), engine: "pod network", program: PLUGIN });
        }
    }
    users
}

/// The state directories, that of the configuration too.
fn states() -> Vec<PathBuf> {
    let mut states = STATES.map(PathBuf::from).to_vec();
    let config = Layer::read(&Files::new(), Path::new(containerd::CONFIG)).ok().flatten();
    if let Some(Ok(Some(state))) = config.as_ref().map(|config| config.string(&["state"]))
        && !states.iter().any(|known| known == Path::new(state))
    {
        states.push(state.into());
    }
    states
}

/// The shim keeps its options' `BinaryName` in the bundle, `<namespace>/<id>`, in a file `runtime`.
fn of_containerd(tasks: &Path, wrapper: &Path, users: &mut Vec<User>) {
    for namespace in names(tasks) {
        for id in names(&tasks.join(&namespace)) {
            let path = tasks.join(&namespace).join(&id).join("runtime");
            if read(&path, FILE_MAX, LastLink::Refuse).is_ok_and(|name| is_wrapper(&name, wrapper)) {
                users.push(User { id, engine: "containerd", program: WRAPPER });
            }
        }
    }
}

/// podman and CRI-O have a conmon for each container, which is told the runtime.
fn of_conmon(proc: &Path, wrapper: &Path, users: &mut Vec<User>) {
    for process in names(proc).into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
        let Ok(line) = read(&proc.join(process).join("cmdline"), FILE_MAX, LastLink::Refuse) else {
            continue;
        };
        if let Some(id) = of_command_line(&line, wrapper) {
            users.push(User { id, engine: "conmon", program: WRAPPER });
        }
    }
}

/// The container of a conmon that runs the wrapper.
fn of_command_line(line: &[u8], wrapper: &Path) -> Option<String> {
    let words: Vec<&[u8]> = line.split(|&byte| byte == 0).collect();
    if Path::new(std::str::from_utf8(words.first()?).ok()?).file_name()? != "conmon" {
        return None;
    }
    let after = |short: &[u8], long: &[u8]| {
        let at = words.iter().position(|word| *word == short || *word == long)?;
        words.get(at + 1).copied()
    };
    let runs_wrapper = after(b"-r", b"--runtime").is_some_and(|runtime| is_wrapper(runtime, wrapper));
    let id = after(b"-c", b"--cid").unwrap_or_default();
    runs_wrapper.then(|| String::from_utf8_lossy(id).into_owned())
}

/// Whether a runtime is the wrapper, which may be named without a path, or by a link.
fn is_wrapper(name: &[u8], wrapper: &Path) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let path = Path::new(name.trim());
    if !crate::engines::names::is_wrapper(name.trim()) {
        return false;
    }
    let is_same = || matches!((path.canonicalize(), wrapper.canonicalize()), (Ok(a), Ok(b)) if a == b);
    path == wrapper || !name.contains('/') || is_same()
}

/// The names in a directory; none if it cannot be read.
fn names(dir: &Path) -> Vec<String> {
    let entries = dir.read_dir().into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conmons_that_run_the_wrapper_are_known_by_their_command_line() {
        let wrapper = Path::new("/opt/p/podhosts-runtime");
        let id = |line: &str| of_command_line(line.replace(' ', "\0").as_bytes(), wrapper);
        for runtime in
            ["-r /opt/p/podhosts-runtime", "--runtime /opt/p/podhosts-runtime", "-r podhosts-runtime"]
        {
            assert_eq!(
                id(&format!("/usr/bin/conmon --api-version 1 -c x1 -u x1 {runtime} -b /b")).unwrap(),
                "x1"
            );
        }
        assert_eq!(id("conmon -s --cid x2 -r /opt/p/podhosts-runtime").unwrap(), "x2");
        for other in [
            "conmon -c x -r /usr/bin/runc",
            "conmon -c x -r /elsewhere/podhosts-runtime",
            "conmon -c x -r",
            "sh -c x -r /opt/p/podhosts-runtime",
            "",
        ] {
            assert_eq!(id(other), None, "{other}");
        }
    }
}

//! Becoming the low-level runtime.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

/// Where a runtime is looked for when the engine passes no PATH.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a file is no program.
#[derive(Debug, Error)]
pub enum NoProgram {
    /// It cannot be found.
    #[error("cannot find {0}: {1}")]
    Missing(PathBuf, #[source] io::Error),
    /// It is a directory, or something odder.
    #[error("{0} is not a file")]
    NoFile(PathBuf),
    /// Nobody may execute it.
    #[error("{0} is not executable")]
    NotExecutable(PathBuf),
}

/// The file at `path`, which can be executed.
///
/// # Errors
/// [`NoProgram`] saying why it cannot.
pub fn program(path: &Path) -> Result<Metadata, NoProgram> {
    match path.metadata() {
        Err(cause) => Err(NoProgram::Missing(path.to_owned(), cause)),
        Ok(file) if !file.is_file() => Err(NoProgram::NoFile(path.to_owned())),
        Ok(file) if file.permissions().mode() & 0o111 == 0 => Err(NoProgram::NotExecutable(path.to_owned())),
        Ok(file) => Ok(file),
    }
}

/// This program's own file.
///
/// # Errors
/// Where /proc does not tell.
pub fn own_path() -> io::Result<PathBuf> {
    env::current_exe()
}

/// The first of `names` that is a program other than this one. Names without a slash are looked for on PATH.
pub fn find_program(names: &[String]) -> Option<PathBuf> {
    programs(names).next()
}

/// The low-level runtime that has a container: of `runtimes`, the first that keeps a state below `root` (its own
/// default where that is not given) for one of `ids`. `None` where none does.
pub fn find_maker(runtimes: &[String], root: Option<&Path>, ids: &[&OsStr]) -> Option<PathBuf> {
    programs(runtimes).find(|program| {
        let is_crun = program.file_name().is_some_and(|name| name.to_string_lossy().contains("crun"));
        let (default, state) = if is_crun { ("/run/crun", "status") } else { ("/run/runc", "state.json") };
        let root = root.unwrap_or(Path::new(default));
        ids.iter().any(|id| root.join(id).join(state).is_file())
    })
}

/// The programs of these names, each where it is found first.
fn programs(names: &[String]) -> impl Iterator<Item = PathBuf> {
    let own = fs::metadata("/proc/self/exe").ok().map(|own| (own.dev(), own.ino()));
    #[allow(clippy::disallowed_methods, reason = "the engine's PATH decides which runc it means")]
    let path = env::var_os("PATH").filter(|path| !path.is_empty()).unwrap_or(DEFAULT_PATH.into());
    let is_other =
        move |candidate: &PathBuf| program(candidate).is_ok_and(|file| Some((file.dev(), file.ino())) != own);
    names.iter().filter_map(move |name| candidates(name, &path).into_iter().find(&is_other))
}

fn candidates(runtime: &str, path: &OsStr) -> Vec<PathBuf> {
    if runtime.contains('/') {
        return vec![PathBuf::from(runtime)];
    }
    // An empty or relative entry of PATH would make the current directory, a bundle, choose the program.
    env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(runtime)).collect()
}

/// Becomes `program` with `args`, the environment and all descriptors that the engine passed. Returns only where
/// that fails.
pub fn become_program(program: &Path, args: &[OsString]) -> io::Error {
    #[allow(clippy::disallowed_methods, reason = "the one program that podhosts runs")]
    let mut command = Command::new(program);
    command.args(args).exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_found_on_path_but_never_in_the_bundle() {
        assert_eq!(candidates("/opt/runc", "/bin".as_ref()), [PathBuf::from("/opt/runc")]);
        let dirs = OsStr::new("/a::.:bin:/b");
        assert_eq!(candidates("runc", dirs), [PathBuf::from("/a/runc"), PathBuf::from("/b/runc")]);
    }

    #[test]
    fn never_itself_and_never_what_is_not_executable() {
        let own = own_path().unwrap().to_str().unwrap().to_owned();
        let first = |list: &[&str]| find_program(&list.iter().map(|&r| r.to_owned()).collect::<Vec<_>>());
        assert_eq!(first(&[&own, "/etc/passwd", "/", "/nowhere"]), None);
        assert_eq!(first(&[&own, "/bin/true"]), Some("/bin/true".into()));
    }

    #[test]
    fn who_made_a_container_is_known_by_its_state() {
        let dir = tempfile::tempdir().unwrap();
        let mut runtimes = Vec::new();
        for name in ["runc", "crun"] {
            let path = dir.path().join(name);
            fs::copy("/bin/true", &path).unwrap();
            runtimes.push(path.display().to_string());
        }
        for (id, state) in [("a", "state.json"), ("b", "status")] {
            fs::create_dir(dir.path().join(id)).unwrap();
            crate::fs::state_dir::replace(&dir.path().join(id).join(state), b"{}").unwrap();
        }
        let maker = |words: &[&str]| {
            let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
            find_maker(&runtimes, Some(dir.path()), &words)
                .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        };
        assert_eq!(maker(&["a", "KILL"]).as_deref(), Some("runc"));
        assert_eq!(maker(&["b"]).as_deref(), Some("crun"));
        assert_eq!(maker(&["c", "KILL"]), None);
        assert_eq!(find_maker(&runtimes, None, &["a".as_ref()]), None);
    }
}

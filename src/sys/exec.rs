//! Becoming the low-level runtime.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a runtime is looked for when the engine passes no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// This program's own file.
///
/// # Errors
/// Where /proc does not tell.
pub fn own_path() -> io::Result<PathBuf> {
    env::current_exe()
}

/// The first of `runtimes` that is an executable file other than this program. Names are looked for on PATH.
pub fn find_runtime(runtimes: &[String]) -> Option<PathBuf> {
    let own = fs::metadata("/proc/self/exe").ok().map(|own| (own.dev(), own.ino()));
    #[allow(clippy::disallowed_methods, reason = "the engine's PATH decides which runc it means")]
    let path = env::var_os("PATH").filter(|path| !path.is_empty()).unwrap_or(DEFAULT_PATH.into());
    let usable = |candidate: &PathBuf| {
        fs::metadata(candidate).is_ok_and(|file| {
            file.is_file() && file.permissions().mode() & 0o111 != 0 && Some((file.dev(), file.ino())) != own
        })
    };
    runtimes.iter().find_map(|runtime| candidates(runtime, &path).into_iter().find(usable))
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
        let first = |list: &[&str]| find_runtime(&list.iter().map(|&r| r.to_owned()).collect::<Vec<_>>());
        assert_eq!(first(&[&own, "/etc/passwd", "/", "/nowhere"]), None);
        assert_eq!(first(&[&own, "/bin/true"]), Some("/bin/true".into()));
    }
}

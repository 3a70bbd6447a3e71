//! CRI-O's program, where the machine has one: `make test` cannot install it, for it is in no Debian.

use std::fs;
use std::path::PathBuf;

use super::etc::Etc;
use super::{Run, skip, which};

/// The CRI-O of the environment, or the one on PATH. Without one a test is skipped.
pub(crate) fn program() -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods)]
    if let Some(given) = std::env::var_os("CRIO") {
        return Some(given.into());
    }
    let found = which("crio");
    if found.is_none() {
        skip("no crio is on PATH, CRIO names none, and Debian has no package of it");
    }
    found
}

/// What CRI-O makes of a node's files, with a variable in its environment; else its last word.
pub(crate) fn config(node: &Etc, program: &str, variable: &str) -> Result<toml::Table, String> {
    // A main file that is named has to be there.
    let script = "c=/etc/crio/crio.conf; [ -e $c ] || c=/dev/null\n\
        exec env $2 \"$1\" --log '' --config $c --config-dir /etc/crio/crio.conf.d config";
    let args = ["-c", script, "sh", program, variable];
    let run: Run = node.command("/bin/sh".as_ref(), &args).output().unwrap().into();
    if !run.ok {
        return Err(run.stderr);
    }
    run.stdout.parse().map_err(|error: toml::de::Error| format!("no TOML: {error}"))
}

/// Makes a CRI-O the one of a node.
pub(crate) fn install(node: &mut Etc, program: &std::path::Path) {
    let dir = fs::canonicalize(program).unwrap();
    node.path = format!("{}:{}", dir.parent().unwrap().display(), node.path);
}

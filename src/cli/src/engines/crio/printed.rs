//! What CRI-O makes of its files, in its own word: `crio config` reads them as the daemon does, and prints what differs from
//! its defaults. It starts and writes nothing for that.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::reader::{Crio, Handler};
use crate::engines::error::EngineError;
use crate::engines::files::Files;
use crate::engines::layers::Layer;
use crate::engines::podman::printed::said;
use sys::fs::files::FileError;
use sys::fs::state_dir;
use sys::process::programs;

/// How long CRI-O may take to print its configuration.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a shell, and the dynamic linker, say that a program cannot be started.
const NOT_STARTED: i32 = 127;

/// What the program printed.
#[derive(Debug, Clone)]
pub struct Printed {
    /// The same as if one file said it.
    pub crio: Crio,
}

impl Printed {
    /// Asks `program` about `files`, of which it gets a copy: planned files are on no disk yet. Nothing where it cannot be
    /// asked, or prints what is no TOML: it writes some strings as they are, with quotes in them.
    ///
    /// # Errors
    /// CRI-O's last words, where it does not read the files.
    pub fn of(program: &Path, files: &Files, main: &Path, drop_ins: &Path) -> Result<Option<Self>, String> {
        let copy =
            Copy::of(files, main, drop_ins).map_err(|error| format!("cannot copy them for it: {error}"))?;
        let at = |name: &str| copy.0.path().join(name).display().to_string();
        // A log of its own would be written to.
        let args = [
            "--log",
            "",
            "--log-format",
            "text",
            "--config",
            &at(MAIN),
            "--config-dir",
            &at(DROP_INS),
            "config",
        ];
        let Ok(run) = programs::run(program, &args, &[], b"", PATIENCE) else { return Ok(None) };
        if run.status.code() == Some(NOT_STARTED) {
            return Ok(None);
        }
        if !run.status.success() {
            let last = said(&run.last_error_line());
            let shown = last.replace(&at(DROP_INS), &drop_ins.display().to_string());
            return Err(shown.replace(&at(MAIN), &main.display().to_string()));
        }
        let Ok(table) = String::from_utf8_lossy(&run.stdout).parse() else { return Ok(None) };
        let layer = Layer { path: format!("{} config", program.display()).into(), table };
        Ok(Some(Self { crio: Crio { layers: vec![layer] } }))
    }

    /// Whether CRI-O has this handler of its files. It prints names with a dot as if they were two.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming the key.
    pub fn has(&self, handler: &Handler) -> Result<bool, EngineError> {
        Ok(handler.name.contains('.') || self.crio.handlers()?.contains(handler))
    }
}

/// The names in a copy.
const MAIN: &str = "crio.conf";
const DROP_INS: &str = "crio.conf.d";

/// A copy of CRI-O's files. It goes with the value.
struct Copy(tempfile::TempDir);

impl Copy {
    fn of(files: &Files, main: &Path, drop_ins: &Path) -> Result<Self, EngineError> {
        let failed = |cause: io::Error| FileError::Io { verb: "make", path: std::env::temp_dir(), cause };
        let dir = tempfile::Builder::new().prefix("podhosts-crio.").tempdir().map_err(failed)?;
        // CRI-O does without the main file only where it was not named.
        state_dir::replace(&dir.path().join(MAIN), files.read(main)?.unwrap_or_default().as_bytes())?;
        for path in files.below(drop_ins)? {
            let to = dir.path().join(DROP_INS).join(path.strip_prefix(drop_ins).unwrap_or(&path));
            to.parent().map_or(Ok(()), state_dir::create)?;
            state_dir::replace(&to, files.read(&path)?.unwrap_or_default().as_bytes())?;
        }
        Ok(Self(dir))
    }
}

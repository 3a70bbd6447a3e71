//! The low-level runtimes that engines' files name, and those that the wrapper would find.

use std::path::{Path, PathBuf};

use super::programs::executable;
use super::{containerd, crio, podman};
use crate::engines::names::is_wrapper;
use container::node_config::NodeConfig;
use sys::process::exec;

/// The programs that engines' handlers run.
pub(super) struct Runtimes(Vec<String>);

impl Runtimes {
    pub(super) fn of_engines() -> Self {
        let crio = crio::runtimes(&crio::engine());
        let containerd = containerd::runtimes(&containerd::engine());
        Self([crio, containerd, podman::runtimes(&podman::engine())].concat())
    }

    /// Whether an engine runs the wrapper, and so a low-level runtime on PATH. Nothing else does.
    pub(super) fn run_wrapper(&self) -> bool {
        self.0.iter().any(|program| is_wrapper(program))
    }

    /// Where the wrapper finds a runtime. If none is on PATH and no engine runs the wrapper, that is the directory of an
    /// engine's own: CRI-O's packages have theirs where only CRI-O looks.
    pub(super) fn find(&self, config: &NodeConfig) -> Option<Found> {
        let names = &config.runtime.runtimes;
        if exec::find_program(names).is_some() {
            return Some(Found::OnPath);
        }
        if self.run_wrapper() {
            return None;
        }
        let is_named = |program: &&Path| {
            let name = program.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| names.iter().any(|known| known == name)) && executable(program).is_ok()
        };
        let program = self.0.iter().map(Path::new).find(is_named)?;
        program.parent().map(|dir| Found::In(dir.to_owned()))
    }
}

/// Where a low-level runtime is.
pub(super) enum Found {
    /// On the PATH of this process.
    OnPath,
    /// In a directory that only an engine's files name.
    In(PathBuf),
}

impl Found {
    /// The PATH that the wrapper needs, if it is not that of this process.
    pub(super) fn path(&self) -> Option<String> {
        match self {
            Self::OnPath => None,
            Self::In(dir) => Some(format!("{}:{}", exec::DEFAULT_PATH, dir.display())),
        }
    }
}

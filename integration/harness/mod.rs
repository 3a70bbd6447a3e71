//! What every test needs: a node of its own, bundles, runtimes.

pub(crate) mod api_client;
mod bundle;
pub(crate) mod cni;
pub(crate) mod containerd;
mod crictl;
pub(crate) mod crio;
pub(crate) mod crio_node;
pub(crate) mod etc;
pub(crate) mod image;
pub(crate) mod kill;
mod netns;
pub(crate) mod nft;
mod node;
pub(crate) mod nri;
pub(crate) mod outside;
pub(crate) mod page;
pub(crate) mod podman;
pub(crate) mod serve;
mod snapshot;
pub(crate) mod subject;
pub(crate) mod talk;

pub(crate) use bundle::{Bundle, DEFAULT_CAPABILITIES, busybox_root};
pub(crate) use netns::{Netns, in_new_netns};
pub(crate) use node::{Node, Run};
pub(crate) use snapshot::Snapshot;

use std::io::Write;
use std::path::{Path, PathBuf};

/// A low-level runtime that tests run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// This machine's runc.
    Runc,
    /// This machine's crun.
    Crun,
    /// The newest runc, with everything else in /usr from where it is.
    NewRunc,
    /// The newest crun, likewise.
    NewCrun,
}

/// Those that are tested: this machine's, and the newest where they are there.
pub(crate) fn runtimes() -> Vec<Runtime> {
    let mut runtimes = vec![Runtime::Runc, Runtime::Crun];
    if newer_engines().is_some() {
        runtimes.extend([Runtime::NewRunc, Runtime::NewCrun]);
    }
    runtimes
}

impl Runtime {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Runc | Self::NewRunc => "runc",
            Self::Crun | Self::NewCrun => "crun",
        }
    }

    /// The /usr it runs with, where it is not the machine's.
    fn usr(self) -> Option<PathBuf> {
        match self {
            Self::Runc | Self::Crun => None,
            Self::NewRunc | Self::NewCrun => newer_engines().map(|dir| dir.join("usr")),
        }
    }
}

/// What a test cannot do without.
pub(crate) fn has_all(programs: &[&str]) -> bool {
    let missing = if rustix::process::geteuid().is_root() {
        programs
            .iter()
            .find(|program| which(program).is_none())
            .map(|program| format!("{program} is not on PATH"))
    } else {
        Some("not root".to_owned())
    };
    is_complete(missing)
}

/// Whether nothing is missing; says what is, or fails, where no test may be skipped.
pub(crate) fn is_complete(missing: Option<String>) -> bool {
    let Some(missing) = missing else { return true };
    #[allow(clippy::disallowed_methods)]
    let all = std::env::var_os("PODHOSTS_TEST_ALL").is_some_and(|value| value == "1");
    assert!(!all, "this test may not be skipped here, but {missing}");
    skip(&missing);
    false
}

/// Says why a test, or a part of one, is skipped. On its own it is for what `make test` cannot install: PODHOSTS_TEST_ALL
/// does not ask for that.
pub(crate) fn skip(reason: &str) {
    // Not by print!, which a passing test keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIP: {reason}");
}

/// Where `integration/engines.sh` puts the newest engines and the old kubectl.
pub(crate) fn engines_dir() -> PathBuf {
    #[allow(clippy::disallowed_methods)]
    let given = std::env::var_os("PODHOSTS_ENGINES_DIR").map(PathBuf::from);
    given.unwrap_or_else(|| repository().join("target/engines"))
}

/// The root folder with the newest engines. Without it a test, or a part of one, is skipped.
pub(crate) fn newer_engines() -> Option<PathBuf> {
    let dir = engines_dir().join("sid");
    // It is written last: without it the folder is one that was interrupted.
    let is_made = dir.join("complete").exists();
    let missing = (!is_made).then(|| format!("{} is missing: run make engines", dir.display()));
    is_complete(missing).then_some(dir)
}

/// Leaves a test, saying why, where something it needs is missing.
macro_rules! needs {
    ($($program:literal),*) => {
        if !$crate::harness::has_all(&[$($program),*]) {
            return;
        }
    };
}
pub(crate) use needs;

/// Whether this kernel is older than a release of Linux.
pub(crate) fn is_before(major: u32, minor: u32) -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) < (Some(major), Some(minor))
}

pub(crate) fn which(program: &str) -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods)]
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// A program of ours: the release one of `make test`, or cargo's own.
pub(crate) fn bin(name: &str) -> PathBuf {
    #[allow(clippy::disallowed_methods)]
    if let Some(dir) = std::env::var_os("PODHOSTS_BIN_DIR") {
        return Path::new(&dir).join(name);
    }
    beside_tests(name)
}

/// A program that cargo built in the profile of the tests, whose own program is in `deps/` there.
pub(crate) fn beside_tests(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let built = own.parent().unwrap().with_file_name(name);
    assert!(built.is_file(), "{} is missing: run cargo build --workspace first", built.display());
    built
}

/// The repository, in which the tests are a folder.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The file of a pod `name` with these addresses and, behind them, `tail`.
pub(crate) fn managed(lines: &str) -> String {
    format!(
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n{lines}"
    )
}

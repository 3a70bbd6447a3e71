//! The container's root file system, in which paths are found without ever leaving it.
//!
//! The image decides what is there, so nothing is taken on trust: paths are resolved inside the root only, `/etc`
//! once, its last component never followed, and everything after works on descriptors.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstat, fstatfs, openat, openat2};
use rustix::io::Errno;
use rustix::thread::sched_yield;
use thiserror::Error;

use crate::container::mount::stop_propagation;

const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
pub(super) const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// Most directories between a root file system and the mount that it is in: more do not fit into a path.
const DEPTH_MAX: usize = 2048;
/// How often a path is resolved again after the kernel gave up because of a rename or a mount elsewhere.
const OPEN_TRIES: u32 = 1000;

/// A root file system in which /etc/hosts cannot be sealed.
#[derive(Debug, Error)]
pub enum RootFsError {
    /// The kernel refused.
    #[error("cannot {verb} {path}: {cause}")]
    Kernel {
        /// The action that failed.
        verb: &'static str,
        /// Its object; a path below /etc is one in the container.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// `/etc` of the image leads to /proc or /sys.
    #[error("cannot seal /etc/hosts: /etc leads to a proc or sysfs file system")]
    Pseudo,
    /// A directory.
    #[error("cannot seal /etc/hosts: it is a directory in the container's root file system")]
    Directory,
    /// The mount point is missing and cannot be made.
    #[error(
        "cannot seal /etc/hosts: it is missing and the root file system is read-only, expected an (empty) file there"
    )]
    ReadOnly,
    /// A program that has the volume elsewhere could take the seal away by unlinking its mount point.
    #[error(
        "cannot seal /etc/hosts: /etc is in a volume, expected it in the container's root file system (etc-volume = \"skip\" leaves the container alone)"
    )]
    Volume,
    /// Mounts without end.
    #[error("cannot seal /etc/hosts: more than {0} mounts are on top of each other there")]
    TooManyMounts(usize),
    /// The engine's file is mounted, but elsewhere.
    #[error("cannot seal /etc/hosts: {found} of the engine's mounts are there, expected {expected}")]
    EngineMounts {
        /// How many there are.
        found: usize,
        /// How many config.json has.
        expected: usize,
    },
    /// A mount namespace without the container's mounts.
    #[error(
        "cannot use {0}: its /proc is not mounted, expected the mount namespace of a container in creation"
    )]
    NotPrepared(PathBuf),
    /// Not the directory that the runtime prepared.
    #[error("cannot use {0}: it is another directory in the container's mount namespace than on the node")]
    Changed(PathBuf),
}

/// A root file system.
#[derive(Debug)]
pub struct RootFs {
    pub(super) dir: OwnedFd,
    path: PathBuf,
}

impl RootFs {
    /// Opens the root file system at `path`, in the mount namespace that this process is in now.
    ///
    /// # Errors
    /// [`RootFsError`] naming the path.
    pub fn open(path: &Path) -> Result<Self, RootFsError> {
        let flags = PATH | OFlags::DIRECTORY;
        let dir = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
            .map_err(|cause| kernel("open the root file system", path, cause))?;
        Ok(Self::at(dir, path.to_owned()))
    }

    /// The root file system whose directory is open already.
    pub(super) fn at(dir: OwnedFd, path: PathBuf) -> Self {
        Self { dir, path }
    }

    /// Opens it again after a change of mount namespace, and checks that it is the same directory: a process id
    /// that is not the container's would lead into some other container.
    ///
    /// # Errors
    /// [`RootFsError`] where it is not there or not the same.
    pub fn reopen(&self) -> Result<Self, RootFsError> {
        let again = Self::open(&self.path)?;
        let id = |root: &Self| {
            fstat(&root.dir).map(|s| (s.st_dev, s.st_ino)).map_err(|cause| kernel("stat", &self.path, cause))
        };
        if id(self)? == id(&again)? { Ok(again) } else { Err(RootFsError::Changed(self.path.clone())) }
    }

    /// Checks that /proc is mounted in it, as it is in the container's own mount namespace and in no other: a
    /// process that is not the container's may well see the same directory.
    ///
    /// # Errors
    /// [`RootFsError`] where it is not.
    pub fn expect_proc(&self) -> Result<(), RootFsError> {
        let kind = self.open_inside(c"proc", PATH).and_then(fstatfs).map(|found| found.f_type);
        if kind == Ok(PROC_SUPER_MAGIC) { Ok(()) } else { Err(RootFsError::NotPrepared(self.path.clone())) }
    }

    /// Keeps the seal out of all other mount namespaces: a mount on a root file system that is a shared mount appears at
    /// its peers, on the node or in another container. Runtimes make it a mount of its own for `pivot_root`; where it is
    /// not, the mount around it is the one to stop.
    ///
    /// # Errors
    /// [`RootFsError`] naming the path.
    pub fn stop_propagation(&self) -> Result<(), RootFsError> {
        let failed = |cause| RootFsError::Kernel {
            verb: "stop the propagation of mounts from",
            path: self.path.clone(),
            cause,
        };
        let is_below_mount = |cause: &io::Error| cause.raw_os_error() == Some(libc::EINVAL);
        let mut stopped = stop_propagation(self.dir.as_fd());
        let mut above: Option<OwnedFd> = None;
        for _ in 0..DEPTH_MAX {
            if !stopped.as_ref().is_err_and(is_below_mount) {
                break;
            }
            let dir = above.as_ref().unwrap_or(&self.dir);
            let parent = openat(dir, c"..", PATH | OFlags::DIRECTORY, Mode::empty());
            let parent = parent.map_err(|cause| failed(cause.into()))?;
            stopped = stop_propagation(parent.as_fd());
            above = Some(parent);
        }
        stopped.map_err(failed)
    }

    /// Opens /etc/hosts as a process in the container would.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn resolve_hosts(&self) -> Result<OwnedFd, RootFsError> {
        self.open_inside(c"etc/hosts", PATH).map_err(|cause| RootFsError::at_hosts("open", cause))
    }

    /// Opens a path in it, links and `..` resolved as a process in the container would.
    pub(super) fn open_inside(&self, path: &CStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        // The kernel does not resolve `..` in a root while anything on the machine is renamed or mounted.
        for _ in 0..OPEN_TRIES {
            match openat2(&self.dir, path, flags | OFlags::CLOEXEC, Mode::empty(), IN_ROOT) {
                Err(Errno::AGAIN) => sched_yield(),
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }
}

impl RootFsError {
    pub(super) fn at_hosts(verb: &'static str, cause: Errno) -> Self {
        kernel(verb, Path::new("/etc/hosts"), cause)
    }
}

pub(super) fn kernel(verb: &'static str, path: &Path, cause: Errno) -> RootFsError {
    RootFsError::Kernel { verb, path: path.to_owned(), cause: cause.into() }
}

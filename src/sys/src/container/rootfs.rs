//! The container's root file system: /etc/hosts in it, found without ever leaving it.
//!
//! The image decides what is there, so nothing is taken on trust: paths are resolved inside the root only, `/etc`
//! once, its last component never followed, and everything after works on descriptors.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstat, fstatfs, mkdirat, openat,
    openat2, unlinkat,
};
use rustix::io::Errno;
use rustix::process::umask;
use rustix::thread::{Gid, Uid, sched_yield, set_thread_res_gid, set_thread_res_uid};
use thiserror::Error;

use crate::container::capabilities;
use crate::container::engine_mounts::{Detached, EngineMounts, Found};
use crate::container::mount::stop_propagation;
use crate::container::seal::mount_id;
use crate::fs::files;

/// `SYSFS_MAGIC` of linux/magic.h.
const SYSFS_MAGIC: u64 = 0x6265_6572;
const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// Most directories between a root file system and the mount that it is in: more do not fit into a path.
const DEPTH_MAX: usize = 2048;
/// How often a path is resolved again that could not be because of something else on the machine.
const OPEN_TRIES: u32 = 1000;

/// A root file system in which /etc/hosts cannot be sealed.
#[derive(Debug, Error)]
pub enum RootFsError {
    /// The kernel refused.
    #[error("cannot {verb} {path}: {cause}")]
    Kernel {
        /// What was tried.
        verb: &'static str,
        /// On what; a path below /etc is one in the container.
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
    /// Whoever else has the volume could take the seal away by unlinking its mount point.
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
    dir: OwnedFd,
    path: PathBuf,
}

/// What stands at /etc/hosts, to be covered by the seal.
#[derive(Debug)]
pub struct Target {
    file: OwnedFd,
    etc: OwnedFd,
    created_file: bool,
    created_etc: bool,
    detached: Detached,
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
        Ok(Self { dir, path: path.to_owned() })
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

    /// Keeps the seal out of all other mount namespaces: where the root file system is a shared mount, what is
    /// mounted on it would appear at its peers, on the node or in another container. Runtimes make it a mount of its
    /// own for `pivot_root`; where it is none, the mount counts that it is in.
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

    /// Finds /etc/hosts, or creates it as an empty file to mount on. What the engine has mounted there is taken away.
    ///
    /// A symbolic link at /etc/hosts is covered itself: what it leads to would leave the link for the container
    /// to replace.
    ///
    /// # Errors
    /// [`RootFsError`]; everything is as it was.
    pub fn target(&self, engine: &EngineMounts<'_>) -> Result<Target, RootFsError> {
        let (etc, created_etc) = self.etc()?;
        let mut detached = Detached::default();
        match self.hosts_in(&etc, engine, &mut detached) {
            Ok((file, created_file)) => Ok(Target { file, etc: etc.fd, created_file, created_etc, detached }),
            Err(error) => {
                detached.put_back(self, &etc.fd);
                if created_etc {
                    let _ = unlinkat(&self.dir, c"etc", AtFlags::REMOVEDIR);
                }
                Err(error)
            }
        }
    }

    /// What a process in the container finds at /etc/hosts.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn resolve_hosts(&self) -> Result<OwnedFd, RootFsError> {
        self.open_inside(c"etc/hosts", PATH).map_err(|cause| RootFsError::at_hosts("open", cause))
    }

    /// Takes back what [`RootFs::target`] did.
    pub fn undo(&self, target: &Target) {
        // There is nobody left to tell if this fails, and an empty file does no harm.
        if target.created_file {
            let _ = unlinkat(&target.etc, c"hosts", AtFlags::empty());
        }
        if target.created_etc {
            let _ = unlinkat(&self.dir, c"etc", AtFlags::REMOVEDIR);
        }
        target.detached.put_back(self, &target.etc);
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

    /// `/etc`, and whether it had to be made.
    fn etc(&self) -> Result<(Found, bool), RootFsError> {
        let failed = |verb| move |cause| kernel(verb, Path::new("/etc"), cause);
        let flags = PATH | OFlags::DIRECTORY;
        match self.open_inside(c"etc", flags) {
            Ok(etc) => return Ok((self.own(etc)?, false)),
            Err(Errno::NOENT) => {}
            Err(cause) => return Err(failed("open")(cause)),
        }
        // EEXIST here is a symbolic link that leads nowhere.
        as_owner_of(&self.dir, || mkdirat(&self.dir, c"etc", Mode::from_raw_mode(0o755))).map_err(
            |cause| {
                if cause == Errno::ROFS { RootFsError::ReadOnly } else { failed("create")(cause) }
            },
        )?;
        let etc = openat(&self.dir, c"etc", flags | OFlags::NOFOLLOW, Mode::empty()).map_err(failed("open"));
        let etc = etc.and_then(|etc| self.own(etc)).inspect_err(|_| {
            let _ = unlinkat(&self.dir, c"etc", AtFlags::REMOVEDIR);
        })?;
        Ok((etc, true))
    }

    /// `/etc`, which has to be in the container's own root file system. In a volume whoever has it mounted elsewhere
    /// could unlink `hosts`, and Linux takes away what is mounted on a file that is unlinked elsewhere; a shared
    /// volume would carry the seal to the node.
    fn own(&self, etc: OwnedFd) -> Result<Found, RootFsError> {
        let failed = |cause| kernel("stat", Path::new("/etc"), cause);
        let etc = Found::new(etc).map_err(failed)?;
        let root = mount_id(self.dir.as_fd()).map_err(failed)?.0;
        if etc.mount == root {
            return Ok(etc);
        }
        let kind = fstatfs(&etc.fd).map_err(failed)?.f_type;
        let is_pseudo = kind == PROC_SUPER_MAGIC || u64::try_from(kind).ok() == Some(SYSFS_MAGIC);
        Err(if is_pseudo { RootFsError::Pseudo } else { RootFsError::Volume })
    }

    fn hosts_in(
        &self,
        etc: &Found,
        engine: &EngineMounts<'_>,
        detached: &mut Detached,
    ) -> Result<(OwnedFd, bool), RootFsError> {
        if let Some(found) = detached.take(self, etc, engine)? {
            let is_directory = found.kind == FileType::Directory;
            return if is_directory { Err(RootFsError::Directory) } else { Ok((found.fd, false)) };
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || openat(&etc.fd, c"hosts", flags, Mode::from_raw_mode(0o644));
        let file = as_owner_of(&etc.fd, create).map_err(|cause| {
            if cause == Errno::ROFS { RootFsError::ReadOnly } else { RootFsError::at_hosts("create", cause) }
        })?;
        Ok((file, true))
    }
}

impl RootFsError {
    pub(super) fn at_hosts(verb: &'static str, cause: Errno) -> Self {
        kernel(verb, Path::new("/etc/hosts"), cause)
    }
}

impl Target {
    /// What is to be covered.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn kernel(verb: &'static str, path: &Path, cause: Errno) -> RootFsError {
    RootFsError::Kernel { verb, path: path.to_owned(), cause: cause.into() }
}

/// Creates something in `dir` as the owner of `dir`, which is the container's root in a user namespace: there our
/// own ids may have no meaning at all (an id-mapped mount refuses them).
fn as_owner_of<T>(dir: &OwnedFd, create: impl Fn() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    let owner = fstat(dir)?;
    // The runtime's umask may be anything, and /etc has to be readable. Nothing else is created from here on.
    umask(Mode::empty());
    let (uid, gid) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
    if uid.is_root() && gid.is_root() {
        return create();
    }
    // The group first and back last: both need the capabilities that only the effective user root has.
    set_thread_res_gid(None, gid, None)?;
    let created = set_thread_res_uid(None, uid, None).and_then(|()| {
        // The capabilities are gone with the user root, and a directory may deny its own owner to write (0555).
        let created = match create() {
            Err(Errno::ACCESS) if capabilities::raise_dac_override() => create(),
            created => created,
        };
        set_thread_res_uid(None, Uid::ROOT, None).and(created)
    });
    set_thread_res_gid(None, Gid::ROOT, None).and(created)
}

/// What a running process has at /etc/hosts.
#[derive(Debug)]
pub struct HostsView {
    /// The mount it is on.
    pub mount_id: u64,
    /// The process' mounts, as /proc/PID/mountinfo.
    pub mountinfo: String,
    /// The file's text, where it is a regular file that is not larger than asked for.
    pub text: Option<String>,
}

/// Largest mountinfo that is read, in bytes: 100,000 mounts.
const MOUNTINFO_MAX: usize = 32 << 20;

impl HostsView {
    /// Looks at /etc/hosts with the eyes of the process `pid`, without entering its namespaces; the text of a file of
    /// more than `text_max` bytes is left out.
    ///
    /// # Errors
    /// [`RootFsError`] where the process is gone or may not be looked at.
    pub fn of_process(pid: i32, text_max: usize) -> Result<Self, RootFsError> {
        let path = PathBuf::from(format!("/proc/{pid}/root"));
        let dir = openat(CWD, &path, PATH | OFlags::DIRECTORY, Mode::empty())
            .map_err(|cause| kernel("open", &path, cause))?;
        let hosts = RootFs { dir, path }.resolve_hosts()?;
        let (mount_id, _) =
            mount_id(hosts.as_fd()).map_err(|cause| kernel("stat", Path::new("/etc/hosts"), cause))?;
        let path = PathBuf::from(format!("/proc/{pid}/mountinfo"));
        let unreadable = |error: files::FileError| RootFsError::Kernel {
            verb: "read",
            path: path.clone(),
            cause: io::Error::other(error),
        };
        let mountinfo = files::read(&path, MOUNTINFO_MAX, files::LastLink::Refuse).map_err(unreadable)?;
        // Opened again only once it is known to be a regular file: a device could do anything when opened.
        let mode = fstat(&hosts).map_err(|cause| kernel("stat", Path::new("/etc/hosts"), cause))?.st_mode;
        let text = (FileType::from_raw_mode(mode) == FileType::RegularFile).then(|| {
            let again = format!("/proc/self/fd/{}", hosts.as_raw_fd());
            files::read(Path::new(&again), text_max, files::LastLink::Follow).ok()
        });
        Ok(Self {
            mount_id,
            mountinfo: String::from_utf8_lossy(&mountinfo).into_owned(),
            text: text.flatten().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        })
    }
}

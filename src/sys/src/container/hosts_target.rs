//! /etc/hosts in a container's root file system, made ready for the seal: found or created, without the engine's mounts.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, PROC_SUPER_MAGIC, fstat, fstatfs, mkdirat, openat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::umask;
use rustix::thread::{Gid, Uid, set_thread_res_gid, set_thread_res_uid};

use crate::container::capabilities;
use crate::container::engine_mounts::{Detached, EngineMounts, Found};
use crate::container::mount::mount_id;
use crate::container::rootfs::{PATH, RootFs, RootFsError, kernel};

/// `SYSFS_MAGIC` of linux/magic.h.
const SYSFS_MAGIC: u64 = 0x6265_6572;

/// The file at /etc/hosts that the seal will cover.
#[derive(Debug)]
pub struct Target {
    file: OwnedFd,
    etc: OwnedFd,
    created_file: bool,
    created_etc: bool,
    detached: Detached,
}

impl Target {
    /// Finds /etc/hosts, or creates it as an empty file to mount on, and takes the engine's mounts there away.
    ///
    /// A symbolic link at /etc/hosts is covered itself: a seal at the end of the link would leave the link for the
    /// container to replace.
    ///
    /// # Errors
    /// [`RootFsError`]; everything is as it was.
    pub fn prepare(root: &RootFs, engine: &EngineMounts<'_>) -> Result<Self, RootFsError> {
        let (etc, created_etc) = etc_of(root)?;
        let mut detached = Detached::default();
        match hosts_in(root, &etc, engine, &mut detached) {
            Ok((file, created_file)) => Ok(Self { file, etc: etc.fd, created_file, created_etc, detached }),
            Err(error) => {
                detached.put_back(root, &etc.fd);
                if created_etc {
                    let _ = unlinkat(&root.dir, c"etc", AtFlags::REMOVEDIR);
                }
                Err(error)
            }
        }
    }

    /// The file that the seal covers.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Undoes [`Target::prepare`].
    pub fn undo(&self, root: &RootFs) {
        // An empty file that cannot be removed does no harm, and the error that led here is the one to report.
        if self.created_file {
            let _ = unlinkat(&self.etc, c"hosts", AtFlags::empty());
        }
        if self.created_etc {
            let _ = unlinkat(&root.dir, c"etc", AtFlags::REMOVEDIR);
        }
        self.detached.put_back(root, &self.etc);
    }
}

/// `/etc`, and whether it had to be made.
fn etc_of(root: &RootFs) -> Result<(Found, bool), RootFsError> {
    let failed = |verb| move |cause| kernel(verb, Path::new("/etc"), cause);
    let flags = PATH | OFlags::DIRECTORY;
    match root.open_inside(c"etc", flags) {
        Ok(etc) => return Ok((own(root, etc)?, false)),
        Err(Errno::NOENT) => {}
        Err(cause) => return Err(failed("open")(cause)),
    }
    // EEXIST here is a symbolic link that leads nowhere.
    as_owner_of(&root.dir, || mkdirat(&root.dir, c"etc", Mode::from_raw_mode(0o755))).map_err(|cause| {
        if cause == Errno::ROFS { RootFsError::ReadOnly } else { failed("create")(cause) }
    })?;
    let etc = openat(&root.dir, c"etc", flags | OFlags::NOFOLLOW, Mode::empty()).map_err(failed("open"));
    let etc = etc.and_then(|etc| own(root, etc)).inspect_err(|_| {
        let _ = unlinkat(&root.dir, c"etc", AtFlags::REMOVEDIR);
    })?;
    Ok((etc, true))
}

/// `/etc`, which has to be in the container's own root file system. In a volume a program that has it mounted elsewhere
/// could unlink `hosts`, and Linux takes away a mount whose file is unlinked elsewhere; a shared
/// volume would carry the seal to the node.
fn own(root: &RootFs, etc: OwnedFd) -> Result<Found, RootFsError> {
    let failed = |cause| kernel("stat", Path::new("/etc"), cause);
    let etc = Found::new(etc).map_err(failed)?;
    let root_mount = mount_id(root.dir.as_fd()).map_err(failed)?.0;
    if etc.mount == root_mount {
        return Ok(etc);
    }
    let kind = fstatfs(&etc.fd).map_err(failed)?.f_type;
    let is_pseudo = kind == PROC_SUPER_MAGIC || u64::try_from(kind).ok() == Some(SYSFS_MAGIC);
    Err(if is_pseudo { RootFsError::Pseudo } else { RootFsError::Volume })
}

fn hosts_in(
    root: &RootFs,
    etc: &Found,
    engine: &EngineMounts<'_>,
    detached: &mut Detached,
) -> Result<(OwnedFd, bool), RootFsError> {
    if let Some(found) = detached.take(root, etc, engine)? {
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

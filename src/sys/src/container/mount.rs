//! Calls on one mount that a descriptor refers to, among them `mount_setattr(2)`, which rustix does not wrap.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, StatxFlags, statx};
use rustix::mount::{UnmountFlags, unmount};

/// The id of the mount that `fd` is on, and the file's inode number.
pub(super) fn mount_id(fd: BorrowedFd<'_>) -> rustix::io::Result<(u64, u64)> {
    let found = statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID | StatxFlags::INO)?;
    Ok((found.stx_mnt_id, found.stx_ino))
}

/// Detaches the mount whose root `fd` is, with everything that is mounted on top of it.
pub(super) fn unmount_fd(fd: &OwnedFd) -> rustix::io::Result<()> {
    // umount2 takes no descriptor; this path leads to the mount that `fd` is on and to no other.
    unmount(format!("/proc/self/fd/{}", fd.as_raw_fd()), UnmountFlags::DETACH)
}

/// Sets the attributes `set` (`MOUNT_ATTR_*`) on the mount that `mount` refers to and, where `user_ns` is given,
/// maps its owners through that user namespace. The mount has to be detached for a mapping.
pub(super) fn mount_setattr(
    mount: BorrowedFd<'_>,
    set: u64,
    user_ns: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut attributes = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    if let Some(user_ns) = user_ns {
        attributes.attr_set |= libc::MOUNT_ATTR_IDMAP;
        attributes.userns_fd = u64::try_from(user_ns.as_raw_fd()).map_err(io::Error::other)?;
    }
    call(mount, &attributes)
}

/// Keeps new mounts on the mount that `mount` refers to from its peers. It still gets theirs.
pub(super) fn stop_propagation(mount: BorrowedFd<'_>) -> io::Result<()> {
    call(mount, &libc::mount_attr { attr_set: 0, attr_clr: 0, propagation: libc::MS_SLAVE, userns_fd: 0 })
}

fn call(mount: BorrowedFd<'_>, attributes: &libc::mount_attr) -> io::Result<()> {
    // SAFETY: the path is an empty C string, `attributes` is a live `mount_attr` and its true size is passed, and
    // `mount` and the descriptor in `attributes`, where there is one, are borrowed for longer than the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            std::ptr::from_ref(attributes),
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

//! `mount_setattr(2)`, which rustix does not wrap.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

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

/// Keeps what is mounted on the mount that `mount` refers to from its peers. It still gets what they mount.
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

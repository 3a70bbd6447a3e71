//! A hosts file that cannot be rewritten: a read-only tmpfs of its own with one file, attached to nothing yet.
//!
//! 1. `fsopen`/`fsmount` make a detached tmpfs, just large enough; the file is written into it.
//! 2. The superblock is made read-only: a container's own user namespace cannot undo that.
//! 3. The file alone is cloned out of it as a mount (`open_tree`), which gets its flags before it is attached.
//!
//! Nothing of it has a path on the node. Step 3 wants a mount that is attached somewhere before Linux 6.15; there
//! the tmpfs is attached in a mount namespace of the hook's own first. Everything else is in Linux 5.12.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fchmod, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, fsconfig_create, fsconfig_reconfigure, fsconfig_set_flag, fsconfig_set_string, fsmount,
    fsopen, fspick, mount_change, move_mount, open_tree,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use thiserror::Error;

use crate::container::mount::{mount_id, mount_setattr, unmount_fd};

/// Name of the one file in the tmpfs.
const NAME: &str = "hosts";
const MOUNT_FLAGS: u64 =
    libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;

/// A step of sealing that the kernel refused.
#[derive(Debug, Error)]
#[error("cannot {step}: {}", shown(cause))]
pub struct SealError {
    step: &'static str,
    #[source]
    cause: io::Error,
}

/// The kernel's answer, with an explanation where the kernel lacks the call.
fn shown(cause: &io::Error) -> String {
    if cause.raw_os_error() != Some(libc::ENOSYS) {
        return cause.to_string();
    }
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    format!("Linux {release} does not know this call, expected Linux 5.12 or later ({cause})")
}

/// The content of a seal, and how it is made.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// The hosts file.
    pub bytes: &'a [u8],
    /// The mount's source as /proc/PID/mountinfo shows it.
    pub source: &'a str,
    /// SELinux label for the tmpfs (`linux.mountLabel`).
    pub mount_label: Option<&'a str>,
    /// The container's user namespace, in which the file reads as root's.
    pub user_ns: Option<BorrowedFd<'a>>,
}

/// A sealed file, as a mount that is attached nowhere.
#[derive(Debug)]
pub struct Sealed {
    mount: OwnedFd,
}

impl Sealed {
    /// Makes a sealed file.
    ///
    /// # Errors
    /// [`SealError`] naming the step; nothing is left behind.
    pub fn new(content: Content<'_>) -> Result<Self, SealError> {
        let tmpfs = tmpfs(&content)?;
        write_file(&tmpfs, content.bytes)?;
        make_superblock_read_only(&tmpfs)?;
        let mount = clone_file(&tmpfs)?;
        let flagged = mount_setattr(mount.as_fd(), MOUNT_FLAGS, content.user_ns).or_else(|cause| {
            // tmpfs cannot be mapped before Linux 6.3; unmapped, the file belongs to `nobody`, and can be read all
            // the same.
            let unmappable = cause.raw_os_error() == Some(libc::EINVAL) && content.user_ns.is_some();
            if unmappable { mount_setattr(mount.as_fd(), MOUNT_FLAGS, None) } else { Err(cause) }
        });
        flagged.map_err(|cause| SealError { step: "make the sealed mount read-only", cause })?;
        Ok(Self { mount })
    }

    /// Attaches the seal on top of what `target` refers to.
    ///
    /// # Errors
    /// The kernel's answer; nothing is attached then.
    pub fn attach(&self, target: BorrowedFd<'_>) -> Result<(), SealError> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&self.mount, c"", target, c"", flags).map_err(step("attach the sealed file at /etc/hosts"))
    }

    /// Takes the seal away again.
    pub fn detach(&self) {
        take_away(&self.mount);
    }

    /// Whether `found` is the root of this very mount.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn is_at(&self, found: BorrowedFd<'_>) -> Result<bool, SealError> {
        let id = |fd| mount_id(fd).map_err(step("look at /etc/hosts after sealing"));
        Ok(id(self.mount.as_fd())? == id(found)?)
    }
}

/// Detaches a mount from where it is.
fn take_away(mount: &OwnedFd) {
    // It has no name but its descriptor's. If this fails it still goes with its namespace.
    let _ = unmount_fd(mount);
}

fn step(step: &'static str) -> impl Fn(Errno) -> SealError {
    move |cause| SealError { step, cause: cause.into() }
}

fn tmpfs(content: &Content<'_>) -> Result<OwnedFd, SealError> {
    let failed = step("make a tmpfs for the hosts file");
    let context = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(&failed)?;
    let set = |key: &str, value: &str| fsconfig_set_string(&context, key, value).map_err(&failed);
    set("source", content.source)?;
    // Room for the content, rounded up to pages by tmpfs, where 0 would be no bound; inodes for
    // the directory, the file, and the extended attributes that a security module gives them (counted since 6.6).
    set("size", &content.bytes.len().max(1).to_string())?;
    set("nr_inodes", "8")?;
    set("mode", "0755")?;
    if let Some(label) = content.mount_label {
        fsconfig_set_string(&context, "context", label)
            .map_err(step("label the tmpfs with linux.mountLabel"))?;
    }
    fsconfig_create(&context).map_err(&failed)?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, flags).map_err(&failed)
}

fn write_file(tmpfs: &OwnedFd, bytes: &[u8]) -> Result<(), SealError> {
    let failed = step("write the hosts file");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(tmpfs, NAME, flags, Mode::from_raw_mode(0o644)).map_err(&failed)?;
    // The runtime's umask may be anything; the kubelet's file is 0644.
    fchmod(&file, Mode::from_raw_mode(0o644)).map_err(&failed)?;
    File::from(file).write_all(bytes).map_err(|cause| SealError { step: "write the hosts file", cause })
}

fn make_superblock_read_only(tmpfs: &OwnedFd) -> Result<(), SealError> {
    let failed = step("make the tmpfs read-only");
    let flags = FsPickFlags::FSPICK_EMPTY_PATH | FsPickFlags::FSPICK_CLOEXEC;
    let context = fspick(tmpfs, c"", flags).map_err(&failed)?;
    fsconfig_set_flag(&context, "ro").map_err(&failed)?;
    fsconfig_reconfigure(&context).map_err(&failed)
}

fn clone_file(tmpfs: &OwnedFd) -> Result<OwnedFd, SealError> {
    let clone = || open_tree(tmpfs, NAME, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC);
    let cloned = match clone() {
        // Before Linux 6.15: not from a mount that is attached nowhere.
        Err(Errno::INVAL) => {
            attach_privately(tmpfs)?;
            let cloned = clone();
            // A process that is started in this namespace later would enter it by the mount on top of its root.
            take_away(tmpfs);
            cloned
        }
        other => other,
    };
    cloned.map_err(step("clone the hosts file out of its tmpfs"))
}

/// Attaches the tmpfs in a mount namespace that only this process is in, and that goes with it.
#[allow(unsafe_code)]
fn attach_privately(tmpfs: &OwnedFd) -> Result<(), SealError> {
    // SAFETY: of all flags only CLONE_FILES can break the safety of descriptors; it is not among these.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.map_err(step("make a mount namespace"))?;
    // Or the tmpfs would appear on the node, wherever its root is a shared mount.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change(c"/", private).map_err(step("make the mount namespace private"))?;
    // On the root's own mount point: our root directory stays the one beneath, so no path changes its meaning.
    move_mount(tmpfs, c"", rustix::fs::CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(step("attach the tmpfs in a private mount namespace"))
}

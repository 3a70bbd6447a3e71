//! /etc/hosts as a running process sees it.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};

use crate::container::mount::mount_id;
use crate::container::rootfs::{PATH, RootFs, RootFsError, kernel};
use crate::fs::files;

/// The file at /etc/hosts of a running process.
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
    /// Looks at /etc/hosts as the process `pid` sees it, without entering its namespaces. The text of a file of more than
    /// `text_max` bytes is left out.
    ///
    /// # Errors
    /// [`RootFsError`] where the process is gone or may not be looked at.
    pub fn of_process(pid: i32, text_max: usize) -> Result<Self, RootFsError> {
        let path = PathBuf::from(format!("/proc/{pid}/root"));
        let dir = openat(CWD, &path, PATH | OFlags::DIRECTORY, Mode::empty())
            .map_err(|cause| kernel("open", &path, cause))?;
        let hosts = RootFs::at(dir, path).resolve_hosts()?;
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

//! The container's first process, pinned, and the namespaces it is in.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, PROC_SUPER_MAGIC, fstat, fstatfs, openat};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use thiserror::Error;

/// `NSFS_MAGIC` of linux/magic.h.
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// A process whose namespaces cannot be used.
#[derive(Debug, Error)]
pub enum ContainerError {
    /// No such process, or it ended while its namespaces were opened.
    #[error("cannot use pid {0}: there is no such process")]
    Gone(i32),
    /// The kernel refused.
    #[error("cannot {verb} pid {pid}: {cause}")]
    Kernel {
        /// The action that failed.
        verb: &'static str,
        /// The process.
        pid: i32,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// Something is mounted over /proc.
    #[error("cannot use /proc/{0}: it is not on a proc file system")]
    NotProc(i32),
    /// A process of the node.
    #[error("cannot use pid {0}: it is in the node's own mount namespace, expected a container's process")]
    NodeProcess(i32),
}

/// A container's process and its namespaces, opened once and never looked up again.
#[derive(Debug)]
pub struct Container {
    pid: i32,
    proc: OwnedFd,
    mount_ns: OwnedFd,
    net_ns: OwnedFd,
    user_ns: OwnedFd,
    /// Whether it is on the node's network.
    pub on_node_network: bool,
    /// Whether it has a user namespace of its own.
    pub in_user_namespace: bool,
}

impl Container {
    /// Pins `pid` and opens its namespaces.
    ///
    /// # Errors
    /// [`ContainerError`] for a process that is gone, or that is no container's.
    pub fn pin(pid: i32) -> Result<Self, ContainerError> {
        let kernel = |verb| move |cause| kernel_error(verb, pid, cause);
        let raw = Pid::from_raw(pid).ok_or(ContainerError::Gone(pid))?;
        let pidfd = pidfd_open(raw, PidfdFlags::empty()).map_err(kernel("pin"))?;
        let process = open_proc(pid)?;
        let open = |name: &str| open_namespace(&process, name, pid);
        let (mount_ns, net_ns, user_ns) = (open("ns/mnt")?, open("ns/net")?, open("ns/user")?);
        // The process was alive when pinned; if it still is, /proc/PID was its directory all the time.
        if has_ended(&pidfd).map_err(kernel("wait for"))? {
            return Err(ContainerError::Gone(pid));
        }
        let this = open_proc_self(pid)?;
        let same = |name: &str, fd: &OwnedFd| -> Result<bool, ContainerError> {
            let own = open_namespace(&this, name, pid)?;
            same_file(own.as_fd(), fd.as_fd()).map_err(kernel("stat the namespaces of"))
        };
        if same("ns/mnt", &mount_ns)? {
            return Err(ContainerError::NodeProcess(pid));
        }
        let on_node_network = same("ns/net", &net_ns)?;
        let in_user_namespace = !same("ns/user", &user_ns)?;
        Ok(Self { pid, proc: process, mount_ns, net_ns, user_ns, on_node_network, in_user_namespace })
    }

    /// Joins the container's network namespace. There is no way back, and no need of one.
    ///
    /// # Errors
    /// The kernel's answer.
    pub(super) fn join_network(&self) -> Result<(), ContainerError> {
        move_into_link_name_space(self.net_ns.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|cause| kernel_error("join the network namespace of", self.pid, cause))
    }

    /// Joins the container's mount namespace. There is no way back, and no need of one.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn join_mounts(&self) -> Result<(), ContainerError> {
        move_into_link_name_space(self.mount_ns.as_fd(), Some(LinkNameSpaceType::Mount))
            .map_err(|cause| kernel_error("join the mount namespace of", self.pid, cause))
    }

    /// The process' directory in /proc, in which nothing can be opened once it has ended.
    pub(super) fn proc(&self) -> BorrowedFd<'_> {
        self.proc.as_fd()
    }

    /// The container's user namespace, where it has one of its own.
    pub fn user_namespace(&self) -> Option<BorrowedFd<'_>> {
        self.in_user_namespace.then_some(self.user_ns.as_fd())
    }
}

fn kernel_error(verb: &'static str, pid: i32, cause: rustix::io::Errno) -> ContainerError {
    match cause {
        rustix::io::Errno::SRCH => ContainerError::Gone(pid),
        cause => ContainerError::Kernel { verb, pid, cause: cause.into() },
    }
}

fn open_proc(pid: i32) -> Result<OwnedFd, ContainerError> {
    open_proc_entry(&pid.to_string(), pid)
}

fn open_proc_self(pid: i32) -> Result<OwnedFd, ContainerError> {
    open_proc_entry("self", pid)
}

fn open_proc_entry(name: &str, pid: i32) -> Result<OwnedFd, ContainerError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let kernel = |cause| match cause {
        rustix::io::Errno::NOENT => ContainerError::Gone(pid),
        cause => kernel_error("open /proc of", pid, cause),
    };
    let proc = openat(CWD, "/proc", flags, Mode::empty()).map_err(kernel)?;
    let entry = openat(&proc, name, flags, Mode::empty()).map_err(kernel)?;
    // A directory mounted over /proc/PID could show the namespaces of another process.
    for fd in [&proc, &entry] {
        if fstatfs(fd).map_err(kernel)?.f_type != PROC_SUPER_MAGIC {
            return Err(ContainerError::NotProc(pid));
        }
    }
    Ok(entry)
}

fn open_namespace(process: &OwnedFd, name: &str, pid: i32) -> Result<OwnedFd, ContainerError> {
    let kernel = |cause| match cause {
        rustix::io::Errno::NOENT => ContainerError::Gone(pid),
        cause => kernel_error("open the namespaces of", pid, cause),
    };
    let fd = openat(process, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(kernel)?;
    let kind = fstatfs(&fd).map_err(kernel)?.f_type;
    if u64::try_from(kind).ok() != Some(NSFS_MAGIC) {
        return Err(ContainerError::NotProc(pid));
    }
    Ok(fd)
}

fn has_ended(pidfd: &OwnedFd) -> rustix::io::Result<bool> {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(poll(&mut fds, Some(&at_once))? > 0)
}

fn same_file(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    let (a, b) = (fstat(a)?, fstat(b)?);
    Ok((a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_no_containers_is_refused() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(matches!(Container::pin(own), Err(ContainerError::NodeProcess(_))));
        // Beyond the kernel's largest pid.
        assert!(matches!(Container::pin(0x40_0001), Err(ContainerError::Gone(_))));
    }
}

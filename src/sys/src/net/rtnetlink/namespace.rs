//! Network namespaces: opened by path, entered and left.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fstat, fstatfs, openat};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use super::error::NetworkError;

/// `NSFS_MAGIC` of linux/magic.h.
const NSFS_MAGIC: u64 = 0x6e73_6673;
/// The namespace of this thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// The identity of a namespace during this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceId {
    device: u64,
    inode: u64,
}

/// An open network namespace.
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
    path: PathBuf,
}

impl Namespace {
    /// The namespace of this thread.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn own() -> Result<Self, NetworkError> {
        Self::open(Path::new(OWN))
    }

    /// Opens the namespace at `path`.
    ///
    /// # Errors
    /// [`NetworkError::NoNamespace`] if there is no namespace at the path.
    pub fn open(path: &Path) -> Result<Self, NetworkError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let refused = |cause: Errno| match cause {
            Errno::NOENT | Errno::NOTDIR | Errno::SRCH => NetworkError::NoNamespace(path.to_owned()),
            cause => NetworkError::Namespace { verb: "open", path: path.to_owned(), cause: cause.into() },
        };
        let fd = openat(CWD, path, flags, Mode::empty()).map_err(refused)?;
        // After an unmount the empty file of the mount point remains.
        if u64::try_from(fstatfs(&fd).map_err(refused)?.f_type).ok() != Some(NSFS_MAGIC) {
            return Err(NetworkError::NoNamespace(path.to_owned()));
        }
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Its identity.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn id(&self) -> Result<NamespaceId, NetworkError> {
        let stat = fstat(&self.fd).map_err(|cause| self.refused("stat", cause))?;
        Ok(NamespaceId { device: stat.st_dev, inode: stat.st_ino })
    }

    /// Does `work` inside the namespace and comes back to `home`.
    ///
    /// # Errors
    /// The error of `work`, or that a namespace cannot be entered. After a failure to come back the thread is in the wrong
    /// namespace, and must not go on.
    pub fn inside<T>(
        &self,
        home: &Self,
        work: impl FnOnce() -> Result<T, NetworkError>,
    ) -> Result<T, NetworkError> {
        self.enter()?;
        let result = work();
        home.enter()?;
        result
    }

    fn enter(&self) -> Result<(), NetworkError> {
        move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|cause| self.refused("enter", cause))
    }

    fn refused(&self, verb: &'static str, cause: Errno) -> NetworkError {
        NetworkError::Namespace { verb, path: self.path.clone(), cause: cause.into() }
    }
}

impl AsRawFd for Namespace {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_namespace_is_one() {
        let own = Namespace::own().unwrap();
        assert_eq!(own.id().unwrap(), Namespace::open(Path::new("/proc/self/ns/net")).unwrap().id().unwrap());
        for none in ["/proc/self/ns/none", "/etc/passwd", "/etc/passwd/x"] {
            let error = Namespace::open(Path::new(none)).unwrap_err();
            assert!(matches!(error, NetworkError::NoNamespace(_)), "{none}: {error}");
        }
    }
}

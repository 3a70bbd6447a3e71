//! What the kernel refuses.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A change of the network, or a question about it, that failed.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// No network namespace is at that path.
    #[error("cannot open network namespace {0}: there is none")]
    NoNamespace(PathBuf),
    /// A namespace cannot be opened or entered.
    #[error("cannot {verb} network namespace {path}: {cause}")]
    Namespace {
        /// What was tried.
        verb: &'static str,
        /// The namespace.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// The kernel refused a request.
    #[error("cannot {verb} {what}: {cause}")]
    Refused {
        /// What was tried.
        verb: &'static str,
        /// The object.
        what: String,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// A sysctl cannot be read or written.
    #[error("cannot set {key} to {value}: {cause}")]
    Sysctl {
        /// Below /proc/sys.
        key: String,
        /// The wanted value.
        value: &'static str,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
}

impl NetworkError {
    /// Whether the object does not exist.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::NoNamespace(_))
            || matches!(self.errno(), Some(libc::ENODEV | libc::ENOENT | libc::ESRCH))
    }

    /// Whether the kernel called the request invalid.
    pub fn is_invalid(&self) -> bool {
        self.errno() == Some(libc::EINVAL)
    }

    /// Whether the object exists already.
    pub fn is_present(&self) -> bool {
        self.errno() == Some(libc::EEXIST)
    }

    /// Whether the kernel or the interface lacks the address family.
    pub fn is_unsupported(&self) -> bool {
        self.errno() == Some(libc::EAFNOSUPPORT)
    }

    /// Whether there is no way to a gateway.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.errno(), Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN))
    }

    fn errno(&self) -> Option<i32> {
        match self {
            Self::NoNamespace(_) => None,
            Self::Namespace { cause, .. } | Self::Refused { cause, .. } | Self::Sysctl { cause, .. } => {
                cause.raw_os_error()
            }
        }
    }
}

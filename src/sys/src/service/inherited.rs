//! Descriptors and names that a service inherits through its environment.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// A variable of the environment.
pub fn variable(name: &str) -> Option<OsString> {
    #[allow(clippy::disallowed_methods, reason = "a service is told its sockets so; the hook is none")]
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Another descriptor for what `fd` of this process is open for.
///
/// # Errors
/// The kernel's answer.
pub fn inherited(fd: i32) -> io::Result<OwnedFd> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(pidfd_getfd(own, fd, PidfdGetfdFlags::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_descriptor_is_had_by_its_number() {
        use std::io::{Read, Write};
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut copy = std::os::unix::net::UnixStream::from(inherited(ours.as_raw_fd()).unwrap());
        drop(ours);
        theirs.write_all(b"x").unwrap();
        let mut got = [0];
        copy.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"x");
        assert!(inherited(9999).is_err());
    }
}

//! What a service gets from whoever starts it: descriptors and names in the environment.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

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

/// Tells systemd, where it wants to know, that the service is ready.
pub fn ready() {
    if let Some(socket) = variable("NOTIFY_SOCKET") {
        // systemd says itself that a service never got ready.
        let _ = notify(socket.as_bytes(), b"READY=1\n");
    }
}

fn notify(socket: &[u8], message: &[u8]) -> io::Result<()> {
    let address = match socket.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(socket))?,
    };
    UnixDatagram::unbound()?.send_to_addr(message, &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn systemd_gets_the_message_at_a_path_and_at_an_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("podhosts-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        for (socket, address) in [
            (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
            (UnixDatagram::bind_addr(&abstract_address).unwrap(), format!("@{name}")),
        ] {
            notify(address.as_bytes(), b"READY=1\n").unwrap();
            let mut got = [0; 64];
            let length = socket.recv(&mut got).unwrap();
            assert_eq!(&got[..length], b"READY=1\n");
        }
    }

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

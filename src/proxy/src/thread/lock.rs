//! One proxy for each network namespace.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use sys::net::services::HOLDER;

/// Whoever has it may change the table.
#[derive(Debug)]
pub(super) struct Lock {
    _listener: UnixListener,
}

/// Takes the lock; `None` if another process has it.
///
/// # Errors
/// The kernel's answer.
pub(super) fn take() -> io::Result<Option<Lock>> {
    let address = SocketAddr::from_abstract_name(HOLDER)?;
    match UnixListener::bind_addr(&address) {
        Ok(listener) => Ok(Some(Lock { _listener: listener })),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}

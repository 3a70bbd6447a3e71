//! Which program has the table.

use std::io;
use std::path::Path;

use crate::fs::files::{self, LastLink};

/// The abstract socket that the program listens on which may change the table. Abstract names belong to a network namespace, as
/// the packet filter does, and go with the process.
pub const HOLDER: &str = "podhosts-service-proxy";

/// The sockets of this thread's network namespace, a line each, and the largest list that is read, in bytes.
const SOCKETS: &str = "/proc/thread-self/net/unix";
const SOCKETS_MAX: usize = 64 << 20;

/// Whether a running program has the table of this thread's network namespace, or waits to make it.
///
/// # Errors
/// The kernel's answer, or there are a million sockets.
pub fn is_held() -> io::Result<bool> {
    let name = format!(" @{HOLDER}");
    // Names of others may have any bytes.
    let sockets = files::read(Path::new(SOCKETS), SOCKETS_MAX, LastLink::Follow).map_err(io::Error::other)?;
    Ok(sockets.split(|byte| *byte == b'\n').any(|line| line.ends_with(name.as_bytes())))
}

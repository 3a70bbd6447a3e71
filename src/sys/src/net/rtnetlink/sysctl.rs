//! Settings below /proc/sys/net, which belong to the network namespace of the thread that opens them.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, read, write};

use super::error::NetworkError;

/// Where a container has the settings that it may write. Its /proc/sys is read-only unless it is privileged.
const IN_CONTAINER: &str = "/host/proc/sys";

/// The value of `key`, as in `net/ipv4/ip_forward`, in this thread's network namespace.
pub(super) fn get(key: &str) -> Result<String, NetworkError> {
    let mut now = [0; 16];
    let refused =
        |cause: Errno| NetworkError::Refused { verb: "read", what: key.to_owned(), cause: cause.into() };
    let length = read(open(key, OFlags::RDONLY).map_err(refused)?, &mut now).map_err(refused)?;
    Ok(String::from_utf8_lossy(now[..length].trim_ascii()).into_owned())
}

fn open(key: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let below = |dir: &str| {
        openat(CWD, Path::new(dir).join(key), flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
    };
    match below("/proc/sys") {
        Err(Errno::ROFS) => below(IN_CONTAINER).or(Err(Errno::ROFS)),
        other => other,
    }
}

/// Sets `key`, as in `net/ipv4/ip_forward`, in this thread's network namespace, unless it has the value: writing even
/// the same value costs more than reading.
///
/// # Errors
/// The kernel's answer.
pub fn set(key: &str, value: &'static str) -> Result<(), NetworkError> {
    let refused = |cause: Errno| NetworkError::Sysctl { key: key.to_owned(), value, cause: cause.into() };
    let mut now = [0; 16];
    let length = read(open(key, OFlags::RDONLY).map_err(refused)?, &mut now).map_err(refused)?;
    if now[..length].trim_ascii() == value.as_bytes() {
        return Ok(());
    }
    overwrite(key, value)
}

/// Sets `key` without reading it first: for new interfaces, which have the default.
///
/// # Errors
/// The kernel's answer.
pub fn overwrite(key: &str, value: &'static str) -> Result<(), NetworkError> {
    let refused = |cause: Errno| NetworkError::Sysctl { key: key.to_owned(), value, cause: cause.into() };
    write(open(key, OFlags::WRONLY).map_err(refused)?, value.as_bytes()).map_err(refused)?;
    Ok(())
}

//! Limits of this process, and its memory as the kernel counts it.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::set_no_new_privs;

use crate::fs::files::{self, LastLink};

/// Memory that this process has, in bytes.
pub fn resident_memory() -> Option<u64> {
    let text = files::read(Path::new("/proc/self/statm"), 256, LastLink::Refuse).ok()?;
    let pages: u64 = std::str::from_utf8(&text).ok()?.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

/// Keeps this process, and whatever it might become, from getting privileges by starting a program.
pub fn no_new_privileges() {
    // Every kernel that knows the mount API knows it, and there is nothing that it could refuse.
    let _ = set_no_new_privs(true);
}

/// Allows as many open files as an administrator would.
pub fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Else it stays as it is.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Lets the kernel close a connection whose other end leaves what it was sent unread or unacknowledged for so long.
///
/// # Errors
/// The kernel's answer.
pub fn give_up_unread_after(socket: impl AsFd, time: Duration) -> std::io::Result<()> {
    let milliseconds = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    Ok(rustix::net::sockopt::set_tcp_user_timeout(socket, milliseconds)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_some_memory() {
        assert!(resident_memory().unwrap() > 100_000);
    }
}

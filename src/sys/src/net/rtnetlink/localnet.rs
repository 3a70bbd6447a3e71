//! `route_localnet` of interfaces, with which host ports on the node's 127.0.0.1 reach pods. On interfaces that stay it
//! is reset with the last host port, unless it was set before podhosts did.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::error::NetworkError;
use super::sysctl;
use crate::fs::files::FileError;
use crate::fs::state_dir;

/// Directory with an empty file for each lasting interface whose `route_localnet` podhosts has set.
const OPENED: &str = "/run/podhosts/localnet";

/// A setting that cannot be made or taken back.
#[derive(Debug, Error)]
pub enum LocalnetError {
    /// The kernel refused.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The note of an interface cannot be written or removed.
    #[error(transparent)]
    File(#[from] FileError),
}

fn key(interface: &str) -> String {
    format!("net/ipv4/conf/{interface}/route_localnet")
}

fn note(interface: &str) -> PathBuf {
    Path::new(OPENED).join(interface)
}

/// Sets it on an interface that goes with the pod.
///
/// # Errors
/// The kernel's answer.
pub fn open(interface: &str) -> Result<(), NetworkError> {
    sysctl::set(&key(interface), "1")
}

/// Sets it on an interface that stays, after noting that it was not set.
///
/// # Errors
/// The kernel's answer, or that of the file.
pub fn open_lasting(interface: &str) -> Result<(), LocalnetError> {
    if sysctl::get(&key(interface))? == "1" {
        return Ok(());
    }
    state_dir::replace(&note(interface), b"")?;
    Ok(open(interface)?)
}

/// Resets it on all interfaces with a note.
///
/// # Errors
/// The kernel's answer, or that of a file.
pub(crate) fn close_all() -> Result<(), LocalnetError> {
    for interface in state_dir::names(Path::new(OPENED))? {
        match sysctl::set(&key(&interface), "0") {
            // The interface is gone.
            Err(error) if error.is_absent() => {}
            other => other?,
        }
        state_dir::remove(&note(&interface))?;
    }
    Ok(())
}

/// Whether an interface has a note.
pub(crate) fn is_open() -> bool {
    state_dir::names(Path::new(OPENED)).is_ok_and(|names| !names.is_empty())
}

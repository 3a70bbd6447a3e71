//! `route_localnet` of bridges, with which host ports on the node's 127.0.0.1 reach pods. It is taken back with the last
//! host port; where somebody else had set it before, it stays as it was.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::error::NetworkError;
use super::sysctl;
use crate::fs::files::FileError;
use crate::fs::state_dir;

/// Has an empty file for each interface whose `route_localnet` podhosts has set.
const OPENED: &str = "/run/podhosts/localnet";

/// A setting that cannot be made or taken back.
#[derive(Debug, Error)]
pub enum LocalnetError {
    /// The kernel refused.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// It cannot be written down.
    #[error(transparent)]
    File(#[from] FileError),
}

fn key(interface: &str) -> String {
    format!("net/ipv4/conf/{interface}/route_localnet")
}

fn note(interface: &str) -> PathBuf {
    Path::new(OPENED).join(interface)
}

/// Sets it for an interface that goes with the pod.
///
/// # Errors
/// The kernel's answer.
pub fn open(interface: &str) -> Result<(), NetworkError> {
    sysctl::set(&key(interface), "1")
}

/// Sets it for an interface that stays, and writes down before that it was not set.
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

/// Takes it back wherever podhosts has set it on an interface that stays.
///
/// # Errors
/// The kernel's answer, or that of a file.
pub fn close_all() -> Result<(), LocalnetError> {
    for interface in state_dir::names(Path::new(OPENED))? {
        match sysctl::set(&key(&interface), "0") {
            // It went with the bridge.
            Err(error) if error.is_absent() => {}
            other => other?,
        }
        state_dir::remove(&note(&interface))?;
    }
    Ok(())
}

/// Whether there is anything to take back.
pub fn is_open() -> bool {
    state_dir::names(Path::new(OPENED)).is_ok_and(|names| !names.is_empty())
}

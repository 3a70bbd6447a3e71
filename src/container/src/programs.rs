//! The programs' names, the hook's flags and the hook's path.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::node_config::NodeConfig;
use sys::process::exec::{self, NoProgram};

/// The hook.
pub const HOOK: &str = "podhosts-hook";
/// The wrapper around the low-level runtime.
pub const WRAPPER: &str = "podhosts-runtime";
/// Starts the source of our mounts in /proc/PID/mountinfo; behind it comes the name of the addresses' source.
pub const MOUNT_SOURCE: &str = "podhosts:";
/// The hook's flag for the kubelet's file, whose mount the wrapper takes out of config.json.
pub const KUBELET_HOSTS_FLAG: &str = "--kubelet-hosts";
/// The hook's flag for a configuration that is not the bundle's config.json (crun's `--config`).
pub const CONFIG_JSON_FLAG: &str = "--config-json";
/// The hook's flag for the pod's addresses, separated by commas, as the NRI plugin was told them.
pub const NRI_POD_IPS_FLAG: &str = "--nri-pod-ips";

/// A hook that cannot be named in a container's configuration.
#[derive(Debug, Error)]
pub enum HookError {
    /// The hook is not where it should be.
    #[error("cannot find the hook: {0} is {1}, expected podhosts-hook beside this program or runtime.hook")]
    Absent(PathBuf, &'static str),
    /// This program cannot tell where it is.
    #[error("cannot find this program: {0}")]
    Own(#[source] std::io::Error),
    /// A path that JSON cannot hold.
    #[error("cannot use path {0:?}: it is not UTF-8")]
    NotUtf8(PathBuf),
}

/// The hook's program: the configured one, or the one beside this program.
///
/// # Errors
/// The hook is missing or not executable: the runtime's own error would name neither podhosts nor the remedy.
pub fn hook_path(node: &NodeConfig) -> Result<PathBuf, HookError> {
    let path = match &node.runtime.hook {
        Some(path) => PathBuf::from(path),
        None => exec::own_path().map_err(HookError::Own)?.with_file_name(HOOK),
    };
    match exec::program(&path) {
        Ok(_) => Ok(path),
        Err(NoProgram::NotExecutable(_)) => Err(HookError::Absent(path, "not executable")),
        Err(_) => Err(HookError::Absent(path, "not a file")),
    }
}

/// A path as JSON and NRI can hold it.
///
/// # Errors
/// One that is not UTF-8.
pub fn utf8(path: &Path) -> Result<&str, HookError> {
    path.to_str().ok_or_else(|| HookError::NotUtf8(path.to_owned()))
}

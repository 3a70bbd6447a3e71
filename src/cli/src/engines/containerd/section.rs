//! The names of containerd's files, sections and built-in handler.

use toml::Value;

use crate::engines::error::EngineError;
use crate::engines::layers::Layer;

/// The main configuration where containerd is not told of another one.
pub const CONFIG: &str = "/etc/containerd/config.toml";

/// Where it serves the CRI.
pub const SOCKET: &str = "/run/containerd/containerd.sock";

/// The runtime type of runc, crun, and the wrapper in front of them.
pub const RUNC_V2: &str = "io.containerd.runc.v2";

/// The CRI plugin's section in files of version 2.
pub(crate) const CRI_V2: &str = "io.containerd.grpc.v1.cri";

/// The section of its runtimes and CNI in files of version 3 and later.
pub(crate) const CRI_V3: &str = "io.containerd.cri.v1.runtime";

/// The handler that is there, and is the default, where the configuration names none.
pub(crate) const DEFAULT_HANDLER: &str = "runc";

/// The NRI plugin's section.
pub(crate) const NRI: [&str; 2] = ["plugins", "io.containerd.nri.v1.nri"];

/// The version of one file; one without is of version 1.
///
/// # Errors
/// [`EngineError::Type`] where it is no integer.
pub(crate) fn file_version(layer: &Layer) -> Result<i64, EngineError> {
    match layer.get(&["version"])? {
        None => Ok(1),
        Some(Value::Integer(version)) => Ok(*version),
        Some(other) => Err(layer.wrong(&["version"], other, "an integer")),
    }
}

/// The keys of the CRI plugin's section for runtimes and CNI, in a file of this version.
pub(crate) fn cri_section(version: i64) -> [&'static str; 2] {
    ["plugins", if version >= 3 { CRI_V3 } else { CRI_V2 }]
}

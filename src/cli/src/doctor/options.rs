//! What the checks are told.

use std::path::PathBuf;
use std::time::Duration;

/// How long a program or an engine may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub(crate) struct DoctorOptions {
    /// The node's configuration.
    pub config: PathBuf,
    /// Where the programs are: the directory of this one.
    pub bin_dir: PathBuf,
    /// Whether a container is started.
    pub self_test: bool,
}

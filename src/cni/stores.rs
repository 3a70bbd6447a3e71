//! Where address books are that are not in the default place: links in `/run/podhosts/stores`, so that DEL finds an
//! attachment after `dataDir` was changed.

use std::path::{Path, PathBuf};

use super::error::CniError;
use super::names;
use crate::sys::state_dir;

const STORES: &str = "/run/podhosts/stores";

/// Makes the network directory `dir` known.
pub(super) fn register(dir: &Path) -> Result<(), CniError> {
    Ok(state_dir::link(&Path::new(STORES).join(names::of_path(dir)), dir)?)
}

/// All known directories of `network` but `dir`.
pub(super) fn others(network: &str, dir: &Path) -> Result<Vec<PathBuf>, CniError> {
    let mut found = vec![Path::new(super::config::DATA_DIR).join(network)];
    for name in state_dir::names(Path::new(STORES))? {
        found.extend(state_dir::target(&Path::new(STORES).join(name)));
    }
    found.retain(|other| other != dir && other.file_name() == Some(network.as_ref()) && other.is_dir());
    Ok(found)
}

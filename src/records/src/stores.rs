//! The directories of networks with their own `dataDir`: links in `/run/podhosts/stores`, so that DEL finds an
//! attachment after `dataDir` was changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::directory::{self, DATA_DIR};
use sys::fnv;
use sys::fs::files::FileError;
use sys::fs::state_dir;
use sys::net::nft::{self, NftError, Rules};
use sys::net::rtnetlink::RouteSocket;

const STORES: &str = "/run/podhosts/stores";

/// Adds a link to the network directory `dir`.
pub fn register(dir: &Path) -> Result<(), FileError> {
    state_dir::link(&Path::new(STORES).join(of_path(dir)), dir)
}

/// The rules of the attachments of all networks, except for the one with the interface `leaving`. An attachment without
/// an interface is being made, or its call was killed.
pub fn rules(leaving: Option<&str>) -> Vec<Rules> {
    let mut dirs: BTreeSet<PathBuf> = BTreeSet::new();
    let default = Path::new(DATA_DIR);
    dirs.extend(state_dir::names(default).unwrap_or_default().iter().map(|name| default.join(name)));
    let others = state_dir::names(Path::new(STORES)).unwrap_or_default();
    dirs.extend(others.iter().filter_map(|name| state_dir::target(&Path::new(STORES).join(name))));
    let Ok(mut node) = RouteSocket::here() else { return Vec::new() };
    let mut rules = Vec::new();
    for dir in dirs {
        let Some(network) = dir.file_name().and_then(|name| name.to_str()) else { continue };
        for holder in directory::list(&dir).unwrap_or_default() {
            let Some(known) = directory::read(&dir, &holder) else { continue };
            let interface = known.host_interface.as_deref().filter(|name| Some(*name) != leaving);
            if interface.is_some_and(|name| matches!(node.link(name), Ok(Some(_)))) {
                rules.extend(known.rules(network));
            }
        }
    }
    rules
}

/// Names the missing rules of the pods on this node in the packet filter; `None` if they need no rules.
///
/// # Errors
/// The kernel's answer.
pub fn missing_rules() -> Result<Option<Vec<String>>, NftError> {
    let rules = rules(None);
    if rules.is_empty() { Ok(None) } else { nft::missing(&rules).map(Some) }
}

/// All known directories of `network` except `dir`.
pub fn others(network: &str, dir: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut found = vec![Path::new(DATA_DIR).join(network)];
    for name in state_dir::names(Path::new(STORES))? {
        found.extend(state_dir::target(&Path::new(STORES).join(name)));
    }
    found.retain(|other| other != dir && other.file_name() == Some(network.as_ref()) && other.is_dir());
    Ok(found)
}

fn of_path(path: &Path) -> String {
    format!("{:016x}", fnv::hash_texts(&[&path.to_string_lossy()]))
}

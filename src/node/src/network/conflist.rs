//! The plugin's configuration, from which the container engine sees that the node has a network.

use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Serialize;
use sys::fs::files::{self, FileError, LastLink};
use sys::fs::node_files::{self, Staged};
use sys::fs::state_dir;

/// The longest file that is read, in bytes.
const CONFLIST_MAX: usize = 64 << 10;
/// The endings of file names that engines read.
const ENDINGS: [&str; 3] = ["conf", "conflist", "json"];

/// The file, in the order in which people read it. `vendor-configs/cni/10-podhosts.conflist` is the same for a node without
/// an agent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Conflist<'a> {
    cni_version: &'a str,
    cni_versions: [&'a str; 2],
    name: &'a str,
    plugins: [Plugin<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Plugin<'a> {
    r#type: &'a str,
    mode: &'a str,
    ip_masq: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    ipam: Ipam<'a>,
    capabilities: Capabilities,
}

#[derive(Serialize)]
struct Ipam<'a> {
    #[serde(rename = "podCIDRs")]
    pod_cidrs: &'a [IpNet],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Capabilities {
    #[serde(rename = "io.kubernetes.cri.pod-annotations")]
    pod_annotations: bool,
    port_mappings: bool,
    ips: bool,
    mac: bool,
    dns: bool,
}

/// The text of the file.
pub(super) fn text(pod_cidrs: &[IpNet], mtu: Option<u32>) -> String {
    let capabilities =
        Capabilities { pod_annotations: true, port_mappings: true, ips: true, mac: true, dns: true };
    let plugin = Plugin {
        r#type: "podhosts-cni",
        mode: "routed",
        // The agent does it: of what leaves the cluster, which the plugin does not know.
        ip_masq: false,
        mtu,
        ipam: Ipam { pod_cidrs },
        capabilities,
    };
    let conflist = Conflist {
        // Engines that know no list of versions take this one, and have neither GC nor STATUS.
        cni_version: "1.0.0",
        cni_versions: ["1.0.0", "1.1.0"],
        name: "podhosts",
        plugins: [plugin],
    };
    let mut text = serde_json::to_string_pretty(&conflist).unwrap_or_default();
    text.push('\n');
    text
}

/// Puts the file in its place, unless it has this text already: engines read it anew after each change. Tells whether it
/// did.
///
/// # Errors
/// [`FileError`] naming the file, which is then as it was.
pub(super) fn write(path: &Path, text: &str) -> Result<bool, FileError> {
    if files::read_text_if_present(path, CONFLIST_MAX, LastLink::Follow).ok().flatten().as_deref()
        == Some(text)
    {
        return Ok(false);
    }
    for dir in node_files::missing_dirs(path) {
        node_files::make_dir(&dir)?;
    }
    // What a killed agent left; engines do not read such names.
    node_files::remove_leftovers(state_dir::dir_of(path));
    Staged::new(path, text.as_bytes())?.put()?;
    state_dir::sync(state_dir::dir_of(path))?;
    Ok(true)
}

/// Removes the file, if it is this program's. Tells whether it did.
///
/// # Errors
/// [`FileError`] naming the file.
pub(super) fn remove(path: &Path) -> Result<bool, FileError> {
    let text = files::read_text_if_present(path, CONFLIST_MAX, LastLink::Follow)?;
    let is_own = |text: &str| {
        let found: Option<serde_json::Value> = serde_json::from_str(text).ok();
        found.is_some_and(|found| {
            found["name"] == "podhosts"
                && found["plugins"][0]["type"] == "podhosts-cni"
                && found["plugins"][0]["ipMasq"] == false
        })
    };
    if text.is_some_and(|text| is_own(&text)) { state_dir::remove(path) } else { Ok(false) }
}

/// The configuration of another network that engines take, for its name comes before that of `path`.
pub(super) fn earlier(path: &Path) -> Option<PathBuf> {
    let dir = state_dir::dir_of(path);
    let own = path.file_name()?.to_str()?;
    let is_read = |name: &&String| {
        Path::new(name)
            .extension()
            .and_then(|ending| ending.to_str())
            .is_some_and(|ending| ENDINGS.contains(&ending))
    };
    let names = state_dir::names(dir).ok()?;
    let first = names.iter().filter(is_read).filter(|name| name.as_str() < own).min()?;
    Some(dir.join(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(all: &[&str]) -> Vec<IpNet> {
        all.iter().map(|net| net.parse().unwrap()).collect()
    }

    #[test]
    fn it_is_the_delivered_file_but_for_masquerading() {
        let delivered = include_str!("../../../../vendor-configs/cni/10-podhosts.conflist");
        let expected = delivered.replace("\"ipMasq\": true", "\"ipMasq\": false");
        let made = text(&networks(&["10.244.0.0/24", "fd00:10:244::/64"]), None);
        let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parsed(&made), parsed(&expected));
        assert_eq!(parsed(&text(&[], Some(1450)))["plugins"][0]["mtu"], 1450);
    }

    #[test]
    fn a_file_that_has_the_text_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("net.d/10-podhosts.conflist");
        let first = text(&networks(&["10.244.0.0/24"]), None);
        assert!(!path.exists());
        assert!(write(&path, &first).unwrap());
        let written = path.metadata().unwrap();
        assert!(!write(&path, &first).unwrap());
        let same = |a: &std::fs::Metadata, b: &std::fs::Metadata| {
            use std::os::unix::fs::MetadataExt;
            (a.ino(), a.mtime_nsec(), a.mode()) == (b.ino(), b.mtime_nsec(), b.mode())
        };
        assert!(same(&written, &path.metadata().unwrap()));
        assert!(write(&path, &text(&networks(&["10.244.1.0/24"]), None)).unwrap());
        assert!(!same(&written, &path.metadata().unwrap()));
        assert_eq!(state_dir::names(state_dir::dir_of(&path)).unwrap(), ["10-podhosts.conflist"]);
        assert!(remove(&path).unwrap() && !remove(&path).unwrap());
    }

    #[test]
    fn only_what_engines_read_before_it_stands_in_its_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("10-podhosts.conflist");
        for name in ["05-other.conflist.bak", ".podhosts-tmp.x", "20-later.conflist", "10-podhosts.conflist"]
        {
            state_dir::replace(&dir.path().join(name), b"{}").unwrap();
        }
        assert_eq!(earlier(&path), None);
        for name in ["10-a.conf", "09-other.json"] {
            state_dir::replace(&dir.path().join(name), b"{}").unwrap();
        }
        assert_eq!(earlier(&path), Some(dir.path().join("09-other.json")));
        // Another program's file of that name stays.
        assert!(!remove(&path).unwrap());
        assert_eq!(earlier(&dir.path().join("none/10-podhosts.conflist")), None);
    }
}

//! config.json, as far as podhosts reads it.
//!
//! Only what decides is decoded, so a value that podhosts does not need cannot break the hook. The wrapper edits the
//! text itself, so nothing of it is lost.

use std::path::Path;

use oci_spec::runtime::Root;
use serde::Deserialize;
use thiserror::Error;

use pod::annotations::Annotations;
use pod::json::{self, Object};
use sys::fs::files::{self, FileError, LastLink};

pub use oci_spec::runtime::Mount;

/// Largest config.json that is read, in bytes. Kubernetes allows a pod 256 KiB of annotations, which CRI-O
/// writes up to three times; the rest of a large bundle (seccomp, mounts, environment) stays under 1 MiB.
pub const CONFIG_MAX: usize = 4 << 20;
/// Name of the configuration in a bundle.
pub const CONFIG_JSON: &str = "config.json";

/// Reads the configuration of `bundle` called `name`, as a rule [`CONFIG_JSON`].
///
/// # Errors
/// [`FileError`] naming the file.
pub fn read(bundle: &Path, name: &Path) -> Result<Vec<u8>, FileError> {
    files::read(&bundle.join(name), CONFIG_MAX, LastLink::Follow)
}

/// The parts of config.json that decide about the hosts file. A `null` counts as absent, as in Go.
#[derive(Debug, Default, Deserialize)]
pub struct Config {
    root: Option<Object<Root>>,
    /// The name the runtime gives the container's UTS namespace.
    pub hostname: Option<String>,
    #[serde(default, deserialize_with = "json::objects")]
    mounts: Vec<Mount>,
    annotations: Option<Annotations>,
    linux: Option<Linux>,
}

/// A mount of `source`, if there is one, at `destination`.
pub fn mount(destination: &str, source: Option<&str>) -> Mount {
    let mut mount = Mount::default();
    mount.set_destination(destination.into()).set_source(source.map(Into::into));
    mount
}

/// The destination of a mount. JSON is UTF-8, so every path of a config.json is.
pub fn destination(mount: &Mount) -> &str {
    mount.destination().to_str().unwrap_or_default()
}

/// The source of a mount, a path on the node for a bind mount; empty where it has none.
pub(crate) fn source(mount: &Mount) -> &str {
    mount.source().as_deref().and_then(Path::to_str).unwrap_or_default()
}

/// Whether a mount shows a file or directory of the node. Runtimes take any type for a bind mount that `options` name.
pub(crate) fn is_bind(mount: &Mount) -> bool {
    let mut options = mount.options().iter().flatten();
    mount.typ().as_deref() == Some("bind") || options.any(|option| option == "bind" || option == "rbind")
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    mount_label: Option<String>,
    namespaces: Option<Vec<Namespace>>,
}

#[derive(Debug, Deserialize)]
struct Namespace {
    #[serde(rename = "type")]
    kind: String,
    path: Option<String>,
}

/// The network that `linux.namespaces` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkNamespace<'a> {
    /// The network of the process that runs the runtime.
    Runtimes,
    /// A new one, without any address.
    New,
    /// The one at this path.
    At(&'a str),
}

/// A config.json that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// Not UTF-8.
    #[error("cannot read config.json: it is not UTF-8")]
    NotUtf8,
    /// Not JSON, half-written, or a field of the wrong type.
    #[error("cannot read config.json: {0}")]
    Json(#[from] serde_json::Error),
    /// `root` or its path is missing.
    #[error("cannot use config.json: root.path is missing, expected the path of the root file system")]
    Root,
}

impl Config {
    /// Reads config.json.
    ///
    /// # Errors
    /// [`ConfigError`] naming the line and what was expected there.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        let text = str::from_utf8(json).map_err(|_| ConfigError::NotUtf8)?;
        let Object(config): Object<Self> = serde_json::from_str(text)?;
        match &config.root {
            Some(Object(root)) if !root.path().as_os_str().is_empty() => Ok(config),
            _ => Err(ConfigError::Root),
        }
    }

    /// The configuration of a container that has no bundle yet, as far as it decides about the hosts file.
    pub fn of(mounts: Vec<Mount>, annotations: Annotations) -> Self {
        Self { mounts, annotations: Some(annotations), ..Self::default() }
    }

    /// Path of the root file system, absolute or relative to the bundle.
    pub fn root_path(&self) -> &Path {
        self.root.as_ref().map_or(Path::new(""), |Object(root)| root.path())
    }

    /// All mounts, in order.
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// The sources of the mounts at `indices`.
    pub fn mount_sources(&self, indices: &[usize]) -> impl Iterator<Item = &Path> {
        let mounts = indices.iter().filter_map(|&index| self.mounts().get(index));
        mounts.map(|mount| Path::new(source(mount)))
    }

    /// Whether the container gets a /proc.
    pub fn mounts_proc(&self) -> bool {
        self.mounts().iter().any(|mount| destination(mount).trim_end_matches('/') == "/proc")
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// All annotations.
    pub fn annotations(&self) -> Option<&Annotations> {
        self.annotations.as_ref()
    }

    fn namespaces(&self) -> &[Namespace] {
        self.linux.as_ref().and_then(|linux| linux.namespaces.as_deref()).unwrap_or_default()
    }

    /// Whether the container has the host name of the runtime, which is the node's.
    pub(crate) fn has_nodes_hostname(&self) -> bool {
        !self.namespaces().iter().any(|namespace| namespace.kind == "uts")
    }

    /// The network that the container will be on.
    pub fn network_namespace(&self) -> NetworkNamespace<'_> {
        match self.namespaces().iter().find(|namespace| namespace.kind == "network") {
            None => NetworkNamespace::Runtimes,
            Some(network) => match network.path.as_deref().filter(|path| !path.is_empty()) {
                Some(path) => NetworkNamespace::At(path),
                None => NetworkNamespace::New,
            },
        }
    }

    /// The SELinux label for the container's mounts, if one is set.
    pub fn mount_label(&self) -> Option<&str> {
        self.linux.as_ref()?.mount_label.as_deref().filter(|label| !label.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_reads() {
        let json = br#"{"root":{"path":"rootfs","readonly":true},"hostname":"h",
            "mounts":[{"destination":"/proc","type":"proc"}],"annotations":{"a":"b"},
            "linux":{"mountLabel":"","namespaces":[{"type":"mount"}]},"unknown":[1e999]}"#;
        let config = Config::parse(json).unwrap();
        assert_eq!(config.root_path(), Path::new("rootfs"));
        assert_eq!(config.annotation("a"), Some("b"));
        assert_eq!(config.mount_label(), None);
        assert_eq!(config.mounts().len(), 1);
        assert!(config.mounts_proc());
        let nulls = br#"{"root":{"path":"/r"},"mounts":null,"annotations":null,"linux":null}"#;
        let config = Config::parse(nulls).unwrap();
        assert!(config.mounts().is_empty());
        assert_eq!(config.network_namespace(), NetworkNamespace::Runtimes);
    }

    #[test]
    fn the_network_it_asks_for() {
        for (namespaces, expected) in [
            (r#"[{"type":"mount"}]"#, NetworkNamespace::Runtimes),
            (r#"[{"type":"mount","path":"/m"},{"type":"network"}]"#, NetworkNamespace::New),
            (r#"[{"type":"network","path":""}]"#, NetworkNamespace::New),
            (r#"[{"type":"network","path":"/run/netns/a"}]"#, NetworkNamespace::At("/run/netns/a")),
        ] {
            let json = format!(r#"{{"root":{{"path":"r"}},"linux":{{"namespaces":{namespaces}}}}}"#);
            assert_eq!(Config::parse(json.as_bytes()).unwrap().network_namespace(), expected, "{json}");
        }
    }

    #[test]
    fn what_it_refuses() {
        for (json, expected) in [
            ("", "EOF"),
            ("{", "EOF"),
            ("{\"root\":{\"path\":\"rootfs\"}", "EOF"),
            ("{}", "root.path is missing"),
            ("{\"root\":null}", "root.path is missing"),
            ("{\"root\":{\"path\":\"\"}}", "root.path is missing"),
            ("{\"root\":{}}", "root.path is missing"),
            ("{\"root\":[\"r\"]}", "expected a JSON object"),
            ("{\"root\":{\"path\":\"r\"},\"mounts\":[[\"/d\"]]}", "expected a JSON object"),
            ("{\"root\":{\"path\":\"r\"},\"mounts\":[{\"source\":\"/s\"}]}", "missing field `destination`"),
            ("{\"root\":{\"path\":\"r\"},\"annotations\":{\"a\":1}}", "expected a string"),
            ("{\"root\":{\"path\":\"r\"},\"annotations\":[\"a\"]}", "expected a map"),
        ] {
            let error = Config::parse(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}

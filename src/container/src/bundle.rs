//! config.json, as far as podhosts reads it.
//!
//! Only what decides is decoded, so a value that podhosts does not need cannot break the hook. The wrapper edits the
//! text itself, so nothing of it is lost.

use std::path::Path;

use serde::Deserialize;
use thiserror::Error;

use pod::annotations::Annotations;
use pod::json::Object;
use sys::fs::files::{self, FileError, LastLink};

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
    /// The root file system.
    pub root: Option<Object<Root>>,
    /// The name the runtime gives the container's UTS namespace.
    pub hostname: Option<String>,
    /// All mounts, in order.
    mounts: Option<Vec<Mount>>,
    /// All annotations.
    annotations: Option<Annotations>,
    /// Linux' own part.
    linux: Option<Linux>,
}

/// `root`.
#[derive(Debug, Deserialize)]
pub struct Root {
    /// Path of the root file system, absolute or relative to the bundle.
    pub path: String,
}

/// One of `mounts`.
#[derive(Debug, Clone, Deserialize)]
pub struct Mount {
    /// Where it is mounted in the container.
    pub destination: String,
    /// What is mounted; a path on the node for a bind mount.
    pub source: Option<String>,
    /// The file system's type; runtimes take any for a bind mount that `options` name.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// How it is mounted.
    pub options: Option<Vec<String>>,
}

impl Mount {
    /// Whether it shows a file or directory of the node.
    pub fn is_bind(&self) -> bool {
        let mut options = self.options.iter().flatten();
        self.kind.as_deref() == Some("bind") || options.any(|option| option == "bind" || option == "rbind")
    }
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
    /// That of whoever runs the runtime.
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
            Some(Object(root)) if !root.path.is_empty() => Ok(config),
            _ => Err(ConfigError::Root),
        }
    }

    /// A configuration that is not written yet, as far as it decides about the hosts file.
    pub fn of(mounts: Vec<Mount>, annotations: Annotations) -> Self {
        Self { mounts: Some(mounts), annotations: Some(annotations), ..Self::default() }
    }

    /// Path of the root file system, absolute or relative to the bundle.
    pub fn root_path(&self) -> &str {
        self.root.as_ref().map_or("", |Object(root)| &root.path)
    }

    /// All mounts, in order.
    pub fn mounts(&self) -> &[Mount] {
        self.mounts.as_deref().unwrap_or_default()
    }

    /// The sources of the mounts at `indices`.
    pub fn mount_sources(&self, indices: &[usize]) -> impl Iterator<Item = &Path> {
        let mounts = indices.iter().filter_map(|&index| self.mounts().get(index));
        mounts.map(|mount| Path::new(mount.source.as_deref().unwrap_or_default()))
    }

    /// Whether the container gets a /proc.
    pub fn mounts_proc(&self) -> bool {
        self.mounts().iter().any(|mount| mount.destination.trim_end_matches('/') == "/proc")
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// All annotations.
    pub fn annotations(&self) -> Option<&Annotations> {
        self.annotations.as_ref()
    }

    /// The network that the container will be on.
    pub fn network_namespace(&self) -> NetworkNamespace<'_> {
        let namespaces =
            self.linux.as_ref().and_then(|linux| linux.namespaces.as_deref()).unwrap_or_default();
        match namespaces.iter().find(|namespace| namespace.kind == "network") {
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
        assert_eq!(config.root_path(), "rootfs");
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
            ("{\"root\":{\"path\":\"r\"},\"annotations\":{\"a\":1}}", "expected a string"),
            ("{\"root\":{\"path\":\"r\"},\"annotations\":[\"a\"]}", "expected a map"),
        ] {
            let error = Config::parse(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}

//! The node's configuration: `/etc/podhosts/config.toml`.

use std::net::IpAddr;
use std::path::Path;

use serde::Deserialize;
use thiserror::Error;

use pod::addresses::IpFamily;
use pod::env_names;
use pod::validation::dns::subdomain_errors;
use pod::validation::go_quote;
use sys::fs::files::{self, FileError, LastLink};

/// Path of the configuration.
pub const CONFIG_PATH: &str = "/etc/podhosts/config.toml";
/// Largest configuration that is read, in bytes.
const CONFIG_MAX: usize = 64 << 10;
/// Largest value of `node-hosts-max-bytes`.
pub const NODE_HOSTS_MAX: usize = 1 << 30;

/// The node's configuration. A key that is not listed here is an error.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NodeConfig {
    /// Whether a container starts without a sealed file when something is wrong.
    pub on_error: OnError,
    /// Whether `podhosts.io/seal: "false"` is honoured.
    pub allow_opt_out: bool,
    /// What happens to a container with a volume at /etc.
    pub etc_volume: EtcVolume,
    /// The cluster's DNS domain, as the kubelet's `clusterDomain`.
    pub cluster_domain: String,
    /// The family that comes first where the network namespace is the source of the addresses.
    pub primary_family: IpFamily,
    /// The node's own addresses, primary first, as the kubelet's `--node-ip`; empty for those the node uses towards
    /// its default routes.
    pub node_ips: Vec<IpAddr>,
    /// The kubelet's root directory, as its `--root-dir`.
    pub kubelet_root: String,
    /// The node's hosts file, for pods on the node's network.
    pub node_hosts: String,
    /// Largest size, in bytes, with which the node's hosts file is copied: each container on the node's network holds
    /// a copy in memory.
    pub node_hosts_max_bytes: usize,
    /// The hook's log.
    pub log: Log,
    /// The wrapper's own settings.
    pub runtime: Runtime,
    /// The environment variables that pods may ask for.
    pub env: Env,
}

/// What happens to a container when its file cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// It does not start (fail-closed).
    #[default]
    Closed,
    /// It starts without a sealed file (fail-open).
    Open,
}

impl OnError {
    /// Whether a container starts although its file cannot be sealed. It then needs the engine's mount at /etc/hosts,
    /// which is taken away where it does not start.
    pub fn lets_start(self) -> bool {
        self == Self::Open
    }
}

/// What happens to a container with a volume at /etc. No seal can hold there: a program that has the volume elsewhere can
/// unlink the file beneath the seal, and the seal goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EtcVolume {
    /// It is an error, as `on-error` handles it.
    #[default]
    Refuse,
    /// It is left alone, and reported as such.
    Skip,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Log {
    /// The file, one JSON object on each line; empty for no log.
    pub file: String,
    /// Size in bytes at which the file becomes `<file>.1`, of which there is one.
    pub max_bytes: u64,
}

/// `[runtime]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Runtime {
    /// Low-level runtimes in order of preference: names to find on PATH, or absolute paths.
    pub runtimes: Vec<String>,
    /// The hook's absolute path; by default `podhosts-hook` beside the wrapper.
    pub hook: Option<String>,
    /// Seconds after which the runtime kills the hook.
    pub hook_timeout: u32,
}

/// `[env]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Env {
    /// Names that pods may set by annotation beside the usual ones; `*` stands for any part of a name.
    pub allow: Vec<String>,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            on_error: OnError::default(),
            allow_opt_out: true,
            etc_volume: EtcVolume::default(),
            cluster_domain: "cluster.local".into(),
            primary_family: IpFamily::default(),
            node_ips: Vec::new(),
            kubelet_root: "/var/lib/kubelet".into(),
            node_hosts: "/etc/hosts".into(),
            node_hosts_max_bytes: 32 << 20,
            log: Log::default(),
            runtime: Runtime::default(),
            env: Env::default(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { file: "/var/log/podhosts/hook.log".into(), max_bytes: 1 << 20 }
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self { runtimes: vec!["runc".into(), "crun".into()], hook: None, hook_timeout: 10 }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum NodeConfigError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("cannot read {path}: {cause}")]
    Toml {
        /// The file.
        path: String,
        /// Line, key and what was expected, on one line.
        cause: String,
    },
    /// A value out of range.
    #[error("cannot use {path}: {key} is {}, expected {expected}", go_quote(.value))]
    Value {
        /// The file.
        path: String,
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it has to be.
        expected: &'static str,
    },
}

impl NodeConfig {
    /// Reads the configuration at `path`. Where there is no such file, every key has its default.
    ///
    /// # Errors
    /// [`NodeConfigError`] naming the file and the key.
    pub fn read(path: &Path) -> Result<Self, NodeConfigError> {
        match files::read_text_if_present(path, CONFIG_MAX, LastLink::Follow)? {
            Some(text) => Self::parse(&text, &path.display().to_string()),
            None => Ok(Self::default()),
        }
    }

    /// Reads the `text` of the file at `path`.
    ///
    /// # Errors
    /// [`NodeConfigError`] naming the key.
    pub fn parse(text: &str, path: &str) -> Result<Self, NodeConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let line = error
                .span()
                .map_or(1, |span| 1 + text.as_bytes()[..span.start].iter().filter(|b| **b == b'\n').count());
            let cause = format!("line {line}: {}", error.message().replace('\n', " "));
            NodeConfigError::Toml { path: path.to_owned(), cause }
        })?;
        config.check(path)?;
        Ok(config)
    }

    fn check(&self, path: &str) -> Result<(), NodeConfigError> {
        let wrong = |key, value: &str, expected| {
            Err(NodeConfigError::Value { path: path.to_owned(), key, value: value.to_owned(), expected })
        };
        if !subdomain_errors(&self.cluster_domain).is_empty() {
            return wrong("cluster-domain", &self.cluster_domain, "a DNS domain in lower case");
        }
        let hook = self.runtime.hook.as_deref().unwrap_or("/");
        let log = if self.log.file.is_empty() { "/" } else { &self.log.file };
        for (key, value) in [
            ("kubelet-root", self.kubelet_root.as_str()),
            ("node-hosts", &self.node_hosts),
            ("log.file", log),
            ("runtime.hook", hook),
        ] {
            if !value.starts_with('/') {
                return wrong(key, value, "an absolute path");
            }
        }
        if !(1..=NODE_HOSTS_MAX).contains(&self.node_hosts_max_bytes) {
            let value = self.node_hosts_max_bytes.to_string();
            return wrong("node-hosts-max-bytes", &value, "bytes, from 1 to 1073741824");
        }
        let is_pair = |ips: &[IpAddr]| ips.len() == 2 && ips[0].is_ipv4() != ips[1].is_ipv4();
        if self.node_ips.len() > 1 && !is_pair(&self.node_ips) {
            let ips: Vec<String> = self.node_ips.iter().map(ToString::to_string).collect();
            return wrong("node-ips", &ips.join(","), "one address, or one of each family");
        }
        if let Some(pattern) = self.env.allow.iter().find(|pattern| !env_names::is_pattern(pattern)) {
            return wrong("env.allow", pattern, "a variable's name, in which '*' stands for any part of it");
        }
        if self.runtime.hook_timeout == 0 {
            return wrong("runtime.hook-timeout", "0", "seconds, more than 0");
        }
        if self.runtime.runtimes.is_empty() {
            return wrong("runtime.runtimes", "", "at least one low-level runtime");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_all_keys() {
        assert_eq!(NodeConfig::parse("", "c").unwrap(), NodeConfig::default());
        let all = r#"
            on-error = "open"
            allow-opt-out = false
            etc-volume = "skip"
            cluster-domain = "k8s.example"
            primary-family = "IPv6"
            node-ips = ["2001:db8::1", "192.0.2.1"]
            kubelet-root = "/data/kubelet"
            node-hosts = "/etc/hosts.node"
            node-hosts-max-bytes = 1073741824
            [log]
            file = ""
            max-bytes = 4096
            [runtime]
            runtimes = ["/opt/crun"]
            hook = "/opt/podhosts-hook"
            hook-timeout = 3
            [env]
            allow = ["DD_AGENT_HOST", "APP_*"]
        "#;
        let config = NodeConfig::parse(all, "c").unwrap();
        assert_eq!((config.on_error, config.allow_opt_out), (OnError::Open, false));
        assert!(config.on_error.lets_start() && !OnError::default().lets_start());
        assert_eq!(config.etc_volume, EtcVolume::Skip);
        assert_eq!((config.primary_family, config.log.file.as_str()), (IpFamily::V6, ""));
        assert_eq!(config.runtime.hook.as_deref(), Some("/opt/podhosts-hook"));
        assert_eq!(config.env.allow, ["DD_AGENT_HOST", "APP_*"]);
        assert_eq!(config.node_hosts_max_bytes, NODE_HOSTS_MAX);
    }

    #[test]
    fn errors_name_the_key() {
        for (text, expected) in [
            ("on-eror = \"open\"", "cannot read c: line 1: unknown field `on-eror`"),
            ("\n[runtime]\nruntime = 1", "line 3: unknown field `runtime`"),
            ("on-error = \"maybe\"", "unknown variant `maybe`, expected `closed` or `open`"),
            ("on-error = ", "line 1:"),
            ("allow-opt-out = \"no\"", "expected a boolean"),
            ("cluster-domain = \"A b\"", "cannot use c: cluster-domain is \"A b\", expected a DNS domain"),
            ("node-hosts = \"hosts\"", "node-hosts is \"hosts\", expected an absolute path"),
            (
                "node-ips = [\"10.0.0.1\", \"10.0.0.2\"]",
                "node-ips is \"10.0.0.1,10.0.0.2\", expected one address, or",
            ),
            (
                "node-hosts-max-bytes = 0",
                "node-hosts-max-bytes is \"0\", expected bytes, from 1 to 1073741824",
            ),
            ("node-hosts-max-bytes = 1073741825", "node-hosts-max-bytes is \"1073741825\", expected bytes"),
            ("node-hosts-max-bytes = -1", "line 1: "),
            ("node-hosts-max-bytes = \"32Mi\"", "line 1: invalid type: string"),
            ("node-ips = [\"node\"]", "invalid IP address syntax"),
            ("[runtime]\nruntimes = []", "at least one"),
            ("[env]\nallow = [\"A B\"]", "env.allow is \"A B\", expected a variable's name, in which '*'"),
            ("[env]\nallow = [\"\"]", "env.allow is \"\""),
            ("[runtime]\nhook-timeout = 0", "hook-timeout is \"0\", expected seconds, more than 0"),
        ] {
            let error = NodeConfig::parse(text, "c").unwrap_err().to_string();
            assert!(error.contains(expected), "{error} lacks {expected}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}

//! The CNI configuration: which file the engines take, whether its plugins are there, whether ours can serve ADD.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::finding::Report;
use super::options::PATIENCE;
use super::programs::executable;
use crate::configure::network::is_network;
use records::{PLUGIN as PROGRAM, stores};
use sys::fs::files::{self, LastLink};
use sys::fs::state_dir;
use sys::process::programs;

const CHECK: &str = "cni";
/// Largest network configuration that is read, in bytes.
const CONFIG_MAX: usize = 1 << 20;
/// The plugin by which containerd sets the interface `lo` up.
const LOOPBACK: &str = "loopback";
/// The capability by which containerd hands the pod's annotations to CNI plugins.
const POD_ANNOTATIONS: &str = "io.kubernetes.cri.pod-annotations";

/// Where an engine looks for networks and plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paths {
    /// The engines that look there.
    pub engines: Vec<&'static str>,
    /// The directory of network configurations.
    pub conf_dir: PathBuf,
    /// The directories of plugins, in order.
    pub bin_dirs: Vec<PathBuf>,
    /// Whether an engine calls a plugin for the loopback interface beside those of the network.
    pub calls_loopback: bool,
}

impl Default for Paths {
    /// What containerd, CRI-O and podman agree on.
    fn default() -> Self {
        Self {
            engines: Vec::new(),
            conf_dir: "/etc/cni/net.d".into(),
            bin_dirs: vec!["/opt/cni/bin".into()],
            calls_loopback: false,
        }
    }
}

impl Paths {
    /// An engine's.
    pub(super) fn of(engine: &'static str, conf_dir: PathBuf, bin_dirs: Vec<PathBuf>) -> Self {
        Self { engines: vec![engine], conf_dir, bin_dirs, calls_loopback: false }
    }

    /// Adds these to `all`, in which each place is once.
    pub(super) fn add_to(self, all: &mut Vec<Self>) {
        let is_same = |other: &&mut Self| other.conf_dir == self.conf_dir && other.bin_dirs == self.bin_dirs;
        match all.iter_mut().find(is_same) {
            Some(other) => {
                other.engines.extend(self.engines);
                other.calls_loopback |= self.calls_loopback;
            }
            None => all.push(self),
        }
    }
}

/// A network configuration and the file it is in.
struct NetworkConfigList {
    path: PathBuf,
    name: String,
    version: Value,
    plugins: Vec<Value>,
}

/// Looks at the network that engines with these paths take: the first file by name.
pub(crate) fn check(paths: &Paths, report: &mut Report) {
    let networks = match networks(&paths.conf_dir) {
        Ok(networks) => networks,
        Err((fault, remedy)) => return report.error(CHECK, fault, remedy),
    };
    let Some(first) = networks.first() else {
        let message = format!("{} has no network configuration", paths.conf_dir.display());
        return report.skipped(CHECK, message);
    };
    let shown = first.path.display();
    if !has_ours(first) {
        return match networks.iter().find(|network| has_ours(network)) {
            None => report.skipped(CHECK, format!("{shown}, the first by name, does not use {PROGRAM}")),
            Some(ours) => {
                let message =
                    format!("engines take {shown}, the first by name, and not {}", ours.path.display());
                report.warning(
                    CHECK,
                    message,
                    format!("rename {} so that it comes first", ours.path.display()),
                );
            }
        };
    }
    let before = report.checks.len();
    plugins(first, paths, report);
    annotations(first, report);
    if report.checks.len() == before {
        status(first, paths, report);
    }
}

/// Looks whether the packet filter has what the pods on this node need: anybody may empty it (`nft flush ruleset`).
pub(crate) fn packet_filter(report: &mut Report) {
    const CHECK: &str = "packet-filter";
    match stores::missing_rules() {
        Ok(None) => report.skipped(CHECK, format!("no pod of {PROGRAM} runs here that needs it")),
        Ok(Some(missing)) => match missing.split_first() {
            None => report.ok(CHECK, "the tables podhosts have what the pods need"),
            Some((first, rest)) => {
                let more = if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) };
                let message = format!(
                    "missing in the packet filter: {first}{more}; pods may be unchecked, unreachable or cut off"
                );
                let remedy = format!(
                    "start or remove a pod, with which {PROGRAM} makes its tables anew, and keep others from \
                     removing them (nft flush ruleset)"
                );
                report.error(CHECK, message, remedy);
            }
        },
        Err(error) => {
            report.error(CHECK, error.to_string(), "load nf_tables, or run podhosts doctor as root")
        }
    }
}

/// Whether the network that engines with these paths take is podhosts'.
pub(crate) fn has_our_network(paths: &Paths) -> bool {
    networks(&paths.conf_dir).is_ok_and(|networks| networks.first().is_some_and(has_ours))
}

/// Whether the programs of all plugins are there.
fn plugins(network: &NetworkConfigList, paths: &Paths, report: &mut Report) {
    let shown = network.path.display();
    let is_there = |plugin: &str| paths.bin_dirs.iter().any(|dir| executable(&dir.join(plugin)).is_ok());
    let dirs: Vec<String> = paths.bin_dirs.iter().map(|dir| dir.display().to_string()).collect();
    let dirs = dirs.join(", ");
    if paths.calls_loopback && !is_there(LOOPBACK) {
        let message = format!(
            "containerd calls the plugin {LOOPBACK} with each network, and it is no program in {dirs}"
        );
        let remedy = "install the reference plugins (Debian: containernetworking-plugins, in /usr/lib/cni)";
        report.error(CHECK, message, remedy);
    }
    for plugin in network.plugins.iter().flat_map(types) {
        if !is_there(plugin) {
            let whose = match paths.engines.as_slice() {
                [] => "engines look".to_owned(),
                [engine] => format!("{engine} looks"),
                engines => format!("{} look", engines.join(" and ")),
            };
            let message = format!(
                "{shown} names the plugin {plugin}, which is no program in {dirs}, where {whose} for plugins"
            );
            let remedy = if plugin == PROGRAM {
                let first = paths.bin_dirs.first().map(|dir| dir.display().to_string());
                format!("make install CNI_BIN_DIR={}", first.unwrap_or_default())
            } else {
                format!("install the plugin {plugin}, or take it out of the list")
            };
            report.error(CHECK, message, remedy);
        }
    }
}

/// Whether our plugin is told the pods' annotations.
fn annotations(network: &NetworkConfigList, report: &mut Report) {
    let gets_annotations = |plugin: &Value| plugin["capabilities"][POD_ANNOTATIONS] == true;
    if !network.plugins.iter().filter(|plugin| is_ours(plugin)).any(gets_annotations) {
        let message = format!(
            "{} does not give {PROGRAM} the pods' annotations, so they are not in its records",
            network.path.display()
        );
        let remedy = format!("add \"capabilities\": {{\"{POD_ANNOTATIONS}\": true}} to the plugin");
        report.warning(CHECK, message, remedy);
    }
}

/// Asks the plugin itself whether it could connect a pod.
fn status(network: &NetworkConfigList, paths: &Paths, report: &mut Report) {
    let shown = network.path.display();
    let Some(ours) = network.plugins.iter().find(|plugin| is_ours(plugin)) else { return };
    let Some(program) =
        paths.bin_dirs.iter().map(|dir| dir.join(PROGRAM)).find(|path| executable(path).is_ok())
    else {
        return;
    };
    let mut config = ours.clone();
    config["name"] = network.name.clone().into();
    // STATUS came with this version.
    config["cniVersion"] = json!("1.1.0");
    let asked =
        programs::run(&program, &[], &[("CNI_COMMAND", "STATUS")], config.to_string().as_bytes(), PATIENCE);
    let run = match asked {
        Ok(run) => run,
        Err(cause) => {
            let message = format!("cannot run {}: {cause}", program.display());
            return report.error(CHECK, message, "make install, or the package again");
        }
    };
    if run.status.success() {
        let message = format!("{shown}: network {}, CNI {}", network.name, network.version);
        return report.ok(CHECK, message);
    }
    let answer: Value = serde_json::from_slice(&run.stdout).unwrap_or_default();
    let said = answer["msg"].as_str().map_or_else(|| run.last_error_line(), str::to_owned);
    let remedy = match answer["code"].as_u64() {
        Some(50) => "add a podCIDR, or remove pods; podhosts list shows who has addresses",
        _ => "correct the configuration; docs/messages.md has the message",
    };
    report.error(CHECK, format!("{shown}: {said}"), remedy);
}

/// The networks in a directory, by the names of their files. Engines read up to the first one and no further, so what
/// cannot be read behind it is passed over.
fn networks(dir: &Path) -> Result<Vec<NetworkConfigList>, (String, String)> {
    let unreadable = |cause: String| (cause, "make it readable, or take it out of the directory".to_owned());
    let mut names = state_dir::names(dir).map_err(|error| unreadable(error.to_string()))?;
    names.retain(|name| is_network(Path::new(name)));
    names.sort_unstable();
    let mut networks = Vec::new();
    for name in names {
        let path = dir.join(name);
        let text = files::read(&path, CONFIG_MAX, LastLink::Follow);
        let read = text.map_err(|error| unreadable(error.to_string())).and_then(|text| {
            network(&path, &text).map_err(|cause| {
                let message = format!("cannot read {}: {cause}", path.display());
                (message, "correct the file or take it away: engines read no network behind it".to_owned())
            })
        });
        match read {
            Ok(network) => networks.push(network),
            Err(fault) if networks.is_empty() => return Err(fault),
            Err(_) => {}
        }
    }
    Ok(networks)
}

fn network(path: &Path, text: &[u8]) -> Result<NetworkConfigList, String> {
    let value: Value = serde_json::from_slice(text).map_err(|cause| cause.to_string())?;
    let name = value["name"].as_str().ok_or("name is missing, expected the network's name")?.to_owned();
    let plugins = match &value["plugins"] {
        Value::Array(plugins) => plugins.clone(),
        Value::Null => vec![value.clone()],
        _ => return Err("plugins is no list".to_owned()),
    };
    let version = value.get("cniVersions").unwrap_or(&value["cniVersion"]).clone();
    Ok(NetworkConfigList { path: path.to_owned(), name, version, plugins })
}

/// The programs that a plugin's configuration names.
fn types(plugin: &Value) -> impl Iterator<Item = &str> {
    let ipam = plugin["ipam"]["type"].as_str();
    [plugin["type"].as_str(), ipam].into_iter().flatten()
}

fn is_ours(plugin: &Value) -> bool {
    types(plugin).any(|name| name == PROGRAM)
}

fn has_ours(network: &NetworkConfigList) -> bool {
    network.plugins.iter().any(is_ours)
}

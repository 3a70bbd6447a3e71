//! The pods' network by podhosts-cni, as the engine's CNI configuration.

use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::engines::containerd::reader::Containerd;
use crate::engines::crio::Crio;
use crate::engines::engine::Engine;
use crate::engines::error::{ConfigureError, EngineError};
use crate::engines::files::Files;
use crate::engines::names::PLUGIN;
use crate::engines::podman::{Podman, plan};
use crate::engines::setup::{Place, Setup};
use sys::process::exec;

/// The list's file. Engines take the first by name.
pub(crate) const LIST: &str = "10-podhosts.conflist";

/// The delivered list.
const DELIVERED: &str = include_str!("../../../../vendor-configs/cni/10-podhosts.conflist");

/// Whether engines take a file for a network, by its name.
pub(crate) fn is_network(path: &Path) -> bool {
    path.extension().is_some_and(|suffix| matches!(suffix.to_str(), Some("conf" | "conflist" | "json")))
}

pub(crate) fn plan(files: &mut Files, setup: &Setup, notes: &mut Vec<String>) -> Result<(), ConfigureError> {
    let (dir, bin_dirs) = dirs(files, setup)?;
    if !bin_dirs.iter().any(|dir| exec::program(&dir.join(PLUGIN)).is_ok()) {
        let shown: Vec<String> = bin_dirs.iter().map(|dir| dir.display().to_string()).collect();
        return Err(
            setup.refused(format!("{PLUGIN} is in none of its plugin directories, {}", shown.join(", ")))
        );
    }
    if setup.pod_cidrs_of_node {
        return of_node(files, setup, &dir, notes);
    }
    let path = dir.join(LIST);
    files.put(&path, list(&path, &setup.pod_cidrs, &setup.last_pod_cidrs, |reason| setup.refused(reason))?);
    if let Some(first) = files.in_dir(&dir)?.into_iter().find(|path| is_network(path))
        && first != path
        && setup.place.engine != Engine::Podman
    {
        notes.push(format!("{} comes before {LIST}, and the engine uses the first", first.display()));
    }
    Ok(())
}

/// What containerd makes of its template, in the directory of its CNI configuration.
pub(crate) const MADE: &str = "10-containerd-net.conflist";

/// The Node's podCIDRs, in the words of Go's templates, which containerd fills in.
const OF_NODE: &str = r#"[{{range $i, $cidr := .PodCIDRRanges}}{{if $i}}, {{end}}"{{$cidr}}"{{end}}]"#;

/// Plans the template. containerd makes the network of it when the kubelet tells it the Node's podCIDRs, and only where
/// there is none.
fn of_node(
    files: &mut Files,
    setup: &Setup,
    dir: &Path,
    notes: &mut Vec<String>,
) -> Result<(), ConfigureError> {
    if !setup.place.engine.is_containerd() {
        let reason = "only containerd has a template for the kubelet's podCIDRs".to_owned();
        return Err(ConfigureError::Option { option: "--pod-cidr-from", reason });
    }
    let text = with_cidrs(DELIVERED, OF_NODE).unwrap_or_default();
    files.put(&setup.place.network_template(), text);
    let made = dir.join(MADE);
    // A network that containerd has made already stays.
    if let Some(text) = Files::on_disk(&made)?.filter(|text| is_of_plugin(text)) {
        files.put(&made, text);
    }
    if let Some(first) = files.in_dir(dir)?.into_iter().find(|path| is_network(path) && *path != made) {
        notes.push(format!(
            "{} is there: containerd makes no network of the Node's podCIDRs beside it",
            first.display()
        ));
    }
    Ok(())
}

/// Plans to take out what containerd has made of our template.
pub(crate) fn take_made_out(files: &mut Files, place: &Place) -> Result<(), EngineError> {
    let made = Containerd::read(&Files::new(), &place.config, None)?.cni_conf_dir()?.join(MADE);
    if files.read(&made)?.is_some_and(|text| is_of_plugin(&text)) {
        files.remove(&made);
    }
    Ok(())
}

/// Whether `now`, the list's text, is no longer the one that configure wrote but the one that podhosts-node writes, by what
/// the agent itself goes by (`remove` in src/node/src/network/conflist.rs).
pub(crate) fn is_of_agent(now: &str, written: &str) -> bool {
    now != written
        && serde_json::from_str(now).is_ok_and(|list: Value| {
            let plugin = &list["plugins"][0];
            list["name"] == "podhosts" && plugin["type"] == PLUGIN && plugin["ipMasq"] == false
        })
}

/// The note on a list that stays because podhosts-node keeps it.
pub(crate) fn agents_list(path: &Path) -> String {
    format!("{} stays: podhosts-node keeps it, and podhosts-node --cleanup removes it", path.display())
}

/// Whether a list runs our plugin.
fn is_of_plugin(text: &str) -> bool {
    serde_json::from_str(text).is_ok_and(|list: Value| {
        list["plugins"]
            .as_array()
            .is_some_and(|plugins| plugins.iter().any(|plugin| plugin["type"] == PLUGIN))
    })
}

/// Where the engine has its CNI configuration, and where its plugins.
fn dirs(files: &Files, setup: &Setup) -> Result<(PathBuf, Vec<PathBuf>), EngineError> {
    let place = &setup.place;
    match place.engine {
        Engine::Containerd | Engine::K3s | Engine::Rke2 => {
            let engine = Containerd::read(files, &place.config, setup.version)?;
            Ok((engine.cni_conf_dir()?, engine.cni_bin_dirs()?))
        }
        Engine::Crio => {
            let engine = Crio::read(files, &place.config, place.drop_ins())?;
            Ok((engine.cni_conf_dir()?, engine.cni_bin_dirs()?))
        }
        Engine::Podman => {
            let engine = Podman::read(files, &plan::places(place, setup.version))?;
            Ok((engine.cni_conf_dir()?, engine.cni_bin_dirs()?))
        }
    }
}

/// The list's text. A list that is there already, which is the node's own, stays, but for its addresses where others are
/// given. One that is gone is made with the addresses of the `last` call.
fn list(
    path: &Path,
    cidrs: &[String],
    last: &[String],
    refused: impl Fn(String) -> ConfigureError,
) -> Result<String, ConfigureError> {
    let there = Files::on_disk(path)?;
    if let Some(text) = &there {
        if !is_of_plugin(text) {
            return Err(refused(format!("{} is there already, and no list of {PLUGIN}'s", path.display())));
        }
        if cidrs.is_empty() {
            return Ok(text.clone());
        }
    }
    let cidrs = if cidrs.is_empty() { last } else { cidrs };
    let mut shown = Vec::new();
    for cidr in cidrs {
        match cidr.parse::<IpNet>() {
            Ok(net) if net.trunc() == net => shown.push(format!("\"{net}\"")),
            _ => {
                let reason = format!("{cidr:?} is no network address, expected one as 10.244.0.0/24");
                return Err(ConfigureError::Option { option: "--pod-cidr", reason });
            }
        }
    }
    if cidrs.is_empty() {
        let reason =
            "the node's podCIDRs are not known, expected --pod-cidr, or --pod-cidr-from node".to_owned();
        return Err(ConfigureError::Option { option: "--with-cni", reason });
    }
    with_cidrs(there.as_deref().unwrap_or(DELIVERED), &format!("[{}]", shown.join(", ")))
        .ok_or_else(|| refused(format!("{} has no ipam.podCIDRs that --pod-cidr could set", path.display())))
}

/// A list of plugins, each as it is written.
#[derive(Deserialize)]
struct Plugins<'a> {
    #[serde(borrow)]
    plugins: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Plugin<'a> {
    r#type: String,
    #[serde(borrow)]
    ipam: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Ipam<'a> {
    #[serde(borrow, rename = "podCIDRs")]
    pod_cidrs: &'a RawValue,
}

/// The podCIDRs of our plugin in a list, as they are written.
fn written_cidrs(text: &str) -> Option<&str> {
    let Plugins { plugins } = serde_json::from_str(text).ok()?;
    let mut plugins =
        plugins.into_iter().filter_map(|plugin| serde_json::from_str::<Plugin>(plugin.get()).ok());
    let ours = plugins.find(|plugin| plugin.r#type == PLUGIN)?;
    Some(serde_json::from_str::<Ipam>(ours.ipam?.get()).ok()?.pod_cidrs.get())
}

/// The podCIDRs of our plugin in a list; none where they cannot be told.
pub(crate) fn cidrs(text: &str) -> Vec<String> {
    written_cidrs(text).and_then(|cidrs| serde_json::from_str(cidrs).ok()).unwrap_or_default()
}

/// Replaces the podCIDRs of our plugin in a list, and keeps everything else.
fn with_cidrs(text: &str, cidrs: &str) -> Option<String> {
    let old = written_cidrs(text)?;
    let start = old.as_ptr().addr() - text.as_ptr().addr();
    Some([&text[..start], cidrs, &text[start + old.len()..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(path: &Path, cidrs: &[&str]) -> Result<String, String> {
        let cidrs: Vec<String> = cidrs.iter().map(|&cidr| cidr.to_owned()).collect();
        let refused = |reason| ConfigureError::Refused { engine: "e", reason };
        list(path, &cidrs, &[], refused).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_are_the_given_ones_or_those_that_are_there_or_the_delivered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(LIST);
        let unknown = "cannot use --with-cni: the node's podCIDRs are not known, expected --pod-cidr, or --pod-cidr-from node";
        assert_eq!(made(&path, &[]).unwrap_err(), unknown);
        let own = made(&path, &["10.1.0.0/16", "2001:db8::/64"]).unwrap();
        assert!(own.contains(r#""podCIDRs": ["10.1.0.0/16", "2001:db8::/64"]"#), "{own}");
        sys::fs::state_dir::replace(&path, own.as_bytes()).unwrap();
        assert_eq!(made(&path, &[]).unwrap(), own);
        let others = own.replace("routed", "bridge").replace("\"podhosts\"", "\"pods\"");
        sys::fs::state_dir::replace(&path, others.as_bytes()).unwrap();
        let with_others = others.replace(r#"["10.1.0.0/16", "2001:db8::/64"]"#, r#"["10.2.0.0/16"]"#);
        assert_eq!(made(&path, &["10.2.0.0/16"]).unwrap(), with_others);
        for wrong in ["10.1.0.1/16", "x", "10.1.0.0", "10.1.0.0/33\n"] {
            let error = made(&path, &[wrong]).unwrap_err();
            assert!(error.starts_with("cannot use --pod-cidr: ") && !error.contains('\n'), "{error}");
        }
        for ipam in ["", r#", "ipam": {"ranges": []}"#] {
            let list = format!(r#"{{"plugins": [{{"type": "podhosts-cni"{ipam}}}]}}"#);
            sys::fs::state_dir::replace(&path, list.as_bytes()).unwrap();
            let error = made(&path, &["10.1.0.0/16"]).unwrap_err();
            assert!(
                error.ends_with("10-podhosts.conflist has no ipam.podCIDRs that --pod-cidr could set"),
                "{error}"
            );
        }
        sys::fs::state_dir::replace(&path, b"{\"plugins\":[{\"type\":\"bridge\"}]}").unwrap();
        assert!(made(&path, &[]).unwrap_err().ends_with("is there already, and no list of podhosts-cni's"));
    }
}

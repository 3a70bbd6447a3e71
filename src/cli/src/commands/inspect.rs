//! `podhosts inspect`: what podhosts did for a container, as the container itself and its bundle show it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use container::bundle::{self, CONFIG_JSON};
use container::container_pod::ContainerPod;
use container::decision::{Decision, HOSTS_FILE_MAX};
use container::node_config::NodeConfig;
use container::programs::MOUNT_SOURCE;
use pod::addresses::Source;
use pod::validation::{printable, printable_json, printable_lines};
use sys::container::rootfs::HostsView;

use super::args::InspectArgs;
use crate::inspect::mountinfo::MountInfo;
use crate::inspect::runtime_state;
use crate::inspect::runtime_state::RuntimeState;

/// Everything there is to say.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    container: ContainerReport,
    sealed: bool,
    /// Why it is not sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<PodReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_source: Option<Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mount: Option<MountInfo>,
    /// The file as the container reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hosts_file: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct ContainerReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PodReport {
    engine: &'static str,
    namespace: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(rename = "sandboxID", skip_serializing_if = "Option::is_none")]
    sandbox_id: Option<String>,
}

pub(super) fn run(args: &InspectArgs) -> Result<Vec<u8>, Vec<String>> {
    let report = report(args).map_err(|error| vec![error])?;
    let text = if args.json {
        let json = serde_json::to_string_pretty(&report).map_err(|error| vec![error.to_string()])? + "\n";
        printable_json(&json).into_owned()
    } else {
        report.to_text()
    };
    Ok(text.into_bytes())
}

fn report(args: &InspectArgs) -> Result<Report, String> {
    let container = find(args)?;
    let mut report = Report::default();
    if let Some(pid) = container.pid {
        // A configuration that cannot be read is told with the bundle.
        let node = NodeConfig::read(&args.config).unwrap_or_default();
        let text_max = HOSTS_FILE_MAX + node.node_hosts_max_bytes;
        let view = HostsView::of_process(pid, text_max).map_err(|error| error.to_string())?;
        report.mount = MountInfo::find(&view.mountinfo, view.mount_id);
        report.hosts_file = view.text;
    }
    let source = report.mount.as_ref().and_then(|mount| mount.source.strip_prefix(MOUNT_SOURCE));
    report.address_source =
        source.and_then(|name| Source::ALL.into_iter().find(|source| source.name() == name));
    let writable = report.mount.as_ref().is_some_and(|mount| !mount.is_read_only_tmpfs());
    report.sealed = report.address_source.is_some() && !writable;
    // A bundle that cannot be read is a reason, and no reason to say nothing of the container.
    let decision = container.bundle.as_deref().map(|bundle| {
        let id = container.id.as_deref().unwrap_or_default();
        report.add_pod(bundle, id, args)
    });
    if report.address_source.is_some() && writable {
        report.reason = Some("the mount was made writable in the container".to_owned());
    } else if !report.sealed {
        report.reason = Some(match decision.transpose() {
            Ok(decision) => reason(&container, decision),
            Err(error) => error,
        });
    }
    report.container = container;
    Ok(report)
}

fn reason(container: &ContainerReport, decision: Option<Decision>) -> String {
    match (decision, container.pid, &container.bundle) {
        (Some(Decision::Skip(skip)), ..) => skip.to_string(),
        (Some(Decision::Seal(_)), Some(_), _) => {
            "the hook has not run, or failed with on-error = \"open\": see its log".to_owned()
        }
        (Some(Decision::Seal(_)), None, _) => "no running container has this bundle".to_owned(),
        (None, _, None) => {
            "podhosts mounted nothing at /etc/hosts; the bundle is not known, pass --root".to_owned()
        }
        (None, _, Some(_)) => "podhosts mounted nothing at /etc/hosts".to_owned(),
    }
}

/// Finds the container: by its process, its bundle, or its id.
fn find(args: &InspectArgs) -> Result<ContainerReport, String> {
    let roots = runtime_state::roots(args.root.as_deref());
    let given = args.container.as_str();
    // A container may be called like a number or a directory: its id goes first where a root is given.
    let by_id = || runtime_state::by_id(&roots, given);
    let known = if args.root.is_some() { by_id() } else { None };
    if let Some(state) = known {
        return Ok(state.into());
    }
    if let Ok(pid) = given.parse::<i32>() {
        let state = runtime_state::find(&roots, |state| state.pid == Some(pid));
        return Ok(state.map_or_else(|| ContainerReport { pid: Some(pid), ..Default::default() }, Into::into));
    }
    if Path::new(given).join(CONFIG_JSON).is_file() {
        let bundle =
            Path::new(given).canonicalize().map_err(|error| format!("cannot open {given}: {error}"))?;
        let state = runtime_state::find(&roots, |state| state.bundle == bundle);
        return Ok(
            state.map_or_else(|| ContainerReport { bundle: Some(bundle), ..Default::default() }, Into::into)
        );
    }
    by_id().map(Into::into).ok_or_else(|| {
        let looked = roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>().join(", ");
        format!("cannot find {given}: it is no pid, no bundle, and no container in {looked}")
    })
}

impl From<RuntimeState> for ContainerReport {
    fn from(state: RuntimeState) -> Self {
        Self { id: Some(state.id), pid: state.pid, bundle: Some(state.bundle) }
    }
}

impl Report {
    /// Adds the pod that the bundle tells; the decision is what podhosts would do with it now.
    fn add_pod(&mut self, bundle: &Path, id: &str, args: &InspectArgs) -> Result<Decision, String> {
        let node = NodeConfig::read(&args.config).map_err(|error| error.to_string())?;
        let json = bundle::read(bundle, Path::new(CONFIG_JSON)).map_err(|error| error.to_string())?;
        let pod =
            ContainerPod::read(&json, bundle, id, &sys::node_name()).map_err(|error| error.to_string())?;
        let decision = pod.decide(&node).map_err(|error| error.to_string())?;
        let identity = pod.identity;
        self.pod = Some(PodReport {
            engine: identity.engine.name(),
            namespace: identity.namespace,
            name: identity.name,
            uid: identity.uid,
            sandbox_id: identity.sandbox_id,
        });
        Ok(decision)
    }

    fn to_text(&self) -> String {
        let mut out = String::new();
        let mut row = |name: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name:<10} {}", printable(&value));
        };
        let ContainerReport { id, pid, bundle } = &self.container;
        row("container", id.as_deref().unwrap_or("(id not known)").to_owned());
        row("pid", pid.map_or_else(|| "(not running)".to_owned(), |pid| pid.to_string()));
        row("bundle", bundle.as_ref().map_or_else(|| "(not known)".to_owned(), |b| b.display().to_string()));
        if let Some(pod) = &self.pod {
            row("pod", format!("{}/{} ({})", pod.namespace, pod.name, pod.engine));
        }
        row(
            "sealed",
            self.reason.as_ref().map_or_else(|| "yes".to_owned(), |reason| format!("no: {reason}")),
        );
        if let Some(source) = self.address_source {
            row("addresses", format!("from {source}"));
        }
        if let Some(mount) = self.mount.as_ref().filter(|_| self.sealed) {
            row("mount", format!("{} {}, superblock {}", mount.fs_type, mount.options, mount.super_options));
        }
        if let Some(text) = &self.hosts_file {
            row("/etc/hosts", String::new());
            // The container may have written it.
            out.push_str(&printable_lines(text));
        }
        out
    }
}

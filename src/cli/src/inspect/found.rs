//! What podhosts did for a container, as the container itself and its bundle show it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use container::bundle::{self, CONFIG_JSON};
use container::container_pod::ContainerPod;
use container::decision::{Decision, HOSTS_FILE_MAX};
use container::node_config::NodeConfig;
use container::programs::MOUNT_SOURCE;
use pod::addresses::Source;
use sys::container::hosts_view::HostsView;

use crate::inspect::mountinfo::MountInfo;
use crate::inspect::runtime_state;
use crate::inspect::runtime_state::RuntimeState;

/// The container to look at.
#[derive(Debug)]
pub(crate) struct Query {
    /// A process id, a bundle's directory, or a container's id.
    pub(crate) container: String,
    /// The runtime's state directory, if it is not one of the usual.
    pub(crate) root: Option<PathBuf>,
    /// The node's configuration.
    pub(crate) config: PathBuf,
}

/// What podhosts did for a container.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Inspection {
    pub(crate) container: FoundContainer,
    pub(crate) sealed: bool,
    /// Why it is not sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pod: Option<FoundPod>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address_source: Option<Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mount: Option<MountInfo>,
    /// The file as the container reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hosts_file: Option<String>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct FoundContainer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bundle: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FoundPod {
    pub(crate) engine: &'static str,
    pub(crate) namespace: String,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uid: Option<String>,
    #[serde(rename = "sandboxID", skip_serializing_if = "Option::is_none")]
    pub(crate) sandbox_id: Option<String>,
}

/// Looks at a container.
///
/// # Errors
/// A message where there is no such container, or its process cannot be looked into.
pub(crate) fn inspect(query: &Query) -> Result<Inspection, String> {
    let container = find(query)?;
    let mut inspection = Inspection::default();
    if let Some(pid) = container.pid {
        // A configuration that cannot be read is told with the bundle.
        let node = NodeConfig::read(&query.config).unwrap_or_default();
        let text_max = HOSTS_FILE_MAX + node.node_hosts_max_bytes;
        let view = HostsView::of_process(pid, text_max).map_err(|error| error.to_string())?;
        inspection.mount = MountInfo::find(&view.mountinfo, view.mount_id);
        inspection.hosts_file = view.text;
    }
    let source = inspection.mount.as_ref().and_then(|mount| mount.source.strip_prefix(MOUNT_SOURCE));
    inspection.address_source =
        source.and_then(|name| Source::ALL.into_iter().find(|source| source.name() == name));
    let writable = inspection.mount.as_ref().is_some_and(|mount| !mount.is_read_only_tmpfs());
    inspection.sealed = inspection.address_source.is_some() && !writable;
    // A bundle that cannot be read is a reason, and no reason to say nothing of the container.
    let decision = container.bundle.as_deref().map(|bundle| {
        let id = container.id.as_deref().unwrap_or_default();
        inspection.add_pod(bundle, id, query)
    });
    if inspection.address_source.is_some() && writable {
        inspection.reason = Some("the mount was made writable in the container".to_owned());
    } else if !inspection.sealed {
        inspection.reason = Some(match decision.transpose() {
            Ok(decision) => reason(&container, decision),
            Err(error) => error,
        });
    }
    inspection.container = container;
    Ok(inspection)
}

fn reason(container: &FoundContainer, decision: Option<Decision>) -> String {
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
fn find(query: &Query) -> Result<FoundContainer, String> {
    let roots = runtime_state::roots(query.root.as_deref());
    let given = query.container.as_str();
    // A container may be called like a number or a directory: its id goes first where a root is given.
    let by_id = || runtime_state::by_id(&roots, given);
    let known = if query.root.is_some() { by_id() } else { None };
    if let Some(state) = known {
        return Ok(state.into());
    }
    if let Ok(pid) = given.parse::<i32>() {
        let state = runtime_state::find(&roots, |state| state.pid == Some(pid));
        return Ok(state.map_or_else(|| FoundContainer { pid: Some(pid), ..Default::default() }, Into::into));
    }
    if Path::new(given).join(CONFIG_JSON).is_file() {
        let bundle =
            Path::new(given).canonicalize().map_err(|error| format!("cannot open {given}: {error}"))?;
        let state = runtime_state::find(&roots, |state| state.bundle == bundle);
        return Ok(
            state.map_or_else(|| FoundContainer { bundle: Some(bundle), ..Default::default() }, Into::into)
        );
    }
    by_id().map(Into::into).ok_or_else(|| {
        let looked = roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>().join(", ");
        format!("cannot find {given}: it is no pid, no bundle, and no container in {looked}")
    })
}

impl From<RuntimeState> for FoundContainer {
    fn from(state: RuntimeState) -> Self {
        Self { id: Some(state.id), pid: state.pid, bundle: Some(state.bundle) }
    }
}

impl Inspection {
    /// Adds the pod that the bundle tells; the decision is what podhosts would do with it now.
    fn add_pod(&mut self, bundle: &Path, id: &str, query: &Query) -> Result<Decision, String> {
        let node = NodeConfig::read(&query.config).map_err(|error| error.to_string())?;
        let json = bundle::read(bundle, Path::new(CONFIG_JSON)).map_err(|error| error.to_string())?;
        let pod =
            ContainerPod::read(&json, bundle, id, &sys::node_name()).map_err(|error| error.to_string())?;
        let decision = pod.decide(&node).map_err(|error| error.to_string())?;
        let identity = pod.identity;
        self.pod = Some(FoundPod {
            engine: identity.dialect.name(),
            namespace: identity.namespace,
            name: identity.name,
            uid: identity.uid,
            sandbox_id: identity.sandbox_id,
        });
        Ok(decision)
    }
}

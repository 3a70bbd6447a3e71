//! The container engine: what it tells of its pods, now or last.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::kinds::CriEndpoint;
use crate::kinds::node;
use crate::kinds::pod::{Sandbox, Seen};
use cri::messages::{ContainerStatus, PodSandboxStatus, SANDBOX_READY, StatusResponse};
use cri::{Code, Connection, CriError};

/// Where engines listen by default, containerd and CRI-O.
const DEFAULTS: [&str; 2] = ["/run/containerd/containerd.sock", "/run/crio/crio.sock"];
/// The name of the engine that has events of its own.
const CONTAINERD: &str = "containerd";
/// Longest call. The first look at an engine that hangs delays the server's start that long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pauses with an engine that tells of changes: between the first looks, because events may have been missed, and
/// between those after an event, because containerd's own events come a moment before its CRI knows of the change.
const WITH_EVENTS: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(2)];
/// Pause between all later looks.
const SELDOM: Duration = Duration::from_secs(10);
/// Pause between looks at an engine that does not; the kubelet looks as often.
const POLL: Duration = Duration::from_secs(1);
/// First pause before an engine that is gone is looked for again; each is twice as long as the one before, up to [`POLL`].
const FIRST_PAUSE: Duration = Duration::from_millis(125);

/// An engine that answers.
#[derive(Debug)]
struct Link {
    connection: Connection,
    /// Waits for events. It ends with the connection, or if the engine has no events.
    events: JoinHandle<()>,
    /// The looks since the last event.
    looks: Arc<AtomicUsize>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.events.abort();
    }
}

/// The engine of this machine.
#[derive(Debug)]
pub(super) struct Engine {
    endpoint: CriEndpoint,
    /// Told of each event.
    changed: Arc<Notify>,
    link: Option<Link>,
    /// How often it was looked for in vain since it answered last.
    misses: u32,
    sandboxes: BTreeMap<String, PodSandboxStatus>,
    /// Each with the sandbox that it is in.
    containers: BTreeMap<String, (String, ContainerStatus)>,
    pub(super) seen: Seen,
    pub(super) shown: node::Engine,
}

impl Engine {
    pub(super) fn new(endpoint: CriEndpoint, changed: Arc<Notify>) -> Self {
        Self {
            endpoint,
            changed,
            link: None,
            misses: 0,
            sandboxes: BTreeMap::new(),
            containers: BTreeMap::new(),
            seen: Seen::default(),
            shown: node::Engine::default(),
        }
    }

    /// How long to wait before the next look, unless the engine tells of a change.
    pub(super) fn pause(&self) -> Duration {
        match &self.link {
            _ if self.endpoint == CriEndpoint::None => SELDOM,
            None => FIRST_PAUSE.saturating_mul(1 << self.misses.min(8)).min(POLL),
            Some(link) if link.events.is_finished() => POLL,
            Some(link) => {
                let looks = link.looks.load(Ordering::Relaxed).saturating_sub(1);
                WITH_EVENTS.get(looks).copied().unwrap_or(SELDOM)
            }
        }
    }

    /// Asks for everything that changed. While it does not answer, its last answer stays, since its containers go on.
    pub(super) async fn look(&mut self) {
        let done = match self.connect().await {
            Ok(true) => self.read().await.map(|()| true),
            other => other,
        };
        match done {
            Ok(true) => self.misses = 0,
            Ok(false) => self.miss(None),
            Err(error) => self.miss(Some(&error)),
        }
        self.seen.is_connected = self.link.is_some();
    }

    /// Notes that there is no answer. Without an `error` there is no engine to ask, which is no fault.
    fn miss(&mut self, error: Option<&CriError>) {
        self.link = None;
        self.misses = self.misses.saturating_add(1);
        let Some(error) = error else {
            self.shown.fault = None;
            return;
        };
        let fault = ("ContainerRuntimeDown", format!("container runtime is down: {error}"));
        if self.shown.fault.as_ref().is_none_or(|(reason, _)| *reason != fault.0) {
            tracing::warn!(cause = %error, "the container engine does not answer: its pods are shown as they were");
        }
        self.shown.fault = Some(fault);
    }

    /// Connects, unless it is connected; false if there is no engine to connect to.
    async fn connect(&mut self) -> Result<bool, CriError> {
        if self.link.is_some() {
            return Ok(true);
        }
        let sockets: Vec<PathBuf> = match &self.endpoint {
            CriEndpoint::None => return Ok(false),
            CriEndpoint::Socket(path) => vec![path.clone()],
            CriEndpoint::Auto => DEFAULTS.map(PathBuf::from).to_vec(),
        };
        let is_asked_for = matches!(self.endpoint, CriEndpoint::Socket(_));
        let mut fault = None;
        for socket in &sockets {
            match open(socket).await {
                Ok((connection, name, version)) => {
                    self.begin(connection, &name, &version);
                    return Ok(true);
                }
                Err(error) if is_asked_for || is_fault(socket, &error) => fault = fault.or(Some(error)),
                Err(error) => {
                    // An engine that was there once is missed.
                    let is_known = !self.shown.version.is_empty();
                    fault = fault.or(Some(error).filter(|_| is_known));
                }
            }
        }
        fault.map_or(Ok(false), Err)
    }

    fn begin(&mut self, connection: Connection, name: &str, version: &str) {
        tracing::info!(socket = %connection.path().display(), %name, %version, "asking the container engine for pods");
        let (changed, asked, looks) =
            (Arc::clone(&self.changed), connection.clone(), Arc::<AtomicUsize>::default());
        let (since, is_containerd) = (Arc::clone(&looks), name == CONTAINERD);
        let events = tokio::spawn(async move {
            let told = || {
                tracing::debug!("an event of the container engine");
                since.store(0, Ordering::Relaxed);
                changed.notify_one();
            };
            if let Err(error) = events(&asked, is_containerd, told).await {
                tracing::debug!(cause = %error, "no events of the container engine");
            }
            // It may have gone.
            changed.notify_one();
        });
        if self.seen.engine != name {
            // Another one: what the last one told is about other pods.
            (self.sandboxes, self.containers) = Default::default();
        }
        name.clone_into(&mut self.seen.engine);
        self.shown.version = format!("{name}://{version}");
        self.link = Some(Link { connection, events, looks });
    }

    async fn read(&mut self) -> Result<(), CriError> {
        let Some(link) = &self.link else { return Ok(()) };
        link.looks.fetch_add(1, Ordering::Relaxed);
        let connection = link.connection.clone();
        let fault = fault(&connection.status(false).await?);
        self.read_sandboxes(&connection).await?;
        self.read_containers(&connection).await?;
        let mut all: BTreeMap<&str, Sandbox> = BTreeMap::new();
        for (id, status) in &self.sandboxes {
            all.insert(id, Sandbox { status: status.clone(), containers: Vec::new() });
        }
        for (sandbox, container) in self.containers.values() {
            if let Some(sandbox) = all.get_mut(sandbox.as_str()) {
                sandbox.containers.push(container.clone());
            }
        }
        self.seen.sandboxes = all.into_values().collect();
        self.shown.fault = fault;
        Ok(())
    }

    /// Reads the sandboxes that are new or have another state; the rest of a sandbox does not change.
    async fn read_sandboxes(&mut self, connection: &Connection) -> Result<(), CriError> {
        let mut before = std::mem::take(&mut self.sandboxes);
        for listed in connection.sandboxes().await?.items {
            let known = before.remove(&listed.id).filter(|known| {
                let has_network = known.state != SANDBOX_READY || has_network(known);
                known.state == listed.state && has_network
            });
            let status = match known {
                Some(known) => Some(known),
                None => connection.sandbox(&listed.id).await?,
            };
            self.sandboxes.extend(status.map(|status| (listed.id, status)));
        }
        Ok(())
    }

    /// The same for containers.
    async fn read_containers(&mut self, connection: &Connection) -> Result<(), CriError> {
        let mut before = std::mem::take(&mut self.containers);
        for listed in connection.containers().await?.containers {
            let known = before.remove(&listed.id).filter(|(_, known)| known.state == listed.state);
            let found = match known {
                Some(known) => Some(known),
                None => {
                    let status = connection.container(&listed.id).await?;
                    status.map(|status| (listed.pod_sandbox_id, status))
                }
            };
            self.containers.extend(found.map(|found| (listed.id, found)));
        }
        Ok(())
    }
}

/// Whether its addresses are known, if it has any.
fn has_network(status: &PodSandboxStatus) -> bool {
    let sandbox = Sandbox { status: status.clone(), containers: Vec::new() };
    sandbox.is_on_host() || sandbox.addresses().next().is_some()
}

/// Calls `told` for each event, until there are no more.
async fn events(
    connection: &Connection,
    is_containerd: bool,
    mut told: impl FnMut() + Send,
) -> Result<(), CriError> {
    match connection.events(&mut told).await {
        Err(CriError::Call { code: Code::Unimplemented, .. }) if is_containerd => {
            connection.containerd_events(told).await
        }
        other => other,
    }
}

/// Connects; with the name and the version of the engine.
async fn open(socket: &Path) -> Result<(Connection, String, String), CriError> {
    let connection = Connection::open(socket, PATIENCE).await?;
    let version = connection.version().await?;
    Ok((connection, version.runtime_name, version.runtime_version))
}

/// Whether an engine at a default socket is broken, and not only absent or without the CRI (as Docker has containerd).
fn is_fault(socket: &Path, error: &CriError) -> bool {
    let has_no_cri = matches!(error, CriError::Call { code: Code::Unimplemented, .. });
    !has_no_cri && socket.exists()
}

/// Why it can start no pods, in the kubelet's words.
fn fault(answer: &StatusResponse) -> Option<(&'static str, String)> {
    let conditions = answer.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let texts = [("RuntimeReady", "container runtime"), ("NetworkReady", "container runtime network")];
    texts.iter().find_map(|(kind, what)| {
        let condition = conditions.iter().find(|condition| condition.r#type == *kind && !condition.status)?;
        let (reason, message) = (&condition.reason, &condition.message);
        let text = format!("{what} not ready: {kind}=false reason:{reason} message:{message}");
        Some(("ContainerRuntimeNotReady", text))
    })
}

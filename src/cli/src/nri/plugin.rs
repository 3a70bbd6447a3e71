//! The plugin's methods: the engine's calls and their answers.

use std::path::{Path, PathBuf};

use prost::Message as _;
use thiserror::Error;

use super::adjust::{AdjustError, New};
use super::error::ProtocolError;
use super::messages::{
    CREATE_CONTAINER, ConfigureRequest, ConfigureResponse, ContainerAdjustment, CreateContainerRequest,
    CreateContainerResponse, Empty, PLUGIN_SERVICE, SynchronizeRequest, SynchronizeResponse,
};
use super::ttrpc::{INVALID_ARGUMENT, Request, Status, UNIMPLEMENTED, UNKNOWN, decode};
use container::hook_log::{self, Entry, Outcome};
use container::identity::Dialect;
use container::node_config::NodeConfig;
use container::programs::{self, HookError};
use pod::validation::printable;
use sys::report::bounded;
use tracing::{debug, error, error_span, warn};

/// The plugin, with what it knows of the engine.
#[derive(Debug)]
pub struct Plugin {
    config: PathBuf,
    dialect: Option<Dialect>,
    /// The engine's name and version, once it told them.
    pub engine_name: String,
    /// Whether the engine has told all that it has: new containers are asked about from now on.
    pub is_synchronized: bool,
}

/// Why a container is not adjusted.
#[derive(Debug, Error)]
enum CreateError {
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error(transparent)]
    Adjust(#[from] AdjustError),
    #[error(transparent)]
    Hook(#[from] HookError),
}

impl Plugin {
    /// A plugin that reads the node's configuration at `config` anew for each container.
    pub fn new(config: &Path) -> Self {
        let (engine_name, is_synchronized) = (String::new(), false);
        Self { config: config.to_owned(), dialect: None, engine_name, is_synchronized }
    }

    /// Answers one call of the engine's.
    ///
    /// # Errors
    /// A status for the engine, which then does not create the container.
    pub fn call(&mut self, request: &Request) -> Result<Vec<u8>, Status> {
        if request.service != PLUGIN_SERVICE {
            return Err(Status::new(UNIMPLEMENTED, format!("service {}", request.service)));
        }
        let payload = &request.payload;
        match request.method.as_str() {
            "Configure" => self.configure(payload).map(|answer| answer.encode_to_vec()),
            "Synchronize" => self.synchronize(payload).map(|answer| answer.encode_to_vec()),
            "CreateContainer" => self.create_container(payload).map(|answer| answer.encode_to_vec()),
            // Nothing is kept of pods and containers, so nothing has to be done when they go.
            "Shutdown" | "StateChange" => Ok(Empty {}.encode_to_vec()),
            other => Err(Status::new(UNIMPLEMENTED, format!("method {other}"))),
        }
    }

    fn configure(&mut self, payload: &[u8]) -> Result<ConfigureResponse, Status> {
        let request: ConfigureRequest = decode(payload, "ConfigureRequest").map_err(invalid)?;
        self.dialect = match request.runtime_name.as_str() {
            "containerd" => Some(Dialect::Containerd),
            "cri-o" => Some(Dialect::CriO),
            other => {
                let message = format!("cannot serve engine {other:?}: expected containerd or cri-o");
                error!("{}", bounded(&message));
                return Err(Status::new(INVALID_ARGUMENT, message));
            }
        };
        self.engine_name = format!("{} {}", request.runtime_name, request.runtime_version);
        Ok(ConfigureResponse { events: CREATE_CONTAINER })
    }

    /// Pods and containers that are there already need nothing: the next container of such a pod is asked about with
    /// all that is known of the pod.
    fn synchronize(&mut self, payload: &[u8]) -> Result<SynchronizeResponse, Status> {
        let request: SynchronizeRequest = decode(payload, "SynchronizeRequest").map_err(invalid)?;
        self.is_synchronized = !request.more;
        Ok(SynchronizeResponse { more: request.more })
    }

    fn create_container(&self, payload: &[u8]) -> Result<CreateContainerResponse, Status> {
        let request = decode::<CreateContainerRequest>(payload, "CreateContainerRequest");
        let names = request.as_ref().map_or_else(|_| Names::default(), Names::of);
        // At the level that every filter but `off` lets through: the events of all levels name the container.
        let span = error_span!("container", pod = %printable(&names.pod), id = %printable(&names.container));
        span.in_scope(|| {
            self.adjust(request, &names).map(|adjust| CreateContainerResponse { adjust }).map_err(|error| {
                error!("{}", bounded(&error));
                Status::new(UNKNOWN, format!("podhosts: {}", printable(&error)))
            })
        })
    }

    /// The adjustment of one container, or why it may not be created.
    fn adjust(
        &self,
        request: Result<CreateContainerRequest, ProtocolError>,
        names: &Names,
    ) -> Result<Option<ContainerAdjustment>, String> {
        let dialect = self.dialect.ok_or("cannot serve before Configure")?;
        let node = NodeConfig::read(&self.config).map_err(|error| error.to_string())?;
        let adjusted =
            request.map_err(CreateError::from).and_then(|request| adjust(dialect, &request, &node, names));
        match adjusted {
            Ok(adjust) => Ok(adjust),
            Err(error) if !node.on_error.lets_start() => Err(error.to_string()),
            Err(error) => {
                let error = error.to_string();
                let message = format!("{}: left without a seal (on-error = \"open\"): {error}", names.pod);
                warn!("{}", bounded(&message));
                log(&node, Outcome::Open, names, &error);
                Ok(None)
            }
        }
    }
}

/// The names of a container, for people.
#[derive(Debug, Default)]
struct Names {
    /// `<namespace>/<name>`
    pod: String,
    /// The container's id.
    container: String,
}

impl Names {
    fn of(request: &CreateContainerRequest) -> Self {
        let pod = request.pod.as_ref().map(|pod| format!("{}/{}", pod.namespace, pod.name));
        let container = request.container.as_ref().map(|container| container.id.clone());
        Self { pod: pod.unwrap_or_default(), container: container.unwrap_or_default() }
    }
}

fn invalid(error: ProtocolError) -> Status {
    Status::new(INVALID_ARGUMENT, error.to_string())
}

/// Adds a line to the hook's log for a container that the hook never sees.
fn log(node: &NodeConfig, outcome: Outcome, names: &Names, reason: &str) {
    let entry = Entry::without_hook(outcome, &names.container, &names.pod, reason);
    hook_log::write(hook_log::open(node), &entry);
}

fn adjust(
    dialect: Dialect,
    request: &CreateContainerRequest,
    node: &NodeConfig,
    names: &Names,
) -> Result<Option<ContainerAdjustment>, CreateError> {
    let pod = request.pod.as_ref().ok_or(AdjustError::Missing("pod"))?;
    let container = request.container.as_ref().ok_or(AdjustError::Missing("container"))?;
    let new = New { dialect, pod, container };
    let sealing = match new.decide(node)? {
        Ok(sealing) => sealing,
        Err(skip) => {
            debug!("left alone: {skip}");
            log(node, Outcome::Skipped, names, &skip.to_string());
            return Ok(None);
        }
    };
    let hook = programs::hook_path(node)?;
    let hook = programs::utf8(&hook)?;
    debug!("the hook {hook} seals it");
    Ok(Some(if new.has_hook(hook) {
        sealing.annotations_only()
    } else {
        sealing.adjustment(hook, node.runtime.hook_timeout)
    }))
}

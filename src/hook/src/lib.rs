//! The createRuntime hook: from the state on stdin to the sealed file, one call for each stage.

mod error;
mod kubelet;
mod options;

pub use error::HookError;
pub use options::{Answer, Options};

use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use container::container_pod::{self, CONFIG_JSON, ContainerPod, InputError};
use container::decision::{Decision, HOSTS_FILE_MAX, Skip};
use container::hook_log::{self, Entry, Outcome};
use container::identity::Engine;
use container::node_config::NodeConfig;
use container::programs::MOUNT_SOURCE;
use container::state::{STATE_MAX, State};
use pod::addresses::Source;
use pod::kubelet_file::KubeletFile;
use pod::validation::ip::IpRules;
use pod::{Network, Pod};
use sys::container::capabilities;
use sys::container::engine_mounts::EngineMounts;
use sys::container::memory_cgroup;
use sys::container::netns;
use sys::container::process::Container;
use sys::container::rootfs::{RootFs, Target};
use sys::container::seal::{Content, Sealed};
use sys::fs::files::{self, FileError, LastLink};
use sys::report::{self, ExitCode};

/// Size above which what a pod adds to a hosts file is charged to the container's memory cgroup, in bytes. To enter a cgroup takes a
/// quarter of a millisecond here, and many the first time: a third of what the whole hook does with a usual file.
const CHARGED_ABOVE: usize = 64 << 10;

pub use container::programs::HOOK as PROGRAM;

/// What is known of a container as the hook goes on; it ends in the log.
#[derive(Debug, Default)]
struct Progress {
    container: String,
    pid: i32,
    pod: String,
    bytes: usize,
}

enum Done {
    Sealed(Source),
    Skipped(Skip),
}

/// Runs the hook with the state on `stdin`.
pub fn run(options: &Options, stdin: impl Read) -> ExitCode {
    let start = Instant::now();
    let node = match container_pod::node_config(&options.config) {
        Ok(node) => node,
        Err(error) => return refuse(&error.to_string()),
    };
    // Opened now: in the container's mount namespace the path may lead elsewhere.
    let log = hook_log::open(&node);
    let mut progress = Progress::default();
    let result = seal_container(&node, options, stdin, &mut progress);
    let (outcome, reason, code) = match result {
        Ok(Done::Sealed(source)) => (Outcome::Sealed, source.name().to_owned(), ExitCode::Success),
        Ok(Done::Skipped(skip)) => (Outcome::Skipped, skip.to_string(), ExitCode::Success),
        Err(error) if node.on_error.lets_start() => {
            report::complain(PROGRAM, &format!("started without a seal (on-error = \"open\"): {error}"));
            (Outcome::Open, error.to_string(), ExitCode::Success)
        }
        Err(error) => {
            report::complain(PROGRAM, &error.to_string());
            (Outcome::Failed, error.to_string(), ExitCode::Failure)
        }
    };
    hook_log::write(log, &progress.entry(outcome, reason, start.elapsed()));
    code
}

/// Ends the hook for an error in its own command line or configuration. crun keeps stderr to itself, so it goes to
/// the log as well: the default one, since no other is known.
pub fn refuse(error: &str) -> ExitCode {
    report::complain(PROGRAM, error);
    let nothing_known = Progress::default();
    let entry = nothing_known.entry(Outcome::Failed, error.to_owned(), Duration::ZERO);
    hook_log::write(hook_log::open(&NodeConfig::default()), &entry);
    ExitCode::Usage
}

impl Progress {
    fn entry(&self, outcome: Outcome, reason: String, elapsed: Duration) -> Entry<'_> {
        Entry {
            time: report::now().into(),
            container: self.container.as_str().into(),
            pid: self.pid,
            pod: self.pod.as_str().into(),
            outcome,
            reason: reason.into(),
            bytes: self.bytes,
            duration_us: report::micros(elapsed),
        }
    }
}

/// The whole flow. Everything is read and checked before the container is touched.
fn seal_container(
    node: &NodeConfig,
    options: &Options,
    stdin: impl Read,
    progress: &mut Progress,
) -> Result<Done, HookError> {
    // Before the first byte of what others wrote is read.
    let capabilities = capabilities::drop_others()?;
    let state = State::parse(&files::read_stream(stdin, Path::new("stdin"), STATE_MAX, 8192)?)?;
    progress.container.clone_from(&state.id);
    progress.pid = state.pid;
    let (bundle, json) = open_bundle(&state.bundle, options.config_json.as_deref())?;
    let inputs = ContainerPod::read(&json, &bundle, &state.id, &sys::node_name())?;
    progress.pod = inputs.display_name();
    let (replaced_mounts, kubelet_path) = match inputs.decide(node)? {
        Decision::Skip(skip) => return Ok(Done::Skipped(skip)),
        Decision::Seal { replaced_mounts, kubelet_file } => {
            (replaced_mounts, kubelet_file.map(PathBuf::from))
        }
    };
    // The wrapper has taken the kubelet's mount out of config.json and passes its source.
    let kubelet_path = kubelet_path.or_else(|| options.kubelet_hosts.clone());
    capabilities.expect_all()?;
    let container = Container::pin(state.pid)?;
    let node_hosts = read_node_hosts(node, &container)?;
    let read_kubelet = |path: &PathBuf| kubelet::read(path, node_hosts.as_deref(), node.node_hosts_max_bytes);
    let kubelet_file = kubelet_path.as_ref().map(read_kubelet).transpose()?;
    if let (Some(path), Some(file)) = (&kubelet_path, &kubelet_file) {
        kubelet::check_network(path, file, container.on_node_network)?;
        if let Some(pod) = &file.pod {
            kubelet::check_pod(path, pod, &inputs, &options.nri_pod_ips, &container)?;
        }
    }
    let root = RootFs::open(&bundle.join(inputs.config.root_path()))?;
    let file = hosts_file(node, options, &inputs, kubelet_file, node_hosts, &container)?;
    progress.bytes = file.bytes.len();
    let engine = EngineMounts {
        sources: inputs.config.mount_sources(&replaced_mounts).collect(),
        put_back: node.on_error.lets_start(),
    };
    seal(&file, &inputs, &engine, &container, &root)?;
    Ok(Done::Sealed(file.source))
}

/// crun has passed `/` for the bundle more than once; the current directory is the bundle then.
fn open_bundle(bundle: &Path, config_json: Option<&Path>) -> Result<(PathBuf, Vec<u8>), HookError> {
    let config_json = config_json.unwrap_or(Path::new(CONFIG_JSON));
    match container_pod::config_json(bundle, config_json) {
        Ok(json) => Ok((bundle.to_owned(), json)),
        Err(InputError::File(error)) if error.is_absent() && bundle == Path::new("/") => {
            let here = std::env::current_dir().unwrap_or_else(|_| bundle.to_owned());
            let json = container_pod::config_json(&here, config_json)?;
            Ok((here, json))
        }
        Err(error) => Err(error.into()),
    }
}

fn read_node_hosts(node: &NodeConfig, container: &Container) -> Result<Option<Vec<u8>>, HookError> {
    if !container.on_node_network {
        return Ok(None);
    }
    match files::read(Path::new(&node.node_hosts), node.node_hosts_max_bytes, LastLink::Follow) {
        Err(FileError::TooLarge { path, limit }) => Err(HookError::NodeHosts { path, limit }),
        other => Ok(Some(other?)),
    }
}

/// A rendered hosts file.
struct Rendered {
    bytes: Vec<u8>,
    source: Source,
    /// How many of the bytes are a copy of the node's own file: they are not of the pod's making.
    of_node: usize,
}

impl Rendered {
    fn of_pod(&self) -> usize {
        self.bytes.len() - self.of_node
    }
}

/// Renders the file from the first source that answers.
fn hosts_file(
    node: &NodeConfig,
    options: &Options,
    inputs: &ContainerPod,
    kubelet_file: Option<KubeletFile>,
    node_hosts: Option<Vec<u8>>,
    container: &Container,
) -> Result<Rendered, HookError> {
    let of_node = node_hosts.as_ref().map_or(0, Vec::len);
    let (bytes, source) = if let Some(file) = kubelet_file {
        (kubelet::render(&file, node_hosts), Source::Kubelet)
    } else {
        let pod = inputs.pod()?;
        let (network, source) = match node_hosts {
            Some(node_hosts) => (Network::Host(node_hosts), Source::Node),
            None => pod_addresses(node, options, inputs, container)?,
        };
        (render(inputs.identity.engine, &pod, &network, &node.cluster_domain)?, source)
    };
    let file = Rendered { bytes, source, of_node };
    if file.of_pod() > HOSTS_FILE_MAX {
        return Err(HookError::TooLarge(file.of_pod()));
    }
    Ok(file)
}

fn render(engine: Engine, pod: &Pod, network: &Network, cluster_domain: &str) -> Result<Vec<u8>, HookError> {
    let names = &pod.names;
    // A plain bundle need not name its pod, as long as it names what stands in the file. An engine's pod has a name, be
    // it an empty one.
    let given = [&names.hostname, &names.hostname_override, &names.engine_hostname];
    if engine == Engine::Plain && names.pod_name.is_empty() && given.into_iter().all(Option::is_none) {
        return Err(HookError::NoName);
    }
    pod.hosts_file(network, cluster_domain, IpRules::Strict).map_err(HookError::Pod)
}

fn pod_addresses(
    node: &NodeConfig,
    options: &Options,
    inputs: &ContainerPod,
    container: &Container,
) -> Result<(Network, Source), HookError> {
    let has_record = inputs.record.as_ref().is_some_and(|record| !record.pod_ips.is_empty());
    if !has_record && !options.nri_pod_ips.is_empty() {
        return Ok((Network::Pod(options.nri_pod_ips.clone()), Source::Nri));
    }
    let found = || netns::addresses(container).map_err(HookError::from);
    let (ips, source) = inputs.addresses(node, found)?;
    Ok((Network::Pod(ips), source))
}

/// Makes the sealed file, enters the container's mount namespace, attaches it and looks whether it is there.
fn seal(
    file: &Rendered,
    inputs: &ContainerPod,
    engine: &EngineMounts<'_>,
    container: &Container,
    root: &RootFs,
) -> Result<(), HookError> {
    if file.of_pod() > CHARGED_ABOVE {
        // Without that it is the engine's memory, as all of the hook's is. So is a large file of the node's: those who
        // set a container's limit know nothing of it.
        memory_cgroup::enter(container);
    }
    let mount_source = format!("{MOUNT_SOURCE}{}", file.source.name());
    let sealed = Sealed::new(Content {
        bytes: &file.bytes,
        source: &mount_source,
        mount_label: inputs.config.mount_label(),
        user_ns: container.user_namespace(),
    })?;
    container.join_mounts()?;
    let root = root.reopen()?;
    if inputs.config.mounts_proc() {
        root.expect_proc()?;
    }
    root.stop_propagation()?;
    let target = root.target(engine)?;
    attach(&sealed, &root, &target).inspect_err(|_| root.undo(&target))
}

fn attach(sealed: &Sealed, root: &RootFs, target: &Target) -> Result<(), HookError> {
    sealed.attach(target.file())?;
    let verified = root
        .resolve_hosts()
        .map_err(HookError::from)
        .and_then(|found| if sealed.is_at(found.as_fd())? { Ok(()) } else { Err(HookError::NotThere) });
    // Where a container may start without a seal, it must not start with one that nobody has seen at its place.
    verified.inspect_err(|_| sealed.detach())
}

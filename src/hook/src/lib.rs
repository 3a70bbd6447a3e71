//! The createRuntime hook: from the state on stdin to the sealed file, one call for each stage.

mod cluster;
mod error;
mod kubelet;
mod options;

pub use cluster::Disagreement;
pub use error::HookError;
pub use options::{Answer, Options};

use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::kubelet::KUBELET_TRIES;
use container::address_sources::PodAddresses;
use container::bundle::{self, CONFIG_JSON};
use container::container_pod::{ContainerPod, KnownNetwork};
use container::decision::{Decision, HOSTS_FILE_MAX, Skip};
use container::hook_log::{self, Entry, Outcome};
use container::identity::Dialect;
use container::node_config::NodeConfig;
use container::programs::MOUNT_SOURCE;
use container::reporter::Reporter;
use container::state::{STATE_MAX, State};
use pod::Network;
use pod::addresses::Source;
use pod::kubelet_file::KubeletFile;
use pod::validation::ip::IpRules;
use sys::container::capabilities;
use sys::container::engine_mounts::EngineMounts;
use sys::container::hosts_target::Target;
use sys::container::memory_cgroup;
use sys::container::netns;
use sys::container::process::Container;
use sys::container::rootfs::RootFs;
use sys::container::seal::{Content, Sealed};
use sys::fs::files::{self, FileError, LastLink};
use sys::report::{self, ExitCode};

/// Size above which what a pod adds to a hosts file is charged to the container's memory cgroup, in bytes. To enter a cgroup takes a
/// quarter of a millisecond here, and many the first time: a third of what the whole hook does with a usual file.
const CHARGED_ABOVE: usize = 64 << 10;

pub use container::programs::HOOK as PROGRAM;

/// The facts about a container that the hook has found so far, for the log.
#[derive(Debug, Default)]
struct Progress {
    container: String,
    pid: i32,
    pod: String,
    bytes: usize,
}

enum Done {
    /// From this source; and why the kubelet's file is not the source.
    Sealed(Source, Option<String>),
    Skipped(Skip),
}

/// Runs the hook with the state on `stdin`.
pub fn run(options: &Options, stdin: impl Read) -> ExitCode {
    let start = Instant::now();
    let node = match NodeConfig::read(&options.config) {
        Ok(node) => node,
        Err(error) => return refuse(&error.to_string()),
    };
    // Opened now: in the container's mount namespace the path may lead elsewhere.
    let log = hook_log::open(&node);
    let mut progress = Progress::default();
    let result = seal_container(&node, options, stdin, &mut progress);
    let (outcome, reason) = match result {
        Ok(Done::Sealed(source, None)) => (Outcome::Sealed, source.name().to_owned()),
        Ok(Done::Sealed(source, Some(unused))) => (Outcome::Sealed, format!("{} ({unused})", source.name())),
        Ok(Done::Skipped(skip)) => (Outcome::Skipped, skip.to_string()),
        Err(error) if node.on_error.lets_start() => (Outcome::Open, error.to_string()),
        Err(error) => (Outcome::Failed, error.to_string()),
    };
    let entry = progress.entry(outcome, &reason, start.elapsed());
    Reporter::new(PROGRAM, log).report(|| match outcome {
        Outcome::Open => entry.emit(&format!("started without a seal (on-error = \"open\"): {reason}")),
        _ => entry.emit(&reason),
    });
    if outcome == Outcome::Failed { ExitCode::Failure } else { ExitCode::Success }
}

/// Ends the hook for an error in its own command line or configuration. crun keeps stderr to itself, so it goes to
/// the log as well: the default one, since no other is known.
pub fn refuse(error: &str) -> ExitCode {
    let nothing_known = Progress::default();
    let entry = nothing_known.entry(Outcome::Failed, error, Duration::ZERO);
    Reporter::new(PROGRAM, hook_log::open(&NodeConfig::default())).report(|| entry.emit(error));
    ExitCode::Usage
}

impl Progress {
    fn entry<'a>(&'a self, outcome: Outcome, reason: &'a str, elapsed: Duration) -> Entry<'a> {
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
    // Before the first byte that others wrote is read.
    let capabilities = capabilities::drop_others()?;
    let state = State::parse(&files::read_stream(stdin, Path::new("stdin"), STATE_MAX, 8192)?)?;
    progress.container.clone_from(&state.id);
    progress.pid = state.pid;
    let (bundle, json) = open_bundle(&state.bundle, options.config_json.as_deref())?;
    let pod = ContainerPod::read(&json, &bundle, &state.id, &sys::node_name())?;
    progress.pod = pod.display_name();
    let seal = match pod.decide(node)? {
        Decision::Skip(skip) => return Ok(Done::Skipped(skip)),
        Decision::Seal(seal) => seal,
    };
    // The wrapper has taken the kubelet's mount out of config.json and passes its source.
    let kubelet_path = seal.kubelet_file.map(PathBuf::from).or_else(|| options.kubelet_hosts.clone());
    capabilities.expect_all()?;
    let container = Container::pin(state.pid)?;
    let node_hosts = read_node_hosts(node, &container)?;
    let known =
        Known { node, pod: &pod, container: &container, kubelet_path: kubelet_path.as_deref(), options };
    let file = known.hosts_file(node_hosts)?;
    let root = RootFs::open(&bundle.join(pod.config.root_path()))?;
    progress.bytes = file.bytes.len();
    let engine = EngineMounts {
        sources: pod.config.mount_sources(&seal.replaced_mounts).collect(),
        put_back: node.on_error.lets_start(),
    };
    attach_seal(&file, &pod, &engine, &container, &root)?;
    Ok(Done::Sealed(file.source, file.unused))
}

/// crun has passed `/` for the bundle more than once; the current directory is the bundle then.
fn open_bundle(bundle: &Path, config_json: Option<&Path>) -> Result<(PathBuf, Vec<u8>), HookError> {
    let config_json = config_json.unwrap_or(Path::new(CONFIG_JSON));
    match bundle::read(bundle, config_json) {
        Ok(json) => Ok((bundle.to_owned(), json)),
        Err(error) if error.is_absent() && bundle == Path::new("/") => {
            let here = std::env::current_dir().unwrap_or_else(|_| bundle.to_owned());
            let json = bundle::read(&here, config_json)?;
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

/// What the hook knows of a container that it is going to seal.
struct Known<'a> {
    node: &'a NodeConfig,
    pod: &'a ContainerPod,
    container: &'a Container,
    kubelet_path: Option<&'a Path>,
    options: &'a Options,
}

/// A rendered hosts file.
struct Rendered {
    bytes: Vec<u8>,
    source: Source,
    /// The length of the copy of the node's own file in it.
    of_node: usize,
    /// Why the kubelet's file is not the source, where the record of the cluster's pod is.
    unused: Option<String>,
}

impl Rendered {
    fn of_pod(&self) -> usize {
        self.bytes.len() - self.of_node
    }
}

impl Known<'_> {
    /// Renders the file from the first source that answers.
    fn hosts_file(&self, node_hosts: Option<Vec<u8>>) -> Result<Rendered, HookError> {
        let file = match &self.pod.cluster {
            Some(record) => self.of_cluster(record, node_hosts.as_deref())?,
            None => self.without_cluster(node_hosts)?,
        };
        if file.of_pod() > HOSTS_FILE_MAX {
            return Err(HookError::TooLarge(file.of_pod()));
        }
        Ok(file)
    }

    fn without_cluster(&self, node_hosts: Option<Vec<u8>>) -> Result<Rendered, HookError> {
        let kubelet =
            self.kubelet_path.map(|path| self.kubelet_file(path, node_hosts.as_deref())).transpose()?;
        let node_hosts = node_hosts.unwrap_or_default();
        let of_node = node_hosts.len();
        let network = self.network(kubelet.as_ref());
        let interfaces = || netns::addresses(self.container).map_err(HookError::from);
        let addresses = self.pod.addresses(self.node, network, interfaces)?;
        let source = addresses.source();
        let domain = &self.node.cluster_domain;
        let bytes = match addresses {
            PodAddresses::Kubelet(file) => kubelet::render(file, &node_hosts),
            PodAddresses::Node => render(self.pod, &Network::Host(node_hosts), domain)?,
            PodAddresses::Own(ips, _) => render(self.pod, &Network::Pod(ips), domain)?,
        };
        Ok(Rendered { bytes, source, of_node, unused: None })
    }

    /// The kubelet's file, in which everything that another source tells is what that source tells.
    fn kubelet_file(&self, path: &Path, node_hosts: Option<&[u8]>) -> Result<KubeletFile, HookError> {
        let file = kubelet::read(path, node_hosts, self.node.node_hosts_max_bytes, KUBELET_TRIES)?;
        kubelet::check_network(path, &file, self.container.on_node_network)?;
        if let Some(lines) = &file.pod {
            kubelet::check_pod(path, lines, self.pod, &self.options.nri_pod_ips, self.container)?;
        }
        Ok(file)
    }

    fn network<'b>(&'b self, kubelet: Option<&'b KubeletFile>) -> KnownNetwork<'b> {
        KnownNetwork {
            kubelet,
            on_node_network: self.container.on_node_network,
            nri_pod_ips: &self.options.nri_pod_ips,
        }
    }
}

fn render(pod: &ContainerPod, network: &Network, cluster_domain: &str) -> Result<Vec<u8>, HookError> {
    let dialect = pod.identity.dialect;
    let pod = pod.pod()?;
    let names = &pod.names;
    // A plain bundle need not name its pod if it names the host. An engine's pod has a name, be it an empty one.
    let given = [&names.hostname, &names.hostname_override, &names.engine_hostname];
    if dialect == Dialect::Plain && names.pod_name.is_empty() && given.into_iter().all(Option::is_none) {
        return Err(HookError::NoName);
    }
    pod.hosts_file(network, cluster_domain, IpRules::Strict).map_err(HookError::Pod)
}

/// Makes the sealed file, enters the container's mount namespace, attaches the file there and checks that it shows.
fn attach_seal(
    file: &Rendered,
    pod: &ContainerPod,
    engine: &EngineMounts<'_>,
    container: &Container,
    root: &RootFs,
) -> Result<(), HookError> {
    if file.of_pod() > CHARGED_ABOVE {
        // Otherwise the engine's cgroup pays for it, as for all of the hook's memory and for a large file of the node's,
        // which a container's limit does not foresee.
        memory_cgroup::enter(container);
    }
    let mount_source = format!("{MOUNT_SOURCE}{}", file.source.name());
    let sealed = Sealed::new(Content {
        bytes: &file.bytes,
        source: &mount_source,
        mount_label: pod.config.mount_label(),
        user_ns: container.user_namespace(),
    })?;
    container.join_mounts()?;
    let root = root.reopen()?;
    if pod.config.mounts_proc() {
        root.expect_proc()?;
    }
    root.stop_propagation()?;
    let target = Target::prepare(&root, engine)?;
    attach(&sealed, &root, &target).inspect_err(|_| target.undo(&root))
}

fn attach(sealed: &Sealed, root: &RootFs, target: &Target) -> Result<(), HookError> {
    sealed.attach(target.file())?;
    let verified = root
        .resolve_hosts()
        .map_err(HookError::from)
        .and_then(|found| if sealed.is_at(found.as_fd())? { Ok(()) } else { Err(HookError::NotThere) });
    // A container that may start without a seal must not start with one that does not show.
    verified.inspect_err(|_| sealed.detach())
}

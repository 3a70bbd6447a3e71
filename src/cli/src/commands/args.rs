// The operator's command line. The build includes this file too, to make man pages and shell completions from it,
// so it uses nothing of the library.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Kubernetes-managed hosts files, on any OCI runtime
#[derive(Debug, Parser)]
#[command(name = "podhosts", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the hosts file that a pod gets, without touching anything
    ///
    /// Reads a Kubernetes Pod (YAML or JSON) or a crictl pod config. Where the input is invalid, every error is
    /// printed on a line of its own, in Kubernetes' words, and nothing on stdout.
    Render(RenderArgs),
    /// Show what podhosts did for a container
    Inspect(InspectArgs),
    /// Find what keeps podhosts from working on this node
    ///
    /// One line for each check, with what to do where something is wrong. The last check creates a container and
    /// looks into it. Ends with 1 where there is an error; warnings are none.
    Doctor(DoctorArgs),
    /// List the node's pods that podhosts-cni has connected
    List(ListArgs),
    /// Have an engine call podhosts, by a change of its configuration
    ///
    /// Comments and other settings stay as they are. What was there before is kept, for unconfigure. The engine is not
    /// restarted without --restart. A second call keeps what it is not told to change.
    Configure(ConfigureArgs),
    /// Take podhosts out of an engine's configuration again
    ///
    /// A file to which nothing else was changed becomes what it was, byte for byte; from others only what is podhosts'
    /// goes. Files and directories that configure made are removed.
    Unconfigure(UnconfigureArgs),
    /// List what needs the programs still, for scripts that remove them; fails where there is any
    #[command(hide = true)]
    InUse,
    /// Serve containerd or CRI-O as an NRI plugin that adds the hook to pods' containers
    ///
    /// Runs until it is asked to end, and waits for an engine that is not there. An engine that starts it itself, as
    /// /opt/nri/plugins/90-podhosts, passes it all it needs. Containers that are made while it is not running get no
    /// sealed file, unless the engine requires the plugin.
    Nri(NriArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// A Kubernetes Pod or a crictl pod config, as YAML or JSON; - is stdin
    #[arg(short, long, value_name = "FILE")]
    pub(crate) filename: PathBuf,
    /// The addresses of the pod, in order [default: the manifest's status.podIPs, or podhosts.io/pod-ips]
    #[arg(long, value_name = "IP[,IP...]", value_delimiter = ',')]
    pub(crate) pod_ip: Vec<String>,
    /// The cluster's DNS domain
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    pub(crate) cluster_domain: String,
    /// The node's hosts file, for a pod on the node's network
    #[arg(long, value_name = "FILE", default_value = "/etc/hosts")]
    pub(crate) node_hosts: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Do not create a container
    #[arg(long)]
    pub(crate) no_self_test: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The node's configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/podhosts/config.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NriArgs {
    /// The engine's NRI socket
    #[arg(long, value_name = "PATH", default_value = "/var/run/nri/nri.sock")]
    pub(crate) socket: PathBuf,
    /// As whom to register
    #[arg(long, value_name = "NAME", default_value = "podhosts")]
    pub(crate) name: String,
    /// Two digits; plugins are asked in their order
    #[arg(long, value_name = "NN", default_value = "90")]
    pub(crate) index: String,
    /// The node's configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/podhosts/config.toml")]
    pub(crate) config: PathBuf,
    /// The least severe events to log [default: those of RUST_LOG, or info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<LogLevelArg>,
    /// How events are written to stderr
    #[arg(long, alias = "log-format", value_name = "FORMAT", default_value = "text")]
    pub(crate) logging_format: LogFormatArg,
}

/// How severe an event is
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogLevelArg {
    /// A container was not created, or podhosts ends
    Error,
    /// Something works, but not as it should
    Warn,
    /// The engine comes and goes
    Info,
    /// Each container
    Debug,
    /// Everything
    Trace,
}

/// How events are written
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogFormatArg {
    /// The message
    Text,
    /// An object with time, level, message and container
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A process id, a bundle's directory, or a container id
    #[arg(value_name = "PID|BUNDLE|ID")]
    pub(crate) container: String,
    /// The runtime's state directory (its --root) [default: where runc, crun and containerd keep theirs]
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The node's configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/podhosts/config.toml")]
    pub(crate) config: PathBuf,
}

/// An engine
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RuntimeArg {
    /// containerd, by its CRI plugin
    Containerd,
    /// The containerd of k3s
    K3s,
    /// The containerd of RKE2
    Rke2,
    /// CRI-O
    Crio,
    /// podman, for root
    Podman,
}

/// Where the node's podCIDRs come from
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PodCidrFromArg {
    /// The Node object, by the kubelet (containerd)
    Node,
}

/// How the hook gets into containers
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ModeArg {
    /// A runtime handler "podhosts" that runs podhosts-runtime (containerd, crio, podman)
    Wrapper,
    /// A runtime handler "podhosts" with a base specification that has the hook (containerd)
    BaseSpec,
    /// A file in a hooks directory: for all pods of crio, for podman's containers with a podhosts.io/ annotation
    HooksDir,
    /// The service podhosts-nri, for all pods (containerd 1.7 or later, crio)
    Nri,
}

#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// The engine
    #[arg(long, value_name = "ENGINE")]
    pub(crate) runtime: RuntimeArg,
    /// The engine's main configuration [default: as it is, or /etc/containerd/config.toml, that of k3s or RKE2,
    /// /etc/crio/crio.conf, /etc/containers/containers.conf]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The file for what is podhosts' own [default: as it is, or conf.d/99-podhosts.toml beside containerd's
    /// configuration; 99-podhosts.conf in crio.conf.d or containers.conf.d]
    #[arg(long, value_name = "FILE")]
    pub(crate) drop_in: Option<PathBuf>,
    /// The hooks directory [default: as it is, or /etc/containers/oci/hooks.d where the engine reads it, else one of
    /// podhosts' own]
    #[arg(long, value_name = "DIR")]
    pub(crate) hooks_dir: Option<PathBuf>,
    /// Print the change as a diff, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Restart the engine, by systemctl, whether or not there was something to change
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) restart: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigureArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// How the hook gets into containers [default: as it is, or wrapper for containerd, hooks-dir for crio and podman]
    #[arg(long)]
    pub(crate) mode: Option<ModeArg>,
    /// Make the handler "podhosts" that of all pods that name no other [default: as it is]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) set_as_default: Option<bool>,
    /// Have podhosts-cni make the pods' network, too [default: as it is]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) with_cni: Option<bool>,
    /// The podCIDRs of the node, in order [default: those of the network that is there, or of the calls before]
    #[arg(long, value_name = "CIDR[,CIDR...]", value_delimiter = ',')]
    pub(crate) pod_cidr: Vec<String>,
    /// Have containerd fill in the Node's podCIDRs, which the kubelet tells it [default: as it is]
    #[arg(long, value_name = "SOURCE", conflicts_with = "pod_cidr")]
    pub(crate) pod_cidr_from: Option<PodCidrFromArg>,
    /// Where podhosts' programs are [default: as it is, or where this one is]
    #[arg(long, value_name = "DIR")]
    pub(crate) bin_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct UnconfigureArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

// The operator's command line. The build includes this file too, to make man pages and shell completions from it,
// so it uses nothing of the library.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
    /// An address of the pod; repeat it, in order [default: the manifest's status.podIPs, or podhosts.io/pod-ips]
    #[arg(long, value_name = "IP")]
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

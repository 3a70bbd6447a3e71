//! crictl's command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// client for CRI
#[derive(Debug, Parser)]
#[command(name = "crictl", version)]
pub(crate) struct Crictl {
    /// Location of the client config file [default: /etc/crictl.yaml]
    #[arg(short, long)]
    pub(crate) config: Option<PathBuf>,
    /// Endpoint of CRI container runtime service
    #[arg(short, long)]
    pub(crate) runtime_endpoint: Option<String>,
    /// Endpoint of CRI image manager service; the runtime's is used
    #[arg(short, long)]
    pub(crate) image_endpoint: Option<String>,
    /// Timeout of connecting to the server (e.g. 2s, 20s)
    #[arg(short, long, value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<std::time::Duration>,
    /// Enable debug mode; there is none
    #[arg(short = 'D', long)]
    pub(crate) debug: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Display runtime version information
    Version,
    /// Display information of the container runtime
    Info(Info),
    /// Run a new pod
    Runp {
        /// Runtime handler to use
        #[arg(short, long, default_value = "")]
        runtime: String,
        file: PathBuf,
    },
    /// Stop one or more running pods
    Stopp {
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Remove one or more pods
    Rmp(Remove),
    /// Display the status of one or more pods
    Inspectp(Inspect),
    /// List pods
    Pods(Pods),
    /// Create a new container
    Create { pod: String, container_file: PathBuf, pod_file: PathBuf },
    /// Start one or more created containers
    Start {
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Run a new container inside a sandbox
    Run(Run),
    /// Stop one or more running containers
    Stop {
        /// Seconds to wait to kill the container after a graceful stop is requested
        #[arg(short, long, default_value_t = 0)]
        timeout: i64,
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Remove one or more containers
    Rm(Remove),
    /// Display the status of one or more containers
    Inspect(Inspect),
    /// List containers
    Ps(Ps),
    /// Run a command in a running container
    Exec(Exec),
    /// Fetch the logs of a container
    Logs { id: String },
    /// List images
    #[command(visible_aliases = ["image", "img"])]
    Images(Images),
}

/// How something is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Json,
    Table,
}

#[derive(Debug, Args)]
pub(crate) struct Info {
    /// Output format
    #[arg(short, long, default_value = "json", value_parser = ["json"])]
    pub(crate) output: String,
    /// Do not show verbose information
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Output format
    #[arg(short, long, default_value = "json", value_parser = ["json"])]
    pub(crate) output: String,
    /// Do not show verbose information
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[arg(required = true)]
    pub(crate) ids: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Force removal, disregarding if running
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Remove all
    #[arg(short, long)]
    pub(crate) all: bool,
    #[arg(required_unless_present = "all")]
    pub(crate) ids: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Do not pull the image
    #[arg(long)]
    pub(crate) no_pull: bool,
    /// Runtime handler to use
    #[arg(short, long, default_value = "")]
    pub(crate) runtime: String,
    pub(crate) container_file: PathBuf,
    pub(crate) pod_file: PathBuf,
}

/// What both lists have.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Filter by id
    #[arg(long, default_value = "")]
    pub(crate) id: String,
    /// Filter by name regular expression pattern
    #[arg(long, default_value = "")]
    pub(crate) name: String,
    /// Filter by key=value label
    #[arg(long)]
    pub(crate) label: Vec<String>,
    /// Only display IDs
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Output format
    #[arg(short, long, default_value = "table")]
    pub(crate) output: Format,
    /// Show output without truncating the ID
    #[arg(long)]
    pub(crate) no_trunc: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Pods {
    #[command(flatten)]
    pub(crate) list: List,
    /// Filter by pod namespace regular expression pattern
    #[arg(long, default_value = "")]
    pub(crate) namespace: String,
    /// Filter by pod state
    #[arg(short, long, value_parser = ["ready", "notready"])]
    pub(crate) state: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Ps {
    #[command(flatten)]
    pub(crate) list: List,
    /// Show all containers
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Filter by pod id
    #[arg(short, long, default_value = "")]
    pub(crate) pod: String,
    /// Filter by container state
    #[arg(short, long, value_parser = ["created", "running", "exited", "unknown"])]
    pub(crate) state: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Run the command synchronously
    #[arg(short, long)]
    pub(crate) sync: bool,
    /// Timeout in seconds
    #[arg(long, default_value_t = 0)]
    pub(crate) timeout: i64,
    pub(crate) id: String,
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) cmd: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Images {
    /// Only show image IDs
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Output format
    #[arg(short, long, default_value = "table")]
    pub(crate) output: Format,
    /// Show output without truncating the ID
    #[arg(long)]
    pub(crate) no_trunc: bool,
    #[arg(default_value = "")]
    pub(crate) image: String,
}

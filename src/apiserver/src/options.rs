//! The command line of `podhosts-apiserver`. Flags have Kubernetes' names where Kubernetes has such flags.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use telemetry::log::LogArgs;
use thiserror::Error;

use crate::auth::Mode;
use crate::kinds::service_cidr::usable;
use crate::kinds::{Config, CriEndpoint, NodeSource, PoolRange, PortRange};
use pod::validation::labels::{label_value_errors, qualified_name_errors};
use proxy::thread::Announcing;

/// File name of the store in the data directory.
pub(crate) const STORE: &str = "apiserver.db";

/// Serve the node's network configuration as Kubernetes API objects
///
/// Without a command it serves: `podhosts-apiserver FLAGS` is `podhosts-apiserver serve FLAGS`.
#[derive(Debug, Parser)]
#[command(name = crate::PROGRAM, version, disable_help_subcommand = true, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

impl Cli {
    /// The command given, or `serve` with the flags that were given without one.
    pub(crate) fn into_command(self) -> Command {
        self.command.unwrap_or_else(|| Command::Serve(Box::new(self.serve)))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve Services, ServiceCIDRs, IPAddresses and what goes with them to kubectl
    Serve(Box<ServeArgs>),
    /// Write all objects to one file, while the server runs or not
    Backup(StoreArgs),
    /// Put a backup in the place of all objects; the server must not run
    Restore(StoreArgs),
}

/// Arguments of `backup` and `restore`.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where the server keeps its objects
    #[arg(long, value_name = "DIR", default_value = "/var/lib/podhosts")]
    pub(crate) data_dir: PathBuf,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where Services get their addresses from: one network, or one of each IP family, the primary one first
    #[arg(long, value_name = "CIDR[,CIDR]", value_delimiter = ',', default_value = "10.96.0.0/12")]
    pub(crate) service_cluster_ip_range: Vec<String>,
    /// The ports that node ports are taken from
    #[arg(long, value_name = "FIRST-LAST", default_value = "30000-32767")]
    pub(crate) service_node_port_range: String,
    /// The address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) bind_address: IpAddr,
    /// The port to listen on, with TLS and authentication
    #[arg(long, value_name = "PORT", default_value_t = 6443)]
    pub(crate) secure_port: u16,
    /// A port on 127.0.0.1 without TLS and for everybody on this machine; 0 is none
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) insecure_port: u16,
    /// Where objects, certificates and the token are kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/podhosts")]
    pub(crate) data_dir: PathBuf,
    /// Where to write the file for kubectl
    #[arg(long, value_name = "FILE", default_value = "/etc/podhosts/kubeconfig")]
    pub(crate) kubeconfig_out: PathBuf,
    /// The server's certificate and those that signed it, as PEM [default: one of its own]
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    pub(crate) tls_cert_file: Option<PathBuf>,
    /// The key of the certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    pub(crate) tls_private_key_file: Option<PathBuf>,
    /// The name of the Node [default: the host name]
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,
    /// The addresses of the Node, the most important one first [default: those that lead to the default routes]
    #[arg(long, value_name = "IP[,IP]", value_delimiter = ',')]
    pub(crate) node_ip: Vec<IpAddr>,
    /// Labels of the Node; topology.kubernetes.io/zone is the zone for Services that prefer near endpoints
    #[arg(long, value_name = "KEY=VALUE[,KEY=VALUE...]", value_delimiter = ',')]
    pub(crate) node_labels: Vec<String>,
    /// The networks that the node's pods get their addresses from, one of each IP family
    #[arg(long, value_name = "CIDR[,CIDR]", value_delimiter = ',')]
    pub(crate) pod_cidr: Vec<IpNet>,
    /// The socket of the container engine, as crictl has it; auto finds containerd's and CRI-O's, none asks no engine
    #[arg(long, value_name = "unix://SOCKET|auto|none", default_value = "auto")]
    pub(crate) cri_endpoint: String,
    /// Which Nodes and Pods there are
    #[arg(long, value_name = "SOURCE", value_enum, default_value_t)]
    pub(crate) nodes: NodeSource,
    /// Who may do what: everybody with a token everything, or what roles and bindings say, with --nodes=stored
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub(crate) authorization_mode: Mode,
    /// External addresses for Services of type LoadBalancer: networks, or first and last address
    #[arg(long, value_name = "CIDR|FIRST-LAST[,...]", value_delimiter = ',')]
    pub(crate) load_balancer_pool: Vec<String>,
    /// How connections to Services are led to their endpoints [default: nftables as root with --nodes=machine, else none]
    #[arg(long, value_name = "MODE", value_enum)]
    pub(crate) proxy: Option<ProxyMode>,
    /// The interface on which load balancer addresses are answered, or none [default: the one whose network has them]
    #[arg(long, value_name = "INTERFACE")]
    pub(crate) load_balancer_interface: Option<String>,
    /// Remove what the Service proxy made in the packet filter, and exit
    #[arg(long)]
    pub(crate) cleanup: bool,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// How connections to Services are led to their endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProxyMode {
    /// By the packet filter's table `inet podhosts-services`
    Nftables,
    /// Not at all
    None,
}

/// A flag that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot use --{flag} {given:?}: expected {expected}")]
pub(crate) struct OptionError {
    /// The flag.
    pub(crate) flag: &'static str,
    /// What it was given.
    pub(crate) given: String,
    /// What it takes.
    pub(crate) expected: &'static str,
}

impl ServeArgs {
    /// Where to listen with TLS.
    pub(crate) fn secure_address(&self) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.secure_port)
    }

    /// Where to listen without TLS, if at all.
    pub(crate) fn insecure_address(&self) -> Option<SocketAddr> {
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        Some(self.insecure_port).filter(|port| *port != 0).map(|port| SocketAddr::new(address, port))
    }

    /// How Services are served.
    pub(crate) fn proxy(&self) -> ProxyMode {
        let is_node = self.nodes == NodeSource::Machine;
        let default = if is_node && rustix::process::geteuid().is_root() {
            ProxyMode::Nftables
        } else {
            ProxyMode::None
        };
        self.proxy.unwrap_or(default)
    }

    /// Where load balancer addresses are answered.
    pub(crate) fn announcing(&self) -> Announcing {
        match self.load_balancer_interface.as_deref() {
            None => Announcing::OnTheirNetworks,
            Some("none") => Announcing::Nowhere,
            Some(interface) => Announcing::On(interface.to_owned()),
        }
    }

    /// The configuration of the kinds, without the port and the facts about the node, which are found at the start.
    ///
    /// # Errors
    /// The first flag that makes no sense.
    pub(crate) fn config(&self) -> Result<Config, OptionError> {
        if self.insecure_port != 0 && self.insecure_port == self.secure_port {
            return Err(fault("insecure-port", self.insecure_port, "another port than --secure-port"));
        }
        if self.authorization_mode == Mode::Rbac && self.nodes != NodeSource::Stored {
            return Err(fault("authorization-mode", "RBAC", "AlwaysAllow, or RBAC with --nodes=stored"));
        }
        let node_name = match &self.node_name {
            None => String::new(),
            Some(name) if is_subdomain(name) => name.clone(),
            Some(name) => return Err(fault("node-name", name, "a DNS name in lower case")),
        };
        Ok(Config {
            service_cidrs: service_cidrs(&self.service_cluster_ip_range)?,
            node_port_range: port_range(&self.service_node_port_range)?,
            load_balancer_pools: self
                .load_balancer_pool
                .iter()
                .map(|text| pool(text))
                .collect::<Result<_, _>>()?,
            node_name,
            node_labels: self.node_labels.iter().map(|text| label(text)).collect::<Result<_, _>>()?,
            node_ips: one_of_each("node-ip", &self.node_ip, IpAddr::is_ipv4)?,
            pod_cidrs: one_of_each("pod-cidr", &self.pod_cidr, |cidr| cidr.addr().is_ipv4())?
                .iter()
                .map(IpNet::trunc)
                .collect(),
            cri_endpoint: cri_endpoint(&self.cri_endpoint)?,
            nodes: self.nodes,
            ..Config::default()
        })
    }
}

fn fault(flag: &'static str, given: impl ToString, expected: &'static str) -> OptionError {
    OptionError { flag, given: given.to_string(), expected }
}

fn one_of_each<T: Clone + ToString>(
    flag: &'static str,
    given: &[T],
    is_ipv4: impl Fn(&T) -> bool,
) -> Result<Vec<T>, OptionError> {
    match given {
        [] | [_] => Ok(given.to_vec()),
        [first, second] if is_ipv4(first) != is_ipv4(second) => Ok(given.to_vec()),
        _ => {
            let texts: Vec<String> = given.iter().map(T::to_string).collect();
            Err(fault(flag, texts.join(","), "at most one of each IP family"))
        }
    }
}

fn label(text: &str) -> Result<(String, String), OptionError> {
    let parts = text
        .split_once('=')
        .filter(|(key, value)| qualified_name_errors(key).is_empty() && label_value_errors(value).is_empty());
    let (key, value) =
        parts.ok_or_else(|| fault("node-labels", text, "labels such as example.com/rack=r1"))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn service_cidrs(texts: &[String]) -> Result<Vec<IpNet>, OptionError> {
    const FLAG: &str = "service-cluster-ip-range";
    let text = texts.join(",");
    let text = text.as_str();
    let parse = |part: &str| part.trim().parse::<IpNet>().map(|cidr| cidr.trunc());
    let cidrs: Vec<IpNet> = texts.iter().map(|part| parse(part)).collect::<Result<_, _>>().map_err(|_| {
        fault(FLAG, text, "networks such as 10.96.0.0/12 or 10.96.0.0/12,2001:db8:fd00::/112")
    })?;
    for cidr in &cidrs {
        if cidr.addr().is_ipv6() && cidr.prefix_len() < 64 {
            return Err(fault(FLAG, text, "an IPv6 network of at most 64 bits: /64 or longer"));
        }
        if cidr.max_prefix_len() - cidr.prefix_len() < 2 {
            return Err(fault(FLAG, text, "networks of at least four addresses"));
        }
        if cidr.addr().is_unspecified() || usable(cidr).is_err() {
            return Err(fault(FLAG, text, "no loopback, link-local, multicast or unspecified addresses"));
        }
    }
    one_of_each(FLAG, &cidrs, |cidr| cidr.addr().is_ipv4())
}

fn port_range(text: &str) -> Result<PortRange, OptionError> {
    const EXPECTED: &str = "ports such as 30000-32767, from 1 to 65535";
    let ports =
        text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    match ports {
        Some((first, last)) if 0 < first && first <= last => Ok(first..=last),
        _ => Err(fault("service-node-port-range", text, EXPECTED)),
    }
}

fn pool(text: &str) -> Result<PoolRange, OptionError> {
    let range = || {
        let (first, last) = text.split_once('-')?;
        let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(PoolRange::Range(first, last))
    };
    let network = || text.parse::<IpNet>().ok().map(|network| PoolRange::Network(network.trunc()));
    let expected = "a network such as 192.0.2.0/24, or its first and last address with - between them";
    network().or_else(range).ok_or_else(|| fault("load-balancer-pool", text, expected))
}

fn cri_endpoint(text: &str) -> Result<CriEndpoint, OptionError> {
    let path = Path::new(text.strip_prefix("unix://").unwrap_or(text));
    match text {
        "auto" => Ok(CriEndpoint::Auto),
        "none" => Ok(CriEndpoint::None),
        _ if path.is_absolute() => Ok(CriEndpoint::Socket(path.to_owned())),
        _ => Err(fault(
            "cri-endpoint",
            text,
            "a socket such as unix:///run/containerd/containerd.sock, auto or none",
        )),
    }
}

/// RFC 1123.
fn is_subdomain(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests;

//! The command line of `podhosts-node`. Flags have the kubelet's and kube-proxy's names where these have such flags.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use ipnet::IpNet;
use telemetry::log::LogArgs;

/// Make a node of a Kubernetes cluster reach the pods of all nodes, and Services, and know its pods' names
#[derive(Debug, Parser)]
#[command(name = crate::PROGRAM, version)]
pub(crate) struct Options {
    /// The name of this Node [default: the host name in lower case]
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,
    /// How to reach the API server [default: as a pod does, by its service account]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The directory from which the container engine reads the network configuration
    #[arg(long, value_name = "DIR", default_value = "/etc/cni/net.d")]
    pub(crate) cni_conf_dir: PathBuf,
    /// The name of the file there; none writes no file
    #[arg(long, value_name = "FILE|none", default_value = "10-podhosts.conflist")]
    pub(crate) cni_conf_file: String,
    /// Further networks that pods reach with their own addresses, besides those of pods and nodes
    #[arg(long, value_name = "CIDR[,CIDR...]", value_delimiter = ',')]
    pub(crate) non_masquerade_cidr: Vec<IpNet>,
    /// How pods of nodes are reached that are not on this node's link
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Overlay::None)]
    pub(crate) overlay: Overlay,
    /// How connections to Services are led to their endpoints
    #[arg(long, value_name = "MODE", value_enum, default_value_t = ProxyMode::Nftables)]
    pub(crate) proxy: ProxyMode,
    /// The domain of the cluster's DNS names, as the kubelet has it
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    pub(crate) cluster_domain: String,
    /// Where /healthz, /readyz and /metrics are answered
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:10263")]
    pub(crate) health_bind_address: SocketAddr,
    /// Remove what this program made on the node (routes, devices, packet filter, files), and exit
    #[arg(long)]
    pub(crate) cleanup: bool,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// How pods of far nodes are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Overlay {
    /// Not at all: such nodes are told
    None,
    /// By a VXLAN device
    Vxlan,
}

/// How connections to Services are led to their endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProxyMode {
    /// By the packet filter's table `inet podhosts-services`
    Nftables,
    /// Not at all: another program does it
    None,
}

impl Options {
    /// The name that the node's kubelet registers: the flag's, or the host name in lower case.
    pub(crate) fn own_name(&self) -> String {
        self.node_name.clone().unwrap_or_else(|| sys::node_name().to_ascii_lowercase())
    }

    /// The plugin's configuration; `None` if another program writes it.
    pub(crate) fn conflist(&self) -> Option<PathBuf> {
        (self.cni_conf_file != "none").then(|| self.cni_conf_dir.join(&self.cni_conf_file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_and_wrong_ones_are_named() {
        let parse = |flags: &[&str]| Options::try_parse_from([&[crate::PROGRAM], flags].concat());
        let options = parse(&[
            "--node-name=n1",
            "--overlay=vxlan",
            "--proxy=none",
            "--non-masquerade-cidr=192.0.2.0/24,2001:db8::/32",
            "--non-masquerade-cidr=198.51.100.0/24",
        ])
        .unwrap();
        assert_eq!((options.own_name().as_str(), options.overlay), ("n1", Overlay::Vxlan));
        assert_eq!((options.proxy, options.non_masquerade_cidr.len()), (ProxyMode::None, 3));
        for (flag, value) in [
            ("--overlay", "geneve"),
            ("--proxy", "ipvs"),
            ("--non-masquerade-cidr", "10.0.0.0"),
            ("--health-bind-address", "10263"),
        ] {
            let error = parse(&[flag, value]).unwrap_err().to_string();
            assert!(error.contains(flag), "{flag} {value}: {error}");
        }
    }
}

//! What the command line says about the kinds.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::ValueEnum;
use ipnet::IpNet;

use records::record::RECORD_DIR;

/// The ports that node ports are taken from.
pub type PortRange = RangeInclusive<u16>;

/// Addresses that LoadBalancer Services get from outside the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolRange {
    /// All addresses of a network, but for IPv4's network and broadcast addresses and IPv6's subnet-router address.
    Network(IpNet),
    /// From the first to the second, both included; both of one family, the first not above the second.
    Range(IpAddr, IpAddr),
}

/// Where the container engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CriEndpoint {
    /// No engine is asked.
    None,
    /// Where containerd or CRI-O listens by default. There may be neither.
    Auto,
    /// At this socket.
    Socket(PathBuf),
}

/// Which Nodes and Pods there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum NodeSource {
    /// This machine, and the pods of its container engine
    #[default]
    Machine,
    /// Those that clients write, as in a cluster; for tests of programs that run on several nodes
    Stored,
}

/// What the command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `--service-cluster-ip-range`: one or two, of different families; the first one's is the primary family.
    pub service_cidrs: Vec<IpNet>,
    /// `--service-node-port-range`.
    pub node_port_range: PortRange,
    /// Where LoadBalancer Services get their external addresses from, in the order in which they are tried.
    pub load_balancer_pools: Vec<PoolRange>,
    /// The port that the Service `default/kubernetes` leads to.
    pub secure_port: u16,
    /// `metadata.name` of the Node.
    pub node_name: String,
    /// `--node-labels`, beside those that every Node has.
    pub node_labels: BTreeMap<String, String>,
    /// The addresses of the machine, the most important one first.
    pub node_ips: Vec<IpAddr>,
    /// The networks that this machine's pods get their addresses from.
    pub pod_cidrs: Vec<IpNet>,
    /// Where the records of the pods are.
    pub pod_records: PathBuf,
    /// `--cri-endpoint`.
    pub cri_endpoint: CriEndpoint,
    /// `--nodes`.
    pub nodes: NodeSource,
    /// The certificates by which clients know the server, as PEM.
    pub trusted_pem: String,
}

/// The label with the zone of a Node.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

impl Config {
    /// The zone of the Node.
    pub fn zone(&self) -> Option<&str> {
        self.node_labels.get(ZONE_LABEL).map(String::as_str).filter(|zone| !zone.is_empty())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            service_cidrs: Vec::new(),
            node_port_range: 30000..=32767,
            load_balancer_pools: Vec::new(),
            secure_port: 6443,
            node_name: String::new(),
            node_labels: BTreeMap::new(),
            node_ips: Vec::new(),
            pod_cidrs: Vec::new(),
            pod_records: PathBuf::from(RECORD_DIR),
            cri_endpoint: CriEndpoint::None,
            nodes: NodeSource::default(),
            trusted_pem: String::new(),
        }
    }
}

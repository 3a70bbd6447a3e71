//! What the source has told, but for the objects that [`Proxy`] keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::SystemTime;

use ipnet::IpNet;
use pod::addresses::IpFamily;
use sys::net::nft::Protocol;
use sys::net::services::Place;

use super::metrics::ProxyMetrics;
use super::source::{News, NodeFacts};
use crate::objects::{Node, ObjectName, Service};
use crate::proxy::Proxy;
use crate::read::ReadSlice;

/// Addresses that only the node itself sends from.
const OWN: [IpNet; 3] = [
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];
/// Where the API server asks kubelets: their default, which other programs know by heart, too.
const KUBELET_PORT: u16 = 10250;
/// Of how many changes that are not in the packet filter yet the times are kept.
const TRIGGERED_MAX: usize = 10_000;

/// Which load balancers' addresses are answered on a network.
pub(super) type IsAnnounced = Box<dyn Fn(IpAddr) -> bool + Send>;

/// What was told.
pub(super) struct Followed {
    pub(super) node: NodeFacts,
    service_networks: BTreeMap<ObjectName, Vec<IpNet>>,
    pod_networks: BTreeMap<ObjectName, Vec<IpNet>>,
    /// The addresses of all nodes.
    machines: BTreeSet<IpAddr>,
    /// The addresses of the node's interfaces.
    interfaces: Vec<IpAddr>,
    is_announced: IsAnnounced,
    /// The addresses of each Service that are answered on a network.
    load_balancers: BTreeMap<ObjectName, Vec<IpAddr>>,
    is_node_changed: bool,
    /// Whether the node's addresses or those of load balancers may have changed.
    is_readdressed: bool,
    /// When the changes happened that are not in the packet filter yet.
    triggered: Vec<SystemTime>,
    /// Changes from before the start say nothing about how long they took.
    started: SystemTime,
}

impl Followed {
    pub(super) fn new(is_announced: IsAnnounced) -> Self {
        Self {
            node: NodeFacts::default(),
            service_networks: BTreeMap::new(),
            pod_networks: BTreeMap::new(),
            machines: BTreeSet::new(),
            interfaces: Vec::new(),
            is_announced,
            load_balancers: BTreeMap::new(),
            is_node_changed: true,
            is_readdressed: true,
            triggered: Vec::new(),
            started: SystemTime::now(),
        }
    }

    /// Takes what the source tells; `proxy` gets its part.
    pub(super) fn take(&mut self, news: News, proxy: &mut Proxy, metrics: &ProxyMetrics) {
        match news {
            News::Service(name, service) => {
                metrics.service_changed();
                self.take_load_balancers(&name, service.as_ref());
                proxy.set_service(name, service);
            }
            News::Slice(name, read) => {
                metrics.slice_changed();
                let ReadSlice { slice, triggered } = read.unwrap_or_default();
                if let Some(time) = triggered.filter(|time| *time > self.started)
                    && self.triggered.len() < TRIGGERED_MAX
                {
                    self.triggered.push(time);
                }
                proxy.set_slice(name, slice);
            }
            News::ServiceNetworks(name, networks) => {
                self.is_node_changed |= keep(&mut self.service_networks, name, networks);
            }
            News::PodNetworks(name, networks) => {
                self.is_node_changed |= keep(&mut self.pod_networks, name, networks);
            }
            News::Machines(machines) => {
                self.is_node_changed |= self.machines != machines;
                self.machines = machines;
            }
            News::Node(node) => {
                self.is_node_changed |= self.node != node;
                self.node = node;
            }
        }
    }

    fn take_load_balancers(&mut self, name: &ObjectName, service: Option<&Service>) {
        let all = service.into_iter().flat_map(|service| &service.load_balancer_ips).copied();
        let announced = all.filter(|address| (self.is_announced)(*address)).collect();
        self.is_readdressed |= keep(&mut self.load_balancers, name.clone(), announced);
    }

    /// Takes the addresses of the node's interfaces.
    pub(super) fn set_interfaces(&mut self, addresses: Vec<IpAddr>) {
        self.interfaces = addresses;
        (self.is_node_changed, self.is_readdressed) = (true, true);
    }

    /// The node as the proxy sees it, if that has changed since the last call.
    pub(super) fn take_node(&mut self) -> Option<Node> {
        std::mem::take(&mut self.is_node_changed).then(|| self.node())
    }

    fn node(&self) -> Node {
        let mut inside = OWN.to_vec();
        inside.extend(self.pod_networks.values().flatten());
        inside.extend(self.interfaces.iter().map(|address| IpNet::from(*address)));
        let primary = |family| self.node.addresses.iter().find(|ip| IpFamily::of(**ip) == family).copied();
        Node {
            name: self.node.name.clone(),
            zone: self.node.zone.clone(),
            addresses: IpFamily::ALL.into_iter().filter_map(primary).collect(),
            inside,
            service_networks: self.service_networks.values().flatten().copied().collect(),
            kept: self.kept(),
            machines: self.machines(),
        }
    }

    fn machines(&self) -> BTreeSet<IpAddr> {
        // What its Node says of itself could be any Service's.
        let own = self.node.addresses.iter().filter(|address| self.interfaces.contains(address)).copied();
        let server = self.node.server.map(|server| server.ip());
        own.chain(server).chain(self.machines.iter().copied()).collect()
    }

    fn kept(&self) -> BTreeSet<Place> {
        let kubelets = self.machines.iter().map(|address| SocketAddr::new(*address, KUBELET_PORT));
        let place = |at: SocketAddr| Place { address: at.ip(), protocol: Protocol::Tcp, port: at.port() };
        kubelets.chain(self.node.server).map(place).collect()
    }

    /// The load balancers' addresses to answer for, if they or the node's may have changed since the last call.
    pub(super) fn take_load_balancer_ips(&mut self) -> Option<impl Iterator<Item = IpAddr>> {
        std::mem::take(&mut self.is_readdressed).then(|| self.load_balancers.values().flatten().copied())
    }

    /// When the changes happened that came since the last call.
    pub(super) fn take_triggered(&mut self) -> Vec<SystemTime> {
        std::mem::take(&mut self.triggered)
    }
}

/// Keeps the list of an object; an empty one is not kept. Returns whether that changed.
fn keep<T: PartialEq>(kept: &mut BTreeMap<ObjectName, Vec<T>>, name: ObjectName, list: Vec<T>) -> bool {
    if list.is_empty() {
        return kept.remove(&name).is_some();
    }
    match kept.get_mut(&name) {
        Some(old) if *old == list => false,
        Some(old) => {
            *old = list;
            true
        }
        None => {
            kept.insert(name, list);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pod_networks_and_interfaces_are_inside_and_the_first_address_of_a_family_is_the_nodes() {
        let mut followed = Followed::new(Box::new(|_| false));
        let (mut proxy, metrics) = (Proxy::default(), ProxyMetrics::default());
        let addresses = ["192.0.2.1", "192.0.2.9", "2001:db8::1"].map(|ip| ip.parse().unwrap());
        let facts = NodeFacts {
            name: "n1".to_owned(),
            addresses: addresses.to_vec(),
            server: Some("192.0.2.254:6443".parse().unwrap()),
            ..NodeFacts::default()
        };
        let networks = |name: &str, networks: &[&str]| {
            let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
            News::PodNetworks(ObjectName::new("", name), networks)
        };
        followed.set_interfaces(vec!["192.0.2.1".parse().unwrap()]);
        let machines = News::Machines([addresses[2]].into());
        for news in
            [News::Node(facts), machines, networks("n1", &["10.244.0.0/24"]), networks("n2", &["fd00::/64"])]
        {
            followed.take(news, &mut proxy, &metrics);
        }
        let node = followed.take_node().unwrap();
        let inside: Vec<String> = node.inside[OWN.len()..].iter().map(ToString::to_string).collect();
        assert_eq!(inside, ["10.244.0.0/24", "fd00::/64", "192.0.2.1/32"]);
        assert_eq!(node.addresses, [addresses[0], addresses[2]]);
        let kept = node.kept.iter().map(|place| SocketAddr::new(place.address, place.port).to_string());
        assert_eq!(kept.collect::<Vec<_>>(), ["192.0.2.254:6443", "[2001:db8::1]:10250"]);
        assert_eq!(
            node.machines,
            ["192.0.2.1", "192.0.2.254", "2001:db8::1"].map(|ip| ip.parse().unwrap()).into()
        );
        followed.take(networks("n1", &["10.244.0.0/24"]), &mut proxy, &metrics);
        assert_eq!(followed.take_node(), None);
        followed.take(networks("n2", &[]), &mut proxy, &metrics);
        assert_eq!(followed.take_node().unwrap().inside.len(), OWN.len() + 2);
    }
}

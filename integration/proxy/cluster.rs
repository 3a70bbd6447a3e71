//! A node with an API server and its Service proxy, pods, and an outside: each a network namespace.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::serve::Server;
pub(crate) use crate::harness::talk::{CLIENT, Process, serve};
use crate::harness::{Netns, Run};

/// The node's addresses on its uplink.
pub(crate) const NODE: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
pub(crate) const OUTSIDE: [&str; 2] = ["192.0.2.2", "2001:db8::2"];
/// Where servers listen.
pub(crate) const PORT: u16 = 8080;

const FLAGS: [&str; 8] = [
    "--proxy=nftables",
    "--node-name=node1",
    "--node-ip=192.0.2.1,2001:db8::1",
    "--pod-cidr=10.244.0.0/24,fd00:10:244::/64",
    "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
    "--load-balancer-pool=192.0.2.128/28,2001:db8::100-2001:db8::10f",
    "--service-node-port-range=30000-32767",
    "--load-balancer-interface=none",
];

/// How long a client waits for an answer that has to come, in seconds; the answer is there at once.
const PATIENCE: &str = "20";
/// How long a client waits for an answer that must not come.
const IMPATIENCE: &str = "1";

/// A pod that serves on [`PORT`].
pub(crate) struct Pod {
    pub(crate) addresses: [String; 2],
    pub(crate) netns: Netns,
    #[allow(dead_code, reason = "it goes with the pod, and benches ask for its process")]
    pub(crate) server: Process,
}

/// Everything. It is built around the network namespace of the calling thread, which is the node's.
pub(crate) struct World {
    pub(crate) pods: Vec<Pod>,
    pub(crate) outside: Netns,
    pub(crate) server: Option<Server>,
    pub(crate) dir: tempfile::TempDir,
}

/// Runs a shell script on the node; it has to succeed.
#[track_caller]
pub(crate) fn on_node(script: &str) -> String {
    Run::from(Command::new("sh").args(["-ec", script]).output().unwrap()).success()
}

/// Link-local addresses are tentative for a second otherwise, and neighbours are not asked for from them.
const NO_ADDRESS_DETECTION: &str =
    "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad";

impl World {
    /// A node with `pods` pods and a server.
    pub(crate) fn new(pods: usize) -> Self {
        Self::with_flags(pods, &[])
    }

    pub(crate) fn with_flags(pods: usize, flags: &[&str]) -> Self {
        let mut world = Self::without_server(pods);
        world.start(flags);
        world
    }

    pub(crate) fn without_server(pods: usize) -> Self {
        on_node(NO_ADDRESS_DETECTION);
        on_node(
            "ip link set lo up; echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding",
        );
        let outside = Netns::bare();
        Run::from(outside.command("sh").args(["-ec", NO_ADDRESS_DETECTION]).output().unwrap()).success();
        on_node(&format!("ip link add uplink type veth peer name eth0 netns {}", outside.pid()));
        for (ours, theirs) in NODE.into_iter().zip(OUTSIDE) {
            let (prefix, nodad): (_, &[&str]) = if ours.contains(':') { (64, &["nodad"]) } else { (24, &[]) };
            on_node(&format!("ip addr add {ours}/{prefix} dev uplink {}", nodad.join(" ")));
            outside.ip(&[&["addr", "add", &format!("{theirs}/{prefix}"), "dev", "eth0"], nodad].concat());
        }
        outside.ip(&["link", "set", "eth0", "up"]);
        on_node(
            "ip link set uplink up; ip route add default via 192.0.2.2; ip -6 route add default via 2001:db8::2",
        );
        // Load balancers' addresses, and cluster IPs as if this were a router of the cluster.
        for (network, via) in
            [("192.0.2.128/28", NODE[0]), ("203.0.113.0/24", NODE[0]), ("10.96.0.0/16", NODE[0])]
        {
            outside.ip(&["route", "add", network, "via", via]);
        }
        for network in ["2001:db8::100/120", "fd00:10:96::/112"] {
            outside.ip(&["-6", "route", "add", network, "via", NODE[1]]);
        }
        let dir = tempfile::tempdir().unwrap();
        let mut world = Self { pods: Vec::new(), outside, server: None, dir };
        (0..pods).for_each(|_| world.add_pod());
        world
    }

    /// Starts the server. `flags` replace those of [`FLAGS`].
    pub(crate) fn start(&mut self, flags: &[&str]) {
        let name = |flag: &str| flag.split_once('=').map_or(flag, |(name, _)| name).to_owned();
        let is_replaced = |flag: &&str| flags.iter().any(|other| name(other) == name(flag));
        let others = FLAGS.into_iter().filter(|flag| !is_replaced(flag));
        let all: Vec<&str> = others.chain(flags.iter().copied()).collect();
        self.server = Some(Server::start_in(self.dir.path(), &all));
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// One more pod, with a link and routes as the plugin's routed mode makes them.
    pub(crate) fn add_pod(&mut self) {
        let number = self.pods.len() + 2;
        let (netns, name) = (Netns::bare(), format!("pod{}", self.pods.len()));
        let addresses = [format!("10.244.0.{number}"), format!("fd00:10:244::{number:x}")];
        Run::from(netns.command("sh").args(["-ec", NO_ADDRESS_DETECTION]).output().unwrap()).success();
        on_node(&format!(
            "ip link add {name} type veth peer name eth0 netns {}
             ip addr add 169.254.1.1/32 dev {name}; ip addr add fe80::1/64 dev {name} nodad; ip link set {name} up
             ip route add {}/32 dev {name}; ip -6 route add {}/128 dev {name}",
            netns.pid(),
            addresses[0],
            addresses[1]
        ));
        netns.ip(&["addr", "add", &format!("{}/32", addresses[0]), "dev", "eth0"]);
        netns.ip(&["addr", "add", &format!("{}/128", addresses[1]), "dev", "eth0", "nodad"]);
        netns.ip(&["link", "set", "eth0", "up"]);
        netns.ip(&["route", "add", "169.254.1.1", "dev", "eth0", "src", &addresses[0]]);
        netns.ip(&["route", "add", "default", "via", "169.254.1.1", "dev", "eth0", "src", &addresses[0]]);
        netns.ip(&["-6", "route", "add", "default", "via", "fe80::1", "dev", "eth0", "src", &addresses[1]]);
        let server = serve(netns.command("python3"), &name, PORT);
        self.pods.push(Pod { addresses, netns, server });
    }

    /// Makes a request of the server that has to succeed.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        self.server().done(method, path, kind, body)
    }

    /// Creates a dual-stack Service `name` with port 80 in TCP and UDP; `spec` has what is to be different.
    #[track_caller]
    pub(crate) fn service(&self, name: &str, spec: Value) -> Service {
        let mut whole = json!({
            "ipFamilyPolicy": "RequireDualStack",
            "ports": [
                {"name": "tcp", "port": 80, "targetPort": PORT},
                {"name": "udp", "protocol": "UDP", "port": 80, "targetPort": PORT},
            ],
        });
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let object = json!({"metadata": {"name": name}, "spec": whole});
        Service(self.ask("POST", "/api/v1/namespaces/default/services", &object))
    }

    /// Writes a Service's EndpointSlices: these pods, by their numbers, all ready and on this node.
    #[track_caller]
    pub(crate) fn endpoints(&self, service: &str, pods: &[usize]) {
        self.endpoints_with(service, pods, |_, _| ());
    }

    /// The same, each endpoint changed by `change`.
    #[track_caller]
    pub(crate) fn endpoints_with(&self, service: &str, pods: &[usize], change: impl Fn(usize, &mut Value)) {
        self.write_endpoints(service, pods, change);
        self.settle();
    }

    /// The same, without waiting for the packet filter.
    #[track_caller]
    pub(crate) fn write_endpoints(&self, service: &str, pods: &[usize], change: impl Fn(usize, &mut Value)) {
        for (family, kind) in ["IPv4", "IPv6"].into_iter().enumerate() {
            let endpoint = |pod: &usize| {
                let mut endpoint = json!({"addresses": [self.pods[*pod].addresses[family]], "nodeName": "node1", "conditions": {"ready": true}});
                change(*pod, &mut endpoint);
                endpoint
            };
            let name = format!("{service}-{}", kind.to_lowercase());
            let slice = json!({
                "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
                "addressType": kind,
                "ports": [{"name": "tcp", "port": PORT}, {"name": "udp", "protocol": "UDP", "port": PORT}],
                "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(),
            });
            let all = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
            if self.server().get(&format!("{all}/{name}")).code == 200 {
                self.ask("PUT", &format!("{all}/{name}"), &slice);
            } else {
                self.ask("POST", all, &slice);
            }
        }
    }

    /// The number on a line of the metrics.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let page = String::from_utf8(self.server().get("/metrics").body).unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
    }

    /// Waits until the packet filter has every change that was acknowledged.
    pub(crate) fn settle(&self) {
        // The proxy follows within milliseconds; the bound is for a machine that does other things.
        for _ in 0..1000 {
            let list = self.server().get("/api/v1/namespaces/default/services").json();
            let latest: f64 = list["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
            if self.metric("podhosts_proxy_resource_version") >= latest {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("the proxy does not follow");
    }
}

/// A Service as the server answered.
pub(crate) struct Service(pub(crate) Value);

impl Service {
    pub(crate) fn cluster_ips(&self) -> Vec<String> {
        texts(&self.0["spec"]["clusterIPs"])
    }

    /// The external addresses.
    pub(crate) fn ingress(&self) -> Vec<String> {
        let list = self.0["status"]["loadBalancer"]["ingress"].as_array().unwrap();
        list.iter().map(|one| one["ip"].as_str().unwrap().to_owned()).collect()
    }

    /// The node ports of TCP and UDP.
    pub(crate) fn node_ports(&self) -> [u16; 2] {
        [0, 1].map(|port| u16::try_from(self.0["spec"]["ports"][port]["nodePort"].as_u64().unwrap()).unwrap())
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Where a client is.
#[derive(Clone, Copy)]
pub(crate) enum From<'a> {
    Node,
    In(&'a Netns),
}

impl From<'_> {
    fn client(self) -> Command {
        match self {
            From::Node => Command::new("python3"),
            From::In(netns) => netns.command("python3"),
        }
    }

    /// What a server answered each of `times` clients, or the name of their error.
    pub(crate) fn answers(
        self,
        kind: &str,
        host: &str,
        port: u16,
        times: usize,
        patience: &str,
    ) -> Vec<String> {
        let mut client = self.client();
        client.args(["-c", CLIENT, kind, host, &port.to_string(), &times.to_string(), patience]);
        let output = Run::from(client.output().unwrap()).success();
        output.lines().map(str::to_owned).collect()
    }

    /// The pod that answers, and the address that it sees; or the error.
    pub(crate) fn get(self, kind: &str, host: &str, port: u16) -> String {
        self.answers(kind, host, port, 1, PATIENCE).remove(0)
    }

    /// Whether packets are dropped.
    pub(crate) fn is_dropped(self, kind: &str, host: &str, port: u16) -> bool {
        self.answers(kind, host, port, 1, IMPATIENCE) == ["TimeoutError"]
    }
}

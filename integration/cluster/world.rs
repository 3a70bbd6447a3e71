//! Nodes on one link, what is beyond the cluster, and the API server: each node a network and a mount namespace of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::cni::{Call, CniNode, addresses};
use crate::harness::containerd::Containerd;
use crate::harness::serve::Server;
use crate::harness::talk::{Process, serve};
use crate::harness::{Netns, Run, in_new_netns};

/// The router of the link, with the API server; pods are no matter of its.
const ROUTER: [&str; 2] = ["192.0.2.254", "2001:db8::fe"];
/// Somebody on the link who is not of the cluster.
pub(crate) const BEYOND: [&str; 2] = ["192.0.2.253", "2001:db8::fd"];
/// The same router on another link.
const FAR: [&str; 2] = ["198.51.100.254", "2001:db8:f::fe"];
/// Where servers listen.
pub(crate) const PORT: u16 = 8080;
/// Where clients of the API server find it again.
const API_PORT: &str = "--secure-port=6443";

const FLAGS: [&str; 7] = [
    "--bind-address=192.0.2.254",
    API_PORT,
    "--proxy=none",
    "--cri-endpoint=none",
    "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
    "--nodes=stored",
    "--authorization-mode=RBAC",
];

/// Link-local addresses are tentative for a second otherwise. Packets are forwarded as kubeadm asks for.
pub(crate) const SYSCTLS: &str = "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
    echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad
    echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding";

/// What a node has of its own besides what a [`CniNode`] has.
const DIRECTORIES: &str = "for dir in /opt /var/lib /var/log; do mount -t tmpfs tmpfs $dir; done
    mkdir -p /opt/cni/bin /etc/cni /var/lib/cni; rm -rf /etc/cni/net.d /etc/podhosts; mkdir /etc/cni/net.d";

/// Everything. It is built around the network namespace of the calling thread, which is the router's.
pub(crate) struct Cluster {
    pub(crate) members: Vec<Member>,
    pub(crate) server: Option<Server>,
    pub(crate) dir: tempfile::TempDir,
    beyond: (Netns, Process),
}

/// A node of the cluster.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) addresses: [String; 2],
    /// The networks of its pods.
    pub(crate) cidrs: [String; 2],
    pub(crate) pods: Vec<Pod>,
    machine: Machine,
    agent: Option<Child>,
    _server: Process,
}

/// What a node is made of.
enum Machine {
    Bare(Box<CniNode>),
    Engine(Box<Containerd>),
}

/// A pod, connected by the plugin, that serves on [`PORT`].
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) addresses: [String; 2],
    _server: Process,
}

/// Runs a test in the network namespace of a new cluster's router.
pub(crate) fn in_cluster(test: impl FnOnce(&mut Cluster) + Send) {
    in_new_netns(|| test(&mut Cluster::new(&[])));
}

/// Runs a shell script on the router; it has to succeed.
#[track_caller]
pub(crate) fn on_router(script: &str) -> String {
    Run::from(Command::new("sh").args(["-ec", script]).output().unwrap()).success()
}

impl Cluster {
    /// A router with an API server and no node.
    pub(crate) fn new(flags: &[&str]) -> Self {
        on_router(SYSCTLS);
        // A bridge that snoops takes a while until it forwards what neighbours are asked with.
        on_router("ip link set lo up; ip link add lan type bridge mcast_snooping 0; ip link set lan up");
        on_router(&format!(
            "ip addr add {}/24 dev lan; ip addr add {}/64 dev lan nodad",
            ROUTER[0], ROUTER[1]
        ));
        let (beyond, dir) = (Netns::bare(), tempfile::tempdir().unwrap());
        Run::from(beyond.command("sh").args(["-ec", SYSCTLS]).output().unwrap()).success();
        on_router(&format!(
            "ip link add beyond type veth peer name eth0 netns {}; ip link set beyond up master lan",
            beyond.pid()
        ));
        beyond.ip(&["addr", "add", &format!("{}/24", BEYOND[0]), "dev", "eth0"]);
        beyond.ip(&["addr", "add", &format!("{}/64", BEYOND[1]), "dev", "eth0", "nodad"]);
        beyond.ip(&["link", "set", "eth0", "up"]);
        beyond.ip(&["route", "add", "default", "via", ROUTER[0]]);
        beyond.ip(&["-6", "route", "add", "default", "via", ROUTER[1]]);
        let server = serve(beyond.command("python3"), "beyond", PORT);
        let mut cluster = Self { members: Vec::new(), server: None, dir, beyond: (beyond, server) };
        cluster.serve(flags);
        cluster
    }

    /// The namespace of who is not of the cluster.
    pub(crate) fn beyond(&self) -> &Netns {
        &self.beyond.0
    }

    /// Starts the API server, with what an earlier one stored.
    pub(crate) fn serve(&mut self, flags: &[&str]) {
        self.server = Some(Server::start_in(self.dir.path(), &[&FLAGS, flags].concat()));
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// One more node on the link, with its object and without an agent.
    pub(crate) fn join(&mut self) -> &mut Member {
        let number = self.members.len() + 1;
        let node = CniNode::new();
        node.sh(DIRECTORIES);
        self.connect(Machine::Bare(Box::new(node)), number, ["192.0.2.", "2001:db8::"], ROUTER)
    }

    /// One more node on the link, which has an engine.
    pub(crate) fn join_with(&mut self, engine: Containerd) -> &mut Member {
        let number = self.members.len() + 1;
        self.connect(Machine::Engine(Box::new(engine)), number, ["192.0.2.", "2001:db8::"], ROUTER)
    }

    /// One more node, on the other side of the router.
    pub(crate) fn join_far(&mut self) -> &mut Member {
        let number = self.members.len() + 1;
        let node = CniNode::new();
        node.sh(DIRECTORIES);
        self.connect(Machine::Bare(Box::new(node)), number, ["198.51.100.", "2001:db8:f::"], FAR)
    }

    fn connect(
        &mut self,
        machine: Machine,
        number: usize,
        networks: [&str; 2],
        router: [&str; 2],
    ) -> &mut Member {
        let node = machine.node();
        let addresses = networks.map(|network| format!("{network}{number}"));
        node.sh(SYSCTLS);
        on_router(&format!(
            "ip link add n{number} type veth peer name eth0 netns {}; ip link set n{number} up",
            node.pid()
        ));
        if router == ROUTER {
            on_router(&format!("ip link set n{number} master lan"));
        } else {
            on_router(&format!("ip addr add {}/24 dev n{number}", router[0]));
            on_router(&format!("ip addr add {}/64 dev n{number} nodad", router[1]));
        }
        node.sh(&format!(
            "ip addr add {}/24 dev eth0; ip addr add {}/64 dev eth0 nodad; ip link set eth0 up
             ip route add default via {}; ip -6 route add default via {}",
            addresses[0], addresses[1], router[0], router[1]
        ));
        let name = format!("node{number}");
        let _server = serve(node.command("python3", &[]), &name, PORT);
        let cidrs = [format!("10.244.{number}.0/24"), format!("fd00:10:244:{number}::/64")];
        let member = Member { name, addresses, cidrs, pods: Vec::new(), machine, agent: None, _server };
        self.members.push(member);
        let member = self.members.last().unwrap();
        self.ask("POST", NODES, &member.object());
        self.members.last_mut().unwrap()
    }

    /// Makes a request of the API server that has to succeed.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        self.server().done(method, path, kind, body)
    }

    /// A Node as the API server has it.
    #[track_caller]
    pub(crate) fn node_object(&self, name: &str) -> Value {
        self.ask("GET", &format!("{NODES}/{name}"), &Value::Null)
    }

    /// Creates a dual-stack Service whose endpoints are these pods, each a member's number and its own; its addresses.
    #[track_caller]
    pub(crate) fn service(&self, name: &str, endpoints: &[(usize, usize)]) -> [String; 2] {
        let ports = json!([{"name": "tcp", "port": 80, "targetPort": PORT},
            {"name": "udp", "protocol": "UDP", "port": 80, "targetPort": PORT}]);
        let spec = json!({"ipFamilyPolicy": "RequireDualStack", "ports": ports});
        let object = json!({"metadata": {"name": name}, "spec": spec});
        let service = self.ask("POST", "/api/v1/namespaces/default/services", &object);
        for (family, kind) in ["IPv4", "IPv6"].into_iter().enumerate() {
            let endpoint = |(member, pod): &(usize, usize)| {
                let member = &self.members[*member];
                json!({"addresses": [member.pods[*pod].addresses[family]], "nodeName": member.name,
                    "conditions": {"ready": true}})
            };
            let slice = json!({
                "metadata": {"name": format!("{name}-{}", kind.to_lowercase()),
                    "labels": {"kubernetes.io/service-name": name}},
                "addressType": kind,
                "ports": [{"name": "tcp", "port": PORT}, {"name": "udp", "protocol": "UDP", "port": PORT}],
                "endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>(),
            });
            self.ask("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", &slice);
        }
        [0, 1].map(|family| service["spec"]["clusterIPs"][family].as_str().unwrap().to_owned())
    }
}

/// Where Nodes are.
pub(crate) const NODES: &str = "/api/v1/nodes";

impl Machine {
    fn node(&self) -> &CniNode {
        match self {
            Self::Bare(node) => node,
            Self::Engine(engine) => &engine.node,
        }
    }
}

impl Member {
    pub(crate) fn node(&self) -> &CniNode {
        self.machine.node()
    }

    pub(crate) fn engine(&self) -> &Containerd {
        match &self.machine {
            Machine::Bare(_) => panic!("{} has no engine", self.name),
            Machine::Engine(engine) => engine,
        }
    }

    /// Its object, as the kubelet and the controller manager write it.
    pub(crate) fn object(&self) -> Value {
        let addresses = self.addresses.each_ref().map(|ip| json!({"type": "InternalIP", "address": ip}));
        json!({"metadata": {"name": self.name}, "spec": {"podCIDR": self.cidrs[0], "podCIDRs": self.cidrs},
            "status": {"addresses": addresses}})
    }

    /// Starts the program `agent`, by `tracer` where that is given.
    pub(crate) fn start(&mut self, tracer: &[&str], agent: &Path, kubeconfig: &Path, flags: &[&str]) {
        let name = format!("--node-name={}", self.name);
        let config = format!("--kubeconfig={}", kubeconfig.display());
        let log = fs::File::options().append(true).create(true).open(self.log_file()).unwrap();
        let script = format!("echo $$ >{}; exec \"$@\"", self.pid_file().display());
        let _ = fs::remove_file(self.pid_file());
        let mut command = self.node().command("sh", &["-c", &script, "sh"]);
        command.args(tracer).arg(agent).args([&name, &config]).args(flags);
        self.agent = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    fn pid_file(&self) -> PathBuf {
        self.node().path("agent.pid")
    }

    fn log_file(&self) -> PathBuf {
        self.node().path("agent.log")
    }

    /// What the agent said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Waits until the agent is gone, which something ended.
    pub(crate) fn wait(&mut self) {
        self.agent.take().unwrap().wait().unwrap();
    }

    /// Whether the agent ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.agent.as_mut().is_none_or(|agent| agent.try_wait().unwrap().is_some())
    }

    /// Ends the agent by `signal`, and waits until it is gone.
    pub(crate) fn end(&mut self, signal: &str) {
        let Some(mut agent) = self.agent.take() else { return };
        self.signal(signal).success();
        agent.wait().unwrap();
    }

    /// Sends the agent a signal. One that was started just now may not have said its pid yet.
    fn signal(&self, signal: &str) -> Run {
        let script = "for _ in $(seq 3000); do test -s $0 && break; sleep 0.01; done; kill -$1 $(cat $0)";
        self.node().run("sh", &["-ec", script, &self.pid_file().display().to_string(), signal])
    }

    /// The plugin's configuration, as an engine reads it: the first list of the directory.
    pub(crate) fn network(&self) -> Option<Value> {
        let mut files: Vec<_> = fs::read_dir(self.node().file("/etc/cni/net.d")).unwrap().collect();
        files.sort_by_key(|file| file.as_ref().unwrap().file_name());
        let mut paths = files.into_iter().map(|file| file.unwrap().path());
        let list = paths.find(|path| path.extension().is_some_and(|it| it == "conflist"))?;
        let list: Value = serde_json::from_slice(&fs::read(list).unwrap()).unwrap();
        let mut config = list["plugins"][0].clone();
        assert_eq!((&config["type"], &list["plugins"][1]), (&json!("podhosts-cni"), &Value::Null));
        (config["name"], config["cniVersion"]) = (list["name"].clone(), list["cniVersion"].clone());
        Some(config)
    }

    /// One more pod.
    #[track_caller]
    pub(crate) fn add_pod(&mut self) -> &Pod {
        let name = format!("{}-pod{}", self.name, self.pods.len());
        let config = self.network().expect("no network");
        let args =
            format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={name};K8S_POD_UID={name}");
        let node = self.node();
        node.pod(&name);
        let result = node.call(&Call { args: &args, ..Call::new("ADD", &name, &config) }).success();
        let addresses = addresses(&serde_json::from_str(&result).unwrap());
        let addresses = addresses.try_into().unwrap();
        let _server = serve(node.command("ip", &["netns", "exec", &name, "python3"]), &name, PORT);
        self.pods.push(Pod { name, addresses, _server });
        self.pods.last().unwrap()
    }

    /// Disconnects the pod that came last.
    #[track_caller]
    pub(crate) fn remove_pod(&mut self) {
        let pod = self.pods.pop().unwrap();
        self.node().del(&pod.name, &self.network().unwrap());
        self.node().sh(&format!("ip netns del {}", pod.name));
    }

    /// A program in a pod, or on the node itself.
    pub(crate) fn command(&self, pod: Option<&Pod>, program: &str) -> Command {
        match pod {
            Some(pod) => self.node().command("ip", &["netns", "exec", &pod.name, program]),
            None => self.node().command(program, &[]),
        }
    }

    /// What an agent may change on the node: links, addresses, routes, rules, the packet filter, settings and files.
    pub(crate) fn state(&self) -> String {
        self.node().sh("ip -o link | cut -d: -f2; ip -o addr | awk '{print $2,$4}' | sort
             for family in -4 -6; do ip $family route show table all | sed 's/ linkdown//; s/ expires [0-9]*sec//'; ip $family rule; done | sort
             nft list ruleset | sed 's/ expires [0-9a-z]*//g; s/packets [0-9]* bytes [0-9]*//' | tr ',' '\n' |
                 sed 's/^[[:space:]]*//; s/elements = { //; s/ }$//' | sort
             find /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf -name forwarding -o -name rp_filter -o -name route_localnet | sort | xargs grep .
             find /etc/cni -type f | sort | xargs -r sha256sum")
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may have ended by itself.
        let Some(mut agent) = self.agent.take() else { return };
        self.signal("KILL");
        let _ = agent.wait();
    }
}

//! The Service proxy of the node's agent: fed over the API, and never beside another of podhosts.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::cluster::{From, NODE, World, on_node};
use crate::harness::serve::Server;
use crate::harness::{Run, bin, in_new_netns, needs};

/// The server alone, with the Services of a [`World`].
const API_ONLY: [&str; 4] = [
    "--proxy=none",
    "--node-ip=192.0.2.1,2001:db8::1",
    "--pod-cidr=10.244.0.0/24,fd00:10:244::/64",
    "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
];

/// An agent that stops with its test.
pub(super) struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn agent(world: &Path, flags: &[&str]) -> Command {
    let mut agent = Command::new(bin("podhosts-node"));
    agent.args(["--node-name=node1", "--cni-conf-file=none", "--kubeconfig"]).arg(world.join("kubeconfig"));
    agent.args(flags).stdin(Stdio::null());
    agent
}

/// What an agent says that has to end by itself.
#[track_caller]
fn refused(world: &Path) -> String {
    let mut agent = Agent(agent(world, &[]).stderr(Stdio::piped()).spawn().unwrap());
    let mut status = None;
    let ends = || {
        status = agent.0.try_wait().unwrap();
        status.is_some()
    };
    wait_for(ends, || "the agent goes on".to_owned());
    let mut said = String::new();
    agent.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!status.unwrap().success(), "{said}");
    said
}

/// Starts the agent, and waits until it serves Services.
pub(super) fn start(world: &World) -> Agent {
    let log = std::fs::File::create(world.dir.path().join("agent.log")).unwrap();
    let agent = Agent(agent(world.dir.path(), &[]).stderr(log).spawn().unwrap());
    let is_up = || metrics().lines().any(|line| line == "podhosts_node_part_up{part=\"services\"} 1");
    wait_for(is_up, || log_of(world));
    agent
}

pub(super) fn log_of(world: &World) -> String {
    std::fs::read_to_string(world.dir.path().join("agent.log")).unwrap()
}

/// Replaces the server by one without a proxy. The table goes, too.
pub(super) fn without_proxy(world: &mut World) {
    assert!(world.server.take().unwrap().stop().success());
    Run::from(Command::new(bin("podhosts-apiserver")).arg("--cleanup").output().unwrap()).success();
    world.server = Some(Server::start_in(world.dir.path(), &API_ONLY));
}

/// Waits for what happens in a moment; `told` says why it does not.
#[track_caller]
pub(super) fn wait_for(mut is_so: impl FnMut() -> bool, told: impl Fn() -> String) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("it does not happen: {}", told());
}

#[test]
fn an_agent_leads_connections_as_the_api_has_them() {
    needs!("nft", "ip", "python3", "curl");
    in_new_netns(|| {
        let mut world = World::new(3);
        let service = world.service("web", json!({"type": "NodePort"}));
        world.endpoints("web", &[0]);
        without_proxy(&mut world);
        let _agent = start(&world);
        let told = || log_of(&world);
        let page = metrics();
        assert!(page.contains("kubeproxy_sync_proxy_rules_duration_seconds_count 1\n"), "{page}");
        let client = From::In(&world.pods[2].netns);
        let answers = |pod: &str| {
            let [tcp, udp] = service.node_ports();
            let by_kind =
                |ip: &str| ["tcp", "udp"].iter().all(|kind| client.get(kind, ip, 80).starts_with(pod));
            service.cluster_ips().iter().all(|ip| by_kind(ip))
                && From::In(&world.outside).get("tcp", NODE[0], tcp).starts_with(pod)
                && From::In(&world.outside).get("udp", NODE[1], udp).starts_with(pod)
        };
        assert!(answers("pod0"));
        // A client in a pod is seen with its own address.
        let seen = client.get("tcp", &service.cluster_ips()[0], 80);
        assert_eq!(seen, format!("pod0 {}", world.pods[2].addresses[0]));
        let place = format!("{} . tcp . 80 ", service.cluster_ips()[0]);
        let has_place = || on_node("nft list map inet podhosts-services services4").contains(&place);
        write_endpoints(&world, &[1]);
        wait_for(|| answers("pod1"), told);
        assert!(has_place());
        world.ask("DELETE", "/api/v1/namespaces/default/services/web", &json!(null));
        wait_for(|| !has_place(), told);
    });
}

fn metrics() -> String {
    on_node("curl -s http://127.0.0.1:10263/metrics || true")
}

/// Changes the EndpointSlices without waiting for a proxy of the server's, which has none.
fn write_endpoints(world: &World, pods: &[usize]) {
    for (family, kind) in ["ipv4", "ipv6"].into_iter().enumerate() {
        let endpoint =
            |pod: &usize| json!({"addresses": [world.pods[*pod].addresses[family]], "nodeName": "node1"});
        let endpoints: Vec<_> = pods.iter().map(endpoint).collect();
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/web-{kind}");
        world.ask("PATCH", &path, &json!({"endpoints": endpoints}));
    }
}

#[test]
fn an_agent_does_not_serve_services_where_the_api_server_does() {
    needs!("nft", "ip", "python3");
    in_new_netns(|| {
        let world = World::new(0);
        let said = refused(world.dir.path());
        let why = "podhosts-node: cannot serve Services: another podhosts-apiserver or podhosts-node does in this network \
                   namespace (--proxy=none leaves Services to another program)";
        assert!(said.contains(why), "{said}");
    });
}

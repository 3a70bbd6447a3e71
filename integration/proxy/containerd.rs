//! Pods of crictl's on podhosts-cni under containerd, and a Service that selects three of them.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::cluster::{CLIENT, serve};
use crate::harness::cni::CniNode;
use crate::harness::containerd::{Containerd, Pod, each_containerd, sleeping};
use crate::harness::outside::{self, NODE};
use crate::harness::serve::{Server, kubectls};
use crate::harness::{Run, needs};

each_containerd!(a_service_of_crictls_pods_is_reached_from_everywhere);

pub(super) const FLAGS: [&str; 5] = [
    "--proxy=nftables",
    "--node-ip=192.0.2.1,2001:db8::1",
    "--pod-cidr=10.244.0.0/24,fd00:10:244::/64",
    "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
    "--load-balancer-pool=192.0.2.128/28,2001:db8::100-2001:db8::10f",
];

pub(super) const SERVICE: &str = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
    "type": "LoadBalancer", "ipFamilyPolicy": "RequireDualStack", "selector": {"app": "web"},
    "ports": [{"name": "tcp", "port": 80, "targetPort": "http"}, {"name": "udp", "protocol": "UDP", "port": 80, "targetPort": 8080}]}}"#;

/// A pod with one container, and its network namespace.
fn pod<'a>(containerd: &'a Containerd, name: &str, app: &str) -> (Pod<'a>, String) {
    let (pod, _, netns) = pod_of(containerd, name, app, sleeping("main"));
    (pod, netns)
}

/// A pod with this container, the container, and the pod's network namespace.
pub(super) fn pod_of<'a>(
    containerd: &'a Containerd,
    name: &str,
    app: &str,
    mut container: Value,
) -> (Pod<'a>, String, String) {
    let mut config = containerd.pod_config(name);
    config["labels"] = json!({"app": app});
    let pod = containerd.pod(&config);
    let ports = json!([{"name": "http", "containerPort": 8080, "protocol": "TCP"}]);
    container["annotations"] = json!({"io.kubernetes.container.ports": ports.to_string()});
    let container = pod.start(&container);
    let address = &pod.addresses()[0];
    let script = format!(
        "for n in /run/netns/*; do if nsenter --net=$n ip -o addr | grep -q ' {address}/'; then echo $n; fi; done"
    );
    let netns = containerd.node.sh(&script).trim().to_owned();
    (pod, container, netns)
}

/// Python in a network namespace of the node's, or on the node itself.
pub(super) fn python(node: &CniNode, netns: Option<&str>) -> Command {
    match netns {
        Some(netns) => node.command("nsenter", &[&format!("--net={netns}"), "python3"]),
        None => node.command("python3", &[]),
    }
}

/// The pods that answer `times` clients.
fn answering(mut python: Command, kind: &str, host: &str, port: u64, times: usize) -> BTreeSet<String> {
    python.args(["-c", CLIENT, kind, host, &port.to_string(), &times.to_string(), "20"]);
    let output = Run::from(python.output().unwrap()).success();
    output.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

fn a_service_of_crictls_pods_is_reached_from_everywhere(containerd: &mut Containerd) {
    needs!("python3", "nft");
    let containerd = &*containerd;
    let node = &containerd.node;
    let Some(kubectl) = kubectls().first().cloned() else { return };
    outside::connect(node);
    node.sh("ip route add default via 192.0.2.2; ip -6 route add default via 2001:db8::2");
    let dir = node.path("server");
    std::fs::create_dir(&dir).unwrap();
    let server = Server::start_on(node, &dir, &FLAGS);
    let ask = |args: &[&str]| {
        let config = server.dir.join("kubeconfig");
        let mut command = node.command(&kubectl, &["--kubeconfig", config.to_str().unwrap()]);
        command.arg("--cache-dir").arg(server.dir.join("cache")).args(args);
        Run::from(command.output().unwrap()).success()
    };
    let file = node.path("service.json");
    std::fs::write(&file, SERVICE).unwrap();
    ask(&["create", "-f", file.to_str().unwrap()]);
    let mut backends: Vec<_> = ["web-1", "web-2", "web-3"]
        .map(|name| {
            let (pod, netns) = pod(containerd, name, "web");
            let server = serve(python(node, Some(&netns)), name, 8080);
            (name, pod, netns, server)
        })
        .into();
    let (_client, client) = pod(containerd, "client", "other");
    let endpoints = ["get", "endpointslices", "-o", "jsonpath={.items[*].endpoints[*].conditions.ready}"];
    until(|| ask(&endpoints) == ["true"; 6].join(" "));

    let service: Value = serde_json::from_str(&ask(&["get", "service", "web", "-o", "json"])).unwrap();
    let all: BTreeSet<String> = ["web-1", "web-2", "web-3"].map(str::to_owned).into();
    let places = |family: usize, kind: &str| {
        let spec = &service["spec"];
        let node_port = spec["ports"][usize::from(kind == "udp")]["nodePort"].as_u64().unwrap();
        let external = service["status"]["loadBalancer"]["ingress"][family]["ip"].as_str().unwrap();
        let cluster_ip = spec["clusterIPs"][family].as_str().unwrap();
        [(cluster_ip.to_owned(), 80), (external.to_owned(), 80), (NODE[family].to_owned(), node_port)]
    };
    // New rules are there a moment after the EndpointSlices.
    let reached = || answering(python(node, Some(&client)), "tcp", &places(0, "tcp")[0].0, 80, 50) == all;
    until(reached);
    for kind in ["tcp", "udp"] {
        for (host, port) in [places(0, kind), places(1, kind)].concat() {
            for from in [Some(client.as_str()), Some(backends[0].2.as_str()), None] {
                // Of 60 clients one pod gets none once in 10 thousand million times.
                assert_eq!(
                    answering(python(node, from), kind, &host, port, 60),
                    all,
                    "{kind} {host} {from:?}"
                );
            }
        }
    }
    // Outside only the addresses that are not the cluster's are known: the node answers ARP and NDP for the external ones.
    for family in [0, 1] {
        let (host, port) = &places(family, "tcp")[1];
        let mut outside = node.command("ip", &["netns", "exec", "outside", "python3"]);
        outside.args(["-c", CLIENT, "tcp", host, &port.to_string(), "60", "20"]);
        let answers = Run::from(outside.output().unwrap()).success();
        assert!(answers.lines().all(|answer| answer.starts_with("web-")), "{answers}");
    }
    let (name, gone, _, _) = backends.remove(0);
    gone.remove();
    let mut left = all.clone();
    left.remove(name);
    let cluster_ip = &places(1, "tcp")[0].0;
    until(|| answering(python(node, Some(&client)), "tcp", cluster_ip, 80, 50) == left);
    let described = ask(&["describe", "service", "web"]);
    assert!(described.contains(":8080"), "{described}");
}

/// Waits for what happens in a moment.
#[track_caller]
fn until(is_so: impl Fn() -> bool) {
    for _ in 0..300 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("it does not happen");
}

//! Endpoints of Services, as kubectls see them on a node with pods.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::harness::cni::CniNode;
use crate::harness::containerd::{Containerd, each_containerd, sleeping};
use crate::harness::outside::{self, FIRST, SECOND};
use crate::harness::serve::{Server, kubectls};
use crate::harness::{Run, needs};

/// A server on a node, and a kubectl there.
struct Cluster<'a> {
    node: &'a CniNode,
    server: Server,
    kubectl: PathBuf,
}

const FLAGS: [&str; 2] = ["--node-name=node1", "--service-cluster-ip-range=10.96.0.0/16,2001:db8:fd00::/112"];

/// Runs a test on a node of its own with each kubectl.
fn with_each(flags: &[&str], test: impl Fn(&Cluster<'_>)) {
    let kubectls = kubectls();
    if kubectls.is_empty() {
        return;
    }
    needs!("ip");
    for kubectl in kubectls {
        let node = CniNode::new();
        let dir = node.path("server");
        std::fs::create_dir(&dir).unwrap();
        let server = Server::start_on(&node, &dir, &[&FLAGS, flags].concat());
        test(&Cluster { node: &node, server, kubectl });
    }
}

impl Cluster<'_> {
    fn try_run(&self, args: &[&str]) -> Run {
        let (config, cache) = (self.server.dir.join("kubeconfig"), self.server.dir.join("cache"));
        let mut command = self.node.command(&self.kubectl, &["--kubeconfig", config.to_str().unwrap()]);
        command.arg("--cache-dir").arg(cache).args(args);
        Run::from(command.output().unwrap())
    }

    /// What kubectl prints, where it has to succeed.
    #[track_caller]
    fn run(&self, line: &str) -> String {
        self.try_run(&line.split(' ').collect::<Vec<_>>()).success()
    }

    /// Runs a command until it prints what is wanted, 30 s at most.
    #[track_caller]
    fn until(&self, line: &str, is_wanted: impl Fn(&str) -> bool) -> String {
        let mut printed = String::new();
        for _ in 0..150 {
            printed = self.run(line);
            if is_wanted(&printed) {
                return printed;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("{line}: {printed}");
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.server.dir.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[track_caller]
    fn apply(&self, object: &serde_json::Value) -> String {
        let file = self.write("object.json", &object.to_string());
        self.run(&format!("apply -f {file}"))
    }

    fn record(&self, name: &str) -> PathBuf {
        self.node.file(&format!("/run/podhosts/pods/{name}.json"))
    }

    /// A pod of this number, as the plugin would leave it.
    fn pod(&self, name: &str, number: u8, app: &str) {
        let record = json!({
            "version": 1, "sandboxID": name, "namespace": "default", "name": name, "uid": format!("uid-{name}"),
            "podIPs": [format!("10.244.1.{number}"), format!("2001:db8:1::{number}")], "labels": {"app": app},
            "annotations": {}, "since": "2026-01-01T00:00:00Z",
        });
        let path = self.record(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, record.to_string()).unwrap();
    }
}

/// The rows of a table, cell by cell.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect()
}

fn web(rest: &serde_json::Value) -> serde_json::Value {
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"ipFamilyPolicy": "PreferDualStack", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}});
    for (key, value) in rest.as_object().unwrap() {
        service["spec"][key] = value.clone();
    }
    service
}

/// The slices of a Service: their types, ports and endpoints.
fn slices(cluster: &Cluster<'_>, service: &str) -> Vec<[String; 3]> {
    let table = cluster.run(&format!("get endpointslices -l kubernetes.io/service-name={service}"));
    let mut found: Vec<_> =
        rows(&table).iter().map(|row| [1, 2, 3].map(|cell| row[cell].to_owned())).collect();
    found.sort();
    found
}

fn line<'a>(text: &'a str, name: &str) -> &'a str {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
    lines.next().unwrap_or_else(|| panic!("{name}: {text}")).trim()
}

#[test]
fn a_service_is_described_with_its_endpoints() {
    with_each(&[], |cluster| {
        cluster.pod("web-1", 2, "web");
        cluster.pod("web-2", 3, "web");
        cluster.pod("other", 4, "other");
        cluster.apply(&web(&json!({})));
        let both = "10.244.1.2:8080,10.244.1.3:8080";
        let table = cluster.until("get ep web", |text| text.contains("10.244.1.3"));
        assert_eq!(rows(&table)[0][..2], ["web", both]);
        assert!(table.starts_with("NAME   ENDPOINTS"), "{table}");
        assert_eq!(
            slices(cluster, "web"),
            [["IPv4", "8080", "10.244.1.2,10.244.1.3"], ["IPv6", "8080", "2001:db8:1::2,2001:db8:1::3"]]
        );
        let described = cluster.run("describe svc web");
        // An old one asks for Endpoints, a new one for slices, in the order of their generated names.
        let others = "[2001:db8:1::2]:8080,[2001:db8:1::3]:8080";
        let new = [
            format!("{both},[2001:db8:1::2]:8080 + 1 more..."),
            format!("{others},10.244.1.2:8080 + 1 more..."),
        ];
        let told = line(&described, "Endpoints:");
        assert!(told == both || new.iter().any(|new| new == told), "{described}");
        assert!(cluster.run("describe ep web").contains("  Addresses:          10.244.1.2,10.244.1.3\n"));
        let told = cluster.try_run(&["get", "ep", "web"]).stderr;
        let why = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";
        assert_eq!(told, format!("Warning: {why}\n"));
        let owners =
            cluster.run("get endpointslices -o jsonpath={.items[*].metadata.ownerReferences[*].name}");
        assert_eq!(owners, "web web");
    });
}

#[test]
fn pods_come_and_go() {
    with_each(&[], |cluster| {
        cluster.apply(&web(&json!({"ipFamilyPolicy": "SingleStack"})));
        let all = "get endpointslices";
        let table = cluster.until(all, |text| text.contains("web-"));
        // Nothing is behind the Service yet, and clients see that somebody looks after it.
        assert_eq!(rows(&table)[0][1..4], ["IPv4", "<unset>", "<unset>"]);
        let name = rows(&table)[0][0].to_owned();
        assert!(cluster.run("get ep web").contains("<none>"));
        for number in 1..=5 {
            cluster.pod(&format!("web-{number}"), number, "web");
        }
        let table = cluster.until(all, |text| text.contains(" + 2 more..."));
        assert_eq!(rows(&table)[0][..4], [&name, "IPv4", "8080", "10.244.1.1,10.244.1.2,10.244.1.3"]);
        let table = cluster.until("get ep web", |text| text.contains("10.244.1.1"));
        assert!(table.contains("10.244.1.1:8080,10.244.1.2:8080,10.244.1.3:8080 + 2 more..."), "{table}");
        for number in [1, 2, 4, 5] {
            std::fs::remove_file(cluster.record(&format!("web-{number}"))).unwrap();
        }
        cluster.until(all, |text| text.contains(" 10.244.1.3 "));
        // A port by a name that no container has.
        cluster.apply(&web(&json!({"ipFamilyPolicy": "SingleStack", "ports": [
            {"name": "a", "port": 80, "targetPort": 81}, {"name": "b", "port": 53, "targetPort": "dns", "protocol": "UDP"},
        ]})));
        cluster.until(all, |text| text.contains(" 81 "));
        cluster.run("delete svc web");
        assert!(!cluster.run("get endpointslices -A").contains("web"));
        cluster.until("get ep -A", |text| !text.contains("web"));
    });
}

#[test]
fn what_somebody_writes_is_served() {
    with_each(&[], |cluster| {
        cluster.apply(&web(&json!({"selector": null, "ipFamilyPolicy": "SingleStack"})));
        let hand = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "by-hand", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.9"]}], "ports": [{"port": 9}]});
        cluster.apply(&hand);
        let endpoints = |ips: &[&str]| {
            let addresses: Vec<_> = ips.iter().map(|ip| json!({"ip": ip})).collect();
            json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web"},
                "subsets": [{"addresses": addresses, "ports": [{"port": 7}]}]})
        };
        cluster.apply(&endpoints(&["192.0.2.7", "2001:db8::7"]));
        let by_hand = ["IPv4", "9", "192.0.2.9"];
        cluster.until("get endpointslices", |text| text.contains("2001:db8::7"));
        assert_eq!(
            slices(cluster, "web"),
            [["IPv4", "7", "192.0.2.7"], by_hand, ["IPv6", "7", "2001:db8::7"]]
        );
        cluster.apply(&endpoints(&["192.0.2.8"]));
        cluster.until("get endpointslices", |text| text.contains("192.0.2.8") && !text.contains("IPv6"));
        assert!(cluster.run("get ep web").contains("192.0.2.8:7"));
        // With a selector the pods are the endpoints; what was written by hand as a slice stays.
        cluster.pod("web-1", 2, "web");
        cluster.apply(&web(&json!({"ipFamilyPolicy": "SingleStack"})));
        cluster.until("get ep web", |text| text.contains("10.244.1.2:8080"));
        assert_eq!(slices(cluster, "web"), [["IPv4", "8080", "10.244.1.2"], by_hand]);
        cluster.run("delete svc web");
        let left = cluster.until("get endpointslices", |text| text.lines().count() == 2);
        assert!(left.contains("by-hand"), "{left}");
    });
}

#[test]
fn the_service_kubernetes_leads_to_the_server() {
    with_each(&[], |cluster| {
        // Nobody reaches a server on 127.0.0.1.
        let refused = cluster.try_run(&["get", "ep", "kubernetes"]);
        assert!(
            !refused.ok && refused.stderr.contains("endpoints \"kubernetes\" not found"),
            "{}",
            refused.stderr
        );
        assert!(
            line(&cluster.run("describe svc kubernetes"), "Endpoints:")
                .trim_matches(['<', '>', 'n', 'o', 'e'])
                .is_empty()
        );
        cluster.node.sh("ip addr add 192.0.2.1/24 dev lo");
        let dir = cluster.node.path("reached");
        std::fs::create_dir(&dir).unwrap();
        let start = |flags: &[&str]| Cluster {
            node: cluster.node,
            server: Server::start_on(cluster.node, &dir, &[&FLAGS, flags].concat()),
            kubectl: cluster.kubectl.clone(),
        };
        for flags in [&["--bind-address=192.0.2.1"][..], &["--bind-address=0.0.0.0", "--node-ip=192.0.2.1"]] {
            let reached = start(flags);
            let expected = format!("192.0.2.1:{}", reached.server.address.port());
            reached.until("get ep", |text| text.contains(&expected));
            let described = reached.run("describe svc kubernetes");
            assert_eq!(line(&described, "Endpoints:"), expected, "{described}");
            let port = reached.server.address.port().to_string();
            assert_eq!(slices(&reached, "kubernetes"), [["IPv4", &port, "192.0.2.1"]]);
            // Somebody else's hands are taken off it.
            reached.run("delete endpointslice kubernetes");
            reached.until("get endpointslices", |text| text.contains("kubernetes"));
            assert!(reached.server.stop().success());
        }
        let alone = start(&[]);
        alone.until("get ep,endpointslices", |text| !text.contains("kubernetes"));
    });
}

/// Pods of crictl's, with labels, and ports as the kubelet tells them to the engine.
fn pods_of_an_engine_are_endpoints(containerd: &mut Containerd) {
    let Some(kubectl) = kubectls().first().cloned() else { return };
    outside::connect(&containerd.node);
    let dir = containerd.node.path("server");
    std::fs::create_dir(&dir).unwrap();
    let server = Server::start_on(&containerd.node, &dir, &FLAGS);
    let cluster = Cluster { node: &containerd.node, server, kubectl };
    cluster.apply(&web(&json!({"ports": [{"port": 80, "targetPort": "http"}]})));
    let pod = |name: &str| {
        let mut config = containerd.pod_config(name);
        config["labels"] = json!({"app": "web"});
        let pod = containerd.pod(&config);
        let mut container = sleeping("main");
        let ports = json!([{"name": "http", "containerPort": 8080, "protocol": "TCP"}]);
        container["annotations"] = json!({"io.kubernetes.container.ports": ports.to_string()});
        let id = pod.start(&container);
        (pod, id)
    };
    let (first, container) = pod("web-1");
    let (second, _) = pod("web-2");
    let addresses = [FIRST, SECOND];
    let both = [0, 1].map(|family| addresses.map(|of_pod| of_pod[family]).join(","));
    cluster.until("get endpointslices", |text| both.iter().all(|both| text.contains(both)));
    let expected = [["IPv4", "8080", &both[0]], ["IPv6", "8080", &both[1]]];
    assert_eq!(slices(&cluster, "web"), expected);
    let ready =
        "get endpointslices -o jsonpath={.items[?(@.addressType==\"IPv4\")].endpoints[*].conditions.ready}";
    cluster.until(ready, |text| text == "true true");
    assert!(cluster.run("describe svc web").contains(":8080"));
    // A container that ends: its pod is no longer ready, and is said to be so until it is removed.
    containerd.ask(&["stop", "-t", "0", &container]);
    cluster.until("get ep web", |text| !text.contains(FIRST[0]) && text.contains(SECOND[0]));
    first.remove();
    cluster.until("get endpointslices", |text| !text.contains(FIRST[0]) && text.contains(SECOND[0]));
    second.remove();
    cluster.until("get endpointslices", |text| !text.contains(SECOND[0]));
}

each_containerd!(pods_of_an_engine_are_endpoints);

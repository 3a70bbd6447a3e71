//! Pods that containerd runs on podhosts-cni, as kubectl sees them.

use std::path::Path;

use crate::harness::Run;
use crate::harness::containerd::{Containerd, Release, sleeping};
use crate::harness::outside::{self, FIRST, NODE};
use crate::harness::serve::{Server, kubectls};

const FLAGS: [&str; 2] = ["--node-name=node1", "--pod-cidr=10.244.0.0/24,fd00:10:244::/64"];

/// What kubectl prints on the node, where it has to succeed.
#[track_caller]
fn ask(containerd: &Containerd, server: &Server, kubectl: &Path, args: &[&str]) -> String {
    let (config, cache) = (server.dir.join("kubeconfig"), server.dir.join("cache"));
    let mut command = containerd.node.command(kubectl, &["--kubeconfig", config.to_str().unwrap()]);
    command.arg("--cache-dir").arg(cache).args(args);
    Run::from(command.output().unwrap()).success()
}

#[test]
fn a_pod_of_crictls_is_a_pod_of_kubectls() {
    let kubectls = kubectls();
    if kubectls.is_empty() {
        return;
    }
    let Some(containerd) = Containerd::start(Release::Bookworm) else { return };
    outside::connect(&containerd.node);
    // The server is told nothing of the node's addresses: those of its default routes are found.
    containerd.node.sh("ip route add default via 192.0.2.2; ip -6 route add default via 2001:db8::2");
    let dir = containerd.node.path("server");
    std::fs::create_dir(&dir).unwrap();
    let server = Server::start_on(&containerd.node, &dir, &FLAGS);
    let pods = |kubectl| ask(&containerd, &server, kubectl, &["get", "pods", "-o", "wide"]);
    assert!(!pods(&kubectls[0]).contains("pod01"));

    let pod = containerd.pod(&containerd.pod_config("pod01"));
    pod.start(&sleeping("main"));
    assert_eq!(pod.addresses(), FIRST);
    // No API server could have this one: the table has one row all the same.
    let other = containerd.pod(&containerd.pod_config("create-PodSandbox-for-container-0F"));
    assert!(containerd.podhosts(&["list"]).success().contains("create-PodSandbox-for-container-0F"));
    pod.start(&sleeping("other"));
    // The engine of this release tells nothing by itself.
    for _ in 0..300 {
        if pods(&kubectls[0]).contains("2/2") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    for kubectl in &kubectls {
        let ask = |args: &[&str]| ask(&containerd, &server, kubectl, args);
        let table = pods(kubectl);
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows.len(), 2, "{table}");
        let row = &rows[1];
        assert_eq!(row[..4], ["pod01", "2/2", "Running", "0"], "{table}");
        assert_eq!((row[5], row[6]), (FIRST[0], "node1"), "{table}");
        let ips = r#"{{range .status.podIPs}}{{printf "%s\n" .ip}}{{end}}"#;
        let printed = ask(&["get", "pods", "pod01", "-o", "go-template", "--template", ips]);
        assert_eq!(printed, format!("{}\n{}\n", FIRST[0], FIRST[1]));
        let uid = ask(&["get", "pods", "pod01", "-o", "jsonpath={.metadata.uid}"]);
        assert_eq!(uid, "uid-of-pod01");

        let cidrs = r#"{{range .spec.podCIDRs}}{{printf "%s\n" .}}{{end}}"#;
        let printed = ask(&["get", "nodes", "node1", "-o", "go-template", "--template", cidrs]);
        assert_eq!(printed, "10.244.0.0/24\nfd00:10:244::/64\n");
        let addresses = r#"{{range .status.addresses}}{{printf "%s: %s\n" .type .address}}{{end}}"#;
        let printed = ask(&["get", "nodes", "node1", "-o", "go-template", "--template", addresses]);
        assert_eq!(printed, format!("Hostname: node1\nInternalIP: {}\nInternalIP: {}\n", NODE[0], NODE[1]));
    }
    other.remove();
    pod.remove();
    for _ in 0..300 {
        if !pods(&kubectls[0]).contains("pod01") {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the pod stays");
}

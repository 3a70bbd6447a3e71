//! Kubernetes' pages about Services, their commands as they stand there, with every kubectl of this machine.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::cni::{Call, CniNode};
use crate::harness::serve::{Server, kubectls};
use crate::harness::{Run, needs};

/// Makes a script of `integration/pages` the last argument of a command that is run with a kubectl.
#[track_caller]
fn follow(mut command: Command, server: &Server, kubectl: &Path, page: &str, args: &[&str]) {
    let script = crate::harness::repository().join("integration/pages").join(page);
    command.arg(script).args(args);
    // kubectl keeps what it found out about a server at home.
    command.env("KUBECTL", kubectl).env("KUBECONFIG", server.dir.join("kubeconfig")).env("HOME", &server.dir);
    let run: Run = command.output().unwrap().into();
    assert!(run.ok, "{}: {}{}", kubectl.display(), run.stdout, run.stderr);
}

/// The page "Extend Service IP Ranges" on a server with these ranges.
fn extend_service_ip_ranges(cidrs: &str) {
    for kubectl in kubectls() {
        let server = Server::start(&["--service-cluster-ip-range", cidrs]);
        follow(Command::new("sh"), &server, &kubectl, "extend-service-ip-ranges.sh", &[cidrs]);
    }
}

#[test]
fn service_ip_ranges_are_extended() {
    needs!("jq");
    extend_service_ip_ranges("10.96.0.0/28");
}

#[test]
fn service_ip_ranges_are_extended_with_two_families() {
    needs!("jq");
    extend_service_ip_ranges("10.96.0.0/28,2001:db8:fd00::/112");
}

#[test]
fn dual_stack_is_validated() {
    needs!("ip", "nft");
    // The page's node, with two pods that came before the page's.
    let node = CniNode::new();
    let network = json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni",
        "ipam": {"podCIDRs": ["10.244.1.0/24", "2001:db8::/64"]}});
    for name in ["first", "second", "pod01"] {
        node.pod(name);
        let args = format!("K8S_POD_NAMESPACE=default;K8S_POD_NAME={name};K8S_POD_UID=uid-of-{name}");
        node.call(&Call { args: &args, ..Call::new("ADD", name, &network) }).success();
    }
    for (number, kubectl) in kubectls().iter().enumerate() {
        let dir = node.path(&format!("server{number}"));
        std::fs::create_dir(&dir).unwrap();
        let flags = [
            "--node-name=k8s-linuxpool1-34450317-0",
            "--node-ip=10.0.0.5,2001:db8:10::5",
            "--pod-cidr=10.244.1.0/24,2001:db8::/64",
            "--service-cluster-ip-range=10.96.0.0/28,2001:db8:fd00::/112",
            "--load-balancer-pool=192.0.2.10-192.0.2.20,2603:1030:805::5-2603:1030:805::20",
        ];
        let server = Server::start_on(&node, &dir, &flags);
        follow(node.command("sh", &[]), &server, kubectl, "validate-dual-stack.sh", &[]);
        assert!(server.stop().success());
    }
}

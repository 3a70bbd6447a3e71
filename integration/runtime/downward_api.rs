//! The environment that the wrapper gives a container whose pod asks for it by annotation.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::{Bundle, Netns, Node, Run, bin, in_new_netns, needs};

/// A pod of containerd's that asks for variables, each `NAME=fieldPath`, and prints them.
fn pod(node: &Node, variables: &[&str]) -> Bundle {
    let names: Vec<&str> = variables.iter().map(|variable| variable.split_once('=').unwrap().0).collect();
    let script = format!("for name in {}; do eval \"echo $name=\\$$name\"; done", names.join(" "));
    variables.iter().fold(Bundle::new(node, &script).containerd(), |bundle, variable| {
        let (name, field) = variable.split_once('=').unwrap();
        bundle.annotate(&format!("podhosts.io/env.{name}"), field)
    })
}

/// Calls `body` on a node that has the addresses 192.0.2.1 and 2001:db8:1::1 towards its default routes.
fn on_a_node_with_routes(body: impl FnOnce() + Send) {
    in_new_netns(|| {
        for args in [
            "link add uplink type veth peer name far",
            "addr add 192.0.2.1/24 dev uplink",
            "addr add 198.51.100.9/24 dev uplink",
            "addr add 2001:db8:1::1/64 dev uplink nodad",
            "link set uplink up",
            "link set far up",
            "route add default via 192.0.2.254",
            "-6 route add default via 2001:db8:1::ff",
        ] {
            assert!(Command::new("ip").args(args.split(' ')).status().unwrap().success(), "ip {args}");
        }
        body();
    });
}

#[test]
fn every_field_with_real_runtimes() {
    needs!("runc", "crun", "busybox", "ip");
    on_a_node_with_routes(|| {
        let netns = Netns::new(&["2001:db8::4/64", "10.244.1.4/24"]);
        let node_name = rustix::system::uname().nodename().to_str().unwrap().to_owned();
        for runtime in ["runc", "crun"] {
            let node = Node::with_config(&format!("[runtime]\nruntimes = [\"{runtime}\"]\n"));
            let variables = [
                "MY_POD_IPS=status.podIPs",
                "MY_POD_IP=status.podIP",
                "HOST_IP=status.hostIP",
                "HOST_IPS=status.hostIPs",
                "NODE_NAME=spec.nodeName",
                "POD_NAME=metadata.name",
                "NAMESPACE=metadata.namespace",
                "POD_UID=metadata.uid",
                "MY_NOTE=metadata.annotations['example.com/note']",
            ];
            let note = "two words, \"quoted\"";
            let bundle = pod(&node, &variables).annotate("example.com/note", note);
            let output = node.run_wrapped(&bundle.network(Some(&netns.path())).write()).success();
            let expected = format!(
                "MY_POD_IPS=10.244.1.4,2001:db8::4\nMY_POD_IP=10.244.1.4\nHOST_IP=192.0.2.1\n\
                 HOST_IPS=192.0.2.1,2001:db8:1::1\nNODE_NAME={node_name}\nPOD_NAME=web\nNAMESPACE=default\nPOD_UID=uid-1\n\
                 MY_NOTE={note}\n"
            );
            assert_eq!(output, expected, "{runtime}");
        }
    });
}

#[test]
fn the_node_decides_about_its_addresses_and_the_primary_family() {
    needs!("runc", "busybox", "ip");
    on_a_node_with_routes(|| {
        let netns = Netns::new(&["10.244.1.4/24", "10.244.1.5/24", "2001:db8::4/64"]);
        let variables = ["MY_A=status.podIPs", "MY_B=status.podIP", "MY_C=status.hostIPs"];
        let run = |config: &str| {
            let node = Node::with_config(config);
            node.run_wrapped(&pod(&node, &variables).network(Some(&netns.path())).write()).success()
        };
        let by_route = "MY_A=2001:db8::4,10.244.1.4\nMY_B=2001:db8::4\nMY_C=2001:db8:1::1,192.0.2.1\n";
        assert_eq!(run("primary-family = \"IPv6\""), by_route);
        let configured = "MY_A=10.244.1.4,2001:db8::4\nMY_B=10.244.1.4\nMY_C=203.0.113.7\n";
        assert_eq!(run("node-ips = [\"203.0.113.7\"]"), configured);
    });
}

#[test]
fn a_pod_on_the_nodes_network_has_the_nodes_addresses() {
    needs!("runc", "busybox", "ip");
    on_a_node_with_routes(|| {
        let node = Node::new();
        let variables = ["MY_A=status.podIPs", "MY_B=status.hostIPs"];
        let expected = "MY_A=192.0.2.1,2001:db8:1::1\nMY_B=192.0.2.1,2001:db8:1::1\n";
        // CRI-O leaves the namespace out, containerd names the sandbox's, which is the node's.
        for path in [None, Some(Path::new("/proc/self/ns/net"))] {
            let bundle = pod(&node, &variables).network(path);
            assert_eq!(node.run_wrapped(&bundle.write()).success(), expected, "{path:?}");
        }
    });
}

#[test]
fn the_record_goes_before_the_namespace() {
    needs!("runc", "busybox", "ip");
    let netns = Netns::new(&["10.244.1.9/24"]);
    let node = Node::new();
    let record = json!({
        "version": 1, "sandboxID": "sandbox-1", "namespace": "default", "name": "web",
        "podIPs": ["2001:db8::4", "10.244.1.4"], "labels": {"app": "web"},
        "annotations": {"podhosts.io/env.MY_LABEL": "metadata.labels['app']", "example.com/note": "n"},
    });
    node.write("run/podhosts/pods/sandbox-1.json", &record.to_string());
    let script = "echo $MY_A; echo $MY_LABEL; echo \"$MY_B;$MY_C\"";
    let bundle = Bundle::new(&node, script)
        .containerd()
        .annotate("podhosts.io/env.MY_A", "status.podIPs")
        .annotate("podhosts.io/env.MY_B", "metadata.annotations['example.com/note']")
        .annotate("podhosts.io/env.MY_C", "metadata.annotations['example.com/none']")
        .network(Some(&netns.path()));
    assert_eq!(node.run_wrapped(&bundle.write()).success(), "10.244.1.4,2001:db8::4\nweb\nn;\n");
}

#[test]
fn what_the_container_sets_itself_stays() {
    needs!("runc", "busybox");
    let node = Node::new();
    let mut bundle = pod(&node, &["MY_A=metadata.name", "MY_B=metadata.name"]);
    bundle.config["process"]["env"].as_array_mut().unwrap().push("MY_A=own".into());
    assert_eq!(node.run_wrapped(&bundle.write()).success(), "MY_A=own\nMY_B=web\n");
}

#[test]
fn a_container_that_is_not_sealed_has_its_environment_all_the_same() {
    needs!("runc", "busybox");
    let node = Node::new();
    let bundle = pod(&node, &["MY_A=metadata.name"]).annotate("podhosts.io/seal", "false");
    let dir = bundle.write();
    assert_eq!(node.run_wrapped(&dir).success(), "MY_A=web\n");
    let outcomes: Vec<_> = node.log().iter().map(|entry| entry["outcome"].clone()).collect();
    assert_eq!(outcomes, ["skipped"], "the wrapper says why there is no hook");
    let sandbox = pod(&node, &["MY_A=metadata.name"]).annotate("io.kubernetes.cri.container-type", "sandbox");
    assert_eq!(node.run_wrapped(&sandbox.write()).success(), "MY_A=\n");
}

#[test]
fn what_cannot_be_known_keeps_the_container_from_starting() {
    needs!("runc", "busybox");
    for (variable, expected) in [
        ("MY_A=status.podIPs", "cannot set MY_A: nothing tells status.podIPs of the pod (containerd)"),
        (
            "MY_A=metadata.labels['app']",
            "cannot set MY_A: nothing tells metadata.labels['app'] of the pod (containerd)",
        ),
        (
            "MY_A=metadata.annotations['x']",
            "cannot set MY_A: nothing tells metadata.annotations['x'] of the pod",
        ),
        (
            "MY_A=metadata.generation",
            "cannot read annotation podhosts.io/env.MY_A: got \"metadata.generation\", expected",
        ),
        ("1A=metadata.name", "cannot read annotation podhosts.io/env.1A: \"1A\" is no environment variable"),
    ] {
        let node = Node::new();
        let dir = Bundle::new(&node, "true").containerd();
        let (name, field) = variable.split_once('=').unwrap();
        let dir = dir.annotate(&format!("podhosts.io/env.{name}"), field).write();
        let before = std::fs::read(dir.join("config.json")).unwrap();
        let error = node.run_wrapped(&dir).failure();
        assert!(error.starts_with(&format!("podhosts-runtime: {expected}")), "{error}");
        assert_eq!(std::fs::read(dir.join("config.json")).unwrap(), before);
    }
}

#[test]
fn a_namespace_that_is_gone_is_an_error() {
    needs!("runc", "busybox");
    let node = Node::new();
    let dir = pod(&node, &["MY_A=status.podIP"]).network(Some(Path::new("/run/netns/gone"))).write();
    let error = node.run_wrapped(&dir).failure();
    assert_eq!(error, "podhosts-runtime: cannot open network namespace /run/netns/gone: there is none\n");
    // Nobody asks for addresses: the runtime says what it thinks of the namespace.
    let dir = pod(&node, &["MY_A=metadata.name"]).network(Some(Path::new("/run/netns/gone"))).write();
    let run: Run =
        node.run(bin("podhosts-runtime"), &["--root", &node.root(), "run", "-b", dir.to_str().unwrap(), "c"]);
    assert!(run.failure().contains("/run/netns/gone"));
}

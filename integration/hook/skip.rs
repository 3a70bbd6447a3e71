//! Containers that are left alone, and the reason that is given.

use crate::harness::{Bundle, Node, Runtime, managed, needs, runtimes};

const IMAGE: &str = "127.0.0.1 image\n";

#[track_caller]
fn skipped(node: &Node, runtime: Runtime, bundle: Bundle, expected: &str, reason: &str) {
    let output = node.run_bundle(runtime, &bundle.hook(&[]).write()).success();
    assert_eq!(output, expected);
    let log = node.last_log();
    assert_eq!((log["outcome"].as_str(), log["reason"].as_str()), (Some("skipped"), Some(reason)));
}

fn container(node: &Node) -> Bundle {
    Bundle::new(node, "cat /etc/hosts")
}

#[test]
fn sandbox_containers() {
    needs!("runc", "crun", "busybox");
    let reason = "it is the pod's sandbox container";
    for runtime in runtimes() {
        let node = Node::new();
        let containerd =
            container(&node).containerd().annotate("io.kubernetes.cri.container-type", "sandbox");
        skipped(&node, runtime, containerd, IMAGE, reason);
        let crio = container(&node)
            .annotate("io.container.manager", "cri-o")
            .annotate("io.kubernetes.cri-o.ContainerType", "sandbox")
            .annotate("io.kubernetes.cri-o.SandboxID", "s")
            .annotate("io.kubernetes.cri-o.SandboxName", "k8s_web_default_u_0");
        skipped(&node, runtime, crio, IMAGE, reason);
        let podman = container(&node)
            .annotate("io.container.manager", "libpod")
            .annotate("io.kubernetes.cri-o.ContainerType", "sandbox")
            .annotate("podhosts.io/hostname", "web");
        skipped(&node, runtime, podman, IMAGE, reason);
    }
}

#[test]
fn a_volume_of_the_users_own() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        node.write("volume/hosts", "10.0.0.1 mine\n");
        let volume = node.path("volume/hosts");
        for destination in ["/etc/hosts", "/etc/./hosts"] {
            let bundle = container(&node).containerd().mount(&volume, destination);
            let reason = format!("the container mounts a volume of its own at /etc/hosts: {volume:?}");
            skipped(&node, runtime, bundle, "10.0.0.1 mine\n", &reason);
        }
    }
}

#[test]
fn a_pod_that_opts_out() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        let bundle = || container(&node).containerd().annotate("podhosts.io/seal", "false");
        skipped(&node, runtime, bundle(), IMAGE, "the pod is annotated podhosts.io/seal: \"false\"");
        // Unless the node does not allow it.
        node.configure("allow-opt-out = false");
        let output = node.run_bundle(runtime, &bundle().hook(&[]).write()).success();
        assert_eq!(output, managed(""));
        assert_eq!(node.last_log()["outcome"], "sealed");
    }
}

#[test]
fn podman_and_plain_containers_that_ask_for_nothing() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        let podman = container(&node).annotate("io.container.manager", "libpod");
        skipped(&node, runtime, podman, IMAGE, "no podhosts.io annotation is present (podman)");
        skipped(
            &node,
            runtime,
            container(&node),
            IMAGE,
            "no podhosts.io annotation is present (plain bundle)",
        );
    }
}

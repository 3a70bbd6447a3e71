//! Pods of every kind: networks, names, sources of addresses.

use crate::harness::{Bundle, Netns, Node, Run, Runtime, bin, managed, needs, runtimes};

fn run(node: &Node, runtime: Runtime, bundle: Bundle) -> Run {
    node.run_bundle(runtime, &bundle.hook(&[]).write())
}

fn pod(node: &Node) -> Bundle {
    Bundle::new(node, "cat /etc/hosts").containerd()
}

#[test]
fn dual_stack_from_the_network_namespace() {
    needs!("runc", "crun", "busybox", "ip");
    let netns = Netns::new(&["2001:db8::4/64", "10.244.1.4/24"]);
    for runtime in runtimes() {
        let node = Node::new();
        let output = run(&node, runtime, pod(&node).network(Some(&netns.path()))).success();
        assert_eq!(output, managed("10.244.1.4\tweb\n2001:db8::4\tweb\n"));
        assert_eq!(node.last_log()["reason"], "netns");
        node.configure("primary-family = \"IPv6\"");
        let output = run(&node, runtime, pod(&node).network(Some(&netns.path()))).success();
        assert_eq!(output, managed("2001:db8::4\tweb\n10.244.1.4\tweb\n"));
    }
}

/// As with `podman run --uts=host`: a container finds its own host name in its file.
#[test]
fn a_container_with_the_nodes_host_name() {
    needs!("runc", "crun", "busybox", "ip");
    let netns = Netns::new(&["10.244.1.4/24"]);
    let host = Run::from(std::process::Command::new("hostname").output().unwrap()).success();
    for runtime in runtimes() {
        for manager in ["", "libpod"] {
            let node = Node::new();
            let mut bundle = Bundle::new(&node, "hostname; cat /etc/hosts")
                .network(Some(&netns.path()))
                .annotate("podhosts.io/subdomain", "shop")
                .annotate("io.container.manager", manager);
            bundle.config.as_object_mut().unwrap().remove("hostname");
            let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "uts");
            let name = host.trim();
            let line = format!("10.244.1.4\t{name}.shop.default.svc.cluster.local\t{name}\n");
            let expected = format!("{host}{}", managed(&line));
            assert_eq!(run(&node, runtime, bundle).success(), expected, "{runtime:?} {manager}");
        }
    }
}

#[test]
fn ipv6_only() {
    needs!("runc", "crun", "busybox", "ip");
    let netns = Netns::new(&["fd00:10::7/64"]);
    for runtime in runtimes() {
        let node = Node::new();
        let output = run(&node, runtime, pod(&node).network(Some(&netns.path()))).success();
        assert_eq!(output, managed("fd00:10::7\tweb\n"));
    }
}

#[test]
fn an_annotation_cannot_contradict_the_namespace() {
    needs!("runc", "busybox", "ip");
    let netns = Netns::new(&["10.244.1.4/24"]);
    let node = Node::new();
    let bundle = pod(&node).network(Some(&netns.path())).annotate("podhosts.io/pod-ips", "6.6.6.6");
    assert_eq!(run(&node, Runtime::Runc, bundle).success(), managed("10.244.1.4\tweb\n"));
}

#[test]
fn crios_list_in_its_order_without_what_a_pod_added() {
    needs!("runc", "busybox", "ip");
    let netns = Netns::new(&["10.244.1.4/24", "fd00::4/64"]);
    let node = Node::new();
    let bundle = Bundle::new(&node, "cat /etc/hosts")
        .network(Some(&netns.path()))
        .annotate("io.container.manager", "cri-o")
        .annotate("io.kubernetes.cri-o.ContainerType", "container")
        .annotate("io.kubernetes.cri-o.SandboxID", "abc")
        .annotate("io.kubernetes.cri-o.SandboxName", "k8s_shop_front_u1_0")
        .annotate("io.kubernetes.cri-o.IP.0", "fd00::4")
        .annotate("io.kubernetes.cri-o.IP.1", "10.244.1.4")
        .annotate("io.kubernetes.cri-o.IP.2", "6.6.6.6");
    assert_eq!(run(&node, Runtime::Runc, bundle).success(), managed("fd00::4\tweb\n10.244.1.4\tweb\n"));
    assert_eq!(node.last_log()["reason"], "cri-o");
    assert_eq!(node.last_log()["pod"], "front/shop");
}

#[test]
fn the_cni_record_goes_before_the_namespace() {
    needs!("runc", "busybox", "ip");
    let netns = Netns::new(&["10.244.1.4/24", "fd00::4/64"]);
    let node = Node::new();
    let record = serde_json::json!({
        "version": 1, "sandboxID": "sandbox-1", "namespace": "default", "name": "web", "uid": "uid-1",
        "podIPs": ["fd00::4", "10.244.1.4"],
        // containerd keeps annotations from the hook unless it is told to pass them.
        "annotations": {"podhosts.io/host-aliases": r#"[{"ip":"10.1.1.1","hostnames":["db"]}]"#},
    });
    node.write("run/podhosts/pods/sandbox-1.json", &record.to_string());
    let output = run(&node, Runtime::Runc, pod(&node).network(Some(&netns.path()))).success();
    let tail = "fd00::4\tweb\n10.244.1.4\tweb\n\n# Entries added by HostAliases.\n10.1.1.1\tdb\n";
    assert_eq!(output, managed(tail));
    assert_eq!(node.last_log()["reason"], "cni");

    // A record without addresses is no source of them.
    node.write(
        "run/podhosts/pods/sandbox-1.json",
        &record.to_string().replace("\"fd00::4\",\"10.244.1.4\"", ""),
    );
    run(&node, Runtime::Runc, pod(&node).network(Some(&netns.path()))).success();
    assert_eq!(node.last_log()["reason"], "netns");

    node.write("run/podhosts/pods/sandbox-1.json", "{\"version\":1");
    let error = run(&node, Runtime::Runc, pod(&node)).failure();
    assert!(error.contains("cannot read the pod's CNI record: EOF"), "{error}");
    assert!(error.contains(", in /run/podhosts/pods/sandbox-1.json"), "{error}");
}

#[test]
fn a_container_outside_any_pod_has_the_record_of_its_own_id() {
    needs!("runc", "crun", "busybox", "ip");
    let netns = Netns::new(&["10.244.1.4/24", "fd00::4/64"]);
    for runtime in runtimes() {
        let node = Node::new();
        let plain = || Bundle::new(&node, "cat /etc/hosts").network(Some(&netns.path()));
        let podman = || plain().annotate("io.container.manager", "libpod");
        let record = serde_json::json!({
            "version": 1, "sandboxID": node.id("run"), "namespace": "", "name": "web",
            "podIPs": ["fd00::4", "10.244.1.4"],
        });
        node.write(&format!("run/podhosts/pods/{}.json", node.id("run")), &record.to_string());
        for bundle in [plain(), podman()] {
            let output = run(&node, runtime, bundle.annotate("podhosts.io/hostname", "www")).success();
            assert_eq!(output, managed("fd00::4\twww\n10.244.1.4\twww\n"), "{runtime:?}");
            assert_eq!(node.last_log()["reason"], "cni");
        }
        // In a pod the record is the pod's.
        let in_pod = podman().annotate("io.kubernetes.cri-o.SandboxID", "infra");
        run(&node, runtime, in_pod.annotate("podhosts.io/hostname", "www")).success();
        assert_eq!(node.last_log()["reason"], "netns");
        // An id that is no file's name.
        let bundle = plain().annotate("podhosts.io/hostname", "www").hook(&[]).write();
        let id = format!("{}+", node.id("run"));
        let output = node.call(runtime, &["run", "--bundle", bundle.to_str().unwrap(), &id]).success();
        assert_eq!(output, managed("10.244.1.4\twww\nfd00::4\twww\n"));
    }
}

#[test]
fn the_wrapper_and_inspect_know_the_record_of_a_containers_own_id() {
    needs!("runc", "busybox");
    let node = Node::new();
    // Nothing but the record says that podhosts is wanted.
    let record = |name: &str| {
        let id = node.id(name);
        let record = serde_json::json!({
            "version": 1, "sandboxID": id, "namespace": "", "name": "web", "podIPs": ["10.244.1.4"],
            "annotations": {"podhosts.io/hostname": "www"},
        });
        node.write(&format!("run/podhosts/pods/{id}.json"), &record.to_string());
    };
    record("run");
    let bundle = Bundle::new(&node, "cat /etc/hosts").write();
    assert_eq!(node.run_wrapped(&bundle).success(), managed("10.244.1.4\twww\n"));
    record("stays");
    let container = node.start(Runtime::Runc, &Bundle::new(&node, "sleep 1000").write(), "stays");
    let found = node.run(bin("podhosts"), &["inspect", &container.id, "--root", &node.root()]).success();
    assert!(found.contains("sealed     no: the hook has not run"), "{found}");
}

#[test]
fn host_network_is_told_by_the_namespace() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        node.write("etc/hosts", "127.0.0.1 localhost\n10.0.0.5 node-1 # no newline at the end");
        let bundle = pod(&node)
            .network(None)
            .annotate("podhosts.io/host-aliases", r#"[{"ip":"10.1.1.1","hostnames":["db"]}]"#);
        let expected = "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n\
            10.0.0.5 node-1 # no newline at the end\n# Entries added by HostAliases.\n10.1.1.1\tdb\n";
        assert_eq!(run(&node, runtime, bundle).success(), expected, "{runtime:?}");
        assert_eq!(node.last_log()["reason"], "node");
    }
}

#[test]
fn host_network_without_a_hosts_file_on_the_node() {
    needs!("runc", "busybox");
    let node = Node::with_config("node-hosts = \"/etc/podhosts/none\"");
    let error = run(&node, Runtime::Runc, pod(&node).network(None)).failure();
    assert!(error.contains("podhosts-hook: cannot open /etc/podhosts/none: No such file"), "{error}");
}

#[test]
fn fully_qualified_with_a_subdomain() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::with_config("cluster-domain = \"k8s.example\"");
        let bundle = pod(&node)
            .annotate("podhosts.io/hostname", "front")
            .annotate("podhosts.io/subdomain", "shop")
            .annotate("podhosts.io/pod-ips", "10.0.0.9,fd00::9");
        let fqdn = "front.shop.default.svc.k8s.example";
        let expected = managed(&format!("10.0.0.9\t{fqdn}\tfront\nfd00::9\t{fqdn}\tfront\n"));
        assert_eq!(run(&node, runtime, bundle).success(), expected, "{runtime:?}");
    }
}

#[test]
fn names_overridden_and_cut() {
    needs!("runc", "busybox");
    let node = Node::new();
    let over = pod(&node)
        .annotate("podhosts.io/hostname-override", "a.b.c")
        .annotate("podhosts.io/subdomain", "shop")
        .annotate("podhosts.io/pod-ips", "10.0.0.9");
    assert_eq!(run(&node, Runtime::Runc, over).success(), managed("10.0.0.9\ta.b.c\n"));
    let long = pod(&node)
        .annotate("io.kubernetes.cri.sandbox-name", &format!("{}.-x", "a".repeat(62)).replace(".-", ".a"))
        .annotate("podhosts.io/pod-ips", "10.0.0.9");
    assert_eq!(
        run(&node, Runtime::Runc, long).success(),
        managed(&format!("10.0.0.9\t{}\n", "a".repeat(62)))
    );
}

#[test]
fn a_plain_bundle_names_its_pod_one_way_or_another() {
    needs!("runc", "busybox");
    let node = Node::new();
    let named = |hostname: &str, key: &str, value: &str| {
        let mut bundle = Bundle::new(&node, "cat /etc/hosts").annotate("podhosts.io/pod-ips", "10.0.0.9");
        bundle.config["hostname"] = hostname.into();
        run(&node, Runtime::Runc, bundle.annotate(key, value))
    };
    assert_eq!(named("h", "other", "x").success(), managed("10.0.0.9\th\n"));
    assert_eq!(named("", "podhosts.io/hostname", "a").success(), managed("10.0.0.9\ta\n"));
    assert_eq!(named("h", "io.kubernetes.pod.name", "p").success(), managed("10.0.0.9\tp\n"));
    assert!(named("", "other", "x").failure().contains("cannot tell the pod's name: expected annotation "));
    let error = named("", "podhosts.io/hostname", "NOT").failure();
    assert!(error.contains("cannot render the hosts file: pod Hostname "), "{error}");
}

#[test]
fn the_host_name_that_containerd_gave_the_pod() {
    needs!("runc", "busybox");
    let node = Node::new();
    let sandbox = |config: &str| node.write("sandbox-1/config.json", config);
    let run = || {
        let mut bundle = pod(&node).annotate("podhosts.io/pod-ips", "10.0.0.9");
        bundle.config["process"]["env"] = serde_json::json!(["PATH=/bin", "HOSTNAME=the-images"]);
        run(&node, Runtime::Runc, bundle)
    };
    let config = |kind: &str, id: &str, hostname: &str| {
        serde_json::json!({
            "root": {"path": "rootfs"}, "hostname": hostname,
            "annotations": {"io.kubernetes.cri.container-type": kind, "io.kubernetes.cri.sandbox-id": id},
        })
        .to_string()
    };
    assert_eq!(run().success(), managed("10.0.0.9\tweb\n"), "without a sandbox");
    let full = "front.shop.default.svc.cluster.local";
    for (hostname, expected) in [
        ("front", "front"),
        ("", "web"),
        ("Front_1", "Front_1"),
        ("my host", "web"),
        ("front.example.com", "front.example.com"),
        (full, &format!("{full}\tfront")),
    ] {
        sandbox(&config("sandbox", "sandbox-1", hostname));
        assert_eq!(run().success(), managed(&format!("10.0.0.9\t{expected}\n")), "{hostname}");
    }
    for other in [config("container", "sandbox-1", "db"), config("sandbox", "sandbox-2", "db")] {
        sandbox(&other);
        let error = run().failure();
        assert!(error.contains("sandbox-1/config.json: it is not the configuration of the pod's"), "{error}");
    }
    sandbox("{\"root\"");
    let error = run().failure();
    assert!(error.contains("cannot read config.json: EOF") && error.contains("/sandbox-1"), "{error}");
    // A name that the pod's author gives needs no other.
    let bundle =
        pod(&node).annotate("podhosts.io/pod-ips", "10.0.0.9").annotate("podhosts.io/hostname", "www");
    let named = crate::hook::pods::run(&node, Runtime::Runc, bundle);
    assert_eq!(named.success(), managed("10.0.0.9\twww\n"));
}

#[test]
fn a_kubelet_elsewhere_is_known_by_the_pods_uid() {
    needs!("runc", "busybox");
    let node = Node::new();
    let content = managed("10.0.0.9\tweb\n\n# Entries added by HostAliases.\n10.1.1.1\tdb\n");
    node.write("k0s/kubelet/pods/uid-1/etc-hosts", &content);
    let bundle = pod(&node).mount(&node.path("k0s/kubelet/pods/uid-1/etc-hosts"), "/etc/hosts");
    assert_eq!(run(&node, Runtime::Runc, bundle).success(), content);
    assert_eq!(node.last_log()["reason"], "kubelet");
}

#[test]
fn no_address_at_all_gives_a_file_without_the_pods_lines() {
    needs!("runc", "busybox");
    let node = Node::new();
    assert_eq!(run(&node, Runtime::Runc, pod(&node)).success(), managed(""));
    assert_eq!(node.last_log()["reason"], "none");
}

#[test]
fn the_kubelets_own_file_is_parsed_and_sealed() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        let root = node.path("kubelet");
        node.configure(&format!("kubelet-root = {root:?}"));
        let file = root.join("pods/uid-1/etc-hosts");
        let tail = "10.0.0.9\tweb.s.default.svc.cluster.local\tweb\nfd00::9\tweb.s.default.svc.cluster.local\tweb\n\
            \n# Entries added by HostAliases.\n1.2.3.004\told\n";
        node.write("kubelet/pods/uid-1/etc-hosts", &managed(tail));
        let bundle = || pod(&node).mount(&file, "/etc/hosts");
        assert_eq!(run(&node, runtime, bundle()).success(), managed(tail), "{runtime:?}");
        assert_eq!(node.last_log()["reason"], "kubelet");

        // A sibling that has the file mounted writable can write into it what it likes.
        for (text, expected) in [
            (
                managed("10.0.0.9\tweb\n6.6.6.6\tbank.example\n"),
                "line 9 is \"6.6.6.6\\tbank.example\", expected the pod's",
            ),
            (
                "127.0.0.1 localhost\n".to_owned(),
                "it is missing, or does not begin with the kubelet's header",
            ),
            (String::new(), "it is missing, or does not begin with the kubelet's header"),
            (
                "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n".to_owned(),
                "it is of a pod on the node's network, expected one on a network of its own",
            ),
        ] {
            node.write("kubelet/pods/uid-1/etc-hosts", &text);
            let run = run(&node, runtime, bundle());
            assert!(!run.ok && run.stdout.is_empty(), "{run:?}");
            let reason = node.last_log()["reason"].as_str().unwrap().to_owned();
            assert!(
                reason.starts_with(&format!("cannot use the kubelet's hosts file {}: ", file.display()))
                    && reason.contains(expected),
                "{reason}"
            );
        }
    }
}

#[test]
fn the_kubelets_file_of_a_host_network_pod() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        let root = node.path("kubelet");
        node.configure(&format!("kubelet-root = {root:?}"));
        node.write("etc/hosts", "127.0.0.1 localhost\n");
        let header = "# Kubernetes-managed hosts file (host network).\n";
        let aliases = "\n# Entries added by HostAliases.\n10.1.1.1\tdb\n";
        let bundle = || pod(&node).network(None).mount(&root.join("pods/uid-1/etc-hosts"), "/etc/hosts");
        // A line that a sibling has added among the node's is not the node's.
        let written = format!("{header}127.0.0.1 localhost\n6.6.6.6 bank.example\n{aliases}");
        node.write("kubelet/pods/uid-1/etc-hosts", &written);
        let output = run(&node, runtime, bundle()).success();
        assert_eq!(output, format!("{header}127.0.0.1 localhost\n{aliases}"), "{runtime:?}");
        node.write("kubelet/pods/uid-1/etc-hosts", &managed("10.0.0.9\tweb\n"));
        run(&node, runtime, bundle()).failure();
        let reason = node.last_log()["reason"].to_string();
        assert!(
            reason.contains("it is of a pod on a network of its own, expected one on the node's"),
            "{reason}"
        );
    }
}

//! CRI-O by its CRI, where the machine has one: pods that crictl makes, on nodes that `podhosts configure` has set up.

use std::fs;

use serde_json::{Value, json};

use crate::harness::crio_node::{CrioNode, CrioPod, each_crio};
use crate::harness::page::{ALIAS_LINES, ALIASES, KEY, page};

each_crio!(
    containers_of_a_pod_in_every_way_of_sharing,
    a_pod_on_the_nodes_network,
    pods_with_users_of_their_own,
    images_that_would_lead_the_hook_astray,
    annotations_that_would_change_another_pods_name_or_addresses,
    crio_ends_and_comes_back,
    the_wrapper_as_a_runtime_handler,
    nri_instead_of_a_hooks_directory,
    a_network_that_is_in_use_is_not_taken_away,
);

/// What a container with the engines' capabilities may try.
const CHANGES: [&str; 8] = [
    "echo 6.6.6.6 bank >>/etc/hosts",
    "rm /etc/hosts",
    "mv /etc/hosts /etc/old",
    "chmod 666 /etc/hosts",
    "umount /etc/hosts",
    "mount -o remount,rw /etc/hosts",
    "echo >/tmp/new; mount --bind /tmp/new /etc/hosts",
    "echo >/tmp/new; mv -f /tmp/new /etc/hosts",
];

/// A pod's containers share its network alone, which is what the kubelet asks for.
fn alone() -> Value {
    json!({"pid": 1})
}

fn with_aliases(crio: &CrioNode, name: &str, namespaces: &Value) -> Value {
    let mut config = crio.pod_config(name, namespaces);
    config["annotations"] = json!({KEY: ALIASES});
    config
}

/// Whether a container has the pod's file, and cannot change it.
#[track_caller]
fn is_sealed(crio: &CrioNode, container: &str, expected: &str) {
    assert_eq!(crio.hosts(container), expected);
    for change in CHANGES {
        crio.exec(container, change).failure();
    }
    assert_eq!(crio.hosts(container), expected);
}

fn containers_of_a_pod_in_every_way_of_sharing(crio: &mut CrioNode) {
    for (name, pid) in [("all", 0), ("own", 1), ("nodes", 2)] {
        let pod = crio.pod(&with_aliases(crio, name, &json!({"pid": pid})), &[]);
        let expected = pod.rendered();
        assert!(expected.contains("\t10.244.0.") || expected.contains("\n10.244.0."), "{expected}");
        assert!(expected.contains("\nfd00:10:244::") && expected.ends_with(ALIAS_LINES), "{expected}");
        let read_only = json!({"linux": {"security_context": {
            "namespace_options": {"pid": pid}, "readonly_rootfs": true}}});
        let containers = [pod.start("one"), pod.start("two"), pod.start_with("read-only", &read_only)];
        let seals: Vec<String> =
            containers.iter().map(|id| crio.exec(id, "stat -c %d /etc/hosts").success()).collect();
        assert!(seals[0] != seals[1] && seals[1] != seals[2], "{seals:?}");
        containers.iter().for_each(|id| is_sealed(crio, id, &expected));
        let shown = crio.podhosts(&["inspect", &containers[0]]).success();
        assert!(shown.contains("sealed     yes\naddresses  from the CNI record\n"), "{shown}");
        // A container that ends is made anew.
        crio.ask(&["stop", "-t", "0", &containers[0]]);
        crio.ask(&["rm", &containers[0]]);
        is_sealed(crio, &pod.start("one"), &expected);
        pod.remove();
    }
}

fn a_pod_on_the_nodes_network(crio: &mut CrioNode) {
    fs::write(crio.node.file("/etc/hosts"), "127.0.0.1 localhost\n192.0.2.7 the-node\n").unwrap();
    let pod = crio.pod(&with_aliases(crio, "agent", &json!({"pid": 1, "network": 2})), &[]);
    let header = "# Kubernetes-managed hosts file (host network).\n";
    let expected = format!("{header}127.0.0.1 localhost\n192.0.2.7 the-node\n{ALIAS_LINES}");
    assert_eq!(pod.rendered(), expected);
    is_sealed(crio, &pod.start("main"), &expected);
    pod.remove();
}

fn pods_with_users_of_their_own(crio: &mut CrioNode) {
    let ids = json!([{"host_id": 200_000, "container_id": 0, "length": 65536}]);
    let by_cri = json!({"pid": 1, "userns_options": {"mode": 0, "uids": ids, "gids": ids}});
    for (name, namespaces, mode) in [
        ("cri", &by_cri, None),
        ("annotation", &alone(), Some("auto:size=65536")),
        ("shared", &json!({"pid": 0}), Some("auto:size=65536")),
    ] {
        let mut config = with_aliases(crio, name, namespaces);
        if let Some(mode) = mode {
            config["annotations"]["io.kubernetes.cri-o.userns-mode"] = mode.into();
        }
        let pod = crio.pod(&config, &[]);
        let id = pod.start("main");
        let seen = crio.exec(&id, "stat -c '%u:%g %a' /etc/hosts; cat /proc/self/uid_map").success();
        assert!(seen.starts_with("0:0 644\n") && seen.contains("00000 "), "{name}: {seen}");
        is_sealed(crio, &id, &pod.rendered());
        pod.remove();
    }
}

fn images_that_would_lead_the_hook_astray(crio: &mut CrioNode) {
    fs::write(crio.node.file("/etc/victim"), "the node's\n").unwrap();
    let pod = crio.pod(&with_aliases(crio, "web", &alone()), &[]);
    let expected = pod.rendered();
    let images = [("no-hosts", "etc/hosts"), ("no-etc", "etc")];
    for (name, missing) in images {
        let image = format!("localhost/{name}:latest");
        crio.import(&[&image], &[missing]);
        let id = pod.start_with(name, &json!({"image": {"image": image}}));
        is_sealed(crio, &id, &expected);
    }
    // Each is what an image may have at /etc/hosts: a container makes it, and becomes the image.
    for (name, make) in [
        ("link", "ln -s ../../../../../etc/victim etc/hosts"),
        ("process", "ln -s /proc/1/root/etc/victim etc/hosts"),
        ("loop", "ln -s hosts etc/hosts"),
        ("fifo", "mkfifo etc/hosts"),
        ("device", "mknod etc/hosts c 1 3"),
        ("directory", "mkdir etc/hosts"),
    ] {
        let image = format!("localhost/{name}");
        crio.node.sh(&format!(
            "dir=$(mktemp -d) && cd $dir && mkdir bin etc dev proc sys tmp && cp {busybox} bin/busybox && \
             for name in sh cat rm mv chmod umount mount echo sleep stat; do ln -s busybox bin/$name; done && \
             {make} && tar -c . | podman import -q --change 'ENV PATH=/bin' - {image}",
            busybox = crate::harness::which("busybox").unwrap().display()
        ));
        let more = json!({"image": {"image": format!("{image}:latest")}});
        if name == "directory" {
            let said = pod.create(name, &more).failure();
            assert!(said.contains("podhosts-hook"), "{said}");
            assert_eq!(crio.last_log()["outcome"], "failed");
            continue;
        }
        is_sealed(crio, &pod.start_with(name, &more), &expected);
    }
    assert_eq!(fs::read_to_string(crio.node.file("/etc/victim")).unwrap(), "the node's\n");
    pod.remove();
}

fn annotations_that_would_change_another_pods_name_or_addresses(crio: &mut CrioNode) {
    // Nobody but CRI-O tells the addresses.
    let network = json!({"cniVersion": "1.0.0", "name": "reference", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": {"type": "host-local",
            "ranges": [[{"subnet": "fd00:9::/64"}], [{"subnet": "10.9.0.0/24"}]]}}]});
    crio.end("TERM");
    crio.configure(&["--with-cni=false"]);
    fs::write(crio.node.file("/etc/cni/net.d/10-reference.conflist"), network.to_string()).unwrap();
    crio.launch();
    let ours = "io.kubernetes.cri-o.";
    for (key, value) in [
        (format!("{ours}IP.0"), "6.6.6.6"),
        (format!("{ours}IP.2"), "6.6.6.6"),
        (format!("{ours}ContainerType"), "sandbox"),
        (format!("{ours}SandboxID"), "0000"),
        (format!("{ours}SandboxName"), "k8s_bank_kube-system_u_0"),
        (format!("{ours}HostNetwork"), "true"),
        (format!("{ours}Volumes"), r#"[{"container_path":"/etc/hosts"}]"#),
        (format!("{ours}Labels"), r#"{"io.kubernetes.pod.name":"bank"}"#),
        ("io.kubernetes.cri.container-type".to_owned(), "sandbox"),
        ("io.kubernetes.cri.sandbox-name".to_owned(), "bank"),
        ("io.kubernetes.pod.name".to_owned(), "bank"),
        ("io.container.manager".to_owned(), "libpod"),
        ("run.oci.hooks.stderr".to_owned(), "/etc/victim"),
        ("podhosts.io/pod-ips".to_owned(), "6.6.6.6"),
    ] {
        let mut config = with_aliases(crio, "web", &alone());
        config["annotations"][&key] = value.into();
        let pod = crio.pod(&config, &[]);
        assert_eq!(crio.hosts(&pod.start("main")), pod.rendered(), "{key}");
        let log = crio.last_log();
        assert_eq!((&log["pod"], &log["reason"]), (&"default/web".into(), &"cri-o".into()), "{key}");
        pod.remove();
    }
    assert!(!crio.node.file("/etc/victim").exists());
}

fn crio_ends_and_comes_back(crio: &mut CrioNode) {
    for signal in ["TERM", "KILL"] {
        let pod = crio.pod(&with_aliases(crio, "web", &alone()), &[]);
        let expected = pod.rendered();
        let id = pod.start("before");
        let pod = pod.into_parts();
        crio.end(signal);
        let shown = crio.podhosts(&["inspect", &id]).success();
        assert!(shown.contains("sealed     yes\n") && shown.contains(ALIAS_LINES), "{shown}");
        crio.launch();
        let pod = CrioPod::again(crio, pod);
        for id in [&id, &pod.start("after")] {
            is_sealed(crio, id, &expected);
        }
        pod.remove();
    }
}

fn the_wrapper_as_a_runtime_handler(crio: &mut CrioNode) {
    // CRI-O's runtime is where only CRI-O looks, and runc or crun on PATH may be another one.
    crio.end("TERM");
    crio.configure(&["--mode", "wrapper"]);
    crio.node.sh("mkdir -p /etc/podhosts");
    let low = crio.run("sh", &["-c", "sed -n 's/^runtime_path = //p' /etc/crio/crio.conf.d/10-crio.conf"]);
    let text = format!("[runtime]\nruntimes = [{}]\n", low.success().trim());
    fs::write(crio.node.file("/etc/podhosts/config.toml"), text).unwrap();
    crio.launch();
    let pod = crio.pod(&with_aliases(crio, "web", &alone()), &["--runtime", "podhosts"]);
    is_sealed(crio, &pod.start("main"), &pod.rendered());
    pod.remove();
    let pod = crio.pod(&with_aliases(crio, "other", &alone()), &[]);
    assert_eq!(crio.hosts(&pod.start("main")), "127.0.0.1 image\n");
    pod.remove();
}

fn nri_instead_of_a_hooks_directory(crio: &mut CrioNode) {
    crio.end("TERM");
    crio.configure(&["--mode", "nri"]);
    crio.launch();
    let program = crate::harness::bin("podhosts").display().to_string();
    let log = fs::File::create(crio.node.path("nri.log")).unwrap();
    let mut plugin = crio.node.command(&program, &["nri"]).stderr(log).spawn().unwrap();
    let serves = |times: usize| {
        move |crio: &CrioNode| {
            let log = fs::read_to_string(crio.node.path("nri.log")).unwrap();
            log.matches("podhosts nri: serving \"cri-o ").count() == times
        }
    };
    crio.until(serves(1));
    let pod = crio.pod(&with_aliases(crio, "web", &alone()), &[]);
    let expected = pod.rendered();
    is_sealed(crio, &pod.start("before"), &expected);
    let pod = pod.into_parts();
    crio.end("KILL");
    crio.launch();
    crio.until(serves(2));
    let pod = CrioPod::again(crio, pod);
    is_sealed(crio, &pod.start("after"), &expected);
    pod.remove();
    plugin.kill().unwrap();
    plugin.wait().unwrap();
}

fn a_network_that_is_in_use_is_not_taken_away(crio: &mut CrioNode) {
    let pod = crio.pod(&with_aliases(crio, "web", &alone()), &[]);
    let id = pod.start("main");
    let said = crio.podhosts(&["unconfigure", "--runtime", "crio"]).failure();
    assert!(said.contains("pods that it has connected could not be deleted then"), "{said}");
    let first = ["10.244.0.2", "fd00:10:244::2"];
    is_sealed(crio, &id, &page(&first, "web"));
    pod.remove();
    crio.podhosts(&["unconfigure", "--runtime", "crio"]).success();
    let left = crio
        .node
        .sh("find /etc/crio /etc/cni /etc/podhosts -name cni.lock -o -type f -print 2>/dev/null || true");
    assert_eq!(left, "/etc/crio/crio.conf.d/10-crio.conf\n");
}

//! The node's own hosts file, which may be large: lists of advertisers have tens of thousands of lines. Containers on the
//! node's network get all of it, as from the kubelet.

use std::fmt::Write;
use std::fs;

use serde_json::{Value, json};

use crate::harness::containerd::{Containerd, each_containerd, sleeping};
use crate::harness::{Bundle, Node, Runtime, bin, needs, runtimes};

each_containerd!(a_pod_on_the_network_of_a_node_with_a_large_file);

const HEADER: &str = "# Kubernetes-managed hosts file (host network).\n";
const ALIASES: &str = r#"[{"ip":"10.1.1.1","hostnames":["db"]}]"#;
const ALIAS_LINES: &str = "\n# Entries added by HostAliases.\n10.1.1.1\tdb\n";

fn lines(count: usize) -> String {
    let mut text = String::from("127.0.0.1 localhost\n");
    for n in 0..count {
        writeln!(text, "0.0.0.0 ads{n:07}.example").unwrap();
    }
    text
}

/// A container of a pod on the node's network.
fn on_node(node: &Node, script: &str) -> Bundle {
    Bundle::new(node, script)
        .containerd()
        .network(None)
        .annotate("podhosts.io/host-aliases", ALIASES)
        .hook(&[])
}

/// As many lines as real lists have, and what the default lets through.
#[test]
fn it_is_copied_whole() {
    needs!("runc", "crun", "busybox");
    for (count, runtimes) in [(45_000, runtimes()), (1_000_000, vec![Runtime::Runc])] {
        for runtime in runtimes {
            let node = Node::new();
            node.write("etc/hosts", &lines(count));
            let expected = format!("{HEADER}{}{ALIAS_LINES}", lines(count));
            // The container compares, so that no pipe has to take it all.
            node.write("expected", &expected);
            let script = "cmp /etc/hosts /expected && ! echo x >>/etc/hosts";
            let bundle = on_node(&node, script).mount(&node.path("expected"), "/expected");
            node.run_bundle(runtime, &bundle.write()).success();
            let logged = node.last_log();
            assert_eq!((&logged["outcome"], &logged["bytes"]), (&json!("sealed"), &json!(expected.len())));
        }
    }
}

#[test]
fn a_larger_one_is_an_error_that_names_the_key() {
    needs!("runc", "busybox");
    let node = Node::with_config("node-hosts-max-bytes = 2000000");
    let own = lines(80_000);
    let run = |text: &str| {
        node.write("etc/hosts", text);
        node.run_bundle(Runtime::Runc, &on_node(&node, "wc -c </etc/hosts").write())
    };
    let exactly = &own[..2_000_000];
    let length = HEADER.len() + exactly.len() + ALIAS_LINES.len();
    assert_eq!(run(exactly).success().trim(), length.to_string());
    let error = run(&own[..2_000_001]).failure();
    let expected = "podhosts-hook: cannot copy the node's hosts file /etc/hosts: it is larger than 2000000 bytes, raise \
                    node-hosts-max-bytes in the node's configuration";
    assert!(error.contains(expected), "{error}");
    assert_eq!(node.last_log()["outcome"], "failed");
    // The file of a pod with a network of its own has nothing of the node's.
    let own = Bundle::new(&node, "cat /etc/hosts").containerd().annotate("podhosts.io/pod-ips", "10.0.0.9");
    node.run_bundle(Runtime::Runc, &own.hook(&[]).write()).success();
    let doctor = node.run(bin("podhosts"), &["doctor", "--no-self-test"]);
    assert!(doctor.stdout.contains("raise node-hosts-max-bytes in /etc/podhosts/config.toml"), "{doctor:?}");
}

/// What a pod's author sends is bounded as ever, beside a large file too.
#[test]
fn the_pods_own_part_is_bounded_as_ever() {
    needs!("runc", "busybox");
    let node = Node::new();
    node.write("etc/hosts", &lines(45_000));
    let aliases = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("{n:05}.{}", "x".repeat(44))).collect();
        json!([{"ip": "10.1.1.1", "hostnames": names}]).to_string()
    };
    let run = |count: usize| {
        let bundle =
            on_node(&node, "wc -c </etc/hosts").annotate("podhosts.io/host-aliases", &aliases(count));
        node.run_bundle(Runtime::Runc, &bundle.write())
    };
    assert!(run(20_000).success().trim().parse::<usize>().unwrap() > 2 << 20);
    assert!(run(22_000).failure().contains("cannot seal a hosts file of 11"));
}

/// The kubelet has copied it, too: its file is as large.
#[test]
fn the_kubelets_file_has_it_too() {
    needs!("runc", "busybox");
    let node = Node::new();
    let own = lines(45_000);
    node.write("etc/hosts", &own);
    let kubelets = node.path("kubelet/pods/uid-1/etc-hosts");
    node.write("kubelet/pods/uid-1/etc-hosts", &format!("{HEADER}{own}{ALIAS_LINES}"));
    for changed in ["", "10.9.9.9 new\n"] {
        node.write("etc/hosts", &format!("{own}{changed}"));
        let bundle = Bundle::new(&node, "cmp /etc/hosts /expected").containerd().network(None).hook(&[]);
        node.write("expected", &format!("{HEADER}{own}{changed}{ALIAS_LINES}"));
        let bundle = bundle.mount(&node.path("expected"), "/expected").mount(&kubelets, "/etc/hosts");
        node.run_bundle(Runtime::Runc, &bundle.write()).success();
        assert_eq!(node.last_log()["reason"], "kubelet");
        // The wrapper takes the mount out and passes its path on.
        node.run_wrapped(&without_hooks(bundle).write()).success();
        assert_eq!(node.last_log()["reason"], "kubelet");
    }
}

fn without_hooks(mut bundle: Bundle) -> Bundle {
    bundle.config.as_object_mut().unwrap().remove("hooks");
    bundle
}

/// A container's limit was set by somebody who knows nothing of the node's file: it is the engine's memory.
#[test]
fn a_container_with_little_memory_starts() {
    needs!("runc", "busybox");
    let node = Node::new();
    node.write("etc/hosts", &lines(400_000));
    let mut bundle = on_node(&node, "wc -l </etc/hosts");
    bundle.config["linux"]["resources"] = json!({"memory": {"limit": 8 << 20, "swap": 8 << 20}});
    bundle.config["linux"]["cgroupsPath"] = format!("/podhosts-node-hosts-{}", std::process::id()).into();
    assert_eq!(node.run_bundle(Runtime::Runc, &bundle.write()).success().trim(), "400005");
}

#[test]
fn render_and_inspect_show_all_of_it() {
    needs!("runc", "busybox");
    let node = Node::new();
    let own = lines(200_000);
    node.write("etc/hosts", &own);
    node.write("pod.json", r#"{"kind":"Pod","metadata":{"name":"a"},"spec":{"hostNetwork":true}}"#);
    let pod = node.path("pod.json");
    let render = ["render", "-f", pod.to_str().unwrap()];
    assert!(node.run(bin("podhosts"), &render).success() == format!("{HEADER}{own}"));
    let container = node.start(Runtime::Runc, &on_node(&node, "sleep 1000").write(), "stays");
    let inspect = ["inspect", "--json", &container.id, "--root", &node.root()];
    let found: Value = serde_json::from_str(&node.run(bin("podhosts"), &inspect).success()).unwrap();
    assert!(found["hostsFile"] == format!("{HEADER}{own}{ALIAS_LINES}"), "{}", found["sealed"]);
}

fn a_pod_on_the_network_of_a_node_with_a_large_file(containerd: &mut Containerd) {
    for count in [45_000, 1_000_000] {
        let own = lines(count);
        fs::write(containerd.node.file("/etc/hosts"), &own).unwrap();
        let on_node = json!({"namespace_options": {"network": 2}});
        let mut config = containerd.pod_config(&format!("agent-{count}"));
        config["annotations"] = json!({"podhosts.io/host-aliases": ALIASES});
        config["linux"]["security_context"] = on_node.clone();
        let pod = containerd.pod(&config);
        let mut container = sleeping("main");
        container["linux"]["security_context"] = on_node;
        container["linux"]["resources"] = json!({"memory_limit_in_bytes": 16 << 20});
        let id = pod.start(&container);
        let (expected, script) =
            (format!("{HEADER}{own}{ALIAS_LINES}"), "wc -lc </etc/hosts; tail -n 2 /etc/hosts");
        let counted = containerd.exec(&id, script).success();
        let words: Vec<&str> = counted.split_whitespace().collect();
        let numbers = [expected.lines().count().to_string(), expected.len().to_string()];
        assert_eq!(words[..2], numbers, "{counted}");
        assert!(counted.ends_with(" HostAliases.\n10.1.1.1\tdb\n"), "{counted}");
        let error = containerd.exec(&id, "echo x >>/etc/hosts").failure();
        assert!(error.contains("Read-only file system"), "{error}");
        pod.remove();
    }
}

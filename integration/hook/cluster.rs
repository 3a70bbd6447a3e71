//! The record of a cluster's pod that podhosts-node leaves, and what containers of the pod do to the kubelet's file.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Bundle, Netns, Node, Run, Runtime, managed, needs, runtimes};

pub(super) const RECORD: &str = "run/podhosts/cluster-pods/uid-1.json";
pub(super) const KUBELETS: &str = "kubelet/pods/uid-1/etc-hosts";
pub(super) const ALIAS_LINES: &str =
    "\n# Entries added by HostAliases.\n10.1.1.1\tdb\tdb.example\n10.1.1.2\tcache\n";
const HOST_NETWORK: &str = "# Kubernetes-managed hosts file (host network).\n";

/// A container of `default/web`, the pod with the uid `uid-1`.
pub(super) fn pod(node: &Node, script: &str) -> Bundle {
    Bundle::new(node, script).containerd()
}

pub(super) fn run(node: &Node, runtime: Runtime, bundle: Bundle) -> Run {
    node.run_bundle(runtime, &bundle.hook(&[]).write())
}

/// The record of that pod, with this member changed.
pub(super) fn record(key: &str, value: Value) -> Value {
    let mut record = json!({
        "version": 1, "uid": "uid-1", "namespace": "default", "name": "web", "hostname": "web", "hostNetwork": false,
        "podIPs": [], "hostAliases": [
            {"ip": "10.1.1.1", "hostnames": ["db", "db.example"]}, {"ip": "10.1.1.2", "hostnames": ["cache"]},
        ],
    });
    record[key] = value;
    record
}

/// The file of that pod with these addresses.
pub(super) fn file(ips: &[&str]) -> String {
    let lines: String = ips.iter().map(|ip| format!("{ip}\tweb\n")).collect();
    managed(&format!("{lines}{ALIAS_LINES}"))
}

pub(super) fn reason(node: &Node) -> String {
    node.last_log()["reason"].as_str().unwrap().to_owned()
}

/// What a sibling can make of the kubelet's file, each with a word of the reason in the log.
fn spoiled(good: &str) -> Vec<(String, &'static str)> {
    let huge = format!("{good}{}", "6.6.6.6\tbank.example\n".repeat(100_000));
    vec![
        (String::new(), "does not begin with the kubelet's header"),
        ("127.0.0.1 localhost\n".to_owned(), "does not begin with the kubelet's header"),
        ("\0\u{fffd}\n".repeat(50), "does not begin with the kubelet's header"),
        (huge, "it is larger than 1048576 bytes"),
        (format!("{good}# x\n"), "expected a HostAlias"),
        (format!("{good}6.6.6.6\tbank.example\n"), "it has other HostAliases"),
        (good.replace("10.1.1.2\tcache\n", ""), "it has other HostAliases"),
        (good.replace(ALIAS_LINES, ""), "it has other HostAliases"),
        (good.replace("10.1.1.1\t", "6.6.6.6\t"), "it has other HostAliases"),
        (
            good.replace("\tweb\n", "\tbank\n"),
            "it names the pod \"bank\", expected \"web\" as in the cluster's API",
        ),
        (
            good.replace("\tweb\n", "\tweb.shop.default.svc.cluster.local\tweb\n"),
            "it names the pod \"web.shop.",
        ),
        (good.replace("10.244.1.4\tweb\n", "6.6.6.6\tweb\n"), "6.6.6.6"),
        (good.replace("fd00::4\tweb\n", ""), "it has the addresses 10.244.1.4, expected 10.244.1.4, fd00::4"),
        (good.replace("fd00::4\tweb\n", "fd00::4\tweb\nfd00::4\tweb\n"), "expected 10.244.1.4, fd00::4"),
        (good.replace("fd00::4\tweb\n", "fd00::4\tweb\n192.168.7.7\tweb\n"), "expected 10.244.1.4, fd00::4"),
        (format!("{HOST_NETWORK}127.0.0.1 localhost\n"), "it is of a pod on the node's network"),
    ]
}

#[test]
fn a_sibling_that_spoils_the_kubelets_file_changes_no_other_container() {
    needs!("runc", "crun", "busybox", "ip");
    let netns = Netns::new(&["10.244.1.4/24", "fd00::4/64"]);
    // Another network of the pod's, of which neither the kubelet nor the API knows.
    netns.ip(&["link", "add", "net1", "type", "veth", "peer", "name", "peer1"]);
    netns.ip(&["addr", "add", "192.168.7.7/24", "dev", "net1"]);
    for runtime in runtimes() {
        let node = Node::new();
        node.write(RECORD, &record("podIPs", json!(["10.244.1.4", "fd00::4"])).to_string());
        let good = file(&["10.244.1.4", "fd00::4"]);
        let kubelets = |text: &str| {
            node.write(KUBELETS, text);
            let bundle = pod(&node, "cat /etc/hosts").network(Some(&netns.path()));
            run(&node, runtime, bundle.mount(&node.path(KUBELETS), "/etc/hosts")).success()
        };
        // The kubelet has the order of the engine, and a sibling may have changed it: the API's stands.
        for agreeing in [&good, &file(&["fd00::4", "10.244.1.4"]), &file(&["10.244.1.4", "fd00:0::4"])] {
            assert_eq!(kubelets(agreeing), good, "{runtime:?}");
            assert_eq!(reason(&node), "kubelet", "{runtime:?}: {agreeing}");
        }
        for (text, expected) in spoiled(&good) {
            assert_eq!(kubelets(&text), good, "{runtime:?}: {expected}");
            let path = node.path(KUBELETS).display().to_string();
            let reason = reason(&node);
            let begins = ["cluster (cannot use the kubelet's hosts file ", "cluster (cannot read "];
            assert!(begins.iter().any(|begin| reason.starts_with(&format!("{begin}{path}"))), "{reason}");
            assert!(reason.contains(expected), "{reason} lacks {expected}");
        }
    }
}

/// The sibling is a container without a seal, in which the kubelet's file is mounted writable.
#[test]
fn a_sibling_that_keeps_writing_keeps_no_container_from_starting() {
    needs!("runc", "busybox", "ip");
    let netns = Netns::new(&["10.244.1.4/24"]);
    let node = Node::new();
    let good = file(&["10.244.1.4"]);
    node.write(RECORD, &record("podIPs", json!(["10.244.1.4"])).to_string());
    node.write(KUBELETS, &good);
    let bundle = |script: &str| {
        let bundle = pod(&node, script).network(Some(&netns.path()));
        bundle.mount(&node.path(KUBELETS), "/etc/hosts")
    };
    let writes = "while :; do echo 6.6.6.6 bank.example >/etc/hosts; done";
    let sibling = node.start(Runtime::Runc, &bundle(writes).write(), "sibling");
    while fs::read_to_string(node.path(KUBELETS)).unwrap() == good {
        std::thread::yield_now();
    }
    for _ in 0..5 {
        assert_eq!(run(&node, Runtime::Runc, bundle("cat /etc/hosts")).success(), good);
        assert!(
            reason(&node).starts_with("cluster (cannot use the kubelet's hosts file "),
            "{}",
            reason(&node)
        );
    }
    drop(sibling);
    // Without a record the file is the only source of HostAliases, and a spoiled one an error as ever.
    fs::remove_file(node.path(RECORD)).unwrap();
    node.write(KUBELETS, "6.6.6.6 bank.example\n");
    run(&node, Runtime::Runc, bundle("cat /etc/hosts")).failure();
    assert!(reason(&node).starts_with("cannot use the kubelet's hosts file "), "{}", reason(&node));
}

#[test]
fn the_addresses_are_the_sandboxs_until_the_api_has_them_and_when_it_has_old_ones() {
    needs!("runc", "busybox", "ip");
    let netns = Netns::new(&["10.244.1.4/24", "fd00::4/64"]);
    let node = Node::new();
    let run = |pod_ips: Value, args: &[&str], kubelets: Option<&str>| {
        node.write(RECORD, &record("podIPs", pod_ips).to_string());
        let mut bundle = pod(&node, "cat /etc/hosts").network(Some(&netns.path())).hook(args);
        if let Some(text) = kubelets {
            node.write(KUBELETS, text);
            bundle = bundle.mount(&node.path(KUBELETS), "/etc/hosts");
        }
        (node.run_bundle(Runtime::Runc, &bundle.write()).success(), reason(&node))
    };
    let both = file(&["10.244.1.4", "fd00::4"]);
    let (old, none, now) = (json!(["10.244.1.9", "fd00::9"]), json!([]), json!(["fd00::4", "10.244.1.4"]));
    for pod_ips in [&none, &old] {
        // Told by the namespace.
        assert_eq!(run(pod_ips.clone(), &[], None), (both.clone(), "cluster".to_owned()), "{pod_ips}");
        // The kubelet knows which of those are the pod's.
        let one = file(&["fd00::4"]);
        assert_eq!(run(pod_ips.clone(), &[], Some(&one)), (one, "kubelet".to_owned()), "{pod_ips}");
        let (text, reason) = run(pod_ips.clone(), &[], Some(&file(&["6.6.6.6"])));
        assert_eq!(text, both, "{pod_ips}");
        assert!(reason.contains("it has address 6.6.6.6, expected those of the pod: "), "{reason}");
        // Told by NRI.
        let args = ["--nri-pod-ips", "fd00::4,10.244.1.4"];
        assert_eq!(run(pod_ips.clone(), &args, None).0, file(&["fd00::4", "10.244.1.4"]), "{pod_ips}");
    }
    assert_eq!(run(now.clone(), &[], None).0, file(&["fd00::4", "10.244.1.4"]));
    assert_eq!(run(now, &["--nri-pod-ips", "10.244.1.4,fd00::4"], None).0, file(&["fd00::4", "10.244.1.4"]));
    // A record of the network plugin.
    let cni = json!({"version": 1, "sandboxID": "sandbox-1", "namespace": "default", "name": "web",
        "podIPs": ["10.244.1.4", "fd00::4"], "annotations": {"podhosts.io/hostname": "of-the-annotation"}});
    node.write("run/podhosts/pods/sandbox-1.json", &cni.to_string());
    for pod_ips in [none, old] {
        let found = run(pod_ips, &[], Some(&file(&["6.6.6.6"])));
        assert_eq!(found.0, both);
        assert!(
            found.1.contains("it has the addresses 6.6.6.6, expected 10.244.1.4, fd00::4"),
            "{}",
            found.1
        );
    }
}

#[test]
fn a_pod_on_the_nodes_network_has_its_aliases_from_the_record() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        let nodes = "127.0.0.1 localhost\n10.0.0.5 node-1 # no newline at the end";
        node.write("etc/hosts", nodes);
        node.write(RECORD, &record("hostNetwork", json!(true)).to_string());
        let bundle = || pod(&node, "cat /etc/hosts").network(None);
        let mounted = || bundle().mount(&node.path(KUBELETS), "/etc/hosts");
        let good = format!("{HOST_NETWORK}{nodes}{ALIAS_LINES}");
        assert_eq!(run(&node, runtime, bundle()).success(), good, "{runtime:?}");
        assert_eq!(reason(&node), "cluster");
        for text in [&good, &format!("{HOST_NETWORK}of the node before\n{ALIAS_LINES}")] {
            node.write(KUBELETS, text);
            assert_eq!(run(&node, runtime, mounted()).success(), good, "{runtime:?}");
            assert_eq!(reason(&node), "kubelet");
        }
        for text in [
            format!("{HOST_NETWORK}{nodes}"),
            format!("{good}6.6.6.6\tbank.example\n"),
            managed("10.0.0.9\tweb\n"),
            "garbage".to_owned(),
        ] {
            node.write(KUBELETS, &text);
            assert_eq!(run(&node, runtime, mounted()).success(), good, "{runtime:?}");
            assert!(
                reason(&node).starts_with("cluster (cannot use the kubelet's hosts file "),
                "{}",
                reason(&node)
            );
        }
        node.write(RECORD, &record("hostNetwork", json!(false)).to_string());
        run(&node, runtime, bundle()).failure();
        let expected = "cannot use the record of the cluster's pod: it is of a pod on a network of its own, expected \
            one on the node's network";
        assert_eq!(reason(&node), expected);
    }
}

#[test]
fn a_full_name_is_the_records_whatever_the_node_and_the_annotations_say() {
    needs!("runc", "busybox", "ip");
    let netns = Netns::new(&["10.244.1.4/24"]);
    let node = Node::with_config("cluster-domain = \"of.the.node\"");
    let mut full = record("domain", json!("shop.default.svc.k8s.example"));
    full["hostname"] = "front".into();
    node.write(RECORD, &full.to_string());
    let bundle = || {
        let bundle = pod(&node, "cat /etc/hosts").network(Some(&netns.path()));
        bundle.annotate("podhosts.io/hostname", "other").annotate("podhosts.io/host-aliases", "[]")
    };
    let good = managed(&format!("10.244.1.4\tfront.shop.default.svc.k8s.example\tfront\n{ALIAS_LINES}"));
    assert_eq!(run(&node, Runtime::Runc, bundle()).success(), good);
    for spoiled in [good.replace("k8s.example", "bank.example"), good.replace("shop", "bank")] {
        node.write(KUBELETS, &spoiled);
        let mounted = bundle().mount(&node.path(KUBELETS), "/etc/hosts");
        assert_eq!(run(&node, Runtime::Runc, mounted).success(), good);
        let expected = "expected \"front.shop.default.svc.k8s.example\" as in the cluster's API";
        assert!(reason(&node).contains(expected), "{}", reason(&node));
    }
    let opted_out = run(&node, Runtime::Runc, bundle().annotate("podhosts.io/seal", "false")).success();
    assert_eq!(opted_out, "127.0.0.1 image\n");
}

/// The pod's author has as many HostAliases as the file may have, and a sibling makes as many lines wrong at their end.
#[test]
fn a_record_and_a_kubelets_file_as_large_as_they_can_be() {
    needs!("runc", "busybox");
    let node = Node::new();
    let aliases: Vec<Value> =
        (0..70_000).map(|n| json!({"ip": "1.1.1.1", "hostnames": [format!("{n}")]})).collect();
    let lines: String = (0..70_000).map(|n| format!("1.1.1.1\t{n}\n")).collect();
    let mut large = record("hostAliases", aliases.into());
    large["podIPs"] = json!(["10.0.0.9"]);
    node.write(RECORD, &large.to_string());
    let good = managed(&format!("10.0.0.9\tweb\n\n# Entries added by HostAliases.\n{lines}"));
    assert!(good.len() > 900_000 && good.len() < 1 << 20, "{}", good.len());
    for (text, expected) in [(good.clone(), "kubelet"), (good.replace("\t69999\n", "\tevil\n"), "cluster (")]
    {
        node.write(KUBELETS, &text);
        let bundle = pod(&node, "cat /etc/hosts").mount(&node.path(KUBELETS), "/etc/hosts");
        assert!(run(&node, Runtime::Runc, bundle).success() == good);
        assert!(reason(&node).starts_with(expected), "{}", reason(&node));
    }
}

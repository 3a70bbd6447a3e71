//! Which record of a cluster's pod is believed, and by whom.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use serde_json::{Value, json};

use super::cluster::{ALIAS_LINES, KUBELETS, RECORD, file, pod, reason, record, run};
use crate::harness::{Bundle, Netns, Node, Runtime, Snapshot, bin, managed, needs};
use crate::hook::vectors;

#[test]
fn a_static_pod_has_the_record_of_its_manifests_hash() {
    needs!("runc", "busybox");
    let node = Node::new();
    let hash = "5c0e6a4b0c1d8b1f6a3c4f1de0a9b7c2";
    let kubelets = format!("kubelet/pods/{hash}/etc-hosts");
    let mut etcd = record("name", json!("etcd-node-1"));
    (etcd["uid"], etcd["podIPs"], etcd["namespace"]) =
        (hash.into(), json!(["10.0.0.9"]), "kube-system".into());
    etcd["hostname"] = "etcd-node-1".into();
    node.write(&format!("run/podhosts/cluster-pods/{hash}.json"), &etcd.to_string());
    node.write(&kubelets, "garbage");
    let bundle = |node: &Node| {
        let bundle = pod(node, "cat /etc/hosts").annotate("io.kubernetes.cri.sandbox-uid", hash);
        let bundle = bundle.annotate("io.kubernetes.cri.sandbox-name", "etcd-node-1");
        bundle.annotate("io.kubernetes.cri.sandbox-namespace", "kube-system")
    };
    let mounted = bundle(&node).mount(&node.path(&kubelets), "/etc/hosts");
    let expected = managed(&format!("10.0.0.9\tetcd-node-1\n{ALIAS_LINES}"));
    assert_eq!(run(&node, Runtime::Runc, mounted).success(), expected);
}

/// Early containerd 1.6 does not tell the uid, so there a pod may give itself another's; podman's and plain bundles' is an
/// annotation of their user's.
#[test]
fn a_record_of_another_pod_is_none() {
    needs!("runc", "busybox", "ip");
    let netns = Netns::new(&["10.244.1.4/24"]);
    let node = Node::new();
    node.write(RECORD, &record("name", json!("bank")).to_string());
    let expected = managed("10.244.1.4\tweb\n");
    let bundle = || pod(&node, "cat /etc/hosts").network(Some(&netns.path()));
    assert_eq!(run(&node, Runtime::Runc, bundle()).success(), expected);
    node.write(RECORD, &record("namespace", json!("bank")).to_string());
    assert_eq!(run(&node, Runtime::Runc, bundle()).success(), expected);

    node.write(RECORD, &record("podIPs", json!(["10.244.1.4"])).to_string());
    let plain = |manager: &str| {
        let bundle = Bundle::new(&node, "cat /etc/hosts").network(Some(&netns.path()));
        let bundle = bundle.annotate("io.container.manager", manager).annotate("podhosts.io/hostname", "web");
        let names = [("name", "web"), ("namespace", "default"), ("uid", "uid-1")];
        names
            .into_iter()
            .fold(bundle, |bundle, (key, value)| bundle.annotate(&format!("io.kubernetes.pod.{key}"), value))
    };
    for manager in ["libpod", "none"] {
        assert_eq!(run(&node, Runtime::Runc, plain(manager)).success(), expected, "{manager}");
    }
    let crio = |name: &str| {
        let bundle = Bundle::new(&node, "cat /etc/hosts").network(Some(&netns.path()));
        bundle
            .annotate("io.container.manager", "cri-o")
            .annotate("io.kubernetes.cri-o.ContainerType", "container")
            .annotate("io.kubernetes.cri-o.SandboxID", "abc")
            .annotate("io.kubernetes.cri-o.SandboxName", name)
    };
    assert_eq!(run(&node, Runtime::Runc, crio("k8s_web_default_uid-1_0")).success(), file(&["10.244.1.4"]));
}

#[test]
fn a_record_that_is_not_roots_or_not_whole_is_one_clear_error() {
    needs!("runc", "busybox");
    let node = Node::new();
    let path = node.path(RECORD);
    let good = record("podIPs", json!(["10.0.0.9"])).to_string();
    let bundle = pod(&node, "cat /etc/hosts").hook(&[]).write();
    let watched = [bundle.as_path()];
    let before = Snapshot::of(&watched);
    let refused = |expected: &str| {
        let stderr = node.run_bundle(Runtime::Runc, &bundle).failure();
        let said: Vec<&str> = stderr.lines().filter(|line| line.contains("podhosts-hook: cannot ")).collect();
        assert_eq!(said.len(), 1, "{stderr}");
        assert!(reason(&node).contains(expected), "{} lacks {expected}", reason(&node));
        assert!(reason(&node).contains("/run/podhosts/cluster-pods/uid-1.json"), "{}", reason(&node));
    };
    let fresh = |text: &str| {
        let _ = fs::remove_file(&path);
        node.write(RECORD, text);
    };
    fresh(&good);
    chown(&path, Some(1000), Some(1000)).unwrap();
    refused("it belongs to user 1000, expected root");
    for mode in [0o602, 0o660, 0o666] {
        fresh(&good);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        refused(&format!("it has mode {mode:04o}, expected one in which only root may write"));
    }
    fresh(&good);
    fs::rename(&path, node.path("run/podhosts/cluster-pods/other.json")).unwrap();
    symlink("other.json", &path).unwrap();
    refused("cannot open /run/podhosts/cluster-pods/uid-1.json: Too many levels of symbolic links");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused("it is not a regular file");
    fs::remove_dir(&path).unwrap();
    fresh(&format!("{good}{}", " ".repeat(4 << 20)));
    refused("it is larger than 4194304 bytes");
    for (text, expected) in [
        (String::new(), "cannot read the record of the cluster's pod: EOF"),
        (good[..40].to_owned(), "cannot read the record of the cluster's pod: EOF"),
        (format!("[{good}]"), "cannot read the record of the cluster's pod: invalid type: sequence"),
        ("[".repeat(1 << 20), "cannot read the record of the cluster's pod: "),
        (record("version", json!(2)).to_string(), "it has version 2, expected 1"),
        (record("uid", json!("uid-2")).to_string(), "it is of uid \"uid-2\", expected \"uid-1\""),
        (
            record("hostname", json!("a\n6.6.6.6 bank")).to_string(),
            "hostname is \"a\\n6.6.6.6 bank\", expected",
        ),
        (
            record("podIPs", json!(["6.6.6.6 x"])).to_string(),
            "status.podIPs[0].ip: Invalid value: \"6.6.6.6 x\"",
        ),
        (
            record("hostAliases", json!([{"ip": "1.1.1.1"}, {"ip": "x"}])).to_string(),
            "spec.hostAliases[1].ip",
        ),
    ] {
        fresh(&text);
        refused(expected);
    }
    before.assert_same(&Snapshot::of(&watched));
    fresh(&good);
    assert_eq!(node.run_bundle(Runtime::Runc, &bundle).success(), file(&["10.0.0.9"]));
}

#[test]
fn the_wrapper_and_inspect_know_the_record() {
    needs!("runc", "busybox", "ip");
    let netns = Netns::new(&["10.244.1.4/24", "fd00::4/64"]);
    let node = Node::new();
    node.configure(&format!("kubelet-root = {:?}", node.path("kubelet")));
    node.write(RECORD, &record("podIPs", json!(["fd00::4", "10.244.1.4"])).to_string());
    node.write(KUBELETS, "garbage");
    let bundle = |script: &str| {
        let bundle =
            pod(&node, script).network(Some(&netns.path())).mount(&node.path(KUBELETS), "/etc/hosts");
        bundle.annotate("podhosts.io/env.POD_IP", "status.podIP")
    };
    let good = file(&["fd00::4", "10.244.1.4"]);
    let output = node.run_wrapped(&bundle("cat /etc/hosts; echo $POD_IP").write()).success();
    assert!(output.starts_with(&good), "{output}");
    let container = node.start(Runtime::Runc, &bundle("sleep 1000").hook(&[]).write(), "stays");
    let args = ["inspect", &container.id, "--root", &node.root(), "--json"];
    let inspected: Value = serde_json::from_str(&node.run(bin("podhosts"), &args).success()).unwrap();
    assert_eq!((&inspected["addressSource"], &inspected["sealed"]), (&json!("cluster"), &json!(true)));
    assert_eq!(inspected["hostsFile"], good);
}

/// Pods of Kubernetes' own tests, with the kubelet's file gone.
#[test]
fn files_made_of_the_record_are_the_kubelets_byte_for_byte() {
    needs!("runc", "busybox");
    let node = Node::new();
    let cases = vectors::all().into_iter().filter(|case| case.errors().is_empty());
    let mut seen = 0;
    for case in cases.step_by(12) {
        let record = json!({
            "version": 1, "uid": "uid-1", "namespace": case.namespace, "name": case.name,
            "hostname": case.expect.host_name, "domain": case.expect.host_domain, "hostNetwork": case.host_network,
            "podIPs": case.pod_ips, "hostAliases": case.raw_aliases,
        });
        node.write(RECORD, &record.to_string());
        node.write("etc/hosts", &case.node_hosts().unwrap_or_default());
        let bundle = pod(&node, "cat /etc/hosts")
            .annotate("io.kubernetes.cri.sandbox-name", &case.name)
            .annotate("io.kubernetes.cri.sandbox-namespace", &case.namespace);
        let bundle = if case.host_network { bundle.network(None) } else { bundle };
        assert_eq!(run(&node, Runtime::Runc, bundle).success(), case.expect.content, "{}", case.case);
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
}

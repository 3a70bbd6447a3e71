//! Names and texts that a terminal obeys instead of showing them, on their way to the node's operator.
//! CVE-2021-25743's class (kubectl did not escape what others wrote).

use serde_json::{Value, json};

use crate::harness::{Bundle, Node, Run, Runtime, bin, needs};

/// The control sequence introducer in C1 and in C0, an override of the direction, an end of a line, a mark nobody sees.
const OBEYED: [char; 6] = ['\u{9b}', '\u{1b}', '\u{202e}', '\u{2028}', '\u{feff}', '\u{7f}'];

fn name() -> String {
    format!("web{}2J", OBEYED.iter().collect::<String>())
}

/// How it is shown.
const SHOWN: &str = r"web\u009b\x1b\u202e\u2028\ufeff\x7f2J";

#[track_caller]
fn assert_harmless(output: &str) {
    let found = OBEYED.iter().find(|c| output.contains(**c));
    assert_eq!(found, None, "{output:?}");
}

#[track_caller]
fn harmless(run: Run) -> (String, String) {
    assert_harmless(&run.stdout);
    assert_harmless(&run.stderr);
    (run.stdout, run.stderr)
}

#[test]
fn control_characters_in_the_pods_name_reach_the_log_and_stderr() {
    needs!("runc", "busybox");
    let node = Node::new();
    let pod = |name: &str| {
        let bundle =
            Bundle::new(&node, "cat /etc/hosts").containerd().annotate("podhosts.io/pod-ips", "10.0.0.9");
        bundle.annotate("io.kubernetes.cri.sandbox-name", name)
    };
    let log = || {
        let text = std::fs::read_to_string(node.path("hook.log")).unwrap();
        assert_harmless(&text);
        node.last_log()
    };
    // Sealed: what the engine calls a pod is no error, and whoever looks at the file has a terminal, too.
    let (hosts, _) = harmless(node.run_bundle(Runtime::Runc, &pod(&name()).hook(&[]).write()));
    assert!(hosts.contains("\n10.0.0.9\tweb"), "{hosts}");
    let shown: serde_json::Value = format!("default/{SHOWN}").into();
    assert_eq!((&log()["outcome"], &log()["pod"]), (&"sealed".into(), &shown));
    // Refused: the name is in the message, too.
    let refused = pod(&name()).annotate("podhosts.io/hostname", &name()).hook(&[]);
    harmless(node.run_bundle(Runtime::Runc, &refused.write()));
    let entry = log();
    assert_eq!((&entry["outcome"], &entry["pod"]), (&"failed".into(), &shown));
    assert!(entry["reason"].as_str().unwrap().contains("pod Hostname "), "{entry}");
    // Left alone, for a volume of that name.
    node.write(&name(), "mine");
    let volume = pod("web").mount(&node.path(&name()), "/etc/hosts").hook(&[]);
    harmless(node.run_bundle(Runtime::Runc, &volume.write()));
    assert_eq!(log()["outcome"], "skipped");
    // The wrapper's own line, and the one in the runtime's log.
    let bad = pod("web").annotate("podhosts.io/seal", &name()).write();
    for format in ["text", "json"] {
        let runtimes_log = node.path(&format!("runtime.{format}"));
        let file = runtimes_log.to_str().unwrap();
        let dir = bad.to_str().unwrap();
        let args = ["--root", &node.root(), "--log", file, "--log-format", format, "run", "-b", dir, "c"];
        let (_, said) = harmless(node.run(bin("podhosts-runtime"), &args));
        assert!(said.contains("cannot read annotation podhosts.io/seal"), "{said}");
        assert_harmless(&std::fs::read_to_string(&runtimes_log).unwrap());
    }
}

#[test]
fn control_characters_in_names_and_files_reach_the_operators_terminal() {
    needs!("runc", "busybox");
    let node = Node::new();
    let record = json!({
        "version": 1, "sandboxID": "sandbox-1", "namespace": "default", "name": name(), "podIPs": ["10.0.0.1"],
        "network": name(), "since": name(),
    });
    node.write("run/podhosts/pods/sandbox-1.json", &record.to_string());
    let broken = record.to_string().replace("\"podIPs\":[\"10.0.0.1\"]", "\"podIPs\":[\"10.0.0.1\u{9b}\"]");
    node.write("run/podhosts/pods/sandbox-2.json", &broken.replace("sandbox-1", "sandbox-2"));
    let (table, error) = harmless(node.run(bin("podhosts"), &["list"]));
    assert!(table.contains(SHOWN) && error.contains("sandbox-2.json"), "{table}{error}");
    let (listed, _) = harmless(node.run(bin("podhosts"), &["list", "--json"]));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["name"], name(), "JSON keeps the value");

    // The container writes into its own file: it has no seal.
    let bundle =
        Bundle::new(&node, "sleep 1000").containerd().annotate("io.kubernetes.cri.sandbox-name", &name());
    std::fs::write(bundle.rootfs().join("etc/hosts"), name()).unwrap();
    let container = node.start(Runtime::Runc, &bundle.write(), "web-1");
    let args = ["inspect", &container.id, "--root", &node.root()];
    let (text, _) = harmless(node.run(bin("podhosts"), &args));
    assert!(text.contains(&format!("pod        default/{SHOWN} (containerd)\n")), "{text}");
    assert!(text.ends_with(SHOWN), "{text}");
    let (json, _) = harmless(node.run(bin("podhosts"), &[&args[..], &["--json"]].concat()));
    let found: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&found["hostsFile"], &found["pod"]["name"]), (&name().into(), &name().into()));
    let (_, error) = harmless(node.run(bin("podhosts"), &["inspect", &name()]));
    assert!(error.contains(SHOWN), "{error}");
}

#[test]
fn control_characters_in_cni_arguments_reach_the_engine() {
    needs!("ip");
    let node = Node::new();
    for (variable, message) in [
        ("CNI_NETNS", "cannot open network namespace"),
        ("CNI_CONTAINERID", "CNI_CONTAINERID: "),
        ("CNI_IFNAME", "CNI_IFNAME: "),
        ("CNI_ARGS", "CNI_ARGS: "),
        ("CNI_COMMAND", "unknown CNI_COMMAND: "),
    ] {
        let mut command = node.command(&node.path(""), bin("podhosts-cni"), &[]);
        command.env("CNI_COMMAND", "ADD").env("CNI_CONTAINERID", "web").env("CNI_NETNS", "/run/netns/web");
        command.env("CNI_IFNAME", "eth0").env("CNI_PATH", "/").env("CNI_ARGS", "").env(variable, name());
        let network = json!({
            "cniVersion": "1.0.0", "name": "pods", "type": "podhosts-cni", "ipam": {"podCIDRs": ["10.244.1.0/24"]},
        });
        let (answer, _) = harmless(Run::with_input(command, network.to_string().as_bytes()));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer["msg"].as_str().unwrap().contains(message), "{answer}");
    }
}

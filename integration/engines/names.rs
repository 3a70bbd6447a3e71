//! Pods with every name that the CRI lets through: Kubernetes restricts names, engines do not.

use std::fs;

use serde_json::{Value, json};

use crate::harness::containerd::{Containerd, Pod, Release, each_containerd, sleeping};
use crate::harness::nri::Plugin;
use crate::harness::{Bundle, Node, Runtime, bin, managed, needs, runtimes};

each_containerd!(
    pods_named_as_cri_tools_names_them,
    pods_with_odd_names,
    pods_with_odd_host_names,
    pods_with_odd_namespaces_and_a_subdomain,
    a_pod_on_the_nodes_network_with_an_odd_name,
    a_name_that_no_environment_can_hold,
);

/// The random part of cri-tools' names, and its prefixes for pods (`pkg/framework`, `pkg/validate`, `pkg/benchmark`).
const UUID: &str = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";
const CRI_TOOLS: &[&str] = &[
    "create-PodSandbox-for-container-",
    "create-PodSandbox-with-hostname",
    "create-PodSandbox-with-DNS-config",
    "create-PodSandbox-with-port-mapping",
    "PodSandbox-for-multi-container-test-",
    "PodSandbox-for-creating-performance-test-",
    "PodSandbox-for-creating-pod-and-container-performance-test-",
    "nri-test-pod-lifecycle-",
    "",
];

/// Names, and what of them is in the hosts file.
fn odd_names() -> Vec<(String, String)> {
    let long = |length: usize| "x".repeat(length);
    let as_it_is = [
        "UPPER",
        "Mixed-Case",
        "under_score",
        "_",
        "dots.in.it",
        "a..b",
        ".leading",
        "trailing.",
        "-leading",
        "trailing-",
        "-",
        ".",
        "..",
        "a@b",
        "a/b",
        "../../etc/passwd",
        "/",
        "日本",
        "é",
        "7",
        "0123456789",
        "10.0.0.5",
        "fd00::5",
        "localhost",
        "web:8080",
        "a;b",
        "a;b=c",
        "a=b",
        "%2f",
        "$(id)",
        "`id`",
        "'",
        "\"",
        "\\",
        "\\n",
        "*",
        "{}",
    ];
    let mut names: Vec<(String, String)> = as_it_is.map(|name| (name.to_owned(), name.to_owned())).into();
    // Cut as the kubelet cuts them.
    names.extend([63, 64, 253, 254, 255, 4096].map(|length| (long(length), long(63))));
    names.push((long(62) + ".-x", long(62)));
    names.push(("é".repeat(40), "é".repeat(31)));
    // The way of what cannot stand there.
    let replaced = [
        ("my pod", "my-pod"),
        (" ", "-"),
        (" leading and trailing ", "-leading-and-trailing-"),
        ("tab\tbed", "tab-bed"),
        ("line\n6.6.6.6 evil", "line-6.6.6.6-evil"),
        ("line\r\n6.6.6.6\tevil\n", "line--6.6.6.6-evil-"),
        ("\u{b}\u{c}", "--"),
        ("web#comment", "web-comment"),
        ("# comment", "--comment"),
        ("escape\u{1b}[31m", "escape-[31m"),
        ("delete\u{7f}", "delete-"),
        ("csi\u{9b}31m", "csi-31m"),
        ("next\u{85}line", "next-line"),
        ("separator\u{2028}6.6.6.6\u{2029}evil", "separator-6.6.6.6-evil"),
        ("override\u{202e}lave", "override-lave"),
        ("hidden\u{200b}space", "hidden-space"),
        ("no\u{a0}break", "no-break"),
        ("ideographic\u{3000}space", "ideographic-space"),
    ];
    names.extend(replaced.map(|(name, expected)| (name.to_owned(), expected.to_owned())));
    names
}

fn lines(addresses: &[String], names: &str) -> String {
    managed(&addresses.iter().map(|ip| format!("{ip}\t{names}\n")).collect::<String>())
}

/// A pod's configuration with this name, namespace and uid.
fn config(containerd: &Containerd, [name, namespace, uid]: [&str; 3]) -> Value {
    let mut config = containerd.pod_config("pod");
    config["metadata"] = json!({"name": name, "namespace": namespace, "uid": uid, "attempt": 2});
    config
}

#[track_caller]
fn run<'a>(containerd: &'a Containerd, config: &Value, options: &[&str]) -> Pod<'a> {
    let file = file(containerd, config);
    let id = containerd.ask(&[&["runp"], options, &[&file]].concat());
    Pod::new(containerd, &id, &file)
}

/// Writes a pod's file, which is not called after the pod. It is ASCII: a reader of YAML refuses or folds what else is in
/// the names.
fn file(containerd: &Containerd, config: &Value) -> String {
    let mut text = String::new();
    for c in config.to_string().chars() {
        if c.is_ascii() && !c.is_control() {
            text.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
        }
    }
    let path = containerd.node.path("pod.json");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const OURS: &[&str] = &["--runtime", "podhosts"];

/// Starts a container of the pod. It has the file that `podhosts render` gives, sealed, with one line for each address,
/// which begins with the address and goes on with `names`.
#[track_caller]
fn check(containerd: &Containerd, pod: &Pod<'_>, config: &Value, names: &str) -> String {
    let what = &config["metadata"]["name"];
    let id = pod.start(&sleeping("main"));
    let addresses = pod.addresses();
    assert_eq!(addresses.len(), 2, "{what}");
    let expected = lines(&addresses, names);
    assert_eq!(containerd.hosts(&id), expected, "{what}");
    let error = containerd.exec(&id, "echo 6.6.6.6 evil >>/etc/hosts").failure();
    assert!(error.contains("Read-only file system"), "{what}: {error}");
    let file = containerd.node.path("pod.json");
    let mut render = vec!["render", "-f", file.to_str().unwrap()];
    addresses.iter().for_each(|ip| render.extend(["--pod-ip", ip]));
    assert_eq!(containerd.podhosts(&render).success(), expected, "{what}");
    let inspected = containerd.podhosts(&["inspect", "--json", &id]).success();
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["sealed"], true, "{inspected}");
    for key in ["name", "namespace", "uid"] {
        assert_eq!(inspected["pod"][key], config["metadata"][key], "{inspected}");
    }
    id
}

/// What podhosts-cni, `podhosts list` and the log tell of the one pod there is.
#[track_caller]
fn check_record(containerd: &Containerd, config: &Value) {
    let what = &config["metadata"]["name"];
    let listed = containerd.podhosts(&["list", "--json"]).success();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    let has_pairs = what.as_str().unwrap().contains(";b=");
    for key in ["name", "namespace", "uid"].iter().filter(|_| !has_pairs) {
        assert_eq!(listed[0][key], config["metadata"][key], "{what}: {key}");
    }
    let table = containerd.podhosts(&["list"]).success();
    assert_eq!(table.lines().count(), 2, "{what}: {table}");
    let is_shown = |c: char| c == '\n' || !c.is_control() && !"\u{2028}\u{2029}\u{202e}\u{200b}".contains(c);
    assert!(table.chars().all(is_shown), "{what}: {table:?}");
    let records: Vec<_> = fs::read_dir(containerd.node.file("/run/podhosts/pods")).unwrap().collect();
    assert_eq!(records.len(), 1, "{what}: {records:?}");
    let log = fs::read_to_string(containerd.node.file("/var/log/podhosts/hook.log")).unwrap();
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(last["outcome"], "sealed", "{what}: {last}");
    assert!(last["pod"].as_str().unwrap().len() <= 1024 && !last["pod"].as_str().unwrap().contains('\n'));
}

fn pods_named_as_cri_tools_names_them(containerd: &mut Containerd) {
    for prefix in CRI_TOOLS {
        let names =
            [format!("{prefix}{UUID}"), format!("cri-test-namespace{UUID}"), format!("cri-test-uid{UUID}")];
        let config = config(containerd, names.each_ref().map(String::as_str));
        let pod = run(containerd, &config, OURS);
        let cut = &names[0][..names[0].len().min(63)];
        check(containerd, &pod, &config, cut.trim_end_matches('-'));
        check_record(containerd, &config);
        pod.remove();
    }
    // "runtime should support set hostname" of the suite.
    let name = format!("create-PodSandbox-with-hostname{UUID}");
    let mut config = config(containerd, [&name, "cri-test-namespace", "cri-test-uid"]);
    config["hostname"] = "test-hostname".into();
    let pod = run(containerd, &config, OURS);
    check(containerd, &pod, &config, "test-hostname");
    pod.remove();
}

fn pods_with_odd_names(containerd: &mut Containerd) {
    for (name, expected) in odd_names() {
        // Each is a namespace and a uid, too.
        let mut config = config(containerd, [&name; 3]);
        config["annotations"] = json!({"podhosts.io/env.MY_POD_NAME": "metadata.name"});
        let pod = run(containerd, &config, OURS);
        let id = check(containerd, &pod, &config, &expected);
        check_record(containerd, &config);
        // Number 1 is the sandbox's.
        let print = "for pid in $(pidof sleep); do tr '\\0' '|' </proc/$pid/environ; done";
        let environment = containerd.exec(&id, print).success();
        assert!(environment.contains(&format!("|MY_POD_NAME={name}|")), "{name:?}: {environment:?}");
        pod.remove();
    }
    assert_eq!(containerd.node.sh("ls -A /run/podhosts/pods"), "");
}

fn pods_with_odd_host_names(containerd: &mut Containerd) {
    let longest = "h".repeat(64);
    for (hostname, expected) in [
        ("UPPER_1", "UPPER_1"),
        ("front.example.com", "front.example.com"),
        ("-x.", "-x."),
        ("日本", "日本"),
        ("10.0.0.9", "10.0.0.9"),
        (&longest, &longest),
        // The pod's name has to do.
        ("my host", "Web_1"),
        ("x\n6.6.6.6 evil", "Web_1"),
        ("#", "Web_1"),
        ("x\u{202e}", "Web_1"),
    ] {
        let mut config = config(containerd, ["Web_1", "default", "u1"]);
        config["hostname"] = hostname.into();
        let pod = run(containerd, &config, OURS);
        check(containerd, &pod, &config, expected);
        pod.remove();
    }
}

fn pods_with_odd_namespaces_and_a_subdomain(containerd: &mut Containerd) {
    for (namespace, expected) in [
        ("Name_Space", "Web_1.shop.Name_Space.svc.cluster.local\tWeb_1"),
        ("a.b", "Web_1.shop.a.b.svc.cluster.local\tWeb_1"),
        ("name space", "Web_1"),
        ("n\n6.6.6.6 evil", "Web_1"),
    ] {
        let mut config = config(containerd, ["Web_1", namespace, "u1"]);
        config["annotations"] = json!({"podhosts.io/subdomain": "shop"});
        let pod = run(containerd, &config, OURS);
        check(containerd, &pod, &config, expected);
        pod.remove();
    }
    // Ours are checked as ever.
    for (key, value) in [("subdomain", "Shop_1"), ("hostname", "Web_1"), ("hostname-override", "a b")] {
        let mut config = config(containerd, ["Web_1", "Name_Space", "u1"]);
        config["annotations"] = json!({(format!("podhosts.io/{key}")): value});
        let pod = run(containerd, &config, OURS);
        let id = pod.create(&sleeping("main"));
        let error = containerd.crictl(&["start", &id]).failure();
        assert!(error.contains("cannot render the hosts file: pod "), "{error}");
        pod.remove();
    }
}

fn a_pod_on_the_nodes_network_with_an_odd_name(containerd: &mut Containerd) {
    fs::write(containerd.node.file("/etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    let on_node = json!({"namespace_options": {"network": 2}});
    for name in ["Web_1", "a\n6.6.6.6 evil", "a\0b"] {
        let mut config = config(containerd, [name; 3]);
        config["linux"]["security_context"] = on_node.clone();
        let pod = run(containerd, &config, OURS);
        let mut container = sleeping("main");
        container["linux"]["security_context"] = on_node.clone();
        let id = pod.start(&container);
        let expected = "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n";
        assert_eq!(containerd.hosts(&id), expected, "{name:?}");
        containerd.exec(&id, "echo >>/etc/hosts").failure();
        pod.remove();
    }
}

/// containerd itself starts no CNI plugin with such a name, ours or another.
fn a_name_that_no_environment_can_hold(containerd: &mut Containerd) {
    for options in [&[][..], OURS] {
        let file = file(containerd, &config(containerd, ["a\0b", "default", "u1"]));
        containerd.crictl(&[&["runp"], options, &[&file]].concat()).failure();
    }
}

#[test]
fn pods_with_odd_names_over_nri() {
    let Some(containerd) = Containerd::start(Release::Sid) else { return };
    containerd.node.sh("mkdir -p /etc/podhosts");
    let text = format!("[runtime]\nhook = {:?}\n", bin("podhosts-hook"));
    fs::write(containerd.node.file("/etc/podhosts/config.toml"), text).unwrap();
    let _plugin = Plugin::start(&containerd);
    for (name, expected) in odd_names().iter().step_by(3) {
        let config = config(&containerd, [name; 3]);
        let pod = run(&containerd, &config, &[]);
        check(&containerd, &pod, &config, expected);
        check_record(&containerd, &config);
        pod.remove();
    }
}

/// What no engine is needed for: containerd's and CRI-O's bundles, and plain ones.
#[test]
fn bundles_with_odd_names() {
    needs!("runc", "crun", "busybox");
    let mut names = odd_names();
    names.extend([("".to_owned(), "pod".to_owned()), ("a\0b".to_owned(), "a-b".to_owned())]);
    for runtime in runtimes() {
        let node = Node::new();
        let base =
            || Bundle::new(&node, "cat /etc/hosts").annotate("podhosts.io/pod-ips", "10.0.0.9").hook(&[]);
        let mut dialects = [
            base().containerd(),
            base()
                .annotate("io.container.manager", "cri-o")
                .annotate("io.kubernetes.cri-o.ContainerType", "container")
                .annotate("io.kubernetes.cri-o.SandboxID", "abc"),
            base(),
        ];
        dialects[1].config["hostname"] = "".into();
        let every = if runtime == Runtime::Runc { 1 } else { 8 };
        for (name, word) in names.iter().step_by(every) {
            // crun reads config.json with C's strings.
            if name.contains('\0') && runtime.name() == "crun" {
                continue;
            }
            let [containerd, crio, plain] = &mut dialects;
            for key in ["sandbox-name", "sandbox-namespace", "sandbox-uid"] {
                containerd.config["annotations"][format!("io.kubernetes.cri.{key}")] = name.as_str().into();
            }
            let joined = format!("k8s_{name}_default_u1_0");
            crio.config["annotations"]["io.kubernetes.cri-o.SandboxName"] = joined.into();
            plain.config["annotations"]["io.kubernetes.pod.name"] = name.as_str().into();
            // CRI-O itself takes no empty name, and in a plain bundle it is none.
            let takes_it = if name.is_empty() { 1 } else { 3 };
            for bundle in dialects.iter().take(takes_it) {
                let run = node.run_bundle(runtime, &bundle.write());
                assert_eq!(run.success(), managed(&format!("10.0.0.9\t{word}\n")), "{runtime:?} {name:?}");
            }
        }
    }
}

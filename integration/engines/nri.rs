//! `podhosts nri` with containerd 2 in its stock configuration: no wrapper, no annotations passed on, and a network of
//! the reference plugins, so that nobody but NRI tells of the pod.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::containerd::{Containerd, Pod, Release, sleeping};
use crate::harness::nri::Plugin;
use crate::harness::page::{ALIAS_LINES, ALIASES, KEY, page};
use crate::harness::{bin, managed, needs};

/// containerd with a network of Debian's plugins, IPv4 first as the CRI tells it. The network namespace alone would
/// have IPv6 first.
fn start() -> Option<Containerd> {
    let mut containerd = Containerd::start(Release::Sid)?;
    containerd.end("TERM");
    let network = json!({"cniVersion": "1.0.0", "name": "reference", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": {"type": "host-local",
            "ranges": [[{"subnet": "10.9.0.0/24"}], [{"subnet": "fd00:9::/64"}]]}}]});
    containerd
        .node
        .sh("rm /etc/cni/net.d/*; ln -sf /usr/lib/cni/bridge /usr/lib/cni/host-local /opt/cni/bin");
    fs::write(containerd.node.file("/etc/cni/net.d/10-reference.conflist"), network.to_string()).unwrap();
    configure(&containerd, "");
    containerd.launch();
    Some(containerd)
}

/// Writes the node's configuration, with `extra` lines at its top.
fn configure(containerd: &Containerd, extra: &str) {
    containerd.node.sh("mkdir -p /etc/podhosts");
    let hook = bin("podhosts-hook");
    let text = format!("{extra}\nprimary-family = \"IPv6\"\n[runtime]\nhook = {hook:?}\n");
    fs::write(containerd.node.file("/etc/podhosts/config.toml"), text).unwrap();
}

fn annotated(containerd: &Containerd, name: &str, annotations: &Value) -> Value {
    let mut config = containerd.pod_config(name);
    config["annotations"] = annotations.clone();
    config
}

/// A pod with the page's aliases.
fn page_pod<'a>(containerd: &'a Containerd, name: &str) -> Pod<'a> {
    let config = annotated(containerd, name, &json!({KEY: ALIASES}));
    containerd.pod_with(&config, &[])
}

/// How many mounts a container has at /etc/hosts.
fn mounts(containerd: &Containerd, container: &str) -> usize {
    containerd.exec(container, "grep -c ' /etc/hosts ' /proc/self/mountinfo").stdout.trim().parse().unwrap()
}

fn is_sealed(containerd: &Containerd, container: &str) -> bool {
    let run = containerd.exec(container, "echo 6.6.6.6 bank >>/etc/hosts");
    assert!(run.ok || run.stderr.contains("Read-only file system"), "{run:?}");
    !run.ok
}

/// What podhosts tells of a container.
fn inspected(containerd: &Containerd, container: &str) -> Value {
    let found = containerd.node.run(bin("podhosts"), &["inspect", "--json", container]).success();
    serde_json::from_str(&found).unwrap()
}

#[test]
fn the_pod_of_kubernetes_page_has_what_nri_tells() {
    let Some(containerd) = start() else { return };
    let _plugin = Plugin::start(&containerd);
    let pod = page_pod(&containerd, "page");
    let addresses = pod.addresses();
    assert!(addresses.len() == 2 && addresses[0].starts_with("10.9.0."), "{addresses:?}");
    let containers = ["one", "two"].map(|name| pod.start(&sleeping(name)));
    for container in &containers {
        assert_eq!(containerd.hosts(container), page(&pod.addresses(), "page"));
        assert!(is_sealed(&containerd, container));
        // containerd's own file, the node's, is not beneath.
        assert_eq!(mounts(&containerd, container), 1);
        let found = inspected(&containerd, container);
        assert_eq!((&found["sealed"], &found["addressSource"]), (&true.into(), &"nri".into()), "{found}");
    }
    // Each has its own: the file systems differ.
    let device = |container| containerd.exec(container, "stat -c %d /etc/hosts").success();
    assert_ne!(device(&containers[0]), device(&containers[1]));
    // A restart is a new container.
    containerd.ask(&["rm", "-f", &containers[0]]);
    let again = pod
        .start(&json!({"metadata": {"name": "one", "attempt": 1}, "image": sleeping("one")["image"],
        "command": ["sleep", "1000000"], "log_path": "one.1.log", "linux": {}}));
    assert_eq!(containerd.hosts(&again), page(&pod.addresses(), "page"));
    assert!(is_sealed(&containerd, &again));
    // Nothing is kept of the pod on the node.
    assert_eq!(containerd.node.sh("find /run/podhosts -name '*.json'"), "");
}

#[test]
fn who_is_sealed_with_what_and_who_is_not() {
    let Some(containerd) = start() else { return };
    let plugin = Plugin::start(&containerd);
    host_network(&containerd);
    own_volume_and_opt_out(&containerd);
    kubelets_file(&containerd);
    errors(&containerd, &plugin);
}

fn host_network(containerd: &Containerd) {
    let mut config = annotated(containerd, "host", &json!({KEY: ALIASES}));
    config["linux"]["security_context"] = json!({"namespace_options": {"network": 2}});
    let pod = containerd.pod_with(&config, &[]);
    let mut container = sleeping("main");
    container["linux"] = config["linux"].clone();
    let container = pod.start(&container);
    let node = fs::read_to_string(containerd.node.file("/etc/hosts")).unwrap();
    let expected = format!("# Kubernetes-managed hosts file (host network).\n{node}{ALIAS_LINES}");
    assert_eq!(containerd.hosts(&container), expected);
    assert!(is_sealed(containerd, &container));
}

fn own_volume_and_opt_out(containerd: &Containerd) {
    let pod = page_pod(containerd, "volume");
    let own = containerd.node.path("own-hosts");
    fs::write(&own, "127.0.0.1\tmine\n").unwrap();
    let mut container = sleeping("own");
    container["mounts"] = json!([{"container_path": "/etc/hosts", "host_path": own}]);
    let container = pod.start(&container);
    assert_eq!(containerd.hosts(&container), "127.0.0.1\tmine\n");
    assert!(!is_sealed(containerd, &container));
    let found = inspected(containerd, &container);
    assert!(found["reason"].as_str().unwrap().contains("a volume of its own"), "{found}");
    // The hook never sees it, so the plugin writes it into the hook's log.
    let logged = containerd.node.sh("tail -n 1 /var/log/podhosts/hook.log");
    let logged: Value = serde_json::from_str(&logged).unwrap();
    assert_eq!((&logged["outcome"], &logged["reason"]), (&"skipped".into(), &found["reason"]), "{logged}");

    let out = annotated(containerd, "out", &json!({"podhosts.io/seal": "false"}));
    let pod = containerd.pod_with(&out, &[]);
    let container = pod.start(&sleeping("main"));
    assert!(!is_sealed(containerd, &container));
    configure(containerd, "allow-opt-out = false");
    let container = pod.start(&sleeping("not-out"));
    assert!(is_sealed(containerd, &container));
    configure(containerd, "");
}

fn kubelets_file(containerd: &Containerd) {
    let pod = containerd.pod_with(&containerd.pod_config("kube"), &[]);
    let file = "/var/lib/kubelet/pods/uid-of-kube/etc-hosts";
    let lines =
        pod.addresses().into_iter().map(|ip| format!("{ip}\tkube.sub.default.svc.cluster.local\tkube\n"));
    let text = managed(&lines.collect::<String>());
    containerd.node.sh("mkdir -p /var/lib/kubelet/pods/uid-of-kube");
    fs::write(containerd.node.file(file), &text).unwrap();
    let mut container = sleeping("main");
    container["mounts"] = json!([{"container_path": "/etc/hosts", "host_path": file}]);
    let id = pod.start(&container);
    assert_eq!(containerd.hosts(&id), text);
    assert!(is_sealed(containerd, &id));
    assert_eq!(mounts(containerd, &id), 1);
    assert_eq!(inspected(containerd, &id)["addressSource"], "kubelet");
    // Where a container may start without a seal, the kubelet's mount stays in its configuration; the hook detaches it.
    configure(containerd, "on-error = \"open\"");
    container["metadata"]["name"] = "open".into();
    let id = pod.start(&container);
    assert!(is_sealed(containerd, &id));
    assert_eq!(mounts(containerd, &id), 1);
    configure(containerd, "");
}

fn errors(containerd: &Containerd, plugin: &Plugin<'_>) {
    let config = annotated(containerd, "wrong", &json!({"podhosts.io/seal": "no"}));
    let pod = containerd.pod_with(&config, &[]);
    let files = ["wrong-c.json", "wrong.json"].map(|name| containerd.node.path(name));
    fs::write(&files[0], sleeping("main").to_string()).unwrap();
    let [container, pod_file] = files.each_ref().map(|file| file.to_str().unwrap());
    let error = containerd.crictl(&["create", &pod.id, container, pod_file]).failure();
    let expected = "cannot read annotation podhosts.io/seal: got \"no\", expected \"true\" or \"false\"";
    assert!(error.contains("podhosts: cannot read annotation podhosts.io/seal: got "), "{error}");
    assert!(plugin.log().contains(&format!("podhosts nri: {expected}\n")), "{}", plugin.log());
    configure(containerd, "on-error = \"open\"");
    let container = pod.start(&sleeping("open"));
    assert!(!is_sealed(containerd, &container));
    let log = fs::read_to_string(containerd.node.file("/var/log/podhosts/hook.log")).unwrap();
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!((&last["outcome"], &last["pod"]), (&"open".into(), &"default/wrong".into()), "{last}");
    // A configuration that cannot be read lets nobody through.
    configure(containerd, "on-error = \"maybe\"");
    let error = containerd.crictl(&["create", &pod.id, &container_file(containerd), pod_file]).failure();
    assert!(error.contains("cannot read /etc/podhosts/config.toml: line 1"), "{error}");
}

fn container_file(containerd: &Containerd) -> String {
    containerd.file("last-c.json", &sleeping("last"))
}

#[test]
fn plugin_and_engine_come_and_go() {
    let Some(mut containerd) = start() else { return };
    let pod_id;
    {
        let pod = page_pod(&containerd, "old");
        let before = pod.start(&sleeping("before"));
        assert!(!is_sealed(&containerd, &before));
        let plugin = Plugin::start(&containerd);
        let with = pod.start(&sleeping("with"));
        assert_eq!(containerd.hosts(&with), page(&pod.addresses(), "old"));
        assert_eq!(plugin.stop(), Some(0));
        let without = pod.start(&sleeping("without"));
        assert!(!is_sealed(&containerd, &without) && is_sealed(&containerd, &with));
        pod_id = pod.id;
    }
    // It waits for an engine that is not there.
    containerd.end("TERM");
    let script = format!("{} nri 2>&1 & echo $! >nri.pid", bin("podhosts").display());
    let script = format!("cd {}; ({script}) >nri.log", containerd.node.path("").display());
    containerd.node.sh(&script);
    containerd.launch();
    let plugin = Plugin::launched(&containerd);
    plugin.until_it_serves(1);
    assert!(plugin.log().contains("nobody is at /var/run/nri/nri.sock: waiting for the engine\n"));
    let pod = containerd.again(&pod_id, "old");
    let later = pod.start(&sleeping("later"));
    assert_eq!(containerd.hosts(&later), page(&pod.addresses(), "old"));
    assert!(is_sealed(&containerd, &later));
    drop((pod, plugin));
    // An engine that is killed and comes back has it again.
    containerd.end("KILL");
    containerd.launch();
    let plugin = Plugin::launched(&containerd);
    plugin.until_it_serves(2);
    let pod = containerd.again(&pod_id, "old");
    let last = pod.start(&sleeping("last"));
    assert!(is_sealed(&containerd, &last) && is_sealed(&containerd, &later));
    containerd.node.sh(&format!("kill $(cat {})", containerd.node.path("nri.pid").display()));
}

/// With sid's runc, which can have the pod's users, and on our own network.
#[test]
fn an_engine_starts_the_plugin_itself() {
    let Some(mut containerd) = Containerd::start(Release::SidWithRunc) else { return };
    containerd.end("TERM");
    let link = "mkdir -p /opt/nri/plugins; ln -s";
    containerd.node.sh(&format!("{link} {} /opt/nri/plugins/90-podhosts", bin("podhosts").display()));
    containerd.launch();
    let pod = page_pod(&containerd, "launched");
    let container = pod.start(&sleeping("main"));
    assert_eq!(containerd.hosts(&container), page(&pod.addresses(), "launched"));
    assert!(is_sealed(&containerd, &container));
    // The record of podhosts-cni goes before NRI.
    assert_eq!(inspected(&containerd, &container)["addressSource"], "cni");

    let ids = json!([{"host_id": 100_000, "container_id": 0, "length": 65536}]);
    let users = json!({"namespace_options": {"userns_options": {"mode": 0, "uids": ids, "gids": ids}}});
    let mut config = annotated(&containerd, "mapped", &json!({KEY: ALIASES}));
    config["linux"]["security_context"] = users.clone();
    let pod = containerd.pod_with(&config, &[]);
    let mut container = sleeping("main");
    container["linux"]["security_context"] = users;
    let container = pod.start(&container);
    assert_eq!(containerd.hosts(&container), page(&pod.addresses(), "mapped"));
    assert!(is_sealed(&containerd, &container));
    assert_eq!(mounts(&containerd, &container), 1);
    let seen = containerd.exec(&container, "stat -c '%u %g %a' /etc/hosts; cat /proc/self/uid_map").success();
    assert!(seen.starts_with("0 0 644\n") && seen.contains("100000"), "{seen}");
}

/// The system calls that a unit with these lines lets through, by systemd's own groups.
fn let_through(unit: &str) -> BTreeSet<String> {
    let group = |name: &str| -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut names = vec![name.to_owned()];
        while let Some(name) = names.pop() {
            let output = Command::new("systemd-analyze")
                .args(["--no-pager", "syscall-filter", &name])
                .output()
                .unwrap();
            for line in String::from_utf8(output.stdout).unwrap().lines().skip(1).map(str::trim) {
                match line.chars().next() {
                    Some('@') => names.push(line.to_owned()),
                    Some('a'..='z' | '_') => drop(found.insert(line.to_owned())),
                    _ => {}
                }
            }
        }
        found
    };
    let mut calls = BTreeSet::new();
    for names in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        match names.strip_prefix('~') {
            None => calls.extend(names.split(' ').flat_map(group)),
            Some(names) => {
                for call in names.split(' ').flat_map(group) {
                    calls.remove(&call);
                }
            }
        }
    }
    calls
}

#[test]
fn the_plugin_does_without_what_its_unit_takes_away() {
    needs!("systemd-analyze", "strace", "setpriv");
    let Some(containerd) = start() else { return };
    let calls = containerd.node.path("nri.calls");
    // No capabilities, no network, and whatever it calls is written down.
    let command = format!(
        "unshare --net setpriv --bounding-set=-all --inh-caps=-all --no-new-privs strace -D -f -qq -o {} {} nri",
        calls.display(),
        bin("podhosts").display()
    );
    let plugin = Plugin::start_as(&containerd, &command);
    let pod = page_pod(&containerd, "unit");
    let container = pod.start(&sleeping("main"));
    assert!(is_sealed(&containerd, &container));
    plugin.stop();
    let unit = include_str!("../../vendor-configs/systemd/podhosts-nri.service");
    let allowed = let_through(unit);
    assert!(allowed.contains("recvfrom") && !allowed.contains("mount") && allowed.len() > 100, "{allowed:?}");
    let made = fs::read_to_string(calls).unwrap();
    let name = |line: &str| Some(line.split_once(' ')?.1.trim_start().split_once('(')?.0.to_owned());
    // What systemd itself calls on the way is let through, too.
    let others: BTreeSet<String> =
        made.lines().filter_map(name).filter(|name| !allowed.contains(name) && name != "execve").collect();
    assert!(others.is_empty() && made.contains("connect("), "{others:?}");
}

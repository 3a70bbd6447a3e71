//! containerd under a kubelet: the container's mounts have the kubelet's own file at /etc/hosts.

use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::containerd::{Containerd, Pod, each_containerd, sleeping};
use crate::harness::managed;

each_containerd!(
    every_file_of_the_kubelets_is_sealed,
    the_kubelets_file_on_the_nodes_network,
    a_container_started_again_gets_what_the_kubelet_wrote_since,
    containers_that_start_while_the_kubelet_writes,
    a_broken_file_of_the_kubelets_is_an_error,
    the_rules_of_kubernetes_conformance_tests,
);

const ROOT: &str = "/var/lib/kubelet";
const ALIASES: &str = "\n# Entries added by HostAliases.\n123.45.67.89\tfoo\tbar\n2001:DB8::7\tsix\n";

/// A pod as a kubelet makes it: it always gives a host name.
fn pod<'a>(containerd: &'a Containerd, name: &str, hostname: &str) -> Pod<'a> {
    let mut config = containerd.pod_config(name);
    config["hostname"] = hostname.into();
    containerd.pod(&config)
}

/// The pod's own lines, with these names behind each address.
fn lines(pod: &Pod<'_>, names: &str) -> String {
    pod.addresses().iter().map(|ip| format!("{ip}\t{names}\n")).collect()
}

/// Writes a pod's file where a kubelet with that root has it; its path.
fn write(containerd: &Containerd, root: &str, uid: &str, text: &str) -> String {
    let path = format!("{root}/pods/{uid}/etc-hosts");
    let file = containerd.node.file(&path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    path
}

/// A container with `path` at /etc/hosts.
fn mounting(name: &str, path: &str, readonly: bool) -> Value {
    let mut config = sleeping(name);
    config["mounts"] = json!([{"container_path": "/etc/hosts", "host_path": path, "readonly": readonly}]);
    config
}

/// Fails unless the container has this file, sealed, and no way to the kubelet's.
#[track_caller]
fn assert_sealed(containerd: &Containerd, id: &str, expected: &str) {
    assert_eq!(containerd.hosts(id), expected);
    containerd.exec(id, "echo >>/etc/hosts").failure();
    let mounts = containerd.exec(id, "grep ' /etc/hosts ' /proc/self/mountinfo").success();
    assert_eq!(mounts.lines().count(), 1, "{mounts}");
    assert!(mounts.contains(" podhosts:"), "{mounts}");
}

fn every_file_of_the_kubelets_is_sealed(containerd: &mut Containerd) {
    let fqdn = "web.sub.default.svc.cluster.local";
    let long = "a".repeat(63);
    let both = format!("{fqdn}\tweb");
    let files = [
        ("plain", ROOT, false, "web", "web", ""),
        ("aliases", ROOT, false, "web", "web", ALIASES),
        ("subdomain", ROOT, false, "web", &both, ""),
        ("set-hostname-as-fqdn", ROOT, false, fqdn, &both, ""),
        ("hostname-override", ROOT, false, "a.b.c", "a.b.c", ALIASES),
        ("cut", ROOT, false, &long, &long, ""),
        ("other-root", "/run/data/kubelet", false, "web", "web", ALIASES),
        ("readonly", ROOT, true, "web", "web", ALIASES),
    ];
    for (name, root, readonly, hostname, names, aliases) in files {
        let pod = pod(containerd, name, hostname);
        let text = managed(&format!("{}{aliases}", lines(&pod, names)));
        let path = write(containerd, root, &format!("uid-of-{name}"), &text);
        let id = pod.start(&mounting("main", &path, readonly));
        println!("{name}");
        assert_sealed(containerd, &id, &text);
        // The kubelet rewrites its file, and a sibling of old might: nothing of it is seen.
        fs::write(containerd.node.file(&path), "6.6.6.6\tbank.example\n").unwrap();
        assert_eq!(containerd.hosts(&id), text);
        pod.remove();
    }
}

fn the_kubelets_file_on_the_nodes_network(containerd: &mut Containerd) {
    let node_hosts = "127.0.0.1 localhost\n192.0.2.7 the-node\n";
    fs::write(containerd.node.file("/etc/hosts"), node_hosts).unwrap();
    let text = format!("# Kubernetes-managed hosts file (host network).\n{node_hosts}");
    let text = text + "\n# Entries added by HostAliases.\n123.45.67.89\tfoo\tbar\n";
    let (pod, container) = on_node_network(containerd, "agent");
    let path = write(containerd, ROOT, "uid-of-agent", &text);
    let id = pod.start(&with_mount_of(container, &path));
    assert_sealed(containerd, &id, &text);
    pod.remove();
}

/// A pod on the node's network, and a container for it.
fn on_node_network<'a>(containerd: &'a Containerd, name: &str) -> (Pod<'a>, Value) {
    let on_node = json!({"namespace_options": {"network": 2}});
    let mut config = containerd.pod_config(name);
    config["linux"]["security_context"] = on_node.clone();
    let mut container = sleeping("main");
    container["linux"]["security_context"] = on_node;
    (containerd.pod(&config), container)
}

fn with_mount_of(mut container: Value, path: &str) -> Value {
    container["mounts"] = mounting("any", path, false)["mounts"].clone();
    container
}

fn a_container_started_again_gets_what_the_kubelet_wrote_since(containerd: &mut Containerd) {
    let pod = pod(containerd, "web", "web");
    let first = managed(&lines(&pod, "web"));
    let second = managed(&format!("{}{ALIASES}", lines(&pod, "web")));
    let path = write(containerd, ROOT, "uid-of-web", &first);
    let mut config = mounting("main", &path, false);
    let id = pod.start(&config);
    assert_sealed(containerd, &id, &first);
    write(containerd, ROOT, "uid-of-web", &second);
    assert_eq!(containerd.hosts(&id), first);
    containerd.ask(&["rm", "-f", &id]);
    config["metadata"]["attempt"] = 1.into();
    assert_sealed(containerd, &pod.start(&config), &second);
    pod.remove();
}

/// The kubelet truncates its file and writes it again for each container that it starts. This one never stops, and takes
/// its time.
fn containers_that_start_while_the_kubelet_writes(containerd: &mut Containerd) {
    let containerd = &*containerd;
    let pod = &pod(containerd, "web", "web");
    let text = &managed(&format!("{}{ALIASES}", lines(pod, "web")));
    let path = &write(containerd, ROOT, "uid-of-web", text);
    let file = containerd.node.file(path);
    let are_started = &AtomicBool::new(false);
    let keep_writing = || {
        while !are_started.load(Ordering::Relaxed) {
            let mut file = fs::File::create(&file).unwrap();
            std::thread::sleep(Duration::from_millis(1));
            file.write_all(text.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(4));
        }
    };
    let start = |number: usize| {
        let id = pod.start(&mounting(&format!("container-{number}"), path, false));
        assert_sealed(containerd, &id, text);
    };
    std::thread::scope(|scope| {
        scope.spawn(keep_writing);
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || start(number))).collect();
        let ends: Vec<_> = threads.into_iter().map(ScopedJoinHandle::join).collect();
        are_started.store(true, Ordering::Relaxed);
        assert!(ends.iter().all(Result::is_ok));
    });
}

fn a_broken_file_of_the_kubelets_is_an_error(containerd: &mut Containerd) {
    let broken = [
        "6.6.6.6\tbank.example\n".to_owned(),
        managed("10.200.0.5\tweb\n6.6.6.6 bank.example\n"),
        String::new(),
    ];
    for (attempt, text) in broken.iter().enumerate() {
        let pod = containerd.pod(&containerd.pod_config(&format!("web-{attempt}")));
        let path = write(containerd, ROOT, &format!("uid-of-web-{attempt}"), text);
        let id = pod.create(&mounting("main", &path, false));
        let error = containerd.crictl(&["start", &id]).failure();
        assert!(error.contains(&format!("cannot use the kubelet's hosts file {path}: ")), "{error}");
        assert_eq!(fs::read_to_string(containerd.node.file(&path)).unwrap(), *text);
        pod.remove();
    }
}

/// `KubeletManagedEtcHosts` and the tests of HostAliases.
fn the_rules_of_kubernetes_conformance_tests(containerd: &mut Containerd) {
    let original = "127.0.0.1 localhost\n192.0.2.7 the-node\n";
    fs::write(containerd.node.file("/etc/hosts"), original).unwrap();
    let is_managed = |id: &str| {
        let hosts = containerd.hosts(id);
        let original = containerd.exec(id, "cat /etc/hosts-original").success();
        hosts.starts_with("# Kubernetes-managed hosts file.") && hosts != original
    };
    let with_original = |mut config: Value| {
        let original = json!({"container_path": "/etc/hosts-original", "host_path": "/etc/hosts"});
        config["mounts"].as_array_mut().unwrap().push(original);
        config
    };

    let pod = pod(containerd, "test-pod", "test-pod");
    let aliases = "\n# Entries added by HostAliases.\n123.45.67.89\tfoo\tbar\n";
    let text = managed(&format!("{}{aliases}", lines(&pod, "test-pod")));
    let path = write(containerd, ROOT, "uid-of-test-pod", &text);
    for name in ["busybox-1", "busybox-2"] {
        let id = pod.start(&with_original(mounting(name, &path, false)));
        assert!(is_managed(&id), "{name}");
        assert!(containerd.hosts(&id).contains("123.45.67.89\tfoo\tbar"));
    }
    // The third mounts a file itself: it is the pod's author's, to write to as well.
    let own = containerd.node.path("own-hosts");
    fs::write(&own, "# mine\n").unwrap();
    let id = pod.start(&with_original(mounting("busybox-3", own.to_str().unwrap(), false)));
    assert!(!is_managed(&id));
    containerd.exec(&id, "echo '192.0.2.9 more' >>/etc/hosts").success();
    assert_eq!(fs::read_to_string(&own).unwrap(), "# mine\n192.0.2.9 more\n");
    pod.remove();

    let (pod, container) = on_node_network(containerd, "test-host-network-pod");
    let header = "# Kubernetes-managed hosts file (host network).\n";
    let text = format!("{header}{original}{aliases}");
    let path = write(containerd, ROOT, "uid-of-test-host-network-pod", &text);
    let id = pod.start(&with_original(with_mount_of(container, &path)));
    assert!(!is_managed(&id));
    assert!(containerd.hosts(&id).contains("123.45.67.89\tfoo\tbar"));
    pod.remove();
}

//! What a container of a pod writes to have it in the sealed file of the pod's next one.

use std::fs;

use serde_json::{Value, json};

use crate::harness::containerd::{Containerd, Pod, each_containerd, sleeping};
use crate::harness::page::{ALIAS_LINES, ALIASES, KEY};
use crate::harness::podman::{Podman, each_podman};
use crate::harness::{Bundle, Netns, Node, managed, needs, runtimes};

each_containerd!(
    a_sibling_writes_another_name_into_etc_hostname,
    a_sibling_sets_another_host_name_in_the_pods_uts_namespace,
    a_sibling_writes_into_the_kubelets_file,
);

/// The file of a pod that has this name.
fn file_of(pod: &Pod<'_>, name: &str) -> String {
    let lines: Vec<String> = pod.addresses().iter().map(|ip| format!("{ip}\t{name}\n")).collect();
    managed(&lines.concat())
}

/// A container that may do what root of a privileged one may, but for the node's devices.
fn with_capability(name: &str, capability: &str) -> Value {
    let mut config = sleeping(name);
    config["linux"]["security_context"] = json!({"capabilities": {"add_capabilities": [capability]}});
    config
}

/// containerd mounts the pod's /etc/hostname writable into each of its containers.
fn a_sibling_writes_another_name_into_etc_hostname(containerd: &mut Containerd) {
    for hostname in ["front", ""] {
        let mut config = containerd.pod_config("web");
        config["hostname"] = hostname.into();
        let pod = containerd.pod(&config);
        let attacker = pod.start(&sleeping("attacker"));
        let expected = file_of(&pod, if hostname.is_empty() { "web" } else { hostname });
        assert_eq!(containerd.hosts(&attacker), expected);
        containerd.exec(&attacker, "echo db >/etc/hostname").success();
        let victim = pod.start(&sleeping("victim"));
        assert_eq!(containerd.exec(&victim, "cat /etc/hostname").success(), "db\n");
        assert_eq!(containerd.hosts(&victim), expected);
        pod.remove();
    }
}

fn a_sibling_sets_another_host_name_in_the_pods_uts_namespace(containerd: &mut Containerd) {
    let mut config = containerd.pod_config("web");
    config["hostname"] = "front".into();
    let pod = containerd.pod(&config);
    let attacker = pod.start(&with_capability("attacker", "SYS_ADMIN"));
    containerd.exec(&attacker, "hostname db").success();
    let victim = pod.start(&sleeping("victim"));
    assert_eq!(containerd.exec(&victim, "hostname").success(), "db\n");
    assert_eq!(containerd.hosts(&victim), file_of(&pod, "front"));
    pod.remove();
}

/// Where a kubelet has the file of a pod of this test's.
const KUBELETS: &str = "/var/lib/kubelet/pods/uid-of-web/etc-hosts";

/// A container as the kubelet makes it: the pod's file is mounted writable.
fn with_kubelets_file(name: &str) -> Value {
    let mut config = sleeping(name);
    config["mounts"] = json!([{"container_path": "/etc/hosts", "host_path": KUBELETS}]);
    config
}

/// CVE-2020-8557's file, written for its content: a container without a seal (opted out, or older than podhosts on the
/// node) has it writable. What the engine and the network tell otherwise is not taken from there.
fn a_sibling_writes_into_the_kubelets_file(containerd: &mut Containerd) {
    let mut config = containerd.pod_config("web");
    config["hostname"] = "front".into();
    let pod = containerd.pod(&config);
    let good = file_of(&pod, "front.shop.default.svc.cluster.local\tfront");
    let kubelets = containerd.node.file(KUBELETS);
    fs::create_dir_all(kubelets.parent().unwrap()).unwrap();
    fs::write(&kubelets, &good).unwrap();
    let mut attacker = with_kubelets_file("attacker");
    attacker["annotations"] = json!({"podhosts.io/seal": "false"});
    let attacker = pod.start(&attacker);
    let [v4, v6] = pod.addresses().try_into().unwrap();
    for (number, (sed, error)) in [
        (format!("s/^{v4}/6.6.6.6/"), "it has address 6.6.6.6, expected those of the pod: "),
        (format!("/^{v4}/{{p;s/^{v4}/6.6.6.6/}}"), "it has address 6.6.6.6, expected those of the pod: "),
        (format!("s/^{v4}/127.0.0.1/"), "it has address 127.0.0.1, expected those of the pod: "),
        (format!("/^{v6}/d"), "of the pod's CNI record is missing in it"),
        (
            "s/front/db/g".to_owned(),
            "it names the pod \\\"db.shop.default.svc.cluster.local\\\", expected \\\"front\\\"",
        ),
        (
            "s/default.svc.cluster.local/bank.svc.example/".to_owned(),
            "it has the domain \\\"shop.bank.svc.example\\\", expected <subdomain>.default.svc.",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        // The kubelet writes its file before it has the container created; the attacker is in time.
        fs::write(&kubelets, &good).unwrap();
        let victim = pod.create(&with_kubelets_file(&format!("victim-{number}")));
        containerd.exec(&attacker, &format!("sed '{sed}' /etc/hosts >/f; cat /f >/etc/hosts")).success();
        assert_ne!(fs::read_to_string(&kubelets).unwrap(), good, "{sed}");
        let said = containerd.crictl(&["start", &victim]).failure();
        assert!(said.contains(&format!("cannot use the kubelet's hosts file {KUBELETS}: ")), "{sed}: {said}");
        assert!(said.contains(error) || said.contains(&error.replace("\\\"", "\"")), "{sed}: {said}");
    }
    fs::write(&kubelets, &good).unwrap();
    let victim = pod.start(&with_kubelets_file("victim"));
    assert_eq!(containerd.hosts(&victim), good);
    pod.remove();
}

/// The same where another CNI plugin made the network: no record tells the addresses, only the namespace does.
#[test]
fn a_sibling_writes_into_the_kubelets_file_on_another_network() {
    needs!("runc", "crun", "busybox", "ip");
    // As with Multus: net1 is another network's, of which the kubelet does not know.
    let netns = Netns::new(&["10.244.1.4/24", "fd00::4/64"]);
    netns.ip(&["link", "add", "net1", "type", "veth", "peer", "name", "peer1"]);
    netns.ip(&["addr", "add", "192.168.7.7/24", "dev", "net1"]);
    for runtime in runtimes() {
        let node = Node::new();
        let good = managed("10.244.1.4\tweb\nfd00::4\tweb\n");
        node.write("kubelet/pods/uid-1/etc-hosts", &good);
        let bundle = |script: &str| {
            Bundle::new(&node, script)
                .containerd()
                .network(Some(&netns.path()))
                .mount(&node.path("kubelet/pods/uid-1/etc-hosts"), "/etc/hosts")
        };
        let attacker = node.start(runtime, &bundle("sleep 1000").write(), "attacker");
        let start = || node.run_bundle(runtime, &bundle("cat /etc/hosts").hook(&[]).write());
        assert_eq!(start().success(), good, "{runtime:?}");
        attacker.exec("sed s/10.244.1.4/10.244.1.5/ /etc/hosts >/f; cat /f >/etc/hosts").success();
        assert!(!start().ok);
        let expected = "it has address 10.244.1.5, expected those of the pod: 10.244.1.4, ";
        let reason = node.last_log()["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains(expected), "{runtime:?}: {reason}");
    }
}

mod podman {
    use super::{ALIAS_LINES, ALIASES, KEY, Podman, each_podman, managed};

    each_podman!(a_container_writes_another_name_into_etc_hostname,);

    /// podman writes a container's /etc/hostname once, and not again when it is restarted.
    fn a_container_writes_another_name_into_etc_hostname(podman: &Podman) {
        let pod = ["pod", "create", "--name", "shop", "--network", podman.network(), &podman.cgroup()];
        podman.ask(&pod);
        let aliases = podman.annotation(KEY, ALIASES);
        podman.ask(&["run", "-d", "--pod", "shop", "--name", "web", &aliases, crate::harness::podman::IMAGE]);
        let infra = podman.ask(&["pod", "inspect", "--format", "{{.InfraContainerID}}", "shop"]);
        let lines = podman.addresses(&infra).map(|ip| format!("{ip}\tshop\n")).concat();
        let expected = managed(&format!("{lines}{ALIAS_LINES}"));
        assert_eq!(podman.hosts("web"), expected);
        podman.exec("web", "echo db >/etc/hostname").success();
        podman.ask(&["restart", "-t", "0", "web"]);
        assert_eq!(podman.exec("web", "cat /etc/hostname").success(), "db\n");
        assert_eq!(podman.hosts("web"), expected);
    }
}

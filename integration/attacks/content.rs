//! What a container of a pod writes to have it in the sealed file of the pod's next one.

use serde_json::{Value, json};

use crate::harness::containerd::{Containerd, Pod, each_containerd, sleeping};
use crate::harness::managed;
use crate::harness::page::{ALIAS_LINES, ALIASES, KEY};
use crate::harness::podman::{Podman, each_podman};

each_containerd!(
    a_sibling_writes_another_name_into_etc_hostname,
    a_sibling_sets_another_host_name_in_the_pods_uts_namespace,
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

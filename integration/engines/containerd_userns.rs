//! Pods with user namespaces, which containerd has since 2.0. The kubelet asks for them where the runtime can mount with
//! ids of the pod's, which runc can since 1.2.

use std::fs;

use serde_json::{Value, json};

use crate::harness::containerd::{Containerd, Pod, Release, sleeping};
use crate::harness::outside::FIRST;
use crate::harness::{Run, managed};

/// First id on the node of the pod's users.
const MAPPED_ROOT: u32 = 100_000;
const ALIAS_LINES: &str = "\n# Entries added by HostAliases.\n10.1.2.3\tdb\n";

fn mapping() -> Value {
    json!([{"host_id": MAPPED_ROOT, "container_id": 0, "length": 65536}])
}

fn in_user_namespace() -> Value {
    json!({"namespace_options": {"userns_options": {"mode": 0, "uids": mapping(), "gids": mapping()}}})
}

fn config(containerd: &Containerd) -> (Value, Value) {
    let mut pod = containerd.pod_config("web");
    pod["linux"]["security_context"] = in_user_namespace();
    pod["annotations"]["podhosts.io/host-aliases"] = r#"[{"ip":"10.1.2.3","hostnames":["db"]}]"#.into();
    let mut container = sleeping("main");
    container["linux"]["security_context"] = in_user_namespace();
    container["linux"]["security_context"]["capabilities"] = json!({"add_capabilities": ["SYS_ADMIN"]});
    (pod, container)
}

/// Starts a container that mounts the kubelet's file with the pod's ids, as the kubelet has it.
fn start_as_kubelet(pod: &Pod<'_>, mut container: Value, text: &str) -> (String, Run) {
    let path = "/var/lib/kubelet/pods/uid-of-web/etc-hosts";
    let file = pod.containerd.node.file(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    container["metadata"]["name"] = "of-the-kubelet".into();
    container["mounts"] = json!([{"container_path": "/etc/hosts", "host_path": path,
        "uidMappings": mapping(), "gidMappings": mapping()}]);
    let id = pod.create(&container);
    let run = pod.containerd.crictl(&["start", &id]);
    (id, run)
}

/// The file that is the container's root's, and that it cannot change, though it may remount what it has.
#[track_caller]
fn assert_sealed(containerd: &Containerd, id: &str, expected: &str) {
    let map = containerd.exec(id, "cat /proc/self/uid_map").success();
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"]);
    assert_eq!(containerd.hosts(id), expected);
    assert_eq!(containerd.exec(id, "stat -c '%u %g %a' /etc/hosts").success(), "0 0 644\n");
    containerd.exec(id, "mount -o remount,bind,rw /etc/hosts; echo >>/etc/hosts").failure();
    assert_eq!(containerd.hosts(id), expected);
}

/// Whether containerd tells the kubelet that our handler can have such pods.
fn is_offered(containerd: &Containerd) -> bool {
    let info: Value = serde_json::from_str(&containerd.ask(&["info"])).unwrap();
    let handlers = info["runtimeHandlers"].as_array().unwrap();
    let ours = handlers.iter().find(|handler| handler["name"] == "podhosts").unwrap();
    ours["features"]["user_namespaces"] == true
}

fn from_annotations() -> String {
    managed(&format!("{}\tweb\n{}\tweb\n{ALIAS_LINES}", FIRST[0], FIRST[1]))
}

#[test]
fn pods_with_users_of_their_own() {
    let Some(containerd) = Containerd::start(Release::SidWithRunc) else { return };
    let before = containerd.node.traces();
    assert!(is_offered(&containerd));
    let (pod, container) = config(&containerd);
    let pod = containerd.pod(&pod);
    assert_sealed(&containerd, &pod.start(&container), &from_annotations());
    // Other than what the annotations say: without aliases.
    let text = managed(&FIRST.map(|ip| format!("{ip}\tweb\n")).concat());
    let (id, run) = start_as_kubelet(&pod, container, &text);
    run.success();
    assert_sealed(&containerd, &id, &text);
    pod.remove();
    assert_eq!(containerd.node.traces(), before);
}

#[test]
fn containerd_says_when_runc_is_too_old_for_them() {
    let Some(containerd) = Containerd::start(Release::Sid) else { return };
    assert!(!is_offered(&containerd));
    let (pod, container) = config(&containerd);
    let pod = containerd.pod(&pod);
    let id = pod.create(&container);
    let error = containerd.crictl(&["start", &id]).failure();
    assert!(error.contains("idmap mounts not supported"), "{error}");
    pod.remove();
}

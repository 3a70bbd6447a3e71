//! The manifests: kubectl knows every field, they agree with each other, and have no right that is not needed.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::manifests::{FOLDER, built, container, containers, in_folder, only, path, pod, strings};
use crate::harness::{Run, bin, newer_engines};

/// The folders that kustomize builds.
const FOLDERS: [&str; 3] = [FOLDER, "kubernetes-beside-kube-proxy", "kubernetes-hook-only"];

/// Everything in `ours` is in `theirs`, which kubectl made of it by the API's own types.
#[track_caller]
fn assert_known(ours: &Value, theirs: &Value, at: &str) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in ours {
                let known = theirs.get(key).unwrap_or_else(|| panic!("{at}.{key} is no field"));
                assert_known(value, known, &format!("{at}.{key}"));
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            assert_eq!(ours.len(), theirs.len(), "{at}");
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                assert_known(ours, theirs, &format!("{at}[{index}]"));
            }
        }
        _ => assert_eq!(ours, theirs, "{at}"),
    }
}

/// What kubectl makes of an object without a server, by the API's types, which drop what they do not know.
fn by_types(object: &Value, words: &[&str]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("object.json");
    fs::write(&file, object.to_string()).unwrap();
    let mut kubectl = Command::new(newer_engines().unwrap().join("usr/bin/kubectl"));
    kubectl.arg("set").args(words).args(["--local", "-o", "json", "-f"]).arg(file);
    serde_json::from_str(&Run::from(kubectl.output().unwrap()).success()).unwrap()
}

#[test]
fn kubectl_knows_every_field() {
    for folder in FOLDERS {
        let Some(objects) = built(folder) else { return };
        let daemonset = only(&objects, "DaemonSet");
        let last = containers(pod(&objects)).pop().unwrap()["name"].as_str().unwrap();
        let mut made = by_types(daemonset, &["image", &format!("{last}=another")]);
        made["spec"]["template"]["spec"]["containers"][0]["image"] =
            daemonset["spec"]["template"]["spec"]["containers"][0]["image"].clone();
        assert_known(daemonset, &made, "");
        for binding in objects.iter().filter(|object| object["kind"] == "ClusterRoleBinding") {
            let mut made = by_types(binding, &["subject", "--user=another"]);
            made["subjects"].as_array_mut().unwrap().pop();
            assert_known(binding, &made, "");
        }
    }
    // kubectl has no such command for these.
    for (kind, expected) in [
        ("RuntimeClass", &["apiVersion", "handler", "kind", "metadata", "scheduling"][..]),
        ("ClusterRole", &["apiVersion", "kind", "metadata", "rules"]),
        ("ServiceAccount", &["apiVersion", "automountServiceAccountToken", "kind", "metadata"]),
    ] {
        let objects = in_folder();
        let keys: Vec<&String> = only(&objects, kind).as_object().unwrap().keys().collect();
        assert_eq!(keys, expected);
    }
}

#[test]
fn both_ways_to_apply_the_folder_are_the_same() {
    let Some(built) = built(FOLDER) else { return };
    let sorted = |objects: Vec<Value>| objects.iter().map(Value::to_string).collect::<BTreeSet<_>>();
    assert_eq!(sorted(built), sorted(in_folder()));
}

#[test]
fn names_and_labels_agree() {
    let objects = in_folder();
    let names: Vec<(&str, &str)> = objects
        .iter()
        .map(|object| (object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap()))
        .collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 5, "{names:?}");
    let label = json!({"app.kubernetes.io/name": "podhosts"});
    for object in &objects {
        assert_eq!(object["metadata"]["labels"], label, "{object}");
    }
    let daemonset = only(&objects, "DaemonSet");
    assert_eq!(daemonset["spec"]["selector"]["matchLabels"], label);
    assert_eq!(daemonset["spec"]["template"]["metadata"]["labels"], label);
    let (account, role) = (only(&objects, "ServiceAccount"), only(&objects, "ClusterRole"));
    let binding = only(&objects, "ClusterRoleBinding");
    assert_eq!(pod(&objects)["serviceAccountName"], account["metadata"]["name"]);
    assert_eq!(daemonset["metadata"]["namespace"], account["metadata"]["namespace"]);
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    let subject = json!({"kind": "ServiceAccount", "name": account["metadata"]["name"],
        "namespace": account["metadata"]["namespace"]});
    assert_eq!(binding["subjects"], json!([subject]));
    let class = only(&objects, "RuntimeClass");
    assert_eq!(class["handler"], podhosts::engines::NAME);
    assert_eq!(class["scheduling"]["nodeSelector"], pod(&objects)["nodeSelector"]);
    // Of the image that `make image` makes.
    let image = format!("podhosts:{}", env!("CARGO_PKG_VERSION"));
    assert!(containers(pod(&objects)).iter().all(|container| container["image"] == *image));
}

/// The agent's rights, and no others.
#[test]
fn the_agent_may_do_what_it_does() {
    let objects = in_folder();
    let mut rights = BTreeSet::new();
    for rule in only(&objects, "ClusterRole")["rules"].as_array().unwrap() {
        let keys: Vec<&String> = rule.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["apiGroups", "resources", "verbs"]);
        for (group, resource, verb) in strings(&rule["apiGroups"]).into_iter().flat_map(|group| {
            let resources = strings(&rule["resources"]).into_iter();
            resources.flat_map(move |resource| {
                strings(&rule["verbs"]).into_iter().map(move |verb| (group, resource, verb))
            })
        }) {
            assert!(rights.insert(format!("{verb} {resource}.{group}")), "{verb} {resource} twice");
        }
    }
    let read =
        ["nodes.", "pods.", "services.", "endpointslices.discovery.k8s.io", "servicecidrs.networking.k8s.io"];
    let verbs = ["list", "watch"];
    let mut expected: BTreeSet<String> =
        read.iter().flat_map(|resource| verbs.map(|verb| format!("{verb} {resource}"))).collect();
    expected.extend(
        ["patch nodes/status.", "create events.events.k8s.io", "patch events.events.k8s.io"]
            .map(str::to_owned),
    );
    assert_eq!(rights, expected);
}

#[test]
fn no_container_has_rights_that_it_does_not_need() {
    let objects = in_folder();
    let pod = pod(&objects);
    assert_eq!((&pod["automountServiceAccountToken"], &pod["hostNetwork"]), (&json!(false), &json!(true)));
    for key in ["hostPID", "hostIPC", "securityContext"] {
        assert!(pod.get(key).is_none(), "{key}");
    }
    let capabilities = |added: &[&str]| match added {
        [] => json!({"drop": ["ALL"]}),
        added => json!({"drop": ["ALL"], "add": added}),
    };
    let expected = [
        ("install", capabilities(&["CHOWN", "DAC_OVERRIDE", "FOWNER"])),
        ("api-server", capabilities(&[])),
        ("podhosts-node", capabilities(&["NET_ADMIN"])),
    ];
    assert_eq!(containers(pod).len(), expected.len());
    for (name, capabilities) in expected {
        let rights = &container(pod, name)["securityContext"];
        assert_eq!(rights["privileged"], false);
        assert_eq!(rights["allowPrivilegeEscalation"], false);
        assert_eq!(rights["readOnlyRootFilesystem"], true);
        assert_eq!(rights["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(rights["capabilities"], capabilities, "{name}");
    }
    let text = fs::read_to_string(path(FOLDER).join("daemonset.yaml")).unwrap();
    assert!(text.contains("is root on the node"));
    let mounts = |name: &str| {
        let mounts = container(pod, name)["volumeMounts"].as_array().unwrap();
        mounts.iter().map(|mount| mount["mountPath"].as_str().unwrap()).collect::<Vec<_>>()
    };
    // The engine's socket, and nothing else of the engine's; the manifest says what that amounts to.
    let socket = podhosts::engines::containerd::SOCKET;
    let of_install =
        ["/opt/podhosts/bin", "/opt/cni/bin", "/etc/containerd", "/var/lib/podhosts", "/run/podhosts"];
    assert_eq!(mounts("install"), [&of_install[..], &[socket, "/tmp"]].concat());
    // The token is with the program that needs it.
    let account = "/var/run/secrets/kubernetes.io/serviceaccount";
    assert_eq!(mounts("api-server"), ["/run/api-server", "/etc/kubernetes"]);
    let of_agent = ["/etc/cni/net.d", "/run/podhosts", "/host/proc/sys/net", "/run/api-server", account];
    assert_eq!(mounts("podhosts-node"), of_agent);
}

/// What is mounted of the node has the same path there: the engine's configuration names it.
#[test]
fn every_volume_is_used_where_it_is_on_the_node() {
    for folder in FOLDERS {
        let Some(objects) = built(folder) else { return };
        let pod = pod(&objects);
        let mut used = BTreeSet::new();
        for mount in
            containers(pod).into_iter().filter_map(|container| container["volumeMounts"].as_array()).flatten()
        {
            let volumes = pod["volumes"].as_array().unwrap();
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            used.insert(mount["name"].as_str().unwrap());
            if let Some(on_node) = volume.get("hostPath") {
                // But for /proc, where an engine mounts nothing.
                let mounted = mount["mountPath"].as_str().unwrap();
                let is_of_proc = mounted.starts_with("/host/proc/");
                let mounted = if is_of_proc { &mounted["/host".len()..] } else { mounted };
                assert_eq!(on_node["path"], mounted, "{folder}");
            }
            let is_socket = volume["hostPath"]["type"] == "Socket";
            let is_read = ["kubelet", "account"].iter().any(|name| volume["name"] == *name);
            assert!(!(is_socket || is_read) || mount["readOnly"] == true, "{folder}: {mount}");
        }
        assert_eq!(used.len(), pod["volumes"].as_array().unwrap().len(), "{folder}");
    }
}

#[test]
fn the_overlays_change_what_they_say() {
    let (Some(base), Some(beside)) = (built(FOLDER), built("kubernetes-beside-kube-proxy")) else { return };
    let text = |objects: &[Value]| serde_json::to_string(objects).unwrap();
    assert_eq!(text(&base).replace("--proxy=nftables", "--proxy=none"), text(&beside));
    assert_ne!(text(&base), text(&beside));

    let hook_only = built("kubernetes-hook-only").unwrap();
    let kinds: BTreeSet<&str> = hook_only.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["DaemonSet", "RuntimeClass"]));
    let (base, hook_only) = (pod(&base), pod(&hook_only));
    for key in ["hostNetwork", "serviceAccountName"] {
        assert!(hook_only.get(key).is_none(), "{key}");
    }
    assert_eq!(container(base, "install"), container(hook_only, "install"));
    // What stays has nothing of the node's.
    let stays = container(hook_only, "installed");
    assert_eq!((containers(hook_only).len(), stays.get("volumeMounts")), (2, None));
    assert_eq!(stays["securityContext"]["capabilities"], json!({"drop": ["ALL"]}));
    assert_eq!(stays["securityContext"]["runAsNonRoot"], true);
}

#[test]
fn the_agent_knows_its_flags() {
    let objects = in_folder();
    let help = Run::from(Command::new(bin("podhosts-node")).arg("--help").output().unwrap()).success();
    for flag in strings(&container(pod(&objects), "podhosts-node")["args"]) {
        let (name, value) = flag.split_once('=').unwrap();
        assert!(help.contains(&format!("{name} <")), "{flag}");
        let after = help.split_once(&format!("{name} <")).unwrap().1;
        let is_one_of_some = ["--proxy", "--overlay"].contains(&name);
        assert!(!is_one_of_some || after.contains(&format!("- {value}: ")), "{flag}");
    }
    let health = "[default: 127.0.0.1:10263]";
    assert!(help.contains(health), "{help}");
}

/// An agent that is away interrupts nothing, and nobody but the node asks it.
#[test]
fn updates_and_probes() {
    let objects = in_folder();
    let update = &only(&objects, "DaemonSet")["spec"]["updateStrategy"];
    assert_eq!((&update["type"], &update["rollingUpdate"]["maxSurge"]), (&json!("RollingUpdate"), &json!(0)));
    let agent = container(pod(&objects), "podhosts-node");
    for (probe, path) in
        [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
    {
        let asked = json!({"host": "127.0.0.1", "port": 10263, "path": path});
        assert_eq!(agent[probe]["httpGet"], asked, "{probe}");
    }
    assert_eq!(pod(&objects)["tolerations"], json!([{"operator": "Exists"}]));
    assert_eq!(pod(&objects)["priorityClassName"], "system-node-critical");
}

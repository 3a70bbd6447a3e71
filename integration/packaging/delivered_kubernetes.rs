//! The manifests: kubectl reads them, and what the DaemonSet runs does on a node what it says.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::harness::etc::Etc;
use crate::harness::{Run, bin, needs, newer_engines};

fn manifest(name: &str) -> PathBuf {
    crate::harness::repository().join("vendor-configs/kubernetes").join(name)
}

fn read(name: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(manifest(name)).unwrap()).unwrap()
}

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

#[test]
fn kubectl_knows_every_field() {
    let Some(newer) = newer_engines() else { return };
    // The only ones of its commands without a server; the first goes by the API's types, which drop what they do not
    // know, the second reads alone.
    let image = "configured=another";
    for (name, command) in
        [("daemonset.yaml", ["set", "image", image]), ("runtimeclass.yaml", ["label", "a=b", "c=d"])]
    {
        let mut kubectl = Command::new(newer.join("usr/bin/kubectl"));
        kubectl.args(command).args(["--local", "-o", "json", "-f"]).arg(manifest(name));
        let made =
            Run::from(kubectl.output().unwrap()).success().replace("another", "registry.k8s.io/pause:3.10");
        assert_known(&read(name), &serde_json::from_str(&made).unwrap(), "");
    }
    let class = read("runtimeclass.yaml");
    let keys: Vec<&String> = class.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["apiVersion", "handler", "kind", "metadata"]);
}

#[test]
fn the_daemonset_has_no_rights_that_it_does_not_need() {
    let pod = &read("daemonset.yaml")["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    for key in ["hostNetwork", "hostPID", "hostIPC", "serviceAccountName"] {
        assert!(pod.get(key).is_none(), "{key}");
    }
    let init = &pod["initContainers"][0];
    let of_files = serde_json::json!({"drop": ["ALL"], "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER"]});
    for (container, capabilities) in
        [(init, of_files), (&pod["containers"][0], serde_json::json!({"drop": ["ALL"]}))]
    {
        let rights = &container["securityContext"];
        assert_eq!(rights["allowPrivilegeEscalation"], false);
        assert_eq!(rights["readOnlyRootFilesystem"], true);
        assert_eq!(rights["capabilities"], capabilities);
    }
    // What is mounted has the same path on the node: the configuration names it.
    let volumes = pod["volumes"].as_array().unwrap();
    let mounts = init["volumeMounts"].as_array().unwrap();
    assert_eq!(volumes.len(), mounts.len());
    for mount in mounts {
        let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
        if volume.get("emptyDir").is_none() {
            assert_eq!(volume["hostPath"]["path"], mount["mountPath"]);
        }
    }
    let is_there = |path: &str| mounts.iter().find(|mount| mount["mountPath"] == path).unwrap();
    assert!(is_there("/tmp").get("readOnly").is_none());
    // The engine's socket, and nothing else of the engine's; the manifest says what that amounts to.
    let socket = podhosts::engines::containerd::SOCKET;
    assert_eq!(is_there(socket)["readOnly"], true);
    let paths: Vec<&str> = mounts.iter().map(|mount| mount["mountPath"].as_str().unwrap()).collect();
    assert_eq!(
        paths.iter().filter(|path| path.starts_with("/run/")).collect::<Vec<_>>(),
        [&"/run/podhosts", &socket]
    );
    assert!(fs::read_to_string(manifest("daemonset.yaml")).unwrap().contains("is root on the node"));
    // What stays has nothing of the node's.
    assert!(pod["containers"][0].get("volumeMounts").is_none());
    assert_eq!(read("runtimeclass.yaml")["handler"], podhosts::engines::NAME);
}

#[test]
fn what_the_daemonset_runs_installs_and_configures() {
    needs!("containerd", "busybox", "setpriv");
    let node = Etc::with("/etc/containerd/config.toml", "version = 2\n");
    let before = node.read("/etc/containerd/config.toml");
    let init = &read("daemonset.yaml")["spec"]["template"]["spec"]["initContainers"][0];
    let words = |key: &str| {
        init[key].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // A file of another group's, which root alone has no right to.
    let config = node.at("/etc/containerd/config.toml");
    std::os::unix::fs::chown(&config, Some(7), Some(8)).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o640)).unwrap();
    // As in the container: root with its capabilities, the mounts alone writable, busybox's commands.
    let enter = "mkdir -p /opt/podhosts/bin /run/podhosts /var/lib/podhosts /opt/image /opt/shell\n\
        for program in podhosts podhosts-hook podhosts-runtime podhosts-cni; do cp \"$1/$program\" /opt/image; done\n\
        busybox --install -s /opt/shell; export PATH=/opt/shell\n\
        script=$(echo \"$5\" | sed 's|/podhosts/\\$program|/opt/image/$program|')\n\
        caps=$2; shift 5\n\
        /usr/bin/setpriv --bounding-set=-all$caps --inh-caps=-all --ambient-caps=-all --no-new-privs sh -ec \"$script\" \"$@\"\n\
        /usr/bin/setpriv --bounding-set=-all$caps --inh-caps=-all --ambient-caps=-all --no-new-privs sh -ec \"$script\" \"$@\"\n\
        ls /opt/podhosts/bin /opt/cni/bin; cp /etc/containerd/config.toml /var/lib/made\n\
        /opt/podhosts/bin/podhosts unconfigure --runtime containerd";
    let programs = bin("podhosts").parent().unwrap().display().to_string();
    let command = [words("command"), words("args")].concat();
    let added = init["securityContext"]["capabilities"]["add"].as_array().unwrap();
    let added: String =
        added.iter().map(|name| format!(",+{}", name.as_str().unwrap().to_lowercase())).collect();
    let mut args = vec!["-ec", enter, "sh", &programs, &added];
    args.extend(command.iter().map(String::as_str));
    let said = Run::from(node.command("sh".as_ref(), &args).output().unwrap()).success();
    assert!(said.starts_with("changed /etc/containerd/config.toml\n"), "{said}");
    // The second time is that of the next start.
    assert!(said.contains("\nnothing to change\n"), "{said}");
    assert!(said.contains("podhosts\npodhosts-hook\npodhosts-runtime\n"), "{said}");
    let made = node.read("/var/lib/made");
    assert!(made.contains("BinaryName = \"/opt/podhosts/bin/podhosts-runtime\""), "{made}");
    assert_eq!(node.read("/etc/containerd/config.toml"), before);
    let owner = fs::metadata(&config).unwrap();
    assert_eq!((owner.uid(), owner.gid(), owner.mode() & 0o777), (7, 8, 0o640));
}

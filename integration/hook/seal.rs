//! The file in a real container, and everything a container can try against it.

use std::path::Path;

use crate::harness::{Bundle, DEFAULT_CAPABILITIES, Node, Runtime, Snapshot, managed, needs, runtimes};

const ALIASES: &str = r#"[{"ip":"127.0.0.1","hostnames":["foo.local","bar.local"]}]"#;

fn expected() -> String {
    managed("10.1.2.3\tweb\n\n# Entries added by HostAliases.\n127.0.0.1\tfoo.local\tbar.local\n")
}

fn pod(node: &Node, script: &str) -> Bundle {
    Bundle::new(node, script)
        .annotate("podhosts.io/host-aliases", ALIASES)
        .annotate("podhosts.io/pod-ips", "10.1.2.3")
        .hook(&[])
}

#[test]
fn the_container_reads_exactly_the_kubelets_file() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        let bundle = pod(&node, "cat /etc/hosts; stat -c '%a %u %g %s' /etc/hosts").write();
        let output = node.run_bundle(runtime, &bundle).success();
        assert_eq!(output, format!("{}644 0 0 {}\n", expected(), expected().len()), "{runtime:?}");
        let log = node.last_log();
        assert_eq!((log["outcome"].as_str(), log["reason"].as_str()), (Some("sealed"), Some("annotation")));
        assert_eq!(log["pod"], "default/web");
    }
}

/// Each attack, and what busybox says when it fails. `echo` shows whether the command succeeded.
const ATTACKS: [(&str, &str); 12] = [
    ("append", "echo evil >> /etc/hosts"),
    ("overwrite", "echo evil > /etc/hosts"),
    ("truncate", "truncate -s 0 /etc/hosts"),
    ("write in place", "printf x | dd of=/etc/hosts conv=notrunc"),
    ("chmod", "chmod 666 /etc/hosts"),
    ("chown", "chown 1:1 /etc/hosts"),
    ("touch", "touch /etc/hosts"),
    ("rm", "rm -f /etc/hosts"),
    ("mv away", "mv /etc/hosts /etc/hosts.old"),
    ("mv over", "echo evil > /etc/new; mv -f /etc/new /etc/hosts"),
    ("link over", "ln -f /etc/passwd /etc/hosts"),
    ("through /proc", "echo evil > /proc/self/root/etc/hosts"),
];
const MOUNT_ATTACKS: [(&str, &str); 5] = [
    ("bind over", "echo evil > /etc/new; mount --bind /etc/new /etc/hosts"),
    ("remount rw", "mount -o remount,rw /etc/hosts"),
    ("remount the bind rw", "mount -o remount,bind,rw /etc/hosts"),
    ("umount", "umount /etc/hosts"),
    ("lazy umount", "umount -l /etc/hosts"),
];

fn script(attacks: &[(&str, &str)]) -> String {
    let tries =
        attacks.iter().map(|(name, attack)| format!("if ( {attack} ) 2>/dev/null >&2; then echo {name}; fi"));
    format!("touch /etc/passwd; {}; cat /etc/hosts", tries.collect::<Vec<_>>().join("; "))
}

#[test]
fn with_default_capabilities_every_attack_fails() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        let attacks = [&ATTACKS[..], &MOUNT_ATTACKS[..]].concat();
        let bundle = pod(&node, &script(&attacks)).write();
        assert_eq!(
            node.run_bundle(runtime, &bundle).success(),
            expected(),
            "{runtime:?}: an attack succeeded"
        );
    }
}

/// Without this, an attack that is misspelt would look like one that fails.
#[test]
fn every_attack_succeeds_where_nothing_is_sealed() {
    needs!("runc", "busybox");
    let node = Node::new();
    for attack in &ATTACKS {
        let mut bundle = pod(&node, &script(&[*attack]));
        bundle.config["hooks"] = serde_json::json!({});
        let output = node.run_bundle(Runtime::Runc, &bundle.write()).stdout;
        assert_eq!(output.lines().next(), Some(attack.0), "{output}");
    }
    // These need a mount, and the capability that a container has not got by default.
    node.write("hosts", "127.0.0.1 localhost\n");
    for attack in &MOUNT_ATTACKS {
        let mut bundle = pod(&node, &script(&[*attack])).mount(&node.path("hosts"), "/etc/hosts");
        bundle.config["hooks"] = serde_json::json!({});
        bundle.capabilities(&[&DEFAULT_CAPABILITIES[..], &["CAP_SYS_ADMIN"]].concat());
        let output = node.run_bundle(Runtime::Runc, &bundle.write()).stdout;
        assert_eq!(output.lines().next(), Some(attack.0), "{output}");
    }
}

#[test]
fn a_read_only_root_is_no_obstacle() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        for image_has_the_file in [true, false] {
            let node = Node::new();
            let mut bundle = pod(&node, "cat /etc/hosts; touch /x 2>/dev/null || echo root is read-only");
            bundle.config["root"]["readonly"] = true.into();
            if !image_has_the_file {
                std::fs::remove_file(bundle.rootfs().join("etc/hosts")).unwrap();
            }
            let output = node.run_bundle(runtime, &bundle.write()).success();
            assert_eq!(output, format!("{}root is read-only\n", expected()), "{runtime:?}");
        }
    }
}

#[test]
fn a_read_only_mount_of_the_engines_is_no_obstacle() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        for read_only_root in [false, true] {
            let node = Node::new();
            node.write("x/sandboxes/sandbox-1/hosts", "127.0.0.1 the-node\n");
            let bundle =
                pod(&node, "cat /etc/hosts; grep -c ' /etc/hosts ' /proc/self/mountinfo").containerd();
            let mut bundle = bundle.mount(&node.path("x/sandboxes/sandbox-1/hosts"), "/etc/hosts");
            bundle.config["root"]["readonly"] = read_only_root.into();
            let mounts = bundle.config["mounts"].as_array_mut().unwrap();
            mounts.last_mut().unwrap()["options"] = serde_json::json!(["rbind", "rprivate", "ro"]);
            let output = node.run_bundle(runtime, &bundle.write()).success();
            assert_eq!(output, format!("{}1\n", expected()), "{runtime:?}");
        }
    }
}

#[test]
fn nothing_on_the_node_changes() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        let bundle = pod(&node, &script(&ATTACKS));
        let dir = bundle.write();
        // The node's /etc as far as it differs from the machine's, the machine's own file, the image's.
        let watched = [&node.path("etc"), Path::new("/etc/hosts"), &bundle.rootfs().join("etc/hosts")];
        let before = Snapshot::of(&watched);
        // That no seal shows in the node's mount namespace is checked for every command.
        node.run_bundle(runtime, &dir).success();
        before.assert_same(&Snapshot::of(&watched));
    }
}

#[test]
fn a_privileged_container_changes_its_own_copy_and_no_other() {
    needs!("runc", "busybox");
    let node = Node::new();
    let mut privileged =
        pod(&node, "mount -o remount,rw /etc/hosts && echo evil >> /etc/hosts; cat /etc/hosts");
    privileged.capabilities(&[&DEFAULT_CAPABILITIES[..], &["CAP_SYS_ADMIN"]].concat());
    let own = node.run_bundle(Runtime::Runc, &privileged.write()).success();
    assert!(own.ends_with("evil\n"), "docs/limits.md says that this is possible: {own}");
    // Its sibling has a file of its own.
    let bundle = pod(&node, "cat /etc/hosts").write();
    assert_eq!(node.run_bundle(Runtime::Runc, &bundle).success(), expected());
}

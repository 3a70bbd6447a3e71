//! What a container can do to the seal itself: unmount it, unlink what it is mounted on, carry it to the node.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::harness::{Bundle, DEFAULT_CAPABILITIES, Node, Runtime, bin, managed, needs, runtimes};

const CLOSED: &str = "on-error = \"closed\"";
const OPEN: &str = "on-error = \"open\"";
const IMAGE_FILE: &str = "127.0.0.1 image\n";

fn kubelet_text() -> String {
    managed("10.0.0.9\tweb\n\n# Entries added by HostAliases.\n10.1.1.1\tdb\n")
}

/// The kubelet's file of the pod, writable for everybody, so that nothing but the seal protects it.
fn kubelet_file(node: &Node) -> PathBuf {
    node.write("kubelet/pods/uid-1/etc-hosts", &kubelet_text());
    let file = node.path("kubelet/pods/uid-1/etc-hosts");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    file
}

fn pod(node: &Node, script: &str) -> Bundle {
    Bundle::new(node, script).containerd().annotate("podhosts.io/pod-ips", "10.0.0.9").hook(&[])
}

fn may_mount(bundle: &mut Bundle) {
    bundle.capabilities(&[&DEFAULT_CAPABILITIES[..], &["CAP_SYS_ADMIN"]].concat());
}

/// Adds a bind mount with these options.
fn mount_with(mut bundle: Bundle, source: &Path, destination: &str, options: &[&str]) -> Bundle {
    bundle = bundle.mount(source, destination);
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.last_mut().unwrap()["options"] = options.into();
    bundle
}

/// A hooks directory leaves the kubelet's mount in the bundle. (The class of CVE-2020-8557, a container that writes
/// to the kubelet's file.)
#[test]
fn unmounting_the_seal_in_a_user_namespace_uncovers_nothing_of_the_nodes() {
    needs!("runc", "crun", "busybox");
    let script =
        "umount /etc/hosts && cat /etc/hosts; echo evil >> /etc/hosts; umount /etc/hosts 2>/dev/null; true";
    for runtime in runtimes() {
        for policy in [CLOSED, OPEN] {
            for mode in ["rw", "ro"] {
                for read_only_root in [false, true] {
                    let node = Node::with_config(policy);
                    let file = kubelet_file(&node);
                    let options = ["rbind", "rprivate", mode];
                    let bundle = mount_with(pod(&node, script), &file, "/etc/hosts", &options);
                    let mut bundle = bundle.user_namespace();
                    may_mount(&mut bundle);
                    bundle.config["root"]["readonly"] = read_only_root.into();
                    let run = node.run_bundle(runtime, &bundle.write());
                    let what =
                        format!("{runtime:?}, {policy}, {mode}, read-only root: {read_only_root}: {run:?}");
                    assert_eq!(run.stdout, IMAGE_FILE, "{what}");
                    assert_eq!(node.last_log()["reason"], "kubelet", "{what}");
                    assert_eq!(fs::read_to_string(&file).unwrap(), kubelet_text(), "{what}");
                }
            }
        }
    }
}

/// A runtime follows the image's link, so the kubelet's file is at its end, and the seal on the link.
#[test]
fn an_image_with_a_link_at_etc_hosts_does_not_show_the_kubelets_file_at_its_end() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        for policy in [CLOSED, OPEN] {
            let node = Node::with_config(policy);
            let file = kubelet_file(&node);
            let bundle = pod(&node, "cat /etc/hosts; cat /tmp/hosts; echo evil >> /tmp/hosts; true");
            fs::write(bundle.rootfs().join("tmp/hosts"), "the image's\n").unwrap();
            fs::remove_file(bundle.rootfs().join("etc/hosts")).unwrap();
            symlink("../tmp/hosts", bundle.rootfs().join("etc/hosts")).unwrap();
            let run = node.run_bundle(runtime, &bundle.mount(&file, "/etc/hosts").write());
            assert_eq!(run.stdout, format!("{}the image's\n", kubelet_text()), "{runtime:?}: {run:?}");
            assert_eq!(fs::read_to_string(&file).unwrap(), kubelet_text());
        }
    }
}

/// Where the image's link led the runtime, a volume is on top of the engine's mount now.
#[test]
fn an_image_and_a_volume_that_hide_the_kubelets_file_under_a_mount() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        for covering in ["/a/b/c", "/a/b/c/hosts"] {
            let node = Node::new();
            let file = kubelet_file(&node);
            node.write("volume/a/b/c/hosts", "");
            let script = format!("umount {covering}; echo evil >> /a/b/c/hosts; true");
            let bundle = pod(&node, &script).mount(&file, "/etc/hosts");
            let bundle = bundle.mount(&node.path("volume").join(&covering[1..]), covering);
            fs::create_dir_all(bundle.rootfs().join("a/b/c")).unwrap();
            fs::write(bundle.rootfs().join("a/b/c/hosts"), "").unwrap();
            fs::remove_file(bundle.rootfs().join("etc/hosts")).unwrap();
            symlink("/a/b/c/hosts", bundle.rootfs().join("etc/hosts")).unwrap();
            let mut bundle = bundle.user_namespace();
            may_mount(&mut bundle);
            let run = node.run_bundle(runtime, &bundle.write());
            assert_eq!(
                fs::read_to_string(&file).unwrap(),
                kubelet_text(),
                "{runtime:?}, {covering}: {run:?}"
            );
            let reason = node.last_log()["reason"].to_string();
            let expected = "cannot seal /etc/hosts: 0 of the engine's mounts are there, expected 1";
            assert!(!run.ok && reason.contains(expected), "{runtime:?}, {covering}: {reason}");
        }
    }
}

/// Linux detaches what is mounted on a file that is unlinked in another mount namespace.
#[test]
fn a_sibling_unlinks_the_mount_point_in_a_volume_at_etc() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        let volume = node.path("volume");
        fs::create_dir(&volume).unwrap();
        fs::write(volume.join("hosts"), "").unwrap();
        // A mount that is not ours, to see that the attack is real.
        node.write("plain", "127.0.0.1 plain\n");
        let mut victim = pod(&node, "sleep 1000").mount(&volume, "/etc");
        victim = victim.mount(&node.path("plain"), "/etc/hosts");
        victim.config["hooks"] = serde_json::json!({});
        let victim = node.start(runtime, &victim.write(), "victim");
        assert_eq!(victim.exec("cat /etc/hosts").success(), "127.0.0.1 plain\n");
        let mut sibling = pod(&node, "rm /shared/hosts; echo evil > /shared/hosts").mount(&volume, "/shared");
        sibling.config["hooks"] = serde_json::json!({});
        node.run_bundle(runtime, &sibling.write()).success();
        assert_eq!(victim.exec("cat /etc/hosts").success(), "evil\n", "{runtime:?}: the kernel has changed");

        // So a container with such a volume does not start, wherever the image's links lead.
        for (link, destination) in [(None, "/etc"), (Some("usr/etc"), "/usr/etc"), (Some("/usr/etc"), "/usr")]
        {
            let bundle = pod(&node, "cat /etc/hosts").mount(&volume, destination);
            if let Some(link) = link {
                fs::remove_dir_all(bundle.rootfs().join("etc")).unwrap();
                symlink(link, bundle.rootfs().join("etc")).unwrap();
            }
            fs::create_dir_all(volume.join("etc")).unwrap();
            fs::write(volume.join("etc/hosts"), "").unwrap();
            let run = node.run_bundle(runtime, &bundle.write());
            let reason = node.last_log()["reason"].to_string();
            assert!(
                !run.ok && reason.contains("/etc is in a volume"),
                "{runtime:?}, {destination}: {run:?} {reason}"
            );
        }
    }
}

#[test]
fn a_volume_at_etc_is_reported_as_not_sealed_where_the_node_says_so() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        for (config, outcome) in [("etc-volume = \"skip\"", "skipped"), (OPEN, "open")] {
            let node = Node::with_config(config);
            node.write("volume/hosts", "the volume's\n");
            let bundle = pod(&node, "cat /etc/hosts").mount(&node.path("volume"), "/etc");
            assert_eq!(node.run_bundle(runtime, &bundle.write()).success(), "the volume's\n", "{runtime:?}");
            assert_eq!(node.last_log()["outcome"], outcome, "{runtime:?}");
        }
    }
}

/// The same unlink out of a namespace of the container's own: there the seal is not mounted any more, and the working
/// directory still is the container's /etc.
const PIVOT: &str = "
    cp /bin/busybox /dev/shm/busybox; cd /etc
    unshare -U -r -m sh -c '
        mount -t tmpfs tmpfs /tmp && mkdir /tmp/old && cp /dev/shm/busybox /tmp/busybox &&
        pivot_root /tmp /tmp/old && /busybox umount -l /old && /busybox rm hosts && echo unlinked'
    echo evil > /etc/hosts; cat /etc/hosts";

/// Nothing can prevent this where the root file system is writable: docs/limits.md says so. Engines' default seccomp
/// profile does, as it allows these calls with CAP_SYS_ADMIN only.
#[test]
fn unlinking_the_mount_point_from_a_nested_namespace_needs_calls_that_seccomp_refuses() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        let run = node.run_bundle(runtime, &pod(&node, PIVOT).write());
        assert_eq!(
            run.stdout, "unlinked\nevil\n",
            "{runtime:?}: docs/limits.md says that this is possible: {run:?}"
        );
        let mut read_only = pod(&node, PIVOT);
        read_only.config["root"]["readonly"] = true.into();
        let run = node.run_bundle(runtime, &read_only.write());
        assert_eq!(run.stdout, managed("10.0.0.9\tweb\n"), "{runtime:?}: {run:?}");
        let mut filtered = pod(&node, PIVOT);
        let names = ["mount", "pivot_root", "setns", "umount", "umount2", "unshare"];
        filtered.config["linux"]["seccomp"] = serde_json::json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": names, "action": "SCMP_ACT_ERRNO"}],
        });
        let run = node.run_bundle(runtime, &filtered.write());
        assert_eq!(run.stdout, managed("10.0.0.9\tweb\n"), "{runtime:?}: {run:?}");
    }
}

/// As Kubernetes' mountPropagation: Bidirectional has it. What is mounted on a shared mount appears at its peers.
#[test]
fn a_shared_root_or_volume_does_not_carry_the_seal_to_the_node() {
    needs!("runc", "crun", "busybox");
    // The harness refuses any command that leaves a seal in the node's mount namespace.
    let script = "mount --make-rshared / && mount --bind \"$4\" \"$4\" && mount --bind \"$5\" \"$5\" &&
        \"$1\" --root \"$2\" run -b \"$3\" shared; cat /proc/self/mountinfo >&2; cat \"$5/hosts\"";
    for runtime in runtimes() {
        for propagation in ["shared", "rshared"] {
            for volume_at in ["/etc", "/volume"] {
                let node = Node::new();
                node.write("volume/hosts", "the node's\n");
                let volume = node.path("volume");
                let bundle = pod(&node, "cat /etc/hosts");
                let mut bundle = mount_with(bundle, &volume, volume_at, &["rbind", "rshared", "rw"]);
                bundle.config["linux"]["rootfsPropagation"] = propagation.into();
                let (root, dir) = (bundle.rootfs(), bundle.write());
                let paths = [&dir, &root, &volume].map(|path| path.to_str().unwrap());
                let state = node.root();
                let args = [&[runtime.name(), &state], &paths[..]].concat();
                let run = node.shell(runtime, script, &args);
                let what = format!("{runtime:?}, {propagation}, {volume_at}: {run:?}");
                assert!(run.ok, "{what}");
                let sealed = if volume_at == "/etc" { String::new() } else { managed("10.0.0.9\tweb\n") };
                assert_eq!(run.stdout, format!("{sealed}the node's\n"), "{what}");
            }
        }
    }
}

/// runc and crun make the root file system private. Another hook, or another runtime, need not.
#[test]
fn a_root_that_somebody_has_shared_has_one_seal_at_its_place() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        let mut bundle = pod(&node, "cat /etc/hosts; grep -c podhosts: /proc/self/mountinfo");
        // A peer of the root, in the same namespace so that the container can see it.
        let root = bundle.rootfs().display().to_string();
        let share = format!(
            "pid=$(sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p'); exec nsenter -t $pid -m sh -c '
             mount --make-shared {root} && mount --bind {root} {root}/tmp'"
        );
        let other = serde_json::json!({"path": "/bin/sh", "args": ["sh", "-c", share]});
        let hooks = bundle.config["hooks"]["createRuntime"].as_array_mut().unwrap();
        hooks.insert(0, other);
        let output = node.run_bundle(runtime, &bundle.write()).success();
        assert_eq!(output, format!("{}1\n", managed("10.0.0.9\tweb\n")), "{runtime:?}");
    }
}

/// Where the root is no mount of its own, the mount that it is in counts: here the node's root, which is shared.
#[test]
fn a_root_in_a_shared_mount_does_not_carry_the_seal_to_the_node() {
    needs!("busybox");
    let node = Node::new();
    let dir = pod(&node, "true").write();
    let script = "mount --make-rshared / && cd \"$2\" || exit 1
        unshare -m --propagation unchanged sh -c 'mount -t proc proc rootfs/proc && echo >ready; exec sleep 60' &
        for _ in $(seq 600); do [ -e ready ] && break; sleep 0.05; done
        echo '{\"ociVersion\": \"1.0.2\", \"id\": \"c\", \"pid\": '$!', \"bundle\": \"'$PWD'\", \"status\": \"creating\"}' | \"$1\"
        for of in $! self; do grep -c podhosts: /proc/$of/mountinfo; done
        kill $!";
    let hook = bin("podhosts-hook");
    let run = node.run("sh", &["-c", script, "sh", hook.to_str().unwrap(), dir.to_str().unwrap()]);
    assert_eq!(run.stdout, "1\n0\n", "{run:?}");
}

/// Anything on the node that renames all the time makes the kernel give up resolving `..` inside a root.
#[test]
fn a_container_that_renames_in_a_loop_keeps_no_other_from_starting() {
    use std::sync::atomic::{AtomicBool, Ordering};
    needs!("runc", "busybox");
    let node = Node::new();
    let (a, b) = (node.path("a"), node.path("b"));
    fs::write(&a, "").unwrap();
    let is_over = AtomicBool::new(false);
    let bundle = pod(&node, "cat /etc/hosts");
    fs::create_dir_all(bundle.rootfs().join("usr/share/etc")).unwrap();
    fs::rename(bundle.rootfs().join("etc/hosts"), bundle.rootfs().join("usr/share/etc/hosts")).unwrap();
    fs::remove_dir(bundle.rootfs().join("etc")).unwrap();
    // More of `..` make it more probable.
    symlink("usr/share/../../".repeat(15) + "usr/share/etc", bundle.rootfs().join("etc")).unwrap();
    let dir = bundle.write();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                fs::rename(&a, &b).unwrap();
                fs::rename(&b, &a).unwrap();
            }
        });
        let failed: Vec<String> = (0..30)
            .map(|_| node.run_bundle(Runtime::Runc, &dir))
            .filter(|run| run.stdout != managed("10.0.0.9\tweb\n"))
            .map(|run| run.stderr)
            .collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(failed.is_empty(), "{failed:?}");
    });
}

/// Memory that a pod makes the node pin is the pod's. (The class of CVE-2020-8557.)
#[test]
fn a_hosts_file_as_large_as_it_may_be_is_the_containers_memory() {
    needs!("runc", "crun", "busybox");
    let aliases: Vec<_> = (0..20_000)
        .map(
            |n| serde_json::json!({"ip": "10.0.0.1", "hostnames": [format!("host-{n}.some-domain.example")]}),
        )
        .collect();
    for runtime in [Runtime::Runc, Runtime::Crun] {
        for (count, charged) in [(20_000, true), (100, false)] {
            let node = Node::new();
            let aliases = serde_json::to_string(&aliases[..count]).unwrap();
            let bundle = pod(&node, "sleep 1000").annotate("podhosts.io/host-aliases", &aliases);
            let container = node.start(runtime, &bundle.write(), "large");
            let size = node.last_log()["bytes"].as_u64().unwrap();
            let shmem = shared_memory_of_cgroup(container.pid());
            let what = format!("{runtime:?}: {shmem} of {size} bytes");
            assert_eq!(shmem >= size, charged, "{what}");
            // Larger than the boundary, and within the limit of all.
            assert!(!charged || size > 700_000, "{what}");
        }
    }
}

/// Memory in tmpfs that is charged to the cgroup of the process `pid`, in bytes.
fn shared_memory_of_cgroup(pid: i64) -> u64 {
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let (dir, key) = match cgroups.lines().find_map(|line| line.split_once(":memory:")) {
        Some((_, path)) => (format!("/sys/fs/cgroup/memory{path}"), "total_shmem "),
        None => (format!("/sys/fs/cgroup{}", cgroups.trim().strip_prefix("0::").unwrap()), "shmem "),
    };
    let stat = fs::read_to_string(format!("{dir}/memory.stat")).unwrap();
    stat.lines().find_map(|line| line.strip_prefix(key)).unwrap().parse().unwrap()
}

//! What the hook asks of the kernel, seen with strace; and kernels that refuse some of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{Bundle, Node, Runtime, bin, is_before, managed, needs};

/// A hook that is ours under strace with `options`; the trace goes to `trace` in the node's directory.
fn traced(node: &Node, options: &str) -> PathBuf {
    let (path, trace, hook) = (node.path("traced-hook"), node.path("trace"), bin("podhosts-hook"));
    let script = format!("#!/bin/sh\nexec strace -f -o {} {options} {}\n", trace.display(), hook.display());
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn pod(node: &Node, script: &str) -> Bundle {
    Bundle::new(node, script).containerd().annotate("podhosts.io/pod-ips", "10.0.0.9")
}

fn trace(node: &Node) -> String {
    fs::read_to_string(node.path("trace")).unwrap()
}

#[test]
fn before_linux_6_15_a_detached_mount_cannot_be_cloned() {
    needs!("runc", "crun", "busybox", "strace");
    for runtime in [Runtime::Runc, Runtime::Crun] {
        for in_user_namespace in [false, true] {
            let node = Node::new();
            let hook = traced(&node, "-e inject=open_tree:error=EINVAL:when=1");
            let script =
                "cat /etc/hosts; echo evil >> /etc/hosts; umount /etc/hosts; grep -c podhosts: /proc/mounts";
            let mut bundle = pod(&node, &format!("{script}; true")).hook_program(&hook, &[]);
            if in_user_namespace {
                bundle = bundle.user_namespace();
            }
            let output = node.run_bundle(runtime, &bundle.write()).success();
            assert_eq!(output, format!("{}1\n", managed("10.0.0.9\tweb\n")), "{runtime:?}");
            assert!(trace(&node).contains("unshare(CLONE_NEWNS)"), "the fallback was not taken");
        }
    }
}

#[test]
fn nothing_shows_on_a_node_whose_root_is_a_shared_mount() {
    needs!("runc", "busybox", "strace");
    let node = Node::new();
    let hook = traced(&node, "-e inject=open_tree:error=EINVAL:when=1");
    let mut bundle = pod(&node, "cat /etc/hosts").hook_program(&hook, &[]);
    // What a pod with a bidirectional volume gets.
    bundle.config["linux"]["rootfsPropagation"] = "rshared".into();
    let bundle = bundle.write();
    // As systemd has it: what is mounted in a copy of the namespace shows in the original, too.
    let script = "mount --make-rshared / && runc --root \"$1\" run -b \"$2\" shared && grep podhosts: /proc/self/mountinfo; true";
    let args = ["-c", script, "sh", &node.root(), bundle.to_str().unwrap()];
    assert_eq!(node.run("sh", &args).success(), managed("10.0.0.9\tweb\n"));
}

#[test]
fn the_kubelets_file_is_read_again_while_it_is_written() {
    needs!("runc", "busybox", "strace");
    let node = Node::new();
    let root = node.path("kubelet");
    node.configure(&format!("kubelet-root = {root:?}"));
    let file = root.join("pods/uid-1/etc-hosts");
    let content = managed("10.0.0.9\tweb\n\n# Entries added by HostAliases.\n10.1.1.1\tdb\n");
    node.write("kubelet/pods/uid-1/etc-hosts", &content);
    // The first look finds nothing.
    let hook = traced(&node, &format!("-P {} -e inject=read:retval=0:when=1", file.display()));
    let bundle = pod(&node, "cat /etc/hosts").mount(&file, "/etc/hosts").hook_program(&hook, &[]).write();
    assert_eq!(node.run_bundle(Runtime::Runc, &bundle).success(), content);
    let looks = trace(&node).matches("openat(").count();
    assert_eq!(looks, 3, "one that was empty, and a pair that is the same: {}", trace(&node));
}

#[test]
fn before_linux_6_3_tmpfs_cannot_be_mapped() {
    needs!("runc", "busybox", "strace");
    let node = Node::new();
    let hook = traced(&node, "-e inject=mount_setattr:error=EINVAL:when=1");
    let bundle = pod(&node, "cat /etc/hosts; stat -c %u /etc/hosts; echo evil >> /etc/hosts; true");
    let bundle = bundle.hook_program(&hook, &[]).user_namespace().write();
    let output = node.run_bundle(Runtime::Runc, &bundle).success();
    assert_eq!(output, format!("{}65534\n", managed("10.0.0.9\tweb\n")));
}

/// The call that attaches the seal: before Linux 6.15 there is one before it, in the hook's own mount namespace.
fn attaching() -> &'static str {
    if is_before(6, 15) { "when=2" } else { "when=1" }
}

/// Every call that can fail while the container is being sealed.
const STEPS: [(&str, &str); 12] = [
    ("pidfd_open", "cannot pin pid"),
    ("fsopen", "cannot make a tmpfs"),
    ("fsmount", "cannot make a tmpfs"),
    ("fspick", "cannot make the tmpfs read-only"),
    ("open_tree", "cannot clone the hosts file"),
    ("mount_setattr", "cannot make the sealed mount read-only"),
    ("mount_setattr:when=2", "cannot stop the propagation of mounts"),
    ("statx:when=4", "cannot stat /etc: "),
    ("setns", "cannot join the network namespace"),
    ("setns:when=2", "cannot join the mount namespace"),
    ("move_mount", "cannot attach the sealed file"),
    ("capset", "cannot drop capabilities"),
];

#[test]
fn a_kernel_that_refuses_a_step_is_one_error_and_no_trace() {
    needs!("runc", "busybox", "strace");
    for (call, expected) in STEPS {
        let node = Node::new();
        let (call, when) = call.split_once(':').unwrap_or((call, "when=1+"));
        let when = if call == "move_mount" { attaching() } else { when };
        let hook = traced(&node, &format!("-e inject={call}:error=EPERM:{when}"));
        assert_refused(&node, &hook, call, expected);
    }
}

fn assert_refused(node: &Node, hook: &Path, call: &str, expected: &str) {
    let bundle = pod(node, "cat /etc/hosts").hook_program(hook, &[]);
    fs::remove_dir_all(bundle.rootfs().join("etc")).unwrap();
    let run = node.run_bundle(Runtime::Runc, &bundle.write());
    assert!(run.stdout.is_empty(), "{call}: the container ran");
    assert!(run.stderr.contains(&format!("podhosts-hook: {expected}")), "{call}: {}", run.stderr);
    assert!(!bundle.rootfs().join("etc").exists(), "{call}: what was created is still there");
}

#[test]
fn before_linux_6_15_a_refused_step_is_one_error_and_no_trace() {
    needs!("runc", "busybox", "strace");
    for (call, expected) in [
        ("unshare", "cannot make a mount namespace: "),
        ("mount", "cannot make the mount namespace private: "),
        ("move_mount", "cannot attach the tmpfs in a private mount namespace: "),
    ] {
        let node = Node::new();
        let refused = format!("-e inject=open_tree:error=EINVAL:when=1 -e inject={call}:error=EPERM:when=1");
        assert_refused(&node, &traced(&node, &refused), call, expected);
    }
}

#[test]
fn a_seal_that_cannot_be_verified_is_taken_away() {
    needs!("runc", "busybox", "strace");
    let node = Node::with_config("on-error = \"open\"");
    // The last openat2 looks at /etc/hosts as a process in the container would: root, root again, proc, etc, hosts.
    let hook = traced(&node, "-e inject=openat2:error=EPERM:when=5");
    let bundle = pod(&node, "grep podhosts: /proc/mounts; ls /etc").hook_program(&hook, &[]);
    fs::remove_file(bundle.rootfs().join("etc/hosts")).unwrap();
    let output = node.run_bundle(Runtime::Runc, &bundle.write()).success();
    assert_eq!(output, "", "a seal that nobody saw, or an empty file that was made for it");
    assert_eq!(node.last_log()["outcome"], "open");
    assert!(node.last_log()["reason"].as_str().unwrap().starts_with("cannot open /etc/hosts: "));
    assert!(trace(&node).contains("move_mount("), "it was not even attached");
}

#[test]
fn the_mount_label_reaches_the_tmpfs() {
    needs!("busybox", "runc", "strace");
    let node = Node::new();
    // runc refuses a label without SELinux, so the hook gets another configuration than runc.
    let hook = traced(&node, "-e trace=fsconfig -s 200");
    let other = node.path("labelled.json");
    let mut bundle = pod(&node, "true").hook_program(&hook, &[]);
    let label = "system_u:object_r:container_file_t:s0:c1,c2";
    bundle.config["linux"]["mountLabel"] = label.into();
    fs::write(&other, bundle.config.to_string()).unwrap();
    bundle.config["linux"]["mountLabel"] = json!(null);
    let script = fs::read_to_string(&hook).unwrap();
    fs::write(&hook, format!("{} --config-json {}\n", script.trim_end(), other.display())).unwrap();
    let run = node.run_bundle(Runtime::Runc, &bundle.write());
    assert!(
        trace(&node).contains(&format!("FSCONFIG_SET_STRING, \"context\", \"{label}\"")),
        "{}",
        trace(&node)
    );
    let selinux = fs::read_to_string("/proc/filesystems").unwrap().contains("selinuxfs");
    if !selinux {
        assert!(run.stderr.contains("cannot label the tmpfs with linux.mountLabel: "), "{run:?}");
    }
}

#[test]
fn capabilities_descriptors_and_programs() {
    needs!("runc", "busybox", "strace");
    let node = Node::new();
    let hook = traced(&node, "-v");
    let output =
        node.run_bundle(Runtime::Runc, &pod(&node, "cat /etc/hosts").hook_program(&hook, &[]).write());
    assert_eq!(output.success(), managed("10.0.0.9\tweb\n"));
    let trace = trace(&node);
    let calls: Vec<&str> =
        trace.lines().filter_map(|line| line.split_once(' ').map(|(_, call)| call.trim())).collect();
    let first = |name: &str| calls.iter().position(|call| call.starts_with(name)).expect(name);
    // Nothing is executed, forked or threaded: one execve, strace's own.
    assert_eq!(calls.iter().filter(|call| call.starts_with("exec")).count(), 1);
    assert!(
        !calls
            .iter()
            .any(|call| call.starts_with("clone") || call.starts_with("fork") || call.starts_with("vfork"))
    );
    // Capabilities are gone before the first look at the container.
    let dropped = calls.iter().rposition(|call| call.starts_with("capset")).expect("capset");
    let state = calls.iter().position(|call| call.starts_with("read(0,")).unwrap();
    assert!(dropped < state, "{trace}");
    for set in ["effective=", "permitted="] {
        let left = calls[dropped].split(set).nth(1).unwrap().split(", ").next().unwrap();
        assert!(left.contains("CAP_SYS_ADMIN") && !left.contains("CAP_SYS_MODULE"), "{set}{left}");
    }
    // Namespaces are opened and the process is known to live before the first of them is entered.
    let opened = calls.iter().rposition(|call| call.contains("\"ns/")).unwrap();
    assert!(first("pidfd_open") < opened && opened < first("setns") && first("ppoll") < first("setns"));
    // Every descriptor is closed on exec.
    for name in ["open", "pidfd_open", "fsopen", "fsmount", "fspick", "open_tree", "socket"] {
        let ours =
            |call: &&&str| call.starts_with(&format!("{name}(")) || call.starts_with(&format!("{name}at"));
        for call in calls.iter().filter(ours) {
            assert!(call.contains("CLOEXEC") || name == "pidfd_open", "{call}");
        }
    }
    // The node's own hosts file is not even opened, and nothing is opened for writing but the log and the seal.
    assert!(!calls.iter().any(|call| call.contains("\"/etc/hosts\"")), "{trace}");
    let written: Vec<&&str> =
        calls.iter().filter(|call| call.contains("O_WRONLY") || call.contains("O_RDWR")).collect();
    assert_eq!(written.len(), 2, "{written:?}");
}

#[test]
fn the_engines_mounts_come_back_where_a_container_may_start_without_a_seal() {
    needs!("runc", "crun", "busybox", "strace");
    for runtime in [Runtime::Runc, Runtime::Crun] {
        for in_user_namespace in [false, true] {
            let node = Node::with_config("on-error = \"open\"");
            node.write("kubelet/pods/uid-1/etc-hosts", &managed("10.0.0.9\tweb\n"));
            node.write("x/sandboxes/sandbox-1/hosts", "127.0.0.1 the-node\n");
            let hook = traced(&node, &format!("-e inject=move_mount:error=EPERM:{}", attaching()));
            let script = "cat /etc/hosts; grep -c ' /etc/hosts ' /proc/self/mountinfo; true";
            let mut bundle = pod(&node, script).hook_program(&hook, &[]);
            for source in ["kubelet/pods/uid-1/etc-hosts", "x/sandboxes/sandbox-1/hosts"] {
                bundle = bundle.mount(&node.path(source), "/etc/hosts");
            }
            if in_user_namespace {
                bundle = bundle.user_namespace();
            }
            let output = node.run_bundle(runtime, &bundle.write()).success();
            assert_eq!(output, "127.0.0.1 the-node\n2\n", "{runtime:?}");
            assert_eq!(node.last_log()["outcome"], "open");
            // Before Linux 6.15 the hook also takes the tmpfs out of its own mount namespace.
            let unmounts = if is_before(6, 15) { 3 } else { 2 };
            assert_eq!(trace(&node).matches("umount2(").count(), unmounts, "{}", trace(&node));
        }
    }
}

#[test]
fn the_engines_mount_does_not_stay_beneath_a_seal() {
    needs!("runc", "busybox", "strace");
    let node = Node::new();
    node.write("x/sandboxes/sandbox-1/hosts", "127.0.0.1 the-node\n");
    let hook = traced(&node, "-e inject=umount2:error=EPERM");
    let bundle = pod(&node, "cat /etc/hosts").hook_program(&hook, &[]);
    let bundle = bundle.mount(&node.path("x/sandboxes/sandbox-1/hosts"), "/etc/hosts").write();
    let error = node.run_bundle(Runtime::Runc, &bundle).failure();
    assert!(error.contains("cannot detach the engine's mount at /etc/hosts: "), "{error}");
}

#[test]
fn a_path_that_cannot_be_resolved_now_is_tried_again_and_not_for_ever() {
    needs!("runc", "busybox", "strace");
    // The first two look at the root file system.
    for (when, sealed) in [("3..99", true), ("3+", false)] {
        let node = Node::new();
        let hook = traced(&node, &format!("-e inject=openat2:error=EAGAIN:when={when}"));
        let bundle = pod(&node, "cat /etc/hosts").hook_program(&hook, &[]).write();
        let run = node.run_bundle(Runtime::Runc, &bundle);
        assert_eq!(run.ok, sealed, "{run:?}");
    }
}

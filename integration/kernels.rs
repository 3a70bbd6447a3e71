//! What is promised of kernels: `make kernels` runs these, and the tests of what depends on a kernel, on real ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Bundle, Node, Runtime, bin, is_before, needs, skip};

/// A command line that has a newer kernel refuse what came with Linux 5.12.
fn on_an_old_kernel(program: &str) -> String {
    if is_before(5, 12) {
        return program.to_owned();
    }
    format!(
        "strace -f -qq -o /dev/null -e trace=mount_setattr -e inject=mount_setattr:error=ENOSYS {program}"
    )
}

const TOO_OLD: &str = "does not know this call, expected Linux 5.12 or later";

#[test]
fn before_linux_5_12_the_hook_says_so_and_touches_nothing() {
    needs!("runc", "busybox", "strace");
    let node = Node::new();
    let hook = node.path("hook");
    let program = on_an_old_kernel(bin("podhosts-hook").to_str().unwrap());
    fs::write(&hook, format!("#!/bin/sh\nexec {program}\n")).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let bundle =
        Bundle::new(&node, "cat /etc/hosts").containerd().annotate("podhosts.io/pod-ips", "10.0.0.9");
    let bundle = bundle.hook_program(&hook, &[]);
    fs::remove_file(bundle.rootfs().join("etc/hosts")).unwrap();
    let run = node.run_bundle(Runtime::Runc, &bundle.write());
    assert!(!run.ok && run.stdout.is_empty(), "{run:?}");
    let lines: Vec<&str> = run.stderr.lines().filter(|line| line.contains(TOO_OLD)).collect();
    assert!(lines.iter().any(|line| line.contains("podhosts-hook: cannot ")), "{}", run.stderr);
    assert!(!bundle.rootfs().join("etc/hosts").exists(), "a mount point was made");
    assert_eq!(node.last_log()["outcome"], "failed");
}

/// What `podhosts doctor` finds out about the kernel.
fn doctor(program: &str) -> serde_json::Value {
    let run = Node::new().run("sh", &["-c", &format!("{program} doctor --no-self-test --json")]);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let mut checks = report["checks"].as_array().unwrap().iter();
    checks.find(|check| check["check"] == "kernel").unwrap().clone()
}

#[test]
fn before_linux_5_12_doctor_says_so() {
    needs!("busybox", "strace");
    let kernel = doctor(&on_an_old_kernel(bin("podhosts").to_str().unwrap()));
    assert_eq!(kernel["status"], "error");
    assert!(kernel["message"].as_str().unwrap().contains(TOO_OLD), "{kernel}");
    assert!(kernel["remedy"].as_str().unwrap().contains("Linux 5.12 or later"), "{kernel}");
}

/// Doctor goes by the release, the hook by what the kernel answers: they have to agree on every kernel that is tried.
#[test]
fn doctor_names_the_differences_that_the_hook_meets() {
    needs!("runc", "busybox", "strace");
    if is_before(5, 12) {
        skip("no container starts with podhosts before Linux 5.12");
        return;
    }
    let node = Node::new();
    let (hook, trace) = (node.path("hook"), node.path("trace"));
    let program = bin("podhosts-hook");
    let script = format!("#!/bin/sh\nexec strace -f -o {} {}\n", trace.display(), program.display());
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let bundle = Bundle::new(&node, "stat -c %u /etc/hosts").containerd();
    let bundle = bundle.annotate("podhosts.io/pod-ips", "10.0.0.9").hook_program(&hook, &[]);
    let owner = node.run_bundle(Runtime::Runc, &bundle.user_namespace().write()).success();
    let trace = fs::read_to_string(trace).unwrap();
    let message = doctor(bin("podhosts").to_str().unwrap())["message"].to_string();
    assert_eq!(message.contains("before 6.3 "), owner == "65534\n", "{message}; {owner}");
    assert_eq!(
        message.contains("before 6.15 "),
        trace.contains("unshare(CLONE_NEWNS)"),
        "{message}; {trace}"
    );
}

//! The newest runc and crun. Most tests of the hook run with them, too (`harness::runtimes`).

use std::fs;

use crate::harness::{Bundle, Node, bin, managed, needs, newer_engines, runtimes};

fn pod(node: &Node, script: &str) -> Bundle {
    Bundle::new(node, script).containerd().annotate("podhosts.io/pod-ips", "10.0.0.9")
}

#[test]
fn they_are_newer() {
    needs!("runc", "crun");
    let node = Node::new();
    let mut found: Vec<String> = Vec::new();
    for runtime in runtimes() {
        let version = node.call(runtime, &["--version"]).success();
        let version = version.lines().next().unwrap().to_owned();
        assert!(version.starts_with(runtime.name()) && !found.contains(&version), "{version} {found:?}");
        found.push(version);
    }
}

#[test]
fn create_start_and_delete_behind_the_wrapper() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::with_config(&format!("[runtime]\nruntimes = [{:?}]\n", runtime.name()));
        let bundle = pod(&node, "sleep 1000").write();
        let container = node.start_by(runtime, &bin("podhosts-runtime"), &bundle, "wrapped");
        assert_eq!(container.exec("cat /etc/hosts").success(), managed("10.0.0.9\tweb\n"), "{runtime:?}");
        let refused = container.exec("echo 6.6.6.6 bank >>/etc/hosts").failure();
        assert!(refused.contains("Read-only file system"), "{runtime:?}: {refused}");
        let found = node.run(bin("podhosts"), &["inspect", &container.id, "--root", &node.root()]).success();
        assert!(found.contains("sealed     yes\n"), "{found}");
    }
}

#[test]
fn a_failure_is_in_the_log_and_runc_shows_it() {
    needs!("runc", "crun", "busybox");
    let reason = "cannot read annotation podhosts.io/pod-ips: ";
    for runtime in runtimes() {
        let node = Node::new();
        let bundle = pod(&node, "true").annotate("podhosts.io/pod-ips", "10.0.0.9 evil").hook(&[]).write();
        let error = node.run_bundle(runtime, &bundle).failure();
        let shown = if runtime.name() == "runc" { reason } else { "podhosts-hook" };
        assert!(error.contains(shown), "{runtime:?}: {error}");
        let last = node.last_log();
        assert_eq!(last["outcome"], "failed", "{runtime:?}");
        assert!(last["reason"].as_str().unwrap().starts_with(reason), "{last}");
    }
}

/// The line for Quadlet in docs/install.md, as podman's generator reads it.
#[test]
fn quadlet_passes_the_readmes_annotation_on() {
    needs!("podman");
    let Some(root) = newer_engines() else { return };
    let readme = fs::read_to_string(crate::harness::repository().join("docs/install.md")).unwrap();
    let line = readme.lines().map(str::trim).find(|line| line.starts_with("Annotation=")).unwrap();
    let node = Node::new();
    fs::create_dir(node.path("units")).unwrap();
    node.write("units/web.container", &format!("[Container]\nImage=busybox\n{line}\n"));
    let script = "mount --bind \"$1\" \"$2/mnt\" && \
        QUADLET_UNIT_DIRS=/mnt exec chroot \"$2\" /usr/libexec/podman/quadlet -dryrun";
    let units = node.path("units");
    let args = ["-c", script, "sh", units.to_str().unwrap(), root.to_str().unwrap()];
    let unit = node.run("sh", &args).success();
    let start = unit.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
    let passed =
        r#" --annotation "podhosts.io/host-aliases=[{\"ip\":\"10.1.2.3\",\"hostnames\":[\"db\"]}]" "#;
    assert!(start.contains(passed), "{start}");
}

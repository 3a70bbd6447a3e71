//! `podhosts doctor`: a node that is well, and nodes on each of which one thing is broken.

use serde_json::Value;

use crate::cli::doctor_broken::BROKEN;
use crate::harness::{Node, Run, bin, needs, runtimes};

/// A node with podhosts in containerd, CRI-O and podman, and podhosts-cni as its network. Everything outside /etc and
/// /run that a check looks at is covered.
const WELL: &str = r#"
set -e
for dir in /opt /var/lib; do mount -t tmpfs tmpfs $dir; done
mkdir -p /opt/cni/bin /etc/containerd /etc/crio /run/bin
rm -rf /etc/cni/net.d/* /etc/containers/*
ln -s "$BIN/podhosts-cni" /opt/cni/bin/podhosts-cni
ln -s /usr/lib/cni/loopback /opt/cni/bin/loopback
for name in podhosts podhosts-hook podhosts-runtime; do cp "$BIN/$name" /run/bin; done
echo "version = 2" >/etc/containerd/config.toml
echo >/etc/crio/crio.conf
/run/bin/podhosts configure --runtime containerd --with-cni --pod-cidr 10.244.0.0/24 --pod-cidr fd00:10:244::/64 >/run/configured
/run/bin/podhosts configure --runtime crio >>/run/configured
/run/bin/podhosts configure --runtime podman >>/run/configured
"#;

/// What doctor finds on a node that is well but for what `breaks` does.
fn findings(breaks: &str, options: &str) -> (Run, Vec<Value>) {
    let node = Node::new();
    let script = format!(
        "BIN={}\n{WELL}\n{breaks}\nexec ${{DOCTOR:-/run/bin/podhosts doctor}} --json {options}",
        bin("podhosts").parent().unwrap().display()
    );
    let run = node.run("sh", &["-c", &script]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"));
    let checks = report["checks"].as_array().unwrap().clone();
    (run, checks)
}

#[test]
fn a_node_that_is_well() {
    needs!("runc", "busybox", "containerd", "podman");
    let (run, checks) = findings("", "");
    let of = |check: &str| checks.iter().filter(|finding| finding["check"] == check).collect::<Vec<_>>();
    for check in ["configuration", "privileges", "kernel", "programs", "crio", "podman", "cni", "self-test"] {
        assert_eq!(of(check)[0]["status"], "ok", "{check}: {checks:?}");
    }
    assert_eq!(of("containerd")[0]["status"], "ok", "{checks:?}");
    // Neither containerd nor CRI-O runs here.
    assert_eq!(
        (&of("containerd")[1]["status"], &of("crio")[1]["status"]),
        (&"skipped".into(), &"skipped".into())
    );
    assert_eq!(run.code, Some(0));
    assert!(checks.iter().all(|finding| finding.get("remedy").is_none()), "{checks:?}");
}

#[test]
fn each_broken_node_is_found_with_its_remedy() {
    needs!("runc", "busybox", "containerd", "podman");
    for (breaks, check, status, message, remedy) in BROKEN {
        let (run, checks) = findings(breaks, "--no-self-test");
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        let is_it = |finding: &&Value| {
            finding["check"] == check
                && finding["status"] == status
                && text(finding, "message").contains(message)
                && text(finding, "remedy").contains(remedy)
        };
        assert!(checks.iter().any(|finding| is_it(&finding)), "{breaks}\n{checks:#?}");
        assert_eq!(
            run.code == Some(1),
            checks.iter().any(|finding| finding["status"] == "error"),
            "{breaks}"
        );
    }
}

/// What is no fault, though it looks like one.
#[test]
fn nodes_that_are_well_in_another_way() {
    needs!("runc", "busybox", "containerd", "podman");
    let without_containerd = "echo 'disabled_plugins = [\"cri\"]' >/etc/containerd/config.toml; \
        rm /etc/cni/net.d/10-podhosts.conflist";
    let with_an_old_network = "echo '{\"type\": \"loopback\"}' >/etc/cni/net.d/99-loopback.conf";
    for other in [without_containerd, with_an_old_network] {
        let (run, checks) = findings(other, "--no-self-test");
        assert_eq!(run.code, Some(0), "{other}\n{checks:#?}");
        assert!(checks.iter().all(|finding| finding.get("remedy").is_none()), "{other}\n{checks:#?}");
    }
}

/// Where the remedy is a call of `podhosts configure`, it is made, and the node is well.
#[test]
fn configure_is_a_remedy_that_cures() {
    needs!("runc", "busybox", "containerd", "podman");
    let mut cured = 0;
    for (breaks, check, _, message, remedy) in BROKEN {
        let Some(at) = remedy.find("podhosts configure --runtime") else { continue };
        let (_, checks) = findings(breaks, "--no-self-test");
        let found = checks.iter().find(|finding| {
            finding["check"] == check && finding["message"].as_str().unwrap().contains(message)
        });
        let full = found.unwrap()["remedy"].as_str().unwrap();
        let command = &full[full.find(&remedy[at..]).unwrap()..];
        // containerd 1.6 has no NRI.
        if command.ends_with("--mode nri") && check == "containerd" {
            continue;
        }
        let (run, checks) = findings(&format!("{breaks}\n/run/bin/{command} >/dev/null"), "--no-self-test");
        assert_eq!(run.code, Some(0), "{breaks}: {command}\n{checks:#?}");
        cured += 1;
    }
    assert!(cured >= 5, "{cured}");
}

#[test]
fn a_range_without_a_free_address() {
    needs!("ip", "busybox", "containerd", "podman");
    let full = "sed -i 's|\"10.244.0.0/24\", \"fd00:10:244::/64\"|\"10.9.0.0/30\"|' /etc/cni/net.d/10-podhosts.conflist; \
        config='{\"cniVersion\": \"1.0.0\", \"name\": \"podhosts\", \"type\": \"host-like\", \
                 \"ipam\": {\"type\": \"podhosts-cni\", \"podCIDRs\": [\"10.9.0.0/30\"]}}'; \
        for id in a b; do echo \"$config\" | CNI_COMMAND=ADD CNI_CONTAINERID=$id CNI_IFNAME=eth0 \
        CNI_NETNS=/proc/self/ns/net CNI_PATH=/opt/cni/bin CNI_NETNS_OVERRIDE=1 /opt/cni/bin/podhosts-cni >/dev/null || true; done";
    let (_, checks) = findings(full, "--no-self-test");
    let cni = checks.iter().find(|finding| finding["check"] == "cni").unwrap();
    assert_eq!(cni["status"], "error", "{checks:#?}");
    assert!(
        cni["message"].as_str().unwrap().contains("no IPv4 addresses available in range set: 10.9.0."),
        "{cni}"
    );
    assert!(cni["remedy"].as_str().unwrap().starts_with("add a podCIDR"), "{cni}");
}

#[test]
fn a_kernel_or_a_runtime_that_cannot() {
    needs!("runc", "busybox", "strace", "containerd", "podman");
    let refuse = |call: &str| {
        format!(
            "DOCTOR='strace -f -qq -o /run/trace -e trace={call} -e inject={call}:error=ENOSYS /run/bin/podhosts doctor'"
        )
    };
    let (run, checks) = findings(&refuse("mount_setattr"), "--no-self-test");
    let kernel = checks.iter().find(|finding| finding["check"] == "kernel").unwrap();
    assert_eq!((kernel["status"].as_str(), run.code), (Some("error"), Some(1)));
    assert!(
        kernel["message"].as_str().unwrap().contains("cannot make the sealed mount read-only"),
        "{kernel}"
    );
    assert!(kernel["remedy"].as_str().unwrap().contains("Linux 5.12 or later"), "{kernel}");
    for (breaks, expected) in [
        (
            "rm /run/bin/podhosts-hook; printf '#!/bin/sh\\n' >/run/bin/podhosts-hook; chmod +x /run/bin/podhosts-hook",
            "a container was created without a sealed hosts file: the hook was not called",
        ),
        (
            "rm /run/bin/podhosts-hook; printf '#!/bin/sh\\nexit 3\\n' >/run/bin/podhosts-hook; \
          chmod +x /run/bin/podhosts-hook",
            "exit status 3",
        ),
    ] {
        let (run, checks) = findings(breaks, "");
        let test = checks.iter().find(|finding| finding["check"] == "self-test").unwrap();
        assert_eq!((test["status"].as_str(), run.code), (Some("error"), Some(1)), "{test}");
        assert!(test["message"].as_str().unwrap().contains(expected), "{test}");
    }
}

#[test]
fn the_self_test_takes_every_runtime() {
    needs!("runc", "crun");
    for runtime in runtimes() {
        let node = Node::new();
        node.configure(&format!("[runtime]\nruntimes = [{:?}]\n", runtime.name()));
        let doctor = format!("{} doctor --json", bin("podhosts").display());
        let report: Value = serde_json::from_str(&node.shell(runtime, &doctor, &[]).stdout).unwrap();
        let checks = report["checks"].as_array().unwrap();
        let test = checks.iter().find(|finding| finding["check"] == "self-test").unwrap();
        assert_eq!(test["status"], "ok", "{runtime:?}: {test}");
    }
}

#[test]
fn a_node_without_a_runtime_on_path_needs_none_for_a_hooks_directory() {
    needs!("runc", "busybox", "containerd", "podman");
    let breaks = "/run/bin/podhosts unconfigure --runtime containerd >/dev/null; \
        printf '[runtime]\\nruntimes = [\"gvisor\"]\\n' >/etc/podhosts/config.toml";
    let (run, checks) = findings(breaks, "");
    assert_eq!(run.code, Some(0), "{checks:#?}");
    let test = checks.iter().find(|finding| finding["check"] == "self-test").unwrap();
    let none = "none of gvisor is a program on PATH".into();
    assert_eq!((&test["status"], &test["message"]), (&"skipped".into(), &none));
}

/// CRI-O's packages have their runtimes where only CRI-O looks.
#[test]
fn a_runtime_that_only_the_engine_finds_is_enough_for_a_hooks_directory() {
    needs!("runc", "busybox", "containerd", "podman");
    let breaks = "/run/bin/podhosts unconfigure --runtime containerd >/dev/null; \
        mkdir /run/libexec; cp $(command -v runc) /run/libexec; \
        printf '[crio.runtime.runtimes.x]\\nruntime_path = \"/run/libexec/runc\"\\n' >/etc/crio/crio.conf; \
        DOCTOR='env PATH=/run/bin /run/bin/podhosts doctor'";
    let (run, checks) = findings(breaks, "");
    for check in ["configuration", "self-test"] {
        let finding = checks.iter().find(|finding| finding["check"] == check).unwrap();
        assert_eq!(finding["status"], "ok", "{finding}");
    }
    assert_eq!(run.code, Some(0), "{checks:#?}");
    // The wrapper finds it no more than anything else on that PATH.
    let breaks = breaks.replace(
        "unconfigure --runtime containerd",
        "unconfigure --runtime containerd >/dev/null; /run/bin/podhosts configure --runtime crio --mode wrapper",
    );
    let (run, checks) = findings(&breaks, "");
    assert_eq!(run.code, Some(1), "{checks:#?}");
    let finding = checks.iter().find(|finding| finding["check"] == "configuration").unwrap();
    assert_eq!(
        (&finding["status"], &finding["message"]),
        (&"error".into(), &"none of runc, crun is a program on PATH".into())
    );
}

/// What doctor does to see whether the kernel can make a seal is none of the container's that comes after it.
#[test]
fn before_linux_6_15_the_self_test_is_as_good() {
    needs!("runc", "busybox", "strace", "containerd", "podman");
    let old = "DOCTOR='strace -f -qq -o /run/trace -e trace=open_tree -e inject=open_tree:error=EINVAL:when=1 \
        /run/bin/podhosts doctor'";
    let (run, checks) = findings(old, "");
    let test = checks.iter().find(|finding| finding["check"] == "self-test").unwrap();
    assert_eq!((test["status"].as_str(), run.code), (Some("ok"), Some(0)), "{checks:#?}");
}

#[test]
fn without_root() {
    needs!("busybox", "setpriv");
    let (run, checks) = findings(
        "chmod 755 /run/bin; DOCTOR='setpriv --reuid 65534 --clear-groups /run/bin/podhosts doctor'",
        "",
    );
    let privileges = checks.iter().find(|finding| finding["check"] == "privileges").unwrap();
    assert_eq!((privileges["status"].as_str(), run.code), (Some("error"), Some(1)));
    assert_eq!(privileges["remedy"], "run podhosts doctor as the node's root");
}

#[test]
fn one_line_for_each_check_and_nothing_left_behind() {
    needs!("runc", "busybox");
    let node = Node::new();
    let (tmp, pid) = (node.path("tmp"), node.path("pid"));
    std::fs::create_dir(&tmp).unwrap();
    let script = format!("echo $$ >{}; exec {} doctor", pid.display(), bin("podhosts").display());
    let mut doctor = node.command(&node.path(""), "sh", &["-c", &script]);
    let run: Run = doctor.env("TMPDIR", &tmp).output().unwrap().into();
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines.len() > 6, "{run:?}");
    for line in &lines {
        let status = line.split(' ').next().unwrap();
        assert!(["ok", "warning", "error", "skipped"].contains(&status), "{line}");
        assert_eq!(line.contains("; remedy: "), matches!(status, "warning" | "error"), "{line}");
    }
    assert!(lines.last().unwrap().starts_with("ok       self-test     a container was created"), "{lines:?}");
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 0);
    let cgroup = format!("podhosts-doctor-{}", std::fs::read_to_string(pid).unwrap().trim());
    // Other tests make and remove theirs meanwhile.
    let find = "find /sys/fs/cgroup -ignore_readdir_race -name \"$0\"";
    assert_eq!(node.run("sh", &["-c", find, &cgroup]).stdout, "");
}

//! The files that are installed beside the programs, and the demo.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::harness::etc::Etc;
use crate::harness::{Run, bin, needs, newer_engines};

fn file(name: &str) -> PathBuf {
    crate::harness::repository().join(name)
}

/// What `configure` makes of a node with nothing, as it would be with the programs in /usr/local/bin.
#[track_caller]
fn made(node: &Etc, args: &[&str], path: &str) -> String {
    node.configure(args);
    let text = node.read(path);
    let dir = bin("podhosts").parent().unwrap().display().to_string();
    node.unconfigure(args[0]);
    text.replace(&dir, "/usr/local/bin")
}

#[track_caller]
fn is_delivered(text: &str, name: &str) {
    assert_eq!(text, fs::read_to_string(file(name)).unwrap(), "{name}");
}

#[test]
fn delivered_files_are_what_configure_writes() {
    needs!("containerd", "ctr");
    let node = Etc::new();
    let hooks = "/etc/podhosts";
    let conf = "/etc/containers/containers.conf.d/99-podhosts.conf";
    let crio = "/etc/crio/crio.conf.d/99-podhosts.conf";
    let containerd = "/etc/containerd/config.toml";
    let units = "/etc/systemd/system";
    for (args, path, name) in [
        (&["crio"][..], format!("{hooks}/crio-hooks.d/podhosts.json"), "hooks/podhosts.json"),
        (
            &["podman"],
            format!("{hooks}/podman-hooks.d/podhosts-annotated.json"),
            "hooks/podhosts-annotated.json",
        ),
        (&["crio"], crio.to_owned(), "vendor-configs/crio/hooks-dir.conf"),
        (&["crio", "--mode", "wrapper"], crio.to_owned(), "vendor-configs/crio/wrapper.conf"),
        (&["crio", "--mode", "nri"], crio.to_owned(), "vendor-configs/crio/nri.conf"),
        (
            &["crio", "--mode", "nri"],
            format!("{units}/podhosts-nri.service"),
            "vendor-configs/systemd/podhosts-nri.service",
        ),
        (
            &["crio", "--mode", "nri"],
            format!("{units}/crio.service.d/podhosts-nri.conf"),
            "vendor-configs/systemd/wants-podhosts-nri.conf",
        ),
        (&["podman"], conf.to_owned(), "vendor-configs/podman/hooks-dir.conf"),
        (&["podman", "--mode", "wrapper"], conf.to_owned(), "vendor-configs/podman/wrapper.conf"),
        (&["containerd"], containerd.to_owned(), "vendor-configs/containerd/wrapper-v2.toml"),
        (
            &["containerd", "--mode", "base-spec"],
            containerd.to_owned(),
            "vendor-configs/containerd/base-spec-v2.toml",
        ),
        (
            &["containerd", "--with-cni", "--pod-cidr", "10.244.0.0/24", "--pod-cidr", "fd00:10:244::/64"],
            "/etc/cni/net.d/10-podhosts.conflist".to_owned(),
            "vendor-configs/cni/10-podhosts.conflist",
        ),
    ] {
        is_delivered(&made(&node, args, &path), name);
    }
    // containerd that does not tell its version may be 1.7.
    let mut node = Etc::new();
    node.path = "/nowhere".to_owned();
    is_delivered(
        &made(&node, &["containerd", "--mode", "nri"], containerd),
        "vendor-configs/containerd/nri-v2.toml",
    );
}

#[test]
fn delivered_files_for_containerd_2_are_what_configure_writes() {
    needs!("unshare");
    let Some(newer) = newer_engines() else { return };
    let mut node = Etc::new();
    node.path = format!("{}:{}", newer.join("usr/bin").display(), node.path);
    let drop_in = "/etc/containerd/conf.d/99-podhosts.toml";
    for (mode, path, name) in [
        ("wrapper", drop_in, "wrapper-v3.toml"),
        ("base-spec", drop_in, "base-spec-v3.toml"),
        ("wrapper", "/etc/containerd/config.toml", "config-v3.toml"),
    ] {
        let text = made(&node, &["containerd", "--mode", mode], path);
        is_delivered(&text, &format!("vendor-configs/containerd/{name}"));
    }
}

#[test]
fn every_network_can_be_read_by_older_and_newer_engines() {
    let lists = fs::read_dir(file("vendor-configs/cni")).unwrap();
    let mut networks: Vec<String> =
        lists.map(|list| network(&fs::read_to_string(list.unwrap().path()).unwrap())).collect();
    networks.sort_unstable();
    assert_eq!(networks, ["podhosts", "podhosts-chained", "podhosts-ipam"]);
}

#[test]
fn systemd_takes_the_units_and_finds_little_exposed() {
    needs!("systemd-analyze");
    let dir = tempfile::tempdir().unwrap();
    for (name, installed, program) in [
        ("podhosts-apiserver.service", "/usr/local/bin/podhosts-apiserver", bin("podhosts-apiserver")),
        ("podhosts-nri.service", "/usr/local/bin/podhosts", bin("podhosts")),
    ] {
        let text = fs::read_to_string(file("vendor-configs/systemd").join(name)).unwrap();
        let unit = dir.path().join(name);
        fs::write(&unit, text.replace(installed, program.to_str().unwrap())).unwrap();
        let analyze = |args: &[&str]| {
            let output = Command::new("systemd-analyze").args(args).arg(&unit).output().unwrap();
            let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            (output.status.success(), told)
        };
        let (_, told) = analyze(&["verify", "--man=no"]);
        let about_it: Vec<&str> = told.lines().filter(|line| line.contains(name)).collect();
        assert_eq!(about_it, [""; 0]);
        // 3.0 of 10.
        let (is_little, told) = analyze(&["security", "--offline=true", "--no-pager", "--threshold=30"]);
        assert!(is_little && told.contains("Overall exposure level"), "{told}");
    }
}

/// The name of a network whose list older and newer engines can read.
fn network(text: &str) -> String {
    let list: Value = serde_json::from_str(text).unwrap();
    // libcni up to 1.1 knows cniVersion alone, later ones take the latest of cniVersions, which all plugins have to speak.
    let is_ours_alone = list["plugins"].as_array().unwrap().len() == 1;
    assert_eq!(list["cniVersion"], "1.0.0");
    assert_eq!(list["cniVersions"] == serde_json::json!(["1.0.0", "1.1.0"]), is_ours_alone);
    assert!(text.contains("\"podhosts-cni\""), "{text}");
    list["name"].as_str().unwrap().to_owned()
}

#[test]
fn both_examples_are_the_same_pod() {
    let render = |name: &str| {
        let example = file("examples").join(name);
        let args = ["render", "-f", example.to_str().unwrap(), "--pod-ip", "10.200.0.5"];
        Run::from(Command::new(bin("podhosts")).args(args).output().unwrap()).success()
    };
    assert_eq!(render("hostaliases-pod.yaml"), render("hostaliases-pod.crictl.yaml"));
}

#[test]
fn the_demo() {
    needs!("runc", "busybox");
    // A copy that anybody may read, for the demo without root.
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for path in [
        file("examples/demo.sh"),
        file("examples/hostaliases-pod.yaml"),
        bin("podhosts"),
        bin("podhosts-hook"),
        bin("podhosts-runtime"),
    ] {
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let demo = |uid: &str| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", uid, "--regid", uid, "--clear-groups", "sh"])
            .arg(dir.path().join("demo.sh"));
        Run::from(command.env("PODHOSTS_BIN_DIR", dir.path()).output().unwrap()).success()
    };
    let output = demo("0");
    assert!(output.contains("\nyes, byte for byte\n"), "{output}");
    assert_eq!(output.matches("  # ").count(), 7);
    assert_eq!(output.matches("Read-only file system\n").count(), 2, "{output}");
    assert_eq!(output.matches("Device or resource busy\n").count(), 2, "{output}");
    assert_eq!(output.matches("permission denied").count(), 2, "{output}");
    assert!(output.trim_end().ends_with(" microseconds"), "{output}");
    let without_root = demo("65534");
    assert!(without_root.starts_with("The demo needs root"), "{without_root}");
    assert!(without_root.ends_with("\n10.1.2.3\tfoo.remote\tbar.remote\n"), "{without_root}");
}

//! podman, whose CNI backend calls the plugin, with the delivered network.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::cni::{CniNode, is_there};
use crate::harness::outside::{
    self, FIRST, NODE, OUTSIDE, SERVER, asking, delivered, see_each_other, seen, seen_from_node,
    seen_from_outside,
};
use crate::harness::{Run, bin, busybox_root, managed, needs};

/// What podman has to leave out on a test machine: raising limits, overlay storage, a cgroup per systemd unit.
const OPTIONS: [&str; 6] =
    ["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file"];
const RUN_OPTIONS: [&str; 10] = [
    "--cgroups",
    "no-conmon",
    "--ulimit",
    "nofile=1024:2048",
    "--ulimit",
    "nproc=1000:1000",
    "--security-opt",
    "seccomp=unconfined",
    "--network",
    "podhosts",
];

/// How many of these a container in a pod has as well: the network is the pod's.
const IN_A_POD: usize = 8;

/// podman on a node.
struct Podman<'a> {
    node: &'a CniNode,
    rootfs: PathBuf,
    runtime: PathBuf,
}

impl<'a> Podman<'a> {
    /// With `conflist` as its only network beside its own.
    fn new(node: &'a CniNode, conflist: &str) -> Self {
        let (networks, plugins) = (node.path("net.d"), node.path("plugins"));
        for dir in [&networks, &plugins] {
            fs::create_dir(dir).unwrap();
        }
        // podman has its locks there, all of them on a machine in one file.
        node.sh("mount -t tmpfs tmpfs /dev/shm");
        fs::write(networks.join("10-podhosts.conflist"), conflist).unwrap();
        symlink(bin("podhosts-cni"), plugins.join("podhosts-cni")).unwrap();
        let conf = format!(
            "[network]\nnetwork_backend = \"cni\"\nnetwork_config_dir = {networks:?}\n\
             cni_plugin_dirs = [{plugins:?}, \"/usr/lib/cni\"]\n"
        );
        fs::write(node.path("containers.conf"), conf).unwrap();
        let rootfs = node.path("rootfs");
        busybox_root(&rootfs);
        outside::put_pages(&rootfs);
        Self { node, rootfs, runtime: "runc".into() }
    }

    fn call(&self, args: &[&str]) -> Run {
        let at = |name: &str| self.node.path(name).to_str().unwrap().to_owned();
        let (root, run_root) = (at("podman"), at("podman-run"));
        let own = ["--root", &root, "--runroot", &run_root, "--runtime", self.runtime.to_str().unwrap()];
        let mut command = self.node.command("podman", &[&OPTIONS[..], &own, args].concat());
        command.env("CONTAINERS_CONF", self.node.path("containers.conf"));
        command.output().unwrap().into()
    }

    /// Starts a container that stays; its id.
    #[track_caller]
    fn start(&self, name: &str, options: &[&str], command: &[&str]) -> String {
        let root = format!("{}:O", self.rootfs.display());
        let cgroup = self.cgroup();
        let how = ["run", "-d", "--name", name, "--cgroup-parent", &cgroup];
        let what = ["--rootfs", &root];
        let id = self.call(&[&how, &RUN_OPTIONS[..], options, &what, command].concat()).success();
        id.trim().to_owned()
    }

    /// The parent of its containers' cgroups.
    fn cgroup(&self) -> String {
        format!("/{}", self.node.path("").file_name().unwrap().to_str().unwrap())
    }

    fn exec(&self, name: &str, script: &str) -> Run {
        self.call(&["exec", name, "sh", "-c", script])
    }

    /// Whom `host` sees when the container asks it.
    #[track_caller]
    fn seen_from(&self, name: &str, host: &str, port: u16) -> String {
        seen(self.exec(name, &asking(host, port)))
    }

    #[track_caller]
    fn remove(&self, name: &str) {
        self.call(&["rm", "-f", "-t", "0", name]).success();
    }
}

impl Drop for Podman<'_> {
    /// Processes go with the node; cgroups do not.
    fn drop(&mut self) {
        self.call(&["rm", "-f", "-t", "0", "--all"]);
        // Of a pod podman leaves one itself.
        let script = format!("find /sys/fs/cgroup/*{} -depth -type d -exec rmdir {{}} +", self.cgroup());
        self.node.run("sh", &["-c", &script]);
    }
}

#[test]
fn podmans_containers_reach_each_other_the_node_and_what_is_beyond() {
    needs!("podman", "runc", "ip", "nft", "busybox");
    let node = CniNode::with_processes();
    outside::connect(&node);
    outside::serve(&node);
    let before = node.traces();
    let podman = Podman::new(&node, &delivered());
    podman.start("one", &[], &SERVER);
    podman.start("two", &[], &SERVER);
    let addresses = podman.exec("one", "ip -o addr show dev eth0").success();
    for address in FIRST {
        assert!(addresses.contains(&format!("{address}/")), "{addresses}");
    }
    see_each_other(&node, |name, host| podman.seen_from(name, host, 80));
    podman.remove("one");
    podman.remove("two");
    assert_eq!(node.traces(), before);
}

#[test]
fn podmans_port_mappings_in_both_families_from_outside_and_from_the_node() {
    needs!("podman", "runc", "ip", "nft", "busybox");
    let node = CniNode::with_processes();
    outside::connect(&node);
    let before = node.traces();
    let podman = Podman::new(&node, &delivered());
    podman.start("web", &["-p", "8080:80"], &SERVER);
    for family in [0, 1] {
        assert_eq!(seen_from_outside(&node, NODE[family], 8080), OUTSIDE[family]);
        assert_eq!(seen_from_node(&node, NODE[family], 8080), NODE[family]);
        // The container's own way to its port on the node.
        assert_eq!(podman.seen_from("web", NODE[family], 8080), NODE[family]);
    }
    assert_eq!(seen_from_node(&node, "127.0.0.1", 8080), NODE[0]);
    podman.remove("web");
    assert!(outside::is_closed(&node, 8080));
    assert_eq!(node.traces(), before);
}

/// podman with the wrapper for its runtime, on the delivered network with IPv6 first. The network namespace as the
/// source would have IPv4 first.
fn wrapped(node: &CniNode) -> Podman<'_> {
    let mut conflist: Value = serde_json::from_str(&delivered()).unwrap();
    conflist["plugins"][0]["ipam"]["podCIDRs"].as_array_mut().unwrap().reverse();
    let log = node.path("hook.log");
    node.sh("mkdir -p /etc/podhosts");
    fs::write(node.file("/etc/podhosts/config.toml"), format!("log.file = {log:?}\n")).unwrap();
    let mut podman = Podman::new(node, &conflist.to_string());
    podman.runtime = bin("podhosts-runtime");
    podman
}

#[test]
fn podmans_container_behind_the_wrapper_has_the_records_addresses_in_cni_order() {
    needs!("podman", "runc", "ip", "nft", "busybox");
    let node = CniNode::with_processes();
    let podman = wrapped(&node);
    let id = podman.start("web", &["--annotation", "podhosts.io/hostname=www"], &["sleep", "1000"]);
    let expected = managed(&format!("{}\twww\n{}\twww\n", FIRST[1], FIRST[0]));
    assert_eq!(podman.exec("web", "cat /etc/hosts").success(), expected);
    let refused = podman.exec("web", "echo x >> /etc/hosts").failure();
    assert!(refused.contains("Read-only file system"), "{refused}");
    let found = node.run(bin("podhosts"), &["inspect", "--json", &id]).success();
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!((&found["sealed"], &found["addressSource"]), (&true.into(), &"cni".into()), "{found}");
    assert_eq!(found["hostsFile"], expected);
    let text = node.run(bin("podhosts"), &["inspect", &id]).success();
    assert!(text.contains("addresses  from the CNI record\n"), "{text}");
    podman.remove("web");
    assert!(!is_there(&node, &format!("/run/podhosts/pods/{id}.json")));
}

#[test]
fn a_podman_pods_containers_have_the_record_of_the_whole_pod() {
    needs!("podman", "runc", "ip", "nft", "busybox");
    let node = CniNode::with_processes();
    let podman = wrapped(&node);
    let (tar, cgroup) = (node.path("pause.tar"), podman.cgroup());
    node.sh(&format!("tar -C {} -cf {} .", podman.rootfs.display(), tar.display()));
    let pause = r#"ENTRYPOINT ["/bin/sleep", "1000"]"#;
    podman.call(&["import", "--change", pause, tar.to_str().unwrap(), "pause"]).success();
    let pod =
        ["pod", "create", "--name", "shop", "--infra-image", "localhost/pause", "--network", "podhosts"];
    let here = ["--security-opt", "seccomp=unconfined", "--cgroup-parent", &cgroup];
    podman.call(&[&pod[..], &here].concat()).success();
    let root = format!("{}:O", podman.rootfs.display());
    for name in ["web", "db"] {
        let how = ["run", "-d", "--pod", "shop", "--name", name, "--annotation", "podhosts.io/hostname=www"];
        let what = ["--rootfs", &root, "sleep", "1000"];
        podman.call(&[&how[..], &RUN_OPTIONS[..IN_A_POD], &what].concat()).success();
        let expected = managed(&format!("{}\twww\n{}\twww\n", FIRST[1], FIRST[0]));
        assert_eq!(podman.exec(name, "cat /etc/hosts").success(), expected);
    }
    let log = fs::read_to_string(node.path("hook.log")).unwrap();
    assert_eq!(log.matches(r#""reason":"cni""#).count(), 2, "{log}");
    podman.call(&["pod", "rm", "-f", "-t", "0", "shop"]).success();
    assert_eq!(node.sh("ls /run/podhosts/pods"), "");
}

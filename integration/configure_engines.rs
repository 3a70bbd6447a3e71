//! Engines load what `podhosts configure` writes: they are asked over the CRI, or by their own commands.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use podhosts::cri::Client;
use podhosts::engines::NAME;
use serde_json::Value;

use crate::harness::cni::CniNode;
use crate::harness::etc::{Etc, newer_engines};
use crate::harness::{bin, needs};

/// containerd on a node, with the configuration that is there.
struct Daemon<'a> {
    node: &'a CniNode,
    child: Child,
}

impl<'a> Daemon<'a> {
    fn start(node: &'a CniNode, path: &str) -> Self {
        let log = fs::File::create(node.path("log")).unwrap();
        let script = format!("PATH={path}; echo $$ >{}; exec containerd", node.path("pid").display());
        let child = node.command("sh", &["-c", &script]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { node, child }
    }

    /// What it says of its configuration over the CRI.
    #[track_caller]
    fn config(&self) -> Value {
        let socket = self.node.file("/run/containerd/containerd.sock");
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let client = Client::connect(&socket, Duration::from_secs(5));
            match client.and_then(|client| client.status()) {
                Ok(status) => return serde_json::from_str(&status.info["config"]).unwrap(),
                Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(50)),
                Err(error) => {
                    panic!("{error}\n{}", fs::read_to_string(self.node.path("log")).unwrap_or_default())
                }
            }
        }
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let pid = self.node.path("pid");
        self.node.run("sh", &["-c", &format!("kill $(cat {})", pid.display())]);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// containerd of this PATH, started with `stock` as podhosts changes it.
#[track_caller]
fn containerd_has_the_handler(path: &str, stock: &str, way: &[&str]) -> Value {
    let node = CniNode::with_processes();
    let root = node.path("root");
    // overlayfs cannot be on an overlay.
    node.sh(&format!("mkdir {0}; mount -t tmpfs tmpfs {0}; mount -t tmpfs tmpfs /var/lib; rm -rf /etc/containerd; mkdir /etc/containerd", root.display()));
    let stock = stock.replace("ROOT", &format!("root = {root:?}\nstate = \"/run/containerd\"\n"));
    fs::write(node.file("/etc/containerd/config.toml"), stock).unwrap();
    let (with_path, podhosts) = (format!("PATH={path}"), bin("podhosts").display().to_string());
    let args =
        [&[with_path.as_str(), podhosts.as_str(), "configure", "--runtime", "containerd"], way].concat();
    node.run("env", &args).success();
    let daemon = Daemon::start(&node, path);
    daemon.config()
}

fn of_version_2() -> String {
    "version = 2\nROOT[plugins.\"io.containerd.grpc.v1.cri\"]\nrestrict_oom_score_adj = true\n\
     containerd.runtimes.runc = { runtime_type = \"io.containerd.runc.v2\", options = { Root = \"/run/r\" } }\n"
        .to_owned()
}

/// The handler as containerd tells it, with runc's beside it, and which one is the default.
#[track_caller]
fn assert_wrapped(config: &Value, default: &str) {
    let runtimes = &config["containerd"]["runtimes"];
    let handler = &runtimes[NAME];
    let wrapper = bin("podhosts-runtime").display().to_string();
    assert_eq!(handler["options"]["BinaryName"], wrapper.as_str(), "{config:#}");
    assert_eq!(handler["options"]["Root"], "/run/r", "{config:#}");
    let annotations = |key: &str| {
        handler.get(key).or(handler.get(match key {
            "PodAnnotations" => "pod_annotations",
            _ => "container_annotations",
        }))
    };
    for key in ["PodAnnotations", "ContainerAnnotations"] {
        assert_eq!(annotations(key), Some(&serde_json::json!(["podhosts.io/*"])), "{handler:#}");
    }
    assert!(runtimes["runc"].is_object(), "{config:#}");
    assert_eq!(config["containerd"]["defaultRuntimeName"], default, "{config:#}");
    // Settings that were there are there still.
    assert_eq!(config["restrictOOMScoreAdj"], true, "{config:#}");
}

const OLD: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

#[test]
fn containerd_1_6() {
    needs!("containerd", "runc");
    assert_wrapped(&containerd_has_the_handler(OLD, &of_version_2(), &[]), "runc");
    assert_wrapped(&containerd_has_the_handler(OLD, &of_version_2(), &["--set-as-default"]), NAME);
    let config = containerd_has_the_handler(OLD, &of_version_2(), &["--mode", "base-spec"]);
    let spec = &config["containerd"]["runtimes"][NAME]["baseRuntimeSpec"];
    assert_eq!(spec, "/etc/containerd/podhosts-base.json", "{config:#}");
}

#[test]
fn containerd_2() {
    needs!("runc");
    let Some(newer) = newer_engines() else {
        assert!(!crate::harness::has_all(&["containerd 2, by `make engines`,"]));
        return;
    };
    let path = format!("{}:{OLD}", newer.join("usr/bin").display());
    let of_version_3 = of_version_2()
        .replace("version = 2", "version = 3")
        .replace("io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime");
    for stock in [of_version_2(), of_version_3] {
        assert_wrapped(&containerd_has_the_handler(&path, &stock, &[]), "runc");
        assert_wrapped(&containerd_has_the_handler(&path, &stock, &["--set-as-default"]), NAME);
    }
}

/// What podman makes of its configuration.
fn podman_info(node: &Etc) -> Value {
    let args = [
        "--storage-driver",
        "vfs",
        "--root",
        "/run/s",
        "--runroot",
        "/run/r",
        "--cgroup-manager",
        "cgroupfs",
        "--events-backend",
        "file",
        "info",
        "--format",
        "json",
    ];
    let script =
        "if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi; exec podman \"$@\"";
    let run = node.command("sh".as_ref(), &[&["-ec", script, "sh"], &args[..]].concat()).output().unwrap();
    serde_json::from_str(&crate::harness::Run::from(run).success()).unwrap()
}

#[test]
fn podman_has_the_runtime() {
    needs!("podman", "runc", "crun");
    let node = Etc::new();
    node.write("/etc/containers/policy.json", "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}");
    let before = podman_info(&node);
    assert_ne!(before["host"]["ociRuntime"]["name"], NAME);
    node.configure(&["podman", "--mode", "wrapper", "--set-as-default"]);
    let info = podman_info(&node);
    let runtime = &info["host"]["ociRuntime"];
    assert_eq!(runtime["name"], NAME, "{runtime:#}");
    assert_eq!(runtime["path"], bin("podhosts-runtime").to_str().unwrap(), "{runtime:#}");
    node.unconfigure("podman");
    assert_eq!(podman_info(&node)["host"]["ociRuntime"], before["host"]["ociRuntime"]);
}

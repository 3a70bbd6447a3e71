//! The runtime handlers that containerd has built in stay beside ours.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use cri::Client;
use podhosts::engines::NAME;
use serde_json::Value;

use crate::harness::cni::CniNode;
use crate::harness::{bin, needs, newer_engines};

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
    configured_by(path, path, stock, way)
}

/// The same where podhosts itself has another PATH.
#[track_caller]
fn configured_by(of_podhosts: &str, path: &str, stock: &str, way: &[&str]) -> Value {
    let node = CniNode::with_processes();
    set_up(&node, stock);
    let (with_path, podhosts) = (format!("PATH={of_podhosts}"), bin("podhosts").display().to_string());
    let args =
        [&[with_path.as_str(), podhosts.as_str(), "configure", "--runtime", "containerd"], way].concat();
    node.run("env", &args).success();
    let daemon = Daemon::start(&node, path);
    daemon.config()
}

/// Puts `stock` on a node, and what containerd needs there.
fn set_up(node: &CniNode, stock: &str) {
    let root = node.path("root");
    // overlayfs cannot be on an overlay.
    node.sh(&format!("mkdir {0}; mount -t tmpfs tmpfs {0}; mount -t tmpfs tmpfs /var/lib; rm -rf /etc/containerd; mkdir /etc/containerd", root.display()));
    let stock = stock.replace("ROOT", &format!("root = {root:?}\nstate = \"/run/containerd\"\n"));
    if stock != MISSING {
        fs::write(node.file("/etc/containerd/config.toml"), stock).unwrap();
    }
}

const OLD: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// No containerd is there to be asked for its version.
const OLD_WITHOUT_CONTAINERD: &str = "/nowhere";
/// Instead of a file: there is none.
const MISSING: &str = "";

/// containerd's own default, which a handler in the file would take the place of before 2.0, stays beside ours.
#[track_caller]
fn assert_beside_the_built_in(config: &Value, default: &str) {
    let runtimes = &config["containerd"]["runtimes"];
    for name in ["runc", NAME] {
        assert_eq!(runtimes[name]["runtimeType"], "io.containerd.runc.v2", "{config:#}");
    }
    assert_eq!(config["containerd"]["defaultRuntimeName"], default, "{config:#}");
}

/// The file of this Debian's package, untouched but for what this machine needs.
fn packaged() -> String {
    let packaged = fs::read_to_string("/etc/containerd/config.toml").unwrap();
    let cri = "[plugins.\"io.containerd.grpc.v1.cri\"]\n";
    assert!(packaged.contains(cri) && !packaged.contains("runtimes"), "{packaged}");
    packaged.replacen("version = 2\n", "version = 2\nROOT", 1).replacen(
        cri,
        &format!("{cri}    restrict_oom_score_adj = true\n"),
        1,
    )
}

#[test]
fn containerd_1_6_with_its_built_in_handler() {
    needs!("containerd", "runc");
    for stock in [packaged(), MISSING.to_owned()] {
        for way in [&[][..], &["--mode", "base-spec"]] {
            assert_beside_the_built_in(&containerd_has_the_handler(OLD, &stock, way), "runc");
        }
        let config = containerd_has_the_handler(OLD, &stock, &["--set-as-default"]);
        assert_beside_the_built_in(&config, NAME);
    }
}

#[test]
fn containerd_2_with_its_built_in_handler() {
    needs!("runc");
    let Some(newer) = newer_engines() else { return };
    let path = format!("{}:{OLD}", newer.join("usr/bin").display());
    let of_version_3 =
        packaged().replace("version = 2", "version = 3").replace("grpc.v1.cri", "cri.v1.runtime");
    for stock in [packaged(), of_version_3, MISSING.to_owned()] {
        assert_beside_the_built_in(&containerd_has_the_handler(&path, &stock, &[]), "runc");
        let config = containerd_has_the_handler(&path, &stock, &["--set-as-default"]);
        assert_beside_the_built_in(&config, NAME);
    }
    // Which containerd it is need not be known.
    let config = configured_by(OLD_WITHOUT_CONTAINERD, &path, &packaged(), &[]);
    assert_beside_the_built_in(&config, "runc");
}

#[test]
fn a_containerd_that_runs_tells_its_version() {
    needs!("runc");
    let Some(newer) = newer_engines() else { return };
    // Before 2.0 the import would replace the handler.
    let import = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nenable_selinux = false\n";
    let stock = packaged().replacen("version = 2\n", "version = 2\nimports = [\"more.toml\"]\n", 1);
    for (path, is_known) in
        [(format!("{}:{OLD}", newer.join("usr/bin").display()), true), (OLD.into(), false)]
    {
        let node = CniNode::with_processes();
        set_up(&node, &stock);
        fs::write(node.file("/etc/containerd/more.toml"), import).unwrap();
        let daemon = Daemon::start(&node, &path);
        daemon.config();
        let podhosts = bin("podhosts").display().to_string();
        let run = node.run("env", &["PATH=/nowhere", &podhosts, "configure", "--runtime", "containerd"]);
        assert_eq!(run.ok, is_known, "{run:?}");
        let text = fs::read_to_string(node.file("/etc/containerd/config.toml")).unwrap();
        assert_eq!((text.contains("runtimes.podhosts"), text.contains("runtimes.runc")), (is_known, false));
    }
}

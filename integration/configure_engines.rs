//! Engines load what `podhosts configure` writes: they are asked over the CRI, or by their own commands.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use podhosts::cri::Client;
use podhosts::engines::NAME;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::cni::CniNode;
use crate::harness::etc::{Etc, newer_engines};
use crate::harness::{Run, bin, busybox_root, has_all, managed, needs};

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
/// No containerd is there to be asked for its version.
const OLD_WITHOUT_CONTAINERD: &str = "/nowhere";
/// Instead of a file: there is none.
const MISSING: &str = "";

#[test]
fn containerd_1_6() {
    needs!("containerd", "runc");
    assert_wrapped(&containerd_has_the_handler(OLD, &of_version_2(), &[]), "runc");
    assert_wrapped(&containerd_has_the_handler(OLD, &of_version_2(), &["--set-as-default"]), NAME);
    let config = containerd_has_the_handler(OLD, &of_version_2(), &["--mode", "base-spec"]);
    let spec = &config["containerd"]["runtimes"][NAME]["baseRuntimeSpec"];
    assert_eq!(spec, "/etc/containerd/podhosts-base.json", "{config:#}");
}

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
    let Some(newer) = newer_engines() else {
        assert!(!has_all(&["containerd 2, by `make engines`,"]));
        return;
    };
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
    let Some(newer) = newer_engines() else {
        assert!(!has_all(&["containerd 2, by `make engines`,"]));
        return;
    };
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

#[test]
fn containerd_2() {
    needs!("runc");
    let Some(newer) = newer_engines() else {
        assert!(!has_all(&["containerd 2, by `make engines`,"]));
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

/// podman, where locks and control groups are the test's: this machine's, or with $1 the one of a folder, which shares
/// the node's /etc/containers and the directories in $2 and $3.
const PODMAN: &str = r#"
mount -t tmpfs tmpfs /dev/shm
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
folder=$1 bins=$2 rootfs=$3
shift 3
options="--storage-driver vfs --root /run/s --runroot /run/r --cgroup-manager cgroupfs --events-backend file"
if [ -z "$folder" ]; then exec podman $options "$@"; fi
mount -t tmpfs tmpfs /opt
mkdir /opt/upper /opt/work /opt/root
mount -t overlay overlay -o "lowerdir=$folder,upperdir=/opt/upper,workdir=/opt/work" /opt/root
cd /opt/root
mkdir -p "./$bins" "./$rootfs"
for dir in "$bins" "$rootfs" /etc/containers; do mount --bind "$dir" "./$dir"; done
for dir in dev sys; do mount --rbind "/$dir" "./$dir"; done
mount -t proc proc proc
mount -t tmpfs tmpfs run
# Not by chroot, in which a path means another thing than in the container's mount namespace.
pivot_root . mnt
umount -l /mnt
exec podman $options "$@"
"#;

/// podman on a node, and what its containers are made from.
struct Podman<'a> {
    node: &'a Etc,
    folder: Option<PathBuf>,
    rootfs: TempDir,
}

impl<'a> Podman<'a> {
    fn new(node: &'a Etc, folder: Option<PathBuf>) -> Self {
        node.write("/etc/containers/policy.json", "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}");
        let rootfs = tempfile::Builder::new().prefix("podhosts-test.").tempdir().unwrap();
        busybox_root(rootfs.path());
        Self { node, folder, rootfs }
    }

    fn call(&self, args: &[&str]) -> Run {
        let folder = self.folder.clone().unwrap_or_default();
        let programs = bin("podhosts");
        let places = [folder.as_path(), programs.parent().unwrap(), self.rootfs.path()];
        let places = places.map(|path| path.to_str().unwrap());
        let mut command =
            self.node.command("sh".as_ref(), &[&["-ec", PODMAN, "sh"], &places[..], args].concat());
        command.output().unwrap().into()
    }

    /// The runtime that it would use.
    #[track_caller]
    fn runtime(&self) -> (String, String) {
        let info: Value = serde_json::from_str(&self.call(&["info", "--format", "json"]).success()).unwrap();
        let runtime = &info["host"]["ociRuntime"];
        (runtime["name"].as_str().unwrap().to_owned(), runtime["path"].as_str().unwrap().to_owned())
    }

    /// The hosts file of a container, and what writing to it says.
    #[track_caller]
    fn hosts(&self, runtime: &str) -> String {
        let name = self.rootfs.path().file_name().unwrap().to_str().unwrap();
        let cgroup = format!("/{name}");
        let run = self.call(&[
            "--runtime",
            runtime,
            "run",
            "--rm",
            "--cgroups",
            "no-conmon",
            "--cgroup-parent",
            &cgroup,
            "--ulimit",
            "nofile=1024:2048",
            "--ulimit",
            "nproc=1000:1000",
            "--security-opt",
            "seccomp=unconfined",
            "--network",
            "none",
            "--annotation",
            "podhosts.io/hostname=web",
            "--annotation",
            "podhosts.io/pod-ips=10.1.2.3",
            "--rootfs",
            self.rootfs.path().to_str().unwrap(),
            "sh",
            "-c",
            "cat /etc/hosts; echo x 2>&1 >>/etc/hosts || true",
        ]);
        for group in fs::read_dir("/sys/fs/cgroup").unwrap() {
            let _ = fs::remove_dir(group.unwrap().path().join(name));
        }
        run.success()
    }
}

/// podman's own commands tell the runtime, and its containers have the sealed file, by both ways.
#[track_caller]
fn podman_calls_podhosts(folder: Option<PathBuf>) {
    let node = Etc::new();
    let podman = Podman::new(&node, folder);
    let before = podman.runtime();
    assert_ne!(before.0, NAME);
    let sealed = managed("10.1.2.3\tweb\n") + "sh: can't create /etc/hosts: Read-only file system\n";
    assert_ne!(podman.hosts("runc"), sealed);
    node.configure(&["podman"]);
    for runtime in ["runc", "crun"] {
        assert_eq!(podman.hosts(runtime), sealed);
    }
    node.configure(&["podman", "--mode", "wrapper"]);
    assert_ne!(podman.hosts("runc"), sealed);
    assert_eq!(podman.hosts(NAME), sealed);
    node.configure(&["podman", "--mode", "wrapper", "--set-as-default"]);
    let wrapper = bin("podhosts-runtime").display().to_string();
    assert_eq!(podman.runtime(), (NAME.to_owned(), wrapper));
    node.unconfigure("podman");
    assert_eq!(podman.runtime(), before);
    assert_ne!(podman.hosts("runc"), sealed);
}

#[test]
fn podman_4_3() {
    needs!("podman", "runc", "crun", "busybox");
    podman_calls_podhosts(None);
}

#[test]
fn podman_5_8() {
    needs!("busybox");
    let Some(newer) = newer_engines() else {
        assert!(!has_all(&["podman 5, by `make engines`,"]));
        return;
    };
    podman_calls_podhosts(Some(newer));
}

//! containerd with its CRI on a node of its own: the stock configuration, our CNI network, our runtime handler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::cni::CniNode;
use super::outside::delivered;
use super::{Run, bin, crictl, has_all, image};

pub(crate) const SOCKET: &str = "/run/containerd/containerd.sock";
const CONFIG: &str = "/etc/containerd/config.toml";
/// Everything of the node's that containerd, the kubelet and CNI write to. What containerd mounts over each other must
/// not be on an overlay.
const SET_UP: &str = "for dir in /opt /var/lib /var/log; do mount -t tmpfs tmpfs $dir; done; \
                      mkdir -p /opt/cni/bin /etc/cni/net.d /etc/containerd /var/lib/cni /var/log/pods";

/// A containerd that is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// Debian bookworm's, 1.6.
    Bookworm,
    /// Debian sid's, 2.x, with bookworm's runc.
    Sid,
    /// The same with sid's runc, and everything else in /usr from there.
    SidWithRunc,
}

impl Release {
    /// What is delivered for its configuration.
    fn handler(self) -> &'static str {
        match self {
            Self::Bookworm => "podhosts-v2.toml",
            Self::Sid | Self::SidWithRunc => "podhosts-v3.toml",
        }
    }

    /// Whether it is there, with what else a node needs.
    fn is_there(self) -> bool {
        let (crictl, newer) = (crictl(), sid().join("usr/bin/containerd"));
        let mut needed =
            vec!["containerd", "runc", "ip", "nft", "busybox", "/usr/lib/cni/loopback", "sha256sum"];
        needed.push(crictl.to_str().unwrap());
        if self != Self::Bookworm {
            needed.push(newer.to_str().unwrap());
        }
        has_all(&needed)
    }
}

/// The root folder with the newest engines: see `integration/engines.sh`.
pub(crate) fn sid() -> PathBuf {
    let given = std::env::var_os("PODHOSTS_ENGINES_DIR").map(PathBuf::from);
    given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/engines")).join("sid")
}

/// containerd on a node, with the test image `docker.io/library/busybox:latest`.
pub(crate) struct Containerd {
    pub(crate) node: CniNode,
    pub(crate) release: Release,
    crictl: PathBuf,
    daemon: Option<Child>,
}

impl Containerd {
    /// Starts one, or says why it is not there.
    pub(crate) fn start(release: Release) -> Option<Self> {
        if !release.is_there() {
            return None;
        }
        let node = CniNode::with_processes();
        node.sh(SET_UP);
        let mut crictl = crictl();
        fs::create_dir(node.path("bin")).unwrap();
        match release {
            Release::Bookworm => {}
            Release::Sid => {
                for name in ["containerd", "containerd-shim-runc-v2", "ctr"] {
                    let program = sid().join("usr/bin").join(name);
                    std::os::unix::fs::symlink(program, node.path("bin").join(name)).unwrap();
                }
            }
            Release::SidWithRunc => {
                // A real one may be in the /usr that is covered.
                fs::copy(&crictl, node.path("bin/crictl")).unwrap();
                crictl = node.path("bin/crictl");
                let usr = sid().join("usr");
                node.sh(&format!("mount --bind {} /usr && mount -o remount,bind,ro /usr", usr.display()));
            }
        }
        let mut containerd = Self { node, release, crictl, daemon: None };
        containerd.configure();
        containerd.launch();
        containerd.import_images();
        Some(containerd)
    }

    /// A program on the node, found where this containerd comes from first.
    fn command(&self, program: &str, args: &[&str]) -> Command {
        let path = format!("PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", self.node.path("bin").display());
        self.node.command("env", &[&[path.as_str(), program], args].concat())
    }

    fn run(&self, program: &str, args: &[&str]) -> Run {
        self.command(program, args).output().unwrap().into()
    }

    /// The stock configuration, and what this node needs beyond it.
    fn configure(&self) {
        let stock = self.run("containerd", &["config", "default"]).success();
        // Without CAP_SYS_RESOURCE nobody may make a process less likely to be killed than its parent.
        let oom = "restrict_oom_score_adj = false";
        assert!(stock.contains(oom), "{stock}");
        fs::write(self.node.file(CONFIG), stock.replace(oom, "restrict_oom_score_adj = true")).unwrap();
        self.install();
        let plugin = bin("podhosts-cni");
        self.node.sh(&format!("ln -s {} /usr/lib/cni/loopback /opt/cni/bin", plugin.display()));
        fs::write(self.node.file("/etc/cni/net.d/10-podhosts.conflist"), delivered()).unwrap();
    }

    /// Adds our runtime handler.
    fn install(&self) {
        let delivered = Path::new(env!("CARGO_MANIFEST_DIR")).join("vendor-configs/containerd");
        let wrapper = bin("podhosts-runtime");
        let tables =
            fs::read_to_string(delivered.join(self.release.handler())).unwrap().replace("version = 3\n", "");
        let tables = tables.replace("/usr/local/bin/podhosts-runtime", wrapper.to_str().unwrap());
        let config = fs::read_to_string(self.node.file(CONFIG)).unwrap();
        fs::write(self.node.file(CONFIG), config + &tables).unwrap();
    }

    /// Starts the daemon and waits until its CRI answers.
    pub(crate) fn launch(&mut self) {
        let log =
            fs::File::options().append(true).create(true).open(self.node.path("containerd.log")).unwrap();
        let script = format!("echo $$ >{}; exec containerd -l warn", self.node.path("pid").display());
        let mut command = self.command("sh", &["-c", &script]);
        self.daemon = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        self.until(&["info", "-q"], |info| {
            let info: Value = serde_json::from_str(info).unwrap();
            info["status"]["conditions"]
                .as_array()
                .unwrap()
                .iter()
                .all(|condition| condition["status"] == true)
        });
    }

    /// Ends the daemon by `signal`, as its service manager or an accident does. Containers go on.
    pub(crate) fn end(&mut self, signal: &str) {
        let Some(mut daemon) = self.daemon.take() else { return };
        self.node.run("sh", &["-c", &format!("kill -{signal} $(cat {})", self.node.path("pid").display())]);
        let _ = daemon.wait();
    }

    /// The pause image of the stock configuration, and the test image: one under both names.
    fn import_images(&self) {
        let stock = self.run("containerd", &["config", "default"]).success();
        let mut words = stock.split(['"', '\'']);
        let pause = words.find(|word| word.starts_with("registry.k8s.io/pause:")).unwrap();
        self.import(&[pause, image::NAME], &[]);
    }

    /// Imports an image of busybox under `tags`, without the files or directories `missing`.
    pub(crate) fn import(&self, tags: &[&str], missing: &[&str]) {
        let archive = self.node.path("image.tar");
        image::write_archive(&archive, tags, missing);
        self.run("ctr", &["-n", "k8s.io", "images", "import", archive.to_str().unwrap()]).success();
        // The CRI learns of it a moment later.
        self.until(&["images", "-o", "json"], |images| tags.iter().all(|tag| images.contains(tag)));
    }

    /// Polls crictl until it succeeds with an output that `is_reached` likes.
    #[track_caller]
    pub(crate) fn until(&self, args: &[&str], is_reached: impl Fn(&str) -> bool) {
        for _ in 0..600 {
            let run = self.crictl(args);
            if run.ok && is_reached(&run.stdout) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("never: {args:?}: {:?}\n{}", self.crictl(args), self.log());
    }

    /// What the daemon says.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.node.path("containerd.log")).unwrap_or_default()
    }

    /// A crictl command, not yet started.
    pub(crate) fn crictl_command(&self, args: &[&str]) -> Command {
        let endpoint = format!("unix://{SOCKET}");
        let all = [&["-r", &endpoint, "-t", "60s"], args].concat();
        self.bare_crictl(&all)
    }

    /// crictl with nothing but `args`.
    pub(crate) fn bare_crictl(&self, args: &[&str]) -> Command {
        self.node.command(&self.crictl, args)
    }

    pub(crate) fn crictl(&self, args: &[&str]) -> Run {
        self.crictl_command(args).output().unwrap().into()
    }

    /// The stdout of a crictl that has to succeed: ids, mostly.
    #[track_caller]
    pub(crate) fn ask(&self, args: &[&str]) -> String {
        self.crictl(args).success().trim_end().to_owned()
    }

    /// The JSON that crictl prints.
    #[track_caller]
    pub(crate) fn inspect(&self, command: &str, id: &str) -> Value {
        serde_json::from_str(&self.ask(&[command, id])).unwrap()
    }

    /// Writes a file for crictl; its path.
    pub(crate) fn file(&self, name: &str, config: &Value) -> String {
        let path = self.node.path(name);
        fs::write(&path, config.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The configuration of a pod `default/<name>`, in a cgroup of this node's.
    pub(crate) fn pod_config(&self, name: &str) -> Value {
        let logs = self.node.path("logs");
        fs::create_dir_all(&logs).unwrap();
        let parent = format!("/{}", self.cgroup());
        json!({"metadata": {"name": name, "namespace": "default", "uid": format!("uid-of-{name}"), "attempt": 1},
            "log_directory": logs, "linux": {"cgroup_parent": parent}})
    }

    /// Runs a pod with our runtime handler.
    #[track_caller]
    pub(crate) fn pod(&self, config: &Value) -> Pod<'_> {
        self.pod_with(config, &["--runtime", "podhosts"])
    }

    /// Runs a pod.
    #[track_caller]
    pub(crate) fn pod_with(&self, config: &Value, options: &[&str]) -> Pod<'_> {
        let name = config["metadata"]["name"].as_str().unwrap();
        let file = self.file(&format!("{name}.json"), config);
        let id = self.ask(&[&["runp"], options, &[&file]].concat());
        Pod::new(self, &id, &file)
    }

    /// Executes a shell script in a container.
    pub(crate) fn exec(&self, container: &str, script: &str) -> Run {
        self.crictl(&["exec", container, "sh", "-c", script])
    }

    /// A container's hosts file.
    #[track_caller]
    pub(crate) fn hosts(&self, container: &str) -> String {
        self.exec(container, "cat /etc/hosts").success()
    }

    /// The device of a container's hosts file, which no other container's has.
    #[track_caller]
    pub(crate) fn seal(&self, container: &str) -> String {
        self.exec(container, "stat -c %d /etc/hosts").success()
    }

    /// The cgroup of this node's pods.
    fn cgroup(&self) -> String {
        self.node.path("").file_name().unwrap().to_str().unwrap().to_owned()
    }
}

impl Drop for Containerd {
    /// What is not ended here goes with the node's processes; cgroups do not.
    fn drop(&mut self) {
        self.crictl(&["rmp", "-a", "-f"]);
        self.end("TERM");
        // The other one is containerd's own for pods without a parent; other tests may be in it.
        let script = format!(
            "find /sys/fs/cgroup/*/{} /sys/fs/cgroup/*/k8s.io -depth -type d -exec rmdir {{}} +",
            self.cgroup()
        );
        self.node.run("sh", &["-c", &script]);
    }
}

/// A pod. It stays until the node goes or [`Pod::remove`] is called.
pub(crate) struct Pod<'a> {
    pub(crate) containerd: &'a Containerd,
    pub(crate) id: String,
    file: String,
}

impl<'a> Pod<'a> {
    /// A pod that runs: its id, and the file that it was made of.
    pub(crate) fn new(containerd: &'a Containerd, id: &str, file: &str) -> Self {
        Self { containerd, id: id.to_owned(), file: file.to_owned() }
    }

    /// What is left of it when containerd has to be ended: id and file.
    pub(crate) fn into_parts(self) -> (String, String) {
        (self.id, self.file)
    }

    /// Creates a container; its id.
    #[track_caller]
    pub(crate) fn create(&self, config: &Value) -> String {
        let name = config["metadata"]["name"].as_str().unwrap();
        let file = self.containerd.file(&format!("{}-{name}.json", self.id), config);
        self.containerd.ask(&["create", &self.id, &file, &self.file])
    }

    /// Creates a container and starts it; its id.
    #[track_caller]
    pub(crate) fn start(&self, config: &Value) -> String {
        let id = self.create(config);
        assert_eq!(self.containerd.ask(&["start", &id]), id);
        id
    }

    /// Its addresses as the CRI tells them, which is in the order of the CNI result.
    #[track_caller]
    pub(crate) fn addresses(&self) -> Vec<String> {
        let network = &self.containerd.inspect("inspectp", &self.id)["status"]["network"];
        let more = network["additionalIps"].as_array().unwrap().iter().map(|address| &address["ip"]);
        let all = std::iter::once(&network["ip"]).chain(more).map(|ip| ip.as_str().unwrap().to_owned());
        all.filter(|ip| !ip.is_empty()).collect()
    }

    #[track_caller]
    pub(crate) fn remove(self) {
        self.containerd.ask(&["rmp", "-f", &self.id]);
    }
}

/// A container `name` that stays.
pub(crate) fn sleeping(name: &str) -> Value {
    json!({"metadata": {"name": name}, "image": {"image": image::NAME}, "command": ["sleep", "1000000"],
        "log_path": format!("{name}.log"), "linux": {}})
}

/// Runs tests, which are functions of a [`Containerd`], on each release that they are for.
macro_rules! each_containerd {
    ($($test:ident),* $(,)?) => {
        $(mod $test {
            use $crate::harness::containerd::{Containerd, Release};

            #[test]
            fn containerd_1_6() {
                if let Some(mut containerd) = Containerd::start(Release::Bookworm) {
                    super::$test(&mut containerd);
                }
            }

            #[test]
            fn containerd_2() {
                if let Some(mut containerd) = Containerd::start(Release::Sid) {
                    super::$test(&mut containerd);
                }
            }
        })*
    };
}
pub(crate) use each_containerd;

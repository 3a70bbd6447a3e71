//! containerd with its CRI on a node of its own: the stock configuration, our CNI network, our runtime handler.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::cni::CniNode;
use super::{Run, bin, crictl, has_all, image, newer_engines};

pub(crate) use super::crictl::{Pod, sleeping};

pub(crate) const SOCKET: &str = "/run/containerd/containerd.sock";
pub(crate) const CONFIG: &str = "/etc/containerd/config.toml";
/// Everything of the node's that containerd, the kubelet and CNI write to. What containerd mounts over each other must
/// not be on an overlay. crictl warns where it has no configuration.
const SET_UP: &str = "for dir in /opt /var/lib /var/log; do mount -t tmpfs tmpfs $dir; done; \
                      mkdir -p /opt/cni/bin /etc/cni/net.d /etc/containerd /var/lib/cni /var/log/pods; \
                      : >/etc/crictl.yaml";

/// The file of this Debian's package, which names no handler, but for what a test's node needs: without
/// `CAP_SYS_RESOURCE` nobody may make a process less likely to be killed than its parent.
pub(crate) fn packaged() -> String {
    let packaged = fs::read_to_string(CONFIG).unwrap();
    let section = "[plugins.\"io.containerd.grpc.v1.cri\"]\n";
    assert!(packaged.contains(section) && !packaged.contains("runtimes"), "{packaged}");
    packaged.replace(section, &format!("{section}restrict_oom_score_adj = true\n"))
}

/// The network of podhosts-cni, as the delivered list has it.
pub(crate) const WITH_CNI: &[&str] =
    &["--with-cni", "--pod-cidr", "10.244.0.0/24", "--pod-cidr", "fd00:10:244::/64"];

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
    /// Whether it is there, with what else a node needs.
    fn is_there(self) -> bool {
        let crictl = crictl::program();
        let mut needed =
            vec!["containerd", "runc", "ip", "nft", "busybox", "/usr/lib/cni/loopback", "sha256sum"];
        needed.push(crictl.to_str().unwrap());
        has_all(&needed) && (self == Self::Bookworm || newer_engines().is_some())
    }
}

/// containerd on a node, with the test image `docker.io/library/busybox:latest`.
pub(crate) struct Containerd {
    pub(crate) node: CniNode,
    pub(super) crictl: PathBuf,
    daemon: Option<Child>,
}

impl Containerd {
    /// Starts one with our runtime handler and our network, or says why it is not there.
    pub(crate) fn start(release: Release) -> Option<Self> {
        let mut containerd = Self::new(release)?;
        containerd.podhosts(&[&["configure", "--runtime", "containerd"], WITH_CNI].concat()).success();
        containerd.launch();
        containerd.import_images();
        Some(containerd)
    }

    /// One with the stock configuration, which was not started yet.
    pub(crate) fn new(release: Release) -> Option<Self> {
        if !release.is_there() {
            return None;
        }
        let node = CniNode::with_processes();
        node.sh(SET_UP);
        let mut crictl = crictl::program();
        fs::create_dir(node.path("bin")).unwrap();
        match release {
            Release::Bookworm => {}
            Release::Sid => {
                for name in ["containerd", "containerd-shim-runc-v2", "ctr"] {
                    let program = newer_engines()?.join("usr/bin").join(name);
                    std::os::unix::fs::symlink(program, node.path("bin").join(name)).unwrap();
                }
            }
            Release::SidWithRunc => {
                // A real one may be in the /usr that is covered.
                fs::copy(&crictl, node.path("bin/crictl")).unwrap();
                crictl = node.path("bin/crictl");
                let usr = newer_engines()?.join("usr");
                node.sh(&format!("mount --bind {} /usr && mount -o remount,bind,ro /usr", usr.display()));
            }
        }
        let containerd = Self { node, crictl, daemon: None };
        containerd.configure();
        Some(containerd)
    }

    /// A program on the node, found where this containerd comes from first.
    fn command(&self, program: &str, args: &[&str]) -> Command {
        let path = format!("PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", self.node.path("bin").display());
        self.node.command("env", &[&[path.as_str(), program], args].concat())
    }

    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Run {
        self.command(program, args).output().unwrap().into()
    }

    /// The stock configuration, and what this node needs beyond it.
    fn configure(&self) {
        let stock = self.run("containerd", &["config", "default"]).success();
        // Without CAP_SYS_RESOURCE nobody may make a process less likely to be killed than its parent.
        let oom = "restrict_oom_score_adj = false";
        assert!(stock.contains(oom), "{stock}");
        fs::write(self.node.file(CONFIG), stock.replace(oom, "restrict_oom_score_adj = true")).unwrap();
        let plugin = bin("podhosts-cni");
        self.node.sh(&format!("ln -s {} /usr/lib/cni/loopback /opt/cni/bin", plugin.display()));
    }

    /// Runs podhosts on the node.
    pub(crate) fn podhosts(&self, args: &[&str]) -> Run {
        self.run(bin("podhosts").to_str().unwrap(), args)
    }

    /// Starts the daemon.
    pub(crate) fn spawn(&mut self) {
        let log =
            fs::File::options().append(true).create(true).open(self.node.path("containerd.log")).unwrap();
        let script = format!("echo $$ >{}; exec containerd -l warn", self.node.path("pid").display());
        let mut command = self.command("sh", &["-c", &script]);
        self.daemon = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Starts the daemon and waits until it is ready.
    pub(crate) fn launch(&mut self) {
        self.spawn();
        self.is_launched();
    }

    /// Waits until the daemon is ready, its network included.
    pub(crate) fn is_launched(&self) {
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
    pub(crate) fn import_images(&self) {
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

    /// What the daemon says.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.node.path("containerd.log")).unwrap_or_default()
    }

    /// The cgroup of this node's pods.
    pub(super) fn cgroup(&self) -> String {
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

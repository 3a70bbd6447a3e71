//! podman on a node of its own, with the hooks directory and a dual-stack network.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::Value;

use super::cni::CniNode;
use super::outside::delivered;
use super::{Run, Runtime, bin, busybox_root, has_all, newer_engines};

/// The image, and the one of pods' infra containers, which has to have an entry point.
pub(crate) const IMAGE: &str = "localhost/busybox";
const PAUSE: &str = "localhost/pause";

/// Everything of the node's that podman writes to. Its locks, all of a machine in one file, are in /dev/shm.
const SET_UP: &str = "for dir in /var/lib /var/tmp /dev/shm; do mount -t tmpfs tmpfs $dir; done; \
                      rm -rf /etc/containers; mkdir -p /etc/containers/networks /etc/podhosts";

/// A podman that is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// Debian bookworm's, 4.3, with runc 1.1 or crun 1.8, and our CNI plugin.
    Bookworm,
    /// Debian sid's, 5.x, with sid's runtimes and netavark.
    Sid,
}

impl Release {
    fn is_there(self, runtime: Runtime) -> bool {
        let needed = ["podman", runtime.name(), "ip", "nft", "busybox", "unshare"];
        match self {
            Self::Bookworm => has_all(&needed),
            Self::Sid => has_all(&needed[1..]) && newer_engines().is_some(),
        }
    }
}

/// podman on a node.
pub(crate) struct Podman {
    pub(crate) node: CniNode,
    pub(crate) release: Release,
    pub(crate) runtime: Runtime,
}

impl Podman {
    /// Makes a node with our hook, or says why there is none.
    pub(crate) fn configured(release: Release, runtime: Runtime) -> Option<Self> {
        let podman = Self::new(release, runtime)?;
        podman.podhosts(&["configure", "--runtime", "podman"]).success();
        Some(podman)
    }

    /// The same without podhosts in podman's configuration.
    pub(crate) fn new(release: Release, runtime: Runtime) -> Option<Self> {
        if !release.is_there(runtime) {
            return None;
        }
        let node = CniNode::with_processes();
        node.sh(SET_UP);
        if release == Release::Sid {
            let usr = newer_engines()?.join("usr");
            node.sh(&format!("mount --bind {} /usr && mount -o remount,bind,ro /usr", usr.display()));
        }
        let podman = Self { node, release, runtime };
        podman.configure();
        podman.import_images();
        if release == Release::Sid {
            podman.ask(&["network", "create", "--ipv6", podman.network()]);
        }
        Some(podman)
    }

    /// What podman has to leave out on a test machine: raising limits, overlay storage, a cgroup per systemd unit.
    fn configure(&self) {
        let plugins = self.node.path("plugins");
        let network = match self.release {
            Release::Bookworm => {
                fs::create_dir(&plugins).unwrap();
                symlink(bin("podhosts-cni"), plugins.join("podhosts-cni")).unwrap();
                self.write("/etc/containers/networks/10-podhosts.conflist", &delivered());
                format!(
                    "network_backend = \"cni\"\nnetwork_config_dir = \"/etc/containers/networks\"\n\
                     cni_plugin_dirs = [{plugins:?}, \"/usr/lib/cni\"]\n"
                )
            }
            Release::Sid => String::new(),
        };
        let conf = format!(
            "[containers]\ncgroups = \"no-conmon\"\nseccomp_profile = \"unconfined\"\n\
             default_ulimits = [\"nofile=1024:1024\", \"nproc=1000:1000\"]\n\
             [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime = {:?}\n\
             infra_image = {PAUSE:?}\n[network]\n{network}",
            self.runtime.name()
        );
        self.write("/etc/containers/containers.conf", &conf);
        let storage = "[storage]\ndriver = \"vfs\"\ngraphroot = \"/var/lib/containers/storage\"\n\
                       runroot = \"/run/containers/storage\"\n";
        self.write("/etc/containers/storage.conf", storage);
        self.write("/etc/containers/policy.json", "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}");
        let log = self.node.path("hook.log");
        self.write("/etc/podhosts/config.toml", &format!("log.file = {log:?}\n"));
    }

    /// Runs podhosts on the node.
    pub(crate) fn podhosts(&self, args: &[&str]) -> Run {
        self.node.run(bin("podhosts"), args)
    }

    fn import_images(&self) {
        let (root, tar) = (self.node.path("root"), self.node.path("root.tar"));
        busybox_root(&root);
        self.node.sh(&format!("tar -C {} -cf {} .", root.display(), tar.display()));
        // Under runc 1.1 exec looks for programs where the image says.
        for (name, change) in [(IMAGE, "CMD"), (PAUSE, "ENTRYPOINT")] {
            let change = format!("{change} [\"/bin/sleep\", \"1000000\"]");
            let path = "ENV PATH=/bin";
            self.ask(&["import", "--change", path, "--change", &change, tar.to_str().unwrap(), name]);
        }
    }

    /// Writes a file on the node.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.node.file(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn call(&self, args: &[&str]) -> Run {
        let mut command = self.node.command("podman", args);
        command.env("PODMAN_IGNORE_CGROUPSV1_WARNING", "1");
        command.output().unwrap().into()
    }

    /// The stdout of a call that has to succeed: ids, mostly.
    #[track_caller]
    pub(crate) fn ask(&self, args: &[&str]) -> String {
        self.call(args).success().trim_end().to_owned()
    }

    /// The name of the dual-stack network.
    pub(crate) fn network(&self) -> &'static str {
        match self.release {
            Release::Bookworm => "podhosts",
            Release::Sid => "dual",
        }
    }

    /// An annotation as an argument: podman 4 reads it as CSV.
    pub(crate) fn annotation(&self, key: &str, value: &str) -> String {
        match self.release {
            Release::Bookworm => format!("--annotation=\"{key}={}\"", value.replace('"', "\"\"")),
            Release::Sid => format!("--annotation={key}={value}"),
        }
    }

    /// The parent of containers' cgroups.
    pub(crate) fn cgroup(&self) -> String {
        format!("--cgroup-parent=/{}", self.cgroup_name())
    }

    fn cgroup_name(&self) -> String {
        self.node.path("").file_name().unwrap().to_str().unwrap().to_owned()
    }

    /// Tries to start a container that stays, as `podman run` with these options.
    pub(crate) fn run(&self, name: &str, options: &[&str]) -> Run {
        let cgroup = self.cgroup();
        self.call(&[&["run", "-d", "--name", name, &cgroup], options, &[IMAGE]].concat())
    }

    /// Starts a container that stays; its id.
    #[track_caller]
    pub(crate) fn start(&self, name: &str, options: &[&str]) -> String {
        self.run(name, options).success().trim().to_owned()
    }

    pub(crate) fn exec(&self, name: &str, script: &str) -> Run {
        self.call(&["exec", name, "sh", "-c", script])
    }

    /// A container's hosts file.
    #[track_caller]
    pub(crate) fn hosts(&self, name: &str) -> String {
        self.exec(name, "cat /etc/hosts").success()
    }

    /// A container's addresses as podman tells them, IPv4 first.
    #[track_caller]
    pub(crate) fn addresses(&self, name: &str) -> [String; 2] {
        let all: Value = serde_json::from_str(&self.ask(&["inspect", name])).unwrap();
        let network = &all[0]["NetworkSettings"]["Networks"][self.network()];
        ["IPAddress", "GlobalIPv6Address"].map(|key| network[key].as_str().unwrap().to_owned())
    }

    /// The hook's log.
    pub(crate) fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.node.path("hook.log")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A file of the test's, for podman to read.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.node.path(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Podman {
    /// Processes go with the node; cgroups do not, and podman leaves those of pods.
    fn drop(&mut self) {
        self.call(&["pod", "rm", "-f", "-t", "0", "--all"]);
        self.call(&["rm", "-f", "-t", "0", "--all"]);
        let script =
            format!("find /sys/fs/cgroup/*/{} -depth -type d -exec rmdir {{}} +", self.cgroup_name());
        self.node.run("sh", &["-c", &script]);
    }
}

/// Runs tests, which are functions of a [`Podman`], on each release with each runtime.
macro_rules! each_podman {
    ($($test:ident),* $(,)?) => {
        $(mod $test {
            use $crate::harness::Runtime;
            use $crate::harness::podman::{Podman, Release};

            fn run(release: Release, runtime: Runtime) {
                if let Some(podman) = Podman::configured(release, runtime) {
                    super::$test(&podman);
                }
            }

            #[test]
            fn podman_4_with_runc() {
                run(Release::Bookworm, Runtime::Runc);
            }

            #[test]
            fn podman_4_with_crun() {
                run(Release::Bookworm, Runtime::Crun);
            }

            #[test]
            fn podman_5_with_runc() {
                run(Release::Sid, Runtime::Runc);
            }

            #[test]
            fn podman_5_with_crun() {
                run(Release::Sid, Runtime::Crun);
            }
        })*
    };
}
pub(crate) use each_podman;

//! Bundles: busybox as root file system, oci-spec's default configuration with what a test wants changed.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use oci_spec::runtime::Spec;
use serde_json::{Value, json};

use super::{Node, bin};

/// What containerd, CRI-O and podman give a container that asks for nothing.
pub(crate) const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];
/// First id on the node of containers with a user namespace.
pub(crate) const MAPPED_ROOT: u32 = 100_000;

/// A bundle in the making.
pub(crate) struct Bundle {
    dir: PathBuf,
    pub(crate) config: Value,
}

impl Bundle {
    /// A bundle that runs `script`, with an empty network namespace and no hook.
    pub(crate) fn new(node: &Node, script: &str) -> Self {
        let free = (1..).map(|n| node.path(&format!("bundle-{n}"))).find(|dir| !dir.exists());
        let dir = free.expect("a free name");
        let root = dir.join("rootfs");
        busybox_root(&root);
        let mut bundle = Self { dir, config: serde_json::to_value(Spec::default()).unwrap() };
        bundle.set_defaults(script);
        bundle
    }

    fn set_defaults(&mut self, script: &str) {
        let config = &mut self.config;
        config["hostname"] = "web".into();
        config["root"] = json!({"path": "rootfs", "readonly": false});
        config["process"]["terminal"] = false.into();
        config["process"]["args"] = json!(["sh", "-c", script]);
        // Raising limits needs a capability that a test machine may lack.
        config["process"]["rlimits"] = json!([]);
        let is_cgroup = |mount: &Value| mount["type"] == "cgroup";
        config["mounts"].as_array_mut().unwrap().retain(|mount| !is_cgroup(mount));
        let is_cgroup = |namespace: &Value| namespace["type"] == "cgroup";
        config["linux"]["namespaces"].as_array_mut().unwrap().retain(|namespace| !is_cgroup(namespace));
        config["linux"]["resources"] = json!({});
        self.capabilities(&DEFAULT_CAPABILITIES);
    }

    /// The directory of the root file system, to be made hostile.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn capabilities(&mut self, capabilities: &[&str]) {
        let sets = ["bounding", "effective", "permitted", "inheritable"];
        self.config["process"]["capabilities"] =
            sets.iter().map(|set| ((*set).to_owned(), json!(capabilities))).collect();
    }

    pub(crate) fn annotate(mut self, key: &str, value: &str) -> Self {
        self.config["annotations"][key] = value.into();
        self
    }

    /// The annotations of containerd's CRI plugin for a container of `default/web`.
    pub(crate) fn containerd(self) -> Self {
        self.annotate("io.kubernetes.cri.container-type", "container")
            .annotate("io.kubernetes.cri.sandbox-id", "sandbox-1")
            .annotate("io.kubernetes.cri.sandbox-name", "web")
            .annotate("io.kubernetes.cri.sandbox-namespace", "default")
            .annotate("io.kubernetes.cri.sandbox-uid", "uid-1")
    }

    /// Joins the network namespace at `path`, or the node's own.
    pub(crate) fn network(mut self, path: Option<&Path>) -> Self {
        let namespaces = self.config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "network");
        if let Some(path) = path {
            namespaces.push(json!({"type": "network", "path": path}));
        }
        self
    }

    /// Adds a bind mount.
    pub(crate) fn mount(mut self, source: &Path, destination: &str) -> Self {
        let mount = json!({
            "destination": destination, "type": "bind", "source": source, "options": ["bind", "rprivate", "rw"],
        });
        self.config["mounts"].as_array_mut().unwrap().push(mount);
        self
    }

    /// Runs it in a user namespace whose root is [`MAPPED_ROOT`] on the node.
    pub(crate) fn user_namespace(mut self) -> Self {
        let mapping = json!([{"containerID": 0, "hostID": MAPPED_ROOT, "size": 65536}]);
        self.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        self.config["linux"]["uidMappings"] = mapping.clone();
        self.config["linux"]["gidMappings"] = mapping;
        give_to_mapped_root(&self.rootfs());
        self
    }

    /// Adds the hook as hooks.d does, with `args` behind the program's name.
    pub(crate) fn hook(self, args: &[&str]) -> Self {
        let path = bin("podhosts-hook");
        self.hook_program(&path, args)
    }

    pub(crate) fn hook_program(mut self, path: &Path, args: &[&str]) -> Self {
        let args: Vec<&str> = std::iter::once("podhosts-hook").chain(args.iter().copied()).collect();
        self.config["hooks"]["createRuntime"] = json!([{"path": path, "args": args, "timeout": 30}]);
        self
    }

    /// Writes config.json; the bundle's directory.
    pub(crate) fn write(&self) -> PathBuf {
        // Pretty, as engines do not write it: the wrapper must not mind.
        let text = serde_json::to_string_pretty(&self.config).unwrap();
        fs::write(self.dir.join("config.json"), text).unwrap();
        self.dir.clone()
    }
}

/// Makes a root file system out of busybox.
pub(crate) fn busybox_root(root: &Path) {
    for name in ["bin", "etc", "proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    let busybox = super::which("busybox").expect("busybox");
    fs::copy(&busybox, root.join("bin/busybox")).unwrap();
    let applets = Command::new(&busybox).arg("--list").output().unwrap().stdout;
    for applet in String::from_utf8(applets).unwrap().lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/hosts"), "127.0.0.1 image\n").unwrap();
}

fn give_to_mapped_root(path: &Path) {
    let metadata = path.symlink_metadata().unwrap();
    std::os::unix::fs::lchown(path, Some(MAPPED_ROOT), Some(MAPPED_ROOT)).unwrap();
    if metadata.is_dir() {
        chown(path, Some(MAPPED_ROOT), Some(MAPPED_ROOT)).unwrap();
        for entry in fs::read_dir(path).unwrap() {
            give_to_mapped_root(&entry.unwrap().path());
        }
    }
}

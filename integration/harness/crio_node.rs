//! CRI-O on a node of its own, where the machine has its programs: the layout of its packages, our CNI network.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::cni::CniNode;
use super::containerd::WITH_CNI;
use super::{Run, bin, busybox_root, crictl, crio, has_all, image, newer_engines, skip, which};

const SOCKET: &str = "unix:///run/crio/crio.sock";

const PAUSE: &str = "localhost/pause:latest";

/// Everything of the node's that CRI-O, its storage and CNI write to. Nothing may be on an overlay that is a root of
/// another one. Pods with user namespaces take their ids from /etc/subuid.
const SET_UP: &str = "for dir in /opt /var/lib /var/log /var/tmp; do mount -t tmpfs tmpfs $dir; done; \
    rm -rf /etc/containers /etc/crio /etc/cni /etc/podhosts; \
    mkdir -p /opt/cni/bin /etc/cni/net.d /etc/containers /etc/crio/crio.conf.d /var/lib/cni /run/lock; \
    echo containers:1000000:1000000 | tee /etc/subuid >/etc/subgid; \
    echo '{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}' >/etc/containers/policy.json; \
    echo '[storage]\ndriver = \"overlay\"\ngraphroot = \"/var/lib/containers/storage\"\n\
runroot = \"/run/containers/storage\"' >/etc/containers/storage.conf; : >/etc/crictl.yaml";

/// A low-level runtime as CRI-O calls it. Without `CAP_SYS_RESOURCE`, which a test machine may lack, nobody may make a
/// process less likely to be killed than its parent, or give it that capability.
const SHIM: &str = r#"#!/bin/sh
before=
for arg in "$@"; do
    case $before in --bundle) file=$arg/config.json ;; --process) file=$arg ;; *) file= ;; esac
    if [ -f "$file" ]; then
        sed -i -e 's/"CAP_SYS_RESOURCE",//g' -e 's/"oomScoreAdj": *-[0-9]*/"oomScoreAdj":0/' "$file"
    fi
    before=$arg
done
"#;

/// A low-level runtime that is tested under CRI-O.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Low {
    /// This machine's runc, as CRI-O 1.37 speaks a version of OCI that crun 1.8 does not know.
    Runc,
    /// The newest crun, with everything else in /usr from where it is.
    NewCrun,
}

impl Low {
    fn name(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::NewCrun => "crun",
        }
    }
}

/// CRI-O on a node, with the test image.
pub(crate) struct CrioNode {
    pub(crate) node: CniNode,
    crictl: PathBuf,
    daemon: Option<Child>,
}

impl CrioNode {
    /// Starts one with the hook for all pods and our network, or says what is missing.
    pub(crate) fn start(low: Low) -> Option<Self> {
        let mut crio = Self::new(low)?;
        crio.configure(WITH_CNI);
        crio.launch();
        Some(crio)
    }

    /// One without podhosts that was not started yet.
    pub(crate) fn new(low: Low) -> Option<Self> {
        let program = crio::program()?;
        let Some(pinns) =
            which("pinns").or_else(|| Some(program.with_file_name("pinns"))).filter(|p| p.exists())
        else {
            skip("CRI-O's pinns is neither on PATH nor beside it");
            return None;
        };
        if !has_all(&["podman", "conmon", "runc", "ip", "nft", "busybox", "/usr/lib/cni/loopback"]) {
            return None;
        }
        let node = CniNode::with_processes();
        node.sh(SET_UP);
        let bin_dir = node.path("bin");
        fs::create_dir(&bin_dir).unwrap();
        for (name, from) in [("crio", &program), ("pinns", &pinns), ("crictl", &crictl::program())] {
            fs::copy(from, bin_dir.join(name)).unwrap();
        }
        let crio = Self { node, crictl: bin_dir.join("crictl"), daemon: None };
        crio.import(&[image::NAME], &[]);
        crio.import_pause();
        if low == Low::NewCrun {
            let usr = newer_engines()?.join("usr");
            crio.node.sh(&format!("mount --bind {} /usr && mount -o remount,bind,ro /usr", usr.display()));
        }
        crio.write_config(low);
        crio.node.sh(&format!("ln -s {} /usr/lib/cni/* /opt/cni/bin", bin("podhosts-cni").display()));
        Some(crio)
    }

    /// As CRI-O's packages have it: a drop-in, and the runtimes where only CRI-O looks.
    fn write_config(&self, low: Low) {
        let shim = self.node.path(low.name());
        fs::write(&shim, format!("{SHIM}exec /usr/bin/{} \"$@\"\n", low.name())).unwrap();
        fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).unwrap();
        let text = format!(
            "[crio.image]\npause_image = {PAUSE:?}\npause_command = \"\"\n\
             [crio.runtime]\ndefault_runtime = {name:?}\ncgroup_manager = \"cgroupfs\"\nconmon_cgroup = \"pod\"\n\
             [crio.runtime.runtimes.{name}]\nruntime_path = {shim:?}\nruntime_root = \"/run/{name}\"\n\
             monitor_path = \"/usr/bin/conmon\"\nmonitor_cgroup = \"pod\"\n\
             allowed_annotations = [\"io.kubernetes.cri-o.userns-mode\"]\n",
            name = low.name(),
        );
        fs::write(self.node.file("/etc/crio/crio.conf.d/10-crio.conf"), text).unwrap();
    }

    /// Puts an image of busybox into the node's storage under `tags`, without the files or directories `missing`.
    pub(crate) fn import(&self, tags: &[&str], missing: &[&str]) {
        let archive = self.node.path("image.tar");
        image::write_archive(&archive, tags, missing);
        self.run("podman", &["load", "-q", "-i", archive.to_str().unwrap()]).success();
    }

    /// The image of pods' infra containers, which has to have an entry point.
    fn import_pause(&self) {
        let (root, tar) = (self.node.path("root"), self.node.path("root.tar"));
        busybox_root(&root);
        self.node.sh(&format!("tar -C {} -cf {} .", root.display(), tar.display()));
        let change = "ENTRYPOINT [\"/bin/sleep\", \"1000000\"]";
        self.run("podman", &["import", "-q", "--change", change, tar.to_str().unwrap(), PAUSE]).success();
    }

    /// Runs a program of the node's.
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Run {
        let path = format!("PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", self.node.path("bin").display());
        self.node.run("env", &[&[path.as_str(), program], args].concat())
    }

    /// Runs podhosts on the node.
    pub(crate) fn podhosts(&self, args: &[&str]) -> Run {
        self.run(bin("podhosts").to_str().unwrap(), args)
    }

    /// `podhosts configure` for CRI-O, which has to succeed.
    #[track_caller]
    pub(crate) fn configure(&self, args: &[&str]) -> String {
        self.podhosts(&[&["configure", "--runtime", "crio"], args].concat()).success()
    }

    /// Starts the daemon and waits until it is ready, its network included.
    pub(crate) fn launch(&mut self) {
        let log = fs::File::options().append(true).create(true).open(self.node.path("crio.log")).unwrap();
        let script = format!(
            "export PATH={}:/usr/sbin:/usr/bin:/sbin:/bin; echo $$ >{}; exec crio --log-level warn",
            self.node.path("bin").display(),
            self.node.path("pid").display()
        );
        let mut command = self.node.command("sh", &["-c", &script]);
        self.daemon = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        self.until(|crio| {
            let info = crio.crictl(&["info", "-q"]);
            let info: Value = serde_json::from_str(&info.stdout).unwrap_or_default();
            let conditions = info["status"]["conditions"].as_array();
            conditions.is_some_and(|all| all.iter().all(|condition| condition["status"] == true))
        });
    }

    /// Polls until something is so.
    #[track_caller]
    pub(crate) fn until(&self, is_so: impl Fn(&Self) -> bool) {
        for _ in 0..600 {
            if is_so(self) {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("never: {}", fs::read_to_string(self.node.path("crio.log")).unwrap_or_default());
    }

    /// Ends the daemon by `signal`. Containers go on.
    pub(crate) fn end(&mut self, signal: &str) {
        let Some(mut daemon) = self.daemon.take() else { return };
        self.node.run("sh", &["-c", &format!("kill -{signal} $(cat {})", self.node.path("pid").display())]);
        let _ = daemon.wait();
    }

    pub(crate) fn crictl(&self, args: &[&str]) -> Run {
        self.node.run(&self.crictl, &[&["-r", SOCKET, "-t", "60s"], args].concat())
    }

    /// The stdout of a crictl that has to succeed: ids, mostly.
    #[track_caller]
    pub(crate) fn ask(&self, args: &[&str]) -> String {
        self.crictl(args).success().trim_end().to_owned()
    }

    /// The configuration of a pod `default/<name>` that shares what `namespaces` says.
    pub(crate) fn pod_config(&self, name: &str, namespaces: &Value) -> Value {
        let logs = self.node.path("logs");
        fs::create_dir_all(&logs).unwrap();
        let parent = format!("/{}", self.cgroup());
        json!({"metadata": {"name": name, "namespace": "default", "uid": format!("uid-of-{name}"), "attempt": 1},
            "log_directory": logs, "linux": {"cgroup_parent": parent,
                "security_context": {"namespace_options": namespaces}}})
    }

    /// Runs a pod.
    #[track_caller]
    pub(crate) fn pod(&self, config: &Value, options: &[&str]) -> CrioPod<'_> {
        let file = self.file(&format!("{}.json", config["metadata"]["name"].as_str().unwrap()), config);
        let id = self.ask(&[&["runp"], options, &[&file]].concat());
        let namespaces = config["linux"]["security_context"]["namespace_options"].clone();
        CrioPod { crio: self, id, file, namespaces }
    }

    fn file(&self, name: &str, config: &Value) -> String {
        let path = self.node.path(name);
        fs::write(&path, config.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
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

    /// The last line of the hook's log.
    #[track_caller]
    pub(crate) fn last_log(&self) -> Value {
        let log = fs::read_to_string(self.node.file("/var/log/podhosts/hook.log")).unwrap();
        serde_json::from_str(log.lines().last().unwrap()).unwrap()
    }

    fn cgroup(&self) -> String {
        self.node.path("").file_name().unwrap().to_str().unwrap().to_owned()
    }
}

impl Drop for CrioNode {
    /// What is not ended here goes with the node's processes; cgroups do not.
    fn drop(&mut self) {
        for id in self.crictl(&["ps", "-q"]).stdout.lines() {
            self.crictl(&["stop", "-t", "0", id]);
        }
        self.crictl(&["rmp", "-a", "-f"]);
        self.end("TERM");
        let script = format!("find /sys/fs/cgroup/*/{} -depth -type d -exec rmdir {{}} +", self.cgroup());
        self.node.run("sh", &["-c", &script]);
    }
}

/// A pod. It stays until the node goes or [`CrioPod::remove`] is called.
pub(crate) struct CrioPod<'a> {
    crio: &'a CrioNode,
    pub(crate) id: String,
    file: String,
    namespaces: Value,
}

impl CrioPod<'_> {
    /// What is left of it when CRI-O has to be ended.
    pub(crate) fn into_parts(self) -> (String, String, Value) {
        (self.id, self.file, self.namespaces)
    }

    /// A pod by what [`CrioPod::into_parts`] gave.
    pub(crate) fn again(crio: &CrioNode, (id, file, namespaces): (String, String, Value)) -> CrioPod<'_> {
        CrioPod { crio, id, file, namespaces }
    }

    /// Tries to create a container that stays, with `more` in its configuration; its id.
    pub(crate) fn create(&self, name: &str, more: &Value) -> Run {
        let mut config = json!({"metadata": {"name": name}, "image": {"image": image::NAME},
            "command": ["sleep", "1000000"], "log_path": format!("{name}.log"),
            "linux": {"security_context": {"namespace_options": self.namespaces}}});
        for (key, value) in more.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        let file = self.crio.file(&format!("{}-{name}.json", self.id), &config);
        self.crio.crictl(&["create", &self.id, &file, &self.file])
    }

    /// Starts a container that stays; its id.
    #[track_caller]
    pub(crate) fn start(&self, name: &str) -> String {
        self.start_with(name, &Value::Null)
    }

    /// The same with `more` in its configuration.
    #[track_caller]
    pub(crate) fn start_with(&self, name: &str, more: &Value) -> String {
        let id = self.create(name, more).success().trim_end().to_owned();
        assert_eq!(self.crio.ask(&["start", &id]), id);
        id
    }

    /// Its file as `podhosts render` has it, with the addresses that the CRI tells.
    #[track_caller]
    pub(crate) fn rendered(&self) -> String {
        let status: Value = serde_json::from_str(&self.crio.ask(&["inspectp", &self.id])).unwrap();
        let network = &status["status"]["network"];
        let more = network["additionalIps"].as_array().into_iter().flatten().map(|address| &address["ip"]);
        let addresses = std::iter::once(&network["ip"]).chain(more).filter_map(Value::as_str);
        let options = addresses.filter(|ip| !ip.is_empty()).flat_map(|ip| ["--pod-ip", ip]);
        let args: Vec<&str> = ["render", "-f", &self.file].into_iter().chain(options).collect();
        self.crio.podhosts(&args).success()
    }

    #[track_caller]
    pub(crate) fn remove(self) {
        for id in self.crio.ask(&["ps", "-q", "-p", &self.id]).lines() {
            self.crio.ask(&["stop", "-t", "0", id]);
        }
        self.crio.ask(&["rmp", "-f", &self.id]);
    }
}

/// Runs tests, which are functions of a [`CrioNode`], with each low-level runtime.
macro_rules! each_crio {
    ($($test:ident),* $(,)?) => {
        $(mod $test {
            use $crate::harness::crio_node::{CrioNode, Low};

            #[test]
            fn with_runc() {
                if let Some(mut crio) = CrioNode::start(Low::Runc) {
                    super::$test(&mut crio);
                }
            }

            #[test]
            fn with_new_crun() {
                if let Some(mut crio) = CrioNode::start(Low::NewCrun) {
                    super::$test(&mut crio);
                }
            }
        })*
    };
}
pub(crate) use each_crio;

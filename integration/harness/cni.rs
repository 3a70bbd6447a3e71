//! A node for the CNI plugin: network and mount namespaces of its own that last, with pods' namespaces in them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Run, bin};

/// An /etc that can be written to without anybody noticing, empty /run and /var/lib/cni, pure cgroup v1.
const SET_UP: &str = r#"
set -e
mkdir -p "$1/etc" "$1/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" /etc
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /var/lib/cni
mount -t tmpfs tmpfs /var/lib/cni
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
ip link set lo up
echo ready
# The first process of a process namespace has to see to those that lost their parents.
if [ $$ = 1 ]; then sleep 100000 & wait $!; fi
exec sleep 100000
"#;

/// A node. It goes with the value, and everything in it.
pub(crate) struct CniNode {
    holder: Child,
    /// The process that is in the node's namespaces.
    inside: u32,
    enter: &'static [&'static str],
    dir: TempDir,
}

/// One call of a plugin.
#[derive(Clone)]
pub(crate) struct Call<'a> {
    pub(crate) command: &'a str,
    pub(crate) container: &'a str,
    /// A path, or the name of a pod's namespace.
    pub(crate) netns: &'a str,
    pub(crate) ifname: &'a str,
    pub(crate) args: &'a str,
    pub(crate) config: &'a Value,
}

impl<'a> Call<'a> {
    /// A call for `container`'s eth0, in the namespace of the same name, as an engine of Kubernetes makes it.
    pub(crate) fn new(command: &'a str, container: &'a str, config: &'a Value) -> Self {
        let args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_UID=u1";
        Self { command, container, netns: container, ifname: "eth0", args, config }
    }
}

impl CniNode {
    pub(crate) fn new() -> Self {
        let mut node = Self::held(&[]);
        node.inside = node.holder.id();
        node
    }

    /// A node with a process namespace of its own: whatever an engine leaves running ends with the node.
    pub(crate) fn with_processes() -> Self {
        let mut node = Self::held(&["-p", "--fork", "--kill-child", "--mount-proc"]);
        let holder = node.holder.id();
        let children = fs::read_to_string(format!("/proc/{holder}/task/{holder}/children")).unwrap();
        node.inside = children.trim().parse().unwrap();
        node.enter = &["-m", "-n", "-p", "--"];
        node
    }

    fn held(options: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("podhosts-test.").tempdir().unwrap();
        let mut holder = Command::new("unshare")
            .args(["-m", "-n", "--propagation", "private"])
            .args(options)
            .args(["sh", "-c", SET_UP, "sh"])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        holder.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        Self { holder, inside: 0, enter: &["-m", "-n", "--"], dir }
    }

    /// The process that is in it, as `ip link set … netns` wants it.
    pub(crate) fn pid(&self) -> u32 {
        self.inside
    }

    /// A directory of the test's that is the same inside the node.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of the node's, seen from outside: `/run/podhosts/...`.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.inside))
    }

    /// A program inside the node.
    pub(crate) fn command(&self, program: impl AsRef<Path>, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("-t").arg(self.inside.to_string()).args(self.enter);
        command.arg(program.as_ref()).args(args).stdin(Stdio::null());
        command
    }

    /// Runs a program inside the node.
    pub(crate) fn run(&self, program: impl AsRef<Path>, args: &[&str]) -> Run {
        self.command(program, args).output().unwrap().into()
    }

    /// Runs a shell script inside the node; it has to succeed.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        self.run("sh", &["-ec", script]).success()
    }

    /// Makes a pod's network namespace, with its loopback interface up.
    pub(crate) fn pod(&self, name: &str) {
        self.sh(&format!("ip netns add {name}; ip -n {name} link set lo up"));
    }

    /// Runs a shell script in a pod; it has to succeed.
    #[track_caller]
    pub(crate) fn in_pod(&self, name: &str, script: &str) -> String {
        self.run("ip", &["netns", "exec", name, "sh", "-ec", script]).success()
    }

    /// Everything that an ADD may make in a pod.
    pub(crate) fn pod_state(&self, name: &str) -> String {
        // The kernel enters IPv6 addresses into the local table a moment later.
        self.in_pod(name, "ip -o link; ip -o addr; ip route; ip -6 route")
    }

    /// Calls our plugin.
    pub(crate) fn call(&self, call: &Call<'_>) -> Run {
        self.call_plugin(&bin("podhosts-cni"), call)
    }

    /// Calls a plugin.
    pub(crate) fn call_plugin(&self, plugin: &Path, call: &Call<'_>) -> Run {
        self.pipe(self.plugin_command(plugin, call), call.config.to_string().as_bytes())
    }

    /// A plugin with its environment, still without its input.
    pub(crate) fn plugin_command(&self, plugin: &Path, call: &Call<'_>) -> Command {
        let netns = match call.netns {
            "" => String::new(),
            path if path.starts_with('/') => path.to_owned(),
            name => format!("/run/netns/{name}"),
        };
        let mut command = self.command(plugin, &[]);
        command.env("CNI_COMMAND", call.command).env("CNI_PATH", "/usr/lib/cni").env("CNI_ARGS", call.args);
        for (name, value) in
            [("CNI_CONTAINERID", call.container), ("CNI_NETNS", &netns), ("CNI_IFNAME", call.ifname)]
        {
            if !value.is_empty() {
                command.env(name, value);
            }
        }
        command
    }

    /// Runs a command with `input` on its stdin.
    pub(crate) fn pipe(&self, command: Command, input: &[u8]) -> Run {
        Run::with_input(command, input)
    }

    /// ADD, which has to succeed, and its result.
    #[track_caller]
    pub(crate) fn add(&self, container: &str, config: &Value) -> Value {
        serde_json::from_str(&self.call(&Call::new("ADD", container, config)).success()).unwrap()
    }

    /// DEL, which has to succeed and says nothing.
    #[track_caller]
    pub(crate) fn del(&self, container: &str, config: &Value) {
        assert_eq!(self.call(&Call::new("DEL", container, config)).success(), "");
    }

    /// GC that keeps the eth0 of `valid`.
    #[track_caller]
    pub(crate) fn gc(&self, valid: &[&str], config: &Value) {
        let mut config = config.clone();
        config["cniVersion"] = "1.1.0".into();
        config["cni.dev/valid-attachments"] =
            valid.iter().map(|id| json!({"containerID": id, "ifname": "eth0"})).collect();
        assert_eq!(self.call(&Call::new("GC", "", &config)).success(), "");
    }

    /// Everything that an ADD may leave on the node: interfaces, routes, rules, and files but locks and databases. That
    /// a bridge has no port left the kernel notices in its own time, and so it does with the link-local address that it gives
    /// a bridge itself.
    pub(crate) fn traces(&self) -> String {
        self.sh("ip -o link | cut -d: -f2; ip -o addr | awk '{print $2,$4}' | sed '/ fe80::.*ff:fe/d'; \
             (ip route; ip -6 route) | sed 's/ linkdown//; /^fe80::.64 dev/d'; \
             nft list ruleset; (grep -l 1 /proc/sys/net/ipv4/conf/*/route_localnet || true); cd /run; find podhosts -type f -o -type l 2>/dev/null | grep -v -e '/lock$' \
             -e 'gc.lock$' -e 'nftables.lock$' -e 'leases.db$' -e 'leases.db-journal$' | sort")
    }
}

impl Drop for CniNode {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// The error on stdout of a call that failed: its code and its text.
#[track_caller]
pub(crate) fn error_of(run: &Run) -> (u64, String) {
    assert!(!run.ok, "succeeded: {}", run.stdout);
    let error: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("no JSON: {run:?}"));
    (error["code"].as_u64().unwrap(), error["msg"].as_str().unwrap().to_owned())
}

/// A dual-stack network of the main role.
pub(crate) fn routed() -> Value {
    json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni",
        "ipam": {"podCIDRs": ["10.244.1.0/24", "2001:db8:1::/64"]}})
}

/// The addresses in a result, without their prefixes.
pub(crate) fn addresses(result: &Value) -> Vec<String> {
    let ips = result["ips"].as_array().unwrap();
    ips.iter().map(|ip| ip["address"].as_str().unwrap().split('/').next().unwrap().to_owned()).collect()
}

/// Whether the node's file `path` is there.
pub(crate) fn is_there(node: &CniNode, path: &str) -> bool {
    fs::symlink_metadata(node.file(path)).is_ok()
}

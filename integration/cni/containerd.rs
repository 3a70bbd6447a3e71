//! containerd, whose `ctr run --cni` calls the plugin, with the delivered network.

use std::cell::Cell;
use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::cni::{CniNode, is_there};
use crate::harness::outside::{self, FIRST, SERVER, asking, delivered, see_each_other, seen};
use crate::harness::talk::Process;
use crate::harness::{Run, bin, busybox_root, needs};

/// Where go-cni looks without being told.
const PLUGINS: &str = "mount -t tmpfs tmpfs /opt; mkdir -p /opt/cni/bin /etc/cni/net.d";
const ADDRESS: &str = "/run/containerd/containerd.sock";

/// containerd on a node.
struct Containerd<'a> {
    node: &'a CniNode,
    daemon: Child,
    execs: Cell<u32>,
}

impl<'a> Containerd<'a> {
    fn new(node: &'a CniNode) -> Self {
        let plugin = bin("podhosts-cni");
        node.sh(&format!("{PLUGINS}; ln -s {} /usr/lib/cni/loopback /opt/cni/bin", plugin.display()));
        fs::write(node.file("/etc/cni/net.d/10-podhosts.conflist"), delivered()).unwrap();
        let (root, config) = (node.path("containerd"), node.path("containerd.toml"));
        let text = format!(
            "version = 2\nroot = {root:?}\nstate = \"/run/containerd\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {ADDRESS:?}\n"
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(node.path("containerd.log")).unwrap();
        let script = format!(
            "echo $$ >{}; exec containerd -l warn -c {}",
            node.path("pid").display(),
            config.display()
        );
        let daemon = node.command("sh", &["-c", &script]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let containerd = Self { node, daemon, execs: Cell::new(0) };
        containerd.until("version");
        containerd
    }

    /// Waits for a command of ctr's, with what may follow it in a shell, to succeed.
    #[track_caller]
    fn until(&self, command: &str) {
        let ctr = format!("ctr -a {ADDRESS} -n {} {command}", self.namespace());
        let script = format!("timeout 30 sh -c 'until {ctr}; do sleep 0.05; done' >/dev/null 2>&1");
        let reached = self.node.run("sh", &["-c", &script]);
        let log = |name| fs::read_to_string(self.node.path(name)).unwrap_or_default();
        assert!(reached.ok, "never: {command}\n{}\n{}", log("ctr.log"), log("containerd.log"));
    }

    /// containerd's namespace, which is also the parent of the containers' cgroups.
    fn namespace(&self) -> String {
        self.node.path("").file_name().unwrap().to_str().unwrap().to_owned()
    }

    fn ctr(&self, args: &[&str]) -> Command {
        self.node.command("ctr", &[&["-a", ADDRESS, "-n", &self.namespace()], args].concat())
    }

    fn call(&self, args: &[&str]) -> Run {
        self.ctr(args).output().unwrap().into()
    }

    /// `ctr run` of a container that stays, with a root file system of its own.
    fn command(&self, name: &str, options: &[&str]) -> Command {
        let root = self.node.path(name);
        busybox_root(&root);
        outside::put_pages(&root);
        let what = ["--cni", "--rootfs", root.to_str().unwrap(), name];
        let mut ctr = self.ctr(&[&["run"], options, &what, &SERVER].concat());
        let output = fs::File::create(self.node.path("ctr.log")).unwrap();
        ctr.stdout(output.try_clone().unwrap()).stderr(output);
        ctr
    }

    /// Starts a container. `ctr run` waits for its end, and then gives its network back.
    #[track_caller]
    fn start(&self, name: &str) -> Process {
        let running = Process(self.command(name, &[]).spawn().unwrap());
        // ctr starts a container when its network is there.
        self.until(&format!("task ls | grep -q \"^{name} .*RUNNING\""));
        running
    }

    fn exec(&self, name: &str, script: &str) -> Run {
        self.execs.set(self.execs.get() + 1);
        let id = format!("exec-{}", self.execs.get());
        self.call(&["task", "exec", "--exec-id", &id, name, "/bin/sh", "-c", script])
    }

    /// Ends a container, and waits until ctr has given its network back.
    #[track_caller]
    fn remove(&self, name: &str, mut running: Process) {
        self.call(&["task", "kill", "-s", "KILL", name]).success();
        running.0.wait().unwrap();
        self.call(&["container", "rm", name]).success();
    }

    /// What go-cni makes of a container's id.
    fn cni_id(&self, name: &str) -> String {
        format!("{}-{name}", self.namespace())
    }

    /// Whether the plugin knows a container.
    fn is_attached(&self, name: &str) -> bool {
        let id = self.cni_id(name);
        is_there(self.node, &format!("/run/podhosts/networks/podhosts/attachments/{id}:eth0"))
    }
}

impl Drop for Containerd<'_> {
    /// What is not ended here goes with the node's processes; cgroups do not.
    fn drop(&mut self) {
        let namespace = self.namespace();
        let pid = self.node.path("pid");
        let script = format!(
            "ctr='ctr -a {ADDRESS} -n {namespace}'; $ctr task ls -q | xargs -r -n 1 $ctr task rm -f; kill $(cat {})",
            pid.display()
        );
        self.node.run("sh", &["-c", &script]);
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        self.node.run("sh", &["-c", &format!("rmdir /sys/fs/cgroup/*/{namespace}")]);
    }
}

#[test]
fn containerds_containers_reach_each_other_the_node_and_what_is_beyond() {
    needs!("containerd", "ctr", "runc", "ip", "nft", "busybox", "/usr/lib/cni/loopback");
    let node = CniNode::with_processes();
    outside::connect(&node);
    outside::serve(&node);
    let before = node.traces();
    let containerd = Containerd::new(&node);
    let one = containerd.start("one");
    let two = containerd.start("two");
    let addresses = containerd.exec("one", "ip -o addr show dev eth0").success();
    for address in FIRST {
        assert!(addresses.contains(&format!("{address}/")), "{addresses}");
    }
    see_each_other(&node, |name, host| seen(containerd.exec(name, &asking(host, 80))));
    assert!(containerd.is_attached("one"));
    containerd.remove("one", one);
    containerd.remove("two", two);
    assert_eq!(node.traces(), before);
}

#[test]
fn what_ctr_never_gives_back_is_found_by_gc() {
    needs!("containerd", "ctr", "runc", "ip", "nft", "busybox", "/usr/lib/cni/loopback");
    let node = CniNode::with_processes();
    let before = node.traces();
    let containerd = Containerd::new(&node);
    let list: Value = serde_json::from_str(&delivered()).unwrap();
    let mut config = list["plugins"][0].clone();
    config["name"] = list["name"].clone();
    assert!(containerd.command("one", &["-d"]).status().unwrap().success());
    let id = containerd.cni_id("one");
    node.gc(&[&id], &config);
    assert!(containerd.is_attached("one"));
    // ctr 1.6 calls DEL only where it waits for the container's end, and what it remembers of ADD stays valid.
    containerd.call(&["task", "rm", "-f", "one"]).success();
    containerd.call(&["container", "rm", "one"]).success();
    assert!(containerd.is_attached("one"));
    // The kernel removes a namespace that nobody is in when it has the time.
    node.sh("timeout 30 sh -c 'while ip -o link | grep -q veth; do sleep 0.05; done'");
    node.gc(&[&id], &config);
    assert!(!containerd.is_attached("one"));
    assert_eq!(node.traces(), before);
}

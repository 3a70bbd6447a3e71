//! The CNI plugin against Debian's reference plugins and the kernel, in namespaces of its own.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use podhosts_cni::ipam::book::Book;
use records::attachment::Holder;
use serde_json::{Value, json};

use super::harness::bin;
use super::harness::cni::CniNode;
use super::{before, peak, print_memory, print_row, timed};

/// The number of pods that take turns, so that the kernel's work after one run is not counted for the next.
const PODS: usize = 8;
const RUNS: usize = 100;
/// The reference ptp plugin takes more than a second each time.
const SLOW_RUNS: usize = 5;
const PARALLEL: usize = 64;
const REFERENCE: &str = "/usr/lib/cni";

/// Runs everything in a node's namespaces.
pub(crate) fn run() {
    let node = CniNode::new();
    let exe = std::env::current_exe().unwrap();
    assert!(node.command(exe, &["--inside-cni"]).status().unwrap().success());
}

/// In the namespaces.
pub(crate) fn inside() {
    for pod in 0..PODS.max(PARALLEL) {
        ip(&["netns", "add", &format!("p{pod}")]);
    }
    let dir = tempfile::tempdir_in("/run").unwrap();
    let bench = Bench { dir: dir.path() };
    bench.interfaces();
    bench.removal();
    bench.before();
    bench.leases();
    bench.parallel();
    bench.memory();
}

struct Bench<'a> {
    dir: &'a Path,
}

/// A plugin with a configuration.
struct Plugin {
    program: PathBuf,
    config: PathBuf,
}

/// The side that a time belongs to.
#[derive(Clone, Copy)]
enum Side {
    Ours,
    Peers,
}

/// Times of one command of two plugins that take turns.
#[derive(Default)]
struct Pairs {
    ours: Vec<Duration>,
    peers: Vec<Duration>,
}

impl Pairs {
    fn push(&mut self, (plugin, side): (&Plugin, Side), command: &str, run: usize) {
        let time = plugin.time(command, run);
        match side {
            Side::Ours => self.ours.push(time),
            Side::Peers => self.peers.push(time),
        }
    }

    fn print(&self, name: &str) {
        print_row(name, &self.ours, &self.peers);
    }
}

/// ADD and DEL of two plugins in turn.
fn take_turns(plugin: &Plugin, peer: &Plugin, runs: usize) -> (Pairs, Pairs) {
    let (mut added, mut removed) = (Pairs::default(), Pairs::default());
    for run in 0..runs {
        for side in [(plugin, Side::Ours), (peer, Side::Peers)] {
            added.push(side, "ADD", run);
            removed.push(side, "DEL", run);
        }
    }
    (added, removed)
}

fn ip(args: &[&str]) {
    assert!(Command::new("ip").args(args).status().unwrap().success(), "{args:?}");
}

impl Plugin {
    fn command(&self, command: &str, run: usize, pod: usize) -> Command {
        let mut process = Command::new(&self.program);
        process
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", format!("c{run}"))
            .env("CNI_NETNS", format!("/run/netns/p{pod}"))
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", REFERENCE)
            .env("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_UID=u")
            .stdin(File::open(&self.config).unwrap());
        process
    }

    fn time(&self, command: &str, run: usize) -> Duration {
        timed(&mut self.command(command, run, run % PODS))
    }

    /// Connects or removes a pod that stays during the runs. A node's first and last pod cost more, because the packet
    /// filter's tables come and go with them.
    fn resident(&self, command: &str, number: usize) {
        timed(&mut self.command(command, RUNS + number, PODS + number));
    }

    fn start(&self, command: &str, run: usize) -> Child {
        self.command(command, run, run).stdout(Stdio::null()).spawn().unwrap()
    }
}

impl Bench<'_> {
    fn plugin(&self, program: &str, name: &str, config: Value) -> Plugin {
        let path = self.dir.join(format!("{name}.json"));
        let mut config = config;
        config["cniVersion"] = "1.0.0".into();
        config["name"] = name.into();
        fs::write(&path, config.to_string()).unwrap();
        let ours = program == "podhosts-cni";
        let program = if ours { bin(program) } else { Path::new(REFERENCE).join(program) };
        Plugin { program, config: path }
    }

    fn ours(&self, name: &str, extra: Value) -> Plugin {
        let mut config =
            json!({"type": "podhosts-cni", "ipam": {"podCIDRs": ["10.1.0.0/16", "2001:db8:1::/64"]}});
        config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        self.plugin("podhosts-cni", name, config)
    }

    fn ipam(&self, plugin: &str, name: &str) -> Plugin {
        let ranges = json!([[{"subnet": "10.0.0.0/8"}], [{"subnet": "2001:db8:2::/64"}]]);
        self.plugin(plugin, name, json!({"type": "bridge", "ipam": {"type": plugin, "ranges": ranges}}))
    }

    fn reference(&self, plugin: &str) -> Plugin {
        let ranges = json!([[{"subnet": "10.3.0.0/16"}], [{"subnet": "2001:db8:3::/64"}]]);
        let config = json!({"type": plugin, "bridge": "ref0", "isDefaultGateway": true,
            "ipam": {"type": "host-local", "ranges": ranges}});
        self.plugin(plugin, plugin, config)
    }

    /// ADD and DEL of interfaces, dual-stack, against the reference plugins.
    fn interfaces(&self) {
        super::print_header();
        let routed = self.ours("routed", json!({}));
        let masq = self.ours("masq", json!({"ipMasq": true}));
        let bridge =
            self.ours("bridged", json!({"mode": "bridge", "bridge": "our0", "isDefaultGateway": true}));
        let (reference, ptp) = (self.reference("bridge"), self.reference("ptp"));
        for (name, plugin, peer, runs) in [
            ("routed (peer: bridge)", &routed, &reference, RUNS),
            ("routed, ipMasq (peer: bridge without)", &masq, &reference, RUNS),
            ("on a bridge (peer: bridge)", &bridge, &reference, RUNS),
            ("routed (peer: ptp)", &routed, &ptp, SLOW_RUNS),
        ] {
            plugin.resident("ADD", 0);
            peer.resident("ADD", 1);
            let (added, removed) = take_turns(plugin, peer, runs);
            plugin.resident("DEL", 0);
            peer.resident("DEL", 1);
            added.print(&format!("ADD, {name}"));
            removed.print(&format!("DEL, {name}"));
        }
        for (name, plugin) in [("routed", &routed), ("routed, ipMasq", &masq), ("on a bridge", &bridge)] {
            let (added, removed) = take_turns(plugin, &reference, RUNS);
            added.print(&format!("ADD, {name}, a node's first pod (peer: bridge)"));
            removed.print(&format!("DEL, {name}, a node's last pod (peer: bridge)"));
        }
    }

    /// ADD and DEL, against those of an earlier build. Both take the same addresses, in turn.
    fn before(&self) {
        let Some(before) = before::program("podhosts-cni") else { return };
        let bridge = json!({"mode": "bridge", "bridge": "our0", "isDefaultGateway": true});
        for (name, extra) in [("routed", json!({})), ("masq", json!({"ipMasq": true})), ("bridged", bridge)] {
            let plugin = self.ours(name, extra);
            let earlier = Plugin { program: before.clone(), config: plugin.config.clone() };
            plugin.resident("ADD", 0);
            let (added, removed) = take_turns(&plugin, &earlier, RUNS);
            plugin.resident("DEL", 0);
            added.print(&format!("ADD, {name} (peer: the build before)"));
            removed.print(&format!("DEL, {name} (peer: the build before)"));
        }
        let plugin = self.ours("routed", json!({}));
        let earlier = Plugin { program: before, config: plugin.config.clone() };
        let (added, removed) = take_turns(&plugin, &earlier, RUNS);
        added.print("ADD, routed, a node's first pod (peer: the build before)");
        removed.print("DEL, routed, a node's last pod (peer: the build before)");
    }

    /// DEL, against the kernel alone: `ip link delete` of the same interface.
    fn removal(&self) {
        for (name, plugin) in [
            ("DEL, routed (peer: ip link delete)", self.ours("routed", json!({}))),
            ("DEL, routed, ipMasq (peer: ip link delete)", self.ours("masq", json!({"ipMasq": true}))),
        ] {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            // The tables of the packet filter stay.
            plugin.resident("ADD", 0);
            for run in 0..RUNS {
                plugin.time("ADD", run);
                ours.push(plugin.time("DEL", run));
                plugin.time("ADD", run);
                let pod = format!("p{}", run % PODS);
                theirs.push(timed(Command::new("ip").args(["-n", &pod, "link", "delete", "eth0"])));
                plugin.time("DEL", run);
            }
            plugin.resident("DEL", 0);
            print_row(name, &ours, &theirs);
        }
    }

    /// The ipam role, with more and more addresses in use.
    fn leases(&self) {
        let (ours, theirs) = (self.ipam("podhosts-cni", "ours"), self.ipam("host-local", "theirs"));
        let (ours_at, theirs_at) =
            (Path::new("/run/podhosts/networks/ours"), Path::new("/var/lib/cni/networks/theirs"));
        let both = |plugin: &Plugin, run: usize| plugin.time("ADD", run) + plugin.time("DEL", run);
        let mut empty = None;
        for (in_use, peer_runs) in [(0, RUNS), (1_000, RUNS), (60_000, SLOW_RUNS), (1_000_000, 0)] {
            fill(ours_at, in_use);
            // One run passes the addresses that `fill` has entered.
            both(&ours, RUNS);
            let times: Vec<Duration> = (0..RUNS).map(|run| both(&ours, run)).collect();
            if peer_runs > 0 {
                fill_host_local(theirs_at, in_use);
                let peer: Vec<Duration> = (0..peer_runs).map(|run| both(&theirs, run)).collect();
                print_row(&format!("lease ADD+DEL, {in_use} in use (peer: host-local)"), &times, &peer);
            }
            let empty = empty.get_or_insert_with(|| times.clone());
            print_row(&format!("lease ADD+DEL, {in_use} in use (peer: none in use)"), &times, empty);
        }
    }

    /// Many pods at once, against one after the other.
    fn parallel(&self) {
        let plugin = self.ours("routed", json!({}));
        let (mut at_once, mut in_turn) = (Vec::new(), Vec::new());
        for _ in 0..SLOW_RUNS {
            let start = Instant::now();
            for pod in 0..PARALLEL {
                assert!(plugin.start("ADD", pod).wait().unwrap().success());
            }
            in_turn.push(start.elapsed());
            clear(&plugin);
            let start = Instant::now();
            let started: Vec<Child> = (0..PARALLEL).map(|pod| plugin.start("ADD", pod)).collect();
            for mut child in started {
                assert!(child.wait().unwrap().success());
            }
            at_once.push(start.elapsed());
            clear(&plugin);
        }
        print_row(&format!("{PARALLEL} ADDs at once (peer: in turn)"), &at_once, &in_turn);
    }

    fn memory(&self) {
        let (ours, theirs) = (self.ours("masq", json!({"ipMasq": true})), self.reference("bridge"));
        let peaks = |plugin: &Plugin| -> Vec<f64> {
            (0..SLOW_RUNS)
                .map(|run| {
                    let kib = peak(&plugin.command("ADD", run, run % PODS), &plugin.config);
                    plugin.time("DEL", run);
                    kib
                })
                .collect()
        };
        println!("\n{:<58} {:>10} {:>10} {:>7}", "peak resident memory", "this", "bridge", "ratio");
        print_memory("ADD, routed, ipMasq", peaks(&ours), peaks(&theirs));
    }
}

fn clear(plugin: &Plugin) {
    for pod in 0..PARALLEL {
        assert!(plugin.start("DEL", pod).wait().unwrap().success());
    }
}

fn address(n: usize, is_ipv6: bool) -> IpAddr {
    let n = u32::try_from(n).unwrap() + 2;
    if is_ipv6 {
        Ipv6Addr::from((0x2001_0db8_0002_u128 << 80) + u128::from(n)).into()
    } else {
        Ipv4Addr::from(0x0a00_0000 + n).into()
    }
}

fn pods(in_use: usize) -> impl Iterator<Item = (Holder, Vec<IpAddr>)> {
    (0..in_use / 2).map(|n| {
        let holder = Holder { container: format!("{n:064x}"), ifname: "eth0".into() };
        (holder, vec![address(n, false), address(n, true)])
    })
}

/// An address book in which that many addresses are in use.
fn fill(dir: &Path, in_use: usize) {
    let _ = fs::remove_dir_all(dir);
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let held: Vec<(Holder, Vec<IpAddr>)> = pods(in_use).collect();
    Book::open(dir, boot_id.trim()).unwrap().enter(&held).unwrap();
}

/// The same for host-local: a file for each address.
fn fill_host_local(dir: &Path, in_use: usize) {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir).unwrap();
    for (holder, addresses) in pods(in_use) {
        for address in addresses {
            fs::write(dir.join(address.to_string()), format!("{}\r\neth0", holder.container)).unwrap();
        }
    }
    if in_use > 0 {
        for (set, is_ipv6) in [false, true].into_iter().enumerate() {
            let last = address(in_use / 2 - 1, is_ipv6).to_string();
            fs::write(dir.join(format!("last_reserved_ip.{set}")), last).unwrap();
        }
    }
}

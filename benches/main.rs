//! `make bench`: what the hook, the wrapper, the CNI plugin and the API server cost, as ratios to a peer measured in the same run.
//!
//! Runs of both sides alternate and are compared pair by pair, so that a machine whose speed drifts slows both.
//! Medians are printed.
#![allow(clippy::disallowed_methods, reason = "a benchmark runs other programs and writes files as it likes")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by a panic")]

#[path = "../integration/harness/mod.rs"]
#[allow(dead_code, unused_macros, unused_imports, reason = "it uses a part of what tests use")]
mod harness;

#[path = "../integration/cluster/agents.rs"]
#[allow(dead_code, reason = "it uses a part of what tests use")]
mod agents;
mod before;
mod cni;
mod nodes;
mod pods;
mod proxy;
mod serve;

#[path = "../integration/cluster/world.rs"]
#[allow(dead_code, reason = "it uses a part of what tests use")]
mod world;

#[path = "../integration/proxy/cluster.rs"]
#[allow(dead_code, reason = "it uses a part of what tests use")]
mod cluster;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use harness::{Bundle, Node, bin};

/// Counted runs of each side.
const RUNS: usize = 300;
/// Runs of containers, which take longer.
const CONTAINER_RUNS: usize = 200;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--inside") {
        return inside(Path::new(&args[at + 1]));
    }
    if args.iter().any(|arg| arg == "--inside-cni") {
        return cni::inside();
    }
    if args.iter().any(|arg| arg == "--cni") {
        return cni::run();
    }
    if args.iter().any(|arg| arg == "--pods") {
        return pods::run();
    }
    if args.iter().any(|arg| arg == "--serve") {
        print_header();
        return serve::run();
    }
    if args.iter().any(|arg| arg == "--before") {
        print_header();
        return before::creates();
    }
    if args.iter().any(|arg| arg == "--under-change") {
        return proxy::run_under_change();
    }
    if args.iter().any(|arg| arg == "--services") {
        print_header();
        return proxy::run_server();
    }
    if args.iter().any(|arg| arg == "--proxy") {
        print_header();
        return proxy::run();
    }
    if args.iter().any(|arg| arg == "--cluster") {
        print_header();
        return nodes::run();
    }
    if args.iter().any(|arg| arg == "--all") {
        return all();
    }
    match args.iter().position(|arg| arg == "--draw") {
        Some(at) => draw(&fs::read_to_string(&args[at + 1]).unwrap()),
        None => draw(&printed()),
    }
}

/// Runs everything in a process of its own and passes on what it prints, as the parts have processes of their own, too.
fn printed() -> String {
    let exe = std::env::current_exe().unwrap();
    let mut measured = Command::new(exe).arg("--all").stdout(Stdio::piped()).spawn().unwrap();
    let mut text = String::new();
    for line in BufReader::new(measured.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        println!("{line}");
        text += &line;
        text.push('\n');
    }
    if !measured.wait().unwrap().success() {
        std::process::exit(1);
    }
    text
}

/// Draws the pictures of docs/benchmarks.md from what the bench has printed.
fn draw(printed: &str) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures");
    podhosts_bench::draw(&podhosts_bench::rows(printed), &dir).unwrap();
}

/// Measures everything.
fn all() {
    let bridge = "/usr/lib/cni/bridge";
    if !harness::has_all(&["runc", "busybox", "time", "ip", "nft", bridge]) {
        std::process::exit(1);
    }
    // The wrapper reads /etc/podhosts, so everything happens in a node of the benchmark's own.
    let node = Node::with_config("[runtime]\nruntimes = [\"/bin/true\"]\n");
    for (name, bundle) in [
        ("plain", Bundle::new(&node, "true")),
        ("hook-true", Bundle::new(&node, "true").hook_program(Path::new("/bin/true"), &[])),
        ("hook-ours", pod(&node).hook(&[])),
        ("wrapped", pod(&node)),
    ] {
        let dir = bundle.write();
        fs::rename(dir, node.path(name)).unwrap();
    }
    let exe = std::env::current_exe().unwrap();
    let status = node.command(&node.path(""), exe, &["--inside", node.path("").to_str().unwrap()]).status();
    assert!(status.unwrap().success());
    println!();
    cni::run();
    println!();
    pods::run();
    println!();
    serve::run();
    println!();
    proxy::run();
    println!();
    nodes::run();
}

fn pod(node: &Node) -> Bundle {
    let aliases =
        r#"[{"ip":"127.0.0.1","hostnames":["foo.local","bar.local"]},{"ip":"10.1.2.3","hostnames":["db"]}]"#;
    Bundle::new(node, "true")
        .containerd()
        .annotate("podhosts.io/pod-ips", "10.244.1.4,2001:db8::4")
        .annotate("podhosts.io/host-aliases", aliases)
}

fn inside(dir: &Path) {
    print_header();
    hook_alone(dir);
    wrapper_alone(dir);
    before::hook_and_wrapper(dir);
    containers(dir);
    memory(dir);
}

/// The hook from fork to exit, against /bin/true.
fn hook_alone(dir: &Path) {
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        // A container each: a seal that is there already would be detached first.
        let container = Prepared::new(dir);
        ours.push(container.hook(&bin("podhosts-hook")));
        peer.push(timed(Command::new("/bin/true").stdin(File::open(&container.state).unwrap())));
        container.assert_sealed();
    }
    print_row("hook (peer: /bin/true)", &ours, &peer);
}

/// The wrapper becoming /bin/true, against /bin/true.
fn wrapper_alone(dir: &Path) {
    let bundle = dir.join("wrapped");
    let config = fs::read(bundle.join("config.json")).unwrap();
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        // Without the hook in it, so that every run has to add it.
        fs::write(bundle.join("config.json"), &config).unwrap();
        ours.push(create(&bin("podhosts-runtime"), &bundle));
        peer.push(create(Path::new("/bin/true"), &bundle));
    }
    fs::write(bundle.join("config.json"), &config).unwrap();
    print_row("wrapper, adding the hook (peer: /bin/true)", &ours, &peer);
}

/// `create` of a bundle by the wrapper, or by another program in its place.
fn create(program: &Path, bundle: &Path) -> Duration {
    timed(Command::new(program).arg("create").arg("--bundle").arg(bundle).arg("c"))
}

/// Whole containers by runc.
fn containers(dir: &Path) {
    fs::write("/etc/podhosts/config.toml", format!("[log]\nfile = {:?}\n", dir.join("hook.log"))).unwrap();
    let config = dir.join("wrapped/config.json");
    let text = fs::read(&config).unwrap();
    let run = |program: &Path, bundle: &str| {
        let mut command = Command::new(program);
        command
            .arg("--root")
            .arg(dir.join("state"))
            .arg("run")
            .arg("--bundle")
            .arg(dir.join(bundle))
            .arg("bench");
        timed(&mut command)
    };
    let (runc, wrapper) = (PathBuf::from("runc"), bin("podhosts-runtime"));
    let mut times: [Vec<Duration>; 4] = Default::default();
    let mut order = [0, 1, 2, 3];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..CONTAINER_RUNS {
        // The kernel still takes a container down while the next one starts, so no side may always follow the same
        // other one. A fixed sequence of shuffles (xorshift) keeps runs comparable.
        for last in (1..order.len()).rev() {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            order.swap(last, usize::try_from(random % (last as u64 + 1)).unwrap());
        }
        for side in order {
            fs::write(&config, &text).unwrap();
            times[side].push(match side {
                0 => run(&runc, "plain"),
                1 => run(&runc, "hook-true"),
                2 => run(&runc, "hook-ours"),
                _ => run(&wrapper, "wrapped"),
            });
        }
    }
    let [plain, hook_true, hook_ours, wrapped] = times;
    print_row("runc with our hook (peer: /bin/true as hook)", &hook_ours, &hook_true);
    print_row("wrapper + runc (peer: runc with our hook)", &wrapped, &hook_ours);
    print_row("wrapper + runc + hook (peer: runc alone)", &wrapped, &plain);
}

/// Peak resident memory, by GNU time, whose own is small enough not to be counted.
fn memory(dir: &Path) {
    println!("\n{:<58} {:>10} {:>10} {:>7}", "peak resident memory", "this", "/bin/true", "ratio");
    fs::write("/etc/podhosts/config.toml", "[runtime]\nruntimes = [\"/bin/true\"]\n").unwrap();
    let (hook, wrapper, bundle) = (bin("podhosts-hook"), bin("podhosts-runtime"), dir.join("wrapped"));
    let hook = [hook.to_str().unwrap()];
    let wrapper = [wrapper.to_str().unwrap(), "create", "-b", bundle.to_str().unwrap(), "c"];
    let mut peaks: [Vec<f64>; 3] = Default::default();
    for _ in 0..CONTAINER_RUNS {
        let container = Prepared::new(dir);
        for (peaks, command) in peaks.iter_mut().zip([&hook[..], &wrapper, &["/bin/true"]]) {
            let mut process = Command::new(command[0]);
            peaks.push(peak(process.args(&command[1..]), &container.state));
        }
    }
    let [hook, wrapper, peer] = peaks;
    print_memory("hook", hook, peer.clone());
    print_memory("wrapper", wrapper, peer);
}

/// The most memory that a command had, in KiB, by GNU time, whose own is small enough not to be counted.
fn peak(command: &Command, stdin: &Path) -> f64 {
    let mut time = Command::new("time");
    time.args(["-f", "%M"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        time.env(name, value.unwrap_or_default());
    }
    let output = time.stdin(File::open(stdin).unwrap()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap().trim().parse().unwrap()
}

fn print_memory(name: &str, ours: Vec<f64>, peer: Vec<f64>) {
    let (ours, peer) = (median(ours), median(peer));
    println!("{name:<58} {ours:>6.0} KiB {peer:>6.0} KiB {:>6.2}x", ours / peer);
}

fn print_header() {
    println!("{:<58} {:>10} {:>10} {:>7} {:>9}", "median", "this", "peer", "ratio", "more");
}

/// A process as a runtime leaves it for createRuntime hooks: namespaces made, /proc mounted, not yet pivoted.
struct Prepared {
    process: Child,
    state: PathBuf,
}

impl Prepared {
    fn new(dir: &Path) -> Self {
        let bundle = dir.join("hook-ours");
        let script = "mount --bind \"$1/rootfs\" \"$1/rootfs\" && mount -t proc proc \"$1/rootfs/proc\" && \
            echo ready && exec sleep 600";
        let mut process = Command::new("unshare")
            .args(["-m", "-n", "--propagation", "private", "sh", "-c", script, "sh"])
            .arg(&bundle)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(process.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let state = dir.join("state.json");
        let json = json!({"id": "bench", "pid": process.id(), "bundle": bundle, "status": "creating"});
        fs::write(&state, json.to_string()).unwrap();
        Self { process, state }
    }

    /// Fails if the hook sealed nothing, which would be fast.
    fn assert_sealed(&self) {
        let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", self.process.id())).unwrap();
        assert!(mounts.contains(" podhosts:annotation "), "{mounts}");
    }

    fn hook(&self, program: &Path) -> Duration {
        timed(Command::new(program).stdin(File::open(&self.state).unwrap()))
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn timed(command: &mut Command) -> Duration {
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).status().unwrap();
    let elapsed = start.elapsed();
    assert!(status.success(), "{command:?}");
    elapsed
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints the medians of both sides, and the medians of their ratios and differences run by run.
fn print_row(name: &str, ours: &[Duration], peer: &[Duration]) {
    print_pairs(name, ours, peer, 2);
}

/// The same, with `digits` digits of a millisecond's fraction.
fn print_pairs(name: &str, ours: &[Duration], peer: &[Duration], digits: usize) {
    let ms = |time: &Duration| time.as_secs_f64() * 1000.0;
    let of_pairs =
        |f: fn(f64, f64) -> f64| median(ours.iter().zip(peer).map(|(a, b)| f(ms(a), ms(b))).collect());
    let (ratio, more) = (of_pairs(|a, b| a / b), of_pairs(|a, b| a - b));
    let (ours, peer) = (median(ours.iter().map(ms).collect()), median(peer.iter().map(ms).collect()));
    println!("{name:<58} {ours:>7.digits$} ms {peer:>7.digits$} ms {ratio:>6.2}x {more:>6.digits$} ms");
}

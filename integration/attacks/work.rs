//! The largest inputs that the limits let through, made so that comparing all pairs of something would take minutes
//! (CWE-407). Each program has a second of the processor's time for them; the programs of a debug build, which are
//! slower by an order of magnitude, have as many more.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use prost::Message;
use serde_json::{Value, json};

use podhosts::nri::messages as nri;
use podhosts::nri::plugin::Plugin;
use podhosts::nri::ttrpc::Request;

use crate::harness::{Bundle, Netns, Node, Run, Runtime, bin, needs};

/// What config.json and a network configuration may have, less some room.
const LARGEST: usize = (4 << 20) - 100_000;

const TRUE: &str = "[runtime]\nruntimes = [\"/bin/true\"]\n";

/// Runs what is behind it, and tells the processor's time in a file, as the shell's `times` does.
pub(super) const TIMED: &str = "file=$1; shift; \"$@\"; code=$?; times >\"$file\"; exit $code";

/// Seconds of the processor's time that a program may use.
fn bound() -> f64 {
    #[allow(clippy::disallowed_methods)]
    let is_release = std::env::var_os("PODHOSTS_BIN_DIR").is_some();
    if is_release { 1.0 } else { 10.0 }
}

/// Fails where what was timed into `file` took too long.
#[track_caller]
pub(super) fn expect_quick(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let children = text.lines().nth(1).unwrap();
    let seconds = |time: &str| -> f64 {
        let (minutes, seconds) = time.split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.trim_end_matches('s').parse::<f64>().unwrap()
    };
    let used: f64 = children.split_whitespace().map(seconds).sum();
    assert!(used < bound(), "{used} s, expected less than {}", bound());
}

/// Calls the wrapper, which has nothing to become, for a configuration with this text.
#[track_caller]
fn wrapped(node: &Node, config_json: &str) -> (Run, PathBuf) {
    assert!(config_json.len() < 4 << 20, "{} bytes", config_json.len());
    let dir = tempfile::tempdir_in(node.path("state")).unwrap().keep();
    let file = dir.join("config.json");
    fs::write(&file, config_json).unwrap();
    let (times, wrapper) = (dir.join("times"), bin("podhosts-runtime"));
    let args =
        [times.to_str().unwrap(), wrapper.to_str().unwrap(), "create", "-b", dir.to_str().unwrap(), "c"];
    let run = node.run("sh", &[&["-c", TIMED, "sh"], &args[..]].concat());
    expect_quick(&times);
    (run, file)
}

/// `piece` of 0, 1, 2, ... with commas between them, as long as the text is shorter than `length`.
fn list(length: usize, mut piece: impl FnMut(usize) -> String) -> String {
    let mut text = String::with_capacity(length + 200);
    for n in 0.. {
        if text.len() >= length {
            break;
        }
        let comma = if n > 0 { "," } else { "" };
        let _ = write!(text, "{comma}{}", piece(n));
    }
    text
}

fn containerd(more: &str) -> String {
    format!(
        r#""io.kubernetes.cri.container-type":"container","io.kubernetes.cri.sandbox-id":"sandbox-1",
        "io.kubernetes.cri.sandbox-name":"web","io.kubernetes.cri.sandbox-namespace":"default",
        "io.kubernetes.cri.sandbox-uid":"uid-1","podhosts.io/pod-ips":"10.0.0.9"{more}"#
    )
}

fn crio(more: &str) -> String {
    format!(
        r#""io.container.manager":"cri-o","io.kubernetes.cri-o.ContainerType":"container",
        "io.kubernetes.cri-o.SandboxID":"sandbox-1","io.kubernetes.cri-o.SandboxName":"k8s_web_default_uid-1_0"{more}"#
    )
}

#[test]
fn thousands_of_env_annotations_beside_hundreds_of_thousands_of_variables() {
    needs!("busybox");
    let node = Node::with_config(TRUE);
    let asked = |count: usize| -> String {
        (0..count).map(|n| format!(r#","podhosts.io/env.MY_{n:04}":"metadata.name""#)).collect()
    };
    let present = list(LARGEST - 500_000, |n| format!("\"V{n:06}=\""));
    let config = |count| {
        let annotations = containerd(&asked(count));
        format!(
            r#"{{"root":{{"path":"r"}},"process":{{"env":[{present}]}},"annotations":{{{annotations}}}}}"#
        )
    };
    let (run, file) = wrapped(&node, &config(256));
    run.success();
    let edited: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let env = edited["process"]["env"].as_array().unwrap();
    assert!(env.len() > 300_000 && env.last().unwrap() == "MY_0255=web", "{:?}", env.last());
    let (run, _) = wrapped(&node, &config(6_900));
    assert_eq!(
        run.failure(),
        "podhosts-runtime: cannot read annotation podhosts.io/env.*: the pod has 6900 of them, expected at most 256\n"
    );
}

#[test]
fn tens_of_thousands_of_mounts_to_take_out() {
    needs!("busybox");
    let node = Node::with_config(TRUE);
    // Pieces of the same length make the most of moving what is behind each.
    let kubelets = r#"{"destination":"/etc/hosts","source":"/k/pods/uid-1/etc-hosts"}"#;
    let others = format!(r#"{{"destination":"/{}"}}"#, "a".repeat(kubelets.len() - 20));
    let mounts = list(LARGEST, |n| if n % 2 == 0 { kubelets.to_owned() } else { others.clone() });
    let config =
        format!(r#"{{"root":{{"path":"r"}},"mounts":[{mounts}],"annotations":{{{}}}}}"#, containerd(""));
    let (run, file) = wrapped(&node, &config);
    run.success();
    let edited: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let left = edited["mounts"].as_array().unwrap();
    assert!(
        left.len() > 30_000 && left.iter().all(|mount| mount["destination"] != "/etc/hosts"),
        "{}",
        left.len()
    );
    assert_eq!(edited["hooks"]["createRuntime"][0]["args"][2], "/k/pods/uid-1/etc-hosts");
}

#[test]
fn tens_of_thousands_of_mounts_and_of_volumes() {
    needs!("busybox");
    let node = Node::with_config(TRUE);
    let mounts = list(LARGEST / 2, |_| r#"{"destination":"/etc/hosts","source":"/etc/hosts"}"#.to_owned());
    let volumes = list(LARGEST / 2, |_| r#"{\"container_path\":\"/v\"}"#.to_owned());
    let annotations = crio(&format!(r#","io.kubernetes.cri-o.Volumes":"[{volumes}]""#));
    let config = format!(r#"{{"root":{{"path":"r"}},"mounts":[{mounts}],"annotations":{{{annotations}}}}}"#);
    let (run, file) = wrapped(&node, &config);
    run.success();
    let edited: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_eq!(edited["mounts"], json!([]));
}

/// Unknown global options, each of which may be followed by a command that makes a container.
#[test]
fn a_command_line_of_tens_of_thousands_of_options() {
    needs!("busybox");
    let node = Node::with_config(TRUE);
    let times = node.path("times");
    let args = vec!["--x"; 100_000];
    let wrapper = bin("podhosts-runtime");
    let head = ["-c", TIMED, "sh", times.to_str().unwrap(), wrapper.to_str().unwrap()];
    node.run("sh", &[&head[..], &args].concat()).success();
    expect_quick(&times);
}

/// A hook that is timed, and a container whose hook it is. The hook reads `config_json` in the place of the bundle's
/// configuration, which the runtime would choke on.
struct Hooked {
    node: Node,
    dir: PathBuf,
    times: PathBuf,
}

impl Hooked {
    fn new(config_json: &str, netns: Option<&Netns>, args: &[&str]) -> Self {
        assert!(config_json.len() < 4 << 20, "{} bytes", config_json.len());
        let node = Node::new();
        node.write("hostile.json", config_json);
        let (times, program) = (node.path("times"), node.path("timed-hook"));
        let script = format!("#!/bin/sh\nset -- {times:?} {:?} \"$@\"\n{TIMED}\n", bin("podhosts-hook"));
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let hostile = node.path("hostile.json");
        let args = [&["--config-json", hostile.to_str().unwrap()], args].concat();
        let bundle = Bundle::new(&node, "cat /etc/hosts").hook_program(&program, &args);
        let bundle = match netns {
            Some(netns) => bundle.network(Some(&netns.path())),
            None => bundle,
        };
        let dir = bundle.write();
        Self { node, dir, times }
    }

    #[track_caller]
    fn run(&self) -> Run {
        let run = self.node.run_bundle(Runtime::Runc, &self.dir);
        expect_quick(&self.times);
        run
    }
}

/// A root of the container's own network namespace adds addresses, and its pod's annotations list others.
#[test]
fn tens_of_thousands_of_addresses_listed_and_of_others_in_the_namespace() {
    needs!("runc", "busybox", "ip", "sh");
    let netns = Netns::bare();
    let mut batch = String::new();
    // The kernel itself compares an address with all others of its interface.
    for interface in 0..25 {
        let _ = writeln!(batch, "link add e{interface} type veth peer name p{interface}");
        for n in 0..2_000 {
            let _ =
                writeln!(batch, "addr add 10.{interface}.{}.{}/32 dev e{interface}", n / 250, n % 250 + 1);
        }
    }
    let mut ip = netns.command("ip");
    ip.args(["-batch", "-"]);
    Run::with_input(ip, batch.as_bytes()).success();
    let listed = list(LARGEST, |n| format!(r#""io.kubernetes.cri-o.IP.{n}":"11.0.0.1""#));
    let config =
        format!(r#"{{"root":{{"path":"rootfs"}},"annotations":{{{}}}}}"#, crio(&format!(",{listed}")));
    let hooked = Hooked::new(&config, Some(&netns), &[]);
    let file = hooked.run().success();
    // None of those that are listed is there, so the file has those that are.
    assert_eq!(file.matches("\tweb\n").count(), 50_000);
}

#[test]
fn hundreds_of_thousands_of_aliases_all_of_them_wrong() {
    needs!("runc", "busybox", "sh");
    let names = list(LARGEST, |_| r#"\"_\""#.to_owned());
    let more = format!(r#","podhosts.io/host-aliases":"[{{\"ip\":\"10.0.0.1\",\"hostnames\":[{names}]}}]""#);
    let config = format!(r#"{{"root":{{"path":"rootfs"}},"annotations":{{{}}}}}"#, containerd(&more));
    let error = Hooked::new(&config, None, &[]).run().failure();
    assert!(error.contains("cannot render the hosts file: spec.hostAliases[0].hostnames[0]: "), "{error}");
}

/// A sibling that may write to the kubelet's file makes it as large as it can be, and wrong at its end, so that it is
/// read again and again.
#[test]
fn a_kubelets_file_that_is_wrong_at_its_end() {
    needs!("runc", "busybox", "sh");
    let mut file = crate::harness::managed("10.0.0.9\tweb\n\n# Entries added by HostAliases.\n");
    while file.len() < (1 << 20) - 100 {
        file.push_str("1.1.1.1\ta\n");
    }
    file.push_str("wrong\n");
    let dir = tempfile::tempdir().unwrap();
    let kubelets = dir.path().join("etc-hosts");
    fs::write(&kubelets, file).unwrap();
    let config = format!(r#"{{"root":{{"path":"rootfs"}},"annotations":{{{}}}}}"#, containerd(""));
    let error = Hooked::new(&config, None, &["--kubelet-hosts", kubelets.to_str().unwrap()]).run().failure();
    assert!(
        error.contains("is \\\"wrong\\\", expected a HostAlias") || error.contains("is \"wrong\", expected"),
        "{error}"
    );
}

#[test]
fn tens_of_thousands_of_mounts_and_of_volumes_for_the_hook() {
    needs!("runc", "busybox", "sh");
    let mounts = list(LARGEST / 2, |_| r#"{"destination":"/etc/hosts","source":"/etc/hosts"}"#.to_owned());
    let volumes = list(LARGEST / 2, |_| r#"{\"container_path\":\"/v\"}"#.to_owned());
    let annotations =
        crio(&format!(r#","io.kubernetes.cri-o.Volumes":"[{volumes}]","podhosts.io/pod-ips":"10.0.0.9""#));
    let config =
        format!(r#"{{"root":{{"path":"rootfs"}},"mounts":[{mounts}],"annotations":{{{annotations}}}}}"#);
    // The runtime's own config.json has none of them, so the hook misses them all.
    let error = Hooked::new(&config, None, &[]).run().failure();
    assert!(
        error.contains("cannot seal /etc/hosts: 0 of the engine's mounts are there, expected "),
        "{error}"
    );
}

#[test]
fn a_manifest_as_large_as_it_can_be() {
    needs!("sh");
    let dir = tempfile::tempdir().unwrap();
    let times = dir.path().join("times");
    let render = |text: &str| {
        assert!(text.len() < 4 << 20, "{} bytes", text.len());
        let mut command = std::process::Command::new("sh");
        command.args(["-c", TIMED, "sh"]).arg(&times).arg(bin("podhosts"));
        command.args(["render", "-f", "-", "--pod-ip", "10.0.0.1"]);
        let run = Run::with_input(command, text.as_bytes());
        expect_quick(&times);
        run
    };
    let aliases = list(LARGEST, |_| r#"{"ip":"1.1.1.1","hostnames":["a"]}"#.to_owned());
    let json = format!(r#"{{"kind":"Pod","metadata":{{"name":"p"}},"spec":{{"hostAliases":[{aliases}]}}}}"#);
    assert!(render(&json).success().ends_with("1.1.1.1\ta\n"));
    let mut yaml = "kind: Pod\nmetadata: {name: p}\nspec:\n  hostAliases:\n".to_owned();
    while yaml.len() < LARGEST {
        yaml.push_str("  - {ip: 1.1.1.1, hostnames: [a]}\n");
    }
    let run = render(&yaml);
    assert!(!run.ok || run.stdout.ends_with("1.1.1.1\ta\n"), "{}", run.stdout.len());
}

/// What the engine tells over NRI, up to the largest message of its protocol.
#[test]
fn an_nri_request_as_large_as_it_can_be() {
    let mut plugin = Plugin::new(Path::new("/nonexistent/config.toml"));
    let mut call = |method: &str, payload: Vec<u8>| {
        let request = Request {
            service: nri::PLUGIN_SERVICE.to_owned(),
            method: method.to_owned(),
            payload,
            timeout_nano: 0,
        };
        plugin.call(&request)
    };
    let configure =
        nri::ConfigureRequest { runtime_name: "cri-o".to_owned(), runtime_version: String::new() };
    call("Configure", configure.encode_to_vec()).unwrap();
    let pod = nri::PodSandbox {
        id: "sandbox-1".into(),
        name: "web".into(),
        uid: "uid-1".into(),
        namespace: "default".into(),
        ..Default::default()
    };
    let volumes = format!("[{}]", list(LARGEST / 2, |_| r#"{"container_path":"/v"}"#.to_owned()));
    let mount = nri::Mount { destination: "/etc/hosts".into(), source: "/etc/hosts".into() };
    let container = nri::Container {
        annotations: [("io.kubernetes.cri-o.Volumes".to_owned(), volumes)].into(),
        mounts: vec![mount; LARGEST / 2 / 28],
        ..Default::default()
    };
    let payload = nri::CreateContainerRequest { pod: Some(pod), container: Some(container) }.encode_to_vec();
    assert!(payload.len() > 3_500_000 && payload.len() < 4 << 20, "{}", payload.len());
    let start = Instant::now();
    let answer = call("CreateContainer", payload);
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    // Where no hook is beside this program that is said, after everything was decided.
    assert!(answer.is_err_and(|status| status.message.contains("cannot find the hook")));
}

//! Input that cannot be used: one clear error, and everything as it was.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{Bundle, Node, Run, Runtime, Snapshot, bin, managed, needs, runtimes};

/// Calls the hook as a runtime does, with `input` as the state.
fn call(node: &Node, input: &[u8]) -> Run {
    node.run_with_input(bin("podhosts-hook"), &[], input)
}

fn state(pid: impl Into<serde_json::Value>, bundle: &Path) -> Vec<u8> {
    json!({"ociVersion": "1.0.2", "id": "c1", "status": "creating", "pid": pid.into(), "bundle": bundle})
        .to_string()
        .into_bytes()
}

fn pod(node: &Node) -> Bundle {
    Bundle::new(node, "cat /etc/hosts").containerd().annotate("podhosts.io/pod-ips", "10.0.0.9").hook(&[])
}

/// A process id that is certainly nobody's: beyond the largest that Linux gives.
const NOBODY: i32 = 0x40_0001;

#[track_caller]
fn refused(node: &Node, run: Run, expected: &str) {
    let stderr = run.failure();
    assert!(stderr.starts_with("podhosts-hook: cannot "), "{stderr}");
    assert!(stderr.contains(expected), "{stderr} lacks {expected}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    let log = node.last_log();
    assert_eq!(log["outcome"], "failed");
    let reason = log["reason"].as_str().unwrap();
    assert!(reason.contains(expected), "{reason}");
}

#[test]
fn states() {
    needs!("busybox");
    let node = Node::new();
    let bundle = pod(&node).write();
    let watched = [&node.path("etc"), bundle.as_path()];
    let before = Snapshot::of(&watched);
    let mut huge = state(NOBODY, &bundle);
    huge.splice(1..1, format!("\"annotations\":{{\"a\":\"{}\"}},", "x".repeat(5 << 20)).into_bytes());
    let deep = format!("{{\"id\":{}", "[".repeat(1 << 20));
    let cases: [(&[u8], &str); 12] = [
        (b"", "state from stdin: it is empty"),
        (b"\n\n", "state from stdin: it is empty"),
        (b"nonsense", "state from stdin: expected ident"),
        (b"{\"id\":\"c1\",\"pid\":", "state from stdin: EOF"),
        (b"{\"id\":\"\xff\",\"pid\":4,\"bundle\":\"/\"}", "it is not UTF-8"),
        (b"{\"id\":\"c1\",\"bundle\":\"/\"}", "missing field `pid`"),
        (deep.as_bytes(), "state from stdin: invalid type: sequence, expected a string"),
        (&huge, "cannot read stdin: it is larger than 4194304 bytes"),
        (&state(NOBODY, &bundle), "cannot use pid 4194305: there is no such process"),
        (&state(-1, &bundle), "state's pid -1: expected the container's process"),
        (&state("1234", &bundle), "expected i32"),
        (&state(NOBODY, Path::new("relative")), "state's bundle \"relative\": expected an absolute path"),
    ];
    for (input, expected) in cases {
        refused(&node, call(&node, input), expected);
    }
    before.assert_same(&Snapshot::of(&watched));
}

#[test]
fn bundles() {
    needs!("busybox");
    let node = Node::new();
    let broken = |name: &str, config: &[u8]| {
        let dir = node.path(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("config.json"), config).unwrap();
        call(&node, &state(NOBODY, &dir))
    };
    refused(
        &node,
        call(&node, &state(NOBODY, Path::new("/nowhere"))),
        "cannot open /nowhere/config.json: No such file",
    );
    std::fs::create_dir_all(node.path("dir/config.json")).unwrap();
    refused(&node, call(&node, &state(NOBODY, &node.path("dir"))), "config.json: it is not a regular file");
    refused(&node, broken("empty", b""), "cannot read config.json: EOF while parsing");
    refused(
        &node,
        broken("half", br#"{"ociVersion":"1.0.2","root":{"path":"#),
        "cannot read config.json: EOF while parsing",
    );
    refused(&node, broken("binary", b"{\"hostname\":\"\xff\"}"), "cannot read config.json: it is not UTF-8");
    refused(
        &node,
        broken("rootless", b"{}"),
        "root.path is missing, expected the path of the root file system, in bundle ",
    );
    refused(
        &node,
        broken("huge", &vec![b' '; (4 << 20) + 1]),
        "config.json: it is larger than 4194304 bytes",
    );
    let wrong = br#"{"root":{"path":"rootfs"},"annotations":{"a":["b"]}}"#;
    refused(&node, broken("wrong", wrong), "invalid type: sequence, expected a string");
    let fifo = node.path("fifo");
    std::fs::create_dir(&fifo).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        fifo.join("config.json"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    refused(&node, call(&node, &state(NOBODY, &fifo)), "config.json: it is not a regular file");
}

#[test]
fn processes_of_somebody_else() {
    needs!("runc", "busybox");
    let node = Node::new();
    node.write("etc/hosts", "127.0.0.1 localhost\n");
    let bundle = pod(&node).write();
    let root = bundle.join("rootfs");
    let before = Snapshot::of(&[&root]);
    // A process of the node, in the hook's own mount namespace.
    let own = String::from_utf8(state(0, &bundle)).unwrap().replace("\"pid\":0", "\"pid\":'$$'");
    let script = format!("printf %s '{own}' | {}", bin("podhosts-hook").display());
    refused(&node, node.run("sh", &["-c", &script]), "it is in the node's own mount namespace");
    // A process of the node in another mount namespace, which has the same directories.
    let other = call(&node, &state(std::process::id(), &bundle));
    refused(
        &node,
        other,
        "its /proc is not mounted, expected the mount namespace of a container in creation",
    );
    // A process of another container.
    let stays = Bundle::new(&node, "sleep 1000").containerd().write();
    let container = node.start(Runtime::Runc, &stays, "stays");
    refused(&node, call(&node, &state(container.pid(), &bundle)), "cannot open the root file system ");
    assert_eq!(container.exec("cat /etc/hosts").success(), "127.0.0.1 image\n");
    before.assert_same(&Snapshot::of(&[&root]));
    // The machine's own mount namespace, into which the second of them would have led.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("podhosts:"), "{mounts}");
}

#[test]
fn a_bundle_that_crun_calls_the_root_directory() {
    needs!("busybox");
    let node = Node::new();
    let bundle = pod(&node).write();
    let hook = format!("{} < state.json", bin("podhosts-hook").display());
    std::fs::write(bundle.join("state.json"), state(NOBODY, Path::new("/"))).unwrap();
    let run = node.command(&bundle, "sh", &["-c", &hook]).output().unwrap();
    // It got as far as the process, so it has read config.json in the current directory.
    refused(&node, run.into(), "cannot use pid 4194305: there is no such process");
}

#[test]
fn a_stderr_that_takes_nothing_is_no_panic() {
    needs!("busybox");
    let node = Node::new();
    let hook = format!("{} <&- 2>/dev/full >/dev/full", bin("podhosts-hook").display());
    assert_eq!(node.run("sh", &["-c", &hook]).code, Some(1));
    assert_eq!(node.last_log()["outcome"], "failed");
}

#[test]
fn the_environment_is_nobodys_business() {
    needs!("runc", "busybox");
    let node = Node::new();
    let mut bundle = pod(&node);
    bundle.config["hooks"]["createRuntime"][0]["env"] = json!([
        "PATH=/nowhere",
        "HOME=",
        "TMPDIR=/nowhere",
        "LD_PRELOAD=/nowhere.so",
        "RUST_BACKTRACE=full",
        "LC_ALL=xx_XX",
        "PODHOSTS_CONFIG=/nowhere",
        "HOSTALIASES=/nowhere",
        "GLIBC_TUNABLES=glibc.malloc.check=3",
    ]);
    let run = node.run_bundle(Runtime::Runc, &bundle.write());
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (managed("10.0.0.9\tweb\n").as_str(), ""));
}

/// Values of an annotation that are refused, and the words that say why.
#[test]
fn annotations() {
    needs!("runc", "crun", "busybox");
    let alias = |ip: &str, name: &str| json!([{"ip": ip, "hostnames": [name]}]).to_string();
    let aliases = "podhosts.io/host-aliases";
    let long = "x".repeat(256 << 10);
    let invalid_name = "spec.hostAliases[0].hostnames[0]: Invalid value: ";
    let cases = [
        (aliases, "not json".to_owned(), "annotation podhosts.io/host-aliases: expected ident"),
        (aliases, "{}".to_owned(), "expected a JSON list as in spec.hostAliases"),
        (aliases, "[{\"ip\":1}]".to_owned(), "expected a string"),
        (aliases, long.clone(), "annotation podhosts.io/host-aliases: expected value"),
        (aliases, alias("1.2.3.4", "a\n6.6.6.6 evil"), invalid_name),
        (aliases, alias("1.2.3.4", "a\rb"), invalid_name),
        (aliases, alias("1.2.3.4", "a\0b"), invalid_name),
        (aliases, alias("1.2.3.4", "a\tb"), invalid_name),
        (aliases, alias("1.2.3.4", "a#b"), invalid_name),
        (aliases, alias("1.2.3.4", "日本"), invalid_name),
        (aliases, alias("1.2.3.4", "a\u{2028}b"), invalid_name),
        (
            aliases,
            alias("1.2.3.4\n6.6.6.6 evil", "a"),
            "spec.hostAliases[0].ip: Invalid value: \"1.2.3.4\\n6.6.6.6 evil\"",
        ),
        (aliases, alias("::ffff:1.2.3.4", "a"), "must not be an IPv4-mapped IPv6 address"),
        (aliases, alias("01.2.3.4", "a"), "must not have leading 0s"),
        (
            "podhosts.io/pod-ips",
            "10.0.0.1\n6.6.6.6 evil".to_owned(),
            "status.podIPs[0].ip: Invalid value: \"10.0.0.1\\n",
        ),
        ("podhosts.io/pod-ips", "10.0.0.1,010.0.0.2".to_owned(), "status.podIPs[1].ip: "),
        ("podhosts.io/pod-ips", long.clone(), "status.podIPs[0].ip: "),
        (
            "podhosts.io/hostname",
            "a\n6.6.6.6 evil".to_owned(),
            "pod Hostname \"a\\n6.6.6.6 evil\" is not a valid DNS label",
        ),
        ("podhosts.io/hostname", long, "pod Hostname \"xxx"),
        (
            "podhosts.io/subdomain",
            "a.b".to_owned(),
            "pod Subdomain \"a.b\" is not a valid DNS label: must not contain dots",
        ),
        ("podhosts.io/hostname-override", "a_b".to_owned(), "pod HostnameOverride \"a_b\" is not"),
        ("podhosts.io/seal", "maybe".to_owned(), "got \"maybe\", expected \"true\" or \"false\""),
        ("io.kubernetes.cri.sandbox-id", "../../etc".to_owned(), "sandbox id \"../../etc\""),
        ("io.container.manager", "cri-o".to_owned(), "both containerd's and CRI-O's annotations"),
    ];
    for runtime in runtimes() {
        let node = Node::new();
        for (key, value, expected) in &cases {
            let bundle = pod(&node).annotate(key, value);
            let dir = bundle.write();
            let watched = [&node.path("etc"), bundle.rootfs().as_path()].map(Path::to_owned);
            let watched: Vec<&Path> = watched.iter().map(PathBuf::as_path).collect();
            let before = Snapshot::of(&watched);
            let run = node.run_bundle(runtime, &dir);
            assert!(run.stdout.is_empty(), "{runtime:?}, {key}: the container ran");
            let log = node.last_log();
            assert_eq!(log["outcome"], "failed");
            let reason = log["reason"].as_str().unwrap();
            assert!(reason.contains(expected), "{runtime:?}, {key}: {reason}");
            let stderr = run.failure();
            if runtime.name() == "runc" {
                assert!(stderr.contains("podhosts-hook: cannot "), "{key}: {stderr}");
            }
            before.assert_same(&Snapshot::of(&watched));
        }
    }
}

#[test]
fn ten_thousand_aliases_are_sealed_and_too_many_are_refused() {
    needs!("runc", "crun", "busybox");
    let list = |count: usize| {
        let alias =
            |i: usize| json!({"ip": format!("10.{}.{}.1", i / 256, i % 256), "hostnames": [format!("a{i}")]});
        json!((0..count).map(alias).collect::<Vec<_>>()).to_string()
    };
    for runtime in runtimes() {
        let node = Node::new();
        let bundle = pod(&node).annotate("podhosts.io/host-aliases", &list(10_000)).write();
        let output = node.run_bundle(runtime, &bundle).success();
        let lines: String = (0..10_000).map(|i| format!("10.{}.{}.1\ta{i}\n", i / 256, i % 256)).collect();
        assert!(output.len() > 64 << 10);
        assert_eq!(output, managed(&format!("10.0.0.9\tweb\n\n# Entries added by HostAliases.\n{lines}")));
        let bundle = pod(&node).annotate("podhosts.io/host-aliases", &list(65_000)).write();
        node.run_bundle(runtime, &bundle).failure();
        let reason = node.last_log()["reason"].to_string();
        assert!(
            reason.contains("cannot seal a hosts file of ") && reason.contains("at most 1048576"),
            "{reason}"
        );
    }
}

#[test]
fn configurations() {
    needs!("runc", "busybox");
    let node = Node::with_config("on-eror = \"open\"");
    let run = node.run_bundle(Runtime::Runc, &pod(&node).write());
    let expected = "podhosts-hook: cannot read /etc/podhosts/config.toml: line 1: unknown field `on-eror`, expected one of";
    assert!(run.stderr.contains(expected), "{run:?}");
    assert!(run.stdout.is_empty());
    let run = call(&node, b"");
    assert_eq!(run.code, Some(2), "{run:?}");
    // crun shows no stderr, and the log that was configured is not known.
    let log = "cat /var/log/podhosts/hook.log";
    let script = format!("{}; {log}", bin("podhosts-hook").display());
    let logged = node.run("sh", &["-c", &script]).success();
    assert!(
        logged.contains("\"outcome\":\"failed\",\"reason\":\"cannot read /etc/podhosts/config.toml: line 1"),
        "{logged}"
    );
}

#[test]
fn on_error_open_starts_the_container_and_says_so() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::with_config("on-error = \"open\"");
        let bundle = pod(&node).annotate("podhosts.io/hostname", "NOT").write();
        assert_eq!(node.run_bundle(runtime, &bundle).success(), "127.0.0.1 image\n");
        let log = node.last_log();
        assert_eq!(log["outcome"], "open");
        assert!(log["reason"].as_str().unwrap().contains("pod Hostname \"NOT\" is not a valid"));
    }
}

//! Published attacks by what is read: annotations, files of an image, huge and ambiguous documents.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Bundle, Node, Run, Runtime, bin, managed, needs, runtimes};

const TRUE: &str = "[runtime]\nruntimes = [\"/bin/true\"]\n";

fn pod(node: &Node, script: &str) -> Bundle {
    Bundle::new(node, script).containerd().annotate("podhosts.io/pod-ips", "10.0.0.9")
}

fn wrap(node: &Node, bundle: &Path) -> Run {
    node.run(bin("podhosts-runtime"), &["create", "-b", bundle.to_str().unwrap(), "c"])
}

fn config(bundle: &Path) -> Value {
    serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap()
}

/// CVE-2022-4318, CVE-2026-15809: a newline in a value makes a line, or an entry, of its own. A variable's value arrives
/// as one JSON string, whatever is in it; a naive edit of the text shows that this one would be three.
#[test]
fn a_variables_value_makes_entries_of_its_own() {
    needs!("runc", "crun", "busybox");
    let value = "x\n6.6.6.6\tbank.example\",\"LD_PRELOAD=/evil.so\",\"\u{2028}\u{85}A=b\\";
    for runtime in ["runc", "crun"] {
        let node = Node::with_config(&format!("[runtime]\nruntimes = [{runtime:?}]\n"));
        let script = "printf '%s' \"$MY_POD_NAME\"; echo; echo \"[$LD_PRELOAD]\"; cat /etc/hosts";
        let bundle = pod(&node, script)
            .annotate("example.com/note", value)
            .annotate("podhosts.io/env.MY_POD_NAME", "metadata.annotations['example.com/note']");
        let output = node.run_wrapped(&bundle.write()).success();
        assert_eq!(output, format!("{value}\n[]\n{}", managed("10.0.0.9\tweb\n")), "{runtime}");
    }
    let naive: Value = serde_json::from_str(&format!(
        "[\"MY_POD_NAME={}\"]",
        value
            .escape_default()
            .to_string()
            .replace("\\\"", "\"")
            .replace("\\u{2028}", "")
            .replace("\\u{85}", "")
    ))
    .unwrap();
    assert!(naive.as_array().unwrap().contains(&json!("LD_PRELOAD=/evil.so")), "{naive}");
}

/// CVE-2022-0811, CVE-2024-3154: an annotation becomes an argument of a program of the node, or sets what only the node
/// may. The hook's arguments come from no annotation, and unknown ones change nothing.
#[test]
fn annotations_become_arguments_and_settings() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        let evil = node.path("evil.toml");
        node.write("evil.toml", &format!("on-error = \"open\"\n[log]\nfile = {:?}\n", node.path("evil.log")));
        let evil = evil.to_str().unwrap();
        let mut bundle = pod(&node, "cat /etc/hosts");
        for (key, value) in [
            ("podhosts.io/config", evil),
            ("podhosts.io/on-error", "open"),
            ("podhosts.io/log.file", evil),
            ("podhosts.io/hook", "/bin/true"),
            ("podhosts.io/runtimes", "/bin/true"),
            ("podhosts.io/kubelet-hosts", evil),
            ("podhosts.io/mount-options", "rw"),
            ("podhosts.io/", "--config"),
            ("io.kubernetes.cri.container-name", &format!("x --config {evil}")),
            ("io.kubernetes.cri.sandbox-uid", &format!("u+--config={evil}")),
            ("org.systemd.property.ExecStop", "'/bin/evil'"),
        ] {
            bundle = bundle.annotate(key, value);
        }
        let dir = bundle.write();
        node.configure(TRUE);
        wrap(&node, &dir).success();
        let hook = &config(&dir)["hooks"]["createRuntime"][0];
        assert_eq!((&hook["args"], &hook["env"]), (&json!(["podhosts-hook"]), &json!([])));
        node.configure("");
        assert_eq!(node.run_bundle(runtime, &dir).success(), managed("10.0.0.9\tweb\n"), "{runtime:?}");
        // The setting that matters most: a container that cannot be sealed does not start.
        let bundle = bundle.annotate("podhosts.io/host-aliases", "no JSON").hook(&[]);
        assert_eq!(node.run_bundle(runtime, &bundle.write()).stdout, "", "{runtime:?}");
        assert_eq!(node.last_log()["outcome"], "failed");
        assert!(!node.path("evil.log").exists());
    }
}

/// CVE-2024-8676, CVE-2026-53488, CVE-2026-53492, CVE-2022-23648: what an image or a checkpoint holds is taken for the
/// node's or the engine's. Everything is read before the container's mounts are entered; the same files on the node
/// show that they would be obeyed.
#[test]
fn files_of_the_image_stand_in_for_the_nodes() {
    needs!("runc", "busybox");
    let node = Node::new();
    let record = json!({"version": 1, "sandboxID": "sandbox-1", "namespace": "default", "name": "web",
        "podIPs": ["6.6.6.6"]})
    .to_string();
    let files = [
        ("etc/podhosts/config.toml", "on-error = \"open\"\n"),
        ("run/podhosts/pods/sandbox-1.json", record.as_str()),
        ("etc/hostname", "evil\n"),
        ("config.json", "{}"),
    ];
    let run = |annotation: Option<&str>, in_image: bool| {
        let mut bundle = pod(&node, "cat /etc/hosts").hook(&[]);
        if let Some(aliases) = annotation {
            bundle = bundle.annotate("podhosts.io/host-aliases", aliases);
        }
        for (name, text) in files.iter().filter(|_| in_image) {
            let path = bundle.rootfs().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        node.run_bundle(Runtime::Runc, &bundle.write())
    };
    assert_eq!(run(None, true).success(), managed("10.0.0.9\tweb\n"));
    assert_eq!(run(Some("no JSON"), true).failure().matches("podhosts-hook: cannot ").count(), 1);
    for (name, text) in &files[..2] {
        node.write(name, text);
    }
    assert_eq!(run(None, false).success(), managed("6.6.6.6\tweb\n"));
    assert_eq!(run(Some("no JSON"), false).success(), "127.0.0.1 image\n");
}

/// CVE-2023-25153, CVE-2025-4437, CVE-2022-31030: a file or a stream without an end is read into memory. Every input has
/// a bound; the programs have 256 MiB of address space here, and each file 8 GiB.
#[test]
fn inputs_without_an_end_are_read_into_memory() {
    needs!("runc", "busybox");
    let node = Node::new();
    let huge = |path: &Path| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(path);
        fs::File::create(path).unwrap().set_len(8 << 30).unwrap();
    };
    let bounded = |script: &str, args: &[&str]| {
        let script = format!("ulimit -v 262144; {script}");
        node.run("sh", &[&["-c", &script, "sh"], args].concat())
    };
    let (hook, wrapper, cni) = (bin("podhosts-hook"), bin("podhosts-runtime"), bin("podhosts-cni"));
    let [hook, wrapper, cni] = [&hook, &wrapper, &cni].map(|path| path.to_str().unwrap());
    let podhosts = bin("podhosts");
    let too_large = |run: Run| {
        let text = format!("{}{}", run.stdout, run.stderr);
        assert!(!run.ok && text.contains("it is larger than ") && text.len() < 1000, "{text}");
    };
    too_large(bounded("\"$1\" </dev/zero", &[hook]));
    too_large(bounded("CNI_COMMAND=STATUS \"$1\" </dev/zero", &[cni]));
    let dir = pod(&node, "true").write();
    huge(&dir.join("config.json"));
    too_large(bounded("\"$1\" create -b \"$2\" c", &[wrapper, dir.to_str().unwrap()]));
    let state = format!(r#"{{"id": "c", "pid": 4194305, "bundle": {dir:?}}}"#);
    too_large(bounded("printf %s \"$2\" | \"$1\"", &[hook, &state]));
    let dir = pod(&node, "true").write();
    huge(&node.path("run/podhosts/pods/sandbox-1.json"));
    too_large(bounded(
        "truncate -s 8G /run/podhosts/pods/sandbox-1.json; \"$1\" create -b \"$2\" c",
        &[wrapper, dir.to_str().unwrap()],
    ));
    let _ = fs::remove_dir_all(node.path("run"));
    huge(&node.path("etc/podhosts/config.toml"));
    too_large(bounded("\"$1\" </dev/null", &[hook]));
    node.configure("");
    huge(&node.path("pod.yaml"));
    too_large(bounded(
        "\"$1\" render -f \"$2\"",
        &[podhosts.to_str().unwrap(), node.path("pod.yaml").to_str().unwrap()],
    ));
    // A file that a container shows to `inspect` is left out.
    let bundle = Bundle::new(&node, "sleep 1000");
    huge(&bundle.rootfs().join("etc/hosts"));
    let container = node.start(Runtime::Runc, &bundle.write(), "huge");
    let shown = bounded("\"$1\" inspect \"$2\"", &[podhosts.to_str().unwrap(), &container.pid().to_string()]);
    assert!(shown.success().len() < 1000);
}

/// CVE-2021-41190: one document is two, and who checks it reads the other one. A key that stands twice is an error. (It was
/// seen to pass with other readers for the annotation and the state, but not for config.json.)
#[test]
fn a_document_says_two_things_at_once() {
    needs!("runc", "busybox");
    let node = Node::with_config(TRUE);
    let bundle = pod(&node, "true");
    let dir = bundle.write();
    let text = fs::read_to_string(dir.join("config.json")).unwrap();
    for twice in [
        r#""hooks": {}, "hooks": {"createRuntime": []}"#,
        r#""mounts": [], "mounts": []"#,
        r#""process": {"env": []}"#,
        r#""hooks": {"createRuntime": [], "createRuntime": []}"#,
    ] {
        fs::write(dir.join("config.json"), text.replacen('{', &format!("{{{twice},"), 1)).unwrap();
        let error = wrap(&node, &dir).failure();
        assert!(error.contains("duplicate field"), "{twice}: {error}");
    }
    let aliases = r#"[{"ip": "10.0.0.1", "hostnames": ["a"], "ip": "6.6.6.6"}]"#;
    node.configure("");
    let dir = pod(&node, "true").annotate("podhosts.io/host-aliases", aliases).hook(&[]).write();
    node.run_bundle(Runtime::Runc, &dir).failure();
    let reason = node.last_log()["reason"].to_string();
    assert!(reason.contains("podhosts.io/host-aliases: duplicate field"), "{reason}");
    let state = format!(r#"{{"id": "c", "pid": 4194305, "pid": 1, "bundle": {dir:?}}}"#);
    let error = node.run_with_input(bin("podhosts-hook"), &[], state.as_bytes()).failure();
    assert!(error.contains("duplicate field"), "{error}");
}

/// CVE-2019-11253: a document in YAML that names itself again and again is small, and huge once it is read. The reader's
/// bounds on aliases are at their defaults.
#[test]
fn a_manifest_of_billions_of_words() {
    needs!("busybox");
    let node = Node::new();
    let mut text =
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  annotations:\n    a: &a0 \"lol\"\nspec:\n"
            .to_owned();
    for level in 1..12 {
        let names = vec![format!("*a{}", level - 1); 9].join(",");
        text.push_str(&format!("  x{level}: &a{level} [{names}]\n"));
    }
    node.write("bomb.yaml", &text);
    let script = "ulimit -v 262144; ulimit -t 5; exec \"$1\" render -f \"$2\" --pod-ip 10.0.0.9";
    let (podhosts, bomb) = (bin("podhosts"), node.path("bomb.yaml"));
    let args = ["-c", script, "sh", podhosts.to_str().unwrap(), bomb.to_str().unwrap()];
    let run = node.run("sh", &args);
    // An error of its own, or the file of a pod whose unknown fields were passed over; not killed.
    assert!(matches!(run.code, Some(0..=2)), "{run:?}");
    assert!(run.ok || run.stderr.contains("cannot "), "{run:?}");
}

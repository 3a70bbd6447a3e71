//! The wrapper: real runtimes behind it, and every byte of config.json.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use oci_spec::runtime::Spec;
use serde_json::Value;

use crate::harness::{Bundle, DEFAULT_CAPABILITIES, Node, Run, bin, managed, needs, runtimes};

const TRUE: &str = "[runtime]\nruntimes = [\"/bin/true\"]\n";
const ECHO: &str = "[runtime]\nruntimes = [\"/bin/echo\"]\n";

pub(super) fn wrapper(node: &Node, args: &[&str]) -> Run {
    node.run(bin("podhosts-runtime"), args)
}

pub(super) fn pod(node: &Node, script: &str) -> Bundle {
    Bundle::new(node, script).containerd().annotate("podhosts.io/pod-ips", "10.0.0.9")
}

fn hook_entry(args: &str) -> String {
    let path = bin("podhosts-hook");
    format!(r#"{{"args":["podhosts-hook"{args}],"env":[],"path":{path:?},"timeout":10}}"#)
}

#[test]
fn real_runtimes_behind_it() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::with_config(&format!("[runtime]\nruntimes = [{:?}]\n", runtime.name()));
        let bundle = pod(&node, "cat /etc/hosts").write();
        let run = || node.run_wrapped_with(runtime, &bundle).success();
        assert_eq!(run(), managed("10.0.0.9\tweb\n"), "{runtime:?}");
        let config: Value = serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap();
        assert_eq!(config["hooks"]["createRuntime"].as_array().unwrap().len(), 1);
        // The bundle is run once more, as after a restart: still one hook.
        assert_eq!(run(), managed("10.0.0.9\tweb\n"));
        assert_eq!(node.log().len(), 2);
    }
}

#[test]
fn every_byte_but_the_hook_and_the_mount_stays() {
    needs!("busybox");
    let node = Node::with_config(TRUE);
    let engines =
        "{\"destination\":\"/etc/hosts\", \"source\": \"/x/sandboxes/sandbox-1/hosts\", \"type\":\"bind\"}";
    let annotations = serde_json::to_string(&pod(&node, "true").config["annotations"]).unwrap();
    let original = format!(
        "{{ \"ociVersion\" : \"1.0.2-dev\",\n\t\"unknown\": {{\"a\":1e999,\"b\":[ 1 ,2],\"b2\":18446744073709551616}},\n\
         \"root\":{{\"path\":\"rootfs\"}} , \"mounts\": [ {{\"destination\":\"/proc\",\"x\":null}} ,\n  {engines},\n\
         {{\"destination\":\"/dev\"}} ]  ,\"annotations\":{annotations},\r\n\"z\":\"\\u0041\\/\u{e9}\" }}\n"
    );
    let dir = node.path("bytes");
    fs::create_dir(&dir).unwrap();
    let file = dir.join("config.json");
    fs::write(&file, &original).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
    chown(&file, Some(1234), Some(5678)).unwrap();
    wrapper(&node, &["create", "-b", dir.to_str().unwrap(), "c"]).success();

    let hooks = format!(",\"hooks\":{{\"createRuntime\":[{}]}}", hook_entry(""));
    let edited = fs::read_to_string(&file).unwrap();
    assert_eq!(edited.matches(&hooks).count(), 1, "{edited}");
    assert_eq!(edited.replacen(&hooks, "", 1), original.replacen(&format!("{engines},\n"), "", 1));
    let metadata = file.metadata().unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.uid(), metadata.gid()), (0o604, 1234, 5678));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "something is left beside config.json");

    // Once more changes nothing, not even the inode.
    wrapper(&node, &["create", "-b", dir.to_str().unwrap(), "c"]).success();
    assert_eq!(fs::read_to_string(&file).unwrap(), edited);
    assert_eq!(file.metadata().unwrap().ino(), metadata.ino());
}

#[test]
fn what_is_written_is_still_an_oci_configuration() {
    needs!("busybox");
    let node = Node::with_config(TRUE);
    let bundle = pod(&node, "true");
    let dir = bundle.write();
    let before = Spec::load(dir.join("config.json")).unwrap();
    wrapper(&node, &["create", "--bundle", dir.to_str().unwrap(), "c"]).success();
    let mut after = Spec::load(dir.join("config.json")).unwrap();
    let hooks = after.hooks_mut().take().unwrap();
    let hook = &hooks.create_runtime().as_ref().unwrap()[0];
    assert_eq!(hook.path(), &bin("podhosts-hook"));
    assert_eq!((hook.env().as_deref(), hook.timeout()), (Some(&[][..]), Some(10)));
    after.set_hooks(before.hooks().clone());
    assert_eq!(after, before);
}

#[test]
fn containers_that_are_left_alone_keep_their_file() {
    needs!("busybox");
    let node = Node::with_config(TRUE);
    node.write("mine", "10.0.0.1 mine\n");
    let bundles = [
        ("sandbox", pod(&node, "true").annotate("io.kubernetes.cri.container-type", "sandbox")),
        ("opted out", pod(&node, "true").annotate("podhosts.io/seal", "false")),
        ("own volume", pod(&node, "true").mount(&node.path("mine"), "/etc/hosts")),
        ("plain", Bundle::new(&node, "true")),
        ("podman", Bundle::new(&node, "true").annotate("io.container.manager", "libpod")),
    ];
    for (what, bundle) in bundles {
        let file = bundle.write().join("config.json");
        let (before, inode) = (fs::read(&file).unwrap(), file.metadata().unwrap().ino());
        wrapper(&node, &["run", "-b", bundle.dir().to_str().unwrap(), "c"]).success();
        assert_eq!((fs::read(&file).unwrap(), file.metadata().unwrap().ino()), (before, inode), "{what}");
    }
}

#[test]
fn the_engines_mount_is_replaced_not_covered() {
    needs!("runc", "busybox");
    let node = Node::new();
    node.write("x/sandboxes/sandbox-1/hosts", "127.0.0.1 the-node\n");
    let engines = node.path("x/sandboxes/sandbox-1/hosts");
    let script = "cat /etc/hosts; umount /etc/hosts; cat /etc/hosts";
    let run = || {
        let mut bundle = pod(&node, script).mount(&engines, "/etc/hosts").user_namespace();
        bundle.capabilities(&[&DEFAULT_CAPABILITIES[..], &["CAP_SYS_ADMIN"]].concat());
        node.run_wrapped(&bundle.write()).success()
    };
    let sealed = managed("10.0.0.9\tweb\n");
    assert_eq!(run(), format!("{sealed}127.0.0.1 image\n"), "the engine's writable file was beneath");
    // A container that may start without a seal needs the engine's file, until it is sealed.
    node.configure("on-error = \"open\"");
    assert_eq!(run(), format!("{sealed}127.0.0.1 image\n"));
}

#[test]
fn podmans_and_crios_mounts_are_replaced_too() {
    needs!("runc", "busybox");
    let node = Node::new();
    node.write("etc/hosts", "127.0.0.1 localhost\n");
    let script = "cat /etc/hosts; grep -c ' /etc/hosts ' /proc/mounts";
    let podmans = node.path("overlay-containers").join("0a".repeat(32)).join("userdata/hosts");
    node.write(podmans.strip_prefix(node.path("")).unwrap().to_str().unwrap(), "");
    let podman = Bundle::new(&node, script)
        .annotate("io.container.manager", "libpod")
        .annotate("podhosts.io/pod-ips", "10.0.0.9")
        .mount(&podmans, "/etc/hosts");
    assert_eq!(node.run_wrapped(&podman.write()).success(), format!("{}1\n", managed("10.0.0.9\tweb\n")));
    // For a pod on the node's network CRI-O mounts the node's own file, writable.
    let crio = Bundle::new(&node, script)
        .annotate("io.container.manager", "cri-o")
        .annotate("io.kubernetes.cri-o.ContainerType", "container")
        .annotate("io.kubernetes.cri-o.SandboxID", "abc")
        .annotate("io.kubernetes.cri-o.SandboxName", "k8s_web_default_u1_0")
        .network(None)
        .mount(Path::new("/etc/hosts"), "/etc/hosts");
    let expected = "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n1\n";
    assert_eq!(node.run_wrapped(&crio.write()).success(), expected);
}

#[test]
fn the_kubelets_file_is_found_without_its_mount() {
    needs!("runc", "crun", "busybox");
    for runtimes in ["runc", "crun"] {
        let node = Node::new();
        let root = node.path("kubelet");
        node.configure(&format!("kubelet-root = {root:?}\n[runtime]\nruntimes = [\"{runtimes}\"]\n"));
        let content = managed("10.0.0.9\tweb\n\n# Entries added by HostAliases.\n10.1.1.1\tdb\n");
        node.write("kubelet/pods/uid-1/etc-hosts", &content);
        let bundle = pod(&node, "cat /etc/hosts; grep -c ' /etc/hosts ' /proc/mounts");
        let bundle = bundle.mount(&root.join("pods/uid-1/etc-hosts"), "/etc/hosts").write();
        assert_eq!(node.run_wrapped(&bundle).success(), format!("{content}1\n"));
        assert_eq!(node.last_log()["reason"], "kubelet");
    }
}

#[test]
fn a_hook_from_a_hooks_directory_learns_what_the_wrapper_knows() {
    needs!("runc", "busybox");
    let node = Node::new();
    let root = node.path("kubelet");
    node.configure(&format!("kubelet-root = {root:?}"));
    let content = managed("10.0.0.9\tweb\n\n# Entries added by HostAliases.\n10.1.1.1\tdb\n");
    node.write("kubelet/pods/uid-1/etc-hosts", &content);
    let bundle =
        pod(&node, "cat /etc/hosts").hook(&[]).mount(&root.join("pods/uid-1/etc-hosts"), "/etc/hosts");
    let dir = bundle.write();
    for _ in 0..2 {
        assert_eq!(node.run_wrapped(&dir).success(), content);
        assert_eq!(node.last_log()["reason"], "kubelet");
    }
    assert_eq!(node.log().len(), 2, "one hook for each run");
}

#[test]
fn a_volume_at_etc_is_left_alone_where_the_node_says_so() {
    needs!("runc", "crun", "busybox");
    for runtimes in ["runc", "crun"] {
        let config = format!("etc-volume = \"skip\"\n[runtime]\nruntimes = [\"{runtimes}\"]\n");
        let node = Node::with_config(&config);
        node.write("x/sandboxes/sandbox-1/hosts", "127.0.0.1 the-node\n");
        fs::create_dir(node.path("volume")).unwrap();
        let bundle = pod(&node, "cat /etc/hosts").mount(&node.path("volume"), "/etc");
        let bundle = bundle.mount(&node.path("x/sandboxes/sandbox-1/hosts"), "/etc/hosts").write();
        assert_eq!(node.run_wrapped(&bundle).success(), "127.0.0.1 the-node\n", "{runtimes}");
        node.configure(&config.replace("skip", "refuse"));
        assert!(!node.run_wrapped(&bundle).ok, "{runtimes}");
        let reason = node.last_log()["reason"].to_string();
        assert!(reason.contains("cannot seal /etc/hosts: /etc is in a volume"), "{runtimes}: {reason}");
    }
}

#[test]
fn a_config_json_that_is_a_link() {
    needs!("runc", "busybox");
    let node = Node::new();
    let bundle = pod(&node, "cat /etc/hosts").write();
    fs::rename(bundle.join("config.json"), node.path("elsewhere.json")).unwrap();
    symlink(node.path("elsewhere.json"), bundle.join("config.json")).unwrap();
    assert_eq!(node.run_wrapped(&bundle).success(), managed("10.0.0.9\tweb\n"));
    assert!(bundle.join("config.json").is_symlink());
}

#[test]
fn the_bundle_is_the_current_directory_unless_told_otherwise() {
    needs!("busybox");
    let node = Node::with_config(ECHO);
    for (here, args) in [("bundle-1", vec!["create", "c"]), ("", vec!["create", "--bundle=bundle-2", "c"])] {
        let bundle = pod(&node, "true").write();
        let args: Vec<&str> = [&["--root", "/r", "--log-format", "json"][..], &args].concat();
        let here = node.path(here);
        let output = node.command(&here, bin("podhosts-runtime"), &args).output().unwrap();
        // The runtime gets its arguments as they were.
        assert_eq!(Run::from(output).success(), format!("{}\n", args.join(" ")));
        assert!(fs::read_to_string(bundle.join("config.json")).unwrap().contains("podhosts-hook"));
    }
}

#[test]
fn other_commands_go_through_at_once() {
    needs!("busybox");
    let node = Node::with_config(ECHO);
    for args in [&["state", "c"][..], &["--root", "create", "delete", "-f", "c"], &["start", "create"], &[]] {
        assert_eq!(wrapper(&node, args).success(), format!("{}\n", args.join(" ")));
    }
    // Containers can be stopped and deleted even with a configuration that is broken.
    node.write("etc/podhosts/config.toml", "nonsense");
    assert!(wrapper(&node, &["delete", "nobody"]).failure().contains("container does not exist"));
    assert!(
        wrapper(&node, &["create", "c"])
            .failure()
            .contains("podhosts-runtime: cannot read /etc/podhosts/config.toml")
    );
}

#[test]
fn never_itself() {
    needs!("runc", "busybox");
    let node = Node::new();
    // The first runc on PATH is the wrapper under another name, as where an engine is made to use it.
    fs::create_dir(node.path("bin")).unwrap();
    symlink(bin("podhosts-runtime"), node.path("bin/runc")).unwrap();
    let script = format!("PATH={}:$PATH runc --version", node.path("bin").display());
    assert!(node.run("sh", &["-c", &script]).success().starts_with("runc version"));
    node.configure(&format!("[runtime]\nruntimes = [{:?}]\n", node.path("bin/runc")));
    let error = wrapper(&node, &["state", "c"]).failure();
    assert!(error.contains("cannot find a low-level runtime: none of "), "{error}");
}

#[test]
fn failures_are_said_on_stderr_and_in_the_runtimes_log() {
    needs!("busybox");
    let node = Node::with_config(TRUE);
    let log = node.path("runtime.log");
    let bundle = |key: &str, value: &str| pod(&node, "true").annotate(key, value).write();
    let bad_annotation = bundle("podhosts.io/seal", "maybe");
    let half = bundle("a", "b");
    let text = fs::read(half.join("config.json")).unwrap();
    fs::write(half.join("config.json"), &text[..text.len() / 2]).unwrap();
    for (bundle, expected) in [
        (bad_annotation.as_path(), "cannot read annotation podhosts.io/seal: got \"maybe\""),
        (half.as_path(), "cannot read config.json: EOF"),
        (Path::new("/nowhere"), "cannot open /nowhere/config.json: No such file"),
    ] {
        let _ = fs::remove_file(&log);
        let args = [
            "--log",
            log.to_str().unwrap(),
            "--log-format=json",
            "create",
            "-b",
            bundle.to_str().unwrap(),
            "c",
        ];
        let run = wrapper(&node, &args);
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.starts_with(&format!("podhosts-runtime: {expected}")), "{}", run.stderr);
        let line: Value = serde_json::from_str(fs::read_to_string(&log).unwrap().trim_end()).unwrap();
        assert_eq!(line["level"], "error");
        assert!(
            line["msg"].as_str().unwrap().starts_with(&format!("podhosts-runtime: {expected}")),
            "{line}"
        );
    }
    node.configure("[runtime]\nruntimes = [\"/bin/true\"]\nhook = \"/nowhere/podhosts-hook\"\n");
    let error = wrapper(&node, &["create", "-b", bundle("a", "b").to_str().unwrap(), "c"]).failure();
    assert!(error.contains("cannot find the hook: /nowhere/podhosts-hook is not a file"), "{error}");
    fs::write(node.path("podhosts-hook"), "no program").unwrap();
    let hook = node.path("podhosts-hook");
    node.configure(&format!("[runtime]\nruntimes = [\"/bin/true\"]\nhook = {hook:?}\n"));
    let error = wrapper(&node, &["create", "-b", bundle("c", "d").to_str().unwrap(), "c"]).failure();
    assert!(
        error.contains(&format!("cannot find the hook: {} is not executable", hook.display())),
        "{error}"
    );
    let _ = fs::remove_file(&log);
    let error = wrapper(&node, &["--log", log.to_str().unwrap(), "--unheard-of", "create", "c"]).failure();
    assert!(error.contains("unknown global option \"--unheard-of\""), "{error}");
    assert!(
        fs::read_to_string(&log)
            .unwrap()
            .contains("level=error msg=\"podhosts-runtime: cannot tell the runtime's")
    );
}

#[test]
fn on_error_open_becomes_the_runtime_all_the_same() {
    needs!("runc", "busybox");
    let node = Node::with_config("on-error = \"open\"");
    let run = node.run_wrapped(&pod(&node, "cat /etc/hosts").annotate("podhosts.io/seal", "maybe").write());
    assert!(
        run.stderr.contains("podhosts-runtime: started without a seal (on-error = \"open\"): "),
        "{run:?}"
    );
    assert_eq!(run.success(), "127.0.0.1 image\n");
    let log = node.last_log();
    assert_eq!((&log["outcome"], &log["container"]), (&"open".into(), &node.id("run").into()));
    assert!(log["reason"].as_str().unwrap().starts_with("cannot read annotation podhosts.io/seal"));
    // As it does where it cannot tell what the runtime is asked for.
    node.configure(&format!("on-error = \"open\"\n{ECHO}"));
    let line = ["--unheard-of", "x", "create", "c1"];
    let run = wrapper(&node, &line);
    assert!(run.stderr.contains("started without a seal (on-error = \"open\"): cannot tell the"), "{run:?}");
    assert_eq!(run.success(), format!("{}\n", line.join(" ")));
    let log = node.last_log();
    assert_eq!((&log["outcome"], &log["container"]), (&"open".into(), &"c1".into()));
}

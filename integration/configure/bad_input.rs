//! `podhosts configure` where it cannot do what it is asked for: one line that says why, and nothing changed.

use std::fs;
use std::process::Command;

use crate::harness::etc::Etc;
use crate::harness::{Run, bin, needs};

const CONTAINERD: &str = "/etc/containerd/config.toml";

/// Configure has to fail with `error`, of one line, and to leave every file as it is.
#[track_caller]
fn refuses(node: &Etc, args: &[&str], error: &str) {
    let before = node.snapshot();
    let run = node.podhosts(&[&["configure", "--runtime"], args].concat());
    let said = run.failure();
    assert!(said.contains(error) && said.trim_end().lines().count() == 1, "{args:?}: {said}");
    before.assert_same(&node.snapshot());
}

#[test]
fn ways_that_an_engine_does_not_have() {
    let node = Etc::new();
    for (args, error) in [
        (
            &["containerd", "--mode", "hooks-dir"][..],
            "cannot configure containerd by hooks-dir, expected wrapper or base-spec or nri",
        ),
        (&["podman", "--mode", "nri"], "cannot configure podman by nri, expected hooks-dir or wrapper"),
        (
            &["podman", "--mode", "base-spec"],
            "cannot configure podman by base-spec, expected hooks-dir or wrapper",
        ),
        (
            &["crio", "--mode", "base-spec"],
            "cannot configure crio by base-spec, expected hooks-dir or wrapper or nri",
        ),
        (&["crio", "--set-as-default"], "cannot use --set-as-default: hooks-dir makes no runtime handler"),
        (
            &["crio", "--mode", "wrapper", "--hooks-dir", "/x"],
            "cannot use --hooks-dir: it is for hooks-dir only",
        ),
        (
            &["crio", "--with-cni", "--pod-cidr", "10.0.0.1/8"],
            "cannot use --pod-cidr: \"10.0.0.1/8\" is no network address",
        ),
    ] {
        refuses(&node, args, error);
        let run = node.podhosts(&[&["configure", "--runtime"], args].concat());
        assert_eq!(run.code, Some(2), "{args:?}");
    }
    let unknown = node.podhosts(&["configure", "--runtime", "docker"]);
    assert_eq!(unknown.code, Some(2));
    assert_eq!(node.podhosts(&["configure", "--runtime", "crio", "--pod-cidr", "10.0.0.0/8"]).code, Some(2));
}

#[test]
fn programs_that_are_not_there() {
    let node = Etc::new();
    let dir = tempfile::tempdir().unwrap();
    let dir_arg = dir.path().to_str().unwrap();
    for (engine, mode, program) in [
        ("containerd", "wrapper", "podhosts-runtime"),
        ("containerd", "base-spec", "podhosts-hook"),
        ("crio", "hooks-dir", "podhosts-hook"),
        ("crio", "nri", "podhosts"),
        ("podman", "hooks-dir", "podhosts-hook"),
    ] {
        let error = format!("cannot use {dir_arg}/{program}: it is no executable file");
        refuses(&node, &[engine, "--mode", mode, "--bin-dir", dir_arg], &error);
    }
    // The wrapper is of no use without the hook.
    fs::copy(bin("podhosts-runtime"), dir.path().join("podhosts-runtime")).unwrap();
    fs::write(dir.path().join("podhosts-hook"), "no program").unwrap();
    refuses(
        &node,
        &["crio", "--mode", "wrapper", "--bin-dir", dir_arg],
        "/podhosts-hook: it is no executable file",
    );
}

#[test]
fn configurations_that_cannot_be_used() {
    needs!("containerd");
    let cri = "plugins.\"io.containerd.grpc.v1.cri\"";
    let huge = format!("version = 2\n# {}\n", "x".repeat(5 << 20));
    for (text, error) in [
        ("version = ", "cannot read /etc/containerd/config.toml: line 1: "),
        ("version = 2\na = 1\na = 2\n", "cannot read /etc/containerd/config.toml: line 3: duplicate key"),
        ("{\"version\": 2}", "cannot read /etc/containerd/config.toml: line 1: "),
        ("version = 2\nplugins = 3\n", "config.toml: plugins is an integer, expected a table"),
        (&format!("version = 2\n{cri} = []\n"), "is a list, expected a table"),
        (
            &format!("version = 2\n[{cri}.containerd]\nruntimes = true\n"),
            "containerd.runtimes is true or false, expected a table",
        ),
        (&format!("version = 2\n{cri}.containerd = 1\n"), "containerd is an integer, expected a table"),
        (
            &format!("version = 2\n[{cri}.containerd]\ndefault_runtime_name = 'x'\n"),
            "default_runtime_name is \"x\", and there is no such handler",
        ),
        ("version = '2'\n", "version is a string, expected an integer"),
        (
            "version = 1\n[plugins.cri]\n",
            "config.toml has version 1, expected 2, 3 or 4; `containerd config dump` prints the whole of it as version 2",
        ),
        ("[plugins.cri]\n", "has version 1, expected 2, 3 or 4"),
        ("version = 5\n", "has version 5, which containerd 1.6 does not read, expected 2"),
        ("disabled_plugins = [\"cri\"]\n", "has the CRI plugin in disabled_plugins"),
        ("version = 3\nimports = 'x'\n", "imports is a string, expected a list of strings"),
        (&huge, "it is larger than 4194304 bytes"),
    ] {
        let node = Etc::with(CONTAINERD, text);
        refuses(&node, &["containerd"], error);
    }
    let node = Etc::new();
    node.write(CONTAINERD, "");
    fs::write(node.at(CONTAINERD), b"version = 2 # \xff\n").unwrap();
    refuses(&node, &["containerd"], "cannot read /etc/containerd/config.toml: it is not UTF-8");
    fs::remove_file(node.at(CONTAINERD)).unwrap();
    fs::create_dir(node.at(CONTAINERD)).unwrap();
    refuses(&node, &["containerd"], "it is not a regular file");

    for (engine, path, error) in [
        ("crio", "/etc/crio/crio.conf", "crio.runtime is an integer, expected a table"),
        ("crio", "/etc/crio/crio.conf.d/99-podhosts.conf", "crio.runtime is an integer, expected a table"),
        ("podman", "/etc/containers/containers.conf", "engine is an integer, expected a table"),
    ] {
        let node = Etc::with(path, "engine = 1\ncrio.runtime = 3\n");
        refuses(&node, &[engine], error);
    }
    let node = Etc::with("/etc/cni/net.d/10-podhosts.conflist", "{\"plugins\": []}");
    refuses(
        &node,
        &["crio", "--with-cni"],
        "10-podhosts.conflist is there already, and no list of podhosts-cni's",
    );
}

#[test]
fn pods_that_name_no_handler_keep_one() {
    needs!("containerd");
    let section = "[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n";
    let node = Etc::with(CONTAINERD, &format!("version = 2\n{section}snapshotter = \"native\"\n"));
    node.configure(&["containerd"]);
    node.edit(CONTAINERD, "snapshotter", "default_runtime_name = \"podhosts\"\nsnapshotter");
    let before = node.snapshot();
    let error = node.podhosts(&["unconfigure", "--runtime", "containerd"]).failure();
    let there =
        "is \"podhosts\", and there is no such handler then: name another in /etc/containerd/config.toml\n";
    assert_eq!(error, format!("cannot configure containerd: default_runtime_name {there}"));
    before.assert_same(&node.snapshot());
    node.edit(CONTAINERD, "\"podhosts\"\n", "\"runc\"\n");
    node.unconfigure("containerd");
    for (engine, file, text, key) in [
        (
            "crio",
            "/etc/crio/crio.conf",
            "[crio.runtime]\ndefault_runtime = \"podhosts\"\n",
            "default_runtime",
        ),
        ("podman", "/etc/containers/containers.conf", "[engine]\nruntime = \"podhosts\"\n", "engine.runtime"),
    ] {
        let node = Etc::new();
        node.configure(&[engine, "--mode", "wrapper"]);
        node.write(file, text);
        let error = format!("cannot configure {engine}: {key} is \"podhosts\", and there is no such");
        refuses(&node, &[engine, "--mode", "hooks-dir"], &error);
        let refused = node.podhosts(&["unconfigure", "--runtime", engine]).failure();
        assert!(refused.starts_with(&error), "{refused}");
        fs::remove_file(node.at(file)).unwrap();
        node.unconfigure(engine);
    }
    // Where there was none before it is not our doing.
    let node = Etc::with(CONTAINERD, &format!("version = 2\n{section}default_runtime_name = \"x\"\n"));
    assert_eq!(node.unconfigure("containerd"), "nothing to change\n");
}

#[test]
fn imports_that_would_make_it_void() {
    needs!("containerd");
    let cri = "[plugins.\"io.containerd.grpc.v1.cri\".cni]\nmax_conf_num = 1\n";
    let node = Etc::with(CONTAINERD, &format!("version = 2\nimports = [\"more.toml\"]\n{cri}"));
    node.write("/etc/containerd/more.toml", &format!("version = 2\n{cri}"));
    refuses(
        &node,
        &["containerd"],
        "/etc/containerd/more.toml is imported, and what it says of the CRI plugin goes before it",
    );
    node.configure(&["containerd", "--config", "/etc/containerd/more.toml"]);
    refuses(
        &node,
        &["containerd", "--config", "/etc/containerd/config.toml", "--drop-in", "/etc/containerd/d.toml"],
        "cannot use --drop-in: /etc/containerd/config.toml has version 2",
    );
    refuses(&node, &["containerd", "--mode", "nri"], "containerd 1.6 has no NRI, 1.7 has");
    node.write("/etc/nri.toml", "version = 2\ndisabled_plugins = [\"io.containerd.nri.v1.nri\"]\n");
    let error = "cannot configure containerd: /etc/nri.toml has NRI in disabled_plugins; take it out there";
    refuses(&node, &["containerd", "--mode", "nri", "--config", "/etc/nri.toml"], error);
}

#[test]
fn a_base_specification_needs_one() {
    let mut node = Etc::with(CONTAINERD, "version = 2\n");
    node.path = "/nowhere".to_owned();
    let run = |node: &Etc| {
        let mut command =
            node.command(&bin("podhosts"), &["configure", "--runtime", "containerd", "--mode", "base-spec"]);
        command.env("PATH", "/usr/bin:/bin");
        Run::from(command.output().unwrap())
    };
    let before = node.snapshot();
    let error = run(&node).failure();
    assert!(
        error.contains("base-spec needs containerd's default specification: cannot run ctr: No such file"),
        "{error}"
    );
    before.assert_same(&node.snapshot());
    // The handler's own goes before the engine's.
    let runc = "[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\nruntime_type = \"io.containerd.runc.v2\"\n";
    node.write(CONTAINERD, &format!("version = 2\n{runc}base_runtime_spec = \"/etc/base.json\"\n"));
    let missing = run(&node).failure();
    assert!(missing.contains("base_runtime_spec /etc/base.json is not there"), "{missing}");
    node.write("/etc/base.json", "{\"mine\": 1.0, \"hooks\": {\"createRuntime\": [{\"path\": \"/mine\"}]}}");
    run(&node).success();
    let spec: serde_json::Value =
        serde_json::from_str(&node.read("/etc/containerd/podhosts-base.json")).unwrap();
    let hooks: Vec<_> = spec["hooks"]["createRuntime"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hook| hook["path"].as_str().unwrap())
        .collect();
    assert_eq!((hooks.len(), hooks[0], &spec["mine"]), (2, "/mine", &serde_json::json!(1.0)));
    assert!(hooks[1].ends_with("/podhosts-hook"));
}

#[test]
fn a_failure_in_the_middle_undoes_what_was_done() {
    needs!("strace");
    // The hook's directory can be written to, the drop-ins' cannot.
    let node = Etc::new();
    node.write("/etc/crio/crio.conf.d/10-crio.conf", crate::configure::files::CRIO);
    let before = node.tree();
    let read_only = |args: &[&str]| {
        let script = "mount --bind /etc/crio/crio.conf.d /etc/crio/crio.conf.d; mount -o remount,bind,ro /etc/crio/crio.conf.d; \
            podhosts=$1; shift; exec \"$podhosts\" \"$@\"";
        let podhosts = bin("podhosts");
        let args = [&["-ec", script, "sh", podhosts.to_str().unwrap()], args].concat();
        Run::from(node.command("sh".as_ref(), &args).output().unwrap())
    };
    let error = read_only(&["configure", "--runtime", "crio"]).failure();
    assert!(
        error.contains("cannot write /etc/crio/crio.conf.d/99-podhosts.conf: Read-only file system"),
        "{error}"
    );
    assert_eq!(node.tree(), before);

    // Both files are written already when the second cannot take its place.
    node.write("/etc/crio/crio.conf.d/99-podhosts.conf", "# mine\n");
    let before = node.tree();
    let script = "mount --bind /etc/crio/crio.conf.d/99-podhosts.conf /etc/crio/crio.conf.d/99-podhosts.conf; \
        exec strace -y -e trace=fsync,/^rename,/^unlink -o \"$2\" \"$1\" configure --runtime crio --hooks-dir /etc/a";
    let (podhosts, trace) = (bin("podhosts"), tempfile::NamedTempFile::new().unwrap());
    let args = ["-ec", script, "sh", podhosts.to_str().unwrap(), trace.path().to_str().unwrap()];
    let busy = node.command("sh".as_ref(), &args).output().unwrap();
    let error = Run::from(busy).failure();
    assert!(
        error.contains("cannot write /etc/crio/crio.conf.d/99-podhosts.conf: Device or resource busy"),
        "{error}"
    );
    assert_eq!(node.tree(), before);
    // Whenever this is killed, the disk has the way back: it is there first and goes last.
    let trace = fs::read_to_string(trace.path()).unwrap();
    let at = |call: &str, path: &str| {
        let lines = trace.lines().enumerate();
        let found = lines.filter(|(_, line)| line.starts_with(call) && line.contains(path));
        found.map(|(at, _)| at).collect::<Vec<_>>()
    };
    let (hook, memory) = ("/podhosts.json\"", "/var/lib/podhosts/configure");
    let (synced, put) = (at("fsync", memory), at("rename", hook));
    let (undone, forgotten) = (at("unlink", hook), at("unlink", &format!("{memory}/crio.json\"")));
    assert_eq!((synced.len(), put.len(), undone.len(), forgotten.len()), (2, 1, 1, 1), "{trace}");
    assert!(synced[1] < put[0] && undone[0] < forgotten[0], "{trace}");

    // The same on the way back.
    node.configure(&["crio"]);
    let configured = node.tree();
    read_only(&["unconfigure", "--runtime", "crio"]).failure();
    assert_eq!(node.tree(), configured);
    node.unconfigure("crio");
    assert_eq!(node.tree(), before);
}

#[test]
fn what_is_remembered_may_be_damaged() {
    let node = Etc::new();
    node.configure(&["crio"]);
    let memory = "/var/lib/podhosts/configure/crio.json";
    node.write(memory, "{");
    for command in ["configure", "unconfigure"] {
        let error = node.podhosts(&[command, "--runtime", "crio"]).failure();
        assert!(error.starts_with(&format!("cannot use {memory}, podhosts' own record of")), "{error}");
        assert!(error.contains(": line 1: EOF while parsing an object; remove it, and"), "{error}");
        assert!(node.at("/etc/crio/crio.conf.d/99-podhosts.conf").exists());
    }
    // As it says.
    fs::remove_file(node.at(memory)).unwrap();
    node.unconfigure("crio");
    assert!(!node.at("/etc/crio/crio.conf.d/99-podhosts.conf").exists());
    assert!(!node.at("/etc/podhosts/crio-hooks.d/podhosts.json").exists());
}

#[test]
fn two_at_a_time_wait_for_each_other() {
    needs!("flock", "timeout");
    let node = Etc::new();
    let before = node.tree();
    // The one that waits changes nothing, however long it has to; a look needs no lock.
    let script = "mkdir /run/podhosts; exec 9>/run/podhosts/configure.lock; flock 9; \
        \"$1\" configure --runtime crio --dry-run >/dev/null 9>&-; \
        timeout 1 \"$1\" configure --runtime crio 9>&- || echo $?";
    let podhosts = bin("podhosts");
    let run = node.command("sh".as_ref(), &["-ec", script, "sh", podhosts.to_str().unwrap()]);
    assert_eq!(output(run).success(), "124\n");
    assert_eq!(node.tree(), before);
    // Many at a time, of two kinds, in one mount namespace, as the lock is in /run.
    let script = "for i in 1 2 3 4 5 6; do \"$1\" configure --runtime crio & \
        \"$1\" configure --runtime crio --mode wrapper & done; wait; \"$1\" unconfigure --runtime crio";
    output(node.command("sh".as_ref(), &["-ec", script, "sh", podhosts.to_str().unwrap()])).success();
    assert_eq!(node.tree(), before);
}

#[test]
fn an_engine_that_cannot_be_restarted() {
    needs!("systemctl");
    let node = Etc::new();
    let run = node.podhosts(&["configure", "--runtime", "crio", "--restart"]);
    assert_eq!(run.code, Some(1));
    let error = run.failure();
    assert!(error.starts_with("made /etc/crio/crio.conf.d/99-podhosts.conf; made /etc/podhosts/"), "{error}");
    assert!(error.contains("; cannot run systemctl restart crio.service: it ended with "), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1);
    // The engine has not read what is there now: the same command tries it again, and so with units that it may not
    // have come to.
    let again = "nothing to change; cannot run systemctl daemon-reload: it ended with ";
    let error = node.podhosts(&["configure", "--runtime", "crio", "--restart"]).failure();
    assert!(error.starts_with(again), "{error}");
    assert_eq!(node.configure(&["crio"]), "nothing to change\n");
    assert_eq!(node.podhosts(&["configure", "--runtime", "crio", "--restart", "--dry-run"]).code, Some(2));
    let unconfigure = ["unconfigure", "--runtime", "crio", "--restart"];
    let error = node.podhosts(&unconfigure).failure();
    assert!(error.contains("; cannot run systemctl restart crio.service: it ended with "), "{error}");
    let error = node.podhosts(&unconfigure).failure();
    assert!(error.starts_with(again), "{error}");
    // Nobody has to be restarted for podman.
    for _ in 0..2 {
        assert!(!node.configure(&["podman", "--restart"]).contains("restart"));
    }
}

fn output(mut command: Command) -> Run {
    command.output().unwrap().into()
}

//! Published attacks on the processes that start a container: what they leave in it, and what they take from it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{
    Bundle, DEFAULT_CAPABILITIES, Node, Run, Runtime, Snapshot, bin, managed, needs, which,
};

fn pod(node: &Node, script: &str) -> Bundle {
    Bundle::new(node, script).containerd().annotate("podhosts.io/pod-ips", "10.0.0.9")
}

fn executable(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A node with copies of the programs, which an attack may overwrite if it can.
fn expendable_node() -> (Node, PathBuf) {
    let node = Node::new();
    let programs = node.path("programs");
    fs::create_dir(&programs).unwrap();
    for name in ["podhosts-runtime", "podhosts-hook"] {
        fs::copy(bin(name), programs.join(name)).unwrap();
    }
    for name in ["runc", "crun"] {
        fs::copy(which(name).unwrap(), programs.join(name)).unwrap();
    }
    node.configure(&format!("[runtime]\nruntimes = [{:?}]\n", programs.join("runc")));
    (node, programs)
}

/// CVE-2019-5736, CVE-2016-9962: a container reaches the node's programs, or their descriptors, by their /proc/PID. No
/// process of podhosts is ever in a container's process namespace; a naive hook that is shows that the attacker looks.
#[test]
fn the_nodes_programs_are_overwritten_through_proc() {
    needs!("runc", "crun", "busybox", "nsenter");
    let (node, programs) = expendable_node();
    let shared = node.path("shared");
    fs::create_dir(&shared).unwrap();
    // The attacker writes down what it sees, and writes to it through a descriptor of its own.
    let attack = "while :; do for p in /proc/[0-9]*; do
            exe=$(readlink $p/exe) || continue
            grep -q \"^${p#/proc/} $exe\" /shared/seen || echo \"${p#/proc/} $exe\" >>/shared/seen
            case $exe in */busybox) ;; *) (exec 3<$p/exe && echo evil >/proc/self/fd/3) ;; esac
        done 2>/dev/null; done";
    let mut attacker = Bundle::new(&node, attack).mount(&shared, "/shared");
    attacker.capabilities(&[&DEFAULT_CAPABILITIES[..], &["CAP_SYS_PTRACE"]].concat());
    let attacker = node.start_by(Runtime::Runc, &programs.join("runc"), &attacker.write(), "attacker");
    let pid = attacker.pid();
    let before = Snapshot::of(&[&programs]);
    let join = |mut bundle: Bundle| {
        let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "pid");
        namespaces.push(json!({"type": "pid", "path": format!("/proc/{pid}/ns/pid")}));
        bundle.mount(&shared, "/shared").write()
    };
    let victim = "until grep -q \"^$$ \" /shared/seen; do :; done; cat /etc/hosts";
    let wrapper = programs.join("podhosts-runtime");
    for _ in 0..3 {
        let dir = join(pod(&node, victim));
        let args = ["--root", &node.root(), "run", "-b", dir.to_str().unwrap(), &node.id("victim")];
        assert_eq!(node.run(&wrapper, &args).success(), managed("10.0.0.9\tweb\n"));
    }
    let exec = ["--root", &node.root(), "exec", &attacker.id, "/bin/true"];
    node.run(&wrapper, &exec).success();
    let seen = fs::read_to_string(shared.join("seen")).unwrap();
    assert!(!seen.contains("podhosts-"), "{seen}");
    before.assert_same(&Snapshot::of(&[&programs]));

    let (naive, tool) = (node.path("naive-hook"), programs.join("podhosts-naive"));
    fs::copy("/bin/sleep", &tool).unwrap();
    executable(
        &naive,
        &format!(
            "pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/')\nnsenter -t $pid -p {} 20 >/dev/null 2>&1 &\n\
             until grep -q podhosts-naive {}/seen; do :; done",
            tool.display(),
            shared.display()
        ),
    );
    let dir = join(pod(&node, "true").hook_program(&naive, &[]));
    let mut run = node.command(&node.path(""), programs.join("runc"), &["--root", &node.root(), "run", "-b"]);
    run.arg(dir)
        .arg(node.id("naive"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    assert!(run.status().unwrap().success());
}

/// CVE-2024-21626: a descriptor of the node's is left in the container, and its working directory leads there. The
/// wrapper hands on the engine's descriptors and none of its own.
#[test]
fn a_descriptor_of_the_wrapper_is_left_to_the_container() {
    needs!("runc", "crun", "busybox");
    let node = Node::new();
    let spy = node.path("spy");
    executable(&spy, "for fd in /proc/$$/fd/*; do echo ${fd##*/} $(readlink $fd); done");
    node.configure(&format!("[runtime]\nruntimes = [{spy:?}]\n"));
    let bundle = pod(&node, "true").write();
    // What a program gets that is started with descriptor 7, and what it gets with the wrapper in between.
    let listed = |program: &Path| {
        let script = "exec 7</etc/hosts; exec \"$1\" create -b \"$2\" c </dev/null";
        let args = ["-c", script, "sh", program.to_str().unwrap(), bundle.to_str().unwrap()];
        let output = node.run("sh", &args).success();
        output.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let given = listed(&spy);
    assert!(given.contains(&"7".to_owned()), "{given:?}");
    assert_eq!(listed(&bin("podhosts-runtime")), given);
    assert!(fs::read_to_string(bundle.join("config.json")).unwrap().contains("podhosts-hook"));

    node.write("secret", "the node's");
    let up = "../".repeat(12);
    let secret = format!("{up}{}", node.path("secret").strip_prefix("/").unwrap().display());
    for runtime in ["runc", "crun"] {
        node.configure(&format!("[runtime]\nruntimes = [{runtime:?}]\n"));
        for fd in 3..12 {
            let mut bundle = pod(&node, &format!("cat {secret}"));
            bundle.config["process"]["cwd"] = format!("/proc/self/fd/{fd}").into();
            let run = node.run_wrapped(&bundle.write());
            assert!(!run.stdout.contains("the node's"), "{runtime}, {fd}: {run:?}");
        }
    }
}

/// CVE-2022-29162, CVE-2022-24769: containers start with inheritable capabilities that nobody gave them. The wrapper
/// leaves `process.capabilities` alone, whatever the engine itself has.
#[test]
fn inheritable_capabilities_of_the_engine_reach_the_container() {
    needs!("runc", "busybox", "setpriv");
    let node = Node::with_config("[runtime]\nruntimes = [\"runc\"]\n");
    let inherited = |given: Value| {
        let mut bundle = pod(&node, "grep CapInh /proc/self/status")
            .annotate("podhosts.io/env.MY_POD_NAME", "metadata.name");
        bundle.config["process"]["capabilities"]["inheritable"] = given;
        let dir = bundle.write();
        let wrapper = bin("podhosts-runtime");
        let args = [
            "--inh-caps",
            "+chown,+kill,+net_raw",
            wrapper.to_str().unwrap(),
            "--root",
            &node.root(),
            "run",
            "-b",
        ];
        let id = node.id("caps");
        let run = node.run("setpriv", &[&args[..], &[dir.to_str().unwrap(), &id]].concat());
        run.success().trim().rsplit('\t').next().unwrap().to_owned()
    };
    assert_eq!(inherited(json!([])), "0000000000000000");
    assert_ne!(inherited(json!(DEFAULT_CAPABILITIES)), "0000000000000000", "nothing can be seen here");
}

/// CVE-2025-23266: a hook runs with the environment and in the directory of the image, and loads its LD_PRELOAD. Ours is
/// a createRuntime hook with an empty environment; a createContainer hook shows what the image can do.
#[test]
fn the_images_environment_reaches_the_hook() {
    needs!("runc", "crun", "busybox");
    for runtime in ["runc", "crun"] {
        let node = Node::new();
        let spy = node.path("podhosts-spy");
        let seen = node.path("seen");
        executable(&spy, &format!("{{ tr '\\0' '\\n' </proc/$$/environ; pwd; }} >{}", seen.display()));
        node.configure(&format!("[runtime]\nruntimes = [{runtime:?}]\nhook = {spy:?}\n"));
        let bundle = || {
            let mut bundle = pod(&node, "true");
            let env = ["PATH=/bin", "LD_PRELOAD=/evil.so", "GLIBC_TUNABLES=evil", "BASH_ENV=/evil.sh"];
            bundle.config["process"]["env"] = json!(env);
            bundle
        };
        let dir = bundle().write();
        let run = |dir: &Path| -> Run {
            let mut command =
                node.command(&node.path(""), bin("podhosts-runtime"), &["--root", &node.root()]);
            command.arg("run").arg("-b").arg(dir).arg(node.id("env")).env("ENGINES_OWN", "1");
            command.output().unwrap().into()
        };
        run(&dir).success();
        let text = fs::read_to_string(&seen).unwrap();
        for name in ["LD_PRELOAD", "GLIBC_TUNABLES", "BASH_ENV", "ENGINES_OWN"] {
            assert!(!text.contains(name), "{runtime}: {text}");
        }
        let cwd = text.lines().last().unwrap();
        assert!(!cwd.contains("rootfs"), "{runtime}: {text}");

        if runtime == "runc" {
            let mut naive = bundle();
            naive.config["annotations"] = json!({});
            naive.config["hooks"]["createContainer"] = json!([{"path": spy, "args": ["spy"]}]);
            run(&naive.write()).success();
            let text = fs::read_to_string(&seen).unwrap();
            assert!(text.contains("rootfs"), "a createContainer hook is not in the image either: {text}");
        }
    }
}

/// CVE-2021-21334: variables of one container reach another of the same image. Each container has a
/// wrapper process and a configuration of its own.
#[test]
fn variables_of_one_container_reach_another_of_the_same_image() {
    needs!("runc", "busybox");
    let node = Node::with_config("[runtime]\nruntimes = [\"runc\"]\n");
    let first = Bundle::new(&node, "true");
    let image = first.rootfs();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..6)
            .map(|number| {
                let name = format!("web-{number}");
                let mut bundle = pod(&node, "env").annotate("io.kubernetes.cri.sandbox-name", &name);
                bundle = bundle.annotate("podhosts.io/env.MY_POD_NAME", "metadata.name");
                bundle = bundle.annotate(&format!("podhosts.io/env.MY_POD_{number}"), "metadata.namespace");
                bundle.config["root"]["path"] = image.to_str().unwrap().into();
                let (dir, node) = (bundle.write(), &node);
                scope.spawn(move || {
                    let id = node.id(&name);
                    let args = ["--root", &node.root(), "run", "-b", dir.to_str().unwrap(), &id];
                    let output = node.run(bin("podhosts-runtime"), &args).success();
                    let ours: Vec<&str> = output.lines().filter(|line| line.starts_with("MY_POD_")).collect();
                    let mut expected = [format!("MY_POD_{number}=default"), format!("MY_POD_NAME={name}")];
                    expected.sort();
                    let mut ours = ours;
                    ours.sort_unstable();
                    assert_eq!(ours, expected);
                })
            })
            .collect();
        runs.into_iter().for_each(|run| run.join().unwrap());
    });
}

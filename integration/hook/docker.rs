//! Containers of Docker and nerdctl: their bundles, in the shape that Docker 28.5 and nerdctl 2.3 give them, have the
//! engine's own file at /etc/hosts, or a volume of the user's.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{
    Bundle, DEFAULT_CAPABILITIES, Node, Run, Runtime, bin, busybox_root, engines_dir, is_complete, managed,
    needs, newer_engines, runtimes,
};

/// The id of the container whose files are mounted.
const ID: &str = "b9735962ea511024e37b535a2fd198a739142d056018e492ac594104dec2c717";
const MODES: [&str; 2] = ["", "on-error = \"open\""];
/// The file, and how often something is mounted there.
const SCRIPT: &str = "cat /etc/hosts; grep -c ' /etc/hosts ' /proc/mounts";

/// Where the engines keep a container's hosts file, below a data root of any place.
fn places() -> [String; 5] {
    [
        format!("var/lib/docker/containers/{ID}/hosts"),
        format!("var/lib/docker/100000.100000/containers/{ID}/hosts"),
        format!("home/me/.local/share/docker/containers/{ID}/hosts"),
        format!("var/lib/nerdctl/1935db59/etchosts/default/{ID}/hosts"),
        format!("home/me/.local/share/nerdctl/1935db59/etchosts/k8s.io/{ID}/hosts"),
    ]
}

/// An annotated container that has the files in the directory of `hosts` mounted in /etc.
fn container(node: &Node, script: &str, hosts: &Path, options: &[&str]) -> Bundle {
    let mut bundle = Bundle::new(node, script).annotate("podhosts.io/pod-ips", "10.0.0.9");
    for name in ["resolv.conf", "hostname", "hosts"] {
        // Both engines see to it that the image has them.
        fs::write(bundle.rootfs().join("etc").join(name), "127.0.0.1 image\n").unwrap();
        let source = hosts.with_file_name(name);
        bundle.config["mounts"].as_array_mut().unwrap().push(json!({
            "destination": format!("/etc/{name}"), "type": "bind", "source": source, "options": options,
        }));
    }
    bundle
}

fn write(node: &Node, place: &str) -> PathBuf {
    let dir = place.strip_suffix("/hosts").unwrap();
    node.write(&format!("{dir}/resolv.conf"), "nameserver 10.0.0.1\n");
    node.write(&format!("{dir}/hostname"), "web\n");
    node.write(place, "127.0.0.1\tlocalhost\n172.17.0.2\tweb\n");
    node.path(place)
}

#[test]
fn the_engines_file_is_replaced_by_the_hook() {
    needs!("runc", "crun", "busybox");
    let sealed = format!("{}1\n", managed("10.0.0.9\tweb\n"));
    for runtime in runtimes() {
        for mode in MODES {
            let node = Node::with_config(mode);
            for place in places() {
                let hosts = write(&node, &place);
                let bundle = container(&node, SCRIPT, &hosts, &["rbind", "rprivate"]).hook(&[]);
                let shown = node.run_bundle(runtime, &bundle.write()).success();
                assert_eq!(shown, sealed, "{runtime:?} {mode} {place}");
                assert_eq!(node.last_log()["outcome"], "sealed");
            }
        }
    }
}

#[test]
fn the_engines_file_is_replaced_by_the_wrapper() {
    needs!("runc", "crun", "busybox");
    let sealed = format!("{}1\n", managed("10.0.0.9\tweb\n"));
    for runtime in ["runc", "crun"] {
        for mode in MODES {
            let node = Node::with_config(&format!("{mode}\n[runtime]\nruntimes = [\"{runtime}\"]\n"));
            for place in places() {
                let hosts = write(&node, &place);
                let bundle = container(&node, SCRIPT, &hosts, &["bind", "rprivate"]);
                let shown = node.run_wrapped(&bundle.write()).success();
                assert_eq!(shown, sealed, "{runtime} {mode} {place}");
            }
        }
    }
}

#[test]
fn a_read_only_container() {
    needs!("runc", "crun", "busybox");
    let sealed = format!("{}1\n", managed("10.0.0.9\tweb\n"));
    for runtime in runtimes() {
        // Docker asks for this where `<runtime> features` has it. That of crun 1.8 cannot do it for a file.
        let recursive = if runtime == Runtime::Crun { "ro" } else { "rro" };
        for mode in MODES {
            let node = Node::with_config(&format!("{mode}\n[runtime]\nruntimes = [{:?}]\n", runtime.name()));
            let hosts = write(&node, &places()[0]);
            let mut bundle = container(&node, SCRIPT, &hosts, &["rbind", recursive, "rprivate"]);
            bundle.config["root"]["readonly"] = true.into();
            assert_eq!(
                node.run_wrapped_with(runtime, &bundle.write()).success(),
                sealed,
                "{runtime:?} {mode}"
            );
        }
    }
}

/// With Docker's userns-remap. The container may unmount what it finds at /etc/hosts.
#[test]
fn nothing_of_the_engine_is_left_beneath_the_seal() {
    needs!("runc", "busybox");
    for mode in MODES {
        let node = Node::with_config(mode);
        let hosts = write(&node, &places()[1]);
        for wrapped in [true, false] {
            let script = "cat /etc/hosts; umount /etc/hosts; cat /etc/hosts";
            let mut bundle = container(&node, script, &hosts, &["rbind", "rprivate"]).user_namespace();
            bundle.capabilities(&[&DEFAULT_CAPABILITIES[..], &["CAP_SYS_ADMIN"]].concat());
            let run = if wrapped {
                node.run_wrapped(&bundle.write())
            } else {
                node.run_bundle(Runtime::Runc, &bundle.hook(&[]).write())
            };
            let expected = format!("{}127.0.0.1 image\n", managed("10.0.0.9\tweb\n"));
            assert_eq!(run.success(), expected, "{mode} wrapped: {wrapped}");
        }
    }
}

/// `-v FILE:/etc/hosts`: Docker mounts that file in the place of its own, nerdctl mounts its own over it.
#[test]
fn a_volume_of_the_users_own_stays_and_the_log_says_so() {
    needs!("runc", "crun", "busybox");
    for runtime in [Runtime::Runc, Runtime::Crun] {
        for mode in MODES {
            let config = format!("{mode}\n[runtime]\nruntimes = [{:?}]\n", runtime.name());
            let node = Node::with_config(&config);
            node.write("mine/hosts", "10.0.0.1 mine\n");
            let (mine, nerdctls) = (node.path("mine/hosts"), write(&node, &places()[3]));
            let bundle = || {
                let bundle = Bundle::new(&node, "cat /etc/hosts").annotate("podhosts.io/hostname", "web");
                bundle.mount(&mine, "/etc/hosts")
            };
            let nerdctls_text = fs::read_to_string(&nerdctls).unwrap();
            for (bundle, shown) in
                [(bundle(), "10.0.0.1 mine\n"), (bundle().mount(&nerdctls, "/etc/hosts"), &*nerdctls_text)]
            {
                left_alone(&node, runtime, bundle, shown, &mine);
            }
        }
    }
}

/// Runs it by the wrapper and with the hook.
#[track_caller]
fn left_alone(node: &Node, runtime: Runtime, bundle: Bundle, shown: &str, volume: &Path) {
    let reason = format!("the container mounts a volume of its own at /etc/hosts: {volume:?}");
    let expect = |run: Run, how: &str| {
        assert_eq!(run.success(), shown, "{runtime:?} {how}");
        let [log] = &node.log()[..] else { panic!("{runtime:?} {how}: {:?}", node.log()) };
        let found = (log["outcome"].as_str(), log["reason"].as_str(), log["pod"].as_str());
        assert_eq!(found, (Some("skipped"), Some(&*reason), Some("default/web")), "{runtime:?} {how}");
        fs::remove_file(node.path("hook.log")).unwrap();
    };
    let file = bundle.write().join("config.json");
    let (before, inode) = (fs::read(&file).unwrap(), file.metadata().unwrap().ino());
    expect(node.run_wrapped(bundle.dir()), "wrapper");
    assert_eq!((fs::read(&file).unwrap(), file.metadata().unwrap().ino()), (before, inode));
    expect(node.run_bundle(runtime, &bundle.hook(&[]).write()), "hook");
}

#[test]
fn inspect_finds_it_sealed() {
    needs!("runc", "busybox");
    let node = Node::new();
    let hosts = write(&node, &places()[0]);
    let bundle = container(&node, "sleep 1000", &hosts, &["rbind", "rprivate"]).write();
    let container = node.start_by(Runtime::Runc, &bin("podhosts-runtime"), &bundle, "docker");
    let args = ["inspect", "--json", "--root", &node.root(), &container.id];
    let report: serde_json::Value =
        serde_json::from_str(&node.run(bin("podhosts"), &args).success()).unwrap();
    assert_eq!((&report["sealed"], &report["hostsFile"]), (&true.into(), &managed("10.0.0.9\tweb\n").into()));
}

/// Starts dockerd with the wrapper as one of its runtimes, runs what it is given, and stops it.
const DAEMON: &str = r#"
set -e
docker=$1 dir=$2 wrapper=$3 cgroup=$4 script=$5
export PATH="$docker/usr/bin:$PATH" DOCKER_HOST="unix://$dir/docker.sock" DOCKER_CONFIG="$dir"
"$docker/usr/sbin/dockerd" --exec-root "$dir/exec" --data-root "$dir/data" --pidfile "$dir/pid" -H "$DOCKER_HOST" \
    --bridge none --iptables=false --ip6tables=false --userland-proxy=false --storage-driver vfs \
    --cgroup-parent "/$cgroup" --add-runtime "podhosts=$wrapper" >"$dir/log" 2>&1 &
daemon=$!
stop() {
    kill $daemon 2>/dev/null
    wait $daemon || true
    find /sys/fs/cgroup/*/"$cgroup" /sys/fs/cgroup/"$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
}
trap stop EXIT
tries=0
until docker version >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ $tries = 300 ] || ! kill -0 $daemon; then cat "$dir/log" >&2; exit 1; fi
    sleep 0.1
done
tar -C "$dir/root" -c . | docker import - busybox >/dev/null
eval "$script"
"#;

/// Runs a shell script that has a `docker` of its own.
fn with_docker(node: &Node, script: &str) -> Option<String> {
    let docker = engines_dir().join("docker");
    let is_there = docker.join("usr/bin/docker").exists() && docker.join("usr/sbin/dockerd").exists();
    let missing = (!is_there).then(|| format!("{} is missing: run make engines", docker.display()));
    if !is_complete(missing) || newer_engines().is_none() {
        return None;
    }
    busybox_root(&node.path("docker/root"));
    let (docker, dir, wrapper) = (docker.display().to_string(), node.path("docker"), bin("podhosts-runtime"));
    let args = [&docker, dir.to_str().unwrap(), wrapper.to_str().unwrap(), &node.id("docker"), script];
    Some(node.shell(Runtime::NewRunc, DAEMON, &args).success())
}

#[test]
fn a_real_docker() {
    needs!("busybox");
    let node = Node::new();
    node.write("mine", "10.0.0.1 mine\n");
    let run = "docker run --rm --network none --runtime podhosts --annotation podhosts.io/hostname=web \
               --annotation podhosts.io/pod-ips=10.0.0.9";
    let script = format!(
        "show=\"{SCRIPT}\"
         {run} busybox sh -c \"$show\"
         {run} --read-only busybox sh -c \"$show\"
         docker run -d --name other --network none busybox sleep 1000 >/dev/null
         {} busybox sh -c \"$show\"
         docker rm -f other >/dev/null
         {run} -v {}:/etc/hosts busybox cat /etc/hosts",
        run.replace("--network none", "--network container:other"),
        node.path("mine").display()
    );
    let Some(shown) = with_docker(&node, &script) else { return };
    let sealed = format!("{}1\n", managed("10.0.0.9\tweb\n"));
    assert_eq!(shown, format!("{}10.0.0.1 mine\n", sealed.repeat(3)));
    let log = node.last_log();
    let reason = format!("the container mounts a volume of its own at /etc/hosts: {:?}", node.path("mine"));
    assert_eq!((log["outcome"].as_str(), log["reason"].as_str()), (Some("skipped"), Some(&*reason)));
}

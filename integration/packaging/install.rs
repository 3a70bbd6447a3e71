//! Installing, and what follows it, as docs/install.md has it.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::harness::cni::CniNode;
use crate::harness::containerd::{CONFIG, Containerd, Release, WITH_CNI, packaged, sleeping};
use crate::harness::outside::FIRST;
use crate::harness::page::page;
use crate::harness::{Run, bin, needs};

/// `make` of this repository with the programs that are tested.
fn make_args(target: &str) -> [String; 5] {
    let release = bin("podhosts").parent().unwrap().display().to_string();
    let repository = crate::harness::repository().to_str().unwrap().to_owned();
    ["-s".to_owned(), "-C".to_owned(), repository, target.to_owned(), format!("RELEASE={release}")]
}

#[test]
fn install_and_uninstall() {
    let dir = tempfile::tempdir().unwrap();
    let make_run = |target: &str| {
        let mut command = Command::new("make");
        command.args(make_args(target)).arg(format!("DESTDIR={}", dir.path().display())).arg("PREFIX=/opt/p");
        Run::from(command.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").output().unwrap())
    };
    let make = |target: &str| make_run(target).success();
    let at = |name: &str| dir.path().join(name);
    // Where 0.1.0 had it: podhosts-cni would start that one first.
    fs::create_dir_all(at("opt/cni/bin")).unwrap();
    fs::write(at("opt/cni/bin/podhosts-apiserver"), "old").unwrap();
    make("install");
    assert!(!at("opt/cni/bin/podhosts-apiserver").exists());
    for name in [
        "opt/p/bin/podhosts",
        "opt/p/bin/podhosts-hook",
        "opt/p/bin/podhosts-runtime",
        "opt/cni/bin/podhosts-cni",
        "opt/p/bin/podhosts-apiserver",
        "opt/p/bin/podhosts-node",
        "opt/p/share/man/man1/podhosts.1",
        "opt/p/share/man/man1/podhosts-render.1",
        "opt/p/share/man/man1/podhosts-inspect.1",
        "opt/p/share/man/man1/podhosts-list.1",
        "opt/p/share/man/man1/podhosts-nri.1",
        "opt/p/share/bash-completion/completions/podhosts",
        "opt/p/share/zsh/site-functions/_podhosts",
        "opt/p/share/fish/vendor_completions.d/podhosts.fish",
        "opt/p/share/man/man1/podhosts-configure.1",
        "opt/p/share/man/man1/podhosts-unconfigure.1",
        "opt/p/lib/tmpfiles.d/podhosts.conf",
        "opt/p/share/podhosts/vendor-configs/cni/10-podhosts.conflist",
        "opt/p/share/podhosts/vendor-configs/kubernetes/daemonset.yaml",
        "opt/p/share/podhosts/vendor-configs/kubernetes/Kustomization",
        "opt/p/share/podhosts/vendor-configs/kubernetes-hook-only/kustomization.yaml",
    ] {
        assert!(at(name).is_file(), "{name}");
    }
    let man = fs::read_to_string(at("opt/p/share/man/man1/podhosts-render.1")).unwrap();
    assert!(man.contains("\\-\\-cluster\\-domain"), "{man}");
    let hook = fs::read_to_string(at("opt/p/share/podhosts/hooks/podhosts.json")).unwrap();
    assert!(hook.contains("\"/opt/p/bin/podhosts-hook\""), "{hook}");
    // Not from under an engine that is configured still.
    fs::create_dir_all(at("var/lib/podhosts/configure")).unwrap();
    fs::write(at("var/lib/podhosts/configure/crio.json"), "{}").unwrap();
    let error = make_run("uninstall").failure();
    assert!(error.contains("Error") && at("opt/p/bin/podhosts").exists(), "{error}");
    fs::remove_dir_all(at("var")).unwrap();
    make("uninstall");
    let left = Command::new("find").arg(dir.path()).args(["-type", "f"]).output().unwrap().stdout;
    assert_eq!(String::from_utf8(left).unwrap(), "");
}

#[test]
fn the_plugin_finds_the_api_server_where_it_is_installed() {
    let node = CniNode::new();
    let plugin = node.path("plugins/podhosts-cni");
    node.sh("mount -t tmpfs tmpfs /usr/local; mkdir /usr/local/bin");
    fs::create_dir_all(plugin.parent().unwrap()).unwrap();
    fs::copy(bin("podhosts-cni"), &plugin).unwrap();
    // Not by PATH, which anybody may have set.
    let path = format!("PATH={}:/usr/bin:/bin", bin("podhosts-apiserver").parent().unwrap().display());
    let help = || node.run("env", &[&path, plugin.to_str().unwrap(), "serve", "--help"]);
    let error = help().failure();
    let dirs = format!("{}, /usr/local/bin, /usr/bin", plugin.parent().unwrap().display());
    assert_eq!(error, format!("podhosts-cni: cannot find podhosts-apiserver in {dirs}: install it there\n"));
    node.sh(&format!("cp {} /usr/local/bin", bin("podhosts-apiserver").display()));
    assert!(help().success().contains("Usage: podhosts-apiserver serve "));
    // One beside the plugin is of the same build.
    fs::write(plugin.with_file_name("podhosts-apiserver"), "").unwrap();
    assert!(help().failure().ends_with("/plugins/podhosts-apiserver is not executable\n"));
}

/// Where Debian's containerd looks for CNI plugins.
const PLUGINS: &str = "/usr/lib/cni";

/// A place to install into that goes with the node, with the plugins that are there.
const CLEAN: &str = "cp -a /usr/lib/cni /run/plugins; mount -t tmpfs tmpfs /usr/local; mount -t tmpfs tmpfs /usr/lib/cni; \
                     cp -a /run/plugins/. /usr/lib/cni";

/// Everything that an installation may change: what files have in them, and what else there is.
const EVERYTHING: &str = "cd /; there='usr/local usr/lib/cni opt etc'; find $there -type f -exec sha256sum {} +; \
                          find $there -type l -printf '%p -> %l\\n'; find etc opt usr/lib/cni -type d; \
                          find var/lib -maxdepth 2 -path '*podhosts*'";

fn everything(containerd: &Containerd) -> BTreeSet<String> {
    containerd.node.sh(EVERYTHING).lines().map(str::to_owned).collect()
}

#[test]
fn what_is_installed_works_on_debian_and_leaves_nothing() {
    needs!("make", "/usr/lib/cni/bridge");
    let Some(mut containerd) = Containerd::new(Release::Bookworm) else { return };
    containerd.node.sh(CLEAN);
    let config = packaged();
    assert!(config.contains(PLUGINS), "{config}");
    fs::write(containerd.node.file(CONFIG), config).unwrap();
    let before = everything(&containerd);

    make(&containerd, "install");
    podhosts(&containerd, &[&["configure", "--runtime", "containerd"], WITH_CNI].concat()).success();
    containerd.launch();
    containerd.import_images();
    start_the_example(&containerd);
    assert_well(&containerd);

    containerd.end("TERM");
    podhosts(&containerd, &["unconfigure", "--runtime", "containerd"]).success();
    make(&containerd, "uninstall");
    let after = everything(&containerd);
    assert_eq!(after.symmetric_difference(&before).collect::<Vec<_>>(), [""; 0]);
    // Without podhosts it starts as it did before.
    containerd.spawn();
    containerd.until(&["info"], |info| !info.contains("podhosts"));
}

#[track_caller]
fn make(containerd: &Containerd, target: &str) {
    let (make, plugins) = (make_args(target), format!("CNI_BIN_DIR={PLUGINS}"));
    let mut args = vec!["-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", &plugins];
    args.extend(make.iter().map(String::as_str));
    containerd.run("env", &args).success();
}

/// What was installed.
fn podhosts(containerd: &Containerd, args: &[&str]) -> Run {
    containerd.run("/usr/local/bin/podhosts", args)
}

/// Whether doctor finds nothing. Whoever has podman, too, is told that it does not call podhosts yet.
#[track_caller]
fn assert_well(containerd: &Containerd) {
    let doctor = podhosts(containerd, &["doctor"]);
    let is_well =
        |line: &str| ["ok ", "skipped ", "warning  podman "].iter().any(|well| line.starts_with(well));
    assert!(doctor.ok && doctor.stdout.lines().all(is_well), "{doctor:?}");
    let (loaded, network) =
        ("containerd    containerd has loaded what", "cni           /etc/cni/net.d/10-podhosts");
    for check in [loaded, network, "self-test     a container was created"] {
        assert!(doctor.stdout.contains(&format!("\nok       {check}")), "{}", doctor.stdout);
    }
}

/// Runs the example's pod with a container, which has the sealed file.
#[track_caller]
fn start_the_example(containerd: &Containerd) {
    let example = crate::harness::repository().join("examples/hostaliases-pod.crictl.yaml");
    containerd.node.sh("mkdir /var/log/pods/default_hostaliases-pod");
    let example = example.to_str().unwrap();
    let pod = containerd.ask(&["runp", "--runtime", "podhosts", example]);
    let file = containerd.file("main.json", &sleeping("main"));
    let id = containerd.ask(&["create", &pod, &file, example]);
    containerd.ask(&["start", &id]);
    assert_eq!(containerd.hosts(&id), page(&FIRST, "hostaliases-pod"));
    let refused = containerd.exec(&id, "echo 6.6.6.6 bank >>/etc/hosts").failure();
    assert!(refused.contains("Read-only file system"), "{refused}");
    containerd.ask(&["rmp", "-f", &pod]);
}

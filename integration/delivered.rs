//! The files that are installed beside the programs, and the demo.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Run, bin, needs};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn hooks_d_files_have_the_schema() {
    for (name, when) in [("podhosts.json", "always"), ("podhosts-annotated.json", "annotations")] {
        let hook: Value = serde_json::from_slice(&fs::read(file("hooks").join(name)).unwrap()).unwrap();
        assert_eq!(hook["version"], "1.0.0");
        assert_eq!(hook["stages"], serde_json::json!(["createRuntime"]));
        assert_eq!((&hook["hook"]["env"], &hook["hook"]["timeout"]), (&serde_json::json!([]), &10.into()));
        // A program that is missing is silently left out by the engines, so it is the one `make install` puts there.
        assert_eq!(hook["hook"]["path"], "/usr/local/bin/podhosts-hook");
        let when_keys: Vec<&String> = hook["when"].as_object().unwrap().keys().collect();
        assert_eq!(when_keys, [when]);
    }
}

#[test]
fn vendor_configs_name_what_is_installed() {
    let (mut engines, mut networks) = (0, Vec::new());
    for engine in fs::read_dir(file("vendor-configs")).unwrap() {
        for config in fs::read_dir(engine.unwrap().path()).unwrap() {
            let path = config.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let shown = path.display();
            if path.extension().is_some_and(|extension| extension == "service") {
                assert!(text.contains("\nExecStart=/usr/local/bin/podhosts nri\n"), "{shown}");
                continue;
            }
            if path.extension().is_some_and(|extension| extension == "conflist") {
                networks.push(network(&text));
                continue;
            }
            toml::from_str::<toml::Table>(&text).unwrap_or_else(|error| panic!("{shown}: {error}"));
            for (at, _) in text.match_indices("/podhosts-runtime\"") {
                assert!(text[..at].ends_with("\"/usr/local/bin"), "{shown}");
            }
            engines += 1;
        }
    }
    networks.sort_unstable();
    assert_eq!(
        (engines, networks),
        (5, ["podhosts", "podhosts-chained", "podhosts-ipam"].map(str::to_owned).to_vec())
    );
}

/// The name of a network whose list older and newer engines can read.
fn network(text: &str) -> String {
    let list: Value = serde_json::from_str(text).unwrap();
    // libcni up to 1.1 knows cniVersion alone, later ones take the latest of cniVersions, which all plugins have to speak.
    let is_ours_alone = list["plugins"].as_array().unwrap().len() == 1;
    assert_eq!(list["cniVersion"], "1.0.0");
    assert_eq!(list["cniVersions"] == serde_json::json!(["1.0.0", "1.1.0"]), is_ours_alone);
    assert!(text.contains("\"podhosts-cni\""), "{text}");
    list["name"].as_str().unwrap().to_owned()
}

#[test]
fn both_examples_are_the_same_pod() {
    let render = |name: &str| {
        let example = file("examples").join(name);
        let args = ["render", "-f", example.to_str().unwrap(), "--pod-ip", "10.200.0.5"];
        Run::from(Command::new(bin("podhosts")).args(args).output().unwrap()).success()
    };
    assert_eq!(render("hostaliases-pod.yaml"), render("hostaliases-pod.crictl.yaml"));
}

#[test]
fn install_and_uninstall() {
    let dir = tempfile::tempdir().unwrap();
    let make = |target: &str| {
        let mut command = Command::new("make");
        command.arg("-s").arg(target).current_dir(file("")).env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
        command.arg(format!("DESTDIR={}", dir.path().display())).arg("PREFIX=/opt/p");
        command.arg(format!("RELEASE={}", bin("podhosts").parent().unwrap().display()));
        Run::from(command.output().unwrap()).success();
    };
    make("install");
    let at = |name: &str| dir.path().join(name);
    for name in [
        "opt/p/bin/podhosts",
        "opt/p/bin/podhosts-hook",
        "opt/p/bin/podhosts-runtime",
        "opt/cni/bin/podhosts-cni",
        "opt/p/share/man/man1/podhosts.1",
        "opt/p/share/man/man1/podhosts-render.1",
        "opt/p/share/man/man1/podhosts-inspect.1",
        "opt/p/share/man/man1/podhosts-list.1",
        "opt/p/share/man/man1/podhosts-nri.1",
        "opt/p/share/bash-completion/completions/podhosts",
        "opt/p/share/zsh/site-functions/_podhosts",
        "opt/p/share/fish/vendor_completions.d/podhosts.fish",
        "opt/p/share/podhosts/vendor-configs/cni/10-podhosts.conflist",
    ] {
        assert!(at(name).is_file(), "{name}");
    }
    let man = fs::read_to_string(at("opt/p/share/man/man1/podhosts-render.1")).unwrap();
    assert!(man.contains("\\-\\-cluster\\-domain"), "{man}");
    let hook = fs::read_to_string(at("opt/p/share/podhosts/hooks/podhosts.json")).unwrap();
    assert!(hook.contains("\"/opt/p/bin/podhosts-hook\""), "{hook}");
    make("uninstall");
    let left = Command::new("find").arg(dir.path()).args(["-type", "f"]).output().unwrap().stdout;
    assert_eq!(String::from_utf8(left).unwrap(), "");
}

#[test]
fn the_demo() {
    needs!("runc", "busybox");
    // A copy that anybody may read, for the demo without root.
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for path in [
        file("examples/demo.sh"),
        file("examples/hostaliases-pod.yaml"),
        bin("podhosts"),
        bin("podhosts-hook"),
        bin("podhosts-runtime"),
    ] {
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let demo = |uid: &str| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", uid, "--regid", uid, "--clear-groups", "sh"])
            .arg(dir.path().join("demo.sh"));
        Run::from(command.env("PODHOSTS_BIN_DIR", dir.path()).output().unwrap()).success()
    };
    let output = demo("0");
    assert!(output.contains("\nyes, byte for byte\n"), "{output}");
    assert_eq!(output.matches("  # ").count(), 7);
    assert_eq!(output.matches("Read-only file system\n").count(), 2, "{output}");
    assert_eq!(output.matches("Device or resource busy\n").count(), 2, "{output}");
    assert_eq!(output.matches("permission denied").count(), 2, "{output}");
    assert!(output.trim_end().ends_with(" microseconds"), "{output}");
    let without_root = demo("65534");
    assert!(without_root.starts_with("The demo needs root"), "{without_root}");
    assert!(without_root.ends_with("\n10.1.2.3\tfoo.remote\tbar.remote\n"), "{without_root}");
}

//! The files that are installed beside the programs, and the demo.

use std::fs;
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
    let mut seen = 0;
    for engine in fs::read_dir(file("vendor-configs")).unwrap() {
        for config in fs::read_dir(engine.unwrap().path()).unwrap() {
            let path = config.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            toml::from_str::<toml::Table>(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            for (at, _) in text.match_indices("/podhosts-runtime\"") {
                assert!(text[..at].ends_with("\"/usr/local/bin"), "{}", path.display());
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 5);
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
fn the_demo() {
    needs!("runc", "busybox");
    let demo = |uid: &str| {
        let dir = bin("podhosts").parent().unwrap().to_owned();
        let mut command = Command::new("setpriv");
        // A demo without root must not be able to become root by what root has left it.
        command.args(["--reuid", uid, "--regid", uid, "--clear-groups", "sh"]);
        command.arg(file("examples/demo.sh")).env("PODHOSTS_BIN_DIR", dir);
        Run::from(command.output().unwrap())
    };
    let output = demo("0").success();
    assert!(output.contains("\nyes, byte for byte\n"), "{output}");
    assert_eq!(output.matches("  # ").count(), 7);
    assert_eq!(output.matches("Read-only file system\n").count(), 2, "{output}");
    assert_eq!(output.matches("Device or resource busy\n").count(), 2, "{output}");
    assert_eq!(output.matches("permission denied").count(), 2, "{output}");
    assert!(output.trim_end().ends_with(" microseconds"), "{output}");
}

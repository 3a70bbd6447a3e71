//! The wrapper and the runtimes behind it: which one a container has, and crun's own options.

use std::fs;
use std::path::Path;

use super::wrapper::{pod, wrapper};
use crate::harness::{Node, bin, managed, needs};

/// Which runtimes a node has may change while containers run.
#[test]
fn a_container_stays_with_the_runtime_that_has_made_it() {
    needs!("runc", "crun", "busybox");
    for (maker, later) in [("crun", "runc"), ("runc", "crun")] {
        let node = Node::with_config(&format!("[runtime]\nruntimes = [{maker:?}]\n"));
        let (bundle, id, root) = (pod(&node, "sleep 1000").write(), node.id("old"), node.root());
        // What was created keeps stdout open.
        let (create, program) =
            ("\"$0\" --root \"$1\" create -b \"$2\" \"$3\" >/dev/null 2>&1", bin("podhosts-runtime"));
        let args = ["-c", create, program.to_str().unwrap(), &root, bundle.to_str().unwrap(), &id];
        node.run("sh", &args).success();
        node.configure(&format!("[runtime]\nruntimes = [{later:?}, {maker:?}]\n"));
        assert!(
            wrapper(&node, &["--root", &root, "state", &id]).success().contains("\"created\""),
            "{maker}"
        );
        wrapper(&node, &["--root", &root, "delete", "--force", &id]).success();
        assert!(!Path::new(&root).join(&id).exists(), "{maker}");
    }
}

#[test]
fn cruns_other_configuration() {
    needs!("crun", "busybox");
    let node = Node::with_config("[runtime]\nruntimes = [\"crun\"]\n");
    let bundle = pod(&node, "cat /etc/hosts").write();
    fs::rename(bundle.join("config.json"), bundle.join("other.json")).unwrap();
    let other = bundle.join("other.json");
    // crun looks for a relative one in the current directory, not in the bundle.
    let relative = other.strip_prefix(node.path("")).unwrap();
    for (name, config) in [("absolute", other.to_str().unwrap()), ("relative", relative.to_str().unwrap())] {
        let args =
            ["--root", &node.root(), "run", "-f", config, "-b", bundle.to_str().unwrap(), &node.id(name)];
        assert_eq!(wrapper(&node, &args).success(), managed("10.0.0.9\tweb\n"), "{name}");
    }
}

/// getopt takes the beginning of an option for it. What it resolves is sealed, and a bundle in the current directory is not
/// taken for the one that such an option names.
#[test]
fn cruns_abbreviated_options() {
    needs!("crun", "busybox");
    let node = Node::with_config("[runtime]\nruntimes = [\"crun\"]\n");
    let bundle = pod(&node, "cat /etc/hosts").write();
    let (bundle, root) = (bundle.to_str().unwrap(), node.root());
    let log = node.path("crun.log").display().to_string();
    let config = format!("--conf={bundle}/config.json");
    for (name, options) in [
        ("bundle", vec!["--bund", bundle]),
        ("config", vec![config.as_str(), "--b", bundle]),
        ("others", vec!["--pre", "0", "--no-s", "--bundle", bundle]),
    ] {
        let (id, log) = (node.id(name), format!("--log=file:{log}"));
        let args = [&["--root", &root, &log, "run"], options.as_slice(), &[&id]].concat();
        assert_eq!(wrapper(&node, &args).success(), managed("10.0.0.9\tweb\n"), "{name}");
    }
    let error = wrapper(&node, &["--log", &format!("file:{log}"), "run", "--con", "x", "c"]).failure();
    assert!(error.contains("option \"--con\" is ambiguous, expected one in full"), "{error}");
    assert!(fs::read_to_string(log).unwrap().contains("is ambiguous"), "crun's own name of the file is read");
}

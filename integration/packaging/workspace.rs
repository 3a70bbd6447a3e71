//! Which crate may use which, as docs/design/overview.md has it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{bin, is_complete, repository};

/// The crates of the product from the bottom up, each with those of ours that it uses.
const CRATES: &[(&str, &[&str])] = &[
    ("podhosts-pod", &[]),
    ("podhosts-sqlite", &[]),
    ("podhosts-cri", &[]),
    ("podhosts-sys", &["podhosts-pod"]),
    ("podhosts-telemetry", &["podhosts-pod"]),
    ("podhosts-proxy", &["podhosts-pod", "podhosts-sys", "podhosts-telemetry"]),
    ("podhosts-records", &["podhosts-pod", "podhosts-sys"]),
    ("podhosts-container", &["podhosts-pod", "podhosts-records", "podhosts-sys"]),
    ("podhosts-hook", &["podhosts-container", "podhosts-pod", "podhosts-sys"]),
    ("podhosts-runtime", &["podhosts-container", "podhosts-pod", "podhosts-sys"]),
    ("podhosts-cni", &["podhosts-pod", "podhosts-records", "podhosts-sqlite", "podhosts-sys"]),
    (
        "podhosts-apiserver",
        &[
            "podhosts-cri",
            "podhosts-pod",
            "podhosts-proxy",
            "podhosts-records",
            "podhosts-sqlite",
            "podhosts-sys",
            "podhosts-telemetry",
        ],
    ),
    (
        "podhosts-node",
        &["podhosts-pod", "podhosts-proxy", "podhosts-records", "podhosts-sys", "podhosts-telemetry"],
    ),
    (
        "podhosts",
        &[
            "podhosts-container",
            "podhosts-cri",
            "podhosts-pod",
            "podhosts-records",
            "podhosts-sys",
            "podhosts-telemetry",
        ],
    ),
];
/// Programs that are started for every container. What they are linked with is read from the disk each time.
const PER_CONTAINER: [&str; 2] = ["podhosts-hook", "podhosts-runtime"];

/// What `cargo metadata` says of this workspace.
fn metadata() -> Value {
    let cargo = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    serde_json::from_slice(&cargo.stdout).unwrap()
}

/// The ids of the packages that each package is linked with; what only builds or tests it is left out.
fn links(metadata: &Value) -> BTreeMap<&str, Vec<&str>> {
    let is_linked =
        |dep: &&Value| dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap().iter();
    nodes
        .map(|node| {
            let deps = node["deps"].as_array().unwrap().iter().filter(is_linked);
            (node["id"].as_str().unwrap(), deps.map(|dep| dep["pkg"].as_str().unwrap()).collect())
        })
        .collect()
}

/// The names of packages by their ids.
fn names(metadata: &Value) -> BTreeMap<&str, &str> {
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap())).collect()
}

#[test]
fn crates_use_those_below_them() {
    let metadata = metadata();
    let (links, names) = (links(&metadata), names(&metadata));
    let ours: BTreeSet<&str> = CRATES.iter().map(|(name, _)| *name).collect();
    for (name, expected) in CRATES {
        let id = names.iter().find(|(_, found)| *found == name).unwrap().0;
        let used: BTreeSet<&str> =
            links[id].iter().map(|id| names[id]).filter(|name| ours.contains(name)).collect();
        assert_eq!(used, expected.iter().copied().collect(), "{name}");
    }
}

#[test]
fn programs_of_every_container_have_neither_sqlite_nor_an_async_runtime() {
    let metadata = metadata();
    let (links, names) = (links(&metadata), names(&metadata));
    for program in PER_CONTAINER {
        let mut open: Vec<&str> =
            names.iter().filter(|(_, name)| **name == program).map(|(id, _)| *id).collect();
        let mut tree = BTreeSet::new();
        while let Some(id) = open.pop() {
            if tree.insert(id) {
                open.extend(&links[id]);
            }
        }
        let tree: BTreeSet<&str> = tree.into_iter().map(|id| names[id]).collect();
        assert!(tree.contains("podhosts-sys"), "{program}: {tree:?}");
        for banned in ["tokio", "libsqlite3-sys", "rusqlite", "async-std", "clap"] {
            assert!(!tree.contains(banned), "{program} is linked with {banned}");
        }
    }
}

/// They are read from the disk for every container: 1.8 MiB is the most that docs/design/dependencies.md allows.
#[test]
fn programs_of_every_container_stay_small() {
    for program in PER_CONTAINER {
        let path = bin(program);
        let is_release = path.parent().unwrap().ends_with("release");
        if !is_complete((!is_release).then(|| format!("{} is no release program", path.display()))) {
            return;
        }
        let size = path.metadata().unwrap().len();
        assert!(size <= 1_887_436, "{program}: {size} bytes");
    }
}

/// In one call cargo builds each crate once, with the features that any of the programs asks for.
#[test]
fn programs_of_every_container_have_no_features_of_the_agents() {
    let makefile = std::fs::read_to_string(repository().join("Makefile")).unwrap();
    let variable = |name: &str| {
        let line =
            makefile.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(":= "));
        line.unwrap().split(' ').collect::<Vec<_>>()
    };
    let (programs, agent) = (variable("PROGRAMS"), variable("AGENT"));
    assert!(PER_CONTAINER.iter().all(|program| programs.contains(program)), "{programs:?}");
    let features_with = |more: &[&str]| {
        let mut cargo = Command::new("cargo");
        cargo.args(["tree", "--locked", "--offline", "--edges=normal", "--prefix=none", "--format={p} {f}"]);
        for program in programs.iter().chain(more) {
            cargo.args(["-p", program]);
        }
        let tree = cargo.current_dir(repository()).output().unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8(tree.stdout).unwrap();
        let tracing = tree.lines().find_map(|line| line.strip_prefix("tracing v")).unwrap();
        let features = tracing.split_once(' ').unwrap().1.trim_end_matches(" (*)");
        features.split(',').map(str::to_owned).collect::<BTreeSet<String>>()
    };
    assert!(!features_with(&[]).contains("log"));
    // Where this no longer holds, one call will do.
    assert!(features_with(&agent).contains("log"));
}

/// Each file of the product's own code below `dir`.
fn sources(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn unsafe_code_is_in_sys_alone() {
    let src = repository().join("src");
    let files = sources(&src);
    assert!(files.len() > 200);
    for path in files.iter().filter(|path| !path.starts_with(src.join("sys"))) {
        let code = std::fs::read_to_string(path).unwrap();
        let allowed = code.lines().find(|line| line.contains("allow(unsafe_code"));
        assert_eq!(allowed, None, "{}", path.display());
    }
}

//! The test image, made of busybox: for machines without a registry.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::busybox_root;

/// What containers are started from.
pub(crate) const NAME: &str = "docker.io/library/busybox:latest";

/// Writes an archive as `docker save` makes it, of one image with all of `tags`, without what `missing` names. Without a
/// command it does what a pause image does.
pub(crate) fn write_archive(path: &Path, tags: &[&str], missing: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    busybox_root(&root);
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n").unwrap();
    for name in missing {
        let path = root.join(name);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    let layer = dir.path().join("layer.tar");
    tar(&layer, &root, &["."]);
    let config = json!({"architecture": "amd64", "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sleep", "1000000"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer))]}});
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let manifest = json!([{"Config": "config.json", "RepoTags": tags, "Layers": ["layer.tar"]}]);
    fs::write(dir.path().join("manifest.json"), manifest.to_string()).unwrap();
    tar(path, dir.path(), &["manifest.json", "config.json", "layer.tar"]);
}

fn tar(archive: &Path, dir: &Path, names: &[&str]) {
    let mut command = Command::new("tar");
    command.arg("-cf").arg(archive).args(["--owner=0", "--group=0", "-C"]).arg(dir).args(names);
    assert!(command.status().unwrap().success());
}

fn sha256(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

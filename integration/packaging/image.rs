//! The image that `make image` makes, in a real containerd.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::containerd::{Containerd, Pod, Release};
use crate::harness::{Run, bin, needs, repository};

/// Its name, as the manifests have it.
pub(super) const NAME: &str = concat!("podhosts:", env!("CARGO_PKG_VERSION"));

/// Makes the image of the programs that are tested, and imports it.
#[track_caller]
fn import(containerd: &Containerd) {
    let dir = containerd.node.path("image");
    let release = format!("RELEASE={}", bin("podhosts").parent().unwrap().display());
    let mut make = Command::new("make");
    make.args(["-s", "-C", repository().to_str().unwrap(), "image", &release]);
    make.arg(format!("IMAGE={}", dir.display())).env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    let archive = dir.join("podhosts.tar");
    let said = Run::from(make.output().unwrap()).success();
    assert_eq!(said, format!("{} has docker.io/library/{NAME}\n", archive.display()));
    // Nothing but the archive is left.
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    containerd.run("ctr", &["-n", "k8s.io", "images", "import", archive.to_str().unwrap()]).success();
    containerd.until(&["images", "-o", "json"], |images| images.contains(&format!("/{NAME}\"")));
}

/// A containerd with the image, and no network.
pub(super) fn with_image() -> Option<Containerd> {
    let mut containerd = Containerd::new(Release::Bookworm)?;
    containerd.spawn();
    containerd.until(&["version"], |_| true);
    containerd.import_images();
    import(&containerd);
    Some(containerd)
}

/// A pod on the node's network, without a hosts file of podhosts'.
#[track_caller]
pub(super) fn on_node<'a>(containerd: &'a Containerd, name: &str) -> Pod<'a> {
    let mut config = containerd.pod_config(name);
    // NODE and CONTAINER, which the kubelet says.
    config["linux"]["security_context"] = json!({"namespace_options": {"network": 2, "pid": 1}});
    containerd.pod_with(&config, &[])
}

/// Where programs that are not static find their libraries: `make build` makes static ones, and tests may run others.
pub(super) fn libraries() -> Vec<Value> {
    let start = fs::read(bin("podhosts")).unwrap();
    let is_static = !start[..4096].windows(10).any(|bytes| bytes == b"/ld-linux-");
    let mount = |from: &str, to: &str| json!({"host_path": from, "container_path": to, "readonly": true});
    match is_static || !Path::new("/usr/lib64").exists() {
        true => Vec::new(),
        false => vec![mount("/usr/lib", "/lib"), mount("/usr/lib64", "/lib64")],
    }
}

#[test]
fn containerd_runs_what_make_image_made() {
    needs!("make", "umoci", "busybox", "tar");
    let Some(containerd) = with_image() else { return };
    let pod = on_node(&containerd, "image");
    let main = json!({"metadata": {"name": "main"}, "image": {"image": NAME}, "command": ["sleep", "1000000"],
        "log_path": "main.log", "mounts": libraries(), "linux": {"security_context": {"namespace_options": {"network": 2, "pid": 1}}}});
    let main = pod.start(&main);
    let version = containerd.exec(&main, "/podhosts/podhosts --version").success();
    assert_eq!(version, format!("podhosts {}\n", env!("CARGO_PKG_VERSION")));
    for program in ["podhosts", "podhosts-hook", "podhosts-node"] {
        let help = containerd.exec(&main, &format!("/podhosts/{program} --help")).success();
        assert!(help.contains(program), "{program}: {help}");
    }
    // The owner is root, whoever made the image.
    let listed = containerd.exec(&main, "ls -ln /podhosts /bin").success();
    let files = listed.lines().filter(|line| line.starts_with('-'));
    assert_eq!(files.filter(|line| line.starts_with("-rwxr-xr-x    1 0        0 ")).count(), 6, "{listed}");
}

//! Images that want the hook to write somewhere else.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::harness::{Bundle, Node, Snapshot, managed, needs, runtimes};

/// What a hostile image has, and what comes of it: the sealed file, or an error with these words.
struct Hostile {
    name: &'static str,
    make: fn(&Path),
    error: Option<&'static str>,
}

const fn sealed(name: &'static str, make: fn(&Path)) -> Hostile {
    Hostile { name, make, error: None }
}

const fn refused(name: &'static str, make: fn(&Path), error: &'static str) -> Hostile {
    Hostile { name, make, error: Some(error) }
}

fn link_hosts(root: &Path, to: &str) {
    fs::remove_file(root.join("etc/hosts")).unwrap();
    symlink(to, root.join("etc/hosts")).unwrap();
}

fn link_etc(root: &Path, to: &str) {
    fs::remove_dir_all(root.join("etc")).unwrap();
    symlink(to, root.join("etc")).unwrap();
}

fn usr_etc(root: &Path) {
    fs::create_dir_all(root.join("usr/etc")).unwrap();
    fs::write(root.join("usr/etc/hosts"), "x").unwrap();
}

fn node_at_hosts(root: &Path, kind: FileType, device: u64) {
    fs::remove_file(root.join("etc/hosts")).unwrap();
    mknodat(CWD, root.join("etc/hosts"), kind, Mode::from_raw_mode(0o666), device).unwrap();
}

fn node_at_etc(root: &Path, kind: FileType, device: u64) {
    fs::remove_dir_all(root.join("etc")).unwrap();
    mknodat(CWD, root.join("etc"), kind, Mode::from_raw_mode(0o666), device).unwrap();
}

/// /dev/zero, which never ends when it is read.
const ZERO: u64 = (1 << 8) | 5;

/// A directory that belongs to somebody else and denies even its owner to write.
fn lock(dir: &Path) {
    std::os::unix::fs::chown(dir, Some(1000), Some(1000)).unwrap();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o555)).unwrap();
}

const HOSTILE: [Hostile; 27] = [
    sealed("hosts: nothing", |root| fs::remove_file(root.join("etc/hosts")).unwrap()),
    sealed("etc: somebody else's, mode 0555, with nothing", |root| {
        fs::remove_file(root.join("etc/hosts")).unwrap();
        lock(&root.join("etc"));
    }),
    sealed("root: somebody else's, mode 0555, with nothing", |root| {
        fs::remove_dir_all(root.join("etc")).unwrap();
        lock(root);
    }),
    sealed("etc: nothing", |root| fs::remove_dir_all(root.join("etc")).unwrap()),
    sealed("hosts: relative link", |root| {
        fs::write(root.join("tmp/hosts"), "x").unwrap();
        link_hosts(root, "../tmp/hosts");
    }),
    sealed("hosts: absolute link", |root| {
        fs::write(root.join("tmp/hosts"), "x").unwrap();
        link_hosts(root, "/tmp/hosts");
    }),
    sealed("hosts: dangling link", |root| link_hosts(root, "/nowhere")),
    sealed("hosts: link to proc", |root| link_hosts(root, "/proc/1/environ")),
    sealed("hosts: magic link", |root| link_hosts(root, "/proc/self/exe")),
    sealed("hosts: link to the node's", |root| link_hosts(root, "../../../../../../../../etc/hosts")),
    sealed("hosts: link to the node's, through proc", |root| link_hosts(root, "/proc/1/root/etc/hosts")),
    sealed("hosts: link to itself", |root| link_hosts(root, "hosts")),
    sealed("hosts: link to a directory", |root| link_hosts(root, "/tmp")),
    sealed("hosts: fifo", |root| node_at_hosts(root, FileType::Fifo, 0)),
    sealed("hosts: device", |root| node_at_hosts(root, FileType::CharacterDevice, ZERO)),
    sealed("hosts: socket", |root| node_at_hosts(root, FileType::Socket, 0)),
    refused(
        "hosts: directory",
        |root| {
            fs::remove_file(root.join("etc/hosts")).unwrap();
            fs::create_dir(root.join("etc/hosts")).unwrap();
        },
        "cannot seal /etc/hosts: it is a directory",
    ),
    sealed("etc: relative link", |root| {
        usr_etc(root);
        link_etc(root, "usr/etc");
    }),
    sealed("etc: absolute link", |root| {
        usr_etc(root);
        link_etc(root, "/usr/etc");
    }),
    sealed("etc: link out of the root", |root| {
        usr_etc(root);
        link_etc(root, "../../../../../../usr/etc");
    }),
    refused("etc: dangling link", |root| link_etc(root, "/nowhere/etc"), "cannot create /etc: File exists"),
    refused("etc: link to proc", |root| link_etc(root, "/proc"), "/etc leads to a proc or sysfs file system"),
    refused(
        "etc: link to the node's, through proc",
        |root| link_etc(root, "/proc/1/root/etc"),
        "cannot open /etc: ",
    ),
    refused(
        "etc: link to itself",
        |root| link_etc(root, "etc"),
        "cannot open /etc: Too many levels of symbolic links",
    ),
    refused(
        "etc: file",
        |root| node_at_etc(root, FileType::RegularFile, 0),
        "cannot open /etc: Not a directory",
    ),
    refused("etc: fifo", |root| node_at_etc(root, FileType::Fifo, 0), "cannot open /etc: Not a directory"),
    refused(
        "etc: device",
        |root| node_at_etc(root, FileType::CharacterDevice, ZERO),
        "cannot open /etc: Not a directory",
    ),
];

#[test]
fn the_right_file_or_one_clear_error_and_the_node_as_it_was() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        for hostile in &HOSTILE {
            let node = Node::new();
            // The replacement of the file is part of what must fail.
            let script = "cat /etc/hosts; rm -f /etc/hosts 2>/dev/null && echo removed; true";
            let bundle =
                Bundle::new(&node, script).containerd().annotate("podhosts.io/pod-ips", "10.0.0.9").hook(&[]);
            (hostile.make)(&bundle.rootfs());
            let dir = bundle.write();
            let (etc, root) = (node.path("etc"), bundle.rootfs());
            let watched: [&Path; 2] = [&etc, &root];
            let before = Snapshot::of(&watched);
            let run = node.run_bundle(runtime, &dir);
            let what = format!("{runtime:?}, {}: {run:?}", hostile.name);
            match hostile.error {
                None => {
                    assert_eq!(run.stdout, managed("10.0.0.9\tweb\n"), "{what}");
                    // Where there was something to mount on, nothing was written anywhere.
                    let created = hostile.name.ends_with("nothing");
                    let watched = if created { &watched[..1] } else { &watched };
                    before.only(watched).assert_same(&Snapshot::of(watched));
                }
                Some(error) => {
                    assert!(!run.ok && run.stdout.is_empty(), "{what}");
                    let reason = node.last_log()["reason"].to_string();
                    assert!(reason.contains(error), "{what}: {reason}");
                    // Not even the container's own files are another's.
                    before.assert_same(&Snapshot::of(&watched));
                }
            }
        }
    }
}

#[test]
fn a_root_that_is_truly_read_only_and_has_no_file() {
    needs!("runc", "busybox");
    let node = Node::new();
    let bundle = Bundle::new(&node, "true").containerd().hook(&[]);
    fs::remove_file(bundle.rootfs().join("etc/hosts")).unwrap();
    let dir = bundle.write();
    let root = bundle.rootfs();
    // The whole root file system is a read-only mount, as an image's snapshot without a writable layer.
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && exec runc --root \"$2\" run -b \"$3\" ro";
    let args = ["-c", script, "sh", root.to_str().unwrap(), &node.root(), dir.to_str().unwrap()];
    let error = node.run("sh", &args).failure();
    assert!(
        error.contains("it is missing and the root file system is read-only, expected an (empty) file there"),
        "{error}"
    );
}

#[test]
fn nothing_is_created_in_a_volume_at_etc() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        fs::create_dir(node.path("volume")).unwrap();
        let volume = node.path("volume");
        let bundle = || Bundle::new(&node, "cat /etc/hosts").containerd().mount(&volume, "/etc").hook(&[]);
        let before = Snapshot::of(&[&volume]);
        node.run_bundle(runtime, &bundle().write()).failure();
        assert!(node.last_log()["reason"].to_string().contains("/etc is in a volume"));
        before.assert_same(&Snapshot::of(&[&volume]));
    }
}

//! Published attacks on programs that mount or write into a container's root file system. The node's directory `victim`
//! is what they are after.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

use crate::harness::{Bundle, DEFAULT_CAPABILITIES, Node, Runtime, Snapshot, bin, managed, needs, runtimes};

fn pod(node: &Node, script: &str) -> Bundle {
    Bundle::new(node, script).containerd().annotate("podhosts.io/pod-ips", "10.0.0.9")
}

/// The hook under strace with `options`; the trace goes to `trace` in the node's directory.
fn traced(node: &Node, options: &str) -> PathBuf {
    let (path, trace, hook) = (node.path("traced-hook"), node.path("trace"), bin("podhosts-hook"));
    executable(&path, &format!("exec strace -f -o {} {options} {}", trace.display(), hook.display()));
    path
}

fn executable(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A path that leads from a directory in the root file system to `target` on the node, but only for those that resolve
/// it outside of the container.
fn out_of_the_root(target: &Path) -> PathBuf {
    Path::new("../../../../../../../..").join(target.strip_prefix("/").unwrap())
}

/// Exchanges two names all the time while `body` runs, as a sibling does in a volume that it shares.
fn while_exchanged<T>(one: &Path, other: &Path, body: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        // Where `body` fails, too: the scope waits for the thread.
        let _stop = Stop(&stop);
        body()
    })
}

/// Ends the exchanging when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The same container, started again and again while `etc` is exchanged for a link out of the root file system. The hook
/// is slow where `slow` says so, which the attacker can only wish for.
fn exchange_etc(slow: &str, with_file: bool) {
    for runtime in [Runtime::Runc, Runtime::Crun] {
        let node = Node::new();
        node.write("victim/other", "the node's");
        if with_file {
            node.write("victim/hosts", "127.0.0.1 node\n");
        }
        let victim = node.path("victim");
        let script = "grep -c ' - tmpfs podhosts:' /proc/self/mountinfo";
        let bundle = pod(&node, script).hook_program(&traced(&node, slow), &[]);
        let root = bundle.rootfs();
        if !with_file {
            fs::remove_file(root.join("etc/hosts")).unwrap();
        }
        symlink(out_of_the_root(&victim), root.join("link")).unwrap();
        assert!(root.join("link/other").exists(), "the link leads nowhere");
        let dir = bundle.write();
        let before = Snapshot::of(&[&victim]);
        while_exchanged(&root.join("etc"), &root.join("link"), || {
            for _ in 0..8 {
                let run = node.run_bundle(runtime, &dir);
                let log = node.last_log();
                // Sealed is only what has the mount; everything else does not start.
                let (ok, seals) = (log["outcome"] == "sealed", run.stdout.as_str());
                assert_eq!((run.ok, seals), (ok, if ok { "1\n" } else { "" }), "{runtime:?}: {log}");
            }
        });
        before.assert_same(&Snapshot::of(&[&victim]));
    }
}

/// CVE-2021-30465, CVE-2018-15664, CVE-2021-25741, CVE-2024-0132, CVE-2025-23359: a link takes the mount point's place
/// between look and mount. /etc is resolved once, inside the root; what is mounted on is a descriptor, verified after.
#[test]
fn etc_is_exchanged_for_a_link_to_the_node_before_the_mount() {
    needs!("runc", "crun", "busybox", "strace");
    exchange_etc("-e inject=move_mount:delay_enter=3000", true);
}

/// CVE-2024-45310, CVE-2024-5154, CVE-2026-41579: files are created on the node through a link in the image. A missing
/// mount point is created with `O_EXCL` in the descriptor of a directory that was found inside the root.
#[test]
fn etc_is_exchanged_for_a_link_to_the_node_before_a_file_is_created() {
    needs!("runc", "crun", "busybox", "strace");
    exchange_etc("-e inject=openat:delay_enter=2000", false);
}

/// CVE-2024-5154, CVE-2025-24965, CVE-2025-23267: the image itself has the link, and a hook that writes by path follows
/// it. The same hook, written naively, shows that the link works.
#[test]
fn the_image_has_a_link_at_etc_to_a_directory_of_the_node() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        node.write("victim/other", "the node's");
        let victim = node.path("victim");
        let bundle = pod(&node, "cat /etc/hosts");
        let root = bundle.rootfs();
        fs::remove_dir_all(root.join("etc")).unwrap();
        symlink(out_of_the_root(&victim), root.join("etc")).unwrap();
        let before = Snapshot::of(&[&victim]);
        let run = node.run_bundle(runtime, &bundle.hook(&[]).write());
        assert!(run.stdout.is_empty(), "{runtime:?}: {run:?}");
        assert!(node.last_log()["reason"].to_string().contains("cannot create /etc: File exists"));
        before.assert_same(&Snapshot::of(&[&victim]));

        let naive = node.path("naive-hook");
        executable(&naive, &format!("touch {}/etc/hosts", root.display()));
        let mut bundle = pod(&node, "true").hook_program(&naive, &[]);
        bundle.config["root"]["path"] = root.to_str().unwrap().into();
        node.run_bundle(runtime, &bundle.write()).success();
        assert!(victim.join("hosts").exists(), "{runtime:?}: the link leads nowhere");
    }
}

/// CVE-2017-1002102, CVE-2026-41579: cleaning up deletes a file of the node through a link. What was created is taken
/// back by the descriptor of the directory that it was created in.
#[test]
fn etc_is_exchanged_for_a_link_to_the_node_before_the_undo() {
    needs!("runc", "busybox", "strace");
    let node = Node::new();
    node.write("victim/hosts", "127.0.0.1 node\n");
    let victim = node.path("victim");
    // The mount fails, late enough for the attacker to have seen the new file and exchanged its directory.
    let slow = "-e inject=move_mount:error=EPERM:delay_enter=1000000";
    let bundle = pod(&node, "true").hook_program(&traced(&node, slow), &[]);
    let root = bundle.rootfs();
    fs::remove_file(root.join("etc/hosts")).unwrap();
    symlink(out_of_the_root(&victim), root.join("link")).unwrap();
    let dir = bundle.write();
    let before = Snapshot::of(&[&victim]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..30_000 {
                if root.join("etc/hosts").exists() {
                    let exchange = RenameFlags::EXCHANGE;
                    return renameat_with(CWD, root.join("etc"), CWD, root.join("link"), exchange).unwrap();
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            panic!("no file was created");
        });
        node.run_bundle(Runtime::Runc, &dir).failure();
    });
    before.assert_same(&Snapshot::of(&[&victim]));
    assert!(root.join("etc").is_symlink(), "nothing was exchanged");
    assert!(!root.join("link/hosts").exists(), "what was created is still there");
}

/// CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2023-28642, CVE-2025-52881: a link or a volume at /proc shows the
/// runtime a false process directory. The hook takes namespaces from the node's /proc, writes to none, and refuses a
/// container whose own is no real one, where the runtime has not done so.
#[test]
fn the_image_or_a_volume_has_a_false_proc() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        for is_volume in [false, true] {
            let node = Node::new();
            let mut bundle = pod(&node, "cat /etc/hosts").hook(&[]);
            let volume = node.path("volume");
            let at = if is_volume { volume.clone() } else { bundle.rootfs().join("fake") };
            for process in ["self", "1", "thread-self"] {
                fs::create_dir_all(at.join(process).join("attr")).unwrap();
                fs::create_dir_all(at.join(process).join("ns")).unwrap();
                for name in ["attr/exec", "attr/current", "status", "mountinfo", "oom_score_adj"] {
                    fs::write(at.join(process).join(name), "").unwrap();
                }
                for name in ["mnt", "net", "user"] {
                    symlink(format!("/proc/1/ns/{name}"), at.join(process).join("ns").join(name)).unwrap();
                }
            }
            if is_volume {
                // Instead of a real one: with both the runtimes refuse.
                bundle.config["mounts"].as_array_mut().unwrap().retain(|m| m["destination"] != "/proc");
                bundle = bundle.mount(&volume, "/proc");
            } else {
                fs::remove_dir_all(bundle.rootfs().join("proc")).unwrap();
                symlink("fake", bundle.rootfs().join("proc")).unwrap();
            }
            let dir = bundle.write();
            let before = Snapshot::of(&[&at]);
            let run = node.run_bundle(runtime, &dir);
            assert!(!run.ok && run.stdout.is_empty(), "{runtime:?}, a volume: {is_volume}: {run:?}");
            before.assert_same(&Snapshot::of(&[&at]));
            // Debian's crun calls hooks all the same with the volume; the others refuse before that.
            let log = fs::read_to_string(node.path("hook.log")).unwrap_or_default();
            assert!(!log.is_empty() || runtime != Runtime::Crun || !is_volume, "the hook was not called");
            assert!(log.is_empty() || log.contains("its /proc is not mounted, expected "), "{log}");
        }
    }
}

/// CVE-2025-31133, CVE-2025-52565, CVE-2022-23648, CVE-2024-9676: the source of a mount, or a file to be read, is a link
/// to a secret or a device. The kubelet's file is opened without following a link, and has to be a regular one.
#[test]
fn the_kubelets_file_is_exchanged_for_a_link_a_fifo_or_a_device() {
    needs!("runc", "busybox");
    let node = Node::new();
    node.configure(&format!("kubelet-root = {:?}", node.path("kubelet")));
    node.write("kubelet/pods/uid-1/etc-hosts", "");
    let file = node.path("kubelet/pods/uid-1/etc-hosts");
    // With a secret that the parser would take.
    node.write(
        "victim/hosts",
        &managed("10.0.0.9\tweb\n\n# Entries added by HostAliases.\n10.1.1.1\tsecret\n"),
    );
    let victim = node.path("victim/hosts");
    let make = |kind: FileType, device| mknodat(CWD, &file, kind, Mode::RWXU, device).unwrap();
    let cases: [(&dyn Fn(), &str); 4] = [
        (&|| symlink(&victim, &file).unwrap(), "Too many levels of symbolic links"),
        (&|| make(FileType::Fifo, 0), "it is not a regular file"),
        // /dev/zero, which never ends.
        (&|| make(FileType::CharacterDevice, (1 << 8) | 5), "it is not a regular file"),
        (&|| fs::create_dir(&file).unwrap(), "it is not a regular file"),
    ];
    for (exchange, expected) in cases {
        let _ = fs::remove_file(&file);
        exchange();
        let dir = pod(&node, "cat /etc/hosts").mount(&file, "/etc/hosts").write();
        let run = node.run_wrapped(&dir);
        assert!(!run.ok && run.stdout.is_empty(), "{expected}: {run:?}");
        assert!(node.last_log()["reason"].to_string().contains(expected), "{}", node.last_log());
        let _ = fs::remove_dir(&file);
    }
}

/// CVE-2019-14271: a program that is in the container's mounts loads a library, reads a configuration or
/// runs a program of the image. There the hook opens /, /proc, /etc and /etc/hosts, and nothing else.
#[test]
fn the_image_has_libraries_and_configuration_for_the_hook() {
    needs!("runc", "busybox", "strace");
    let node = Node::new();
    let hook = traced(&node, "-y");
    let bundle = pod(&node, "cat /etc/hosts").hook_program(&hook, &[]);
    let root = bundle.rootfs();
    // A fifo: whoever opens one of them hangs.
    for name in [
        "etc/ld.so.preload",
        "etc/ld.so.cache",
        "etc/nsswitch.conf",
        "etc/gai.conf",
        "etc/localtime",
        "etc/resolv.conf",
        "etc/podhosts/config.toml",
        "lib/x86_64-linux-gnu/libnss_files.so.2",
        "lib/x86_64-linux-gnu/libc.so.6",
        "lib/x86_64-linux-gnu/libgcc_s.so.1",
        "usr/lib/locale/locale-archive",
        "usr/sbin/nsenter",
    ] {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        mknodat(CWD, root.join(name), FileType::Fifo, Mode::RWXU, 0).unwrap();
    }
    assert_eq!(node.run_bundle(Runtime::Runc, &bundle.write()).success(), managed("10.0.0.9\tweb\n"));
    let trace = fs::read_to_string(node.path("trace")).unwrap();
    let (_, inside) = trace.split_once("setns(").expect("the hook joined nothing");
    let (_, inside) = inside.rsplit_once("CLONE_NEWNS").expect("the hook did not join the mounts");
    let opens = inside.lines().filter(|line| line.contains(" open") || line.contains(" exec"));
    let opened: Vec<&str> = opens.filter_map(|line| line.split('"').nth(1)).collect();
    let ours = [root.to_str().unwrap(), "proc", "etc", "hosts", "etc/hosts"];
    let others: Vec<_> =
        opened.iter().filter(|name| !ours.contains(name) && !name.starts_with("/proc/")).collect();
    assert!(opened.contains(&"etc") && others.is_empty(), "{others:?}: {inside}");
}

/// CVE-2024-40635: an id beyond a signed integer becomes root's. A mount point is created with exactly the owner of its
/// directory.
#[test]
fn etc_belongs_to_an_id_beyond_a_signed_integer() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        for id in [1 << 31, u32::MAX - 1] {
            let node = Node::new();
            let bundle = pod(&node, "cat /etc/hosts").hook(&[]);
            let etc = bundle.rootfs().join("etc");
            fs::remove_file(etc.join("hosts")).unwrap();
            chown(&etc, Some(id), Some(id)).unwrap();
            assert_eq!(node.run_bundle(runtime, &bundle.write()).success(), managed("10.0.0.9\tweb\n"));
            let made = etc.join("hosts").metadata().unwrap();
            assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (id, id, 0o644), "{runtime:?}");
        }
    }
}

/// CVE-2020-8557: a container fills the node's disk through its hosts file. The seal has the size of its content and is
/// read-only; behind the wrapper the kubelet's file is not in the container at all.
#[test]
fn a_container_fills_the_disk_through_its_hosts_file() {
    needs!("runc", "busybox");
    let script = "dd if=/dev/zero of=/etc/hosts bs=1M count=8 conv=notrunc 2>/dev/null && echo written; wc -c </etc/hosts";
    let capabilities = [&DEFAULT_CAPABILITIES[..], &["CAP_SYS_ADMIN"]].concat();
    let text = managed("10.0.0.9\tweb\n");
    for remount in ["", "mount -o remount,rw,size=1g /etc/hosts 2>/dev/null; umount /etc/hosts 2>/dev/null;"]
    {
        let node = Node::new();
        node.configure(&format!("kubelet-root = {:?}", node.path("kubelet")));
        node.write("kubelet/pods/uid-1/etc-hosts", &text);
        let file = node.path("kubelet/pods/uid-1/etc-hosts");
        let bundle = |script: &str| {
            let mut bundle = pod(&node, script).mount(&file, "/etc/hosts");
            if !remount.is_empty() {
                bundle = bundle.user_namespace();
                bundle.capabilities(&capabilities);
            }
            bundle
        };
        if remount.is_empty() {
            let output = node.run_wrapped(&bundle(script).write()).success();
            assert_eq!(output, format!("{}\n", text.len()));
        } else {
            // With the mounts of its own user namespace it can uncover the image's file, and no other.
            let output = node.run_wrapped(&bundle(&format!("{remount} {script}")).write()).success();
            assert!(output.starts_with("written") || output == format!("{}\n", text.len()), "{output}");
        }
        assert_eq!(file.metadata().unwrap().len(), text.len() as u64, "the kubelet's file grew");
    }
    // Without podhosts it grows.
    let node = Node::new();
    node.write("kubelet/pods/uid-1/etc-hosts", &text);
    let file = node.path("kubelet/pods/uid-1/etc-hosts");
    node.run_bundle(Runtime::Runc, &pod(&node, script).mount(&file, "/etc/hosts").write()).success();
    assert_eq!(file.metadata().unwrap().len(), 8 << 20);
}

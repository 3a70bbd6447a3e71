//! Containers with uid and gid mappings.

use crate::harness::{Bundle, DEFAULT_CAPABILITIES, Node, Runtime, is_before, managed, needs, runtimes};

fn pod(node: &Node, script: &str) -> Bundle {
    Bundle::new(node, script).containerd().annotate("podhosts.io/pod-ips", "10.0.0.9").hook(&[])
}

fn expected() -> String {
    managed("10.0.0.9\tweb\n")
}

#[test]
fn the_file_is_roots_there_too() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        for image_has_the_file in [true, false] {
            let node = Node::new();
            let bundle = pod(&node, "cat /etc/hosts; stat -c '%u:%g %a' /etc/hosts; cat /proc/self/uid_map");
            if !image_has_the_file {
                std::fs::remove_dir_all(bundle.rootfs().join("etc")).unwrap();
            }
            let output = node.run_bundle(runtime, &bundle.user_namespace().write()).success();
            let (file, rest) = output.split_at(expected().len());
            assert_eq!(file, expected(), "{runtime:?}");
            let owner = if is_before(6, 3) { "65534:65534 644\n" } else { "0:0 644\n" };
            assert!(rest.starts_with(owner), "{runtime:?}: {rest}");
            assert!(rest.contains("100000"), "there is no user namespace: {rest}");
        }
    }
}

#[test]
fn what_is_created_belongs_to_the_containers_root() {
    needs!("runc", "busybox");
    let node = Node::new();
    let bundle = pod(&node, "true");
    std::fs::remove_dir_all(bundle.rootfs().join("etc")).unwrap();
    let bundle = bundle.user_namespace();
    // The runtime's umask is the hook's, too.
    let script = "umask 077; exec runc --root \"$1\" run -b \"$2\" umask";
    let (root, dir) = (node.root(), bundle.write());
    let args = [root.as_str(), dir.to_str().unwrap()];
    node.shell(Runtime::Runc, script, &args).success();
    for (path, mode) in [("etc", 0o755), ("etc/hosts", 0o644)] {
        use std::os::unix::fs::MetadataExt;
        let metadata = bundle.rootfs().join(path).metadata().unwrap();
        assert_eq!(
            (metadata.uid(), metadata.gid(), metadata.mode() & 0o777),
            (100_000, 100_000, mode),
            "{path}"
        );
    }
}

#[test]
fn even_with_cap_sys_admin_the_content_stays() {
    needs!("runc", "crun", "busybox");
    let script = "
        mount -o remount,rw /etc/hosts 2>/dev/null
        mount -o remount,bind,rw /etc/hosts 2>/dev/null
        mount -t tmpfs -o remount,rw podhosts:annotation /etc/hosts 2>/dev/null
        for attack in 'echo evil >> /etc/hosts' 'truncate -s 0 /etc/hosts' 'chmod 666 /etc/hosts' \
            'chown 1:1 /etc/hosts' 'rm -f /etc/hosts' 'mv /etc/hosts /etc/old'; do
            if sh -c \"$attack\" 2>/dev/null; then echo \"$attack\"; fi
        done
        cat /etc/hosts
        mkdir /tmp/other && mount --bind /etc/hosts /dev/null && cat /dev/null | cmp - /etc/hosts && echo same";
    for runtime in runtimes() {
        let node = Node::new();
        let mut bundle = pod(&node, script).user_namespace();
        bundle.capabilities(&[&DEFAULT_CAPABILITIES[..], &["CAP_SYS_ADMIN"]].concat());
        let output = node.run_bundle(runtime, &bundle.write()).success();
        assert_eq!(output, format!("{}same\n", expected()), "{runtime:?}");
    }
}

/// Without this, the remounts above might fail for another reason than the seal.
#[test]
fn the_same_remounts_succeed_on_a_tmpfs_of_its_own() {
    needs!("runc", "crun", "busybox");
    let script = "
        mount -t tmpfs tmpfs /tmp && echo a > /tmp/hosts &&
        mount -t tmpfs -o remount,ro tmpfs /tmp && ! touch /tmp/hosts 2>/dev/null &&
        mount -t tmpfs -o remount,rw tmpfs /tmp && echo b > /tmp/hosts &&
        mount --bind /tmp/hosts /etc/hosts && mount -o remount,bind,ro /etc/hosts &&
        mount -o remount,bind,rw /etc/hosts && echo c > /etc/hosts && umount /etc/hosts && cat /tmp/hosts";
    for runtime in runtimes() {
        let node = Node::new();
        let mut bundle = Bundle::new(&node, script).user_namespace();
        bundle.capabilities(&[&DEFAULT_CAPABILITIES[..], &["CAP_SYS_ADMIN"]].concat());
        assert_eq!(node.run_bundle(runtime, &bundle.write()).success(), "c\n", "{runtime:?}");
    }
}

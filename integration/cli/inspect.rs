//! `podhosts inspect`.

use serde_json::Value;

use crate::harness::{Bundle, DEFAULT_CAPABILITIES, Node, Runtime, bin, managed, needs, runtimes};

fn json(node: &Node, args: &[&str]) -> Value {
    let output = node.run(bin("podhosts"), &[&["inspect", "--json"], args].concat()).success();
    serde_json::from_str(&output).unwrap()
}

#[test]
fn a_sealed_container_by_id_pid_and_bundle() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        let bundle =
            Bundle::new(&node, "sleep 1000").containerd().annotate("podhosts.io/pod-ips", "10.0.0.9");
        let dir = bundle.hook(&[]).write();
        let container = node.start(runtime, &dir, "web-1");
        let (id, pid, root) = (&container.id, container.pid().to_string(), node.root());
        for name in [id.as_str(), &pid, dir.to_str().unwrap()] {
            let found = json(&node, &[name, "--root", &root]);
            assert_eq!(&found["container"]["id"], id, "{runtime:?} {name}");
            assert_eq!(found["container"]["pid"].to_string(), pid);
            assert_eq!((&found["sealed"], &found["reason"]), (&Value::Bool(true), &Value::Null));
            assert_eq!(found["addressSource"], "annotation");
            assert_eq!(found["hostsFile"], managed("10.0.0.9\tweb\n"));
            assert_eq!(found["pod"]["namespace"], "default");
            assert_eq!(found["pod"]["sandboxID"], "sandbox-1");
            assert_eq!(found["mount"]["fsType"], "tmpfs");
            assert!(found["mount"]["options"].as_str().unwrap().starts_with("ro,nosuid,nodev,noexec"));
            assert!(found["mount"]["superOptions"].as_str().unwrap().starts_with("ro,"));
        }
        // By its pid alone, with the runtime's state nobody knows where.
        let found = json(&node, &[&pid]);
        assert_eq!((&found["sealed"], &found["addressSource"]), (&Value::Bool(true), &"annotation".into()));
        let text = node.run(bin("podhosts"), &["inspect", id, "--root", &root]).success();
        for line in
            ["pod        default/web (containerd)", "sealed     yes", "addresses  from the annotation"]
        {
            assert!(text.contains(line), "{text}");
        }
        assert!(text.ends_with(&managed("10.0.0.9\tweb\n")), "{text}");
    }
}

#[test]
fn containers_without_a_seal_and_why() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        let root = node.root();
        let reason = |bundle: Bundle, id: &str| {
            let container = node.start(runtime, &bundle.write(), id);
            let found = json(&node, &[&container.id, "--root", &root]);
            assert_eq!(
                (&found["sealed"], &found["hostsFile"]),
                (&Value::Bool(false), &"127.0.0.1 image\n".into())
            );
            found["reason"].as_str().unwrap().to_owned()
        };
        let pod = || Bundle::new(&node, "sleep 1000");
        let opted_out = pod().containerd().annotate("podhosts.io/seal", "false").hook(&[]);
        assert_eq!(reason(opted_out, "out"), "the pod is annotated podhosts.io/seal: \"false\"");
        assert_eq!(reason(pod().hook(&[]), "plain"), "no podhosts.io annotation is present (plain bundle)");
        assert!(reason(pod().containerd(), "no-hook").starts_with("the hook has not run"));
    }
}

#[test]
fn a_seal_that_was_broken_and_a_bundle_that_cannot_be_read() {
    needs!("runc", "busybox");
    let node = Node::with_config("on-error = \"open\"");
    let root = node.root();
    let mut bundle = Bundle::new(&node, "sleep 1000").containerd().hook(&[]);
    bundle.capabilities(&[&DEFAULT_CAPABILITIES[..], &["CAP_SYS_ADMIN"]].concat());
    let container = node.start(Runtime::Runc, &bundle.write(), "broken");
    assert_eq!(json(&node, &[&container.id, "--root", &root])["sealed"], true);
    container.exec("mount -o remount,rw /etc/hosts && echo evil >> /etc/hosts").success();
    let found = json(&node, &[&container.id, "--root", &root]);
    assert_eq!(
        (&found["sealed"], &found["reason"]),
        (&false.into(), &"the mount was made writable in the container".into())
    );
    let bundle =
        Bundle::new(&node, "sleep 1000").containerd().annotate("podhosts.io/seal", "maybe").hook(&[]);
    let container = node.start(Runtime::Runc, &bundle.write(), "unreadable");
    let found = json(&node, &[&container.id, "--root", &root]);
    assert_eq!((&found["sealed"], &found["hostsFile"]), (&false.into(), &"127.0.0.1 image\n".into()));
    assert!(
        found["reason"].as_str().unwrap().starts_with("cannot read annotation podhosts.io/seal: got "),
        "{found}"
    );
}

#[test]
fn a_container_that_has_stopped() {
    needs!("runc", "crun", "busybox");
    for runtime in runtimes() {
        let node = Node::new();
        let root = node.root();
        let bundle = Bundle::new(&node, "sleep 1000").containerd().hook(&[]).write();
        let container = node.start(runtime, &bundle, "stopped");
        let pid = container.pid();
        node.call(runtime, &["kill", &container.id, "KILL"]).success();
        // Until nobody has the process any more.
        while std::path::Path::new(&format!("/proc/{pid}/ns/mnt")).exists() {
            std::thread::yield_now();
        }
        let found = json(&node, &[&container.id, "--root", &root]);
        assert_eq!(
            (&found["container"]["pid"], &found["sealed"]),
            (&Value::Null, &false.into()),
            "{runtime:?}"
        );
        assert_eq!(found["reason"], "no running container has this bundle");
    }
}

#[test]
fn a_container_that_is_not_there() {
    needs!("busybox");
    let node = Node::new();
    let error = node.run(bin("podhosts"), &["inspect", "nobody"]).failure();
    assert!(
        error.starts_with("cannot find nobody: it is no pid, no bundle, and no container in /run/runc"),
        "{error}"
    );
    let error = node.run(bin("podhosts"), &["inspect", "4194305"]).failure();
    assert_eq!(error, "cannot open /proc/4194305/root: No such file or directory (os error 2)\n");
    let bundle = Bundle::new(&node, "true").containerd().write();
    let found = json(&node, &[bundle.to_str().unwrap()]);
    assert_eq!(found["reason"], "no running container has this bundle");
}

//! podman through its hooks directory, on a dual-stack network.

use serde_json::{Value, json};

use crate::harness::page::{ALIAS_LINES, ALIASES, KEY, page};
use crate::harness::podman::{Podman, Release, each_podman};
use crate::harness::{Runtime, bin};

each_podman!(
    the_page_and_a_restart,
    networks_and_users,
    who_is_left_alone_and_who_fails,
    a_pod,
    a_pod_with_users_of_its_own,
);

#[track_caller]
fn expect_sealed(podman: &Podman, name: &str, expected: &str) {
    assert_eq!(podman.hosts(name), expected);
    let refused = podman.exec(name, "echo 6.6.6.6 bank >>/etc/hosts").failure();
    assert!(refused.contains("Read-only file system"), "{refused}");
}

/// Which mount of which file system a container's hosts file is.
fn mount_of(podman: &Podman, name: &str) -> String {
    podman.exec(name, "grep ' - tmpfs podhosts:' /proc/self/mountinfo | cut -d' ' -f1,3").success()
}

fn the_page_and_a_restart(podman: &Podman) {
    let aliases = podman.annotation(KEY, ALIASES);
    let options = ["--network", podman.network(), "--hostname", "hostaliases-pod", &aliases];
    let id = podman.start("page", &options);
    let first = podman.addresses("page");
    expect_sealed(podman, "page", &page(&first, "hostaliases-pod"));
    let found = podman.node.run(bin("podhosts"), &["inspect", "--json", &id]).success();
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!((&found["sealed"], &found["hostsFile"]), (&true.into(), &podman.hosts("page").into()));
    // Without a host name podman makes one of the id, and that is the pod's.
    let id = podman.start("nameless", &["--network", podman.network(), &aliases]);
    expect_sealed(podman, "nameless", &page(&podman.addresses("nameless"), &id[..12]));
    // A restart is a new container of the runtime's, with other addresses maybe.
    podman.ask(&["restart", "-t", "0", "page"]);
    expect_sealed(podman, "page", &page(&podman.addresses("page"), "hostaliases-pod"));
    assert_eq!(podman.log().len(), 3);
    // podman's own file was not touched by it: stop and start are the same.
    podman.ask(&["stop", "-t", "0", "page"]);
    podman.ask(&["start", "page"]);
    expect_sealed(podman, "page", &page(&podman.addresses("page"), "hostaliases-pod"));
}

fn networks_and_users(podman: &Podman) {
    let aliases = podman.annotation(KEY, ALIASES);
    podman.start("host", &["--network", "host", &aliases]);
    let node = podman.node.sh("cat /etc/hosts");
    expect_sealed(
        podman,
        "host",
        &format!("# Kubernetes-managed hosts file (host network).\n{node}{ALIAS_LINES}"),
    );
    let ips = podman.annotation("podhosts.io/pod-ips", "10.9.8.7");
    podman.start("none", &["--network", "none", "--hostname", "none", &aliases, &ips]);
    expect_sealed(podman, "none", &page(&["10.9.8.7".to_owned()], "none"));
    // podman connects a container with a user namespace after its hooks have run: nobody can know its addresses.
    let users = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"];
    let options = ["--network", podman.network(), "--hostname", "mapped", &aliases];
    podman.start("mapped", &[&options[..], &users].concat());
    expect_sealed(podman, "mapped", &page(&[""; 0], "mapped"));
    let seen = podman.exec("mapped", "stat -c '%u:%g %a' /etc/hosts; cat /proc/self/uid_map").success();
    assert!(seen.starts_with("0:0 644\n") && seen.contains("100000"), "{seen}");
    let reasons: Vec<Value> = podman.log().iter().map(|entry| entry["reason"].clone()).collect();
    assert_eq!(reasons, ["node", "annotation", "none"]);
}

fn who_is_left_alone_and_who_fails(podman: &Podman) {
    let network = ["--network", podman.network()];
    podman.start("plain", &network);
    podman.exec("plain", "echo 10.0.0.1 mine >>/etc/hosts").success();
    let out = podman.annotation("podhosts.io/seal", "false");
    podman.start("out", &[&network[..], &[&out]].concat());
    podman.exec("out", "echo 10.0.0.1 mine >>/etc/hosts").success();
    let aliases = podman.annotation(KEY, ALIASES);
    let own = podman.file("own-hosts", "127.0.0.1\tmine\n");
    let volume = format!("--volume={}:/etc/hosts", own.display());
    podman.start("own", &[&network[..], &[&aliases, &volume]].concat());
    assert_eq!(podman.hosts("own"), "127.0.0.1\tmine\n");

    let bad = podman.annotation(KEY, r#"[{"ip":"10.0.0.1","hostnames":["Bad_Name"]}]"#);
    let error = podman.run("bad", &[&network[..], &[&bad]].concat()).failure();
    let reason = "cannot render the hosts file: spec.hostAliases[0].hostnames";
    // crun keeps what a hook says to itself.
    let said = if podman.runtime == Runtime::Runc { reason } else { "podhosts-hook" };
    assert!(error.contains(said), "{error}");
    let last = podman.log().pop().unwrap();
    assert_eq!(last["outcome"], "failed");
    assert!(last["reason"].as_str().unwrap().starts_with(reason), "{last}");
}

fn a_pod(podman: &Podman) {
    let aliases = podman.annotation(KEY, ALIASES);
    podman.ask(&["pod", "create", "--name", "shop", "--network", podman.network(), &podman.cgroup()]);
    for name in ["web", "db"] {
        podman.ask(&["run", "-d", "--pod", "shop", "--name", name, &aliases, crate::harness::podman::IMAGE]);
    }
    let check = || {
        let infra = podman.ask(&["pod", "inspect", "--format", "{{.InfraContainerID}}", "shop"]);
        let expected = page(&podman.addresses(&infra), "shop");
        for name in ["web", "db"] {
            expect_sealed(podman, name, &expected);
        }
        assert_ne!(mount_of(podman, "web"), mount_of(podman, "db"));
        assert!(podman.log().iter().all(|entry| entry["container"] != infra.as_str()));
    };
    check();
    podman.ask(&["pod", "stop", "-t", "0", "shop"]);
    podman.ask(&["pod", "start", "shop"]);
    check();
    assert_eq!(podman.log().len(), 4);
}

/// Unlike a container with a user namespace outside of a pod, which podman connects after its hooks have run.
fn a_pod_with_users_of_its_own(podman: &Podman) {
    let aliases = podman.annotation(KEY, ALIASES);
    let users = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"];
    let create = ["pod", "create", "--name", "shop", "--network", podman.network(), &podman.cgroup()];
    podman.ask(&[&create[..], &users].concat());
    for name in ["web", "db"] {
        podman.ask(&["run", "-d", "--pod", "shop", "--name", name, &aliases, crate::harness::podman::IMAGE]);
    }
    let check = || {
        let infra = podman.ask(&["pod", "inspect", "--format", "{{.InfraContainerID}}", "shop"]);
        let expected = page(&podman.addresses(&infra), "shop");
        for name in ["web", "db"] {
            expect_sealed(podman, name, &expected);
            let seen = podman.exec(name, "stat -c '%u:%g %a' /etc/hosts; cat /proc/self/uid_map").success();
            assert!(seen.starts_with("0:0 644\n") && seen.contains("100000"), "{seen}");
        }
    };
    check();
    // podman 4 now and then stops such a pod without a DEL, so the plugin refuses to connect it a second time.
    if podman.release == Release::Bookworm {
        return;
    }
    podman.ask(&["pod", "stop", "-t", "0", "shop"]);
    podman.ask(&["pod", "start", "shop"]);
    check();
}

/// podman's own way from Kubernetes' YAML: it keeps spec.hostAliases to itself, and passes annotations on.
#[test]
fn kube_play() {
    use crate::harness::page::{ALIAS_LINES, ALIASES, KEY, page};
    use crate::harness::podman::IMAGE;
    let container = |name: &str| json!({"name": name, "image": IMAGE, "imagePullPolicy": "Never"});
    let pod = |aliases: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "played", "annotations": {KEY: aliases}},
            "spec": {"containers": [container("web"), container("db")],
                "hostAliases": [{"ip": "10.6.6.6", "hostnames": ["spec"]}]}})
    };
    // podman 4 takes values of at most 63 characters here.
    let short = r#"[{"ip":"10.1.2.3","hostnames":["foo.remote"]}]"#;
    let short_lines = "\n# Entries added by HostAliases.\n10.1.2.3\tfoo.remote\n";
    for release in [Release::Bookworm, Release::Sid] {
        let Some(podman) = Podman::configured(release, Runtime::Crun) else { continue };
        let (aliases, lines) = match release {
            Release::Bookworm => (short, short_lines),
            Release::Sid => (ALIASES, ALIAS_LINES),
        };
        let file = podman.file("pod.yaml", &pod(aliases).to_string());
        podman.ask(&["play", "kube", "--network", podman.network(), file.to_str().unwrap()]);
        let infra = podman.ask(&["pod", "inspect", "--format", "{{.InfraContainerID}}", "played"]);
        let expected = page(&podman.addresses(&infra), "played").replace(ALIAS_LINES, lines);
        for name in ["played-web", "played-db"] {
            expect_sealed(&podman, name, &expected);
        }
        // Their cgroup cannot be chosen, and other tests may have theirs beside it.
        let id = podman.ask(&["pod", "inspect", "--format", "{{.ID}}", "played"]);
        podman.ask(&["pod", "rm", "-f", "-t", "0", "played"]);
        let parent = "/sys/fs/cgroup/*/libpod_parent";
        let script = format!("find {parent}/{id} -depth -type d -exec rmdir {{}} +; rmdir {parent}");
        podman.node.run("sh", &["-c", &script]);
    }
}

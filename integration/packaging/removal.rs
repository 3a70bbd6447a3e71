//! Programs that are needed still do not go: by `podhosts in-use`, the package's script, and `make uninstall`.

use crate::harness::cni::CniNode;
use crate::harness::containerd::{Containerd, each_containerd, sleeping};
use crate::harness::etc::Etc;
use crate::harness::podman::{Podman, Release};
use crate::harness::{Run, Runtime, bin, needs};

each_containerd!(programs_stay_while_pods_need_them);

fn script(name: &str) -> String {
    crate::harness::repository().join("vendor-configs/debian").join(name).display().to_string()
}

/// PATH with podhosts in it, as the package's script finds it.
fn path() -> String {
    format!("PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", bin("podhosts").parent().unwrap().display())
}

/// dpkg's call before it removes the programs.
fn prerm(node: &CniNode) -> Run {
    node.run("env", &[&path(), "sh", &script("prerm"), "remove"])
}

/// What still needs the programs.
fn in_use(node: &CniNode) -> String {
    let run = node.run(bin("podhosts"), &["in-use"]);
    assert_eq!(
        (run.ok, run.code),
        (run.stdout.is_empty(), Some(i32::from(!run.stdout.is_empty()))),
        "{run:?}"
    );
    run.stdout
}

fn programs_stay_while_pods_need_them(containerd: &mut Containerd) {
    let node = &containerd.node;
    assert_eq!(in_use(node), "");
    let other = containerd.pod_with(&containerd.pod_config("other"), &[]);
    let network =
        |id: &str| format!("{id} (pod network) cannot be stopped or deleted without podhosts-cni\n");
    assert_eq!(in_use(node), network(&other.id));
    other.remove();

    let pod = containerd.pod(&containerd.pod_config("web"));
    let container = pod.start(&sleeping("main"));
    let mut ids = [&pod.id, &container];
    ids.sort_unstable();
    let wrapped =
        ids.map(|id| format!("{id} (containerd) cannot be stopped or deleted without podhosts-runtime\n"));
    assert_eq!(in_use(node), wrapped.concat() + &network(&pod.id));
    let error = prerm(node).failure();
    assert!(error.ends_with("then remove the package again.\n"), "{error}");
    let memory = node.file("/var/lib/podhosts/configure/containerd.json");
    assert!(memory.exists());
    // Nor does the network, without which a pod could not be deleted.
    let refused = node.run(bin("podhosts"), &["unconfigure", "--runtime", "containerd"]).failure();
    let pods = format!("pods that it has connected could not be deleted then: {}\n", pod.id);
    assert_eq!(refused, format!("cannot remove /etc/cni/net.d/10-podhosts.conflist: {pods}"));

    pod.remove();
    assert_eq!(in_use(node), "");
    assert!(prerm(node).success().contains("changed /etc/containerd/config.toml\n"));
    assert!(!memory.exists());
}

#[test]
fn programs_stay_while_podmans_containers_need_them() {
    let Some(podman) = Podman::new(Release::Bookworm, Runtime::Runc) else { return };
    podman.node.run(bin("podhosts"), &["configure", "--runtime", "podman", "--mode", "wrapper"]).success();
    podman.start("other", &["--network", "none"]);
    assert_eq!(in_use(&podman.node), "");
    let cgroup = podman.cgroup();
    let run = ["--runtime", "podhosts", "run", "-d", "--name", "web", "--network", "none", &cgroup];
    let id = podman.ask(&[&run[..], &[crate::harness::podman::IMAGE]].concat());
    let needed = format!("{id} (conmon) cannot be stopped or deleted without podhosts-runtime\n");
    assert_eq!(in_use(&podman.node), needed);
    let said = podman.node.run(bin("podhosts"), &["unconfigure", "--runtime", "podman"]).success();
    let note =
        format!("\nnote: {id} cannot be stopped or deleted without podhosts' programs: restart the engine");
    assert!(said.contains(&note), "{said}");
    podman.node.run(bin("podhosts"), &["configure", "--runtime", "podman", "--mode", "wrapper"]).success();
    podman.ask(&["rm", "-f", "-t", "0", "web"]);
    // conmon ends a moment after its container.
    for _ in 0..600 {
        if in_use(&podman.node).is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("still there: {}", in_use(&podman.node));
}

#[test]
fn uninstall_leaves_what_is_needed() {
    let node = CniNode::new();
    let prefix = node.path("p");
    let make = |target: &str| {
        let release = format!("RELEASE={}", bin("podhosts").parent().unwrap().display());
        let dirs = [format!("PREFIX={}", prefix.display()), format!("CNI_BIN_DIR={}/cni", prefix.display())];
        let dir = ["-s", "-C", crate::harness::repository().to_str().unwrap(), target];
        node.run("make", &[&dir[..], &[&release, &dirs[0], &dirs[1]]].concat())
    };
    make("install").success();
    node.sh("mkdir -p /run/podhosts/pods; echo {} >/run/podhosts/pods/x1.json");
    let refused = make("uninstall");
    assert!(!refused.ok && prefix.join("bin/podhosts").exists(), "{refused:?}");
    let line =
        "x1 (pod network) cannot be stopped or deleted without podhosts-cni\nthese need the programs: drain";
    assert!(refused.stdout.starts_with(line), "{refused:?}");
    node.sh("rm /run/podhosts/pods/x1.json");
    make("uninstall").success();
    assert!(!prefix.join("bin/podhosts").exists());
}

#[test]
fn the_package_says_what_keeps_it_from_being_removed() {
    let node = Etc::new();
    let drop_in = "/etc/crio/crio.conf.d/99-podhosts.conf";
    node.configure(&["crio"]);
    node.configure(&["podman"]);
    let prerm = |action: &str| {
        let args = [&path(), "sh", &script("prerm"), action];
        Run::from(node.command("env".as_ref(), &args).output().unwrap())
    };
    // An upgrade changes nothing.
    let before = node.snapshot();
    assert_eq!(prerm("upgrade").success(), "");
    before.assert_same(&node.snapshot());

    let made = node.read(drop_in);
    node.write(drop_in, "[crio.runtime\n");
    node.write("/etc/crio/crio.conf", "x");
    std::fs::remove_file(node.at("/var/lib/podhosts/configure/crio.json")).unwrap();
    let memory = "{\"version\":1,\"files\":[],\"dirs\":[\"/var/lib/podhosts\"]}";
    node.write("/var/lib/podhosts/configure/crio.json", memory);
    let error = prerm("remove").failure();
    assert!(error.contains(&format!("cannot read {drop_in}: line 1: ")), "{error}");
    assert!(error.contains("podhosts: crio is configured still: correct the file named above"), "{error}");
    // The other engine's is out all the same.
    assert!(!node.at("/var/lib/podhosts/configure/podman.json").exists());
    node.write(drop_in, &made);
    prerm("remove").success();
    assert!(!node.at("/var/lib/podhosts").exists() && !node.at(drop_in).exists());
}

/// The services that run are started again with the new programs, and stopped before the programs go.
#[test]
fn the_package_restarts_and_stops_its_services() {
    let node = CniNode::new();
    let (dir, log) = (node.path("fake"), node.path("log"));
    node.sh("mkdir -p /run/systemd/system");
    std::fs::create_dir_all(&dir).unwrap();
    let systemctl = format!("#!/bin/sh\n[ \"$2\" = is-active ] || echo \"$@\" >>{}\n", log.display());
    let programs = bin("podhosts").parent().unwrap().display().to_string();
    let path = format!("PATH={}:{programs}:/usr/sbin:/usr/bin:/sbin:/bin", dir.display());
    std::fs::write(dir.join("systemctl"), systemctl).unwrap();
    node.sh(&format!("chmod 755 {}/systemctl", dir.display()));
    let told = |name: &str, args: &[&str]| {
        node.run("env", &[&[&path, "sh", &script(name)], args].concat()).success();
        let told = std::fs::read_to_string(&log).unwrap_or_default();
        let _ = std::fs::remove_file(&log);
        told
    };
    let both = |verb: &str| format!("{verb} podhosts-nri.service\n{verb} podhosts-apiserver.service\n");
    assert_eq!(told("postinst", &["configure", "0.1.0"]), both("restart"));
    assert_eq!(told("postinst", &["configure", ""]), "");
    assert_eq!(told("prerm", &["remove"]), both("stop"));
    assert_eq!(told("prerm", &["upgrade", "0.2.0"]), "");
}

#[test]
fn the_plugin_stops_when_its_unit_goes() {
    let node = Etc::new();
    let said = node.configure(&["crio", "--mode", "nri"]);
    assert!(said.ends_with(": systemctl daemon-reload && systemctl restart crio.service\n"), "{said}");
    node.edit("/etc/systemd/system/podhosts-nri.service", "RestartSec=1s", "RestartSec=2s");
    let said = node.configure(&["crio", "--mode", "nri"]);
    assert!(said.contains(" && systemctl try-restart podhosts-nri.service && systemctl restart "), "{said}");
    let said = node.unconfigure("crio");
    let stop =
        ": systemctl stop podhosts-nri.service; systemctl daemon-reload && systemctl restart crio.service\n";
    assert!(said.ends_with(stop), "{said}");
}

/// What two engines have in common goes with the second of them, whichever that is.
#[test]
fn what_another_engine_uses_stays() {
    needs!("containerd");
    let (service, list) = ("/etc/systemd/system/podhosts-nri.service", "/etc/cni/net.d/10-podhosts.conflist");
    let cidr = ["--pod-cidr", "10.7.0.0/24"];
    for ([first, second], more) in
        [(["containerd", "crio"], &[][..]), (["crio", "containerd"], &[]), (["crio", "containerd"], &cidr)]
    {
        let node = Etc::with("/etc/containerd/config.toml", "version = 2\n");
        let before = node.tree();
        node.configure(&[first, "--with-cni", "--pod-cidr", "10.6.0.0/24"]);
        node.configure(&[second]);
        // Without podCIDRs no file is changed by this, and it is remembered all the same.
        let said = node.configure(&[&[second, "--with-cni"], more].concat());
        assert_eq!(said.starts_with("nothing to change\n"), more.is_empty(), "{said}");
        let text = node.read(list);
        node.unconfigure(first);
        assert_eq!(node.read(list), text);
        node.unconfigure(second);
        assert_eq!(node.tree(), before, "{second}");
    }
    let node = Etc::with("/etc/containerd/config.toml", "version = 2\n");
    node.configure(&["crio", "--mode", "nri"]);
    let unit = node.read(service);
    let said = node.configure(&["containerd"]);
    assert!(!said.contains("podhosts-nri"), "{said}");
    node.unconfigure("containerd");
    assert_eq!(node.read(service), unit);
    // As it is where nothing is remembered.
    std::fs::remove_dir_all(node.at("/var/lib/podhosts")).unwrap();
    node.configure(&["containerd"]);
    node.unconfigure("containerd");
    assert_eq!(node.read(service), unit);
    assert!(node.unconfigure("crio").contains("systemctl stop podhosts-nri.service; "));
    assert!(!node.at(service).exists());
}

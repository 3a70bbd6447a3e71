//! Engines call podhosts in every way that `podhosts configure` knows: they are asked what they have loaded, and start
//! pods and containers.

use std::fs;

use podhosts::engines::NAME;
use serde_json::{Value, json};

use crate::harness::containerd::{CONFIG, Containerd, Release, WITH_CNI, packaged, sleeping};
use crate::harness::nri::Plugin;
use crate::harness::page::{ALIASES, KEY, page};
use crate::harness::podman::{self, IMAGE, Podman};
use crate::harness::{Runtime, bin, managed, needs};

const WRAPPER: &[&str] = &["--mode", "wrapper"];
const DEFAULT: &[&str] = &["--mode", "wrapper", "--set-as-default"];
const BASE_SPEC: &[&str] = &["--mode", "base-spec"];
const NRI: &[&str] = &["--mode", "nri"];

/// Settings that have to survive, one of them in the handler.
fn stock_of_version_2() -> String {
    "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nrestrict_oom_score_adj = true\n\
     containerd.runtimes.runc = { runtime_type = \"io.containerd.runc.v2\", options = { Root = \"/run/r\" } }\n"
        .to_owned()
}

fn stock_of_version_3() -> String {
    stock_of_version_2()
        .replace("version = 2", "version = 3")
        .replace("io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime")
}

/// That of Debian's package, with the plugins where the tests have them.
fn stock_of_debian() -> String {
    packaged().replace("/usr/lib/cni", "/opt/cni/bin")
}

/// containerd, started with `stock` as podhosts changes it in each of `ways`.
fn containerd_calls_podhosts(containerd: &mut Containerd, stock: &str, ways: &[&[&str]]) {
    let configure = [&["configure", "--runtime", "containerd"], WITH_CNI].concat();
    for (number, way) in ways.iter().enumerate() {
        fs::write(containerd.node.file(CONFIG), stock).unwrap();
        containerd.podhosts(&[&configure[..], *way].concat()).success();
        containerd.launch();
        containerd.import_images();
        let info: Value = serde_json::from_str(&containerd.ask(&["info"])).unwrap();
        let config = info["config"].clone();
        // Settings that were there are there still.
        assert_eq!(config["restrictOOMScoreAdj"], true, "{config:#}");
        let default = if *way == DEFAULT { NAME } else { "runc" };
        assert_eq!(config["containerd"]["defaultRuntimeName"], default, "{config:#}");
        assert_eq!(config["containerd"]["runtimes"].get(NAME).is_some(), *way != NRI, "{config:#}");
        if *way != NRI {
            assert_handler(&config, way);
            // What was in the default handler is in ours.
            let root = if stock.contains("/run/r") { "/run/r" } else { "" };
            let handler = &config["containerd"]["runtimes"][NAME];
            assert_eq!(handler["options"]["Root"].as_str().unwrap_or_default(), root, "{handler:#}");
        }
        let _plugin = (*way == NRI).then(|| Plugin::start_as(containerd, &command_of_the_unit(containerd)));
        let options: &[&str] = if [DEFAULT, NRI].contains(way) { &[] } else { &["--runtime", NAME] };
        assert_sealed(containerd, &format!("page-{number}"), options);
        containerd.podhosts(&["unconfigure", "--runtime", "containerd"]).success();
        drop(_plugin);
        containerd.end("TERM");
    }
}

/// The handler as containerd tells it, with runc's beside it.
#[track_caller]
fn assert_handler(config: &Value, way: &[&str]) {
    let runtimes = &config["containerd"]["runtimes"];
    let handler = &runtimes[NAME];
    if way == BASE_SPEC {
        let specs = ["baseRuntimeSpec", "base_runtime_spec"].map(|key| &handler[key]);
        assert!(specs.contains(&&"/etc/containerd/podhosts-base.json".into()), "{handler:#}");
        assert!(handler["options"].get("BinaryName").is_none_or(|name| name == ""), "{handler:#}");
    } else {
        let wrapper = bin("podhosts-runtime").display().to_string();
        assert_eq!(handler["options"]["BinaryName"], wrapper.as_str(), "{handler:#}");
    }
    for keys in [["PodAnnotations", "pod_annotations"], ["ContainerAnnotations", "container_annotations"]] {
        let annotations = keys.into_iter().find_map(|key| handler.get(key));
        assert_eq!(annotations, Some(&json!(["podhosts.io/*"])), "{handler:#}");
    }
    // Before containerd 2.0 the files' handlers take the place of this one, which is built in.
    assert_eq!(runtimes["runc"]["runtimeType"], "io.containerd.runc.v2", "{config:#}");
}

/// A pod with the aliases of Kubernetes' page has its file, sealed.
#[track_caller]
fn assert_sealed(containerd: &Containerd, name: &str, options: &[&str]) {
    let mut config = containerd.pod_config(name);
    config["annotations"] = json!({KEY: ALIASES});
    let pod = containerd.pod_with(&config, options);
    let id = pod.start(&sleeping("main"));
    assert_eq!(containerd.hosts(&id), page(&pod.addresses(), name));
    let refused = containerd.exec(&id, "echo >>/etc/hosts").failure();
    assert!(refused.contains("Read-only file system"), "{refused}");
    pod.remove();
}

/// Where there was no configuration ours makes a whole one. (Its pods need a capability that test machines lack.)
fn assert_loads_without_a_file(containerd: &mut Containerd) {
    containerd.node.sh(&format!("rm -f {CONFIG}"));
    containerd.podhosts(&[&["configure", "--runtime", "containerd"], WITH_CNI].concat()).success();
    containerd.launch();
    let info: Value = serde_json::from_str(&containerd.ask(&["info"])).unwrap();
    assert_handler(&info["config"], WRAPPER);
}

/// What systemd would run, which is not on a test's node.
#[track_caller]
fn command_of_the_unit(containerd: &Containerd) -> String {
    let unit = containerd.node.file("/etc/systemd/system/podhosts-nri.service");
    let unit = fs::read_to_string(unit).unwrap();
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    command.to_owned()
}

#[test]
fn containerd_1_6() {
    let Some(mut containerd) = Containerd::new(Release::Bookworm) else { return };
    for stock in [stock_of_version_2(), stock_of_debian()] {
        containerd_calls_podhosts(&mut containerd, &stock, &[WRAPPER, DEFAULT, BASE_SPEC]);
    }
    assert_loads_without_a_file(&mut containerd);
}

#[test]
fn containerd_2_with_a_configuration_of_version_2() {
    let Some(mut containerd) = Containerd::new(Release::Sid) else { return };
    for stock in [stock_of_version_2(), stock_of_debian()] {
        containerd_calls_podhosts(&mut containerd, &stock, &[WRAPPER, DEFAULT]);
    }
}

#[test]
fn containerd_2() {
    let Some(mut containerd) = Containerd::new(Release::Sid) else { return };
    let ways = [WRAPPER, DEFAULT, BASE_SPEC, NRI];
    containerd_calls_podhosts(&mut containerd, &stock_of_version_3(), &ways);
    assert_loads_without_a_file(&mut containerd);
}

/// The runtime that podman would use.
#[track_caller]
fn runtime_of(podman: &Podman) -> (String, String) {
    let info: Value = serde_json::from_str(&podman.ask(&["info", "--format", "json"])).unwrap();
    let runtime = &info["host"]["ociRuntime"];
    (runtime["name"].as_str().unwrap().to_owned(), runtime["path"].as_str().unwrap().to_owned())
}

/// The hosts file of a container of `podman <options> run`, and what writing to it says.
#[track_caller]
fn hosts(podman: &Podman, options: &[&str]) -> String {
    let cgroup = podman.cgroup();
    let annotations = [("hostname", "web"), ("pod-ips", "10.1.2.3")]
        .map(|(key, value)| podman.annotation(&format!("podhosts.io/{key}"), value));
    let run = ["run", "--rm", &cgroup, "--network", "none", &annotations[0], &annotations[1], IMAGE];
    let script = ["sh", "-c", "cat /etc/hosts; echo x 2>&1 >>/etc/hosts || true"];
    podman.call(&[options, &run, &script].concat()).success()
}

/// podman's own commands tell the runtime, and its containers have the sealed file, by both ways.
fn podman_calls_podhosts(release: podman::Release) {
    let Some(podman) = Podman::new(release, Runtime::Runc) else { return };
    let configure = |way: &[&str]| {
        podman.podhosts(&[&["configure", "--runtime", "podman"], way].concat()).success();
    };
    let before = runtime_of(&podman);
    assert_eq!(before.0, "runc");
    let sealed = managed("10.1.2.3\tweb\n") + "sh: can't create /etc/hosts: Read-only file system\n";
    assert_ne!(hosts(&podman, &[]), sealed);
    configure(&[]);
    for runtime in ["runc", "crun"] {
        assert_eq!(hosts(&podman, &["--runtime", runtime]), sealed);
    }
    configure(WRAPPER);
    assert_ne!(hosts(&podman, &[]), sealed);
    assert_eq!(hosts(&podman, &["--runtime", NAME]), sealed);
    configure(DEFAULT);
    let wrapper = bin("podhosts-runtime").display().to_string();
    assert_eq!(runtime_of(&podman), (NAME.to_owned(), wrapper));
    assert_eq!(hosts(&podman, &[]), sealed);
    podman.podhosts(&["unconfigure", "--runtime", "podman"]).success();
    assert_eq!(runtime_of(&podman), before);
    assert_ne!(hosts(&podman, &[]), sealed);
}

#[test]
fn podman_4_3() {
    needs!("crun");
    podman_calls_podhosts(podman::Release::Bookworm);
}

#[test]
fn podman_5_8() {
    podman_calls_podhosts(podman::Release::Sid);
}

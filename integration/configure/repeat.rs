//! `podhosts configure` called again keeps what it is not told to change; the settings of NRI and of the pods' network that
//! it follows.

use std::fs;
use std::time::Duration;

use cri::Client;

use crate::configure::containerd::{newest, oldest};
use crate::harness::containerd::{Containerd, Release, SOCKET};
use crate::harness::etc::Etc;
use crate::harness::{bin, needs};

const CONFIG: &str = "/etc/containerd/config.toml";
const LIST: &str = "/etc/cni/net.d/10-podhosts.conflist";
const RESTART: &str = "containerd reads it at its start: systemctl restart containerd.service\n";

#[test]
fn what_is_not_told_stays() {
    needs!("containerd");
    let node = Etc::with(CONFIG, "version = 2\n");
    let before = node.tree();
    node.configure(&["containerd", "--set-as-default", "--with-cni", "--pod-cidr", "10.9.0.0/24"]);
    let configured = node.tree();
    assert_eq!(node.configure(&["containerd"]), "nothing to change\n");
    assert_eq!(node.tree(), configured);
    // As a version of podhosts left it that did not keep what it was told.
    let memory = "/var/lib/podhosts/configure/containerd.json";
    let text = node.read(memory);
    let old = &text[..text.find(",\"told\"").unwrap()];
    node.write(memory, &format!("{old}}}\n"));
    assert_eq!(node.configure(&["containerd"]), "nothing to change\n");
    assert_eq!(node.tree(), configured);
    node.configure(&["containerd", "--set-as-default=false", "--with-cni=false"]);
    assert!(!node.read(CONFIG).contains("default_runtime_name") && !node.at(LIST).exists());
    node.configure(&["containerd", "--set-as-default"]);
    node.unconfigure("containerd");
    assert_eq!(node.tree(), before);

    let node = Etc::new();
    let before = node.tree();
    node.configure(&[
        "crio",
        "--mode",
        "wrapper",
        "--set-as-default",
        "--drop-in",
        "/etc/crio/crio.conf.d/77.conf",
    ]);
    let configured = node.tree();
    assert_eq!(node.configure(&["crio"]), "nothing to change\n");
    assert_eq!(node.tree(), configured);
    node.configure(&["crio", "--mode", "nri"]);
    assert!(node.configure(&["crio"]).starts_with("nothing to change\n"));
    node.unconfigure("crio");
    assert_eq!(node.tree(), before);
}

#[test]
fn paths_and_podcidrs_stay() {
    needs!("containerd");
    let other = "/etc/other/config.toml";
    let node = Etc::with(other, "version = 2\n");
    let before = node.tree();
    let programs = node.at("/etc/programs");
    fs::create_dir(&programs).unwrap();
    for name in ["podhosts", "podhosts-hook", "podhosts-runtime"] {
        std::os::unix::fs::symlink(bin(name), programs.join(name)).unwrap();
    }
    let cidr = ["--with-cni", "--pod-cidr", "10.9.0.0/24"];
    node.configure(&[&["containerd", "--config", other, "--bin-dir", "/etc/programs"], &cidr[..]].concat());
    let (configured, list) = (node.tree(), node.read(LIST));
    assert!(node.read(other).contains("\"/etc/programs/podhosts-runtime\""));
    assert_eq!(node.configure(&["containerd"]), "nothing to change\n");
    assert_eq!(node.tree(), configured);
    // Also where the network was switched off in between, and where somebody removed it.
    node.configure(&["containerd", "--with-cni=false"]);
    assert!(!node.at(LIST).exists());
    node.configure(&["containerd", "--with-cni"]);
    assert_eq!(node.read(LIST), list);
    fs::remove_file(node.at(LIST)).unwrap();
    assert_eq!(node.configure(&["containerd"]), format!("made {LIST}\n{RESTART}"));
    assert_eq!(node.read(LIST), list);
    fs::remove_dir_all(&programs).unwrap();
    node.unconfigure("containerd");
    assert_eq!(node.tree(), before);
}

/// A mode without a handler has no default, and does not forget it.
#[test]
fn a_default_stays_from_one_mode_to_the_next() {
    let node = Etc::new();
    let drop_in = "/etc/crio/crio.conf.d/99-podhosts.conf";
    node.configure(&["crio", "--mode", "wrapper", "--set-as-default"]);
    let configured = node.read(drop_in);
    node.configure(&["crio", "--mode", "nri"]);
    assert!(!node.read(drop_in).contains("default_runtime"));
    node.configure(&["crio", "--mode", "wrapper"]);
    assert_eq!(node.read(drop_in), configured);
    node.configure(&["crio", "--set-as-default=false"]);
    node.configure(&["crio", "--mode", "nri"]);
    node.configure(&["crio", "--mode", "wrapper"]);
    assert!(!node.read(drop_in).contains("default_runtime"));
}

/// Pods run with it, whoever set it: a DaemonSet that is told nothing of it must not take it away.
#[test]
fn what_no_journal_tells_of_stays() {
    needs!("containerd", "podman");
    let wrapper = &["--mode", "wrapper", "--set-as-default"][..];
    for (engine, args) in [
        ("containerd", &["--set-as-default"][..]),
        ("containerd", &["--mode", "base-spec", "--set-as-default"]),
        ("containerd", &[]),
        ("crio", wrapper),
        ("crio", &["--mode", "wrapper"]),
        ("crio", &["--mode", "nri"]),
        ("podman", wrapper),
    ] {
        let node = Etc::with(CONFIG, "version = 2\n");
        node.configure(&[&[engine], args].concat());
        fs::remove_dir_all(node.at("/var/lib/podhosts")).unwrap();
        let said = node.configure(&[engine]);
        assert!(said.starts_with("nothing to change\n"), "{engine} {args:?}: {said}");
        if args.contains(&"--set-as-default") {
            node.configure(&[engine, "--set-as-default=false"]);
            let is_default =
                |text: &String| text.contains("default_runtime") || text.contains("\nruntime = ");
            assert_eq!(node.tree().values().find(|text| is_default(text)), None, "{engine} {args:?}");
        }
    }
}

#[test]
fn a_pod_cidr_is_written_when_it_is_told() {
    needs!("containerd");
    let node = Etc::with(CONFIG, "version = 2\n");
    let before = node.tree();
    let run = node.podhosts(&["configure", "--runtime", "containerd", "--with-cni"]);
    let error = "cannot use --with-cni: the node's podCIDRs are not known, expected --pod-cidr, or --pod-cidr-from node\n";
    assert_eq!((run.code, run.stderr.as_str()), (Some(2), error));
    assert_eq!(node.tree(), before);
}

/// podhosts-node writes the same file: pods have no network without it.
#[test]
fn a_list_that_the_agent_has_taken_over_stays() {
    needs!("containerd");
    for engine in ["containerd", "crio"] {
        let node = Etc::new();
        if engine == "containerd" {
            node.write(CONFIG, "version = 2\n");
        }
        let make = || node.configure(&[engine, "--with-cni", "--pod-cidr", "10.9.0.0/24"]);
        let take_over = || {
            node.edit(LIST, "\"ipMasq\": true", "\"ipMasq\": false");
            node.edit(LIST, "10.9.0.0/24", "10.10.0.0/24");
            node.read(LIST)
        };
        let note =
            format!("note: {LIST} stays: podhosts-node keeps it, and podhosts-node --cleanup removes it\n");
        make();
        let agents = take_over();
        // It also stays where only something else is told.
        node.configure(&[engine]);
        assert_eq!(node.read(LIST), agents);
        let said = node.configure(&[engine, "--with-cni=false"]);
        assert!(said.contains(&note), "{engine}: {said}");
        assert_eq!(node.read(LIST), agents);
        // From then on it is none of ours, whoever writes it.
        node.write(LIST, "{\"plugins\": [{\"type\": \"podhosts-cni\"}]}");
        assert!(!node.unconfigure(engine).contains("note: "));
        fs::remove_file(node.at(LIST)).unwrap();
        make();
        let agents = take_over();
        let said = node.unconfigure(engine);
        assert!(said.contains(&note), "{engine}: {said}");
        assert_eq!(node.read(LIST), agents);
        fs::remove_file(node.at(LIST)).unwrap();
        make();
        node.unconfigure(engine);
        assert!(!node.at(LIST).exists());
    }
}

/// containerd makes the network of the Node's podCIDRs, which it learns from the kubelet.
#[test]
fn the_podcidrs_of_the_node() {
    needs!("containerd");
    for (mut node, section) in
        [(oldest(), "io.containerd.grpc.v1.cri"), (newest(), "io.containerd.cri.v1.runtime")]
    {
        if node.path.is_empty() {
            continue;
        }
        let main = if section.contains("grpc") { "version = 2\n" } else { "version = 3\n" };
        node.write(CONFIG, main);
        let before = node.tree();
        let args = ["containerd", "--with-cni", "--pod-cidr-from", "node"];
        node.configure(&args);
        let template = "/etc/containerd/podhosts.conflist.tmpl";
        assert!(!node.at(LIST).exists());
        assert!(node.read(template).contains("\"podCIDRs\": [{{range $i, $cidr := .PodCIDRRanges}}"));
        let dump = node.command("containerd".as_ref(), &["config", "dump"]).output().unwrap();
        let dump: toml::Table = String::from_utf8(dump.stdout).unwrap().parse().unwrap();
        assert_eq!(dump["plugins"][section]["cni"]["conf_template"].as_str(), Some(template));
        // What containerd made of it stays with it, and goes with it.
        let made = "/etc/cni/net.d/10-containerd-net.conflist";
        for is_repeated in [false, true] {
            node.write(made, "{\"plugins\": [{\"type\": \"podhosts-cni\"}]}");
            if is_repeated {
                node.configure(&["containerd"]);
                assert!(node.at(made).exists() && node.at(template).exists());
            }
            node.unconfigure("containerd");
            assert!(!node.at(made).exists());
            fs::remove_dir_all(node.at("/etc/cni")).unwrap();
            assert_eq!(node.tree(), before);
            node.configure(&args);
        }
        node.unconfigure("containerd");
        // Somebody else's template stays.
        node.path.clear();
        let theirs = format!("{main}[plugins.\"{section}\".cni]\nconf_template = \"/etc/theirs\"\n");
        node.write(CONFIG, &theirs);
        let error = node.podhosts(&[&["configure", "--runtime"], &args[..]].concat()).failure();
        assert!(error.contains("it makes its network of /etc/theirs already (cni.conf_template)"), "{error}");
        assert_eq!(node.read(CONFIG), theirs);
    }
}

#[test]
fn a_handler_with_a_network_of_its_own() {
    needs!("containerd");
    let section = "plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc";
    let main = format!(
        "version = 2\n[{section}]\nruntime_type = \"io.containerd.runc.v2\"\ncni_conf_dir = \"/etc/other\"\n"
    );
    let node = Etc::with(CONFIG, &main);
    node.configure(&["containerd"]);
    assert_eq!(node.read(CONFIG).matches("cni_conf_dir").count(), 2);
    let args = ["containerd", "--with-cni", "--pod-cidr", "10.9.0.0/24"];
    let said = node.configure(&[&args[..], &["--dry-run"]].concat());
    let note = "note: handler runc has a cni_conf_dir of its own, /etc/other: its pods get no network of podhosts'\n";
    assert!(said.contains(note), "{said}");
    assert!(node.configure(&args).contains(note));
    // Ours is where the network is.
    assert_eq!(node.read(CONFIG).matches("cni_conf_dir").count(), 1);
    assert!(node.at(LIST).exists());
}

/// The service connects to where the engine waits for plugins.
#[test]
fn nri_follows_the_engine_s_settings() {
    let unit = "/etc/systemd/system/podhosts-nri.service";
    let mut cases = vec![(
        Etc::new(),
        "crio",
        "/etc/crio/crio.conf",
        "[crio.nri]\nenable_nri = true\n",
        "nri_listen",
        "nri_disable_connections",
    )];
    let node = newest();
    if !node.path.is_empty() {
        let nri = "version = 3\n[plugins.\"io.containerd.nri.v1.nri\"]\n";
        cases.push((node, "containerd", CONFIG, nri, "socket_path", "disable_connections"));
    }
    for (node, engine, config, section, socket, refuses) in cases {
        node.write(config, section);
        node.configure(&[engine, "--mode", "nri"]);
        assert!(node.read(unit).contains("/podhosts nri\n"));
        node.write(config, &format!("{section}{socket} = \"/run/other/nri.sock\"\n"));
        node.configure(&[engine, "--mode", "nri"]);
        assert!(
            node.read(unit).contains("/podhosts nri --socket /run/other/nri.sock\n"),
            "{}",
            node.read(unit)
        );
        node.unconfigure(engine);
        node.write(config, &format!("{section}{refuses} = true\n"));
        let error = node.podhosts(&["configure", "--runtime", engine, "--mode", "nri"]).failure();
        assert!(
            error.contains(&format!("{refuses} is true, so only plugins may connect that it starts itself")),
            "{error}"
        );
        assert!(!node.at(unit).exists());
    }
    // One service for both engines.
    let node = Etc::new();
    node.write("/etc/crio/crio.conf", "[crio.nri]\nnri_listen = \"/run/a.sock\"\n");
    node.configure(&["crio", "--mode", "nri"]);
    fs::create_dir_all(node.at("/etc/containerd")).unwrap();
    node.write(CONFIG, "version = 3\n");
    let mut node = node;
    node.path = "/nowhere".to_owned();
    let error = node.podhosts(&["configure", "--runtime", "containerd", "--mode", "nri"]).failure();
    assert!(
        error.contains(
            "podhosts-nri.service is another engine's, too, which waits for plugins at /run/a.sock"
        ),
        "{error}"
    );
}

#[derive(Clone, PartialEq, prost::Message)]
struct UpdateRuntimeConfig {
    #[prost(message, optional, tag = "1")]
    runtime_config: Option<RuntimeConfig>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RuntimeConfig {
    #[prost(message, optional, tag = "1")]
    network_config: Option<NetworkConfig>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct NetworkConfig {
    #[prost(string, tag = "1")]
    pod_cidr: String,
}

/// The kubelet's call fills the template in, with the addresses of both families.
fn the_kubelet_tells_the_podcidrs(containerd: &mut Containerd) {
    let way = ["configure", "--runtime", "containerd", "--with-cni", "--pod-cidr-from", "node"];
    // Beside another network it would make none.
    containerd.node.sh("rm -f /etc/cni/net.d/*");
    containerd.podhosts(&way).success();
    containerd.spawn();
    containerd.until(&["version"], |_| true);
    let network_config = Some(NetworkConfig { pod_cidr: "10.9.0.0/24,fd00:9::/64".to_owned() });
    let told = UpdateRuntimeConfig { runtime_config: Some(RuntimeConfig { network_config }) };
    let client = Client::connect(&containerd.node.file(SOCKET), Duration::from_secs(10)).unwrap();
    client.call::<_, Nothing>("runtime.v1.RuntimeService", "UpdateRuntimeConfig", told).unwrap();
    let made = fs::read_to_string(containerd.node.file("/etc/cni/net.d/10-containerd-net.conflist")).unwrap();
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    assert_eq!(made["plugins"][0]["ipam"]["podCIDRs"], serde_json::json!(["10.9.0.0/24", "fd00:9::/64"]));
    containerd.until(&["info", "-q"], |info| !info.contains("NetworkPluginNotReady"));
}

#[derive(Clone, PartialEq, prost::Message)]
struct Nothing {}

#[test]
fn the_kubelet_tells_the_podcidrs_to_containerd_1_6() {
    if let Some(mut containerd) = Containerd::new(Release::Bookworm) {
        the_kubelet_tells_the_podcidrs(&mut containerd);
    }
}

#[test]
fn the_kubelet_tells_the_podcidrs_to_containerd_2() {
    if let Some(mut containerd) = Containerd::new(Release::Sid) {
        the_kubelet_tells_the_podcidrs(&mut containerd);
    }
}

//! `podhosts configure` and `unconfigure` on the configuration that engines come with, and on what people make of it.

use std::fs;
use std::process::Command;

use crate::harness::etc::Etc;
use crate::harness::{Run, needs, newer_engines};

/// What CRI-O's packages have in /etc/crio/crio.conf.d/10-crio.conf.
pub(crate) const CRIO: &str = r#"[crio.image]
signature_policy = "/etc/crio/policy.json"

[crio.runtime]
default_runtime = "crun"

[crio.runtime.runtimes.crun]
runtime_path = "/usr/libexec/crio/crun"
runtime_root = "/run/crun"
allowed_annotations = [
    "io.containers.trace-syscall",
]
monitor_path = "/usr/libexec/crio/conmon"

[crio.runtime.runtimes.runc]
runtime_path = "/usr/libexec/crio/runc"
runtime_root = "/run/runc"
monitor_path = "/usr/libexec/crio/conmon"
"#;

const CONTAINERD: &str = "/etc/containerd/config.toml";

/// A PATH on which no containerd is.
const NO_CONTAINERD: &str = "/nowhere";

/// A node with an engine as it comes, by name.
type Stock = (String, &'static str, Etc);

fn stock(name: &str, engine: &'static str, files: &[(&str, &str)]) -> Stock {
    let node = Etc::new();
    for (path, text) in files {
        node.write(path, text);
    }
    (name.to_owned(), engine, node)
}

fn default_config(containerd: &str) -> String {
    Run::from(Command::new(containerd).args(["config", "default"]).output().unwrap()).success()
}

/// All engines that are here, each with every configuration that it comes with.
fn stocks() -> Vec<Stock> {
    let mut all = vec![
        stock("cri-o", "crio", &[("/etc/crio/crio.conf.d/10-crio.conf", CRIO)]),
        stock("cri-o, nothing", "crio", &[]),
        stock("podman 4.3", "podman", &[("/etc/containers/policy.json", "{}")]),
    ];
    let packaged = fs::read_to_string(CONTAINERD).unwrap();
    let default = default_config("containerd");
    all.push(stock("containerd 1.6, packaged", "containerd", &[(CONTAINERD, &packaged)]));
    all.push(stock("containerd 1.6, default", "containerd", &[(CONTAINERD, &default)]));
    all.push(stock("containerd 1.6, none", "containerd", &[]));
    let Some(newer) = newer_engines() else { return all };
    let program = newer.join("usr/bin/containerd").display().to_string();
    let packaged = fs::read_to_string(newer.join("etc/containerd/config.toml")).unwrap();
    let default = default_config(&program);
    let mut of_newer = vec![
        stock("containerd 2.1, packaged", "containerd", &[(CONTAINERD, &packaged)]),
        stock("containerd 2.1, default", "containerd", &[(CONTAINERD, &default)]),
        stock("containerd 2.1, none", "containerd", &[]),
        stock("podman 5.8", "podman", &[("/etc/containers/policy.json", "{}")]),
    ];
    for (_, engine, node) in &mut of_newer {
        if *engine == "containerd" {
            node.path = format!("{}:{}", newer.join("usr/bin").display(), node.path);
        } else {
            // Its podman does not start outside of its folder, and it is not asked without --with-cni.
            node.distribution = Some(newer.join("usr/share/containers/containers.conf"));
        }
    }
    all.extend(of_newer);
    all
}

/// The ways that an engine has, with the options that go with them.
fn ways(name: &str, engine: &str) -> Vec<Vec<&'static str>> {
    let mut ways = vec![vec!["--mode", "wrapper"], vec!["--mode", "wrapper", "--set-as-default"]];
    if name != "podman 5.8" {
        ways.push(vec!["--mode", "wrapper", "--with-cni", "--pod-cidr", "10.9.0.0/24"]);
    }
    match engine {
        "containerd" => ways.push(vec!["--mode", "base-spec", "--set-as-default"]),
        _ => ways.extend([vec![], vec!["--hooks-dir", "/etc/hooks"], vec!["--mode", "hooks-dir"]]),
    }
    if name.starts_with("containerd 2.1") || engine == "crio" {
        ways.push(vec!["--mode", "nri"]);
    }
    ways
}

#[test]
fn configure_and_unconfigure_leave_no_difference() {
    needs!("containerd", "podman", "patch");
    for (name, engine, node) in stocks() {
        let before = node.tree();
        for way in ways(&name, engine) {
            let shown = format!("{name}: {}", way.join(" "));
            let args = [&[engine], &way[..]].concat();
            let diff = node.configure(&[&args[..], &["--dry-run"]].concat());
            assert_eq!(node.tree(), before, "{shown}");
            node.configure(&args);
            let configured = node.tree();
            assert_ne!(configured, before, "{shown}");

            // Once more, and nothing is touched.
            let touched = node.snapshot();
            let said = node.configure(&args);
            assert!(said.starts_with("nothing to change\n"), "{shown}: {said}");
            touched.assert_same(&node.snapshot());

            node.unconfigure(engine);
            assert_eq!(node.tree(), before, "{shown}");
            // Containers of other tests may have the programs in use.
            assert!(node.unconfigure(engine).starts_with("nothing to change\n"));

            // What the dry run printed is what was done.
            let patch = ["-p1", "--no-backup-if-mismatch", "-d"];
            let mut command = Command::new("patch");
            command.args(patch).arg(node.at("/"));
            Run::with_input(command, diff.as_bytes()).success();
            let is_etc = |tree: &std::collections::BTreeMap<std::path::PathBuf, String>| {
                let files = tree.iter().filter(|(path, _)| path.starts_with("etc"));
                files
                    .map(|(path, text)| {
                        (path.clone(), text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>())
                    })
                    .collect::<Vec<_>>()
            };
            assert_eq!(is_etc(&node.tree()), is_etc(&configured), "{shown}");
            let mut command = Command::new("patch");
            command.args(["-R", "-E"]).args(patch).arg(node.at("/"));
            Run::with_input(command, diff.as_bytes()).success();
            // patch removes the directories that are empty then.
            fs::create_dir_all(node.at("/etc")).unwrap();
        }
    }
}

#[test]
fn one_way_takes_the_place_of_another() {
    needs!("containerd");
    let (_, engine, node) = stock("cri-o", "crio", &[("/etc/crio/crio.conf.d/10-crio.conf", CRIO)]);
    let before = node.tree();
    node.configure(&[engine]);
    assert!(node.at("/etc/podhosts/crio-hooks.d/podhosts.json").exists());
    let said = node.configure(&[engine, "--mode", "wrapper", "--set-as-default"]);
    assert!(said.contains("removed /etc/podhosts/crio-hooks.d/podhosts.json\n"), "{said}");
    assert!(!node.at("/etc/containers").exists());
    let drop_in = node.read("/etc/crio/crio.conf.d/99-podhosts.conf");
    assert!(
        drop_in.contains("default_runtime = \"podhosts\"") && !drop_in.contains("hooks_dir"),
        "{drop_in}"
    );
    // Of the handler beside it everything but the program.
    for copied in ["runtime_root = \"/run/crun\"", "allowed_annotations = [\"io.containers.trace-syscall\"]"]
    {
        assert!(drop_in.contains(copied), "{drop_in}");
    }
    node.unconfigure(engine);
    assert_eq!(node.tree(), before);
}

#[test]
fn comments_odd_forms_and_other_settings_survive() {
    needs!("containerd");
    let odd = "\u{feff}# top\r\nversion = 2 # two\r\nplugins.\"io.containerd.grpc.v1.cri\".containerd.snapshotter='native'\r\n\
        [ plugins . 'io.containerd.internal.v1.opt' ]\r\n\tpath=\"/x\" # tab\r\n# the end";
    let node = Etc::with(CONTAINERD, odd);
    let before = node.tree();
    node.configure(&["containerd"]);
    let text = node.read(CONTAINERD);
    let (kept, end) = odd.split_at(odd.find("# the end").unwrap());
    assert!(text.starts_with(kept) && text.ends_with(end) && text.contains("podhosts-runtime"), "{text}");
    assert_eq!(text.matches("\r\n").count(), text.matches('\n').count(), "{text:?}");
    node.unconfigure("containerd");
    assert_eq!(node.tree(), before);

    // The options of runc's handler are those of ours, which stands beside it.
    let runc = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n\
        runtime_type = \"io.containerd.runc.v2\"\npod_annotations = [\"x/*\"]\ncni_max_conf_num = 1\nsnapshotter = \"\"\n\
        options = { SystemdCgroup = true, BinaryName = \"/opt/runc\" } # inline\n";
    let node = Etc::with(CONTAINERD, runc);
    let said = node.configure(&["containerd"]);
    assert!(said.contains("note: runc runs /opt/runc; podhosts-runtime runs /"), "{said}");
    let text = node.read(CONTAINERD);
    let handler = text.strip_prefix(runc).unwrap();
    for line in
        ["pod_annotations = [\"podhosts.io/*\", \"x/*\"]", "cni_max_conf_num = 1", "SystemdCgroup = true"]
    {
        assert!(handler.contains(&format!("\n{line}\n")), "{handler}");
    }
    assert!(!handler.contains("snapshotter") && !handler.contains("/opt/runc"), "{handler}");
}

#[test]
fn a_link_stays_one() {
    needs!("containerd");
    let node = Etc::with("/etc/real/config.toml", "version = 2\n");
    fs::create_dir(node.at("/etc/containerd")).unwrap();
    std::os::unix::fs::symlink("../real/config.toml", node.at(CONTAINERD)).unwrap();
    let before = node.tree();
    node.configure(&["containerd"]);
    assert!(node.at(CONTAINERD).is_symlink());
    assert!(node.read("/etc/real/config.toml").contains("podhosts-runtime"));
    node.unconfigure("containerd");
    assert_eq!(node.tree(), before);
}

#[test]
fn what_was_changed_since_survives() {
    needs!("containerd");
    let node = Etc::with(CONTAINERD, "version = 2\n# mine\nroot = \"/r\"\n");
    node.configure(&["containerd", "--set-as-default"]);
    // A comment alone is no reason to write the file again.
    node.edit(CONTAINERD, "root", "# more\nroot");
    node.edit(CONTAINERD, "runtime_type = ", "# of ours\nruntime_type    =   ");
    assert!(node.configure(&["containerd", "--set-as-default"]).starts_with("nothing to change\n"));
    node.edit(CONTAINERD, "root = \"/r\"", "root = \"/new\"\nstate = \"/s\"");
    node.edit(CONTAINERD, "pod_annotations = [", "pod_annotations = [\"mine/*\", ");
    node.configure(&["containerd"]);
    assert!(node.read(CONTAINERD).contains("default_runtime_name"));
    node.configure(&["containerd", "--set-as-default=false"]);
    assert!(!node.read(CONTAINERD).contains("default_runtime_name"));
    node.edit(CONTAINERD, "state = \"/s\"", "state = \"/t\"");
    node.unconfigure("containerd");
    let left = "version = 2\n# mine\n# more\nroot = \"/new\"\nstate = \"/t\"\n# of ours\n";
    assert_eq!(node.read(CONTAINERD), left);
    assert!(!node.at("/var/lib/podhosts").exists());

    // Drop-ins that were added to are no longer ours alone.
    let node = Etc::new();
    node.configure(&["podman"]);
    let drop_in = "/etc/containers/containers.conf.d/99-podhosts.conf";
    node.edit(drop_in, "[engine]\n", "[engine]\ncgroup_manager = \"cgroupfs\"\n");
    node.edit(drop_in, "podman-hooks.d\"]", "podman-hooks.d\", \"/mine\"]");
    node.unconfigure("podman");
    // Nothing says any longer that it is podhosts'.
    let left = "[engine]\ncgroup_manager = \"cgroupfs\"\nhooks_dir = [ \"/mine\"]\n";
    assert_eq!(node.read(drop_in), left);
    assert!(!node.at("/etc/podhosts").exists());
}

#[test]
fn what_nobody_remembers_goes_by_its_name() {
    needs!("containerd");
    let node = Etc::with(CONTAINERD, "version = 2\n");
    let mut left = node.tree();
    for (engine, way) in [("containerd", &["--set-as-default"][..]), ("crio", &[]), ("podman", &[])] {
        node.configure(&[&[engine], way].concat());
    }
    node.configure(&["crio", "--mode", "nri"]);
    fs::remove_dir_all(node.at("/var/lib/podhosts")).unwrap();
    for engine in ["containerd", "crio", "podman"] {
        node.unconfigure(engine);
    }
    let now = node.tree();
    left.retain(|path, _| now.contains_key(path));
    let files: Vec<_> = now.iter().filter(|(_, text)| text.contains("podhosts")).collect();
    assert_eq!((left.len(), files.len()), (4, 0), "{now:#?}");
    assert_eq!(node.read(CONTAINERD), "version = 2\n");
}

#[test]
fn what_others_put_beside_it_stays() {
    needs!("containerd");
    // Another drop-in is none of what is imported.
    let main = "version = 3\nroot = \"/r\"\n";
    let mut node = Etc::with(CONTAINERD, main);
    node.path = NO_CONTAINERD.to_owned();
    for own in ["/etc/containerd/conf.d/99-podhosts.toml", "/etc/mine.toml"] {
        node.configure(&["containerd", "--drop-in", own]);
        node.write("/etc/containerd/conf.d/99-nvidia.toml", "version = 3\n");
        node.unconfigure("containerd");
        assert_eq!(node.read(CONTAINERD), main);
        // One of ours that has something else by now is read still.
        node.configure(&["containerd", "--drop-in", own]);
        node.edit(own, "version = 3\n", "version = 3\ndebug = { level = \"info\" }\n");
        let said = node.unconfigure("containerd");
        let note = format!("note: /etc/containerd/config.toml still imports {own}: other files are");
        assert!(said.contains(&note), "{said}");
        assert_eq!(node.read(CONTAINERD), format!("{main}imports = [\"{own}\"]\n"));
        node.write(CONTAINERD, main);
        fs::remove_file(node.at(own)).unwrap();
    }
    // Entries of lists in files of ours, where nothing is remembered.
    for (engine, drop_in, section) in [
        ("podman", "/etc/containers/containers.conf.d/99-podhosts.conf", "[engine]"),
        ("crio", "/etc/crio/crio.conf.d/99-podhosts.conf", "[crio.runtime]"),
    ] {
        node.configure(&[engine]);
        node.edit(drop_in, "-hooks.d\"]", "-hooks.d\", \"/mine\"]");
        fs::remove_dir_all(node.at("/var/lib/podhosts")).unwrap();
        node.unconfigure(engine);
        let dirs = "hooks_dir = [\"/usr/share/containers/oci/hooks.d\", \"/mine\"]\n";
        assert_eq!(node.read(drop_in), format!("{section}\n{dirs}"));
    }
}

#[test]
fn hooks_directories_that_are_read_stay_so() {
    let conf = "[engine]\nhooks_dir = [\"/etc/a\", \"/etc/b\"]\n";
    let node = Etc::with("/etc/containers/containers.conf", conf);
    node.configure(&["podman"]);
    let drop_in = "/etc/containers/containers.conf.d/99-podhosts.conf";
    assert!(
        node.read(drop_in)
            .ends_with("hooks_dir = [\"/etc/a\", \"/etc/b\", \"/etc/podhosts/podman-hooks.d\"]\n")
    );
    // Where the directory is read already no drop-in is needed.
    node.configure(&["podman", "--hooks-dir", "/etc/b"]);
    assert!(!node.at(drop_in).exists());
    // A later file would undo it.
    node.write("/etc/crio/crio.conf.d/99-z.conf", "[crio.runtime]\nhooks_dir = []\n");
    let error = node.podhosts(&["configure", "--runtime", "crio"]).failure();
    assert!(
        error.contains("/etc/crio/crio.conf.d/99-z.conf sets crio.runtime.hooks_dir, too, and goes before"),
        "{error}"
    );
}

#[test]
fn a_drop_in_needs_its_import_and_the_version_of_the_main_file() {
    needs!("containerd");
    let drop_in = "/etc/containerd/conf.d/99-podhosts.toml";
    for version in [3, 4] {
        let mut node =
            Etc::with(CONTAINERD, &format!("version = {version}\nimports = [\n  \"x.toml\", # x\n]\n"));
        node.path = NO_CONTAINERD.to_owned();
        node.write("/etc/containerd/x.toml", "");
        node.configure(&["containerd"]);
        let wanted = format!("version = {version}\nimports = [\n  \"x.toml\", # x\n  \"{drop_in}\",\n]\n");
        assert_eq!(node.read(CONTAINERD), wanted);
        assert!(node.read(drop_in).contains(&format!("\nversion = {version}\n")));
    }
    for import in ["/etc/containerd/conf.d/*.toml", "conf.d/*", drop_in] {
        let mut node = Etc::with(CONTAINERD, &format!("imports = [\"{import}\"]\nversion = 3\n"));
        node.path = NO_CONTAINERD.to_owned();
        if import == drop_in {
            // containerd does not start with an import that is not there.
            let error = node.podhosts(&["configure", "--runtime", "containerd"]).failure();
            assert!(
                error.contains(" imports /etc/containerd/conf.d/99-podhosts.toml, which is not there"),
                "{error}"
            );
            node.write(drop_in, "");
        }
        let before = node.read(CONTAINERD);
        node.configure(&["containerd"]);
        assert_eq!(node.read(CONTAINERD), before);
    }
    let mut node = Etc::with(CONTAINERD, "version = 3\n");
    node.path = NO_CONTAINERD.to_owned();
    node.configure(&["containerd", "--drop-in", "/etc/mine.toml"]);
    assert!(node.read(CONTAINERD).contains("imports = [\"/etc/mine.toml\"]"));
    assert!(node.at("/etc/mine.toml").exists());
}

#[test]
fn the_network_keeps_the_nodes_own_addresses() {
    needs!("containerd");
    let node = Etc::with(CONTAINERD, "version = 2\n");
    let list = "/etc/cni/net.d/10-podhosts.conflist";
    node.configure(&["containerd", "--with-cni", "--pod-cidr", "10.244.0.0/24"]);
    node.edit(list, "10.244.0.0/24", "10.7.0.0/24");
    let kept = node.read(list);
    assert!(node.configure(&["containerd", "--with-cni"]).starts_with("nothing to change\n"));
    node.configure(&["containerd", "--with-cni", "--set-as-default"]);
    assert_eq!(node.read(list), kept);
    node.write("/etc/cni/net.d/00-first.conf", "{}");
    let said = node.configure(&[
        "containerd",
        "--with-cni",
        "--pod-cidr",
        "10.8.0.0/24",
        "--pod-cidr",
        "2001:db8::/64",
    ]);
    assert!(said.contains("note: /etc/cni/net.d/00-first.conf comes before 10-podhosts.conflist"), "{said}");
    assert!(node.read(list).contains(r#""podCIDRs": ["10.8.0.0/24", "2001:db8::/64"]"#));
    // It stays until it is told to go.
    let kept = node.read(list);
    node.configure(&["containerd"]);
    assert_eq!(node.read(list), kept);
    node.configure(&["containerd", "--with-cni=false"]);
    assert!(!node.at(list).exists());
}

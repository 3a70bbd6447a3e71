//! What `podhosts configure` leaves of others' directories, and what it says of the runtimes that containers have.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::etc::Etc;
use crate::harness::needs;

#[test]
fn the_directory_of_what_is_remembered_stays_where_it_was() {
    for mode in [0o755, 0o711] {
        let node = Etc::new();
        let dir = node.at("/var/lib/podhosts");
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
        let before = node.tree();
        for order in [["crio", "podman"], ["podman", "crio"]] {
            for engine in ["crio", "podman"] {
                node.configure(&[engine]);
                assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, mode);
            }
            for engine in order {
                node.unconfigure(engine);
            }
            assert_eq!(node.tree(), before);
        }
    }
    // Where it was not there, whoever is last takes it away.
    for order in [["crio", "podman"], ["podman", "crio"]] {
        let node = Etc::new();
        let before = node.tree();
        for engine in ["crio", "podman"] {
            node.configure(&[engine]);
        }
        for engine in order {
            node.unconfigure(engine);
        }
        assert_eq!(node.tree(), before);
    }
}

#[test]
fn a_note_only_where_another_runtime_runs() {
    needs!("runc", "crun");
    let crio = |path: &str| {
        format!(
            "[crio.runtime]\ndefault_runtime = \"x\"\n[crio.runtime.runtimes.x]\nruntime_path = \"{path}\"\n"
        )
    };
    let containerd = |path: &str| {
        let runc = "plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc";
        format!(
            "version = 2\n[{runc}]\nruntime_type = \"io.containerd.runc.v2\"\n[{runc}.options]\nBinaryName = \"{path}\"\n"
        )
    };
    for (engine, config, text) in [
        ("crio", "/etc/crio/crio.conf", &crio as &dyn Fn(&str) -> String),
        ("containerd", "/etc/containerd/config.toml", &containerd),
    ] {
        for (path, runtimes, is_noted) in [
            ("/usr/bin/crun", "", true),
            ("/usr/bin/crun", "[runtime]\nruntimes = [\"crun\", \"runc\"]\n", false),
            ("crun", "[runtime]\nruntimes = [\"/usr/bin/crun\"]\n", false),
            ("/usr/sbin/runc", "", false),
            ("/usr/sbin/runc", "[runtime]\nruntimes = [\"/nowhere/runc\"]\n", true),
        ] {
            let mut node = Etc::new();
            node.path = "/usr/sbin:/usr/bin".to_owned();
            node.write(config, &text(path));
            node.write("/etc/podhosts/config.toml", runtimes);
            let said = node.configure(&[engine, "--mode", "wrapper"]);
            let note = format!("runs {path}; podhosts-runtime ");
            assert_eq!(said.contains(&note), is_noted, "{engine}, {path}, {runtimes}: {said}");
        }
    }
}

#[test]
fn a_dry_run_prints_the_notes_of_podman() {
    needs!("podman", "runc", "crun");
    let node = Etc::with("/etc/containers/containers.conf", "[engine]\nruntime = \"crun\"\n");
    let before = node.tree();
    let args = ["podman", "--mode", "wrapper", "--set-as-default"];
    let said = node.configure(&[&args[..], &["--dry-run"]].concat());
    let note = "note: podman's default runtime was crun, /usr/bin/crun: podhosts-runtime runs that from now on, by \
                runtime.runtimes in /etc/podhosts/config.toml\n";
    assert!(said.starts_with("--- ") && said.ends_with(note), "{said}");
    assert_eq!(node.tree(), before);
    assert!(node.configure(&args).contains(note));
    let runtimes = "[runtime]\nruntimes = [\"/usr/bin/crun\", \"runc\", \"crun\"]\n";
    assert!(node.read("/etc/podhosts/config.toml").ends_with(runtimes));
    // Another engine that runs the wrapper keeps its own.
    node.unconfigure("podman");
    assert_eq!(node.tree(), before);
    node.configure(&["crio", "--mode", "wrapper"]);
    let said = node.configure(&args);
    assert!(
        said.contains("note: podman's default runtime crun runs /usr/bin/crun; podhosts-runtime runs "),
        "{said}"
    );
    assert!(!node.at("/etc/podhosts/config.toml").exists());
}

/// CRI-O's packages have their runtimes where only CRI-O looks.
#[test]
fn a_runtime_that_only_the_engine_finds_is_named_for_the_wrapper() {
    let crio = "[crio.runtime]\ndefault_runtime = \"x\"\n[crio.runtime.runtimes.x]\nruntime_path = \"/etc/x/crun\"\n";
    let runc = "plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc";
    let containerd = format!(
        "version = 2\n[{runc}]\nruntime_type = \"io.containerd.runc.v2\"\n[{runc}.options]\nBinaryName = \"/etc/x/crun\"\n"
    );
    for (engine, config, text) in [
        ("crio", "/etc/crio/crio.conf", crio),
        ("containerd", "/etc/containerd/config.toml", containerd.as_str()),
    ] {
        let mut node = Etc::new();
        node.path = "/nowhere".to_owned();
        node.write(config, text);
        let args = [engine, "--mode", "wrapper", "--set-as-default"];
        // A runtime that is not there is nothing to name.
        let said = node.configure(&args);
        assert!(said.contains("/etc/x/crun; podhosts-runtime would find no runtime, "), "{engine}: {said}");
        assert!(!node.at("/etc/podhosts/config.toml").exists());
        node.unconfigure(engine);
        node.write("/etc/x/crun", "");
        fs::copy("/bin/true", node.at("/etc/x/crun")).unwrap();
        let before = node.tree();
        let said = node.configure(&args);
        let note = "runs /etc/x/crun: podhosts-runtime runs that from now on, by runtime.runtimes in \
                    /etc/podhosts/config.toml\n";
        assert!(said.contains(note), "{engine}: {said}");
        let runtimes = "[runtime]\nruntimes = [\"/etc/x/crun\", \"runc\", \"crun\"]\n";
        assert!(node.read("/etc/podhosts/config.toml").ends_with(runtimes));
        assert!(node.configure(&args).starts_with("nothing to change\n"), "{engine}");
        node.unconfigure(engine);
        assert_eq!(node.tree(), before, "{engine}");
        // What somebody has named stays.
        node.write("/etc/podhosts/config.toml", "[runtime]\nruntimes = [\"/nowhere/runc\"]\n");
        let before = node.read("/etc/podhosts/config.toml");
        let said = node.configure(&args);
        assert!(said.contains("; podhosts-runtime would find no runtime, "), "{engine}: {said}");
        assert_eq!(node.read("/etc/podhosts/config.toml"), before);
    }
}

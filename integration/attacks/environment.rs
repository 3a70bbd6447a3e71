//! Environment variables that a pod asks for by annotation in order to steer programs: the node's, which some runtimes
//! give the container's environment, and those of the container's image.

use std::path::Path;

use crate::harness::{Bundle, Node, needs};

/// A container of a pod that asks for the variable `name`, whose value is `note`.
fn pod(node: &Node, name: &str, note: &str) -> Bundle {
    Bundle::new(node, "cat /proc/self/environ | tr '\\0' '\\n'")
        .containerd()
        .annotate("podhosts.io/pod-ips", "10.0.0.9")
        .annotate(&format!("podhosts.io/env.{name}"), "metadata.annotations['example.com/note']")
        .annotate("example.com/note", note)
}

/// CVE-2025-23266 (nvidia-container-toolkit): a hook of the node's ran with the container's `LD_PRELOAD`.
#[test]
fn a_variable_that_the_nodes_own_hooks_obey() {
    needs!("runc", "busybox");
    // Another one's createContainer hook, a shell script, which gets the container's environment from runc 1.1.
    for (config, name, reason) in [
        (
            "",
            "BASH_ENV",
            "is not allowed, expected a name such as MY_BASH_ENV or POD_IP, or one in env.allow of",
        ),
        ("", "LD_PRELOAD", "is not set by annotation: programs of the node may obey it before"),
        (
            "[env]\nallow = [\"*\"]\n",
            "LD_PRELOAD",
            "is not set by annotation: programs of the node may obey it",
        ),
    ] {
        let node = Node::with_config(config);
        let ran = node.path("ran");
        node.write("evil.sh", &format!("echo \"$(id -u) $0\" >>{}\n", ran.display()));
        let mut bundle = pod(&node, name, node.path("evil.sh").to_str().unwrap());
        bundle.config["hooks"]["createContainer"] =
            serde_json::json!([{"path": "/bin/bash", "args": ["bash", "-c", "true"]}]);
        let dir = bundle.write();
        let before = std::fs::read(dir.join("config.json")).unwrap();
        let error = node.run_wrapped(&dir).failure();
        let start =
            format!("podhosts-runtime: cannot read annotation podhosts.io/env.{name}: \"{name}\" {reason}");
        assert!(error.starts_with(&start), "{error}");
        assert!(!ran.exists(), "the node ran a pod's script");
        assert_eq!(std::fs::read(dir.join("config.json")).unwrap(), before);
    }
}

/// CWE-454: interpreters, shells, drivers and clients take their settings from names that no list has all of.
#[test]
fn variables_that_steer_interpreters_drivers_and_clients() {
    needs!("runc", "busybox");
    let node = Node::new();
    for name in [
        "ENV",
        "PERL5OPT",
        "PERL5LIB",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "RUBYOPT",
        "NODE_OPTIONS",
        "NODE_EXTRA_CA_CERTS",
        "GODEBUG",
        "NVIDIA_VISIBLE_DEVICES",
        "NVIDIA_DRIVER_CAPABILITIES",
        "JAVA_TOOL_OPTIONS",
        "PATH",
        "HOME",
        "KUBERNETES_SERVICE_HOST",
        "SSL_CERT_FILE",
        "HTTP_PROXY",
        "GIT_SSH",
    ] {
        let error = node.run_wrapped(&pod(&node, name, "x").write()).failure();
        let start =
            format!("podhosts-runtime: cannot read annotation podhosts.io/env.{name}: \"{name}\" is not ");
        assert!(error.starts_with(&start), "{error}");
    }
}

/// A node's administrator allows more names; what the container sets itself stays all the same.
#[test]
fn a_name_that_the_node_allows_does_not_replace_the_containers_own() {
    needs!("runc", "busybox");
    let node = Node::with_config("[env]\nallow = [\"DD_*\", \"PATH\"]\n");
    let run = |name: &str| {
        let mut bundle = pod(&node, name, "the pods");
        bundle.config["process"]["env"] = serde_json::json!(["PATH=/bin", "DD_OWN=own"]);
        node.run_wrapped(&bundle.write()).success()
    };
    assert!(run("DD_AGENT_HOST").contains("DD_AGENT_HOST=the pods\n"));
    assert!(run("DD_OWN").contains("DD_OWN=own\n"));
    let path = run("PATH");
    assert!(path.contains("PATH=/bin\n") && !path.contains("the pods"), "{path}");
}

/// A value that no program could be started with, and so many of them that the hook could not read the bundle.
#[test]
fn values_as_long_as_annotations_can_be() {
    needs!("busybox");
    let node = Node::with_config("[runtime]\nruntimes = [\"/bin/true\"]\n");
    let run = |dir: &Path| {
        let args = ["create", "-b", dir.to_str().unwrap(), "c"];
        node.run(crate::harness::bin("podhosts-runtime"), &args)
    };
    let error = run(&pod(&node, "MY_NOTE", &"x".repeat(131_064)).write()).failure();
    assert_eq!(
        error,
        "podhosts-runtime: cannot set MY_NOTE: the value of metadata.annotations['example.com/note'] has 131064 bytes, \
         expected an entry of at most 131071\n"
    );
    let mut many = pod(&node, "MY_NOTE", &"x".repeat(131_063));
    let field = many.config["annotations"]["podhosts.io/env.MY_NOTE"].clone();
    run(&many.write()).success();
    for n in 0..255 {
        many.config["annotations"][format!("podhosts.io/env.MY_{n:03}")] = field.clone();
    }
    many.config["annotations"]["example.com/note"] = "x".repeat(131_000).into();
    let error = run(&many.write()).failure();
    assert!(error.starts_with("podhosts-runtime: cannot edit config.json: it would have 33"), "{error}");
    assert!(error.contains(" bytes, expected at most 4194304, in bundle /"), "{error}");
}

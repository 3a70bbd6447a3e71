//! `podhosts render`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::{Run, bin, managed};
use crate::hook::vectors::{self, Case};

fn render(dir: &Path, manifest: &str, args: &[&str]) -> Run {
    let mut command = Command::new(bin("podhosts"));
    command.args(["render", "-f", "-"]).args(args).current_dir(dir);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command line that is refused is refused before stdin is read.
    let _ = child.stdin.take().unwrap().write_all(manifest.as_bytes());
    child.wait_with_output().unwrap().into()
}

fn manifest(case: &Case) -> String {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": case.name, "namespace": case.namespace},
        "spec": {
            "hostname": case.hostname, "subdomain": case.subdomain, "hostnameOverride": case.hostname_override,
            "hostNetwork": case.host_network, "hostAliases": case.raw_aliases, "containers": [],
        },
    })
    .to_string()
}

fn check(case: &Case, dir: &Path, manifest: &str) {
    let mut args = vec!["--cluster-domain", &case.cluster_domain];
    for ip in &case.pod_ips {
        args.extend(["--pod-ip", ip]);
    }
    if let Some(node_hosts) = case.node_hosts() {
        fs::write(dir.join("node-hosts"), node_hosts).unwrap();
        args.extend(["--node-hosts", "node-hosts"]);
    }
    let run = render(dir, manifest, &args);
    let errors = case.errors();
    assert_eq!(run.stdout, case.expect.content, "{}", case.case);
    assert_eq!(run.stderr.lines().collect::<Vec<_>>(), errors, "{}", case.case);
    assert_eq!(run.code, Some(i32::from(!errors.is_empty())), "{}", case.case);
}

#[test]
fn all_vectors_as_json_and_as_yaml() {
    let dir = tempfile::tempdir().unwrap();
    for case in vectors::all() {
        let json = manifest(&case);
        check(&case, dir.path(), &json);
        // JSON is YAML; a document marker sends it through the YAML reader.
        check(&case, dir.path(), &format!("---\n{json}\n"));
    }
}

#[test]
fn the_pod_of_the_host_aliases_page() {
    let example = crate::harness::repository().join("examples/hostaliases-pod.yaml");
    let run = render(Path::new("/"), &fs::read_to_string(example).unwrap(), &["--pod-ip", "10.200.0.5"]);
    let tail = "10.200.0.5\thostaliases-pod\n\n# Entries added by HostAliases.\n\
        127.0.0.1\tfoo.local\tbar.local\n10.1.2.3\tfoo.remote\tbar.remote\n";
    assert_eq!(run.success(), managed(tail));
}

#[test]
fn what_is_missing_is_said() {
    let here = Path::new("/");
    let pod = "kind: Pod\nmetadata: {name: a}\n";
    assert!(render(here, pod, &[]).failure().contains("status.podIPs: Required value"));
    let host = "kind: Pod\nmetadata: {name: a}\nspec: {hostNetwork: true}\n";
    let error = render(here, host, &["--node-hosts", "/nowhere"]).failure();
    assert_eq!(error, "cannot open /nowhere: No such file or directory (os error 2)\n");
    let error = render(here, pod, &["--pod-ip", "010.0.0.1", "--pod-ip", "10.0.0.1\n6.6.6.6 evil"]).failure();
    assert_eq!(error.lines().count(), 2, "{error}");
    assert!(
        error.starts_with("status.podIPs[0].ip: Invalid value: \"010.0.0.1\": must not have leading 0s\n")
    );
    assert_eq!(render(here, pod, &["--no-such-flag"]).code, Some(2));
}

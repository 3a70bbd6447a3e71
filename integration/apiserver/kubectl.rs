//! The API server, as kubectls see it.

use std::fs;
use std::path::Path;

use crate::harness::serve::{Server, kubectls};

/// Runs a kubectl that has to succeed; what it printed.
#[track_caller]
pub(super) fn run(server: &Server, kubectl: &Path, line: &str) -> String {
    let args: Vec<&str> = line.split(' ').collect();
    let (succeeded, text) = server.kubectl(kubectl, &args);
    assert!(succeeded, "{line}: {text}");
    text
}

/// Runs one that has to fail; what it printed.
#[track_caller]
pub(super) fn refused(server: &Server, kubectl: &Path, line: &str) -> String {
    let args: Vec<&str> = line.split(' ').collect();
    let (succeeded, text) = server.kubectl(kubectl, &args);
    assert!(!succeeded, "{line}: {text}");
    text
}

/// Every kubectl of this machine with a server of its own.
fn with_each(test: impl Fn(&Server, &Path)) {
    let kubectls = kubectls();
    if kubectls.is_empty() {
        // Says so, or fails where nothing may be skipped.
        return;
    }
    for kubectl in kubectls {
        let flags =
            ["--service-cluster-ip-range=10.96.0.0/28,2001:db8:fd00::/112", "--pod-cidr=10.244.1.0/24"];
        test(&Server::start(&flags), &kubectl);
    }
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  labels: {app: web}\nspec:\n  \
                       ipFamilyPolicy: PreferDualStack\n  ports:\n  - port: 80\n";

#[test]
fn services_are_created_listed_and_deleted() {
    with_each(|server, kubectl| {
        assert_eq!(run(server, kubectl, "create service clusterip a --tcp=80"), "service/a created\n");
        let again = refused(server, kubectl, "create service clusterip a --tcp=80");
        assert!(again.contains("services \"a\" already exists"), "{again}");
        let table = run(server, kubectl, "get svc -o wide");
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"]);
        assert_eq!(
            (rows[1][0], rows[2][0], rows[2][4], rows[2][6]),
            ("a", "kubernetes", "443/TCP", "<none>")
        );
        assert_eq!(run(server, kubectl, "get svc a -o jsonpath={.spec.ipFamilies}"), "[\"IPv4\"]");
        assert_eq!(run(server, kubectl, "get svc -l app=a -o name"), "service/a\n");
        assert_eq!(run(server, kubectl, "get svc --chunk-size=1 -o name"), "service/a\nservice/kubernetes\n");
        let deleted = run(server, kubectl, "delete svc a");
        assert!(deleted.starts_with("service \"a\" deleted"), "{deleted}");
        let gone = refused(server, kubectl, "get svc a");
        assert_eq!(gone, "Error from server (NotFound): services \"a\" not found\n");
    });
}

#[test]
fn files_are_applied_patched_and_checked() {
    with_each(|server, kubectl| {
        let write = |name: &str, text: &str| {
            let path = server.dir.join(name);
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let file = write("web.yaml", SERVICE);
        assert_eq!(run(server, kubectl, &format!("apply -f {file}")), "service/web created\n");
        assert_eq!(run(server, kubectl, &format!("apply -f {file}")), "service/web unchanged\n");
        let changed = write("changed.yaml", &SERVICE.replace("port: 80", "port: 81"));
        assert_eq!(run(server, kubectl, &format!("apply -f {changed}")), "service/web configured\n");
        let ports = "get svc web -o jsonpath={.spec.ports[*].port}";
        assert_eq!(run(server, kubectl, ports), "81");
        let strange =
            write("strange.yaml", &SERVICE.replace("spec:", "spec:\n  foo: bar").replace("web", "strange"));
        let told = refused(server, kubectl, &format!("apply -f {strange}"));
        // An old one finds it itself, by OpenAPI.
        let is_told = told.contains("unknown field \"spec.foo\"")
            || told.contains("unknown field \"foo\" in io.k8s.api.core.v1.ServiceSpec");
        assert!(is_told, "{told}");
        run(
            server,
            kubectl,
            r#"patch svc web --type=json -p [{"op":"replace","path":"/spec/ports/0/port","value":82}]"#,
        );
        assert_eq!(run(server, kubectl, ports), "82");
        run(server, kubectl, r#"patch svc web -p {"spec":{"sessionAffinity":"ClientIP"}}"#);
        run(server, kubectl, "label svc web colour=blue");
        assert_eq!(run(server, kubectl, "get svc -l colour=blue -o name"), "service/web\n");
        let applied = run(
            server,
            kubectl,
            &format!(
                "apply --server-side --force-conflicts -f {}",
                write("b.yaml", &SERVICE.replace("web", "b"))
            ),
        );
        assert_eq!(applied, "service/b serverside-applied\n");
        assert_eq!(run(server, kubectl, &format!("delete -f {file} --wait")).lines().count(), 1);
    });
}

#[test]
fn kinds_are_discovered_and_explained() {
    with_each(|server, kubectl| {
        let kinds = run(server, kubectl, "api-resources -o name");
        for kind in [
            "services",
            "nodes",
            "pods",
            "namespaces",
            "events",
            "servicecidrs.networking.k8s.io",
            "ipaddresses.networking.k8s.io",
            "endpointslices.discovery.k8s.io",
        ] {
            assert!(kinds.lines().any(|line| line == kind), "{kind}: {kinds}");
        }
        let explained = run(server, kubectl, "explain servicecidr.spec.cidrs");
        assert!(explained.contains("192.168.0.0/24"), "{explained}");
        let described = run(server, kubectl, "describe svc kubernetes");
        assert!(described.contains("10.96.0.1") && described.contains("443/TCP"), "{described}");
        assert!(run(server, kubectl, "get servicecidr").contains("10.96.0.0/28,2001:db8:fd00::/112"));
        assert!(run(server, kubectl, "get ip").contains("services/default/kubernetes"));
        assert_eq!(run(server, kubectl, "get --raw /readyz"), "ok");
    });
}

#[test]
fn a_stopped_server_goes_on_where_it_was() {
    with_each(|server, kubectl| {
        let dir = tempfile::tempdir().unwrap();
        let _ = server;
        let first = Server::start_in(dir.path(), &[]);
        run(&first, kubectl, "create service clusterip a --tcp=80");
        let config = fs::read(dir.path().join("data/pki/ca.crt")).unwrap();
        assert!(first.stop().success());
        let second = Server::start_in(dir.path(), &[]);
        assert_eq!(run(&second, kubectl, "get svc -o name"), "service/a\nservice/kubernetes\n");
        assert_eq!(fs::read(dir.path().join("data/pki/ca.crt")).unwrap(), config);
    });
}

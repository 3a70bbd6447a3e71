//! Namespaces that are deleted: what clients see of them until they are gone (`pkg/registry/core/namespace/storage` and
//! `pkg/controller/namespace` in Kubernetes).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::needs;
use crate::harness::serve::{Server, kubectls};

const NAMESPACES: &str = "/api/v1/namespaces";
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
/// Longest that anything here takes; content stays for five seconds.
const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
fn create(server: &Server, path: &str, object: &Value) {
    let answer = server.ask("POST", path, JSON, object.to_string().as_bytes());
    assert_eq!(answer.code, 201, "{}", answer.json());
}

/// A namespace with a Service in it, which may have finalizers.
#[track_caller]
fn with_service(server: &Server, name: &str, finalizers: &Value) -> String {
    create(server, NAMESPACES, &json!({"metadata": {"name": name}}));
    let path = format!("{NAMESPACES}/{name}/services");
    create(
        server,
        &path,
        &json!({"metadata": {"name": "web", "finalizers": finalizers}, "spec": {"ports": [{"port": 80}]}}),
    );
    path + "/web"
}

#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn kubectl_deletes_a_namespace_along_with_what_is_in_it() {
    needs!();
    let server = Server::start(&[]);
    let manifest = server.dir.join("manifest.yaml");
    let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: mine}\n---\napiVersion: v1\nkind: Service\n\
                metadata: {name: web, namespace: mine}\nspec: {ports: [{port: 80}]}\n";
    std::fs::write(&manifest, text).unwrap();
    let manifest = manifest.to_str().unwrap();
    for kubectl in kubectls() {
        let (done, told) = server.kubectl(&kubectl, &["apply", "-f", manifest]);
        assert!(done, "{told}");
        let (done, told) = server.kubectl(&kubectl, &["delete", "-f", manifest]);
        assert!(done && told.contains("namespace \"mine\" deleted"), "{told}");
        assert!(told.contains("service \"web\" deleted"), "{told}");
        // It waited until both were gone.
        assert_eq!(server.get(&format!("{NAMESPACES}/mine")).code, 404);
        let (_, addresses) = server.kubectl(&kubectl, &["get", "ipaddresses", "-o", "name"]);
        assert_eq!(addresses.lines().count(), 1, "{addresses}");
    }
}

#[test]
fn a_namespace_is_terminating_until_it_is_empty() {
    needs!();
    let server = Server::start(&[]);
    let service = with_service(&server, "mine", &json!(["example.com/a"]));
    let path = format!("{NAMESPACES}/mine");
    let answer = server.ask("DELETE", &path, JSON, b"");
    let (code, object) = (answer.code, answer.json());
    assert_eq!(
        (code, &object["kind"], &object["status"]["phase"]),
        (200, &json!("Namespace"), &json!("Terminating"))
    );
    assert_eq!(object["spec"], json!({"finalizers": ["kubernetes"]}));
    assert!(object["metadata"]["deletionTimestamp"].is_string());
    let listed = server.get(&format!("{NAMESPACES}?fieldSelector=status.phase=Terminating")).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    // What is in it is still there, nothing is added, and it can be changed but does not come back.
    assert_eq!(server.get(&service).code, 200);
    let other = json!({"metadata": {"name": "other"}, "spec": {"ports": [{"port": 80}]}}).to_string();
    let refused = server.ask("POST", &format!("{path}/services"), JSON, other.as_bytes());
    assert_eq!((refused.code, refused.json()["reason"].as_str()), (403, Some("Forbidden")));
    let changed = server.ask(
        "PATCH",
        &path,
        MERGE,
        br#"{"metadata":{"labels":{"a":"b"}},"status":{"phase":"Active"}}"#,
    );
    assert_eq!((changed.code, &changed.json()["status"]["phase"]), (200, &json!("Terminating")));
    // Once more changes nothing.
    let again = server.ask("DELETE", &path, JSON, b"");
    assert_eq!((again.code, again.json()["metadata"].clone()), (200, changed.json()["metadata"].clone()));
    wait_until("the Service is not being deleted", || {
        server.get(&service).json()["metadata"]["deletionTimestamp"].is_string()
    });
    wait_until("nothing is told", || server.get(&path).json()["status"]["conditions"].is_array());
    let conditions = server.get(&path).json()["status"]["conditions"].clone();
    assert_eq!(
        (&conditions[0]["type"], &conditions[0]["message"]),
        (
            &json!("NamespaceContentRemaining"),
            &json!("Some resources are remaining: services. has 1 resource instances")
        )
    );
    let done = server.ask("PATCH", &service, MERGE, br#"{"metadata":{"finalizers":null}}"#);
    assert_eq!(done.code, 200);
    // With the change that emptied it.
    assert_eq!(server.get(&path).code, 404);
}

#[test]
fn a_namespace_that_is_terminating_goes_after_a_restart_too() {
    needs!();
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_in(dir.path(), &[]);
    let service = with_service(&server, "mine", &json!([]));
    let path = format!("{NAMESPACES}/mine");
    assert_eq!(
        server.ask("DELETE", &format!("{path}?dryRun=All"), JSON, b"").json()["status"]["phase"],
        "Terminating"
    );
    assert_eq!(server.get(&path).json()["status"]["phase"], "Active");
    assert_eq!(server.ask("DELETE", &path, JSON, b"").code, 200);
    server.kill();
    let server = Server::start_in(dir.path(), &[]);
    wait_until("it is still there", || server.get(&path).code == 404);
    assert_eq!(server.get(&service).code, 404);
    // One of the same name is another one.
    with_service(&server, "mine", &json!([]));
    assert_eq!(server.get(&path).json()["status"]["phase"], "Active");
}

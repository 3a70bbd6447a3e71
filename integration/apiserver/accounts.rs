//! What each namespace has, and what that gives its pods: the account `default`, and the certificates of the server.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::kubectl::run;
use super::nodes_stored::{next, watch};
use super::rbac::{MERGE, ask_as, done};
use crate::harness::needs;
use crate::harness::serve::{Server, Shown, kubectls};

const JSON: &str = "application/json";
const PLACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

fn serve() -> Server {
    Server::start(&["--nodes=stored"])
}

fn account(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/serviceaccounts/default")
}

fn certificates(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt")
}

fn make(server: &Server, namespace: &str) {
    done(server, "POST", "/api/v1/namespaces", &json!({"metadata": {"name": namespace}}));
}

#[test]
fn each_namespace_has_an_account_and_the_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_in(dir.path(), &["--nodes=stored"]);
    make(&server, "a");
    for namespace in ["default", "kube-system", "kube-public", "kube-node-lease", "a"] {
        let found = server.get(&account(namespace)).json();
        assert_eq!(
            (&found["kind"], &found["apiVersion"]),
            (&json!("ServiceAccount"), &json!("v1")),
            "{found}"
        );
        assert!(found["metadata"]["uid"].is_string());
        let found = server.get(&certificates(namespace)).json();
        let pem = found["data"]["ca.crt"].as_str().unwrap();
        let kubeconfig = fs::read(dir.path().join("kubeconfig")).unwrap();
        let kubeconfig: Value = serde_json::from_slice(&kubeconfig).unwrap();
        let trusted = kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"].as_str().unwrap();
        let trusted = STANDARD.decode(trusted).unwrap();
        assert_eq!(pem.as_bytes(), trusted);
        assert!(!found["metadata"]["annotations"]["kubernetes.io/description"].as_str().unwrap().is_empty());
    }
    // Another key of the server is told to all, also to namespaces that a server without accounts made.
    server.stop();
    let server = Server::start_in(dir.path(), &[]);
    make(&server, "b");
    server.stop();
    fs::remove_dir_all(dir.path().join("data/pki")).unwrap();
    let before = fs::read_to_string(dir.path().join("kubeconfig")).unwrap();
    let server = Server::start_in(dir.path(), &["--nodes=stored"]);
    assert_ne!(fs::read_to_string(dir.path().join("kubeconfig")).unwrap(), before);
    let told = |namespace: &str| server.get(&certificates(namespace)).json()["data"]["ca.crt"].clone();
    assert_eq!(told("a"), told("b"));
    assert_eq!(server.get(&account("b")).code, 200);
}

#[test]
fn what_each_namespace_has_is_made_again() {
    let server = serve();
    make(&server, "a");
    for path in [account("a"), certificates("a")] {
        let before = server.get(&path).json();
        done(&server, "DELETE", &path, &Value::Null);
        let after = server.get(&path).json();
        assert_ne!(before["metadata"]["uid"], after["metadata"]["uid"], "{after}");
        assert_eq!(before["data"], after["data"]);
        let (all, _) = path.rsplit_once('/').unwrap();
        done(&server, "DELETE", all, &Value::Null);
        assert_eq!(server.get(&path).code, 200);
    }
    let wrong = json!({"data": {"ca.crt": "none", "more": "x"}, "metadata": {"annotations": null, "labels": {"a": "b"}}});
    let before = server.get(&certificates("a")).json();
    let token = server.token();
    let (code, _) = ask_as(&server, Shown::Token(&token), "PATCH", &certificates("a"), MERGE, &wrong);
    assert_eq!(code, 200);
    let after = server.get(&certificates("a")).json();
    assert_eq!(
        (&after["data"], &after["metadata"]["annotations"]),
        (&before["data"], &before["metadata"]["annotations"])
    );
    assert_eq!(after["metadata"]["labels"], json!({"a": "b"}));
    // What clients add to their account stays.
    let added = json!({"imagePullSecrets": [{"name": "s"}]});
    ask_as(&server, Shown::Token(&token), "PATCH", &account("a"), MERGE, &added);
    assert_eq!(server.get(&account("a")).json()["imagePullSecrets"], added["imagePullSecrets"]);
}

#[test]
fn they_go_with_their_namespace() {
    let server = serve();
    make(&server, "a");
    let version =
        server.get(&account("a")).json()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let mut stream =
        watch(&server, &format!("/api/v1/namespaces/a/serviceaccounts?resourceVersion={version}"));
    done(&server, "DELETE", "/api/v1/namespaces/a", &Value::Null);
    // While the namespace ends, nothing is made again.
    done(&server, "DELETE", &account("a"), &Value::Null);
    assert_eq!(server.get(&account("a")).code, 404);
    assert_eq!(next(&mut stream).0, "DELETED");
    for _ in 0..300 {
        if server.get("/api/v1/namespaces/a").code == 404 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(server.get(&certificates("a")).code, 404);
}

fn pod(name: &str, spec: &Value) -> Value {
    let mut pod = json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "registry/web:1"}]}});
    pod["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    pod
}

#[test]
fn pods_get_an_account_and_its_token() {
    let server = serve();
    make(&server, "a");
    // The account is there when the namespace is.
    let made = done(&server, "POST", "/api/v1/namespaces/a/pods", &pod("p", &json!({})));
    let spec = &made["spec"];
    assert_eq!(
        (&spec["serviceAccountName"], &spec["serviceAccount"]),
        (&json!("default"), &json!("default"))
    );
    let volume = spec["volumes"][0]["name"].as_str().unwrap();
    assert!(volume.starts_with("kube-api-access-"), "{volume}");
    let namespace =
        json!({"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}});
    let expected = json!([{"name": volume, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]}}]);
    assert_eq!(spec["volumes"], expected);
    let mount = json!([{"name": volume, "readOnly": true, "mountPath": PLACE}]);
    assert_eq!(spec["containers"][0]["volumeMounts"], mount);
    // Its kubelet asks for the token so.
    let reference = json!({"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": made["metadata"]["uid"]});
    let request = json!({"spec": {"expirationSeconds": 3607, "boundObjectRef": reference}});
    let made = done(&server, "POST", &format!("{}/token", account("a")), &request);
    assert!(made["status"]["token"].is_string(), "{made}");
    // It is switched off by the pod or the account.
    let off = json!({"automountServiceAccountToken": false});
    let own = done(&server, "POST", "/api/v1/namespaces/a/pods", &pod("q", &off));
    assert_eq!(
        (&own["spec"]["volumes"], &own["spec"]["serviceAccountName"]),
        (&Value::Null, &json!("default"))
    );
    let mut quiet = json!({"metadata": {"name": "quiet"}, "imagePullSecrets": [{"name": "s"}]});
    quiet.as_object_mut().unwrap().extend(off.as_object().unwrap().clone());
    done(&server, "POST", "/api/v1/namespaces/a/serviceaccounts", &quiet);
    let own = pod("r", &json!({"serviceAccountName": "quiet"}));
    let own = done(&server, "POST", "/api/v1/namespaces/a/pods", &own);
    assert_eq!(
        (&own["spec"]["volumes"], &own["spec"]["imagePullSecrets"]),
        (&Value::Null, &json!([{"name": "s"}]))
    );
    let mut mirror = pod("s", &json!({}));
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    let own = done(&server, "POST", "/api/v1/namespaces/a/pods", &mirror);
    assert_eq!((&own["spec"]["serviceAccountName"], &own["spec"]["volumes"]), (&Value::Null, &Value::Null));
}

#[test]
fn pods_of_accounts_that_do_not_exist_are_refused() {
    let server = serve();
    let token = server.token();
    let body = pod("p", &json!({"serviceAccountName": "lost"}));
    let pods = "/api/v1/namespaces/default/pods";
    let (code, told) = ask_as(&server, Shown::Token(&token), "POST", pods, JSON, &body);
    let why = "pods \"p\" is forbidden: error looking up service account default/lost: serviceaccount \"lost\" not found";
    assert_eq!((code, &told["message"]), (403, &json!(why)));
    assert_eq!(told["details"], json!({"name": "p", "kind": "pods"}));
    // The older name of the field counts, too.
    let body = pod("p", &json!({"serviceAccount": "lost"}));
    assert_eq!(ask_as(&server, Shown::Token(&token), "POST", pods, JSON, &body).0, 403);
    done(
        &server,
        "POST",
        "/api/v1/namespaces/default/serviceaccounts",
        &json!({"metadata": {"name": "lost"}}),
    );
    done(&server, "POST", pods, &body);
}

#[test]
fn kubectls_apply_pods_with_their_namespace() {
    needs!();
    for kubectl in kubectls() {
        let server = serve();
        let file = server.dir.join("all.json");
        let mut own = pod("p", &json!({}));
        (own["apiVersion"], own["kind"], own["metadata"]["namespace"]) =
            ("v1".into(), "Pod".into(), "a".into());
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [namespace, own]});
        fs::write(&file, list.to_string()).unwrap();
        let apply = format!("apply -f {}", file.display());
        assert_eq!(run(&server, &kubectl, &apply), "namespace/a created\npod/p created\n");
        assert_eq!(run(&server, &kubectl, &apply), "namespace/a unchanged\npod/p unchanged\n");
        let described = run(&server, &kubectl, "describe pod p -n a");
        assert!(described.contains(PLACE), "{described}");
        let accounts = run(&server, &kubectl, "get serviceaccounts -A --no-headers -o name");
        assert_eq!(accounts.lines().count(), 5, "{accounts}");
    }
}

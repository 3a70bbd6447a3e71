//! Objects that the server makes itself: they cannot be deleted, or are made again, or are put right at a start.

use serde_json::{Value, json};

use super::rbac::done;
use crate::harness::needs;
use crate::harness::serve::Server;

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const NAMESPACES: &str = "/api/v1/namespaces";
const CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const STORED: [&str; 2] = ["--nodes=stored", "--authorization-mode=RBAC"];

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[test]
fn what_cannot_be_deleted() {
    needs!();
    let server = Server::start(&STORED);
    let class = "this is a system priority class and cannot be deleted";
    let namespace = "this namespace may not be deleted";
    for (path, group, name, why) in [
        (CLASSES, "priorityclasses.scheduling.k8s.io", "system-node-critical", class),
        (CLASSES, "priorityclasses.scheduling.k8s.io", "system-cluster-critical", class),
        (NAMESPACES, "namespaces", "default", namespace),
        (NAMESPACES, "namespaces", "kube-system", namespace),
        (NAMESPACES, "namespaces", "kube-public", namespace),
    ] {
        for query in ["", "?dryRun=All"] {
            let answer = server.ask("DELETE", &format!("{path}/{name}{query}"), JSON, b"");
            let told = format!("{group} \"{name}\" is forbidden: {why}");
            assert_eq!((answer.code, &answer.json()["message"]), (403, &json!(told)));
        }
        assert_eq!(server.get(&format!("{path}/{name}")).code, 200);
    }
    let own = json!({"metadata": {"name": "own"}, "value": 1});
    done(&server, "POST", CLASSES, &own);
    let deleted = server.ask("DELETE", CLASSES, JSON, b"").json();
    assert_eq!(names(&deleted), ["own"]);
    assert_eq!(names(&server.get(CLASSES).json()), ["system-cluster-critical", "system-node-critical"]);
}

/// The ServiceCIDR `kubernetes` is held by the address of the Service `kubernetes`, as in Kubernetes.
#[test]
fn what_is_made_again() {
    needs!();
    let server = Server::start(&STORED);
    for path in [
        "/api/v1/namespaces/kube-node-lease",
        "/api/v1/namespaces/default/services/kubernetes",
        "/api/v1/namespaces/default/configmaps/kube-root-ca.crt",
        "/api/v1/namespaces/kube-node-lease/serviceaccounts/default",
    ] {
        let before = server.get(path).json();
        let answer = server.ask("DELETE", path, JSON, b"");
        assert_eq!(answer.code, 200, "{path}: {}", answer.json());
        let uid = |object: &Value| object["metadata"]["uid"].clone();
        let mut now = Value::Null;
        for _ in 0..600 {
            now = server.get(path).json();
            if !uid(&now).is_null() && uid(&now) != uid(&before) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert!(!uid(&now).is_null() && uid(&now) != uid(&before), "{path}: {now}");
        assert_eq!((&now["spec"], &now["data"]), (&before["spec"], &before["data"]), "{path}");
    }
}

#[test]
fn roles_of_the_server_get_at_a_start_what_they_lack() {
    needs!();
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_in(dir.path(), &STORED);
    let [roles, bindings] = ["clusterroles", "clusterrolebindings"].map(|kind| format!("{RBAC}/{kind}"));
    let patch = |server: &Server, path: &str, change: Value| {
        let answer = server.ask("PATCH", path, MERGE, change.to_string().as_bytes());
        assert_eq!(answer.code, 200, "{}", answer.json());
        answer.json()
    };
    let whole = server.get(&format!("{roles}/system:basic-user")).json();
    let own = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]});
    let lacking = json!([whole["rules"][0], own]);
    patch(
        &server,
        &format!("{roles}/system:basic-user"),
        json!({"rules": lacking, "metadata": {"labels": null}}),
    );
    let off = json!({"annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"}});
    let left = json!({"metadata": off, "rules": [own]});
    patch(&server, &format!("{roles}/system:discovery"), left);
    let somebody = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "somebody"});
    patch(&server, &format!("{bindings}/system:basic-user"), json!({"subjects": [somebody]}));
    done(&server, "DELETE", &format!("{bindings}/system:discovery"), &Value::Null);
    let role =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:basic-user"});
    done(&server, "POST", &bindings, &json!({"metadata": {"name": "system:discovery"}, "roleRef": role}));
    server.kill();

    let server = Server::start_in(dir.path(), &STORED);
    let role = server.get(&format!("{roles}/system:basic-user")).json();
    let rules = role["rules"].as_array().unwrap();
    assert_eq!(rules[..2], [whole["rules"][0].clone(), own.clone()]);
    assert_eq!(
        rules[2..],
        [json!({"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"],
        "verbs": ["create"]})]
    );
    assert_eq!(role["metadata"]["labels"], whole["metadata"]["labels"]);
    assert_eq!(server.get(&format!("{roles}/system:discovery")).json()["rules"], json!([own]));
    let binding = server.get(&format!("{bindings}/system:basic-user")).json();
    let subject =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"});
    assert_eq!(binding["subjects"], json!([somebody, subject]));
    let binding = server.get(&format!("{bindings}/system:discovery")).json();
    assert_eq!(
        (&binding["roleRef"]["name"], &binding["subjects"]),
        (&json!("system:discovery"), &json!([subject]))
    );
    server.kill();

    // Another start changes nothing.
    let server = Server::start_in(dir.path(), &STORED);
    assert_eq!(server.get(&format!("{roles}/system:basic-user")).json(), role);
}

#[test]
fn a_deleted_namespace_takes_objects_along_that_are_not_served() {
    needs!();
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_in(dir.path(), &STORED);
    let mine = format!("{NAMESPACES}/mine");
    let make = |server: &Server, name: &str| {
        done(server, "POST", NAMESPACES, &json!({"metadata": {"name": name}}));
        let map = json!({"metadata": {"name": "map", "finalizers": ["example.com/stays"]}});
        done(server, "POST", &format!("{NAMESPACES}/{name}/configmaps"), &map);
        let container = json!({"name": "c", "image": "busybox"});
        let pod = json!({"metadata": {"name": "pod"}, "spec": {"containers": [container], "nodeName": "n1"}});
        done(server, "POST", &format!("{NAMESPACES}/{name}/pods"), &pod);
    };
    make(&server, "mine");
    make(&server, "other");
    server.kill();

    let server = Server::start_in(dir.path(), &["--proxy=none", "--cri-endpoint=none"]);
    done(&server, "DELETE", &mine, &Value::Null);
    for _ in 0..1200 {
        if server.get(&mine).code == 404 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(server.get(&mine).code, 404);
    server.kill();

    let server = Server::start_in(dir.path(), &STORED);
    for kind in ["configmaps/map", "pods/pod"] {
        assert_eq!(server.get(&format!("{mine}/{kind}")).code, 404, "{kind}");
        assert_eq!(server.get(&format!("{NAMESPACES}/other/{kind}")).code, 200, "{kind}");
    }
    done(&server, "POST", NAMESPACES, &json!({"metadata": {"name": "mine"}}));
    for kind in ["configmaps", "pods"] {
        let all = server.get(&format!("{mine}/{kind}")).json();
        assert_eq!(names(&all), if kind == "pods" { vec![] } else { vec!["kube-root-ca.crt"] });
    }
}

//! Nobody grants more than they have, with `--authorization-mode=RBAC`.

use serde_json::{Value, json};

use super::rbac::{MERGE, RBAC, ask_as, done, each, grant, role_ref, rule, serve, token_of};
use crate::harness::serve::{Server, Shown};

const JSON: &str = "application/json";

/// An account that may write roles and bindings, and has little else.
fn granter(server: &Server) -> String {
    let token = token_of(server, "kube-system", "granter");
    let all = ["clusterroles", "clusterrolebindings", "roles", "rolebindings"];
    let write = ["create", "update", "patch", "delete"];
    let rules = [rule(&write, "rbac.authorization.k8s.io", &all), rule(&["get", "list"], "", &["pods"])];
    grant(server, "granter", &rules);
    token
}

fn binding(name: &str, kind: &str, role: &str) -> Value {
    let subject = json!({"kind": "ServiceAccount", "namespace": "kube-system", "name": "granter"});
    json!({"metadata": {"name": name}, "roleRef": role_ref(kind, role), "subjects": [subject]})
}

#[test]
fn nobody_grants_more_than_they_have() {
    let server = serve();
    let token = granter(&server);
    let as_granter = |method: &str, path: &str, body: &Value| {
        let media_type = if method == "PATCH" { MERGE } else { JSON };
        ask_as(&server, Shown::Token(&token), method, &format!("{RBAC}/{path}"), media_type, body)
    };
    let missing = |(code, status): (u16, Value), rules: &str| {
        let user = "system:serviceaccount:kube-system:granter";
        let groups =
            "[\"system:serviceaccounts\" \"system:serviceaccounts:kube-system\" \"system:authenticated\"]";
        let why = format!(
            "is forbidden: user \"{user}\" (groups={groups}) is attempting to grant RBAC permissions not currently held:\n{rules}"
        );
        let message = status["message"].as_str().unwrap();
        assert!(code == 403 && message.ends_with(&why), "{code} {message}");
    };
    let all =
        "{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}\n{NonResourceURLs:[\"*\"], Verbs:[\"*\"]}";
    missing(as_granter("POST", "clusterrolebindings", &binding("mine", "ClusterRole", "cluster-admin")), all);
    missing(
        as_granter(
            "POST",
            "namespaces/default/rolebindings",
            &binding("mine", "ClusterRole", "cluster-admin"),
        ),
        all,
    );
    // Another subject in a binding that is there.
    let subject = json!({"subjects": [binding("", "", "")["subjects"][0]]});
    missing(as_granter("PATCH", "clusterrolebindings/cluster-admin", &subject), all);
    let role = |rules: &[Value]| json!({"metadata": {"name": "mine"}, "rules": rules});
    let nodes = rule(&["get", "list", "delete"], "", &["pods"]);
    missing(
        as_granter("POST", "clusterroles", &role(std::slice::from_ref(&nodes))),
        "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}",
    );
    let own = rule(&["list"], "", &["pods"]);
    assert_eq!(as_granter("POST", "clusterroles", &role(std::slice::from_ref(&own))).0, 201);
    assert_eq!(as_granter("POST", "clusterrolebindings", &binding("mine", "ClusterRole", "mine")).0, 201);
    // A role that is bound already grows.
    missing(
        as_granter("PATCH", "clusterroles/mine", &json!({"rules": [own, nodes]})),
        "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}",
    );
    missing(
        as_granter("PATCH", "clusterroles/of-granter", &json!({"rules": [rule(&["*"], "*", &["*"])]})),
        "{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}",
    );
    // PUT creates roles, too: with their own rules only, and for those who may create.
    let whole = |rules: &Value| json!({"metadata": {"name": "put"}, "rules": [rules]});
    missing(
        as_granter("PUT", "clusterroles/put", &whole(&nodes)),
        "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}",
    );
    assert_eq!(as_granter("PUT", "clusterroles/put", &whole(&own)).0, 201);
    assert_eq!(as_granter("PUT", "clusterroles/put", &whole(&own)).0, 200);
    // Its labels may change, and it may shrink.
    assert_eq!(
        as_granter("PATCH", "clusterroles/cluster-admin", &json!({"metadata": {"labels": {"a": "b"}}})).0,
        200
    );
    assert_eq!(as_granter("PATCH", "clusterroles/mine", &json!({"rules": []})).0, 200);
    let (code, status) = as_granter("POST", "clusterrolebindings", &binding("lost", "ClusterRole", "lost"));
    let lost = "clusterrole.rbac.authorization.k8s.io \"lost\" not found";
    assert_eq!((code, &status["message"]), (404, &json!(lost)));
    // A dry run is no way around.
    let (code, _) =
        as_granter("POST", "clusterrolebindings?dryRun=All", &binding("x", "ClusterRole", "cluster-admin"));
    assert_eq!(code, 403);
    each(&server, &token, &["403 GET /api/v1/nodes"]);
}

#[test]
fn bind_and_escalate_are_verbs() {
    let server = serve();
    let token = granter(&server);
    let mut bind = rule(&["bind"], "rbac.authorization.k8s.io", &["clusterroles"]);
    bind["resourceNames"] = json!(["cluster-admin"]);
    done(
        &server,
        "POST",
        &format!("{RBAC}/clusterroles"),
        &json!({"metadata": {"name": "powers"},
        "rules": [bind, rule(&["escalate"], "rbac.authorization.k8s.io", &["roles"])]}),
    );
    let (code, _) = ask_as(
        &server,
        Shown::Token(&token),
        "POST",
        &format!("{RBAC}/clusterrolebindings"),
        JSON,
        &binding("admin", "ClusterRole", "cluster-admin"),
    );
    assert_eq!(code, 403);
    done(
        &server,
        "POST",
        &format!("{RBAC}/clusterrolebindings"),
        &binding("powers", "ClusterRole", "powers"),
    );
    let role = json!({"metadata": {"name": "big"}, "rules": [rule(&["*"], "", &["secrets"])]});
    let post = |path: &str, body: &Value| {
        ask_as(&server, Shown::Token(&token), "POST", &format!("{RBAC}/{path}"), JSON, body).0
    };
    assert_eq!(post("namespaces/default/roles", &role), 201);
    assert_eq!(post("clusterroles", &role), 403);
    assert_eq!(post("clusterrolebindings", &binding("admin", "ClusterRole", "cluster-admin")), 201);
    each(&server, &token, &["200 GET /api/v1/nodes", "200 GET /metrics"]);
}

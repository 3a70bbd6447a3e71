//! `--authorization-mode=RBAC`: what is not granted is refused.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::kubectl::{refused, run};
use crate::harness::needs;
use crate::harness::serve::{Server, Shown, kubectls};

const JSON: &str = "application/json";
pub(super) const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
pub(super) const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const AGENT: &str = "system:serviceaccount:kube-system:agent";

pub(super) fn serve() -> Server {
    Server::start(&["--nodes=stored", "--authorization-mode=RBAC"])
}

/// What `shown` gets for a request: the code and the answer.
pub(super) fn ask_as(
    server: &Server,
    shown: Shown<'_>,
    method: &str,
    path: &str,
    media_type: &str,
    body: &Value,
) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let headers = format!("Content-Type: {media_type}\r\nContent-Length: {}\r\n", body.len());
    let answer = server.raw(shown, &format!("{method} {path}"), &headers, body.as_bytes()).unwrap();
    let object = serde_json::from_slice(&answer.body);
    (answer.code, object.unwrap_or_else(|_| String::from_utf8_lossy(&answer.body).into_owned().into()))
}

/// A request by the administrator that has to succeed.
#[track_caller]
pub(super) fn done(server: &Server, method: &str, path: &str, body: &Value) -> Value {
    let token = server.token();
    let (code, object) = ask_as(server, Shown::Token(&token), method, path, JSON, body);
    assert!([200, 201].contains(&code), "{method} {path}: {code} {object}");
    object
}

/// A token of a service account, which is made if it is not there.
pub(super) fn token_of(server: &Server, namespace: &str, name: &str) -> String {
    let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
    let token = server.token();
    ask_as(server, Shown::Token(&token), "POST", &accounts, JSON, &json!({"metadata": {"name": name}}));
    let made = done(server, "POST", &format!("{accounts}/{name}/token"), &json!({"spec": {"audiences": []}}));
    made["status"]["token"].as_str().unwrap().to_owned()
}

/// Rules of objects: verbs, group, resources.
pub(super) fn rule(verbs: &[&str], group: &str, resources: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": [group], "resources": resources})
}

pub(super) fn role_ref(kind: &str, name: &str) -> Value {
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name})
}

/// Gives a service account of kube-system a ClusterRole of its own.
pub(super) fn grant(server: &Server, account: &str, rules: &[Value]) {
    let metadata = json!({"name": format!("of-{account}")});
    done(server, "POST", &format!("{RBAC}/clusterroles"), &json!({"metadata": metadata, "rules": rules}));
    let subjects = json!([{"kind": "ServiceAccount", "namespace": "kube-system", "name": account}]);
    let role = role_ref("ClusterRole", &format!("of-{account}"));
    let binding = json!({"metadata": metadata, "roleRef": role, "subjects": subjects});
    done(server, "POST", &format!("{RBAC}/clusterrolebindings"), &binding);
}

/// Each line is `CODE METHOD PATH`, with a body for those that have one.
#[track_caller]
pub(super) fn each(server: &Server, token: &str, lines: &[&str]) {
    for line in lines {
        let mut parts = line.splitn(4, ' ');
        let mut next = || parts.next().unwrap_or_default();
        let (code, method, path, body) = (next(), next(), next(), next());
        let media_type = if method == "PATCH" { MERGE } else { JSON };
        let body = serde_json::from_str(body).unwrap_or_default();
        let (found, answer) = ask_as(server, Shown::Token(token), method, path, media_type, &body);
        assert_eq!(found.to_string(), code, "{line}: {answer}");
    }
}

#[test]
fn what_is_not_granted_is_refused() {
    let server = serve();
    done(&server, "POST", "/api/v1/nodes", &json!({"metadata": {"name": "n1"}}));
    let token = token_of(&server, "kube-system", "agent");
    let (code, status) = ask_as(&server, Shown::Token(&token), "GET", "/api/v1/nodes", JSON, &Value::Null);
    let why = format!(
        "nodes is forbidden: User \"{AGENT}\" cannot list resource \"nodes\" in API group \"\" at the cluster scope"
    );
    let expected = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": why,
        "reason": "Forbidden", "details": {"kind": "nodes"}, "code": 403});
    assert_eq!((code, status), (403, expected));
    // Discovery is everybody's, other pages are not.
    let pages = [
        "200 GET /api",
        "200 GET /apis/apps/v1",
        "200 GET /openapi/v3",
        "200 GET /version",
        "200 GET /readyz",
        "403 GET /metrics",
        "403 GET /",
        "403 GET /nothing",
        "403 GET /api/v1/gadgets",
    ];
    each(&server, &token, &pages);
    grant(
        &server,
        "agent",
        &[
            rule(&["get", "list", "watch"], "", &["nodes"]),
            rule(&["patch"], "", &["nodes/status"]),
            rule(&["list"], "discovery.k8s.io", &["endpointslices"]),
        ],
    );
    let lines = [
        "200 GET /api/v1/nodes",
        "200 GET /api/v1/nodes/n1",
        "200 GET /api/v1/nodes?watch=1&timeoutSeconds=1",
        "200 GET /api/v1/watch/nodes?timeoutSeconds=1",
        "200 PATCH /api/v1/nodes/n1/status {\"status\": {\"phase\": \"Running\"}}",
        "403 PUT /api/v1/nodes/n1/status {\"metadata\": {\"name\": \"n1\"}}",
        "403 GET /api/v1/nodes/n1/status",
        "403 PATCH /api/v1/nodes/n1 {\"metadata\": {\"labels\": {\"a\": \"b\"}}}",
        "403 POST /api/v1/nodes {\"metadata\": {\"name\": \"n2\"}}",
        "403 DELETE /api/v1/nodes/n1",
        "403 DELETE /api/v1/nodes",
        "403 GET /api/v1/pods",
        "403 GET /api/v1/namespaces/default/pods",
        "200 GET /apis/discovery.k8s.io/v1/endpointslices",
        "200 GET /apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
        // Verbs and groups are told apart.
        "403 GET /apis/discovery.k8s.io/v1/endpointslices?watch=true",
        "403 GET /api/v1/endpoints",
    ];
    each(&server, &token, &lines);
    // At once, not some time later.
    done(&server, "DELETE", &format!("{RBAC}/clusterrolebindings/of-agent"), &Value::Null);
    each(&server, &token, &["403 GET /api/v1/nodes"]);
    each(&server, "nothing", &["401 GET /api", "401 GET /readyz"]);
}

#[test]
fn bindings_in_a_namespace_and_names() {
    let server = serve();
    let token = token_of(&server, "kube-system", "agent");
    let maps = "/api/v1/namespaces/default/configmaps";
    for name in ["a", "b"] {
        done(&server, "POST", maps, &json!({"metadata": {"name": name}}));
    }
    let rules = json!([{"verbs": ["get", "list", "watch", "patch"], "apiGroups": [""], "resources": ["configmaps"],
        "resourceNames": ["a", "new"]}]);
    done(
        &server,
        "POST",
        &format!("{RBAC}/namespaces/default/roles"),
        &json!({"metadata": {"name": "r"}, "rules": rules}),
    );
    let subjects = json!([{"kind": "Group", "name": "system:serviceaccounts:kube-system"}]);
    let binding = json!({"metadata": {"name": "r"}, "roleRef": role_ref("Role", "r"), "subjects": subjects});
    let made = done(&server, "POST", &format!("{RBAC}/namespaces/default/rolebindings"), &binding);
    assert_eq!(made["subjects"][0]["apiGroup"], "rbac.authorization.k8s.io");
    let lines = [
        format!("200 GET {maps}/a"),
        format!("403 GET {maps}/b"),
        format!("403 GET {maps}"),
        format!("200 GET {maps}?fieldSelector=metadata.name%3Da"),
        format!("403 GET {maps}?fieldSelector=metadata.name%3Db"),
        format!("403 GET {maps}?fieldSelector=metadata.name!%3Da"),
        "403 GET /api/v1/namespaces/kube-system/configmaps/a".to_owned(),
        "403 GET /api/v1/configmaps?fieldSelector=metadata.name%3Da".to_owned(),
        format!("200 PATCH {maps}/a {{\"data\": {{\"k\": \"v\"}}}}"),
        // Tricks with the path lead to nothing: the router takes no encoded slash.
        format!("403 GET {maps}/%62"),
        "404 GET /api/v1/namespaces/default/configmaps%2fa".to_owned(),
        "403 GET /api/v1/namespaces/default/configmaps/a/../b".to_owned(),
    ];
    each(&server, &token, &lines.each_ref().map(String::as_str));
    // Whoever may patch may not create.
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}});
    let path = format!("{maps}/new?fieldManager=m");
    let (code, status) = ask_as(&server, Shown::Token(&token), "PATCH", &path, APPLY, &map);
    assert_eq!((code, &status["message"]), (403, &json!("configmaps \"new\" is forbidden: ")));
    done(&server, "POST", maps, &map);
    assert_eq!(ask_as(&server, Shown::Token(&token), "PATCH", &path, APPLY, &map).0, 200);
}

#[test]
fn certificates_and_the_servers_token_are_users_too() {
    let server = serve();
    let admin = server.token();
    let pki = server.dir.join("data/pki");
    let key = PrivateKeyDer::from_pem_file(pki.join("ca.key")).unwrap();
    // The server's CA by its name and key.
    let mut ca = CertificateParams::default();
    ca.distinguished_name = DistinguishedName::new();
    ca.distinguished_name.push(DnType::CommonName, "podhosts-ca");
    let issuer = Issuer::new(ca, KeyPair::try_from(&key).unwrap());
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "developers");
    subject.push(DnType::CommonName, "alice");
    params.distinguished_name = subject;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let pem = |name: &str, label: &str, der: &[u8]| {
        let text = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
        fs::write(pki.join(name), text).unwrap();
    };
    pem("alice.crt", "CERTIFICATE", params.signed_by(&key, &issuer).unwrap().der());
    pem("alice.key", "PRIVATE KEY", &key.serialize_der());
    let get = |shown| ask_as(&server, shown, "GET", "/api/v1/nodes", JSON, &Value::Null);
    let (code, status) = get(Shown::Certificate("alice"));
    let why = "nodes is forbidden: User \"alice\" cannot list resource \"nodes\" in API group \"\" at the cluster scope";
    assert_eq!((code, &status["message"]), (403, &json!(why)));
    done(
        &server,
        "POST",
        &format!("{RBAC}/clusterroles"),
        &json!({"metadata": {"name": "r"}, "rules": [rule(&["list"], "", &["nodes"])]}),
    );
    let subjects = json!([{"kind": "Group", "name": "developers"}]);
    done(
        &server,
        "POST",
        &format!("{RBAC}/clusterrolebindings"),
        &json!({"metadata": {"name": "r"}, "roleRef": role_ref("ClusterRole", "r"), "subjects": subjects}),
    );
    assert_eq!(get(Shown::Certificate("alice")).0, 200);
    assert_eq!(get(Shown::Certificate("admin")).0, 200);
    assert_eq!(get(Shown::Token(&admin)).0, 200);
    assert_eq!(get(Shown::Nothing).0, 401);
    // The administrator's group needs no binding.
    done(&server, "DELETE", &format!("{RBAC}/clusterrolebindings/cluster-admin"), &Value::Null);
    assert_eq!((get(Shown::Token(&admin)).0, get(Shown::Certificate("admin")).0), (200, 200));
}

#[test]
fn nobody_is_somebody_else() {
    let server = serve();
    let token = token_of(&server, "kube-system", "agent");
    for (headers, code, why) in [
        (
            "Impersonate-User: kubernetes-admin\r\nImpersonate-Group: system:masters\r\n",
            403,
            "users \"kubernetes-admin\" is forbidden: User \"system:serviceaccount:kube-system:agent\" cannot impersonate \
             resource \"users\" in API group \"\" at the cluster scope",
        ),
        (
            "Impersonate-User: system:serviceaccount:kube-system:other\r\n",
            403,
            "serviceaccounts \"other\" is forbidden: User \"system:serviceaccount:kube-system:agent\" cannot impersonate \
             resource \"serviceaccounts\" in API group \"\" in the namespace \"kube-system\"",
        ),
        (
            "Impersonate-Group: system:masters\r\n",
            400,
            "requested impersonate-group without impersonating a user",
        ),
        ("Impersonate-Uid: 1\r\n", 400, "requested impersonate-uid without impersonating a user"),
    ] {
        let answer = server.raw(Shown::Token(&token), "GET /api/v1/nodes", headers, &[]).unwrap();
        assert_eq!((answer.code, answer.json()["message"].as_str().unwrap()), (code, why), "{headers}");
    }
    let two = format!("Authorization: Bearer {}\r\n", server.token());
    assert_eq!(server.raw(Shown::Token(&token), "GET /api/v1/nodes", &two, &[]).unwrap().code, 401);
}

#[test]
fn reviews_answer_by_the_rules() {
    let server = serve();
    let admin = server.token();
    let token = token_of(&server, "kube-system", "agent");
    grant(&server, "agent", &[rule(&["list", "watch"], "", &["nodes"])]);
    let review = |shown, kind: &str, spec: Value| {
        let path = format!("/apis/authorization.k8s.io/v1/{kind}");
        ask_as(&server, shown, "POST", &path, JSON, &json!({"spec": spec}))
    };
    let of = |verb: &str, resource: &str| json!({"resourceAttributes": {"verb": verb, "resource": resource}});
    for (spec, allowed) in [
        (of("list", "nodes"), true),
        (of("delete", "nodes"), false),
        (json!({"nonResourceAttributes": {"verb": "get", "path": "/version"}}), true),
        (json!({"nonResourceAttributes": {"verb": "get", "path": "/metrics"}}), false),
    ] {
        let (code, answer) = review(Shown::Token(&token), "selfsubjectaccessreviews", spec.clone());
        assert_eq!((code, &answer["status"]["allowed"]), (201, &json!(allowed)), "{spec} {answer}");
        let mut other = spec.clone();
        other["user"] = AGENT.into();
        other["groups"] = json!(["system:authenticated"]);
        let (code, answer) = review(Shown::Token(&admin), "subjectaccessreviews", other.clone());
        assert_eq!((code, &answer["status"]["allowed"]), (201, &json!(allowed)), "{other} {answer}");
        assert_eq!(review(Shown::Token(&token), "subjectaccessreviews", other).0, 403);
    }
    let why = "RBAC: allowed by ClusterRoleBinding \"of-agent\" of ClusterRole \"of-agent\" to ServiceAccount \"agent/kube-system\"";
    let (_, answer) = review(Shown::Token(&token), "selfsubjectaccessreviews", of("list", "nodes"));
    assert_eq!(answer["status"]["reason"], why);
    let (code, answer) = review(Shown::Token(&admin), "subjectaccessreviews", of("list", "nodes"));
    assert_eq!(code, 422, "{answer}");
    let (_, answer) =
        review(Shown::Token(&token), "selfsubjectrulesreviews", json!({"namespace": "default"}));
    let rules = answer["status"]["resourceRules"].as_array().unwrap();
    assert!(rules.contains(&rule(&["list", "watch"], "", &["nodes"])), "{answer}");
}

#[test]
fn kubectl_is_refused_and_asks_what_it_may() {
    needs!();
    for kubectl in kubectls() {
        let server = serve();
        let run = |line: &str| run(&server, &kubectl, line);
        run("create serviceaccount agent -n kube-system");
        let token = token_of(&server, "kube-system", "agent");
        let with = |line: &str| format!("--token={token} {line}");
        assert_eq!(
            refused(&server, &kubectl, &with("get nodes")),
            format!(
                "Error from server (Forbidden): nodes is forbidden: User \"{AGENT}\" cannot list resource \"nodes\" in \
                     API group \"\" at the cluster scope\n"
            )
        );
        let says = |text: &str, word: &str| text.lines().any(|line| line == word);
        assert!(says(&refused(&server, &kubectl, &with("auth can-i list nodes")), "no"));
        run("create clusterrole agent --verb=get,list,watch --resource=nodes");
        run("create clusterrolebinding agent --clusterrole=agent --serviceaccount=kube-system:agent");
        assert_eq!(run(&with("get nodes")), "No resources found\n");
        assert!(says(&run(&with("auth can-i list nodes")), "yes"));
        assert!(says(&refused(&server, &kubectl, &with("auth can-i delete pods")), "no"));
        let list = run(&with("auth can-i --list"));
        assert!(
            list.lines().any(|line| line.starts_with("nodes ") && line.contains("[get list watch]")),
            "{list}"
        );
        let table = run("get clusterrolebindings agent -o wide");
        let cells: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!((cells[1], cells[3]), ("ClusterRole/agent", "kube-system/agent"), "{table}");
        let bound = refused(
            &server,
            &kubectl,
            &with("create clusterrolebinding mine --clusterrole=cluster-admin --user=me"),
        );
        assert!(bound.contains("cannot create resource \"clusterrolebindings\""), "{bound}");
    }
}

//! What the API server answers to requests that are no plain change of an object: reviews, other people's names, OpenAPI,
//! and server-side apply of what there is not.

use std::fs;

use serde_json::{Value, json};

use crate::harness::needs;
use crate::harness::serve::{Answer, Server, Shown, kubectls};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const JSON: &str = "application/json";

/// A GET with more headers.
fn get(server: &Server, path: &str, headers: &str) -> Answer {
    server.raw(Shown::Token(&server.token()), &format!("GET {path}"), headers, b"").unwrap()
}

/// `pkg/handler/handler.go` of kube-openapi.
#[test]
fn openapi_2_is_json_unless_protobuf_is_asked_for() {
    needs!();
    let server = Server::start(&[]);
    let protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    for accept in [
        "",
        "Accept: */*\r\n",
        "Accept: application/json\r\n",
        "Accept: text/html, application/json;q=0.5\r\n",
    ] {
        let answer = get(&server, "/openapi/v2", accept);
        assert_eq!(answer.code, 200, "{accept}");
        assert!(answer.headers.contains("content-type: application/json"), "{accept}: {}", answer.headers);
        assert!(answer.headers.contains("vary: Accept"), "{}", answer.headers);
        let document = answer.json();
        assert_eq!(document["swagger"], "2.0");
        let service = &document["definitions"]["io.k8s.api.core.v1.Service"];
        assert_eq!(service["x-kubernetes-group-version-kind"][0]["kind"], "Service");
    }
    let answer = get(&server, "/openapi/v2", &format!("Accept: {protobuf}, application/json\r\n"));
    assert!(
        answer.headers.contains("content-type: application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
    );
    assert_eq!(answer.body[..5], *b"\x0a\x032.0");
    assert_eq!(get(&server, "/openapi/v2", "Accept: text/html\r\n").code, 406);
}

/// `Apply` of `k8s.io/apimachinery/pkg/util/managedfields/internal/structuredmerge.go`, whose texts are of
/// `sigs.k8s.io/structured-merge-diff/typed/validate.go`.
#[test]
fn what_there_is_not_is_not_applied() {
    needs!();
    let server = Server::start(&[]);
    let apply = |path: &str, spec: &Value, metadata: Value| {
        let body = json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec});
        let query = format!("{path}?fieldManager=a&force=true&fieldValidation=Ignore");
        let answer = server.ask("PATCH", &query, "application/apply-patch+yaml", body.to_string().as_bytes());
        (answer.code, answer.json()["message"].as_str().unwrap_or_default().to_owned())
    };
    let path = format!("{SERVICES}/web");
    let metadata = || json!({"name": "web", "namespace": "default"});
    let start = "failed to create typed patch object (default/web; /v1, Kind=Service): ";
    for (spec, expected) in [
        (json!({"foo": 1}), ".spec.foo: field not declared in schema"),
        (
            json!({"ports": [{"port": 80, "x": 1}]}),
            ".spec.ports[port=80,protocol=\"TCP\"].x: field not declared in schema",
        ),
        (
            json!({"ports": [{"port": 80}, {"port": 80, "protocol": "TCP", "name": "b"}]}),
            ".spec.ports: duplicate entries for key [port=80,protocol=\"TCP\"]",
        ),
    ] {
        assert_eq!(apply(&path, &spec, metadata()), (500, format!("{start}{expected}")));
    }
    let ports = json!({"ports": [{"port": 80}]});
    for managed in [json!([]), json!([{"manager": "a"}])] {
        let metadata = json!({"name": "web", "managedFields": managed});
        assert_eq!(apply(&path, &ports, metadata), (400, "metadata.managedFields must be nil".to_owned()));
    }
    assert_eq!(server.get(&path).code, 404);
    assert_eq!(apply(&path, &ports, json!({"name": "web", "managedFields": null})).0, 201);
    // The same of a status.
    assert_eq!(apply(&format!("{path}/status"), &json!({"foo": 1}), metadata()).0, 500);
    let status = server.ask(
        "PATCH",
        &format!("{path}?fieldManager=a"),
        "application/apply-patch+yaml",
        b"{apiVersion: v1, kind: Service, x: 1}",
    );
    assert_eq!((status.code, status.json().get("reason")), (500, None));
}

#[test]
fn kubectl_says_what_cannot_be_applied() {
    for kubectl in kubectls() {
        let server = Server::start(&[]);
        let file = server.dir.join("a.yaml");
        fs::write(
            &file,
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {foo: 1, ports: [{port: 80}]}\n",
        )
        .unwrap();
        let args = ["apply", "--server-side", "--validate=false", "-f", file.to_str().unwrap()];
        let (succeeded, shown) = server.kubectl(&kubectl, &args);
        assert!(!succeeded && shown.contains(".spec.foo: field not declared in schema"), "{shown}");
    }
}

/// `k8s.io/apiserver/pkg/endpoints/filters/impersonation/impersonation.go`, for a user who may not impersonate.
#[test]
fn nobody_is_somebody_else() {
    needs!();
    let server = Server::start(&[]);
    let user = "is forbidden: User \"kubernetes-admin\" cannot impersonate resource";
    for (headers, expected) in [
        (
            "Impersonate-User: bob\r\n",
            format!("users \"bob\" {user} \"users\" in API group \"\" at the cluster scope"),
        ),
        (
            "Impersonate-User: bob\r\nImpersonate-Group: system:masters\r\n",
            format!("users \"bob\" {user} \"users\" in API group \"\" at the cluster scope"),
        ),
        (
            "Impersonate-User: system:serviceaccount:ns:sa\r\n",
            format!(
                "serviceaccounts \"sa\" {user} \"serviceaccounts\" in API group \"\" in the namespace \"ns\""
            ),
        ),
    ] {
        for path in [SERVICES, "/api", "/healthz"] {
            let answer = get(&server, path, headers);
            assert_eq!((answer.code, answer.json()["message"].as_str()), (403, Some(&*expected)), "{path}");
        }
    }
    for headers in [
        "Impersonate-Group: a\r\n",
        "Impersonate-Uid: a\r\n",
        "Impersonate-Extra-Scopes: a\r\n",
        "Impersonate-User:\r\n",
    ] {
        assert_eq!(get(&server, SERVICES, headers).code, 400, "{headers}");
    }
    // Nothing of it is done.
    let body = json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}).to_string();
    let headers =
        format!("Impersonate-User: bob\r\nContent-Type: {JSON}\r\nContent-Length: {}\r\n", body.len());
    let token = server.token();
    let answer = server.raw(Shown::Token(&token), &format!("POST {SERVICES}"), &headers, body.as_bytes());
    assert_eq!((answer.unwrap().code, server.get(&format!("{SERVICES}/a")).code), (403, 404));
    // Whoever has no token is not told so.
    assert_eq!(server.raw(Shown::Nothing, "GET /api", "Impersonate-User: bob\r\n", b"").unwrap().code, 401);
    for kubectl in kubectls() {
        let (succeeded, shown) = server.kubectl(&kubectl, &["get", "--raw", SERVICES, "--as=bob"]);
        assert!(!succeeded && shown.contains("cannot impersonate resource \"users\""), "{shown}");
    }
}

/// `pkg/registry/authorization/selfsubjectaccessreview`, `.../selfsubjectrulesreview` and
/// `pkg/registry/authentication/selfsubjectreview`.
#[test]
fn reviews_are_answered() {
    needs!();
    let server = Server::start(&[]);
    let review = |group: &str, plural: &str, body: &Value| {
        let answer =
            server.ask("POST", &format!("/apis/{group}/v1/{plural}"), JSON, body.to_string().as_bytes());
        (answer.code, answer.json())
    };
    let access =
        |spec: Value| review("authorization.k8s.io", "selfsubjectaccessreviews", &json!({"spec": spec}));
    let of_resource = |verb: &str| json!({"resourceAttributes": {"verb": verb, "resource": "services", "namespace": "default"}});
    let (code, answer) = access(of_resource("create"));
    assert_eq!((code, &answer["status"]["allowed"]), (201, &json!(true)));
    assert_eq!(
        (&answer["kind"], &answer["spec"]),
        (&json!("SelfSubjectAccessReview"), &of_resource("create"))
    );
    assert_eq!(
        access(json!({"nonResourceAttributes": {"verb": "get", "path": "/metrics"}})).1["status"]["allowed"],
        true
    );
    assert_eq!(access(of_resource("impersonate")).1["status"]["allowed"], false);
    let (code, answer) = access(json!({}));
    let expected = ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes: Invalid value: \
                    null: exactly one of nonResourceAttributes or resourceAttributes must be specified";
    assert_eq!((code, answer["message"].as_str()), (422, Some(expected)));
    let both = json!({"resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"path": "/"}});
    assert_eq!(access(both).0, 422);
    let rules = |namespace: &str| {
        review("authorization.k8s.io", "selfsubjectrulesreviews", &json!({"spec": {"namespace": namespace}}))
    };
    assert_eq!(rules("default").1["status"]["resourceRules"][0]["verbs"], json!(["*"]));
    assert_eq!(rules("").0, 400);
    let (code, answer) = review("authentication.k8s.io", "selfsubjectreviews", &json!({}));
    assert_eq!((code, &answer["status"]["userInfo"]["username"]), (201, &json!("kubernetes-admin")));
    // Nothing of them is kept, and nothing else can be done.
    for (path, code) in [
        ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", 405),
        ("/apis/authentication.k8s.io/v1/selfsubjectreviews", 405),
        ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews/a", 405),
        ("/apis/authorization.k8s.io/v1/subjectaccessreviews", 404),
    ] {
        assert_eq!(server.get(path).code, code, "{path}");
    }
}

#[test]
fn kubectl_asks_what_it_may() {
    let kubectls = kubectls();
    for (index, kubectl) in kubectls.iter().enumerate() {
        let server = Server::start(&[]);
        for what in [&["create", "services"][..], &["get", "/metrics"], &["*", "*"]] {
            let (succeeded, shown) = server.kubectl(kubectl, &[&["auth", "can-i"], what].concat());
            assert!(succeeded && shown.ends_with("yes\n"), "{what:?}: {shown}");
        }
        let (succeeded, shown) = server.kubectl(kubectl, &["auth", "can-i", "--list"]);
        assert!(succeeded && shown.contains("*.*"), "{shown}");
        if index == 0 {
            let (succeeded, shown) = server.kubectl(kubectl, &["auth", "whoami"]);
            assert!(
                succeeded && shown.contains("kubernetes-admin") && shown.contains("system:masters"),
                "{shown}"
            );
        }
    }
}

/// `pkg/util/prune/prune.go` of kubectl: it needs to know a number of kinds that are not served here.
#[test]
fn kubectl_prunes() {
    let kubectls = kubectls();
    for (index, kubectl) in kubectls.iter().enumerate() {
        let server = Server::start(&[]);
        let file = server.dir.join("a.yaml");
        let run = |args: &[&str]| {
            let (succeeded, shown) = server.kubectl(kubectl, args);
            assert!(succeeded, "{args:?}: {shown}");
            shown
        };
        let service = |name: &str| {
            format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, labels: {{app: x}}}}\nspec: {{ports: [{{port: 80}}]}}\n---\n"
            )
        };
        let (path, only) = (file.to_str().unwrap().to_owned(), ["--prune", "-l", "app=x"]);
        fs::write(&file, service("a") + &service("b")).unwrap();
        run(&["apply", "-f", &path]);
        fs::write(&file, service("a")).unwrap();
        // An old one asks for versions that Kubernetes no longer has either, and has to be told what to look for.
        let list: &[&str] = if index == 0 { &[] } else { &["--prune-whitelist=core/v1/Service"] };
        let shown = run(&[&["apply", "-f", &path], &only[..], list].concat());
        assert!(shown.contains("service/a unchanged") && shown.contains("service/b pruned"), "{shown}");
        assert_eq!(run(&["get", "svc", "-o", "name"]), "service/a\nservice/kubernetes\n");
        let kinds = run(&["api-resources", "-o", "name"]);
        assert!(!kinds.contains("deployments") && !kinds.contains("secrets"), "{kinds}");
        assert!(run(&["get", "deployments"]).contains("No resources found"));
        let (succeeded, shown) = server.kubectl(kubectl, &["create", "configmap", "a"]);
        assert!(
            !succeeded && shown.contains("the server does not allow this method on the requested resource"),
            "{shown}"
        );
    }
    let server = Server::start(&[]);
    for (path, code) in [
        ("/apis/apps/v1/namespaces/default/deployments", 200),
        ("/apis/apps/v1/deployments?watch=true", 405),
        ("/apis/apps/v1/namespaces/default/deployments/a", 404),
        ("/apis/apps/v1/namespaces/default/deployments/a/status", 404),
        ("/api/v1/persistentvolumes", 200),
        ("/api/v1/namespaces/default/persistentvolumes", 404),
        ("/apis/apps/v1/podtemplates", 404),
    ] {
        assert_eq!(server.get(path).code, code, "{path}");
    }
    assert_eq!(server.get("/apis/apps/v1/deployments").json()["kind"], "DeploymentList");
}

/// Answers of kube-apiserver 1.36.2 to the same questions (`pkg/registry/authorization/localsubjectaccessreview/rest.go`).
#[test]
fn questions_about_one_namespace() {
    needs!();
    let server = Server::start(&["--nodes=stored", "--authorization-mode=RBAC"]);
    let ask = |namespace: &str, body: &Value| {
        let path = format!("/apis/authorization.k8s.io/v1{namespace}/localsubjectaccessreviews");
        let answer = server.ask("POST", &path, JSON, body.to_string().as_bytes());
        (answer.code, answer.json())
    };
    let here = |body: &Value| ask("/namespaces/default", body);
    let question = |namespace: &str| json!({"namespace": namespace, "verb": "get", "resource": "pods"});
    for (groups, is_allowed) in [(json!([]), false), (json!(["system:masters"]), true)] {
        let spec = json!({"user": "low", "groups": groups, "resourceAttributes": question("default")});
        // Clients in Go send the time of an object that was never made.
        let (code, answer) = here(&json!({"metadata": {"creationTimestamp": null}, "spec": spec}));
        let found = (code, &answer["status"]["allowed"], &answer["metadata"]["namespace"]);
        assert_eq!(found, (201, &json!(is_allowed), &json!("default")));
    }
    let of = |spec: Value| json!({"spec": spec});
    for (body, code, message) in [
        (
            of(json!({"user": "low", "resourceAttributes": {"verb": "get", "resource": "pods"}})),
            422,
            ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes.namespace: Invalid value: \"\": must match \
             metadata.namespace",
        ),
        (
            of(json!({"nonResourceAttributes": {"path": "/x", "verb": "get"}})),
            422,
            ".authorization.k8s.io \"\" is invalid: [spec.user: Invalid value: \"\": at least one of user or group must be \
             specified, spec.nonResourceAttributes: Invalid value: {\"Path\":\"/x\",\"Verb\":\"get\"}: disallowed on this \
             kind of request]",
        ),
        (
            json!({"metadata": {"name": "x"}, "spec": {"user": "low", "resourceAttributes": question("other")}}),
            422,
            ".authorization.k8s.io \"\" is invalid: [metadata: Invalid value: {\"name\":\"x\",\"namespace\":\"default\"}: \
             must be empty except for namespace, spec.resourceAttributes.namespace: Invalid value: \"other\": must match \
             metadata.namespace]",
        ),
        (
            json!({"metadata": {"namespace": "other"}, "spec": {"user": "low", "resourceAttributes": question("other")}}),
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
    ] {
        let (found, answer) = here(&body);
        assert_eq!((found, answer["message"].as_str()), (code, Some(message)), "{body}");
        assert_eq!(answer["details"].get("kind"), None);
    }
    let (code, _) = ask("", &of(json!({"user": "low", "resourceAttributes": question("default")})));
    assert_eq!(code, 404);
}

//! Tokens that are bound to a Pod or a Node, and end with it.

use serde_json::{Value, json};

use super::kubectl::{refused, run};
use super::rbac::{ask_as, done, grant, rule, serve};
use super::tokens::{ISSUER, claims, code};
use crate::harness::needs;
use crate::harness::serve::{Server, Shown, kubectls};

const JSON: &str = "application/json";
const IN: &str = "/api/v1/namespaces/kube-system";

/// A server with the account `agent`, the Node `n1`, and a Pod of the account on it.
fn with_pod() -> Server {
    let server = serve();
    done(&server, "POST", &format!("{IN}/serviceaccounts"), &json!({"metadata": {"name": "agent"}}));
    done(&server, "POST", "/api/v1/nodes", &json!({"metadata": {"name": "n1"}}));
    done(&server, "POST", &format!("{IN}/pods"), &pod("p", "agent", "n1"));
    server
}

fn pod(name: &str, account: &str, node: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"serviceAccountName": account, "nodeName": node,
        "containers": [{"name": "main", "image": "registry/web:1"}]}})
}

fn ask(server: &Server, spec: &Value) -> (u16, Value) {
    let path = format!("{IN}/serviceaccounts/agent/token");
    ask_as(server, Shown::Token(&server.token()), "POST", &path, JSON, &json!({"spec": spec}))
}

#[track_caller]
fn bound(server: &Server, reference: Value) -> String {
    let (code, made) = ask(server, &json!({"boundObjectRef": reference}));
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["spec"]["boundObjectRef"], reference);
    made["status"]["token"].as_str().unwrap().to_owned()
}

fn uid(server: &Server, path: &str) -> Value {
    server.get(path).json()["metadata"]["uid"].clone()
}

/// What a TokenReview and a SelfSubjectReview tell of the user, who has to be the same in both.
#[track_caller]
fn extra(server: &Server, token: &str) -> Value {
    let review = json!({"spec": {"token": token}});
    let review = done(server, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", &review);
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let (code, own) = ask_as(server, Shown::Token(token), "POST", path, JSON, &json!({}));
    assert_eq!(code, 201, "{own}");
    assert_eq!(own["status"]["userInfo"], review["status"]["user"]);
    let mut extra = review["status"]["user"]["extra"].clone();
    let id = claims(token)["jti"].as_str().unwrap().to_owned();
    let told = extra.as_object_mut().unwrap().remove("authentication.kubernetes.io/credential-id");
    assert_eq!(told, Some(json!([format!("JTI={id}")])));
    extra
}

#[test]
fn a_token_of_a_pod_tells_its_pod_and_ends_with_it() {
    let server = with_pod();
    let path = format!("{IN}/pods/p");
    let (pod_uid, node_uid) = (uid(&server, &path), uid(&server, "/api/v1/nodes/n1"));
    let reference = json!({"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": pod_uid});
    let token = bound(&server, reference.clone());
    let account = json!({"name": "agent", "uid": uid(&server, &format!("{IN}/serviceaccounts/agent"))});
    let expected = json!({"namespace": "kube-system", "serviceaccount": account,
        "pod": {"name": "p", "uid": pod_uid}, "node": {"name": "n1", "uid": node_uid}});
    assert_eq!(claims(&token)["kubernetes.io"], expected);
    let expected = json!({"authentication.kubernetes.io/pod-name": ["p"], "authentication.kubernetes.io/pod-uid": [pod_uid],
        "authentication.kubernetes.io/node-name": ["n1"], "authentication.kubernetes.io/node-uid": [node_uid]});
    assert_eq!(extra(&server, &token), expected);
    // It has the rights of its account.
    let list =
        |token: &str| ask_as(&server, Shown::Token(token), "GET", "/api/v1/nodes", JSON, &Value::Null).0;
    assert_eq!(list(&token), 403);
    grant(&server, "agent", &[rule(&["list"], "", &["nodes"])]);
    assert_eq!(list(&token), 200);
    // It goes on without the pod's node, and while the pod ends.
    done(&server, "DELETE", "/api/v1/nodes/n1", &Value::Null);
    assert_eq!(code(&server, &token), 200);
    done(&server, "DELETE", &path, &json!({"gracePeriodSeconds": 30}));
    assert_eq!(code(&server, &token), 200);
    done(&server, "DELETE", &path, &json!({"gracePeriodSeconds": 0}));
    assert_eq!(code(&server, &token), 401);
    let review = json!({"spec": {"token": token}});
    let review = done(&server, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", &review);
    assert_eq!(review["status"], json!({"error": "invalid bearer token"}));
    // Another pod of its name is another pod. Of a node without an object only the name is known.
    done(&server, "POST", &format!("{IN}/pods"), &pod("p", "agent", "n1"));
    assert_eq!(code(&server, &token), 401);
    let (code, told) = ask(&server, &json!({"boundObjectRef": reference}));
    let why = format!(
        "Operation cannot be fulfilled on Pod \"p\": the UID in the bound object reference ({}) does not match the UID in \
         record. The object might have been deleted and then recreated",
        pod_uid.as_str().unwrap()
    );
    assert_eq!((code, &told["message"]), (409, &json!(why)));
    assert_eq!(told["details"], json!({"name": "p", "kind": "Pod"}));
    let next = bound(&server, json!({"kind": "Pod", "apiVersion": "v1", "name": "p"}));
    assert_eq!(claims(&next)["kubernetes.io"]["node"], json!({"name": "n1"}));
    assert_eq!(self::code(&server, &next), 200);
}

#[test]
fn a_token_of_a_node_ends_with_it() {
    let server = with_pod();
    let node_uid = uid(&server, "/api/v1/nodes/n1");
    let token = bound(&server, json!({"kind": "Node", "apiVersion": "v1", "name": "n1", "uid": node_uid}));
    let own = &claims(&token)["kubernetes.io"];
    assert_eq!((&own["node"], &own["pod"]), (&json!({"name": "n1", "uid": node_uid}), &Value::Null));
    let expected = json!({"authentication.kubernetes.io/node-name": ["n1"], "authentication.kubernetes.io/node-uid": [node_uid]});
    assert_eq!(extra(&server, &token), expected);
    done(&server, "DELETE", "/api/v1/nodes/n1", &Value::Null);
    assert_eq!(code(&server, &token), 401);
    done(&server, "POST", "/api/v1/nodes", &json!({"metadata": {"name": "n1"}}));
    assert_eq!(code(&server, &token), 401);
}

#[test]
fn tokens_that_pods_get_without_asking_hold_for_a_year() {
    let server = with_pod();
    let pod = json!({"kind": "Pod", "apiVersion": "v1", "name": "p"});
    let made = |spec: Value| {
        let (code, made) = ask(&server, &spec);
        assert_eq!(code, 201, "{made}");
        let claims = claims(made["status"]["token"].as_str().unwrap());
        let since = |time: &Value| Some(time.as_u64()? - claims["iat"].as_u64().unwrap());
        assert_eq!(made["spec"]["expirationSeconds"], spec["expirationSeconds"]);
        (since(&claims["exp"]).unwrap(), since(&claims["kubernetes.io"]["warnafter"]))
    };
    let year = 365 * 24 * 3600;
    assert_eq!(made(json!({"expirationSeconds": 3607, "boundObjectRef": pod})), (year, Some(3607)));
    let for_it = json!({"expirationSeconds": 3607, "boundObjectRef": pod, "audiences": [ISSUER]});
    assert_eq!(made(for_it), (year, Some(3607)));
    for spec in [
        json!({"expirationSeconds": 3607}),
        json!({"expirationSeconds": 3606, "boundObjectRef": pod}),
        json!({"expirationSeconds": 3607, "boundObjectRef": pod, "audiences": [ISSUER, "other"]}),
        json!({"expirationSeconds": 3607, "boundObjectRef": {"kind": "Node", "name": "n1"}}),
    ] {
        let (seconds, warned) = made(spec.clone());
        assert_eq!((Some(seconds), warned), (spec["expirationSeconds"].as_u64(), None), "{spec}");
    }
}

#[test]
fn tokens_are_bound_to_nothing_else() {
    let server = with_pod();
    done(&server, "POST", &format!("{IN}/serviceaccounts"), &json!({"metadata": {"name": "other"}}));
    done(&server, "POST", &format!("{IN}/pods"), &pod("others", "other", ""));
    let zero = "00000000-0000-0000-0000-000000000000";
    for (reference, expected, why) in [
        (json!({"kind": "Pod", "name": "lost"}), 404, "pods \"lost\" not found".to_owned()),
        (json!({"kind": "Node", "name": "lost"}), 404, "nodes \"lost\" not found".to_owned()),
        (json!({"kind": "Secret", "name": "lost"}), 404, "secrets \"lost\" not found".to_owned()),
        (
            json!({"kind": "Pod", "name": "others"}),
            400,
            "cannot bind token for serviceaccount \"agent\" to pod running with different serviceaccount name.".to_owned(),
        ),
        (
            json!({"kind": "Node", "apiVersion": "v1", "name": "n1", "uid": zero}),
            409,
            format!(
                "Operation cannot be fulfilled on Node \"n1\": the UID in the bound object reference ({zero}) does not match \
                 the UID in record. The object might have been deleted and then recreated"
            ),
        ),
        (
            json!({"kind": "ConfigMap", "apiVersion": "v1", "name": "c"}),
            400,
            "cannot bind token to object of type /v1, Kind=ConfigMap".to_owned(),
        ),
        (
            json!({"kind": "Pod", "apiVersion": "apps/v1", "name": "p"}),
            400,
            "cannot bind token to object of type apps/v1, Kind=Pod".to_owned(),
        ),
        (json!({}), 400, "cannot bind token to object of type /, Kind=".to_owned()),
    ] {
        let (code, status) = ask(&server, &json!({"boundObjectRef": reference}));
        assert_eq!((code, &status["message"]), (expected, &json!(why)), "{reference}");
    }
}

#[test]
fn a_request_names_its_account_or_none() {
    let server = with_pod();
    let ask = |metadata: Value| {
        let path = format!("{IN}/serviceaccounts/agent/token");
        let body = json!({"metadata": metadata, "spec": {}});
        ask_as(&server, Shown::Token(&server.token()), "POST", &path, JSON, &body)
    };
    let own = uid(&server, &format!("{IN}/serviceaccounts/agent"));
    let whole = json!({"name": "agent", "namespace": "kube-system", "uid": own});
    for metadata in [json!({}), whole.clone()] {
        let (code, made) = ask(metadata);
        assert_eq!(code, 201, "{made}");
        for key in ["name", "namespace", "uid"] {
            assert_eq!(made["metadata"][key], whole[key]);
        }
    }
    for (metadata, expected, why) in [
        (
            json!({"name": "x"}),
            422,
            "TokenRequest.authentication.k8s.io \"agent\" is invalid: metadata.name: Invalid value: \"x\": must match the \
             service account name if specified".to_owned(),
        ),
        (
            json!({"namespace": "default"}),
            400,
            "the namespace of the provided object does not match the namespace sent on the request".to_owned(),
        ),
        (
            json!({"uid": "0"}),
            409,
            format!(
                "Operation cannot be fulfilled on TokenRequest.authentication.k8s.io \"agent\": the UID in the token request \
                 (0) does not match the UID of the service account ({})",
                own.as_str().unwrap()
            ),
        ),
    ] {
        let (code, status) = ask(metadata);
        assert_eq!((code, &status["message"]), (expected, &json!(why)));
    }
}

#[test]
fn kubectl_binds_tokens() {
    needs!();
    // Older ones know no tokens.
    for kubectl in kubectls().into_iter().take(1) {
        let server = with_pod();
        let create = "create token agent -n kube-system --bound-object-kind";
        let token = run(&server, &kubectl, &format!("{create}=Pod --bound-object-name=p"));
        let told = run(&server, &kubectl, &format!("--token={} auth whoami", token.trim()));
        assert!(
            told.contains("Extra: authentication.kubernetes.io/pod-name") && told.contains("[n1]"),
            "{told}"
        );
        let token = run(&server, &kubectl, &format!("{create}=Node --bound-object-name=n1"));
        assert_eq!(code(&server, token.trim()), 200);
        let lost = refused(&server, &kubectl, &format!("{create}=Pod --bound-object-name=lost"));
        assert!(lost.contains("pods \"lost\" not found"), "{lost}");
    }
}

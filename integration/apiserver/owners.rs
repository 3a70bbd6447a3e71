//! `metadata.ownerReferences`: what is refused (`k8s.io/apimachinery/pkg/api/validation/objectmeta.go`), and what goes with
//! its owners (`pkg/controller/garbagecollector` in Kubernetes).

use serde_json::{Value, json};

use crate::harness::needs;
use crate::harness::serve::{Server, kubectls};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

fn ask(server: &Server, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let answer = server.ask(method, path, JSON, body.to_string().as_bytes());
    (answer.code, answer.json())
}

/// A Service that is there now.
#[track_caller]
fn service(server: &Server, name: &str, owners: &[Value]) -> Value {
    let body =
        json!({"metadata": {"name": name, "ownerReferences": owners}, "spec": {"ports": [{"port": 80}]}});
    let (code, object) = ask(server, "POST", SERVICES, &body);
    assert_eq!(code, 201, "{object}");
    object
}

/// An EndpointSlice that is there now.
#[track_caller]
fn slice(server: &Server, name: &str, owners: &[Value], finalizers: &[&str]) -> Value {
    let metadata = json!({"name": name, "ownerReferences": owners, "finalizers": finalizers});
    let body = json!({"metadata": metadata, "addressType": "IPv4", "endpoints": []});
    let (code, object) = ask(server, "POST", SLICES, &body);
    assert_eq!(code, 201, "{object}");
    object
}

/// A reference to an object.
fn to(object: &Value) -> Value {
    let metadata = &object["metadata"];
    json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "name": metadata["name"], "uid": metadata["uid"]})
}

fn blocking(object: &Value) -> Value {
    let mut owner = to(object);
    owner["blockOwnerDeletion"] = true.into();
    owner
}

fn is_there(server: &Server, path: &str) -> bool {
    let code = server.get(path).code;
    assert!([200, 404].contains(&code), "{path}: {code}");
    code == 200
}

fn delete(server: &Server, path: &str, policy: &str) -> Value {
    let (code, object) = ask(server, "DELETE", path, &json!({"propagationPolicy": policy}));
    assert_eq!(code, 200, "{object}");
    object
}

#[test]
fn references_are_checked() {
    needs!();
    let server = Server::start(&[]);
    let own = |more: Value| {
        let mut owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "1"});
        owner.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        owner
    };
    let path = "metadata.ownerReferences";
    let both = [own(json!({"controller": true})), own(json!({"controller": true, "name": "b", "uid": "2"}))];
    let shown = r#"[{"apiVersion":"v1","kind":"Pod","name":"a","uid":"1","controller":true},{"apiVersion":"v1","kind":"Pod","name":"b","uid":"2","controller":true}]"#;
    for (owners, expected) in [
        (vec![own(json!({"uid": ""}))], format!("{path}.uid: Invalid value: \"\": must not be empty")),
        (vec![own(json!({"name": ""}))], format!("{path}.name: Invalid value: \"\": must not be empty")),
        (vec![own(json!({"kind": ""}))], format!("{path}.kind: Invalid value: \"\": must not be empty")),
        (
            vec![own(json!({"apiVersion": ""}))],
            format!("{path}.apiVersion: Invalid value: \"\": version must not be empty"),
        ),
        (
            vec![own(json!({"apiVersion": "a/b/c"}))],
            format!("{path}.apiVersion: Invalid value: \"a/b/c\": version must not be empty"),
        ),
        (
            vec![own(json!({"kind": "Event"}))],
            format!(
                "{path}: Invalid value: {{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"name\":\"a\",\"uid\":\"1\"}}: \
                 /v1, Kind=Event is disallowed from being an owner"
            ),
        ),
        (
            both.to_vec(),
            format!(
                "{path}: Invalid value: {shown}: Only one reference can have Controller set to true. Found \"true\" in \
                 references for Pod/a and Pod/b"
            ),
        ),
    ] {
        let body =
            json!({"metadata": {"name": "s", "ownerReferences": owners}, "spec": {"ports": [{"port": 80}]}});
        let (code, told) = ask(&server, "POST", SERVICES, &body);
        let expected = format!("Service \"s\" is invalid: {expected}");
        assert_eq!((code, told["message"].as_str()), (422, Some(expected.as_str())));
        let body = json!({"metadata": {"name": "s", "ownerReferences": owners}, "addressType": "IPv4", "endpoints": []});
        assert_eq!(ask(&server, "POST", SLICES, &body).0, 422);
    }
    let both = json!({"metadata": {"name": "s", "finalizers": ["orphan", "foregroundDeletion"]}, "spec": {"ports": [{"port": 80}]}});
    let (code, told) = ask(&server, "POST", SERVICES, &both);
    let expected = "Service \"s\" is invalid: metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: \
                    finalizer orphan and foregroundDeletion cannot be both set";
    assert_eq!((code, told["message"].as_str()), (422, Some(expected)));
}

#[test]
fn what_is_owned_goes_in_the_background() {
    needs!();
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_in(dir.path(), &[]);
    let (owner, other) = (service(&server, "owner", &[]), service(&server, "other", &[]));
    let middle = service(&server, "middle", &[to(&owner)]);
    slice(&server, "last", &[to(&middle)], &[]);
    slice(&server, "shared", &[to(&owner), to(&other)], &[]);
    slice(&server, "held", &[to(&owner)], &["example.com/a"]);
    // The owner of another kind, namespace or API is nobody that can be looked for.
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "1"});
    let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "2"});
    slice(&server, "of-pod", &[pod], &[]);
    slice(&server, "of-set", &[set], &[]);
    // What is known of owners is read anew.
    server.kill();
    let server = Server::start_in(dir.path(), &[]);
    let dry = ask(&server, "DELETE", &format!("{SERVICES}/owner"), &json!({"dryRun": ["All"]}));
    assert_eq!((dry.0, is_there(&server, &format!("{SERVICES}/middle"))), (200, true));
    delete(&server, &format!("{SERVICES}/owner"), "Background");
    for (path, expected) in [
        (format!("{SERVICES}/middle"), false),
        (format!("{SLICES}/last"), false),
        (format!("{SLICES}/shared"), true),
        (format!("{SLICES}/held"), true),
        (format!("{SLICES}/of-pod"), true),
        (format!("{SLICES}/of-set"), true),
    ] {
        assert_eq!(is_there(&server, &path), expected, "{path}");
    }
    assert!(server.get(&format!("{SLICES}/held")).json()["metadata"]["deletionTimestamp"].is_string());
    let shared = server.get(&format!("{SLICES}/shared")).json();
    assert_eq!(shared["metadata"]["ownerReferences"], json!([to(&other)]));
    // With all of them, too.
    assert_eq!(
        ask(&server, "DELETE", &format!("{SERVICES}?fieldSelector=metadata.name=other"), &json!({})).0,
        200
    );
    assert!(!is_there(&server, &format!("{SLICES}/shared")));
}

#[test]
fn what_names_an_owner_that_is_gone_goes_at_once() {
    needs!();
    let server = Server::start(&[]);
    let old = service(&server, "web", &[]);
    delete(&server, &format!("{SERVICES}/web"), "Background");
    let mut gone = slice(&server, "s", &[to(&old)], &[]);
    assert!(!is_there(&server, &format!("{SLICES}/s")));
    // Another one of the name is another one.
    let new = service(&server, "web", &[]);
    gone = slice(&server, gone["metadata"]["name"].as_str().unwrap(), &[to(&old)], &[]);
    assert!(!is_there(&server, &format!("{SLICES}/s")), "{gone}");
    slice(&server, "s", &[to(&new)], &[]);
    assert!(is_there(&server, &format!("{SLICES}/s")));
    // Nor by a change.
    let change = json!({"metadata": {"ownerReferences": [to(&old)]}}).to_string();
    assert_eq!(server.ask("PATCH", &format!("{SLICES}/s"), MERGE, change.as_bytes()).code, 200);
    assert!(!is_there(&server, &format!("{SLICES}/s")));
    // An object without a namespace cannot have an owner in one, but the other way round.
    let cidr = json!({"metadata": {"name": "c", "ownerReferences": [to(&old)]}, "spec": {"cidrs": ["192.0.2.0/24"]}});
    assert_eq!(ask(&server, "POST", "/apis/networking.k8s.io/v1/servicecidrs", &cidr).0, 201);
    assert!(is_there(&server, "/apis/networking.k8s.io/v1/servicecidrs/c"));
    let (_, cidr) = ask(&server, "GET", "/apis/networking.k8s.io/v1/servicecidrs/kubernetes", &Value::Null);
    slice(&server, "t", &[to(&cidr)], &[]);
    assert!(is_there(&server, &format!("{SLICES}/t")));
    // What the server needs is there again at once, and belongs to nobody then.
    let (_, web) = ask(&server, "GET", &format!("{SERVICES}/web"), &Value::Null);
    let address =
        format!("/apis/networking.k8s.io/v1/ipaddresses/{}", web["spec"]["clusterIP"].as_str().unwrap());
    let mut cluster_wide = to(&cidr);
    cluster_wide["uid"] = "gone".into();
    for path in [address.as_str(), "/api/v1/namespaces/default", &format!("{SERVICES}/kubernetes")] {
        let change = json!({"metadata": {"ownerReferences": [cluster_wide]}}).to_string();
        assert_eq!(server.ask("PATCH", path, MERGE, change.as_bytes()).code, 200, "{path}");
        assert!(is_there(&server, path), "{path}");
    }
    // Events belong to nobody.
    let event = json!({"metadata": {"name": "e", "ownerReferences": [to(&old)]}, "involvedObject": {"namespace": "default"}});
    assert_eq!(ask(&server, "POST", "/api/v1/namespaces/default/events", &event).0, 201);
    assert!(is_there(&server, "/api/v1/namespaces/default/events/e"));
}

#[test]
fn orphans_stay() {
    needs!();
    let server = Server::start(&[]);
    let (owner, other) = (service(&server, "owner", &[]), service(&server, "other", &[]));
    slice(&server, "a", &[to(&owner)], &[]);
    slice(&server, "b", &[to(&owner), to(&other)], &[]);
    let object = delete(&server, &format!("{SERVICES}/owner"), "Orphan");
    assert_eq!(object["metadata"]["finalizers"], json!(["orphan"]));
    assert!(!is_there(&server, &format!("{SERVICES}/owner")));
    let owners =
        |name: &str| server.get(&format!("{SLICES}/{name}")).json()["metadata"]["ownerReferences"].clone();
    assert_eq!((owners("a"), owners("b")), (Value::Null, json!([to(&other)])));
    // The older way to say so, and by the finalizer.
    slice(&server, "c", &[to(&other)], &[]);
    let (code, _) = ask(&server, "DELETE", &format!("{SERVICES}/other"), &json!({"orphanDependents": true}));
    assert_eq!((code, owners("c"), owners("b")), (200, Value::Null, Value::Null));
    let third = service(&server, "third", &[]);
    slice(&server, "d", &[to(&third)], &[]);
    let path = format!("{SERVICES}/third");
    assert_eq!(server.ask("PATCH", &path, MERGE, br#"{"metadata":{"finalizers":["orphan"]}}"#).code, 200);
    assert_eq!(ask(&server, "DELETE", &path, &json!({})).0, 200);
    assert_eq!((owners("d"), is_there(&server, &path)), (Value::Null, false));
    for kubectl in kubectls() {
        let owner = service(&server, "owner", &[]);
        slice(&server, "e", &[to(&owner)], &[]);
        let (done, told) = server.kubectl(&kubectl, &["delete", "service", "owner", "--cascade=orphan"]);
        assert!(done, "{told}");
        assert_eq!((owners("e"), is_there(&server, &format!("{SERVICES}/owner"))), (Value::Null, false));
        delete(&server, &format!("{SLICES}/e"), "Background");
    }
}

#[test]
fn an_owner_waits_for_those_that_block_it() {
    needs!();
    let server = Server::start(&[]);
    let owner = service(&server, "owner", &[]);
    let middle = service(&server, "middle", &[blocking(&owner)]);
    slice(&server, "held", &[blocking(&middle)], &["example.com/a"]);
    slice(&server, "free", &[to(&owner)], &["example.com/a"]);
    let object = delete(&server, &format!("{SERVICES}/owner"), "Foreground");
    assert_eq!(object["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    // Each waits for the one below.
    let metadata = |path: &str| server.get(path).json()["metadata"].clone();
    for name in ["owner", "middle"] {
        let metadata = metadata(&format!("{SERVICES}/{name}"));
        assert!(metadata["deletionTimestamp"].is_string(), "{name}: {metadata}");
        assert_eq!(metadata["finalizers"], json!(["foregroundDeletion"]));
    }
    assert!(metadata(&format!("{SLICES}/held"))["deletionTimestamp"].is_string());
    // What does not block goes when the owner is gone.
    assert!(metadata(&format!("{SLICES}/free")).get("deletionTimestamp").is_none());
    let done = br#"{"metadata":{"finalizers":null}}"#;
    assert_eq!(server.ask("PATCH", &format!("{SLICES}/held"), MERGE, done).code, 200);
    for path in [format!("{SLICES}/held"), format!("{SERVICES}/middle"), format!("{SERVICES}/owner")] {
        assert!(!is_there(&server, &path), "{path}");
    }
    assert!(metadata(&format!("{SLICES}/free"))["deletionTimestamp"].is_string());
    // Whom nobody blocks goes at once, with all of them; and so do those that own each other.
    let (a, b) = (service(&server, "a", &[]), service(&server, "b", &[]));
    slice(&server, "c", &[blocking(&a)], &[]);
    for (name, other) in [("a", &b), ("b", &a)] {
        let change = json!({"metadata": {"ownerReferences": [blocking(other)]}}).to_string();
        assert_eq!(server.ask("PATCH", &format!("{SERVICES}/{name}"), MERGE, change.as_bytes()).code, 200);
    }
    delete(&server, &format!("{SERVICES}/a"), "Foreground");
    for path in [format!("{SERVICES}/a"), format!("{SERVICES}/b"), format!("{SLICES}/c")] {
        assert!(!is_there(&server, &path), "{path}: {}", metadata(&path));
    }
    // Somebody who lets the reference go is waited for no more.
    let owner = service(&server, "owner", &[]);
    slice(&server, "d", &[blocking(&owner)], &["example.com/a"]);
    delete(&server, &format!("{SERVICES}/owner"), "Foreground");
    assert!(is_there(&server, &format!("{SERVICES}/owner")));
    let change = br#"{"metadata":{"ownerReferences":null}}"#;
    assert_eq!(server.ask("PATCH", &format!("{SLICES}/d"), MERGE, change).code, 200);
    assert!(!is_there(&server, &format!("{SERVICES}/owner")));
}

/// Thousands of references to one large object cost no more than reading it once: before, each of them read it, and the
/// writer stood still for minutes.
#[test]
fn many_references_to_a_large_object() {
    needs!();
    let server = Server::start(&[]);
    let annotations = json!({"large": "x".repeat(200_000)});
    let body =
        json!({"metadata": {"name": "large", "annotations": annotations}, "spec": {"ports": [{"port": 80}]}});
    let (code, large) = ask(&server, "POST", SERVICES, &body);
    assert_eq!(code, 201);
    let owners = (0..5000).map(|index| {
        let mut owner = to(&large);
        // One of them is real.
        owner["uid"] = if index == 7 { owner["uid"].clone() } else { format!("{index:032x}").into() };
        owner
    });
    let owners: Vec<Value> = owners.collect();
    slice(&server, "a", &owners, &[]);
    let left = server.get(&format!("{SLICES}/a")).json()["metadata"]["ownerReferences"].clone();
    assert_eq!(left, json!([to(&large)]));
}

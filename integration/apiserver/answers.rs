//! What the API server answers to changes and deletions. Where a rule is Kubernetes' own, its source is named.

use serde_json::{Value, json};

use crate::harness::needs;
use crate::harness::serve::{Answer, Server, kubectls};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

fn ask(server: &Server, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    server.ask(method, path, JSON, body.as_bytes())
}

fn patch(server: &Server, path: &str, media_type: &str, body: &Value) -> Answer {
    server.ask("PATCH", path, media_type, body.to_string().as_bytes())
}

/// A Service with a port, and what else is given.
fn service(name: &str, metadata: &Value) -> Value {
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}});
    service["metadata"]["name"] = name.into();
    service
}

#[track_caller]
fn create(server: &Server, path: &str, object: &Value) -> Value {
    let answer = ask(server, "POST", path, object);
    assert_eq!(answer.code, 201, "{}", answer.json());
    answer.json()
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

/// `k8s.io/apimachinery/pkg/labels/selector.go`: nothing is selected by a selector that cannot be read.
#[test]
fn an_empty_requirement_selects_nothing() {
    needs!();
    let server = Server::start(&[]);
    create(&server, SERVICES, &service("web", &json!({})));
    for (selector, told) in [
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a%20b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
    ] {
        for (method, more) in [("GET", ""), ("GET", "&watch=true"), ("DELETE", ""), ("DELETE", "&dryRun=All")]
        {
            let answer =
                ask(&server, method, &format!("{SERVICES}?labelSelector={selector}{more}"), &Value::Null);
            let answer = (answer.code, answer.json());
            assert_eq!(
                (answer.0, answer.1["message"].as_str()),
                (400, Some(told)),
                "{method} {selector}{more}"
            );
        }
    }
    assert_eq!(names(&server.get(SERVICES).json()), ["kubernetes", "web"]);
    // Upstream passes over what is empty among fields, and so does this.
    assert_eq!(names(&server.get(&format!("{SERVICES}?fieldSelector=,metadata.name=web,")).json()), ["web"]);
    for kubectl in kubectls() {
        let (done, told) = server.kubectl(&kubectl, &["delete", "service", "-l", ","]);
        assert!(!done && told.contains("found ',', expected: !, identifier, or 'end of string'"), "{told}");
        assert_eq!(names(&server.get(SERVICES).json()), ["kubernetes", "web"]);
    }
}

/// `ReturnDeletedObject` of each kind's `storage.go`, and `DeleteResource` in
/// `k8s.io/apiserver/pkg/endpoints/handlers/delete.go`.
#[test]
fn a_deletion_is_answered_as_the_kind_has_it() {
    needs!();
    let server = Server::start(&[]);
    let networking = "/apis/networking.k8s.io/v1";
    let address = json!({"metadata": {"name": "192.0.2.1"}, "spec": {"parentRef": {"resource": "pods", "name": "a", "namespace": "b"}}});
    let cidr = json!({"metadata": {"name": "192.0.2.1"}, "spec": {"cidrs": ["192.0.2.0/24"]}});
    let slice = json!({"metadata": {"name": "192.0.2.1"}, "addressType": "IPv4", "endpoints": []});
    let event = json!({"metadata": {"name": "192.0.2.1"}, "involvedObject": {"namespace": "default"}});
    let made = create(&server, SERVICES, &service("web", &json!({})));
    for (path, object) in [
        (format!("{networking}/ipaddresses"), address),
        (format!("{networking}/servicecidrs"), cidr),
        (SLICES.to_owned(), slice),
        ("/api/v1/namespaces/default/events".to_owned(), event),
    ] {
        let created = create(&server, &path, &object);
        let answer = ask(&server, "DELETE", &format!("{path}/192.0.2.1"), &Value::Null);
        let (code, answer) = (answer.code, answer.json());
        let plural = path.rsplit('/').next().unwrap();
        if plural == "servicecidrs" {
            // Its finalizer is not done.
            assert_eq!((code, &answer["kind"]), (200, &json!("ServiceCIDR")));
            assert!(answer["metadata"]["deletionTimestamp"].is_string());
            continue;
        }
        let details = &answer["details"];
        assert_eq!(
            (code, &answer["kind"], &answer["status"]),
            (200, &json!("Status"), &json!("Success")),
            "{plural}"
        );
        assert_eq!((&details["kind"], &details["uid"]), (&json!(plural), &created["metadata"]["uid"]));
        assert_eq!(server.get(&format!("{path}/192.0.2.1")).code, 404);
    }
    let path = format!("{SERVICES}/web");
    let dry = ask(&server, "DELETE", &format!("{path}?dryRun=All"), &Value::Null);
    assert_eq!((dry.code, dry.json()), (200, made.clone()));
    let gone = ask(&server, "DELETE", &path, &Value::Null);
    let (code, mut gone) = (gone.code, gone.json());
    // The object as it was, at the version at which it went.
    let version =
        |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(version(&gone) > version(&made));
    gone["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
    assert_eq!((code, gone), (200, made));
    // `BeforeDelete` in `k8s.io/apiserver/pkg/registry/rest/delete.go`.
    create(&server, SERVICES, &service("other", &json!({})));
    for (key, what, became) in
        [("uid", "UID", "deleted and then recreated"), ("resourceVersion", "ResourceVersion", "modified")]
    {
        let answer =
            ask(&server, "DELETE", &format!("{SERVICES}/other"), &json!({"preconditions": {key: "1"}}));
        let found = server.get(&format!("{SERVICES}/other")).json()["metadata"][key].clone();
        let found = found.as_str().unwrap();
        let expected = format!(
            "Operation cannot be fulfilled on Service \"other\": the {what} in the precondition (1) does not match the \
             {what} in record ({found}). The object might have been {became}"
        );
        assert_eq!((answer.code, answer.json()["message"].as_str()), (409, Some(expected.as_str())));
    }
    // One that is not gone, for somebody who asks as it was done before `propagationPolicy`.
    for (body, code) in
        [(json!({"orphanDependents": false}), 202), (json!({"propagationPolicy": "Background"}), 200)]
    {
        create(&server, SERVICES, &service("held", &json!({"finalizers": ["example.com/a"]})));
        let path = format!("{SERVICES}/held");
        let answer = ask(&server, "DELETE", &path, &body);
        assert_eq!((answer.code, &answer.json()["kind"]), (code, &json!("Service")));
        assert_eq!(patch(&server, &path, MERGE, &json!({"metadata": {"finalizers": null}})).code, 200);
    }
}

/// `Store.DeleteCollection` in `k8s.io/apiserver/pkg/registry/generic/registry/store.go`.
#[test]
fn deletecollection_ends_at_its_limit() {
    needs!();
    let server = Server::start(&[]);
    for name in ["a", "b", "c", "d", "e"] {
        let labels = json!({"labels": {"app": if name == "b" { "other" } else { "web" }}});
        create(&server, SERVICES, &service(name, &labels));
    }
    let delete = |query: &str| {
        let answer = ask(&server, "DELETE", &format!("{SERVICES}?{query}"), &Value::Null);
        (answer.code, answer.json())
    };
    let left = || names(&server.get(SERVICES).json()).join(" ");
    let (code, list) = delete("labelSelector=app&limit=2&dryRun=All");
    assert_eq!(
        (code, names(&list).join(" "), left().as_str()),
        (200, "a b".to_owned(), "a b c d e kubernetes")
    );
    let before = server.get(SERVICES).json()["metadata"]["resourceVersion"].clone();
    let (code, list) = delete("limit=2");
    assert_eq!((code, &list["kind"], names(&list).join(" ").as_str()), (200, &json!("ServiceList"), "a b"));
    assert_eq!(
        (&list["metadata"]["resourceVersion"], &list["metadata"]["remainingItemCount"]),
        (&before, &json!(4))
    );
    assert_eq!(left(), "c d e kubernetes");
    // What is created before the place where it goes on stays.
    create(&server, SERVICES, &service("a", &json!({})));
    let token = list["metadata"]["continue"].as_str().unwrap();
    let (_, list) = delete(&format!("labelSelector=app%3Dweb&limit=1&continue={token}"));
    assert_eq!((names(&list).join(" ").as_str(), left().as_str()), ("c", "a d e kubernetes"));
    let token = list["metadata"]["continue"].as_str().unwrap();
    let (_, list) = delete(&format!("labelSelector=app%3Dweb&continue={token}"));
    assert_eq!((names(&list).join(" ").as_str(), left().as_str()), ("d e", "a kubernetes"));
    assert_eq!(list["metadata"].get("continue"), None);
    for (query, code) in [
        ("continue=x", 400),
        ("limit=x", 400),
        ("sendInitialEvents=true", 422),
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersion=999999999", 504),
    ] {
        assert_eq!(delete(query).0, code, "{query}");
    }
    assert_eq!(left(), "a kubernetes");
    // Without a limit, all of them.
    assert_eq!(
        (names(&delete("fieldSelector=metadata.name%3Da").1).join(" ").as_str(), left().as_str()),
        ("a", "kubernetes")
    );
}

/// `ValidateObjectMetaAccessorUpdate` in `k8s.io/apimachinery/pkg/api/validation/objectmeta.go`, and
/// `deleteWithoutFinalizers` in `k8s.io/apiserver/pkg/registry/generic/registry/store.go`.
#[test]
fn finalizers_of_what_is_being_deleted_only_go() {
    needs!();
    let server = Server::start(&[]);
    let slice = json!({"metadata": {"name": "s", "finalizers": ["example.com/a", "example.com/b"]}, "addressType": "IPv4", "endpoints": []});
    let namespace = json!({"metadata": {"name": "s", "finalizers": ["example.com/a", "example.com/b"]}});
    let metadata = json!({"finalizers": ["example.com/a", "example.com/b"]});
    for (path, object, kind) in [
        (SERVICES, service("s", &metadata), "Service"),
        (SLICES, slice, "EndpointSlice.discovery.k8s.io"),
        ("/api/v1/namespaces", namespace, "Namespace"),
    ] {
        create(&server, path, &object);
        let path = format!("{path}/s");
        assert_eq!(ask(&server, "DELETE", &path, &Value::Null).code, 200);
        let more = json!({"metadata": {"finalizers": ["example.com/a", "example.com/d", "example.com/c"]}});
        let why = "no new finalizers can be added if the object is being deleted, found new finalizers \
                   []string{\"example.com/c\", \"example.com/d\"}";
        let answer = patch(&server, &path, MERGE, &more);
        let expected = format!("{kind} \"s\" is invalid: metadata.finalizers: Forbidden: {why}");
        assert_eq!((answer.code, answer.json()["message"].as_str()), (422, Some(expected.as_str())));
        let again = ask(&server, "POST", path.strip_suffix("/s").unwrap(), &object);
        let told = again.json()["message"].as_str().unwrap().to_owned();
        assert!(again.code == 409 && told.starts_with("object is being deleted: "), "{told}");
        // What is left out is gone, and so is the object with the last one; the answer is what was asked for.
        let last = json!({"metadata": {"finalizers": ["example.com/b"], "labels": {"a": "b"}}});
        let held = patch(&server, &path, MERGE, &last).json();
        assert_eq!(held["metadata"]["finalizers"], json!(["example.com/b"]));
        let answer =
            patch(&server, &path, MERGE, &json!({"metadata": {"finalizers": null, "labels": {"a": "c"}}}));
        let (code, object) = (answer.code, answer.json());
        let metadata = &object["metadata"];
        assert_eq!(
            (code, metadata.get("finalizers"), &metadata["labels"]["a"]),
            (200, None, &json!("c")),
            "{kind}"
        );
        if kind != "Namespace" {
            assert_eq!(metadata["resourceVersion"], held["metadata"]["resourceVersion"]);
            assert_eq!(server.get(&path).code, 404);
        }
    }
    // The same by PUT.
    let made = create(&server, SERVICES, &service("s", &json!({"finalizers": ["example.com/a"]})));
    let path = format!("{SERVICES}/s");
    let mut held = ask(&server, "DELETE", &path, &Value::Null).json();
    held["metadata"].as_object_mut().unwrap().remove("finalizers");
    let answer = ask(&server, "PUT", &path, &held);
    assert_eq!((answer.code, answer.json()["metadata"].get("finalizers")), (200, None));
    assert_eq!(answer.json()["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(server.get(&path).code, 404);
}

/// `BeforeUpdate` in `k8s.io/apiserver/pkg/registry/rest/update.go`, `markAsDeleting` in `store.go`.
#[test]
fn the_generation_is_counted_by_the_server() {
    needs!();
    let server = Server::start(&[]);
    let path = format!("{SERVICES}/s");
    let generation = |answer: &Answer| answer.json()["metadata"].get("generation").cloned();
    // Nobody counts that of Services.
    create(&server, SERVICES, &service("s", &json!({"finalizers": ["example.com/a"]})));
    for (media_type, body) in
        [(MERGE, json!({"metadata": {"generation": 7}})), (STRATEGIC, json!({"metadata": {"generation": 7}}))]
    {
        let answer = patch(&server, &path, media_type, &body);
        assert_eq!((answer.code, generation(&answer)), (200, None), "{media_type}");
    }
    let answer =
        ask(&server, "PUT", &path, &service("s", &json!({"generation": 7, "finalizers": ["example.com/a"]})));
    assert_eq!((answer.code, generation(&answer)), (200, None));
    let apply = service("s", &json!({"generation": 7}));
    let answer = patch(&server, &format!("{path}?fieldManager=m&force=true"), APPLY, &apply);
    assert_eq!((answer.code, generation(&answer)), (200, None));
    // One that a new object has stays, and counts its deletion.
    let refused = ask(&server, "POST", SERVICES, &service("t", &json!({"generation": -1})));
    let expected = "Service \"t\" is invalid: metadata.generation: Invalid value: -1: must be greater than or equal to 0";
    assert_eq!((refused.code, refused.json()["message"].as_str()), (422, Some(expected)));
    create(&server, SERVICES, &service("t", &json!({"generation": 7, "finalizers": ["example.com/a"]})));
    let held = ask(&server, "DELETE", &format!("{SERVICES}/t"), &Value::Null);
    assert_eq!(generation(&held), Some(json!(8)));
}

/// `AllowCreateOnUpdate` of each kind's `strategy.go`, and `Store.Update`.
#[test]
fn a_put_creates_services_and_events() {
    needs!();
    let server = Server::start(&[]);
    let path = format!("{SERVICES}/web");
    let dry = ask(&server, "PUT", &format!("{path}?dryRun=All"), &service("web", &json!({})));
    assert_eq!((dry.code, server.get(&path).code), (201, 404));
    let put = |path: &str, object: &Value| {
        let answer = ask(&server, "PUT", path, object);
        (answer.code, answer.json())
    };
    // A version that was seen is no matter, an object that was is.
    let (code, object) = put(&path, &service("web", &json!({"resourceVersion": "5"})));
    assert_eq!((code, &object["metadata"]["namespace"]), (201, &json!("default")));
    assert!(object["spec"]["clusterIP"].is_string() && object["metadata"]["uid"].is_string());
    assert_eq!(put(&path, &service("web", &json!({"labels": {"a": "b"}}))).0, 200);
    let event =
        json!({"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}, "reason": "Test"});
    assert_eq!(put("/api/v1/namespaces/default/events/e", &event).0, 201);
    let known = service("none", &json!({"uid": object["metadata"]["uid"]}));
    let (code, told) = put(&format!("{SERVICES}/none"), &known);
    assert_eq!((code, told["reason"].as_str()), (409, Some("Conflict")), "{told}");
    let undetermined = "the name of the object (none based on URL) was undeterminable: name must be provided";
    for (name, expected) in [
        ("other", "the name of the object (other) does not match the name on the URL (none)"),
        ("", undetermined),
    ] {
        for place in ["none", "web"] {
            let (code, told) = put(&format!("{SERVICES}/{place}"), &service(name, &json!({})));
            let expected = expected.replace("none", place);
            assert_eq!((code, told["message"].as_str()), (400, Some(expected.as_str())), "{name:?} {place}");
        }
    }
    assert_eq!(put("/api/v1/namespaces/none/services/web", &service("web", &json!({}))).0, 404);
    assert_eq!(put(&format!("{SERVICES}/none/status"), &service("none", &json!({}))).0, 404);
    let networking = "/apis/networking.k8s.io/v1";
    for (path, object) in [
        (format!("{SLICES}/none"), json!({"addressType": "IPv4", "endpoints": []})),
        ("/api/v1/namespaces/none".to_owned(), json!({})),
        (
            format!("{networking}/ipaddresses/none"),
            json!({"spec": {"parentRef": {"resource": "a", "name": "b"}}}),
        ),
        (format!("{networking}/servicecidrs/none"), json!({"spec": {"cidrs": ["192.0.2.0/24"]}})),
    ] {
        let mut object = object;
        object["metadata"] = json!({"name": "none"});
        assert_eq!(put(&path, &object).0, 404, "{path}");
    }
}

/// `dropTypeDependentFields` in `pkg/registry/core/service/strategy.go`, by each way in which a client takes something back.
#[test]
fn a_service_that_nothing_outside_reaches_any_more() {
    needs!();
    let server = Server::start(&[]);
    let path = format!("{SERVICES}/s");
    let with = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80}], "externalIPs": ["192.0.2.1"]}});
    let mut without = with.clone();
    without["spec"].as_object_mut().unwrap().remove("externalIPs");
    let spec = json!({"spec": {"externalIPs": null}});
    for way in ["merge", "strategic", "put", "server-side apply"] {
        let applied = format!("{path}?fieldManager=m&force=true");
        let made = patch(&server, &applied, APPLY, &with);
        assert_eq!((made.code, &made.json()["spec"]["externalTrafficPolicy"]), (201, &json!("Cluster")));
        let answer = match way {
            "merge" => patch(&server, &path, MERGE, &spec),
            "strategic" => patch(&server, &path, STRATEGIC, &spec),
            "put" => {
                let mut whole = made.json();
                whole["spec"].as_object_mut().unwrap().remove("externalIPs");
                ask(&server, "PUT", &path, &whole)
            }
            _ => patch(&server, &applied, APPLY, &without),
        };
        assert_eq!((answer.code, answer.json()["spec"].get("externalTrafficPolicy")), (200, None), "{way}");
        assert_eq!(ask(&server, "DELETE", &path, &Value::Null).code, 200);
    }
    for kubectl in kubectls() {
        for (name, object) in [("with.json", &with), ("without.json", &without)] {
            let file = server.dir.join(name);
            std::fs::write(&file, object.to_string()).unwrap();
            let (done, told) = server.kubectl(&kubectl, &["apply", "-f", file.to_str().unwrap()]);
            assert!(done, "{name}: {told}");
        }
        let spec = server.get(&path).json()["spec"].clone();
        assert_eq!((spec.get("externalIPs"), spec.get("externalTrafficPolicy")), (None, None));
        assert_eq!(ask(&server, "DELETE", &path, &Value::Null).code, 200);
    }
}

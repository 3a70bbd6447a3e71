//! Drives the API server with kube-rs.
//!
//! Called with the path of a kubeconfig. Each step ends in one line on stdout, `ok STEP` or `failed STEP: WHY`; the line
//! `restart` asks whoever called for another server on the same data, and waits for a line on stdin.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Event as CoreEvent, Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{IPAddress, ServiceCIDR};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::response::StatusSummary;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Config, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

type Step = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What can be of any kind that is deleted.
trait Kind: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + Debug {}
impl<K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + Debug> Kind for K {}

fn service(name: &str, labels: Value, ports: Value) -> Service {
    let spec = json!({"ipFamilyPolicy": "PreferDualStack", "ports": ports});
    of(json!({"metadata": {"name": name, "labels": labels}, "spec": spec}))
}

/// A Service with one port.
fn simple(name: &str) -> Service {
    service(name, json!({}), http())
}

fn http() -> Value {
    json!([{"name": "http", "port": 80}])
}

fn of<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn services(client: &Client) -> Api<Service> {
    Api::namespaced(client.clone(), "default")
}

fn ports(service: &Service) -> Vec<i32> {
    service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()).map(|port| port.port).collect()
}

async fn create<K: Kind>(api: &Api<K>, object: K) -> K {
    api.create(&PostParams::default(), &object).await.unwrap()
}

#[track_caller]
fn refused<T: Debug>(code: u16, reason: &str, answer: kube::Result<T>) {
    match answer {
        Err(kube::Error::Api(status)) => {
            assert_eq!((status.code, &*status.reason), (code, reason), "{status:?}");
        }
        other => panic!("{code} {reason} was expected: {other:?}"),
    }
}

/// Waits until an object is not found any more.
async fn gone<K: Kind>(api: &Api<K>, name: &str) {
    for _ in 0..300 {
        if api.get_opt(name).await.unwrap().is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{name} is still there");
}

/// Deletes what has to be there; whether the answer was the object itself.
async fn delete<K: Kind>(api: &Api<K>, name: &str) -> bool {
    let answer = api.delete(name, &DeleteParams::default()).await.unwrap();
    let is_object = answer.is_left();
    let success = Some(StatusSummary::Success);
    answer.either(|object| assert_eq!(object.name_any(), name), |status| assert_eq!(status.status, success));
    gone(api, name).await;
    refused(404, "NotFound", api.delete(name, &DeleteParams::default()).await);
    is_object
}

async fn create_step(client: Client) {
    let api = services(&client);
    let made = create(&api, simple("kube-create")).await;
    let spec = made.spec.clone().unwrap();
    assert!(made.uid().is_some() && made.creation_timestamp().is_some());
    assert_eq!(spec.type_.as_deref(), Some("ClusterIP"));
    assert_eq!(spec.ip_families.unwrap(), ["IPv4", "IPv6"]);
    assert_eq!(spec.cluster_ips.unwrap().len(), 2);
    assert_eq!(api.get("kube-create").await.unwrap(), made);
    refused(409, "AlreadyExists", api.create(&PostParams::default(), &simple("kube-create")).await);
    let wrong = service("kube-wrong", json!({}), json!([{"port": 0}]));
    refused(422, "Invalid", api.create(&PostParams::default(), &wrong).await);
    assert!(api.get_opt("kube-wrong").await.unwrap().is_none());
}

async fn list(client: Client) {
    let api = services(&client);
    let expected: Vec<String> = (0..25).map(|n| format!("kube-list-{n:02}")).collect();
    for name in &expected {
        create(&api, service(name, json!({"step": "kube-list"}), http())).await;
    }
    let (mut names, mut versions, mut pages) = (Vec::new(), BTreeSet::new(), 0);
    let mut params = ListParams::default().labels("step=kube-list").limit(10);
    loop {
        let page = api.list(&params).await.unwrap();
        names.extend(page.items.iter().map(ResourceExt::name_any));
        versions.insert(page.metadata.resource_version.clone());
        pages += 1;
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    assert_eq!((names, pages, versions.len()), (expected, 3, 1));
    let everywhere: Api<Service> = Api::all(client);
    let params = ListParams::default().fields("metadata.name=kube-list-07");
    let found = everywhere.list(&params).await.unwrap();
    assert_eq!(found.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["kube-list-07"]);
}

/// The next event of a watch that goes on by itself after an error.
async fn next(
    stream: &mut (impl Stream<Item = watcher::Result<Event<Service>>> + Unpin),
) -> (&'static str, String) {
    loop {
        let event =
            tokio::time::timeout(Duration::from_secs(30), stream.next()).await.expect("no event in 30 s");
        match event.expect("the watch never ends") {
            Ok(Event::Apply(object)) => return ("apply", object.name_any()),
            Ok(Event::Delete(object)) => return ("delete", object.name_any()),
            Ok(Event::Init) => return ("list", String::new()),
            Ok(Event::InitApply(object)) => return ("listed", object.name_any()),
            Ok(Event::InitDone) => return ("all listed", String::new()),
            Err(error) => eprintln!("the watch goes on after: {error}"),
        }
    }
}

async fn watch(client: Client) {
    let api = services(&client);
    let made = |name: &str| service(name, json!({"step": "kube-watch"}), http());
    create(&api, made("kube-watch-a")).await;
    let config = watcher::Config::default().labels("step=kube-watch");
    let mut stream = watcher(api.clone(), config.clone()).default_backoff().boxed();
    // The same by a watch that begins with a list.
    let mut streamed = watcher(api.clone(), config.streaming_lists()).default_backoff().boxed();
    let event = |what, name: &str| (what, name.to_owned());
    for expected in [event("list", ""), event("listed", "kube-watch-a"), event("all listed", "")] {
        assert_eq!((next(&mut stream).await, next(&mut streamed).await), (expected.clone(), expected));
    }
    create(&api, made("kube-watch-b")).await;
    let expected = event("apply", "kube-watch-b");
    assert_eq!((next(&mut stream).await, next(&mut streamed).await), (expected.clone(), expected));
    for name in ["kube-watch-c", "kube-watch-d"] {
        restart().await;
        // It resumes: neither does it list again, nor does it see anything twice.
        create(&api, made(name)).await;
        let expected = event("apply", name);
        assert_eq!((next(&mut stream).await, next(&mut streamed).await), (expected.clone(), expected));
        delete(&api, name).await;
        let expected = event("delete", name);
        assert_eq!((next(&mut stream).await, next(&mut streamed).await), (expected.clone(), expected));
    }
}

async fn json_patch(client: Client) {
    let api = services(&client);
    create(&api, simple("kube-json")).await;
    let path = "/spec/ports/0/port";
    let operations =
        json!([{"op": "test", "path": path, "value": 80}, {"op": "replace", "path": path, "value": 81}]);
    let patch: Patch<()> = Patch::Json(of(operations));
    let patched = api.patch("kube-json", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(ports(&patched), [81]);
    refused(422, "Invalid", api.patch("kube-json", &PatchParams::default(), &patch).await);
}

async fn merge_patch(client: Client) {
    let api = services(&client);
    create(&api, service("kube-merge", json!({"a": "1", "b": "2"}), http())).await;
    let labels = json!({"a": null, "c": "3"});
    let body = json!({"metadata": {"labels": labels}, "spec": {"ports": [{"name": "new", "port": 81}]}});
    let patched = api.patch("kube-merge", &PatchParams::default(), &Patch::Merge(body)).await.unwrap();
    let labels: Vec<(&str, &str)> = patched.labels().iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(labels, [("b", "2"), ("c", "3")]);
    // A merge patch replaces the whole list.
    assert_eq!(ports(&patched), [81]);
}

async fn strategic_patch(client: Client) {
    let api = services(&client);
    create(&api, simple("kube-strategic")).await;
    let patch = async |items: Value| {
        let patch = Patch::Strategic(json!({"spec": {"ports": items}}));
        let patched = api.patch("kube-strategic", &PatchParams::default(), &patch).await.unwrap();
        ports(&patched).into_iter().collect::<BTreeSet<i32>>()
    };
    // Items are merged by their port.
    assert_eq!(patch(json!([{"port": 443, "name": "https"}])).await, BTreeSet::from([80, 443]));
    assert_eq!(patch(json!([{"port": 80, "$patch": "delete"}])).await, BTreeSet::from([443]));
}

async fn apply_patch(client: Client) {
    let api = services(&client);
    let apply = async |items: Value| {
        let mut body = serde_json::to_value(service("kube-apply", json!({}), items)).unwrap();
        (body["apiVersion"], body["kind"]) = ("v1".into(), "Service".into());
        api.patch("kube-apply", &PatchParams::apply("kube-rs").force(), &Patch::Apply(body)).await.unwrap()
    };
    let both = json!([{"name": "http", "port": 80}, {"name": "https", "port": 443}]);
    let made = apply(both.clone()).await;
    assert_eq!(ports(&made), [80, 443]);
    assert_eq!(apply(both.clone()).await.resource_version(), made.resource_version());
    // What is not applied any more goes.
    assert_eq!(ports(&apply(json!([both[1]])).await), [443]);
}

async fn conflict(client: Client) {
    let (api, name) = (services(&client), "kube-conflict");
    let mut old = create(&api, simple(name)).await;
    old.labels_mut().insert("by".into(), "a".into());
    let mut new = api.replace(name, &PostParams::default(), &old).await.unwrap();
    assert_eq!(new.labels()["by"], "a");
    old.labels_mut().insert("by".into(), "b".into());
    refused(409, "Conflict", api.replace(name, &PostParams::default(), &old).await);
    new.labels_mut().insert("by".into(), "b".into());
    api.replace(name, &PostParams::default(), &new).await.unwrap();
    let other = Preconditions { uid: Some("other".into()), ..Preconditions::default() };
    refused(409, "Conflict", api.delete(name, &DeleteParams::default().preconditions(other)).await);
}

async fn delete_service(client: Client) {
    let api = services(&client);
    create(&api, simple("kube-delete")).await;
    // registry/core/service/storage: ReturnDeletedObject.
    assert!(delete(&api, "kube-delete").await, "the answer is a Status");
}

async fn delete_services(client: Client) {
    let api = services(&client);
    for name in ["kube-all-0", "kube-all-1", "kube-all-2"] {
        create(&api, service(name, json!({"step": "kube-all"}), http())).await;
    }
    create(&api, simple("kube-all-other")).await;
    let params = ListParams::default().labels("step=kube-all");
    let _ = api.delete_collection(&DeleteParams::default(), &params).await.unwrap();
    assert_eq!(api.list(&params).await.unwrap().items, []);
    api.get("kube-all-other").await.unwrap();
}

async fn delete_namespace(client: Client) {
    let (api, name) = (Api::<Namespace>::all(client.clone()), "kube-namespace");
    create(&api, of(json!({"metadata": {"name": name}}))).await;
    let in_it: Api<Service> = Api::namespaced(client, name);
    create(&in_it, simple("in-it")).await;
    let is_object = delete(&api, name).await;
    assert!(in_it.get_opt("in-it").await.unwrap().is_none());
    assert!(is_object, "the answer is a Status");
}

async fn delete_event(client: Client) {
    let api: Api<CoreEvent> = Api::namespaced(client, "default");
    let involved = json!({"kind": "Service", "namespace": "default", "name": "kube-create"});
    let event = json!({"metadata": {"name": "kube-event"}, "involvedObject": involved, "reason": "Tested",
        "message": "by kube-rs", "type": "Normal"});
    create(&api, of(event)).await;
    assert!(!delete(&api, "kube-event").await, "the answer is the object");
}

async fn delete_endpoint_slice(client: Client) {
    let api: Api<EndpointSlice> = Api::namespaced(client, "default");
    let labels = json!({"kubernetes.io/service-name": "kube-create"});
    let slice = json!({"metadata": {"name": "kube-slice", "labels": labels}, "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.1.6"]}], "ports": [{"name": "http", "port": 8080}]});
    create(&api, of(slice)).await;
    assert!(!delete(&api, "kube-slice").await, "the answer is the object");
}

async fn delete_service_cidr_and_ip_address(client: Client) {
    let cidrs: Api<ServiceCIDR> = Api::all(client.clone());
    create(&cidrs, of(json!({"metadata": {"name": "kube-cidr"}, "spec": {"cidrs": ["10.124.0.0/24"]}})))
        .await;
    let addresses: Api<IPAddress> = Api::all(client);
    let parent = json!({"resource": "services", "namespace": "default", "name": "kube-create"});
    create(&addresses, of(json!({"metadata": {"name": "10.124.0.9"}, "spec": {"parentRef": parent}}))).await;
    assert!(!delete(&addresses, "10.124.0.9").await, "the answer is the object");
    // Kubernetes gives it a finalizer, so its answer is the object, which goes 10 s later: the Python client waits for it.
    let answer = cidrs.delete("kube-cidr", &DeleteParams::default()).await.unwrap();
    assert!(answer.left().expect("the object").metadata.deletion_timestamp.is_some());
}

async fn restart() {
    println!("restart");
    let mut line = String::new();
    let read = move || std::io::stdin().read_line(&mut line).map(|_| line);
    // Connections are served meanwhile.
    assert_eq!(tokio::task::spawn_blocking(read).await.unwrap().unwrap(), "restarted\n");
}

/// Runs a step to its end; what it panicked with.
async fn outcome(step: Step) -> Result<(), String> {
    let Err(error) = tokio::spawn(step).await else { return Ok(()) };
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    Err(text.unwrap_or("a panic").split_whitespace().collect::<Vec<_>>().join(" "))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let path = std::env::args().nth(1).expect("the path of a kubeconfig");
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let client = || Client::try_from(config.clone()).unwrap();
    let steps: [(&str, Step); 14] = [
        ("create", Box::pin(create_step(client()))),
        ("list", Box::pin(list(client()))),
        ("watch", Box::pin(watch(client()))),
        ("json_patch", Box::pin(json_patch(client()))),
        ("merge_patch", Box::pin(merge_patch(client()))),
        ("strategic_patch", Box::pin(strategic_patch(client()))),
        ("apply_patch", Box::pin(apply_patch(client()))),
        ("conflict", Box::pin(conflict(client()))),
        ("delete_service", Box::pin(delete_service(client()))),
        ("delete_services", Box::pin(delete_services(client()))),
        ("delete_namespace", Box::pin(delete_namespace(client()))),
        ("delete_event", Box::pin(delete_event(client()))),
        ("delete_endpoint_slice", Box::pin(delete_endpoint_slice(client()))),
        ("delete_service_cidr_and_ip_address", Box::pin(delete_service_cidr_and_ip_address(client()))),
    ];
    for (name, step) in steps {
        match outcome(step).await {
            Ok(()) => println!("ok {name}"),
            Err(why) => println!("failed {name}: {why}"),
        }
    }
}
